//! What Python's Jinja does and minijinja does not, by rewriting the template's text: lists and
//! mappings that change in place (`{% do x.append(1) %}`), `"%s" % value`, dates in sums, `do` of
//! anything but a call, call blocks with parameters, and what a loop knows of its length.
//!
//! Literals are wrapped in calls of functions the environment defines; positions map back exactly. The
//! only module here that touches minijinja's syntax tree, whose interface is not stable.

use std::ops::Range;

use minijinja::machinery::{Span, ast, parse};
use minijinja::syntax::SyntaxConfig;
use mxcp_syntax::jinja::for_parser;

/// Names the environment binds for rewritten text.
pub(super) const DO: &str = "__do";
pub(super) const ITEMS: &str = "__items";
/// The argument that holds the body of a call block with parameters, as a macro.
pub(super) const BODY: &str = "__body";
/// The name of that macro.
pub(super) const CALLER: &str = "__caller";
pub(super) const LIST: &str = "__list";
pub(super) const DICT: &str = "__dict";
pub(super) const FORMAT: &str = "__format";
pub(super) const SUM: &str = "__sum";
pub(super) const DIFFERENCE: &str = "__difference";

const MUTATORS: [&str; 9] = [
    ".append(",
    ".extend(",
    ".insert(",
    ".remove(",
    ".pop(",
    ".update(",
    ".setdefault(",
    ".clear(",
    ".sort(",
];

/// A rewritten template.
pub(super) struct Rewritten {
    pub(super) text: String,
    // Sorted by position in the original text.
    edits: Vec<Edit>,
}

struct Edit {
    at: usize,
    removed: usize,
    inserted: String,
}

/// `None` when the text can stay as it is.
pub(super) fn rewrite(text: &str) -> Option<Rewritten> {
    let mutable = MUTATORS.iter().any(|name| text.contains(name));
    let formats = text.contains("' %")
        || text.contains("\" %")
        || text.contains("'%")
        || text.contains("\"%");
    let dates = ["datetime", "run_started_at"]
        .iter()
        .any(|name| text.contains(name));
    let looped = text.contains("loop.");
    let calls = text.contains("endcall");
    let masked = text.contains("{%").then(|| for_parser(text));
    let masked = masked.filter(|masked| masked.len() == text.len() && masked != text);
    let defaults = text.contains("macro ") && text.contains('=');
    if !mutable && !formats && !dates && !looped && !calls && !defaults && masked.is_none() {
        return None;
    }
    let mut edits = Vec::new();
    if let Some(masked) = &masked {
        statements(text, masked, &mut edits);
    }
    let text = masked.as_deref().unwrap_or(text);
    let tree = parse(text, "template", SyntaxConfig::default()).ok()?;
    let mut local = Vec::new();
    let mut called = Vec::new();
    visit_stmts(&tree, &mut |stmt| match stmt {
        ast::Stmt::ForLoop(found) if looped => {
            let range = span_range(found.iter.span());
            let (start, end) = (range.start as usize, range.end as usize);
            // Others know their length.
            if matches!(found.iter, ast::Expr::Var(_) | ast::Expr::Const(_)) {
                edits.push(Edit::insert(start, format!("{ITEMS}(")));
                edits.push(Edit::insert(end, ")".to_owned()));
            }
        }
        ast::Stmt::Macro(found) => {
            local.push(found.name.to_owned());
            late_defaults(text, found, &mut edits);
        }
        ast::Stmt::CallBlock(found) if !found.macro_decl.args.is_empty() => {
            let name = match &found.call.expr {
                ast::Expr::Var(var) => var.id.to_owned(),
                _ => String::new(),
            };
            let arguments = !found.call.args.is_empty();
            let call = span_range(found.call_expr_span).end as usize;
            let block = span_range(found.macro_decl.span());
            called.extend(body_of(text, block, call, arguments).map(|edit| (name, edit)));
        }
        _ => {}
    });
    // A macro of the template itself is the engine's own, and calls the body by itself.
    called.retain(|(name, _)| !local.contains(name));
    edits.extend(called.into_iter().map(|(_, edit)| edit));
    visit_exprs(&tree, &mut |expr| match expr {
        ast::Expr::List(list) if mutable => {
            wrap(text, span_range(list.span()), LIST, '[', &mut edits);
        }
        ast::Expr::Map(map) if mutable => {
            wrap(text, span_range(map.span()), DICT, '{', &mut edits);
        }
        ast::Expr::BinOp(op) if formats && matches!(op.op, ast::BinOpKind::Rem) => {
            format_call(text, op, &mut edits);
        }
        ast::Expr::BinOp(op) if dates => match op.op {
            ast::BinOpKind::Add => sum_call(text, op, op.span(), '+', SUM, &mut edits),
            ast::BinOpKind::Sub => sum_call(text, op, op.span(), '-', DIFFERENCE, &mut edits),
            _ => {}
        },
        _ => {}
    });
    if edits.is_empty() && masked.is_none() {
        return None;
    }
    edits.sort_by_key(|edit| edit.at);
    let mut out = String::with_capacity(text.len() + 16 * edits.len());
    let mut at = 0;
    for edit in &edits {
        out.push_str(text.get(at..edit.at)?);
        out.push_str(&edit.inserted);
        at = edit.at + edit.removed;
    }
    out.push_str(text.get(at..)?);
    // A rewrite that does not parse must never hide a template that does.
    parse(&out, "template", SyntaxConfig::default()).ok()?;
    Some(Rewritten { text: out, edits })
}

