//! Lineage as a call hierarchy: a model is called by what reads it and calls what it reads.

use std::collections::BTreeMap;

use mxcp_artifact::EndpointKind;
use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, find_file};
use mxcp_compiler::ide_support as project;

use crate::Place;
use crate::goto::{definitions, named};
use crate::hover::call;
use crate::names::{endpoint, endpoints_of, owner};
use crate::occurrences::{all, occurrences};
use crate::symbol::{Role, Symbol};

/// Something that data flows through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub symbol: Symbol,
    pub name: String,
    pub detail: String,
    pub place: Place,
}

pub fn item(db: &dyn Db, symbol: &Symbol) -> Option<Item> {
    let (name, detail) = match symbol {
        Symbol::Endpoint { kind, id } => {
            let def = endpoint(db, *kind, id).and_then(|f| endpoint_def(db, f))?;
            (id.clone(), call(def))
        }
        Symbol::Node { path } => {
            let file = find_file(db, path)?;
            (
                project::node_name(db, file),
                project::materialized(db, file),
            )
        }
        Symbol::Source { source, table } => (format!("{source}.{table}"), "source".into()),
        _ => return None,
    };
    // A tool's function is not where the tool is.
    let place = definitions(db, symbol)
        .into_iter()
        .max_by_key(|p| !matches!(mxcp_base::paths::extension(&p.path), "py"))?;
    Some(Item {
        symbol: symbol.clone(),
        name,
        detail,
        place,
    })
}

/// What stands at an offset, or else what the file is.
pub fn prepare(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<Item> {
    let here: Vec<Item> = named(db, file, offset)
        .iter()
        .filter_map(|o| item(db, &o.symbol))
        .collect();
    if !here.is_empty() {
        return here;
    }
    things(db, file)
        .iter()
        .filter_map(|s| item(db, s))
        .collect()
}

/// What a file is, or what runs it.
fn things(db: &dyn Db, file: SourceFile) -> Vec<Symbol> {
    match document_kind(db, file) {
        DocumentKind::DbtModel | DocumentKind::DbtSeed => vec![Symbol::Node {
            path: file.path(db).to_owned(),
        }],
        DocumentKind::Endpoint(_) | DocumentKind::Sql => endpoints_of(db, file)
            .iter()
            .filter_map(|e| of_endpoint(db, *e))
            .collect(),
        DocumentKind::Python => crate::occurrences::python_callers(db, file)
            .iter()
            .filter_map(|(_, e)| of_endpoint(db, *e))
            .collect(),
        _ => Vec::new(),
    }
}

fn of_endpoint(db: &dyn Db, file: SourceFile) -> Option<Symbol> {
    let def = endpoint_def(db, file)?;
    Some(Symbol::Endpoint {
        kind: def.kind,
        id: def.id()?.to_owned(),
    })
}

/// Who reads it, with the places that do.
pub fn incoming(db: &dyn Db, symbol: &Symbol) -> Vec<(Item, Vec<TextRange>)> {
    let mut found: BTreeMap<(Symbol, String), Vec<TextRange>> = BTreeMap::new();
    for (file, occurrence) in all(db, symbol) {
        if occurrence.role != Role::Reference {
            continue;
        }
        for reader in things(db, file) {
            if reader != *symbol {
                found
                    .entry((reader, file.path(db).to_owned()))
                    .or_default()
                    .push(occurrence.range);
            }
        }
    }
    found
        .into_iter()
        .filter_map(|((reader, path), ranges)| {
            let mut item = item(db, &reader)?;
            // The ranges are of the file that reads.
            if item.place.path != path {
                item.place = Place::new(path, *ranges.first()?);
            }
            Some((item, ranges))
        })
        .collect()
}

/// What it reads, with the file and the places where it does.
pub fn outgoing(db: &dyn Db, symbol: &Symbol) -> Vec<(Item, String, Vec<TextRange>)> {
    let file = match symbol {
        Symbol::Node { path } => find_file(db, path),
        Symbol::Endpoint { kind, id } => source_of(db, *kind, id),
        _ => None,
    };
    let Some(file) = file else {
        return Vec::new();
    };
    let mut found: BTreeMap<Symbol, Vec<TextRange>> = BTreeMap::new();
    for occurrence in occurrences(db, file) {
        let data = matches!(
            occurrence.symbol,
            Symbol::Node { .. } | Symbol::Source { .. }
        );
        if data && occurrence.role == Role::Reference && occurrence.symbol != *symbol {
            found
                .entry(occurrence.symbol.clone())
                .or_default()
                .push(occurrence.range);
        }
    }
    found
        .into_iter()
        .filter_map(|(read, ranges)| Some((item(db, &read)?, file.path(db).to_owned(), ranges)))
        .collect()
}

/// The file with the code of an endpoint.
fn source_of(db: &dyn Db, kind: EndpointKind, id: &str) -> Option<SourceFile> {
    let file = endpoint(db, kind, id)?;
    let def = endpoint_def(db, file)?;
    let code = def
        .file
        .as_deref()
        .and_then(|f| mxcp_base::paths::resolve(file.path(db), f))
        .unwrap_or_else(|| owner(db, file));
    find_file(db, &code)
}
