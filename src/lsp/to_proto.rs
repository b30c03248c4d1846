//! The plain data of [`mxcp_ide`] and of diagnostics as the protocol's types.

use std::collections::BTreeMap;

use gen_lsp_types as lsp;
use mxcp_base::{Code, Diagnostic, Location, Severity, codes};
use mxcp_ide::{Change, Place};
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

pub(crate) fn place(view: &ProjectView, place: &Place) -> lsp::Location {
    lsp::Location {
        uri: view.uri(&place.path),
        range: place_range(view, place),
    }
}

pub(crate) fn place_range(view: &ProjectView, place: &Place) -> lsp::Range {
    match view.positions(&place.path) {
        Some(positions) => positions.range(place.range.0),
        None => lsp::Range::default(),
    }
}

/// Changes as one edit. The texts change first, at the paths the files have now.
pub(crate) fn workspace_edit(
    view: &ProjectView,
    change: &Change,
    document_changes: bool,
) -> lsp::WorkspaceEdit {
    let mut by_file: BTreeMap<&str, Vec<lsp::TextEdit>> = BTreeMap::new();
    for edit in &change.edits {
        by_file
            .entry(&edit.place.path)
            .or_default()
            .push(lsp::TextEdit {
                range: place_range(view, &edit.place),
                new_text: edit.text.clone(),
            });
    }
    if !document_changes {
        return lsp::WorkspaceEdit {
            changes: Some(
                by_file
                    .into_iter()
                    .map(|(path, edits)| (view.uri(path), edits))
                    .collect(),
            ),
            ..Default::default()
        };
    }
    let mut changes: Vec<lsp::DocumentChange> = by_file
        .into_iter()
        .map(|(path, edits)| {
            lsp::DocumentChange::TextDocumentEdit(lsp::TextDocumentEdit {
                text_document: lsp::OptionalVersionedTextDocumentIdentifier {
                    version: view.version(path),
                    text_document_identifier: lsp::TextDocumentIdentifier {
                        uri: view.uri(path),
                    },
                },
                edits: edits.into_iter().map(lsp::Edit::TextEdit).collect(),
            })
        })
        .collect();
    for (from, to) in &change.moves {
        changes.push(lsp::DocumentChange::RenameFile(lsp::RenameFile {
            old_uri: view.uri(from),
            new_uri: view.uri(to),
            options: None,
            annotation_id: None,
        }));
    }
    lsp::WorkspaceEdit {
        document_changes: Some(changes),
        ..Default::default()
    }
}
