//! What the bodies of a module say: imports, calls of the database, awaits, returned values, names that nothing binds.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, ExprContext, Number, Parameter, Pattern, Stmt, TypeParam};
use text_size::TextRange;

use super::text::{Constant, constant};
use super::{builtins, range};
use crate::{SyntaxError, text_range};

/// Facts in source order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub imports: Vec<Import>,
    pub executes: Vec<Execute>,
    /// Reads of a column by name in a row of a call in `executes`.
    pub columns: Vec<ColumnRead>,
    /// `name.attribute` of names that an import binds, under the name the import gives it.
    pub attributes: Vec<Use>,
    pub awaits: Vec<Use>,
    /// Calls of plain names and of imported ones.
    pub calls: Vec<Call>,
    /// Names that are read and bound nowhere in the file, once per place.
    pub undefined: Vec<Use>,
    /// Every name that something in the file binds.
    pub bound: BTreeSet<String>,
    /// Names that are bound more than once, or by something else than a definition.
    pub rebound: BTreeSet<String>,
    /// Of the functions at top level, by the start of their name.
    pub bodies: BTreeMap<u32, Body>,
    pub(super) errors: Vec<SyntaxError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `a.b` of `import a.b` and `from a.b import c`; with leading dots when relative.
    pub module: String,
    /// The imported name, of `from … import`.
    pub name: Option<String>,
    /// The place of the name, or of the module in `import a.b`.
    pub range: TextRange,
    /// The place of the module.
    pub module_range: TextRange,
    /// Whether a failure is caught, or it never runs.
    pub guarded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    pub sql: Constant,
    pub params: Params,
    /// The place of the arguments.
    pub range: TextRange,
    /// Whether an exception of it is caught.
    pub guarded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Params {
    None,
    Named(Vec<(String, TextRange)>),
    Positional(usize),
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRead {
    /// Index of the call.
    pub execute: usize,
    pub name: String,
    pub range: TextRange,
}

/// A name, dotted, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    pub range: TextRange,
    pub guarded: bool,
    pub in_async: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub range: TextRange,
    pub positional: usize,
    pub keywords: Vec<String>,
    pub has_splat: bool,
    /// What becomes of the result.
    pub fate: Fate,
    pub in_async: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The call is a statement.
    Dropped,
    /// Its items, attributes or elements are used at once.
    Opened,
    Other,
}

/// What a function does with its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub is_generator: bool,
    pub returns: Vec<(Value, TextRange)>,
    /// Whether it can end without `return`; unknown counts as no.
    pub falls_through: bool,
}

/// What an expression gives, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Unknown,
    None,
    Text,
    Integer,
    Float,
    Bool,
    /// With the number of items when that is written.
    List(Option<usize>),
    /// The fields that are written; `closed` when there are no others.
    Object {
        fields: Vec<(String, Value)>,
        closed: bool,
    },
}

#[derive(Clone, Copy)]
enum Bound<'a> {
    Assign(&'a Expr),
    For(&'a Expr),
    Other,
}

type Bindings<'a> = BTreeMap<(u32, &'a str), (usize, Bound<'a>)>;

pub(super) fn read(source: &str, body: &[Stmt]) -> Facts {
    let mut binder = Binder::default();
    binder.visit_body(body);
    let mut walk = Walk {
        source,
        bindings: binder.bindings,
        imported: BTreeMap::new(),
        all: binder.all,
        stored: binder.stored,
        facts: Facts::default(),
        scopes: vec![Scope {
            id: 0,
            is_async: false,
            is_function: false,
        }],
        guards: 0,
        name_guards: 0,
        loops: 0,
        fate: Fate::Other,
        depth: 0,
    };
    for (name, origin, count) in binder.imports {
        if walk.all.get(name.as_str()).copied() == Some(count) {
            // The same import in several functions is one origin.
            walk.imported.entry(name).or_insert(origin);
        }
    }
    walk.facts.bound = walk.all.keys().map(|name| (*name).to_owned()).collect();
    walk.facts.rebound = walk
        .all
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    walk.visit_body(body);
    walk.facts
}

/// First walk: what binds which name where.
#[derive(Default)]
struct Binder<'a> {
    bindings: Bindings<'a>,
    /// How often each name is bound in the whole file.
    all: BTreeMap<&'a str, usize>,
    imports: Vec<(String, String, usize)>,
    /// Keys that are stored: `row["key"] = …`, and whether rows change in other ways.
    stored: BTreeSet<&'a str>,
    scope: u32,
    scopes: u32,
}

