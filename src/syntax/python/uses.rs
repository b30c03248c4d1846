//! Every plain name that a module reads or sets, for editors.

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Expr, Mod};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use text_size::TextRange;

use super::MAX_BYTES;
use crate::{limits, text_range};

/// Names in expressions with their ranges, those inside f-strings included; attributes and the names of
/// keyword arguments are none.
#[must_use]
pub fn name_uses(text: &str) -> Vec<(String, TextRange)> {
    if text.len() > MAX_BYTES || limits::too_deep(text, limits::PYTHON).is_some() {
        return Vec::new();
    }
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
    let mut names = Names(Vec::new());
    if let Mod::Module(module) = parsed.syntax() {
        for statement in &module.body {
            names.visit_stmt(statement);
        }
    }
    names.0
}

struct Names(Vec<(String, TextRange)>);

impl<'a> Visitor<'a> for Names {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Name(name) = expr {
            let range = text_range(name.range.start().to_usize(), name.range.end().to_usize());
            self.0.push((name.id.to_string(), range));
        }
        walk_expr(self, expr);
    }
}
