//! Hover.

use gen_lsp_types as lsp;

use super::spot;
use crate::dispatch::Result_;
use crate::snapshot::Snapshot;

pub(crate) fn hover(snapshot: &Snapshot, params: lsp::HoverParams) -> Result_<Option<lsp::Hover>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(mxcp_ide::hover::hover)?;
    Ok(found.and_then(|(range, text)| {
        Some(lsp::Hover {
            contents: lsp::Contents::MarkupContent(lsp::MarkupContent {
                kind: lsp::MarkupKind::Markdown,
                value: text,
            }),
            range: Some(at.view.positions(&at.path)?.range(range)),
        })
    }))
}