impl<'a> Binder<'a> {
    fn bind(&mut self, name: &'a str, how: Bound<'a>) {
        *self.all.entry(name).or_default() += 1;
        let entry = self.bindings.entry((self.scope, name)).or_insert((0, how));
        entry.0 += 1;
    }

    fn target(&mut self, target: &'a Expr, how: Bound<'a>) {
        if let Expr::Name(name) = target {
            self.bind(name.id.as_str(), how);
        } else {
            self.visit_expr(target);
        }
    }

    fn import(&mut self, bound: &'a str, origin: String) {
        self.bind(bound, Bound::Other);
        match self
            .imports
            .iter_mut()
            .find(|(name, known, _)| name == bound && *known == origin)
        {
            Some(found) => found.2 += 1,
            None => self.imports.push((bound.to_owned(), origin, 1)),
        }
    }
}

impl<'a> Visitor<'a> for Binder<'a> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(def) => {
                self.bind(def.name.as_str(), Bound::Other);
                let outer = self.scope;
                self.scopes += 1;
                self.scope = self.scopes;
                visitor::walk_stmt(self, statement);
                self.scope = outer;
            }
            Stmt::ClassDef(def) => {
                self.bind(def.name.as_str(), Bound::Other);
                visitor::walk_stmt(self, statement);
            }
            Stmt::Assign(assign) => {
                self.visit_expr(&assign.value);
                for target in &assign.targets {
                    self.target(target, Bound::Assign(&assign.value));
                }
            }
            Stmt::AnnAssign(assign) => match &assign.value {
                Some(value) => {
                    self.visit_expr(value);
                    self.target(&assign.target, Bound::Assign(value));
                }
                None => self.target(&assign.target, Bound::Other),
            },
            Stmt::For(s) => {
                self.visit_expr(&s.iter);
                self.target(&s.target, Bound::For(&s.iter));
                self.visit_body(&s.body);
                self.visit_body(&s.orelse);
            }
            Stmt::Import(s) => {
                for alias in &s.names {
                    match &alias.asname {
                        Some(name) => self.import(name.as_str(), alias.name.to_string()),
                        None => {
                            let first = alias.name.as_str().split('.').next().unwrap_or_default();
                            self.import(first, first.to_owned());
                        }
                    }
                }
            }
            Stmt::ImportFrom(s) => {
                let module = s.module.as_ref().map_or("", |m| m.as_str());
                for alias in s.names.iter().filter(|a| a.name.as_str() != "*") {
                    let bound = alias.asname.as_ref().unwrap_or(&alias.name);
                    let dots = ".".repeat(s.level as usize);
                    self.import(bound.as_str(), format!("{dots}{module}.{}", alias.name));
                }
            }
            Stmt::Global(s) => s
                .names
                .iter()
                .for_each(|n| self.bind(n.as_str(), Bound::Other)),
            Stmt::Nonlocal(s) => s
                .names
                .iter()
                .for_each(|n| self.bind(n.as_str(), Bound::Other)),
            _ => visitor::walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if !matches!(name.ctx, ExprContext::Load) => {
                self.bind(name.id.as_str(), Bound::Other);
            }
            Expr::Subscript(e) if !matches!(e.ctx, ExprContext::Load) => {
                if let Expr::StringLiteral(key) = &*e.slice {
                    self.stored.insert(key.value.to_str());
                }
            }
            Expr::Call(call) => {
                if let Expr::Attribute(method) = &*call.func
                    && matches!(method.attr.as_str(), "update" | "setdefault")
                {
                    self.stored.insert("*");
                }
            }
            _ => {}
        }
        visitor::walk_expr(self, expr);
    }

    fn visit_comprehension(&mut self, comprehension: &'a ruff_python_ast::Comprehension) {
        self.visit_expr(&comprehension.iter);
        self.target(&comprehension.target, Bound::For(&comprehension.iter));
        comprehension.ifs.iter().for_each(|e| self.visit_expr(e));
    }

    fn visit_parameter(&mut self, parameter: &'a Parameter) {
        self.bind(parameter.name.as_str(), Bound::Other);
    }

    fn visit_except_handler(&mut self, handler: &'a ruff_python_ast::ExceptHandler) {
        let ruff_python_ast::ExceptHandler::ExceptHandler(h) = handler;
        if let Some(name) = &h.name {
            self.bind(name.as_str(), Bound::Other);
        }
        visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(p) => p.name.as_ref(),
            Pattern::MatchStar(p) => p.name.as_ref(),
            Pattern::MatchMapping(p) => p.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.bind(name.as_str(), Bound::Other);
        }
        visitor::walk_pattern(self, pattern);
    }

    fn visit_type_param(&mut self, param: &'a TypeParam) {
        let name = match param {
            TypeParam::TypeVar(p) => &p.name,
            TypeParam::ParamSpec(p) => &p.name,
            TypeParam::TypeVarTuple(p) => &p.name,
        };
        self.bind(name.as_str(), Bound::Other);
    }
}

