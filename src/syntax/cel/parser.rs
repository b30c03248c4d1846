//! Precedence climbing over the tokens. Stops at the first error: a condition is one line.

use text_size::TextRange;

use super::lexer::{Token, TokenKind};
use super::{BinaryOp, Expr, ExprKind, Literal, MAX_DEPTH, Macro, UnaryOp, literal};
use crate::{SyntaxError, SyntaxErrorKind, text_range};

type Parsed<T> = Result<T, Box<SyntaxError>>;

/// Words the language keeps for itself.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

pub(super) fn parse(text: &str, tokens: &[Token<'_>]) -> Parsed<Expr> {
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
    };
    if parser.peek().kind == TokenKind::End {
        return Err(Box::new(parser.peek().error("the expression is empty")));
    }
    let (expr, _) = parser.expr()?;
    let next = parser.peek();
    if next.kind == TokenKind::End {
        return Ok(expr);
    }
    Err(Box::new(parser.unexpected_after_operand(next)))
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token<'t>],
    at: usize,
    depth: u32,
}

/// An expression with the height of its tree.
type Tall = (Expr, u32);

/// Loosest first.
const LEVELS: &[&[(&str, BinaryOp)]] = &[
    &[("||", BinaryOp::Or)],
    &[("&&", BinaryOp::And)],
    &[
        ("==", BinaryOp::Equal),
        ("!=", BinaryOp::NotEqual),
        ("<", BinaryOp::Less),
        ("<=", BinaryOp::LessEqual),
        (">", BinaryOp::Greater),
        (">=", BinaryOp::GreaterEqual),
        ("in", BinaryOp::In),
    ],
    &[("+", BinaryOp::Add), ("-", BinaryOp::Subtract)],
    &[
        ("*", BinaryOp::Multiply),
        ("/", BinaryOp::Divide),
        ("%", BinaryOp::Modulo),
    ],
];

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.peek().is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expr(&mut self) -> Parsed<Tall> {
        self.depth += 1;
        if self.depth > MAX_DEPTH - 10 {
            return Err(Box::new(too_deep(self.peek())));
        }
        let (condition, height) = self.binary(0)?;
        let result = if self.eat("?") {
            let (then, then_height) = self.binary(0)?;
            if !self.eat(":") {
                let next = self.peek();
                return Err(Box::new(
                    next.error("expected `:` and the value for the other case")
                        .with_help("write `condition ? value : other`"),
                ));
            }
            let (otherwise, otherwise_height) = self.expr()?;
            let range = condition.range.cover(otherwise.range);
            let kind = ExprKind::Ternary {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            };
            self.node(kind, range, height.max(then_height).max(otherwise_height))?
        } else {
            (condition, height)
        };
        self.depth -= 1;
        Ok(result)
    }

    fn node(&self, kind: ExprKind, range: TextRange, height: u32) -> Parsed<Tall> {
        if height >= MAX_DEPTH {
            return Err(Box::new(SyntaxError::new(
                SyntaxErrorKind::TooDeep,
                range,
                format!("the expression is nested more than {MAX_DEPTH} levels deep"),
            )));
        }
        Ok((Expr { range, kind }, height + 1))
    }

    fn binary(&mut self, level: usize) -> Parsed<Tall> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let (mut left, mut height) = self.binary(level + 1)?;
        loop {
            let token = self.peek();
            let is_word = token.kind == TokenKind::Ident && token.text == "in";
            let found = operators.iter().find(|(symbol, _)| {
                token.text == *symbol && (is_word || token.kind == TokenKind::Symbol)
            });
            let Some((_, op)) = found else {
                return Ok((left, height));
            };
            self.next();
            let (right, right_height) = self.binary(level + 1)?;
            let range = left.range.cover(right.range);
            let kind = ExprKind::Binary {
                op: *op,
                op_range: text_range(token.start, token.end()),
                left: Box::new(left),
                right: Box::new(right),
            };
            (left, height) = self.node(kind, range, height.max(right_height))?;
        }
    }

    fn unary(&mut self) -> Parsed<Tall> {
        let first = self.peek();
        let (symbol, op) = if first.is("!") {
            ("!", UnaryOp::Not)
        } else if first.is("-") {
            ("-", UnaryOp::Negate)
        } else {
            return self.member();
        };
        let mut signs = Vec::new();
        while self.peek().is(symbol) {
            signs.push(self.next());
        }
        // A sign right before a number belongs to it: the smallest integer has no positive counterpart.
        let number = matches!(self.peek().kind, TokenKind::Int | TokenKind::Double);
        let (mut operand, mut height) = if op == UnaryOp::Negate && number && signs.len() == 1 {
            signs.pop();
            let token = self.next();
            let value = literal::value(&token, true)?;
            let range = text_range(first.start, token.end());
            self.member_after((
                Expr {
                    range,
                    kind: ExprKind::Literal(value),
                },
                1,
            ))?
        } else if op == UnaryOp::Not && self.at_negative_number() {
            self.unary()?
        } else {
            self.member()?
        };
        for sign in signs.into_iter().rev() {
            let range = text_range(sign.start, operand.range.end().into());
            let kind = ExprKind::Unary {
                op,
                operand: Box::new(operand),
            };
            (operand, height) = self.node(kind, range, height)?;
        }
        Ok((operand, height))
    }

    fn member(&mut self) -> Parsed<Tall> {
        let primary = self.primary()?;
        self.member_after(primary)
    }

    fn member_after(&mut self, (mut operand, mut height): Tall) -> Parsed<Tall> {
        loop {
            // A parenthesised operand starts at its own first token; the whole starts there too.
            let start = operand.range.start().into();
            if self.eat("[") {
                let (index, index_height) = self.expr()?;
                let end = self.close("]", "the index")?;
                let kind = ExprKind::Index {
                    operand: Box::new(operand),
                    index: Box::new(index),
                };
                (operand, height) =
                    self.node(kind, text_range(start, end), height.max(index_height))?;
            } else if self.eat(".") {
                let name = self.next();
                if name.kind != TokenKind::Ident || is_keyword(name.text) {
                    return Err(Box::new(name.error("expected a field name after `.`")));
                }
                let name_range = text_range(name.start, name.end());
                if self.eat("(") {
                    let (args, args_height, end) = self.arguments()?;
                    let range = text_range(start, end);
                    let kind = method(operand, name, name_range, args)?;
                    (operand, height) = self.node(kind, range, height.max(args_height))?;
                } else {
                    let kind = ExprKind::Select {
                        operand: Box::new(operand),
                        field: name.text.to_owned(),
                        field_range: name_range,
                        test_only: false,
                    };
                    (operand, height) = self.node(kind, text_range(start, name.end()), height)?;
                }
            } else {
                return Ok((operand, height));
            }
        }
    }

    fn primary(&mut self) -> Parsed<Tall> {
        let token = self.next();
        match token.kind {
            TokenKind::Int
            | TokenKind::UInt
            | TokenKind::Double
            | TokenKind::String
            | TokenKind::Bytes => {
                let value = literal::value(&token, false)?;
                Ok(leaf(&token, ExprKind::Literal(value)))
            }
            TokenKind::Ident => self.name(token, token.start),
            TokenKind::Symbol => match token.text {
                "(" => {
                    let inner = self.expr()?;
                    self.close(")", "the parenthesis")?;
                    Ok(inner)
                }
                "[" => self.list(token),
                "{" => self.map(token),
                "." if self.peek().kind == TokenKind::Ident => {
                    let name = self.next();
                    self.name(name, token.start)
                }
                text => Err(Box::new(
                    token.error(format!("expected a value before `{text}`")),
                )),
            },
            TokenKind::End => {
                let range = self.last_token_range();
                Err(Box::new(SyntaxError::syntax(
                    range,
                    "the expression ends where a value is expected",
                )))
            }
        }
    }

    fn last_token_range(&self) -> TextRange {
        let end = self.tokens.len().saturating_sub(2);
        let token = self.tokens[end];
        text_range(token.start, token.end())
    }

    /// A name, a call or a message; `start` lies before the name when a dot does.
    fn name(&mut self, token: Token<'t>, start: usize) -> Parsed<Tall> {
        let dotted = start != token.start;
        let keyword = match token.text {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            _ => None,
        };
        if let (Some(value), false) = (keyword, dotted) {
            return Ok(leaf(&token, ExprKind::Literal(value)));
        }
        if is_keyword(token.text) {
            return Err(Box::new(
                token.error(format!("expected a value before `{}`", token.text)),
            ));
        }
        let name = if dotted {
            format!(".{}", token.text)
        } else {
            token.text.to_owned()
        };
        if let Some(error) = reserved(&token) {
            // The evaluator's grammar lets a message be called anything.
            return match self.message(&name, start)? {
                Some(message) => Ok(message),
                None => Err(Box::new(error)),
            };
        }
        if self.eat("(") {
            let (mut args, height, end) = self.arguments()?;
            let range = text_range(start, end);
            if name == "has" && args.len() == 1 {
                let arg = args.remove(0);
                return Ok((presence(arg, range)?, height));
            }
            let kind = ExprKind::Call {
                function: name,
                function_range: text_range(start, token.end()),
                target: None,
                args,
            };
            return self.node(kind, range, height);
        }
        if let Some(message) = self.message(&name, start)? {
            return Ok(message);
        }
        Ok((
            Expr {
                range: text_range(start, token.end()),
                kind: ExprKind::Ident(name),
            },
            1,
        ))
    }

    /// `a.b.C{…}`, when that is what follows the first name.
    fn message(&mut self, first: &str, start: usize) -> Parsed<Option<Tall>> {
        let mut at = self.at;
        let mut name = first.to_owned();
        while self.tokens[at].is(".") && self.tokens[at + 1].kind == TokenKind::Ident {
            name = format!("{name}.{}", self.tokens[at + 1].text);
            at += 2;
        }
        if !self.tokens[at].is("{") {
            return Ok(None);
        }
        self.at = at + 1;
        let mut fields = Vec::new();
        let mut height = 0;
        while !self.peek().is("}") {
            let field = self.next();
            if field.kind != TokenKind::Ident || !self.eat(":") {
                return Err(Box::new(field.error("expected `field: value`")));
            }
            let (value, value_height) = self.expr()?;
            height = height.max(value_height);
            fields.push((field.text.to_owned(), value));
            if !self.eat(",") {
                break;
            }
        }
        let end = self.close("}", "the message")?;
        self.node(
            ExprKind::Struct { name, fields },
            text_range(start, end),
            height,
        )
        .map(Some)
    }

    fn list(&mut self, open: Token<'t>) -> Parsed<Tall> {
        self.lone_comma("]");
        let mut items = Vec::new();
        let mut height = 0;
        while !self.peek().is("]") {
            let (item, item_height) = self.expr()?;
            items.push(item);
            height = height.max(item_height);
            if !self.eat(",") {
                break;
            }
        }
        let end = self.close("]", "the list")?;
        self.node(ExprKind::List(items), text_range(open.start, end), height)
    }

    fn map(&mut self, open: Token<'t>) -> Parsed<Tall> {
        self.lone_comma("}");
        let mut entries = Vec::new();
        let mut height = 0;
        while !self.peek().is("}") {
            let (key, key_height) = self.expr()?;
            if !self.eat(":") {
                return Err(Box::new(
                    self.peek().error("expected `:` and a value after the key"),
                ));
            }
            let (value, value_height) = self.expr()?;
            entries.push((key, value));
            height = height.max(key_height).max(value_height);
            if !self.eat(",") {
                break;
            }
        }
        let end = self.close("}", "the map")?;
        self.node(ExprKind::Map(entries), text_range(open.start, end), height)
    }

    /// The arguments after `(`, their height and the end of the `)`.
    /// `-1`: the sign is part of the number, so it may follow where no operator may.
    fn at_negative_number(&self) -> bool {
        self.peek().is("-")
            && self
                .tokens
                .get(self.at + 1)
                .is_some_and(|t| matches!(t.kind, TokenKind::Int | TokenKind::Double))
    }

    /// The grammar lets a comma close an empty list or mapping.
    fn lone_comma(&mut self, close: &str) {
        if self.peek().is(",") && self.tokens.get(self.at + 1).is_some_and(|t| t.is(close)) {
            self.next();
        }
    }

    fn arguments(&mut self) -> Parsed<(Vec<Expr>, u32, usize)> {
        let mut args = Vec::new();
        let mut height = 0;
        if !self.peek().is(")") {
            loop {
                let (arg, arg_height) = self.expr()?;
                args.push(arg);
                height = height.max(arg_height);
                if !self.eat(",") {
                    break;
                }
            }
        }
        let end = self.close(")", "the argument list")?;
        Ok((args, height, end))
    }

    /// Eats the closing symbol and returns its end.
    fn close(&mut self, symbol: &str, what: &str) -> Parsed<usize> {
        let next = self.peek();
        if self.eat(symbol) {
            return Ok(next.end());
        }
        Err(Box::new(if next.kind == TokenKind::End {
            SyntaxError::syntax(
                self.last_token_range(),
                format!("{what} is not closed: expected `{symbol}`"),
            )
        } else {
            self.unexpected_after_operand(next)
        }))
    }

    fn unexpected_after_operand(&self, token: Token<'_>) -> SyntaxError {
        let error = match token.kind {
            TokenKind::Symbol => token.error(format!("unexpected `{}`", token.text)),
            TokenKind::End => token.error("the expression ends too early"),
            _ => token.error(format!("expected an operator before `{}`", token.text)),
        };
        let before = self.text[..token.start].trim_end();
        match token.text.to_ascii_lowercase().as_str() {
            "and" => error.with_help("write `&&`"),
            "or" => error.with_help("write `||`"),
            "not" | "is" | "like" | "matches" => {
                error.with_help("CEL has `!`, `==`, `in`, `.contains()` and `.matches()`")
            }
            ")" | "]" | "}" => error.with_help(format!("`{}` closes nothing", token.text)),
            _ if before.ends_with(" not") || before == "not" => error.with_help("write `!`"),
            _ => error,
        }
    }
}

