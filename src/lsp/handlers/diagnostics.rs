//! Diagnostics for clients that ask: one document, or the whole workspace.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use gen_lsp_types as lsp;
use mxcp_base::Diagnostic;

use crate::dispatch::Result_;
use crate::snapshot::{ProjectView, Snapshot};
use crate::to_proto;

/// Names what was said: equal diagnostics at equal places have equal names.
fn result_id(diagnostics: &[lsp::Diagnostic]) -> String {
    let mut hasher = DefaultHasher::new();
    to_proto::value(diagnostics).to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn items(view: &ProjectView, found: &[Diagnostic]) -> Vec<lsp::Diagnostic> {
    found
        .iter()
        .map(|d| to_proto::diagnostic(view, d))
        .collect()
}

pub(crate) fn document(
    snapshot: &Snapshot,
    params: lsp::DocumentDiagnosticParams,
) -> Result_<lsp::DocumentDiagnosticReport> {
    let items = match snapshot.find(&params.text_document.uri) {
        Some((view, path)) => {
            let found = view.analysis.diagnostics()?;
            found
                .by_file
                .get(&path)
                .map_or_else(Vec::new, |d| items(view, d))
        }
        None => Vec::new(),
    };
    let id = result_id(&items);
    if params.previous_result_id.as_deref() == Some(id.as_str()) {
        return Ok(
            lsp::DocumentDiagnosticReport::RelatedUnchangedDocumentDiagnosticReport(
                lsp::RelatedUnchangedDocumentDiagnosticReport {
                    related_documents: None,
                    unchanged_document_diagnostic_report: lsp::UnchangedDocumentDiagnosticReport {
                        result_id: id,
                    },
                },
            ),
        );
    }
    Ok(
        lsp::DocumentDiagnosticReport::RelatedFullDocumentDiagnosticReport(
            lsp::RelatedFullDocumentDiagnosticReport {
                related_documents: None,
                full_document_diagnostic_report: lsp::FullDocumentDiagnosticReport {
                    result_id: Some(id),
                    items,
                },
            },
        ),
    )
}

pub(crate) fn workspace(
    snapshot: &Snapshot,
    params: lsp::WorkspaceDiagnosticParams,
) -> Result_<lsp::WorkspaceDiagnosticReport> {
    let mut previous: HashMap<String, String> = params
        .previous_result_ids
        .into_iter()
        .map(|p| (p.uri.0, p.value))
        .collect();
    let mut out = Vec::new();
    for view in &snapshot.projects {
        let found = view.analysis.diagnostics()?;
        for (path, found) in &found.by_file {
            let uri = view.uri(path);
            let items = items(view, found);
            let id = result_id(&items);
            let version = view.version(path);
            if previous.remove(&uri.0).as_deref() == Some(id.as_str()) {
                out.push(
                    lsp::WorkspaceDocumentDiagnosticReport::WorkspaceUnchangedDocumentDiagnosticReport(
                        lsp::WorkspaceUnchangedDocumentDiagnosticReport {
                            uri,
                            version,
                            unchanged_document_diagnostic_report:
                                lsp::UnchangedDocumentDiagnosticReport { result_id: id },
                        },
                    ),
                );
            } else {
                out.push(full(uri, version, id, items));
            }
        }
    }
    // What was reported before and is well now.
    for (uri, _) in previous {
        let version = None;
        out.push(full(lsp::Uri(uri), version, result_id(&[]), Vec::new()));
    }
    Ok(lsp::WorkspaceDiagnosticReport { items: out })
}

fn full(
    uri: lsp::Uri,
    version: Option<i32>,
    id: String,
    items: Vec<lsp::Diagnostic>,
) -> lsp::WorkspaceDocumentDiagnosticReport {
    lsp::WorkspaceDocumentDiagnosticReport::WorkspaceFullDocumentDiagnosticReport(
        lsp::WorkspaceFullDocumentDiagnosticReport {
            uri,
            version,
            full_document_diagnostic_report: lsp::FullDocumentDiagnosticReport {
                result_id: Some(id),
                items,
            },
        },
    )
}
