//! Inlay hints and semantic tokens.

use gen_lsp_types as lsp;
use mxcp_base::TextRange;
use mxcp_ide::{hints, tokens};

use super::document;
use crate::dispatch::Result_;
use crate::snapshot::Snapshot;

pub(crate) fn hints(
    snapshot: &Snapshot,
    params: lsp::InlayHintParams,
) -> Result_<Option<Vec<lsp::InlayHint>>> {
    let Some((view, path, file)) = document(snapshot, &params.text_document) else {
        return Ok(None);
    };
    let Some(positions) = view.positions(&path) else {
        return Ok(None);
    };
    let within = positions.text_range(params.range);
    let found = view.analysis.with(|db| hints::hints(db, file, within))?;
    Ok(Some(
        found
            .into_iter()
            .map(|hint| lsp::InlayHint {
                position: positions.position(hint.at),
                label: lsp::Label::String(hint.label),
                kind: Some(lsp::InlayHintKind::Type),
                text_edits: None,
                tooltip: None,
                padding_left: None,
                padding_right: None,
                data: None,
            })
            .collect(),
    ))
}

pub(crate) fn tokens(
    snapshot: &Snapshot,
    params: lsp::SemanticTokensParams,
) -> Result_<Option<lsp::SemanticTokens>> {
    answer(snapshot, &params.text_document, None)
}

pub(crate) fn tokens_in_range(
    snapshot: &Snapshot,
    params: lsp::SemanticTokensRangeParams,
) -> Result_<Option<lsp::SemanticTokens>> {
    answer(snapshot, &params.text_document, Some(params.range))
}

fn answer(
    snapshot: &Snapshot,
    of: &lsp::TextDocumentIdentifier,
    within: Option<lsp::Range>,
) -> Result_<Option<lsp::SemanticTokens>> {
    let Some((view, path, file)) = document(snapshot, of) else {
        return Ok(None);
    };
    let (Some(positions), Some(text)) = (view.positions(&path), view.text(&path)) else {
        return Ok(None);
    };
    let within = within.map(|range| positions.text_range(range));
    let found = view.analysis.with(|db| tokens::tokens(db, file))?;
    let mut data = Vec::new();
    let mut last = lsp::Position::default();
    for (range, colour) in found {
        if within.is_some_and(|w| w.intersect(range).is_none()) {
            continue;
        }
        // A token of several lines is one of each.
        for part in lines(text, range) {
            let start = positions.position(part.start());
            let length = view
                .encoding
                .len(&text[std::ops::Range::<usize>::from(part)]);
            let delta_line = start.line - last.line;
            data.push(lsp::SemanticToken {
                delta_line,
                delta_start: match delta_line {
                    0 => start.character - last.character,
                    _ => start.character,
                },
                length,
                token_type: colour as u32,
                token_modifiers_bitset: 0,
            });
            last = start;
        }
    }
    Ok(Some(lsp::SemanticTokens {
        result_id: None,
        data,
    }))
}

fn lines(text: &str, range: TextRange) -> Vec<TextRange> {
    let mut found = Vec::new();
    let mut at = range.start();
    let whole = text
        .get(std::ops::Range::<usize>::from(range))
        .unwrap_or_default();
    for line in whole.split_inclusive('\n') {
        let len = mxcp_base::TextSize::of(line);
        let shown = line.trim_end_matches(['\n', '\r']);
        let lead = shown.len() - shown.trim_start().len();
        // Indentation inside a block scalar is none of the text.
        let lead = if at == range.start() { 0 } else { lead };
        let cut = |n: usize| mxcp_base::TextSize::from(u32::try_from(n).unwrap_or(0));
        let part = TextRange::new(at + cut(lead), at + cut(shown.len()));
        if !part.is_empty() {
            found.push(part);
        }
        at += len;
    }
    found
}
