//! Workflow commands of GitHub Actions: one annotation per diagnostic.

use std::fmt::Write as _;

use super::Sources;
use crate::{Diagnostic, Severity};

pub(super) fn render(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let command = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        let _ = write!(out, "::{command} title={}", d.code);
        if !d.primary.file.is_empty() {
            let _ = write!(out, ",file={}", property(&d.primary.file));
        }
        if let Some((start, end)) = sources.span(&d.primary) {
            let _ = write!(out, ",line={},endLine={}", start.line, end.line);
            // A column range is only understood within one line.
            if start.line == end.line {
                let _ = write!(out, ",col={},endColumn={}", start.column, end.column);
            }
        }
        let mut message = d.message.clone();
        if let Some(help) = &d.help {
            message.push_str("\nhelp: ");
            message.push_str(help);
        }
        let _ = writeln!(out, "::{}", data(&message));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
