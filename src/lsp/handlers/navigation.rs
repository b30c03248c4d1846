//! Definition, type definition, references and highlights.

use gen_lsp_types as lsp;
use mxcp_ide::goto;

use super::{Spot, spot};
use crate::dispatch::Result_;
use crate::snapshot::Snapshot;
use crate::to_proto;

fn locations(at: &Spot<'_>, places: &[mxcp_ide::Place]) -> Vec<lsp::Location> {
    places
        .iter()
        .map(|place| to_proto::place(at.view, place))
        .collect()
}

pub(crate) fn definition(
    snapshot: &Snapshot,
    params: lsp::DefinitionParams,
) -> Result_<Option<lsp::DefinitionResponse>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(goto::definition)?;
    Ok(found.map(|(_, places)| {
        lsp::DefinitionResponse::Definition(lsp::Definition::LocationList(locations(&at, &places)))
    }))
}

pub(crate) fn type_definition(
    snapshot: &Snapshot,
    params: lsp::TypeDefinitionParams,
) -> Result_<Option<lsp::TypeDefinitionResponse>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(goto::type_definition)?;
    Ok(found.map(|(_, places)| {
        lsp::TypeDefinitionResponse::Definition(lsp::Definition::LocationList(locations(
            &at, &places,
        )))
    }))
}

pub(crate) fn references(
    snapshot: &Snapshot,
    params: lsp::ReferenceParams,
) -> Result_<Option<Vec<lsp::Location>>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let all = params.context.include_declaration;
    let found = at.ask(|db, file, offset| goto::references(db, file, offset, all))?;
    Ok(Some(locations(&at, &found)))
}

pub(crate) fn highlight(
    snapshot: &Snapshot,
    params: lsp::DocumentHighlightParams,
) -> Result_<Option<Vec<lsp::DocumentHighlight>>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(goto::highlights)?;
    let Some(positions) = at.view.positions(&at.path) else {
        return Ok(None);
    };
    Ok(Some(
        found
            .into_iter()
            .map(|(range, defines)| lsp::DocumentHighlight {
                range: positions.range(range),
                kind: Some(match defines {
                    true => lsp::DocumentHighlightKind::Write,
                    false => lsp::DocumentHighlightKind::Read,
                }),
            })
            .collect(),
    ))
}
