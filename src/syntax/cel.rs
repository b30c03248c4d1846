//! CEL text to a spanned tree.
//!
//! The tree keeps macros (`all`, `exists`, `has`, …) as they are written, with the range of every operand. The `cel`
//! crate, which evaluates the same text at run time, has the last word on what is accepted. Names and types are not
//! looked at here.

use text_size::TextRange;

use crate::{SyntaxError, SyntaxErrorKind, text_range};

mod lexer;
mod literal;
mod parser;

#[cfg(test)]
mod tests;

/// Longer expressions are refused.
pub const MAX_CHARS: usize = 10_000;
/// Deeper trees are refused: evaluators and visitors recurse.
pub const MAX_DEPTH: u32 = 100;

/// An expression and where it is written, its parentheses excluded.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub range: TextRange,
    pub kind: ExprKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    Literal(Literal),
    /// A name; with a leading dot when it is written with one.
    Ident(String),
    Select {
        operand: Box<Expr>,
        field: String,
        field_range: TextRange,
        /// `has(operand.field)`: whether the field is there, not its value.
        test_only: bool,
    },
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
    },
    /// A function, or a method when there is a target. Macros that are written correctly are not calls.
    Call {
        function: String,
        function_range: TextRange,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        op_range: TextRange,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Ternary {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// `pkg.Type{field: value}`; nothing evaluates it.
    Struct {
        name: String,
        fields: Vec<(String, Expr)>,
    },
    /// `operand.all(variable, body)` and its kin.
    Comprehension {
        macro_: Macro,
        macro_range: TextRange,
        operand: Box<Expr>,
        variable: String,
        variable_range: TextRange,
        /// The middle argument of `map(variable, filter, body)`.
        filter: Option<Box<Expr>>,
        body: Box<Expr>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    Not,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl BinaryOp {
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "||",
            BinaryOp::And => "&&",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::In => "in",
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Macro {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Macro::All => "all",
            Macro::Exists => "exists",
            Macro::ExistsOne => "exists_one",
            Macro::Filter => "filter",
            Macro::Map => "map",
        }
    }
}

impl Expr {
    /// The direct operands, left to right.
    #[must_use]
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Ident(_) => Vec::new(),
            ExprKind::Select { operand, .. } | ExprKind::Unary { operand, .. } => vec![operand],
            ExprKind::Index { operand, index } => vec![operand, index],
            ExprKind::Call { target, args, .. } => {
                target.as_deref().into_iter().chain(args).collect()
            }
            ExprKind::Binary { left, right, .. } => vec![left, right],
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => vec![condition, then, otherwise],
            ExprKind::List(items) => items.iter().collect(),
            ExprKind::Map(entries) => entries.iter().flat_map(|(k, v)| [k, v]).collect(),
            ExprKind::Struct { fields, .. } => fields.iter().map(|(_, value)| value).collect(),
            ExprKind::Comprehension {
                operand,
                filter,
                body,
                ..
            } => std::iter::once(&**operand)
                .chain(filter.as_deref())
                .chain(std::iter::once(&**body))
                .collect(),
        }
    }

    /// `a.b.c` for a chain of plain selections on a name; `None` for anything else.
    #[must_use]
    pub fn dotted_path(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Ident(name) => Some(name.clone()),
            ExprKind::Select {
                operand,
                field,
                test_only: false,
                ..
            } => Some(format!("{}.{field}", operand.dotted_path()?)),
            _ => None,
        }
    }
}

/// Parses one expression.
pub fn parse(text: &str) -> Result<Expr, Vec<SyntaxError>> {
    // Counting bytes first keeps huge texts from being counted character by character.
    if text.len() > MAX_CHARS * 4 || text.chars().count() > MAX_CHARS {
        return Err(vec![SyntaxError::new(
            SyntaxErrorKind::TooLarge,
            text_range(0, 0),
            format!("the expression is longer than {MAX_CHARS} characters"),
        )]);
    }
    let tokens = lexer::lex(text)?;
    let expr = parser::parse(text, &tokens).map_err(|error| vec![*error])?;
    refused_by_evaluator(text).map_or(Ok(expr), |error| Err(vec![error]))
}

/// The evaluator's parser decides; ours is kept to the same language, so this is a safety net.
fn refused_by_evaluator(text: &str) -> Option<SyntaxError> {
    let errors = cel::Env::stdlib().parser().parse(text).err()?;
    let first = errors.errors.first()?;
    let message = first
        .msg
        .trim_start_matches("Syntax error: ")
        .replace('\'', "`");
    let (line, column) = first.pos;
    let line_start: usize = text
        .split_inclusive('\n')
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(str::len)
        .sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    let rest = &text[line_start..];
    let at = line_start
        + rest
            .char_indices()
            .nth(column)
            .map_or(rest.len(), |(at, _)| at);
    Some(SyntaxError::syntax(
        text_range(at, at + text[at..].chars().next().map_or(0, char::len_utf8)),
        format!("not a CEL expression: {message}"),
    ))
}
