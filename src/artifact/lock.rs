//! `mxcp.lock`: the part of a build that is committed and reviewed. A change of contract, source,
//! catalogue or engine shows as a changed line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::SqlType;
use crate::contract::contract_text;
use crate::manifest::Toolchain;
use crate::{CatalogSnapshot, Column, Digest, Manifest, Relation, RelationKind, RelationName};

/// The file's name in the project root.
pub const LOCK_PATH: &str = "mxcp.lock";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub lock: u32,
    pub toolchain: Toolchain,
    /// `kind id` to the lines of its contract.
    pub endpoints: BTreeMap<String, Vec<String>>,
    /// Relation to its columns, each `name type` or `name type not null`.
    pub catalog: BTreeMap<String, LockedRelation>,
    /// Macros of the database that endpoints call.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub functions: BTreeSet<String>,
    pub sources: BTreeMap<String, Digest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedRelation {
    pub kind: RelationKind,
    pub columns: Vec<String>,
}

impl Lock {
    pub fn of(manifest: &Manifest) -> Self {
        let endpoints = manifest
            .endpoints
            .iter()
            .map(|e| {
                let lines = contract_text(e).lines().map(str::to_owned).collect();
                (format!("{} {}", e.kind, e.id()), lines)
            })
            .collect();
        let catalog = manifest
            .catalog
            .relations
            .iter()
            .map(|r| (relation_key(&r.name), LockedRelation::of(r)))
            .collect();
        Self {
            lock: 1,
            toolchain: manifest.toolchain.clone(),
            endpoints,
            catalog,
            functions: manifest.catalog.functions.clone(),
            sources: manifest.sources.clone(),
        }
    }

    /// The catalogue this lock remembers, for builds without a database.
    pub fn snapshot(&self) -> CatalogSnapshot {
        CatalogSnapshot::new(
            self.catalog
                .iter()
                .map(|(key, relation)| Relation {
                    name: parse_relation_key(key),
                    kind: relation.kind,
                    columns: relation.columns.iter().map(|c| parse_column(c)).collect(),
                })
                .collect(),
        )
        .with_functions(self.functions.clone())
    }
}

impl LockedRelation {
    fn of(relation: &Relation) -> Self {
        Self {
            kind: relation.kind,
            columns: relation
                .columns
                .iter()
                .map(|c| {
                    let null = if c.nullable { "" } else { " not null" };
                    format!(
                        "{} {}{null}",
                        crate::catalog::quote_identifier(&c.name),
                        c.ty
                    )
                })
                .collect(),
        }
    }
}

fn relation_key(name: &RelationName) -> String {
    let mut key = String::new();
    if let Some(catalog) = &name.catalog {
        key.push_str(catalog);
        key.push('.');
    }
    key.push_str(&name.schema);
    key.push('.');
    key.push_str(&name.name);
    key
}

// Names with dots in them are rare and only cost the offline fallback for that relation.
fn parse_relation_key(key: &str) -> RelationName {
    let parts: Vec<&str> = key.splitn(3, '.').collect();
    match parts.as_slice() {
        [catalog, schema, name] => RelationName {
            catalog: Some((*catalog).to_owned()),
            schema: (*schema).to_owned(),
            name: (*name).to_owned(),
        },
        [schema, name] => RelationName::in_schema(*schema, *name),
        _ => RelationName::main(key),
    }
}

fn parse_column(text: &str) -> Column {
    let (text, nullable) = match text.strip_suffix(" not null") {
        Some(rest) => (rest, false),
        None => (text, true),
    };
    let mut name = String::new();
    let mut rest = text;
    if let Some(mut quoted) = text.strip_prefix('"') {
        while let Some(end) = quoted.find('"') {
            name.push_str(&quoted[..end]);
            quoted = &quoted[end + 1..];
            match quoted.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    quoted = more;
                }
                None => break,
            }
        }
        rest = quoted;
    }
    Column {
        name,
        ty: SqlType::parse(rest),
        nullable,
    }
}
