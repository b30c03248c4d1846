//! The walk over the Jinja parser's tree. The only file that uses its unstable interface.

use std::collections::BTreeSet;

use minijinja::machinery::{Span, ast, parse};
use serde_json::Value as Json;
use text_size::TextRange;

use super::{Arg, Block, BlockKind, Call, Macro, MacroParam, Template};
use crate::{SyntaxError, text_range};

/// Parses `masked`, which has the layout of `text`, and adds what it contains to `template`.
pub(super) fn read(text: &str, masked: &str, template: &mut Template) {
    let ast = match parse(
        masked,
        "template",
        minijinja::syntax::SyntaxConfig::default(),
    ) {
        Ok(ast) => ast,
        Err(error) => {
            template.errors.push(reword(text, &error));
            return;
        }
    };
    let blocks = std::mem::take(&mut template.blocks);
    let mut walk = Walk {
        template,
        macros: blocks
            .iter()
            .filter(|block| block.kind == BlockKind::Macro)
            .collect(),
        scopes: vec![BTreeSet::from(["self".to_owned()])],
        test_scopes: test_scopes(text, &blocks),
    };
    // Macros may be called before they are defined, and see what the template sets anywhere.
    let mut names = BTreeSet::new();
    top_level_names(&ast, &mut names);
    walk.scopes.push(names);
    walk.statement(&ast);
    template.calls.sort_by_key(|call| call.range.start());
    template.undeclared.sort_by_key(|(_, range)| range.start());
    template.macros.sort_by_key(|found| found.range.start());
    template.blocks = blocks;
}

fn reword(text: &str, error: &minijinja::Error) -> SyntaxError {
    let detail = error
        .detail()
        .map_or_else(|| error.to_string(), str::to_owned);
    if detail.starts_with("unexpected end of input")
        && let Some(error) = super::unclosed(text)
    {
        return error;
    }
    let range = error
        .range()
        .filter(|range| text.get(range.clone()).is_some())
        .or_else(|| {
            let line = error.line()?.checked_sub(1)?;
            let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
            let len = text[start..].find('\n').unwrap_or(text.len() - start);
            Some(start..start + len)
        })
        .unwrap_or(0..0);
    // The parser calls every word an identifier.
    let message = detail.replace("identifier", "word");
    SyntaxError::syntax(
        text_range(range.start, range.end),
        format!("not valid Jinja: {message}"),
    )
}

/// Bodies of `{% test %}` blocks with their parameters, which are names there.
fn test_scopes(text: &str, blocks: &[Block]) -> Vec<(TextRange, BTreeSet<String>)> {
    blocks
        .iter()
        .filter(|block| block.kind == BlockKind::Test)
        .map(|block| {
            let source = format!("{{% macro x{} %}}{{% endmacro %}}", &text[block.args_range]);
            let mut names = BTreeSet::new();
            if let Ok(ast::Stmt::Template(tree)) =
                parse(&source, "args", minijinja::syntax::SyntaxConfig::default())
            {
                for child in &tree.children {
                    if let ast::Stmt::Macro(found) = child {
                        found.args.iter().for_each(|arg| bound(arg, &mut names));
                    }
                }
            }
            (block.body_range, names)
        })
        .collect()
}

fn bound(target: &ast::Expr<'_>, names: &mut BTreeSet<String>) {
    match target {
        ast::Expr::Var(var) => {
            names.insert(var.id.to_owned());
        }
        ast::Expr::List(list) => list.items.iter().for_each(|item| bound(item, names)),
        ast::Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| bound(item, names)),
        _ => {}
    }
}

/// Names that are set at top level, where branches make no scope.
fn top_level_names(statement: &ast::Stmt<'_>, names: &mut BTreeSet<String>) {
    let body = |body: &[ast::Stmt<'_>], names: &mut BTreeSet<String>| {
        body.iter().for_each(|s| top_level_names(s, names));
    };
    match statement {
        ast::Stmt::Template(s) => body(&s.children, names),
        ast::Stmt::IfCond(s) => {
            body(&s.true_body, names);
            body(&s.false_body, names);
        }
        ast::Stmt::Set(s) => bound(&s.target, names),
        ast::Stmt::SetBlock(s) => bound(&s.target, names),
        ast::Stmt::Macro(s) => {
            names.insert(s.name.to_owned());
        }
        ast::Stmt::Import(s) => bound(&s.name, names),
        ast::Stmt::FromImport(s) => {
            for (name, alias) in &s.names {
                bound(alias.as_ref().unwrap_or(name), names);
            }
        }
        _ => {}
    }
}

struct Walk<'a> {
    template: &'a mut Template,
    /// The macro blocks in source order.
    macros: Vec<&'a Block>,
    scopes: Vec<BTreeSet<String>>,
    test_scopes: Vec<(TextRange, BTreeSet<String>)>,
}

fn range(span: Span) -> TextRange {
    text_range(span.start_offset as usize, span.end_offset as usize)
}

