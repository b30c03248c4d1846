//! What a client that does not ask was told: each file's diagnostics once, and again when they change.

use std::collections::{BTreeMap, BTreeSet};

use gen_lsp_types as lsp;
use mxcp_base::Diagnostic;
use mxcp_ide::ProjectDiagnostics;

use crate::snapshot::ProjectView;
use crate::to_proto;

/// The last word on each file: the version it was about, and the diagnostics as they were sent.
pub(crate) type Published = BTreeMap<String, Sent>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    version: Option<i32>,
    diagnostics: Vec<lsp::Diagnostic>,
}

/// What to tell the client after a check: files whose diagnostics changed, and open documents with a new version.
pub(crate) fn news(
    view: &ProjectView,
    found: &ProjectDiagnostics,
    before: &Published,
) -> (Published, Vec<lsp::PublishDiagnosticsParams>) {
    let none: Vec<Diagnostic> = Vec::new();
    let mut now = Published::new();
    let mut news = Vec::new();
    let files: BTreeSet<&String> = found
        .by_file
        .keys()
        .chain(before.keys())
        .chain(view.open.keys())
        .collect();
    for path in files {
        let diagnostics = found.by_file.get(path).unwrap_or(&none);
        let sent = Sent {
            version: view.version(path),
            diagnostics: diagnostics
                .iter()
                .map(|d| to_proto::diagnostic(view, d))
                .collect(),
        };
        let same = before.get(path) == Some(&sent);
        let nothing_yet = sent.diagnostics.is_empty() && sent.version.is_none();
        let nothing_before = before.get(path).is_none_or(|s| s.diagnostics.is_empty());
        if !(same || (nothing_yet && nothing_before)) {
            news.push(lsp::PublishDiagnosticsParams {
                uri: view.uri(path),
                version: sent.version,
                diagnostics: sent.diagnostics.clone(),
            });
        }
        if !nothing_yet {
            now.insert(path.clone(), sent);
        }
    }
    (now, news)
}