fn leaf(token: &Token<'_>, kind: ExprKind) -> Tall {
    let range = text_range(token.start, token.end());
    (Expr { range, kind }, 1)
}

fn is_keyword(name: &str) -> bool {
    matches!(name, "in" | "true" | "false" | "null")
}

fn reserved(token: &Token<'_>) -> Option<SyntaxError> {
    RESERVED
        .contains(&token.text)
        .then(|| token.error(format!("`{}` is a reserved word of CEL", token.text)))
}

fn too_deep(token: Token<'_>) -> SyntaxError {
    SyntaxError::new(
        SyntaxErrorKind::TooDeep,
        text_range(token.start, token.end()),
        format!("the expression is nested more than {MAX_DEPTH} levels deep"),
    )
}

/// `has(a.b)`.
fn presence(arg: Expr, range: TextRange) -> Parsed<Expr> {
    match arg.kind {
        ExprKind::Select {
            operand,
            field,
            field_range,
            test_only: false,
        } => Ok(Expr {
            range,
            kind: ExprKind::Select {
                operand,
                field,
                field_range,
                test_only: true,
            },
        }),
        _ => Err(Box::new(
            SyntaxError::syntax(arg.range, "`has()` takes a field, as in `has(user.email)`")
                .with_help("compare with `null`, or use `in`, for anything else"),
        )),
    }
}

