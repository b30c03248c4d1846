//! First walk: what binds which name where.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, ExprContext, Parameter, Pattern, Stmt, TypeParam};

#[derive(Clone, Copy)]
pub(super) enum Bound<'a> {
    Assign(&'a Expr),
    For(&'a Expr),
    Other,
}

pub(super) type Bindings<'a> = BTreeMap<(u32, &'a str), (usize, Bound<'a>)>;

/// First walk: what binds which name where.
#[derive(Default)]
pub(super) struct Binder<'a> {
    pub(super) bindings: Bindings<'a>,
    /// How often each name is bound in the whole file.
    pub(super) all: BTreeMap<&'a str, usize>,
    pub(super) imports: Vec<(String, String, usize)>,
    /// Keys that are stored: `row["key"] = …`, and whether rows change in other ways.
    pub(super) stored: BTreeSet<&'a str>,
    pub(super) scope: u32,
    pub(super) scopes: u32,
}

impl<'a> Binder<'a> {
    fn bind(&mut self, name: &'a str, how: Bound<'a>) {
        *self.all.entry(name).or_default() += 1;
        let entry = self.bindings.entry((self.scope, name)).or_insert((0, how));
        entry.0 += 1;
    }

    /// The keys that `update` and `setdefault` store, or all of them.
    fn stores(&mut self, arguments: &'a ruff_python_ast::Arguments) {
        for keyword in &arguments.keywords {
            let name = keyword.arg.as_ref().map_or("*", |name| name.as_str());
            self.stored.insert(name);
        }
        match arguments.args.first() {
            None => {}
            Some(Expr::StringLiteral(key)) => {
                self.stored.insert(key.value.to_str());
            }
            Some(Expr::Dict(dict)) => {
                for item in &dict.items {
                    let name = match &item.key {
                        Some(Expr::StringLiteral(key)) => key.value.to_str(),
                        _ => "*",
                    };
                    self.stored.insert(name);
                }
            }
            Some(_) => {
                self.stored.insert("*");
            }
        }
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
                    self.stores(&call.arguments);
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