impl Walk<'_> {
    fn scoped(&mut self, names: &[&str], f: impl FnOnce(&mut Self)) {
        self.scopes
            .push(names.iter().map(|name| (*name).to_owned()).collect());
        f(self);
        self.scopes.pop();
    }

    fn assign(&mut self, target: &ast::Expr<'_>) {
        if let Some(scope) = self.scopes.last_mut() {
            bound(target, scope);
        }
        // `set ns.field = …` reads `ns`.
        if let ast::Expr::GetAttr(attr) = target {
            self.expr(&attr.expr);
        }
    }

    fn body(&mut self, body: &[ast::Stmt<'_>]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) {
        match statement {
            ast::Stmt::Template(s) => self.body(&s.children),
            ast::Stmt::EmitExpr(s) => self.expr(&s.expr),
            ast::Stmt::EmitRaw(_) | ast::Stmt::Continue(_) | ast::Stmt::Break(_) => {}
            ast::Stmt::ForLoop(s) => {
                self.expr(&s.iter);
                self.scoped(&["loop"], |walk| {
                    walk.assign(&s.target);
                    walk.option(s.filter_expr.as_ref());
                    walk.body(&s.body);
                });
                self.scoped(&[], |walk| walk.body(&s.else_body));
            }
            ast::Stmt::IfCond(s) => {
                self.expr(&s.expr);
                self.body(&s.true_body);
                self.body(&s.false_body);
            }
            ast::Stmt::WithBlock(s) => self.scoped(&[], |walk| {
                for (target, value) in &s.assignments {
                    walk.expr(value);
                    walk.assign(target);
                }
                walk.body(&s.body);
            }),
            ast::Stmt::Set(s) => {
                self.expr(&s.expr);
                self.assign(&s.target);
            }
            ast::Stmt::SetBlock(s) => {
                self.option(s.filter.as_ref());
                self.scoped(&[], |walk| walk.body(&s.body));
                self.assign(&s.target);
            }
            ast::Stmt::AutoEscape(s) => {
                self.expr(&s.enabled);
                self.scoped(&[], |walk| walk.body(&s.body));
            }
            ast::Stmt::FilterBlock(s) => {
                self.expr(&s.filter);
                self.scoped(&[], |walk| walk.body(&s.body));
            }
            ast::Stmt::Block(s) => self.scoped(&["super"], |walk| walk.body(&s.body)),
            ast::Stmt::Import(s) => {
                self.expr(&s.expr);
                self.assign(&s.name);
            }
            ast::Stmt::FromImport(s) => {
                self.expr(&s.expr);
                for (name, alias) in &s.names {
                    self.assign(alias.as_ref().unwrap_or(name));
                }
            }
            ast::Stmt::Extends(s) => self.expr(&s.name),
            ast::Stmt::Include(s) => self.expr(&s.name),
            ast::Stmt::Macro(s) => {
                self.declare(s, range(s.span()));
                self.macro_body(s);
            }
            ast::Stmt::CallBlock(s) => {
                self.call(&s.call, s.call.span());
                self.macro_body(&s.macro_decl);
            }
            ast::Stmt::Do(s) => self.call(&s.call, s.call.span()),
        }
    }

    fn macro_body(&mut self, found: &ast::Macro<'_>) {
        self.scoped(&["caller", "varargs", "kwargs"], |walk| {
            found.defaults.iter().for_each(|value| walk.expr(value));
            found.args.iter().for_each(|arg| walk.assign(arg));
            walk.body(&found.body);
        });
    }

    /// The parser keeps no range for a macro's name; the block that was read around it does.
    fn declare(&mut self, found: &ast::Macro<'_>, span: TextRange) {
        let block = self
            .macros
            .iter()
            .find(|block| block.name == found.name && block.range.contains_inclusive(span.start()));
        let first_default = found.args.len() - found.defaults.len();
        let params = found
            .args
            .iter()
            .enumerate()
            .filter_map(|(index, arg)| {
                let ast::Expr::Var(var) = arg else {
                    return None;
                };
                let default = index
                    .checked_sub(first_default)
                    .map(|at| &found.defaults[at]);
                Some(MacroParam {
                    name: var.id.to_owned(),
                    range: range(arg.span()),
                    has_default: default.is_some(),
                    default: default.and_then(literal),
                })
            })
            .collect();
        self.template.macros.push(Macro {
            name: found.name.to_owned(),
            name_range: block.map_or(span, |block| block.name_range),
            params,
            range: block.map_or(span, |block| block.range),
            body_range: block.map_or(span, |block| block.body_range),
        });
    }

    fn option(&mut self, expr: Option<&ast::Expr<'_>>) {
        if let Some(expr) = expr {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &ast::Expr<'_>) {
        match expr {
            ast::Expr::Const(_) => {}
            ast::Expr::Var(var) => self.read(var.id, range(expr.span())),
            ast::Expr::Slice(e) => {
                self.expr(&e.expr);
                self.option(e.start.as_ref());
                self.option(e.stop.as_ref());
                self.option(e.step.as_ref());
            }
            ast::Expr::UnaryOp(e) => self.expr(&e.expr),
            ast::Expr::BinOp(e) => {
                self.expr(&e.left);
                self.expr(&e.right);
            }
            ast::Expr::Compare(e) => {
                self.expr(&e.expr);
                e.ops.iter().for_each(|op| self.expr(&op.expr));
            }
            ast::Expr::IfExpr(e) => {
                self.expr(&e.test_expr);
                self.expr(&e.true_expr);
                self.option(e.false_expr.as_ref());
            }
            ast::Expr::Filter(e) => {
                let at = range(expr.span());
                self.template.filters.push((e.name.to_owned(), at));
                self.option(e.expr.as_ref());
                self.args(&e.args);
            }
            ast::Expr::Test(e) => {
                let at = range(expr.span());
                self.template.tests.push((e.name.to_owned(), at));
                self.expr(&e.expr);
                self.args(&e.args);
            }
            ast::Expr::GetAttr(e) => {
                let before = self.template.undeclared.len();
                self.expr(&e.expr);
                if let ast::Expr::Var(var) = &e.expr
                    && self.template.undeclared.len() > before
                {
                    let found = (var.id.to_owned(), e.name.to_owned(), range(expr.span()));
                    self.template.attributes.push(found);
                }
            }
            ast::Expr::GetItem(e) => {
                self.expr(&e.expr);
                self.expr(&e.subscript_expr);
            }
            ast::Expr::Call(e) => self.call(e, expr.span()),
            ast::Expr::List(e) => e.items.iter().for_each(|item| self.expr(item)),
            ast::Expr::Tuple(e) => e.items.iter().for_each(|item| self.expr(item)),
            ast::Expr::Map(e) => {
                for (key, value) in e.keys.iter().zip(&e.values) {
                    self.expr(key);
                    self.expr(value);
                }
            }
        }
    }

    fn args(&mut self, args: &[ast::CallArg<'_>]) {
        for arg in args {
            match arg {
                ast::CallArg::Pos(expr)
                | ast::CallArg::Kwarg(_, expr)
                | ast::CallArg::PosSplat(expr)
                | ast::CallArg::KwargSplat(expr) => self.expr(expr),
            }
        }
    }

    fn read(&mut self, name: &str, at: TextRange) {
        let declared = self.scopes.iter().any(|scope| scope.contains(name))
            || self
                .test_scopes
                .iter()
                .any(|(body, names)| body.contains_range(at) && names.contains(name));
        if !declared {
            self.template.undeclared.push((name.to_owned(), at));
        }
    }

    fn call(&mut self, call: &ast::Call<'_>, span: Span) {
        match &call.expr {
            // A method is no attribute to be read.
            ast::Expr::GetAttr(method) => self.expr(&method.expr),
            other => self.expr(other),
        }
        self.args(&call.args);
        let Some((name, start)) = dotted(&call.expr) else {
            return;
        };
        let end = range(span).end().max(range(call.expr.span()).end());
        let mut found = Call {
            name_range: TextRange::new(start, range(call.expr.span()).end()),
            name,
            args: Vec::new(),
            kwargs: Vec::new(),
            has_splat: false,
            range: TextRange::new(start, end),
        };
        for arg in &call.args {
            let made = |expr: &ast::Expr<'_>| Arg {
                value: literal(expr),
                range: range(expr.span()),
            };
            match arg {
                ast::CallArg::Pos(expr) => found.args.push(made(expr)),
                ast::CallArg::Kwarg(name, expr) => {
                    found.kwargs.push(((*name).to_owned(), made(expr)));
                }
                ast::CallArg::PosSplat(_) | ast::CallArg::KwargSplat(_) => found.has_splat = true,
            }
        }
        self.template.calls.push(found);
    }
}

/// `a.b.c` and where it starts.
fn dotted(expr: &ast::Expr<'_>) -> Option<(String, text_size::TextSize)> {
    match expr {
        ast::Expr::Var(var) => Some((var.id.to_owned(), range(expr.span()).start())),
        ast::Expr::GetAttr(attr) => {
            let (base, start) = dotted(&attr.expr)?;
            Some((format!("{base}.{}", attr.name), start))
        }
        _ => None,
    }
}

/// The value of an expression without names. The engine's own folding stops at containers inside mappings.
fn literal(expr: &ast::Expr<'_>) -> Option<Json> {
    match expr {
        ast::Expr::List(list) => list.items.iter().map(literal).collect(),
        ast::Expr::Tuple(tuple) => tuple.items.iter().map(literal).collect(),
        ast::Expr::Map(map) => {
            let mut out = serde_json::Map::new();
            for (key, value) in map.keys.iter().zip(&map.values) {
                let key = match literal(key)? {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                out.insert(key, literal(value)?);
            }
            Some(Json::Object(out))
        }
        _ => serde_json::to_value(expr.as_const()?).ok(),
    }
}
