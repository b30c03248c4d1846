//! Symbols of a document and of the workspace, folds and selections.

use gen_lsp_types as lsp;
use mxcp_ide::outline::{self, Entry, EntryKind};

use super::document;
use crate::dispatch::Result_;
use crate::position::Positions;
use crate::snapshot::Snapshot;
use crate::to_proto;

fn kind(kind: EntryKind) -> lsp::SymbolKind {
    match kind {
        EntryKind::Tool | EntryKind::Function => lsp::SymbolKind::Function,
        EntryKind::Resource => lsp::SymbolKind::Interface,
        EntryKind::Prompt => lsp::SymbolKind::String,
        EntryKind::Parameter => lsp::SymbolKind::Variable,
        EntryKind::Property => lsp::SymbolKind::Property,
        EntryKind::Section => lsp::SymbolKind::Namespace,
        EntryKind::Test => lsp::SymbolKind::Event,
        EntryKind::Model => lsp::SymbolKind::Class,
        EntryKind::Source => lsp::SymbolKind::Package,
        EntryKind::Column => lsp::SymbolKind::Field,
        EntryKind::Cte => lsp::SymbolKind::Struct,
        EntryKind::Macro => lsp::SymbolKind::Method,
    }
}

fn symbol(positions: &Positions<'_>, entry: Entry) -> lsp::DocumentSymbol {
    lsp::DocumentSymbol {
        name: entry.name,
        detail: entry.detail,
        kind: kind(entry.kind),
        tags: None,
        #[expect(deprecated, reason = "the field has to be given")]
        deprecated: None,
        range: positions.range(entry.range),
        selection_range: positions.range(entry.selection),
        children: (!entry.children.is_empty()).then(|| {
            entry
                .children
                .into_iter()
                .map(|child| symbol(positions, child))
                .collect()
        }),
    }
}

pub(crate) fn symbols(
    snapshot: &Snapshot,
    params: lsp::DocumentSymbolParams,
) -> Result_<Option<lsp::DocumentSymbolResponse>> {
    let Some((view, path, file)) = document(snapshot, &params.text_document) else {
        return Ok(None);
    };
    let found = view.analysis.with(|db| outline::symbols(db, file))?;
    Ok(view.positions(&path).map(|positions| {
        lsp::DocumentSymbolResponse::DocumentSymbolList(
            found.into_iter().map(|e| symbol(&positions, e)).collect(),
        )
    }))
}

pub(crate) fn workspace(
    snapshot: &Snapshot,
    params: lsp::WorkspaceSymbolParams,
) -> Result_<Option<lsp::WorkspaceSymbolResponse>> {
    let mut all = Vec::new();
    for view in &snapshot.projects {
        let found = view
            .analysis
            .with(|db| outline::workspace(db, &params.query))?;
        for (entry, place) in found {
            all.push(lsp::WorkspaceSymbol {
                location: lsp::WorkspaceSymbolLocation::Location(to_proto::place(view, &place)),
                data: None,
                base_symbol_information: lsp::BaseSymbolInformation {
                    name: entry.name,
                    kind: kind(entry.kind),
                    tags: None,
                    container_name: entry.detail,
                },
            });
        }
    }
    Ok(Some(lsp::WorkspaceSymbolResponse::WorkspaceSymbolList(all)))
}

pub(crate) fn folds(
    snapshot: &Snapshot,
    params: lsp::FoldingRangeParams,
) -> Result_<Option<Vec<lsp::FoldingRange>>> {
    let Some((view, path, file)) = document(snapshot, &params.text_document) else {
        return Ok(None);
    };
    let found = view.analysis.with(|db| outline::folds(db, file))?;
    let Some(positions) = view.positions(&path) else {
        return Ok(None);
    };
    Ok(Some(
        found
            .into_iter()
            .filter_map(|(range, comment)| {
                let (start, end) = (
                    positions.position(range.start()),
                    positions.position(range.end()),
                );
                // A block ends at the start of the line after it.
                let end_line = match end.character {
                    0 => end.line.checked_sub(1)?,
                    _ => end.line,
                };
                (end_line > start.line).then_some(lsp::FoldingRange {
                    start_line: start.line,
                    start_character: None,
                    end_line,
                    end_character: None,
                    kind: Some(match comment {
                        true => lsp::FoldingRangeKind::Comment,
                        false => lsp::FoldingRangeKind::Region,
                    }),
                    collapsed_text: None,
                })
            })
            .collect(),
    ))
}

pub(crate) fn selections(
    snapshot: &Snapshot,
    params: lsp::SelectionRangeParams,
) -> Result_<Option<Vec<lsp::SelectionRange>>> {
    let Some((view, path, file)) = document(snapshot, &params.text_document) else {
        return Ok(None);
    };
    let Some(positions) = view.positions(&path) else {
        return Ok(None);
    };
    let mut out = Vec::new();
    for position in params.positions {
        let offset = positions.offset(position);
        let found = view
            .analysis
            .with(|db| outline::selections(db, file, offset))?;
        let nested = found.into_iter().rev().fold(None, |parent, range| {
            Some(Box::new(lsp::SelectionRange {
                range: positions.range(range),
                parent,
            }))
        });
        // Each position has an answer, an empty range at least.
        out.push(nested.map_or_else(
            || lsp::SelectionRange {
                range: lsp::Range {
                    start: position,
                    end: position,
                },
                parent: None,
            },
            |b| *b,
        ));
    }
    Ok(Some(out))
}
