//! Code actions and code lenses.

use gen_lsp_types as lsp;
use mxcp_ide::actions;
use mxcp_ide::lenses::{self, LensCommand};
use serde_json::json;

use super::document;
use crate::dispatch::Result_;
use crate::snapshot::Snapshot;
use crate::to_proto;

pub(crate) fn actions(
    snapshot: &Snapshot,
    params: lsp::CodeActionParams,
) -> Result_<Option<Vec<lsp::CodeActionResponse>>> {
    let Some((view, path, _)) = document(snapshot, &params.text_document) else {
        return Ok(None);
    };
    let Some(range) = view.positions(&path).map(|p| p.text_range(params.range)) else {
        return Ok(None);
    };
    let wanted = |kind: &lsp::CodeActionKind| {
        params
            .context
            .only
            .as_ref()
            .is_none_or(|only| only.contains(kind))
    };
    let found = actions::actions(&view.analysis, &path, range)?;
    let mut out = Vec::new();
    for action in found {
        let fixes = action.diagnostic.is_some();
        let kind = match fixes {
            true => lsp::CodeActionKind::QuickFix,
            false => lsp::CodeActionKind::RefactorRewrite,
        };
        if !wanted(&kind) {
            continue;
        }
        out.push(lsp::CodeActionResponse::CodeAction(lsp::CodeAction {
            title: action.title,
            kind: Some(kind),
            diagnostics: action
                .diagnostic
                .map(|d| vec![to_proto::diagnostic(view, &d)]),
            is_preferred: fixes.then_some(true),
            edit: Some(to_proto::workspace_edit(
                view,
                &action.change,
                snapshot.client.document_changes,
            )),
            ..Default::default()
        }));
    }
    Ok(Some(out))
}

pub(crate) fn lenses(
    snapshot: &Snapshot,
    params: lsp::CodeLensParams,
) -> Result_<Option<Vec<lsp::CodeLens>>> {
    let Some((view, path, file)) = document(snapshot, &params.text_document) else {
        return Ok(None);
    };
    let found = view.analysis.with(|db| lenses::lenses(db, file))?;
    let Some(positions) = view.positions(&path) else {
        return Ok(None);
    };
    let root = view.root.display().to_string();
    Ok(Some(
        found
            .into_iter()
            .map(|lens| {
                let range = positions.range(lens.range);
                // The commands are the client's: it has the terminal and the panels.
                let (command, arguments) = match lens.command {
                    LensCommand::Run(kind, id) => (
                        "mxcp.run",
                        vec![json!({"root": root, "kind": kind, "name": id})],
                    ),
                    LensCommand::Test(kind, id) => (
                        "mxcp.test",
                        vec![json!({"root": root, "kind": kind, "name": id})],
                    ),
                    LensCommand::Preview(model, cte) => (
                        "mxcp.preview",
                        vec![json!({"root": root, "model": model, "cte": cte})],
                    ),
                    LensCommand::References => (
                        "mxcp.references",
                        vec![
                            to_proto::value(view.uri(&path)),
                            to_proto::value(range.start),
                        ],
                    ),
                };
                lsp::CodeLens {
                    range,
                    command: Some(lsp::Command {
                        title: lens.title,
                        tooltip: None,
                        command: command.into(),
                        arguments: Some(arguments),
                    }),
                    data: None,
                }
            })
            .collect(),
    ))
}
