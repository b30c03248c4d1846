//! Second walk: what is done with the names.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, ExprContext, Stmt};
use text_size::TextRange;

use super::bind::{Bindings, Bound};
use super::{Call, ColumnRead, Execute, Facts, Fate, Import, Params, Use};
use crate::python::text::{Constant, constant};
use crate::python::{builtins, range};
use crate::{SyntaxError, text_range};

#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub(super) id: u32,
    pub(super) is_async: bool,
    pub(super) is_function: bool,
}

/// Second walk: what is done with the names.
pub(super) struct Walk<'a> {
    pub(super) source: &'a str,
    pub(super) bindings: Bindings<'a>,
    pub(super) all: BTreeMap<&'a str, usize>,
    pub(super) stored: BTreeSet<&'a str>,
    /// Names that only imports bind, and what they stand for.
    pub(super) imported: BTreeMap<String, String>,
    pub(super) facts: Facts,
    pub(super) scopes: Vec<Scope>,
    pub(super) guards: u32,
    pub(super) name_guards: u32,
    pub(super) loops: u32,
    pub(super) fate: Fate,
    pub(super) depth: u32,
}

impl<'a> Walk<'a> {
    pub(super) fn scope(&self) -> Scope {
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
    pub(super) fn bound(&self, name: &str) -> Option<Bound<'a>> {
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
}

/// The start of a call's name.
fn head(expr: &Expr) -> Option<TextRange> {
    match expr {
        Expr::Name(name) => Some(range(name.range)),
        Expr::Attribute(e) => head(&e.value),
        _ => None,
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