// `{{ … }}` that was `{% do … %}` becomes `{{ __do(…) }}`.
fn statements(text: &str, masked: &str, edits: &mut Vec<Edit>) {
    let mut open = None;
    let pairs = text.as_bytes().windows(2).zip(masked.as_bytes().windows(2));
    for (at, pair) in pairs.enumerate() {
        match pair {
            (b"{%", b"{{") => open = Some(at),
            (b"%}", b"}}") => {
                let Some(start) = open.take() else { continue };
                let content = masked.get(start + 2..at).unwrap_or_default();
                let inner = content.trim_start_matches('-');
                let from = at - inner.len();
                let to = from + inner.trim_end_matches('-').len();
                edits.push(Edit::insert(from, format!("{DO}(")));
                edits.push(Edit::insert(to, ")".to_owned()));
            }
            _ => {}
        }
    }
}

// A default may name an argument before it, which the engine does not know yet: it is set in the body then.
fn late_defaults(text: &str, found: &ast::Macro<'_>, edits: &mut Vec<Edit>) {
    let names: Vec<&str> = found
        .args
        .iter()
        .filter_map(|arg| match arg {
            ast::Expr::Var(var) => Some(var.id),
            _ => None,
        })
        .collect();
    let first = found.args.len().saturating_sub(found.defaults.len());
    let mut body = String::new();
    let mut last = 0;
    for (arg, default) in found.args.iter().skip(first).zip(&found.defaults) {
        let (arg_at, at) = (span_range(arg.span()), span_range(default.span()));
        let (Some(name), Some(written)) = (
            text.get(arg_at.start as usize..arg_at.end as usize),
            text.get(at.start as usize..at.end as usize),
        ) else {
            return;
        };
        last = at.end as usize;
        if !mentions(written, &names) {
            continue;
        }
        let start = arg_at.end as usize;
        edits.push(Edit {
            at: start,
            removed: last - start,
            // Undefined: arguments without a default must not follow others.
            inserted: "=({}).missing".to_owned(),
        });
        body.push_str(&format!(
            "{{% set {name} = ({written}) if {name} is undefined else {name} %}}"
        ));
    }
    let Some(end) = text.get(last..).and_then(|rest| rest.find("%}")) else {
        return;
    };
    let end = last + end + 2;
    if body.is_empty() {
        return;
    }
    if text.get(..end).is_some_and(|head| head.ends_with("-%}")) {
        body.truncate(body.len() - 2);
        body.push_str("-%}");
    }
    edits.push(Edit::insert(end, body));
}

// Whether an expression names one of these outside its texts.
fn mentions(expression: &str, names: &[&str]) -> bool {
    super::values::outside_quotes(expression)
        .split(|c: char| c != '_' && c != '.' && !c.is_alphanumeric())
        .any(|word| names.contains(&word.split('.').next().unwrap_or_default()))
}

