//! The plain data of [`mxcp_ide`] and of diagnostics as the protocol's types.

use gen_lsp_types as lsp;
use mxcp_base::{Code, Diagnostic, Location, Severity, codes};
use serde::Serialize;
use serde_json::{Value, json};

use crate::position::Positions;
use crate::snapshot::ProjectView;

pub(crate) fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or(Value::Null)
}

pub(crate) fn diagnostic(view: &ProjectView, d: &Diagnostic) -> lsp::Diagnostic {
    let message = match &d.help {
        Some(help) => format!("{}\n{help}", d.message),
        None => d.message.clone(),
    };
    let related: Vec<lsp::DiagnosticRelatedInformation> = d
        .labels
        .iter()
        .map(|label| lsp::DiagnosticRelatedInformation {
            location: location(view, &label.location),
            message: label.message.clone(),
        })
        .collect();
    lsp::Diagnostic {
        range: range(view, &d.primary),
        severity: Some(match d.severity {
            Severity::Error => lsp::DiagnosticSeverity::Error,
            Severity::Warning => lsp::DiagnosticSeverity::Warning,
            Severity::Info => lsp::DiagnosticSeverity::Information,
        }),
        code: Some(lsp::Code::String(d.code.to_string())),
        code_description: None,
        source: Some("mxcp".into()),
        message: lsp::Message::String(message),
        tags: is_unnecessary(d.code).then(|| vec![lsp::DiagnosticTag::Unnecessary]),
        related_information: (!related.is_empty()).then_some(related),
        // There is no page to link to that is sure to be there: the name and the command that says more.
        data: Some(json!({
            "name": d.code.info().name,
            "explain": format!("mxcp explain {}", d.code),
            "fix": d.fix.as_ref().map(|fix| fix.title.clone()),
        })),
    }
}

/// Editors fade what has no effect.
fn is_unnecessary(code: Code) -> bool {
    matches!(
        code,
        codes::MX0009 | codes::MX0208 | codes::MX0416 | codes::MX0609 | codes::MX0718
    )
}

/// What is said of a whole file stands at its beginning.
pub(crate) fn range(view: &ProjectView, location: &Location) -> lsp::Range {
    let (Some(range), Some(text)) = (location.range(), view.text(&location.file)) else {
        return lsp::Range::default();
    };
    Positions::new(text, view.encoding).range(range)
}

pub(crate) fn location(view: &ProjectView, location: &Location) -> lsp::Location {
    lsp::Location {
        uri: view.uri(&location.file),
        range: range(view, location),
    }
}
