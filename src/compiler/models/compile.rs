//! Templates to the SQL that is run: ephemeral parents inlined, dependencies named.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_base::SourceFile;

use super::index::{dbt_project, node_name, ref_index};
use super::node::{is_ephemeral, render_model};
use crate::Db;
use crate::dbt::ephemeral::{EphemeralParent, inject};
use crate::documents::{DocumentKind, document_kind};

/// The unique id of a model or seed.
pub(crate) fn unique_id(db: &dyn Db, file: SourceFile) -> String {
    let package = dbt_project(db).map_or("", |p| p.def.name.as_str());
    let kind = match document_kind(db, file) {
        DocumentKind::DbtSeed => "seed",
        _ => "model",
    };
    format!("{kind}.{package}.{}", node_name(db, file))
}

/// A template's SQL with ephemeral parents inlined, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    pub sql: String,
    /// Unique ids, sorted.
    pub depends_on: Vec<String>,
}

#[salsa::tracked(returns(as_ref))]
pub(crate) fn compiled(db: &dyn Db, file: SourceFile) -> Option<Compiled> {
    let rendered = render_model(db, file);
    if !rendered.problems.is_empty() || rendered.dynamic.is_some() {
        return None;
    }
    let parents = referenced(db, file);
    let depends_on: BTreeSet<String> = parents.iter().map(|p| unique_id(db, *p)).collect();
    Some(Compiled {
        sql: inline_ephemeral(db, &rendered.sql, &parents),
        depends_on: depends_on.into_iter().collect(),
    })
}

/// The nodes a template refers to, in order of reference.
fn referenced(db: &dyn Db, file: SourceFile) -> Vec<SourceFile> {
    let index = ref_index(db);
    let mut found = Vec::new();
    for reference in &render_model(db, file).refs {
        if let Some(file) = index.get(&reference.name)
            && !found.contains(file)
        {
            found.push(*file);
        }
    }
    found
}

/// Puts the ephemeral ones among `parents`, and theirs, in front of the SQL.
pub(crate) fn inline_ephemeral(db: &dyn Db, sql: &str, parents: &[SourceFile]) -> String {
    let mut known: BTreeMap<String, EphemeralParent> = BTreeMap::new();
    let mut open: Vec<SourceFile> = parents.to_vec();
    while let Some(file) = open.pop() {
        let name = node_name(db, file).to_owned();
        if !is_ephemeral(db, file) || known.contains_key(&name) {
            continue;
        }
        let above = referenced(db, file);
        known.insert(
            name.clone(),
            EphemeralParent {
                name,
                sql: render_model(db, file).sql.clone(),
                parents: above
                    .iter()
                    .filter(|p| is_ephemeral(db, **p))
                    .map(|p| node_name(db, *p).to_owned())
                    .collect(),
            },
        );
        open.extend(above);
    }
    let direct: Vec<String> = parents
        .iter()
        .filter(|p| is_ephemeral(db, **p))
        .map(|p| node_name(db, *p).to_owned())
        .collect();
    inject(sql, &direct, &|name| known.get(name))
}
