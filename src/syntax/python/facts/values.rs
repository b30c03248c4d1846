//! What expressions give: rows of a query, and values as far as they can be read.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, Number, Stmt};
use text_size::TextRange;

use super::bind::Bound;
use super::walk::Walk;
use super::{Body, Value};
use crate::python::range;

impl<'a> Walk<'a> {
    /// The call whose rows an expression is.
    pub(super) fn rows_of(&self, expr: &'a Expr, depth: u32) -> Option<usize> {
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
    pub(super) fn row_of(&self, expr: &'a Expr, depth: u32) -> Option<usize> {
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

    pub(super) fn value(&self, expr: &'a Expr, depth: u32) -> Value {
        if depth > 8 {
            return Value::Unknown;
        }
        match expr {
            Expr::NoneLiteral(_) => Value::None,
            Expr::StringLiteral(text) => Value::Text(vec![text.value.to_str().to_owned()]),
            Expr::FString(_) => Value::Text(Vec::new()),
            Expr::If(e) => either(
                self.value(&e.body, depth + 1),
                self.value(&e.orelse, depth + 1),
            ),
            Expr::BooleanLiteral(_) => Value::Bool,
            Expr::NumberLiteral(number) => match number.value {
                Number::Int(_) => Value::Integer,
                Number::Float(_) => Value::Float,
                Number::Complex { .. } => Value::Unknown,
            },
            // Nothing else can be added to a text, and what `%` makes of one is a text.
            Expr::BinOp(e) => match (e.op, self.value(&e.left, depth + 1)) {
                (
                    ruff_python_ast::Operator::Add | ruff_python_ast::Operator::Mod,
                    Value::Text(_),
                ) => Value::Text(Vec::new()),
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
                        "str" => Value::Text(Vec::new()),
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

    pub(super) fn body(&self, body: &'a [Stmt]) -> Body {
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

/// What one or the other gives.
fn either(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Text(mut a), Value::Text(b)) if !a.is_empty() && !b.is_empty() => {
            a.extend(b);
            Value::Text(a)
        }
        (Value::Text(_), Value::Text(_)) => Value::Text(Vec::new()),
        (a, b) if a == b => a,
        _ => Value::Unknown,
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
