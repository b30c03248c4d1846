//! Names to files: which endpoint is defined where, and which names are taken twice.

use std::collections::BTreeMap;

use mxcp_artifact::EndpointKind;
use mxcp_base::{FileSet, Shelf, SourceFile};

use crate::Db;
use crate::documents::endpoint_def;

/// Only what other files can refer to; bodies do not reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointIndex {
    /// Kind and id to the defining files, sorted by path.
    pub by_id: BTreeMap<(EndpointKind, String), Vec<SourceFile>>,
}

impl EndpointIndex {
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.names(EndpointKind::Tool)
    }

    pub fn names(&self, kind: EndpointKind) -> impl Iterator<Item = &str> {
        self.by_id
            .keys()
            .filter(move |(k, _)| *k == kind)
            .map(|(_, id)| id.as_str())
    }
}

/// The part of a definition that the index holds. A firewall: editing a body does not reach the index.
#[salsa::tracked(returns(as_ref))]
fn endpoint_key(db: &dyn Db, file: SourceFile) -> Option<(EndpointKind, String)> {
    let def = endpoint_def(db, file)?;
    if !def.enabled {
        return None;
    }
    Some((def.kind, def.id()?.to_owned()))
}

pub fn endpoint_index(db: &dyn Db) -> &EndpointIndex {
    crate::surface::settled_endpoints(db)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_endpoints(db: &dyn Db) -> EndpointIndex {
    let mut index = EndpointIndex::default();
    for shelf in FileSet::get(db).shelves(db) {
        for (key, file) in shelf_keys(db, *shelf) {
            index.by_id.entry(key.clone()).or_default().push(*file);
        }
    }
    for files in index.by_id.values_mut() {
        files.sort_by(|a, b| a.path(db).cmp(b.path(db)));
    }
    index
}

#[salsa::tracked(returns(ref))]
fn shelf_keys(db: &dyn Db, shelf: Shelf) -> Vec<((EndpointKind, String), SourceFile)> {
    shelf
        .files(db)
        .iter()
        .filter_map(|file| Some((endpoint_key(db, *file)?.clone(), *file)))
        .collect()
}

/// The other files that claim this file's name, if any.
#[salsa::tracked(returns(ref))]
pub fn name_clashes(db: &dyn Db, file: SourceFile) -> Vec<SourceFile> {
    let Some(key) = endpoint_key(db, file) else {
        return Vec::new();
    };
    endpoint_index(db)
        .by_id
        .get(key)
        .into_iter()
        .flatten()
        .copied()
        .filter(|other| *other != file)
        .collect()
}

/// An endpoint of another kind with this file's name.
#[salsa::tracked]
pub fn same_name_of_another_kind(
    db: &dyn Db,
    file: SourceFile,
) -> Option<(EndpointKind, SourceFile)> {
    let (kind, id) = endpoint_key(db, file)?;
    let index = endpoint_index(db);
    EndpointKind::ALL.into_iter().find_map(|other| {
        let files = index.by_id.get(&(other, id.clone()))?;
        Some((other, *files.first().filter(|_| other != *kind)?))
    })
}