// `call(x) each(list)` becomes `call(x) each(list, __body="{% macro __caller(x) %}…{% endmacro %}")`.
fn body_of(text: &str, block: Range<u32>, call: usize, arguments: bool) -> Option<Edit> {
    let head = text.get(block.start as usize..call)?;
    let open = block.start as usize + head.find('(')?;
    let parameters = text.get(open + 1..closing(text, open)? - 1)?;
    let start = call + text.get(call..)?.find("%}")?;
    let trimmed = if text.get(call..start)?.ends_with('-') {
        "-"
    } else {
        ""
    };
    let inner = text.get(start + 2..block.end as usize)?;
    let inner = inner.get(..inner.rfind("endcall")?)?;
    let end = inner.rfind("{%")?;
    let close = inner.get(end + 2..)?.trim();
    let body = inner.get(..end)?;
    let source =
        format!("{{% macro {CALLER}({parameters}) {trimmed}%}}{body}{{%{close} endmacro %}}");
    let source = source
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    let before = text.get(..call)?.rfind(')')?;
    let comma = if arguments { ", " } else { "" };
    Some(Edit::insert(before, format!("{comma}{BODY}=\"{source}\"")))
}

fn wrap(text: &str, span: Range<u32>, function: &str, open: char, edits: &mut Vec<Edit>) {
    let (start, end) = (span.start as usize, span.end as usize);
    if !text.get(start..end).is_some_and(|t| t.starts_with(open)) {
        return;
    }
    edits.push(Edit::insert(start, format!("{function}(")));
    edits.push(Edit::insert(end, ")".to_owned()));
}

// `"…" % right` becomes `__format("…" , right)`.
fn format_call(text: &str, op: &ast::BinOp<'_>, edits: &mut Vec<Edit>) {
    let ast::Expr::Const(left) = &op.left else {
        return;
    };
    if left.value.as_str().is_none() {
        return;
    }
    let left = span_range(left.span());
    let (start, end) = (left.start as usize, left.end as usize);
    let Some(tail) = text.get(end..) else { return };
    let percent = end + (tail.len() - tail.trim_start().len());
    let quoted = text
        .get(start..end)
        .is_some_and(|t| t.starts_with(['"', '\'']));
    if !quoted || text.as_bytes().get(percent) != Some(&b'%') {
        return;
    }
    let after = text.get(percent + 1..).unwrap_or("");
    let right = percent + 1 + (after.len() - after.trim_start().len());
    let close = if text.as_bytes().get(right) == Some(&b'(') {
        closing(text, right)
    } else {
        Some(span_range(op.right.span()).end as usize)
    };
    let Some(close) = close else { return };
    edits.push(Edit::insert(start, format!("{FORMAT}(")));
    edits.push(Edit {
        at: percent,
        removed: 1,
        inserted: ",".to_owned(),
    });
    edits.push(Edit::insert(close, ")".to_owned()));
}

// `left + right` becomes `__sum(left , right)`.
fn sum_call(
    text: &str,
    op: &ast::BinOp<'_>,
    span: Span,
    sign: char,
    function: &str,
    edits: &mut Vec<Edit>,
) {
    let (start, end) = (span.start_offset as usize, span.end_offset as usize);
    let left = op.left.span().end_offset as usize;
    let Some(tail) = text.get(left..end) else {
        return;
    };
    // Parentheses around the left side may end here.
    let rest = tail.trim_start_matches(|c: char| c == ')' || c.is_whitespace());
    if !rest.starts_with(sign) {
        return;
    }
    edits.push(Edit::insert(start, format!("{function}(")));
    edits.push(Edit {
        at: left + (tail.len() - rest.len()),
        removed: 1,
        inserted: ",".to_owned(),
    });
    edits.push(Edit::insert(end, ")".to_owned()));
}