/// A method call, or the macro of that name with that many arguments.
fn method(
    target: Expr,
    name: Token<'_>,
    name_range: TextRange,
    mut args: Vec<Expr>,
) -> Parsed<ExprKind> {
    let macro_ = match (name.text, args.len()) {
        ("all", 2) => Some(Macro::All),
        ("exists", 2) => Some(Macro::Exists),
        ("exists_one" | "existsOne", 2) => Some(Macro::ExistsOne),
        ("filter", 2) => Some(Macro::Filter),
        ("map", 2 | 3) => Some(Macro::Map),
        _ => None,
    };
    let Some(macro_) = macro_ else {
        return Ok(ExprKind::Call {
            function: name.text.to_owned(),
            function_range: name_range,
            target: Some(Box::new(target)),
            args,
        });
    };
    let variable = args.remove(0);
    let ExprKind::Ident(variable_name) = variable.kind else {
        return Err(Box::new(
            SyntaxError::syntax(
                variable.range,
                format!("the first argument of `{}` names its variable", name.text),
            )
            .with_help(format!("write `.{}(item, …)`", name.text)),
        ));
    };
    let body = args.remove(args.len() - 1);
    Ok(ExprKind::Comprehension {
        macro_,
        macro_range: name_range,
        operand: Box::new(target),
        variable: variable_name,
        variable_range: variable.range,
        filter: args.pop().map(Box::new),
        body: Box::new(body),
    })
}
