//! Rename, and whether it can be.

use gen_lsp_types as lsp;
use mxcp_ide::rename;

use super::spot;
use crate::dispatch::{Failed, Result_};
use crate::snapshot::Snapshot;
use crate::to_proto;

pub(crate) fn prepare(
    snapshot: &Snapshot,
    params: lsp::PrepareRenameParams,
) -> Result_<Option<lsp::PrepareRenameResult>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(rename::prepare)?;
    let (range, name) = found.map_err(Failed::Refused)?;
    Ok(at.view.positions(&at.path).map(|positions| {
        lsp::PrepareRenameResult::PrepareRenamePlaceholder(lsp::PrepareRenamePlaceholder {
            range: positions.range(range),
            placeholder: name,
        })
    }))
}

pub(crate) fn rename(
    snapshot: &Snapshot,
    params: lsp::RenameParams,
) -> Result_<Option<lsp::WorkspaceEdit>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let change = rename::rename(&at.view.analysis, &at.path, at.offset, &params.new_name)?;
    let change = change.map_err(Failed::Refused)?;
    if !change.moves.is_empty() && !snapshot.client.document_changes {
        return Err(Failed::Refused(
            "this editor cannot rename the file of a model".into(),
        ));
    }
    Ok(Some(to_proto::workspace_edit(
        at.view,
        &change,
        snapshot.client.document_changes,
    )))
}