// Just after the parenthesis that closes the one at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut skip = false;
    for (i, c) in text.get(open..)?.char_indices() {
        if skip {
            skip = false;
            continue;
        }
        match (quote, c) {
            (Some(_), '\\') => skip = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return Some(open + i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

impl Edit {
    fn insert(at: usize, inserted: String) -> Self {
        Self {
            at,
            removed: 0,
            inserted,
        }
    }
}

impl Rewritten {
    /// A range of the rewritten text, in the original.
    pub(super) fn back(&self, range: Range<u32>) -> Range<u32> {
        let start = self.back_offset(range.start as usize, false);
        let end = self.back_offset(range.end as usize, true);
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        cut(start)..cut(end.max(start))
    }

    fn back_offset(&self, offset: usize, is_end: bool) -> usize {
        let mut shift = 0isize;
        for edit in &self.edits {
            // Where the edit starts in the rewritten text.
            let start = edit.at.saturating_add_signed(shift);
            let end = start + edit.inserted.len();
            if offset < start || (is_end && offset == start && edit.removed == 0) {
                break;
            }
            if offset < end {
                return edit.at;
            }
            shift += edit.inserted.len() as isize - edit.removed as isize;
        }
        offset.saturating_add_signed(-shift)
    }
}

fn span_range(span: Span) -> Range<u32> {
    span.start_offset..span.end_offset
}

/// Calls `f` for every expression of a template, outer ones first.
fn visit_exprs<'a>(stmt: &ast::Stmt<'a>, f: &mut dyn FnMut(&ast::Expr<'a>)) {
    visit(stmt, &mut Visitor { expr: f });
}

/// Calls `f` for every statement of a template.
fn visit_stmts<'a, 't>(stmt: &'t ast::Stmt<'a>, f: &mut dyn FnMut(&'t ast::Stmt<'a>)) {
    use ast::Stmt;
    f(stmt);
    let bodies: [&'t [Stmt<'a>]; 2] = match stmt {
        Stmt::Template(s) => [&s.children, &[]],
        Stmt::ForLoop(s) => [&s.body, &s.else_body],
        Stmt::IfCond(s) => [&s.true_body, &s.false_body],
        Stmt::WithBlock(s) => [&s.body, &[]],
        Stmt::SetBlock(s) => [&s.body, &[]],
        Stmt::AutoEscape(s) => [&s.body, &[]],
        Stmt::FilterBlock(s) => [&s.body, &[]],
        Stmt::Macro(s) => [&s.body, &[]],
        Stmt::CallBlock(s) => [&s.macro_decl.body, &[]],
        _ => return,
    };
    for stmt in bodies.into_iter().flatten() {
        visit_stmts(stmt, f);
    }
}

struct Visitor<'f, 'a> {
    expr: &'f mut dyn FnMut(&ast::Expr<'a>),
}

fn visit_all<'a>(stmts: &[ast::Stmt<'a>], v: &mut Visitor<'_, 'a>) {
    for stmt in stmts {
        visit(stmt, v);
    }
}

fn visit<'a>(stmt: &ast::Stmt<'a>, v: &mut Visitor<'_, 'a>) {
    use ast::Stmt;
    match stmt {
        Stmt::Template(t) => visit_all(&t.children, v),
        Stmt::EmitExpr(e) => v.visit(&e.expr),
        Stmt::ForLoop(f) => {
            v.visit(&f.iter);
            v.maybe(f.filter_expr.as_ref());
            visit_all(&f.body, v);
            visit_all(&f.else_body, v);
        }
        Stmt::IfCond(i) => {
            v.visit(&i.expr);
            visit_all(&i.true_body, v);
            visit_all(&i.false_body, v);
        }
        Stmt::WithBlock(w) => {
            for (_, value) in &w.assignments {
                v.visit(value);
            }
            visit_all(&w.body, v);
        }
        Stmt::Set(s) => v.visit(&s.expr),
        Stmt::SetBlock(s) => {
            v.maybe(s.filter.as_ref());
            visit_all(&s.body, v);
        }
        Stmt::AutoEscape(a) => visit_all(&a.body, v),
        Stmt::FilterBlock(f) => {
            v.visit(&f.filter);
            visit_all(&f.body, v);
        }
        Stmt::Macro(m) => {
            m.defaults.iter().for_each(|default| v.visit(default));
            visit_all(&m.body, v);
        }
        Stmt::CallBlock(c) => {
            v.visit(&c.call.expr);
            v.args(&c.call.args);
            visit_all(&c.macro_decl.body, v);
        }
        Stmt::Do(d) => {
            v.visit(&d.call.expr);
            v.args(&d.call.args);
        }
        _ => {}
    }
}