#[derive(Clone, Copy)]
struct Scope {
    id: u32,
    is_async: bool,
    is_function: bool,
}

/// Second walk: what is done with the names.
struct Walk<'a> {
    source: &'a str,
    bindings: Bindings<'a>,
    all: BTreeMap<&'a str, usize>,
    stored: BTreeSet<&'a str>,
    /// Names that only imports bind, and what they stand for.
    imported: BTreeMap<String, String>,
    facts: Facts,
    scopes: Vec<Scope>,
    guards: u32,
    name_guards: u32,
    loops: u32,
    fate: Fate,
    depth: u32,
}

impl<'a> Walk<'a> {
    fn scope(&self) -> Scope {
        self.scopes.last().copied().unwrap_or(Scope {
            id: 0,
            is_async: false,
            is_function: false,
        })
    }

    /// What an expression of names and attributes stands for.
    fn dotted(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Name(name) => Some(match self.imported.get(name.id.as_str()) {
                Some(origin) => origin.clone(),
                None => name.id.to_string(),
            }),
            Expr::Attribute(e) => Some(format!("{}.{}", self.dotted(&e.value)?, e.attr)),
            _ => None,
        }
    }

    fn is_imported(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Name(name) => self.imported.contains_key(name.id.as_str()),
            Expr::Attribute(e) => self.is_imported(&e.value),
            _ => false,
        }
    }

    /// What binds a name when only one thing in reach does.
    fn bound(&self, name: &str) -> Option<Bound<'a>> {
        let (count, how) = self
            .bindings
            .get(&(self.scope().id, name))
            .or_else(|| self.bindings.get(&(0, name)))?;
        (*count == 1).then_some(*how)
    }

    fn constant(&self, expr: &'a Expr) -> Option<Constant> {
        if let Expr::Name(name) = expr {
            let (Some(Bound::Assign(value)), Some(1)) =
                (self.bound(name.id.as_str()), self.all.get(name.id.as_str()))
            else {
                return None;
            };
            return constant(self.source, value);
        }
        constant(self.source, expr)
    }

    fn misplaced(&mut self, what: &str, at: TextRange) {
        let message = if self.scope().is_function {
            format!("`{what}` outside an async function")
        } else {
            format!("`{what}` outside a function")
        };
        let error = SyntaxError::syntax(at, message);
        self.facts.errors.push(if self.scope().is_function {
            error.with_help("write `async def`, or leave it out")
        } else {
            error
        });
    }

    fn call(&mut self, call: &'a ruff_python_ast::ExprCall) {
        let Some(name) = self.dotted(&call.func) else {
            return;
        };
        let arguments = &call.arguments;
        let at = range(arguments.range);
        let has_splat = arguments.args.iter().any(Expr::is_starred_expr)
            || arguments.keywords.iter().any(|k| k.arg.is_none());
        let fate = std::mem::replace(&mut self.fate, Fate::Other);
        if matches!(&*call.func, Expr::Name(_)) || self.is_imported(&call.func) {
            let found = Call {
                range: text_range(
                    u32::from(head(&call.func).unwrap_or(at).start()) as usize,
                    usize::from(at.end()),
                ),
                positional: arguments.args.len(),
                keywords: arguments
                    .keywords
                    .iter()
                    .filter_map(|k| k.arg.as_ref().map(ToString::to_string))
                    .collect(),
                has_splat,
                fate,
                in_async: self.scope().is_async,
                name: name.clone(),
            };
            self.facts.calls.push(found);
        }
        if name != "mxcp.runtime.db.execute" || has_splat {
            return;
        }
        let keyword = |wanted: &str| {
            arguments
                .keywords
                .iter()
                .find(|k| k.arg.as_ref().is_some_and(|a| a.as_str() == wanted))
                .map(|k| &k.value)
        };
        let Some(sql) = arguments.args.first().or_else(|| keyword("query")) else {
            return;
        };
        let Some(sql) = self.constant(sql) else {
            return;
        };
        let params = match arguments.args.get(1).or_else(|| keyword("params")) {
            None | Some(Expr::NoneLiteral(_)) => Params::None,
            Some(Expr::Dict(dict)) => {
                let keys: Option<Vec<(String, TextRange)>> = dict
                    .items
                    .iter()
                    .map(|item| match &item.key {
                        Some(Expr::StringLiteral(key)) => {
                            Some((key.value.to_str().to_owned(), range(key.range)))
                        }
                        _ => None,
                    })
                    .collect();
                keys.map_or(Params::Unknown, Params::Named)
            }
            Some(Expr::List(list)) if !list.elts.iter().any(Expr::is_starred_expr) => {
                Params::Positional(list.elts.len())
            }
            Some(Expr::Tuple(list)) if !list.elts.iter().any(Expr::is_starred_expr) => {
                Params::Positional(list.elts.len())
            }
            Some(_) => Params::Unknown,
        };
        self.facts.executes.push(Execute {
            sql,
            params,
            range: at,
            guarded: self.guards > 0,
        });
    }

    /// The call whose rows an expression is.
    fn rows_of(&self, expr: &'a Expr, depth: u32) -> Option<usize> {
        if depth > 8 {
            return None;
        }
        match expr {
            Expr::Call(call) => {
                let at = range(call.arguments.range);
                self.facts.executes.iter().position(|e| e.range == at)
            }
            Expr::Name(name) => match self.bound(name.id.as_str())? {
                Bound::Assign(value) => self.rows_of(value, depth + 1),
                _ => None,
            },
            _ => None,
        }
    }

    /// The call whose row an expression is.
    fn row_of(&self, expr: &'a Expr, depth: u32) -> Option<usize> {
        if depth > 8 {
            return None;
        }
        match expr {
            Expr::Subscript(e) => match &*e.slice {
                Expr::NumberLiteral(_) | Expr::UnaryOp(_) => self.rows_of(&e.value, depth + 1),
                _ => None,
            },
            Expr::If(e) => self.row_of(&e.body, depth + 1),
            Expr::Name(name) => match self.bound(name.id.as_str())? {
                Bound::Assign(value) => self.row_of(value, depth + 1),
                Bound::For(list) => self.rows_of(list, depth + 1),
                Bound::Other => None,
            },
            _ => None,
        }
    }

    fn value(&self, expr: &'a Expr, depth: u32) -> Value {
        if depth > 8 {
            return Value::Unknown;
        }
        match expr {
            Expr::NoneLiteral(_) => Value::None,
            Expr::StringLiteral(_) | Expr::FString(_) => Value::Text,
            Expr::BooleanLiteral(_) => Value::Bool,
            Expr::NumberLiteral(number) => match number.value {
                Number::Int(_) => Value::Integer,
                Number::Float(_) => Value::Float,
                Number::Complex { .. } => Value::Unknown,
            },
            // Nothing else can be added to a text, and what `%` makes of one is a text.
            Expr::BinOp(e) => match (e.op, self.value(&e.left, depth + 1)) {
                (ruff_python_ast::Operator::Add | ruff_python_ast::Operator::Mod, Value::Text) => {
                    Value::Text
                }
                _ => Value::Unknown,
            },
            Expr::List(e) => {
                Value::List((!e.elts.iter().any(Expr::is_starred_expr)).then_some(e.elts.len()))
            }
            Expr::Tuple(e) => {
                Value::List((!e.elts.iter().any(Expr::is_starred_expr)).then_some(e.elts.len()))
            }
            Expr::ListComp(_) => Value::List(None),
            Expr::DictComp(_) => Value::Object {
                fields: Vec::new(),
                closed: false,
            },
            Expr::Dict(dict) => {
                let mut closed = true;
                let mut fields = Vec::new();
                for item in &dict.items {
                    match &item.key {
                        Some(Expr::StringLiteral(key)) => {
                            let value = self.value(&item.value, depth + 1);
                            fields.push((key.value.to_str().to_owned(), value));
                        }
                        _ => closed = false,
                    }
                }
                Value::Object { fields, closed }
            }
            Expr::Name(name) => match self.bindings.get(&(self.scope().id, name.id.as_str())) {
                Some((1, Bound::Assign(value))) => match self.value(value, depth + 1) {
                    // It may have grown since.
                    Value::List(_) => Value::List(None),
                    Value::Object { .. } => Value::Object {
                        fields: Vec::new(),
                        closed: false,
                    },
                    other => other,
                },
                _ => Value::Unknown,
            },
            Expr::Call(call) => match &*call.func {
                Expr::Name(name) if !self.all.contains_key(name.id.as_str()) => {
                    match name.id.as_str() {
                        "str" => Value::Text,
                        "int" | "len" => Value::Integer,
                        "float" => Value::Float,
                        "bool" => Value::Bool,
                        "list" | "sorted" => Value::List(None),
                        "dict" => Value::Object {
                            fields: Vec::new(),
                            closed: false,
                        },
                        _ => Value::Unknown,
                    }
                }
                _ => Value::Unknown,
            },
            _ => Value::Unknown,
        }
    }

    fn body(&self, body: &'a [Stmt]) -> Body {
        let mut found = Returns::default();
        found.visit_body(body);
        let falls_through = match body.last() {
            Some(Stmt::Return(_) | Stmt::Raise(_) | Stmt::While(_) | Stmt::With(_)) | None => false,
            // Something like a stub.
            Some(Stmt::Pass(_)) => false,
            Some(Stmt::Expr(e)) => {
                !matches!(&*e.value, Expr::EllipsisLiteral(_) | Expr::StringLiteral(_))
            }
            Some(_) => true,
        };
        Body {
            is_generator: found.yields,
            returns: found
                .returns
                .into_iter()
                .map(|(expr, at)| (expr.map_or(Value::None, |e| self.value(e, 0)), at))
                .collect(),
            falls_through,
        }
    }
}

