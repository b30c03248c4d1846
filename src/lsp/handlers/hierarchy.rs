//! Call hierarchy: lineage.

use gen_lsp_types as lsp;
use mxcp_base::TextRange;
use mxcp_ide::hierarchy::{self, Item};
use mxcp_ide::symbol::Symbol;
use serde_json::{Value, json};

use super::spot;
use crate::dispatch::Result_;
use crate::snapshot::{ProjectView, Snapshot};
use crate::to_proto;

/// What names a symbol between requests.
fn data(symbol: &Symbol) -> Value {
    match symbol {
        Symbol::Endpoint { kind, id } => json!({"endpoint": kind.as_str(), "name": id}),
        Symbol::Node { path } => json!({"node": path}),
        Symbol::Source { source, table } => json!({"source": source, "table": table}),
        _ => Value::Null,
    }
}

fn from_data(data: &Value) -> Option<Symbol> {
    let text = |key: &str| data.get(key).and_then(Value::as_str).map(str::to_owned);
    if let Some(path) = text("node") {
        return Some(Symbol::Node { path });
    }
    if let Some(source) = text("source") {
        let table = text("table")?;
        return Some(Symbol::Source { source, table });
    }
    let kind = text("endpoint")?;
    let kind = mxcp_ide::symbol::endpoint_kind(&kind)?;
    let id = text("name")?;
    Some(Symbol::Endpoint { kind, id })
}

fn item(view: &ProjectView, item: &Item) -> lsp::CallHierarchyItem {
    let range = to_proto::place_range(view, &item.place);
    lsp::CallHierarchyItem {
        name: item.name.clone(),
        kind: match item.symbol {
            Symbol::Endpoint { .. } => lsp::SymbolKind::Function,
            Symbol::Source { .. } => lsp::SymbolKind::Package,
            _ => lsp::SymbolKind::Class,
        },
        tags: None,
        detail: Some(item.detail.clone()),
        uri: view.uri(&item.place.path),
        range,
        selection_range: range,
        data: Some(data(&item.symbol)),
    }
}

pub(crate) fn prepare(
    snapshot: &Snapshot,
    params: lsp::CallHierarchyPrepareParams,
) -> Result_<Option<Vec<lsp::CallHierarchyItem>>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(hierarchy::prepare)?;
    let items: Vec<_> = found.iter().map(|i| item(at.view, i)).collect();
    Ok((!items.is_empty()).then_some(items))
}

/// The project and symbol of an item that was given out before.
fn known<'s>(
    snapshot: &'s Snapshot,
    item: &lsp::CallHierarchyItem,
) -> Option<(&'s ProjectView, Symbol)> {
    let (view, _) = snapshot.find(&item.uri)?;
    Some((view, from_data(item.data.as_ref()?)?))
}

fn ranges(view: &ProjectView, path: &str, ranges: &[TextRange]) -> Vec<lsp::Range> {
    match view.positions(path) {
        Some(positions) => ranges.iter().map(|r| positions.range(*r)).collect(),
        None => Vec::new(),
    }
}

pub(crate) fn incoming(
    snapshot: &Snapshot,
    params: lsp::CallHierarchyIncomingCallsParams,
) -> Result_<Option<Vec<lsp::CallHierarchyIncomingCall>>> {
    let Some((view, symbol)) = known(snapshot, &params.item) else {
        return Ok(None);
    };
    let found = view.analysis.with(|db| hierarchy::incoming(db, &symbol))?;
    Ok(Some(
        found
            .iter()
            .map(|(reader, places)| lsp::CallHierarchyIncomingCall {
                from: item(view, reader),
                from_ranges: ranges(view, &reader.place.path, places),
            })
            .collect(),
    ))
}

pub(crate) fn outgoing(
    snapshot: &Snapshot,
    params: lsp::CallHierarchyOutgoingCallsParams,
) -> Result_<Option<Vec<lsp::CallHierarchyOutgoingCall>>> {
    let Some((view, symbol)) = known(snapshot, &params.item) else {
        return Ok(None);
    };
    let found = view.analysis.with(|db| hierarchy::outgoing(db, &symbol))?;
    Ok(Some(
        found
            .iter()
            .map(|(read, file, places)| lsp::CallHierarchyOutgoingCall {
                to: item(view, read),
                from_ranges: ranges(view, file, places),
            })
            .collect(),
    ))
}
