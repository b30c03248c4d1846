//! One line per diagnostic, with notes indented below it.

use std::fmt::Write as _;

use super::{Sources, position};
use crate::Diagnostic;

pub(super) fn render(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let _ = writeln!(
            out,
            "{}: {}[{}] {}",
            position(&d.primary, sources),
            d.severity.as_str(),
            d.code,
            d.message
        );
        for label in &d.labels {
            let _ = writeln!(
                out,
                "  {}: note: {}",
                position(&label.location, sources),
                label.message
            );
        }
        if let Some(help) = &d.help {
            let _ = writeln!(out, "  help: {help}");
        }
    }
    out
}