impl<'a> Visitor<'_, 'a> {
    fn maybe(&mut self, expr: Option<&ast::Expr<'a>>) {
        if let Some(expr) = expr {
            self.visit(expr);
        }
    }

    fn args(&mut self, args: &[ast::CallArg<'a>]) {
        for arg in args {
            match arg {
                ast::CallArg::Pos(e)
                | ast::CallArg::Kwarg(_, e)
                | ast::CallArg::PosSplat(e)
                | ast::CallArg::KwargSplat(e) => self.visit(e),
            }
        }
    }

    fn visit(&mut self, expr: &ast::Expr<'a>) {
        use ast::Expr;
        (self.expr)(expr);
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(s) => {
                self.visit(&s.expr);
                for part in [&s.start, &s.stop, &s.step] {
                    self.maybe(part.as_ref());
                }
            }
            Expr::UnaryOp(u) => self.visit(&u.expr),
            Expr::BinOp(b) => {
                self.visit(&b.left);
                self.visit(&b.right);
            }
            Expr::Compare(c) => {
                self.visit(&c.expr);
                c.ops.iter().for_each(|op| self.visit(&op.expr));
            }
            Expr::IfExpr(i) => {
                self.visit(&i.test_expr);
                self.visit(&i.true_expr);
                self.maybe(i.false_expr.as_ref());
            }
            Expr::Filter(f) => {
                self.maybe(f.expr.as_ref());
                self.args(&f.args);
            }
            Expr::Test(t) => {
                self.visit(&t.expr);
                self.args(&t.args);
            }
            Expr::GetAttr(g) => self.visit(&g.expr),
            Expr::GetItem(g) => {
                self.visit(&g.expr);
                self.visit(&g.subscript_expr);
            }
            Expr::Call(c) => {
                self.visit(&c.expr);
                self.args(&c.args);
            }
            Expr::List(l) => l.items.iter().for_each(|item| self.visit(item)),
            Expr::Tuple(t) => t.items.iter().for_each(|item| self.visit(item)),
            Expr::Map(m) => {
                m.keys.iter().for_each(|key| self.visit(key));
                m.values.iter().for_each(|value| self.visit(value));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn defaults_may_name_arguments_before_them() {
        let of = |text: &str| rewrite(text).map(|r| r.text);
        assert_eq!(
            of("{% macro m(a, b=1, c=a ~ 'a') -%}\n{{ c }}{% endmacro %}").as_deref(),
            Some(
                "{% macro m(a, b=1, c=({}).missing) -%}{% set c = (a ~ 'a') if c is undefined else c -%}\n{{ c }}{% endmacro %}"
            )
        );
        assert_eq!(of("{% macro m(a, b='a') %}{{ b }}{% endmacro %}"), None);
    }

    #[test]
    fn lists_are_wrapped_and_positions_map_back() {
        let text = "{% set x = [1, ['a'], {'k': []}] %}{% do x.append(2) %}ä{{ y }}";
        let rewritten = rewrite(text).unwrap();
        assert_eq!(
            rewritten.text,
            "{% set x = __list([1, __list(['a']), __dict({'k': __list([])})]) %}{% do x.append(2) %}ä{{ y }}"
        );
        for needle in ["y }}", "ä", "do x", "set x"] {
            let new = rewritten.text.find(needle).unwrap() as u32;
            let old = text.find(needle).unwrap() as u32;
            let len = needle.len() as u32;
            assert_eq!(rewritten.back(new..new + len), old..old + len, "{needle}");
        }
    }

    #[test]
    fn percent_formats_are_calls() {
        let of = |text: &str| rewrite(text).map(|r| r.text);
        assert_eq!(
            of("{{ '%s-%d' % ('a', 3) }}").as_deref(),
            Some("{{ __format('%s-%d' , ('a', 3)) }}")
        );
        assert_eq!(
            of("{{ \"%s\" % x.y ~ '!' }}").as_deref(),
            Some("{{ __format(\"%s\" , x.y) ~ '!' }}")
        );
        assert_eq!(
            of("{%- do f(1) if x -%}{% do f(1) %}").as_deref(),
            Some("{{-__do(    f(1) if x )-}}{% do f(1) %}")
        );
        assert_eq!(
            of("{% call(x) f(1) -%} {{ x }}\"{%- endcall %}").as_deref(),
            Some(
                "{% call(x) f(1, __body=\"{% macro __caller(x) -%} {{ x }}\\\"{%- endmacro %}\") -%} {{ x }}\"{%- endcall %}"
            )
        );
        assert_eq!(of("{{ '%' }} {{ 5 % 2 }}"), None);
        assert_eq!(of("{{ [1] }}"), None);
    }
}