/// The start of a call's name.
fn head(expr: &Expr) -> Option<TextRange> {
    match expr {
        Expr::Name(name) => Some(range(name.range)),
        Expr::Attribute(e) => head(&e.value),
        _ => None,
    }
}

#[derive(Default)]
struct Returns<'a> {
    yields: bool,
    returns: Vec<(Option<&'a Expr>, TextRange)>,
}

impl<'a> Visitor<'a> for Returns<'a> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
            Stmt::Return(s) => {
                self.returns.push((s.value.as_deref(), range(s.range)));
                visitor::walk_stmt(self, statement);
            }
            _ => visitor::walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Lambda(_) => {}
            Expr::Yield(_) | Expr::YieldFrom(_) => self.yields = true,
            _ => visitor::walk_expr(self, expr),
        }
    }
}

fn type_checking(test: &Expr) -> bool {
    match test {
        Expr::Name(name) => name.id.as_str() == "TYPE_CHECKING",
        Expr::Attribute(e) => e.attr.as_str() == "TYPE_CHECKING",
        _ => false,
    }
}

impl<'a> Visitor<'a> for Walk<'a> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(def) => {
                def.decorator_list
                    .iter()
                    .for_each(|d| self.visit_decorator(d));
                self.visit_parameters(&def.parameters);
                // The ids count definitions in the order of the first walk.
                self.depth += 1;
                let id = self.depth;
                self.scopes.push(Scope {
                    id,
                    is_async: def.is_async,
                    is_function: true,
                });
                let (guards, loops) = (
                    std::mem::take(&mut self.guards),
                    std::mem::take(&mut self.loops),
                );
                self.visit_body(&def.body);
                if self.scopes.iter().filter(|s| s.is_function).count() == 1 {
                    let body = self.body(&def.body);
                    self.facts
                        .bodies
                        .insert(range(def.name.range).start().into(), body);
                }
                self.guards = guards;
                self.loops = loops;
                self.scopes.pop();
            }
            Stmt::ClassDef(_) => {
                let outer = self.scope();
                self.scopes.push(Scope {
                    is_async: false,
                    is_function: false,
                    ..outer
                });
                visitor::walk_stmt(self, statement);
                self.scopes.pop();
            }
            Stmt::Try(s) => {
                let caught = u32::from(!s.handlers.is_empty());
                let names = u32::from(s.handlers.iter().any(|h| {
                    let ruff_python_ast::ExceptHandler::ExceptHandler(h) = h;
                    h.type_.as_deref().is_some_and(mentions_name_error)
                }));
                self.guards += caught;
                self.name_guards += names;
                self.visit_body(&s.body);
                self.guards -= caught;
                self.name_guards -= names;
                s.handlers.iter().for_each(|h| self.visit_except_handler(h));
                self.visit_body(&s.orelse);
                self.visit_body(&s.finalbody);
            }
            Stmt::If(s) if type_checking(&s.test) => {
                self.guards += 1;
                self.visit_body(&s.body);
                self.guards -= 1;
                s.elif_else_clauses
                    .iter()
                    .for_each(|c| self.visit_elif_else_clause(c));
            }
            Stmt::Expr(s) => {
                self.fate = Fate::Dropped;
                self.visit_expr(&s.value);
                self.fate = Fate::Other;
            }
            Stmt::For(s) => {
                if s.is_async && !self.scope().is_async {
                    let at = range(s.range);
                    self.misplaced(
                        "async for",
                        text_range(at.start().into(), usize::from(at.start()) + 9),
                    );
                }
                if let Expr::Call(_) = &*s.iter
                    && !s.is_async
                {
                    self.fate = Fate::Opened;
                }
                self.visit_expr(&s.iter);
                self.fate = Fate::Other;
                self.visit_expr(&s.target);
                self.loops += 1;
                self.visit_body(&s.body);
                self.loops -= 1;
                self.visit_body(&s.orelse);
            }
            Stmt::While(s) => {
                self.visit_expr(&s.test);
                self.loops += 1;
                self.visit_body(&s.body);
                self.loops -= 1;
                self.visit_body(&s.orelse);
            }
            Stmt::With(s) => {
                if s.is_async && !self.scope().is_async {
                    let at = range(s.range);
                    self.misplaced(
                        "async with",
                        text_range(at.start().into(), usize::from(at.start()) + 10),
                    );
                }
                visitor::walk_stmt(self, statement);
            }
            Stmt::Return(s) => {
                if !self.scope().is_function {
                    let error = SyntaxError::syntax(range(s.range), "`return` outside a function");
                    self.facts.errors.push(error);
                }
                visitor::walk_stmt(self, statement);
            }
            Stmt::Break(s) if self.loops == 0 => {
                let error = SyntaxError::syntax(range(s.range), "`break` outside a loop");
                self.facts.errors.push(error);
            }
            Stmt::Continue(s) if self.loops == 0 => {
                let error = SyntaxError::syntax(range(s.range), "`continue` outside a loop");
                self.facts.errors.push(error);
            }
            Stmt::Import(s) => {
                for alias in &s.names {
                    self.facts.imports.push(Import {
                        module: alias.name.to_string(),
                        name: None,
                        range: range(alias.name.range),
                        module_range: range(alias.name.range),
                        guarded: self.guards > 0,
                    });
                }
            }
            Stmt::ImportFrom(s) => {
                let dots = ".".repeat(s.level as usize);
                let module = s.module.as_ref().map_or("", |m| m.as_str());
                for alias in &s.names {
                    self.facts.imports.push(Import {
                        module: format!("{dots}{module}"),
                        name: Some(alias.name.to_string()),
                        range: range(alias.name.range),
                        module_range: s
                            .module
                            .as_ref()
                            .map_or(range(alias.name.range), |m| range(m.range)),
                        guarded: self.guards > 0,
                    });
                }
            }
            _ => visitor::walk_stmt(self, statement),
        }
    }

    // Nobody evaluates annotations unless asked to.
    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_expr(&mut self, expr: &'a Expr) {
        let fate = std::mem::replace(&mut self.fate, Fate::Other);
        match expr {
            Expr::Name(name) => {
                let id = name.id.as_str();
                if matches!(name.ctx, ExprContext::Load)
                    && self.name_guards == 0
                    && !id.is_empty()
                    && !self.all.contains_key(id)
                    && !builtins::is_known(id)
                {
                    self.facts.undefined.push(Use {
                        name: id.to_owned(),
                        range: range(name.range),
                        guarded: self.guards > 0,
                        in_async: self.scope().is_async,
                    });
                }
            }
            Expr::Await(e) => {
                let scope = self.scope();
                let at = range(e.range);
                if scope.is_async {
                    let awaited = match &*e.value {
                        Expr::Call(call) => self.dotted(&call.func),
                        _ => None,
                    };
                    if let Some(name) = awaited {
                        self.facts.awaits.push(Use {
                            name,
                            range: at,
                            guarded: self.guards > 0,
                            in_async: true,
                        });
                    }
                } else {
                    self.misplaced(
                        "await",
                        text_range(at.start().into(), usize::from(at.start()) + 5),
                    );
                }
                visitor::walk_expr(self, expr);
            }
            Expr::Yield(e) if !self.scope().is_function => {
                let error = SyntaxError::syntax(range(e.range), "`yield` outside a function");
                self.facts.errors.push(error);
            }
            Expr::Lambda(_) => {
                let scope = self.scope();
                self.scopes.push(Scope {
                    is_async: false,
                    is_function: true,
                    ..scope
                });
                visitor::walk_expr(self, expr);
                self.scopes.pop();
            }
            Expr::Attribute(e) => {
                if let Expr::Call(_) = &*e.value {
                    self.fate = Fate::Opened;
                }
                if self.is_imported(expr)
                    && matches!(e.ctx, ExprContext::Load)
                    && let Some(name) = self.dotted(expr)
                {
                    self.facts.attributes.push(Use {
                        name,
                        range: range(e.attr.range),
                        guarded: self.guards > 0,
                        in_async: self.scope().is_async,
                    });
                }
                self.visit_expr(&e.value);
            }
            Expr::Subscript(e) => {
                if let Expr::Call(_) = &*e.value {
                    self.fate = Fate::Opened;
                }
                self.visit_expr(&e.value);
                self.visit_expr(&e.slice);
                if let (ExprContext::Load, Expr::StringLiteral(key)) = (e.ctx, &*e.slice)
                    && !self.stored.contains("*")
                    && !self.stored.contains(key.value.to_str())
                    && let Some(execute) = self.row_of(&e.value, 0)
                {
                    self.facts.columns.push(ColumnRead {
                        execute,
                        name: key.value.to_str().to_owned(),
                        range: range(key.range),
                    });
                }
            }
            Expr::Call(call) => {
                self.fate = fate;
                self.call(call);
                self.fate = Fate::Other;
                visitor::walk_expr(self, expr);
            }
            // The elements come after what they are made of.
            Expr::ListComp(e) => {
                e.generators
                    .iter()
                    .for_each(|g| self.visit_comprehension(g));
                self.visit_expr(&e.elt);
            }
            _ => visitor::walk_expr(self, expr),
        }
    }
}

fn mentions_name_error(expr: &Expr) -> bool {
    match expr {
        Expr::Name(name) => name.id.as_str() == "NameError",
        Expr::Tuple(tuple) => tuple.elts.iter().any(mentions_name_error),
        _ => false,
    }
}
