//! Python text to what its callers may use: functions with their signatures, and top-level names.
//!
//! No Python runs and nothing is imported. The parser is error tolerant, so functions before and after a mistake are
//! still found.

use std::collections::BTreeSet;

use ruff_python_ast::{
    Expr, Mod, Parameter as AstParameter, ParameterWithDefault, Parameters, Stmt, StmtFunctionDef,
    token::{Token, TokenKind},
};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use text_size::TextRange;

use crate::{SyntaxError, SyntaxErrorKind, limits, text_range};

mod builtins;
mod dbt;
mod facts;
mod text;
mod uses;

#[cfg(test)]
mod tests;

pub use dbt::{DbtCall, dbt_calls};
pub use facts::{Body, Call, ColumnRead, Execute, Facts, Fate, Import, Params, Use, Value};
pub use text::Constant;
pub use uses::name_uses;

/// Larger files are refused unread.
pub const MAX_BYTES: usize = 8 << 20;

/// What a Python file offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    pub errors: Vec<SyntaxError>,
    /// Functions of the module itself, those under `if` and `try` included, in source order.
    pub functions: Vec<Function>,
    /// Classes of the module itself, with their methods.
    pub classes: Vec<Class>,
    /// Everything the module binds at top level.
    pub names: BTreeSet<String>,
    /// Whether there is a `from … import *`, after which any name may exist.
    pub star_import: bool,
    /// Whether names are made in ways that reading cannot follow: `globals()`, `setattr`, `exec`,
    /// `__getattr__`.
    pub makes_names: bool,
    /// What the bodies say.
    pub facts: Facts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub name: String,
    /// The last names of the base classes; `…` for one that is computed.
    pub bases: Vec<String>,
    pub name_range: TextRange,
    pub methods: Vec<Function>,
    /// Annotated fields: name, annotation, and whether there is a default.
    pub fields: Vec<(String, String, bool)>,
    /// The decorators as they are written, without `@`.
    pub decorators: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub name_range: TextRange,
    /// The whole definition, decorators included.
    pub range: TextRange,
    pub is_async: bool,
    pub params: Vec<Param>,
    /// The return annotation as it is written.
    pub returns: Option<String>,
    pub returns_range: Option<TextRange>,
    /// The decorators as they are written, without `@`.
    pub decorators: Vec<String>,
    pub docstring: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    pub name: String,
    /// The name's range.
    pub range: TextRange,
    pub kind: ParamKind,
    pub has_default: bool,
    /// The annotation as it is written.
    pub annotation: Option<String>,
    /// The name with its annotation and default.
    pub whole: TextRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// Before `/`.
    PositionalOnly,
    /// By position or by name.
    Positional,
    /// After `*`.
    KeywordOnly,
    /// `*args`.
    VarArgs,
    /// `**kwargs`.
    VarKeywords,
}

impl Module {
    /// The function that a caller of `name` gets: the last definition.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().rev().find(|f| f.name == name)
    }

    /// Whether the module may have an attribute `name`.
    #[must_use]
    pub fn may_define(&self, name: &str) -> bool {
        self.star_import || self.makes_names || self.names.contains(name)
    }
}

/// Parses a module.
#[must_use]
pub fn parse(text: &str) -> Module {
    let mut module = Module::default();
    if text.len() > MAX_BYTES {
        module.errors.push(SyntaxError::new(
            SyntaxErrorKind::TooLarge,
            text_range(0, 0),
            format!("the file is larger than {} MiB", MAX_BYTES >> 20),
        ));
        return module;
    }
    if let Some(at) = limits::too_deep(text, limits::PYTHON) {
        module.errors.push(SyntaxError::new(
            SyntaxErrorKind::TooDeep,
            text_range(at, at),
            "the code is nested too deep",
        ));
        return module;
    }
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
    module.errors = parsed
        .errors()
        .iter()
        .map(|error| {
            SyntaxError::syntax(range(error.location), lower_first(&error.error.to_string()))
        })
        .collect();
    names_in_tokens(text, parsed.tokens(), &mut module);
    if let Some(open) = unclosed(parsed.tokens()).filter(|_| !module.errors.is_empty()) {
        // Everything after it is misread.
        module
            .errors
            .retain(|error| error.range.start() < open.start());
        let bracket = text.get(std::ops::Range::<usize>::from(open));
        module.errors.push(SyntaxError::syntax(
            open,
            format!("`{}` is never closed", bracket.unwrap_or_default()),
        ));
    }
    if let Mod::Module(ast) = parsed.syntax() {
        module.facts = facts::read(text, &ast.body);
        let errors = std::mem::take(&mut module.facts.errors);
        // After a mistake in the grammar the rest may be misread.
        if module.errors.is_empty() {
            module.errors = errors;
        }
        Collector {
            text,
            tokens: parsed.tokens(),
            module: &mut module,
        }
        .body(&ast.body);
    }
    module
}

/// The last bracket that is opened and not closed.
fn unclosed(tokens: &[Token]) -> Option<TextRange> {
    let mut open: Vec<TextRange> = Vec::new();
    for token in tokens {
        let (kind, at) = token.as_tuple();
        match kind {
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => open.push(range(at)),
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// What the syntax tree of the top level does not show: `global` in functions, and names made by
/// calls.
fn names_in_tokens(text: &str, tokens: &[Token], module: &mut Module) {
    let mut in_global = false;
    for token in tokens {
        let (kind, at) = token.as_tuple();
        match kind {
            TokenKind::Global => in_global = true,
            TokenKind::Comma => {}
            TokenKind::Name => {
                let name = text
                    .get(std::ops::Range::<usize>::from(range(at)))
                    .unwrap_or_default();
                if in_global {
                    module.names.insert(name.to_owned());
                }
                module.makes_names |= matches!(
                    name,
                    "globals" | "setattr" | "exec" | "__getattr__" | "__dict__"
                );
            }
            _ => in_global = false,
        }
    }
}

/// From the parser's own range type, which is not nameable here.
fn range<R>(range: R) -> TextRange
where
    std::ops::Range<u32>: From<R>,
{
    let range = std::ops::Range::<u32>::from(range);
    text_range(range.start as usize, range.end as usize)
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

struct Collector<'a> {
    text: &'a str,
    tokens: &'a [Token],
    module: &'a mut Module,
}

impl Collector<'_> {
    fn body(&mut self, body: &[Stmt]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::FunctionDef(def) => {
                self.bind(def.name.as_str());
                let function = self.function(def);
                self.module.functions.push(function);
            }
            Stmt::ClassDef(def) => {
                self.bind(def.name.as_str());
                let methods = def
                    .body
                    .iter()
                    .filter_map(|s| match s {
                        Stmt::FunctionDef(method) => Some(self.function(method)),
                        _ => None,
                    })
                    .collect();
                let bases = def
                    .bases()
                    .iter()
                    .map(|base| match base {
                        Expr::Name(name) => name.id.to_string(),
                        Expr::Attribute(attribute) => attribute.attr.to_string(),
                        _ => "…".to_owned(),
                    })
                    .collect();
                let fields = def
                    .body
                    .iter()
                    .filter_map(|s| match s {
                        Stmt::AnnAssign(field) => self.field(field),
                        _ => None,
                    })
                    .collect();
                self.module.classes.push(Class {
                    name: def.name.to_string(),
                    bases,
                    name_range: range(def.name.range),
                    methods,
                    fields,
                    decorators: self.decorators(&def.decorator_list),
                });
            }
            Stmt::TypeAlias(alias) => self.target(&alias.name),
            Stmt::Assign(assign) => assign.targets.iter().for_each(|t| self.target(t)),
            Stmt::AugAssign(assign) => self.target(&assign.target),
            Stmt::AnnAssign(assign) if assign.value.is_some() => self.target(&assign.target),
            Stmt::For(s) => {
                self.target(&s.target);
                self.body(&s.body);
                self.body(&s.orelse);
            }
            Stmt::While(s) => {
                self.body(&s.body);
                self.body(&s.orelse);
            }
            Stmt::If(s) => {
                self.body(&s.body);
                for clause in &s.elif_else_clauses {
                    self.body(&clause.body);
                }
            }
            Stmt::With(s) => {
                for item in &s.items {
                    if let Some(vars) = &item.optional_vars {
                        self.target(vars);
                    }
                }
                self.body(&s.body);
            }
            Stmt::Match(s) => s.cases.iter().for_each(|case| self.body(&case.body)),
            Stmt::Try(s) => {
                self.body(&s.body);
                for handler in &s.handlers {
                    let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
                    self.body(&handler.body);
                }
                self.body(&s.orelse);
                self.body(&s.finalbody);
            }
            Stmt::Import(s) => {
                for alias in &s.names {
                    let bound = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
                    // `import a.b` binds `a`.
                    let first = match alias.asname {
                        Some(_) => bound,
                        None => bound.split('.').next().unwrap_or(bound),
                    };
                    self.bind(first);
                }
            }
            Stmt::ImportFrom(s) => {
                for alias in &s.names {
                    if alias.name.as_str() == "*" {
                        self.module.star_import = true;
                    } else {
                        self.bind(alias.asname.as_ref().unwrap_or(&alias.name).as_str());
                    }
                }
            }
            _ => {}
        }
    }

    fn bind(&mut self, name: &str) {
        if !name.is_empty() {
            self.module.names.insert(name.to_owned());
        }
    }

    fn target(&mut self, target: &Expr) {
        match target {
            Expr::Name(name) => self.bind(name.id.as_str()),
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|t| self.target(t)),
            Expr::List(list) => list.elts.iter().for_each(|t| self.target(t)),
            Expr::Starred(starred) => self.target(&starred.value),
            _ => {}
        }
    }

    fn source(&self, range: TextRange) -> &str {
        self.text
            .get(std::ops::Range::<usize>::from(range))
            .unwrap_or_default()
    }

    /// What stands between `->` and the colon of a definition whose parameter list ends at `params_end`.
    fn returns(&self, params_end: u32) -> Option<TextRange> {
        let first = self.tokens.partition_point(|token| {
            let (_, at) = token.as_tuple();
            u32::from(range(at).start()) < params_end
        });
        let mut kinds = self.tokens[first..].iter().map(|token| {
            let (kind, at) = token.as_tuple();
            (kind, range(at))
        });
        if kinds.next()?.0 != TokenKind::Rarrow {
            return None;
        }
        let mut depth = 0_u32;
        let mut found: Option<TextRange> = None;
        for (kind, range) in kinds {
            match kind {
                TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => depth += 1,
                TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                    depth = depth.saturating_sub(1);
                }
                TokenKind::Colon if depth == 0 => break,
                TokenKind::Newline | TokenKind::EndOfFile => break,
                _ => {}
            }
            found = Some(found.map_or(range, |known| known.cover(range)));
        }
        found
    }

    fn decorators(&self, list: &[ruff_python_ast::Decorator]) -> Vec<String> {
        list.iter()
            .map(|decorator| {
                let source = self.source(range(decorator.range));
                source.trim_start_matches('@').trim().to_owned()
            })
            .collect()
    }

    /// `name: annotation = default` in a class.
    fn field(&self, field: &ruff_python_ast::StmtAnnAssign) -> Option<(String, String, bool)> {
        let Expr::Name(name) = &*field.target else {
            return None;
        };
        let whole = range(field.range);
        let after = TextRange::new(range(name.range).end().min(whole.end()), whole.end());
        let text = self.source(after).trim_start().strip_prefix(':')?;
        // A default may hold another `=`, an annotation does not.
        let annotation = text.split('=').next().unwrap_or(text).trim();
        Some((
            name.id.to_string(),
            annotation.to_owned(),
            field.value.is_some(),
        ))
    }

    fn function(&self, def: &StmtFunctionDef) -> Function {
        let docstring = def.body.first().and_then(|first| match first {
            Stmt::Expr(statement) => match &*statement.value {
                Expr::StringLiteral(string) => Some(string.value.to_str().to_owned()),
                _ => None,
            },
            _ => None,
        });
        let returns = def
            .returns
            .as_ref()
            .and_then(|_| self.returns(range(def.parameters.range).end().into()));
        Function {
            name: def.name.as_str().to_owned(),
            name_range: range(def.name.range),
            range: range(def.range),
            is_async: def.is_async,
            params: self.params(&def.parameters),
            returns: returns.map(|range| self.source(range).to_owned()),
            returns_range: returns,
            decorators: self.decorators(&def.decorator_list),
            docstring,
        }
    }

    fn params(&self, parameters: &Parameters) -> Vec<Param> {
        let many = |list: &[ParameterWithDefault], kind: ParamKind| -> Vec<Param> {
            list.iter()
                .map(|p| self.param(&p.parameter, kind, p.default.is_some()))
                .collect()
        };
        let one = |parameter: &Option<Box<AstParameter>>, kind: ParamKind| {
            parameter.as_deref().map(|p| self.param(p, kind, false))
        };
        let mut params = many(&parameters.posonlyargs, ParamKind::PositionalOnly);
        params.extend(many(&parameters.args, ParamKind::Positional));
        params.extend(one(&parameters.vararg, ParamKind::VarArgs));
        params.extend(many(&parameters.kwonlyargs, ParamKind::KeywordOnly));
        params.extend(one(&parameters.kwarg, ParamKind::VarKeywords));
        params
    }

    fn param(&self, parameter: &AstParameter, kind: ParamKind, has_default: bool) -> Param {
        Param {
            name: parameter.name.as_str().to_owned(),
            range: range(parameter.name.range),
            kind,
            has_default,
            whole: range(parameter.range),
            annotation: parameter.annotation.as_ref().map(|_| {
                let whole = range(parameter.range);
                let name_end = range(parameter.name.range).end();
                let rest = self.source(TextRange::new(name_end.min(whole.end()), whole.end()));
                rest.trim_start().trim_start_matches(':').trim().to_owned()
            }),
        }
    }
}
