//! What `ref` and `source` lead to beside models in SQL and seeds: Python models, snapshots, and
//! sources that are read where they lie.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_base::paths;
use serde_json::{Map, Value as Json};

use super::compile::unique_id;
use super::index::{find_node, property_files, sources};
use super::node::{is_enabled, node_relation};
use super::packages::package_name;
use super::python_models::python_files;
use super::snapshots::snapshots;
use crate::Db;
use crate::dbt::properties::{SourceProps, SourceTable};
use crate::surface::source_tables;

/// The unique id and the relation of a Python model or snapshot.
pub(crate) fn find(db: &dyn Db, name: &str) -> Option<(String, RelationName)> {
    let python = python_files(db)
        .iter()
        .find(|file| paths::stem(file.path(db)) == name && is_enabled(db, **file));
    if let Some(file) = python {
        return Some((unique_id(db, *file), node_relation(db, *file).clone()));
    }
    let snapshot = snapshots(db).get(name)?;
    Some((snapshot.unique_id(), snapshot.relation.clone()))
}

/// The unique id of what a `ref` leads to.
pub(crate) fn ref_id(db: &dyn Db, package: Option<&str>, name: &str) -> Option<String> {
    match find_node(db, package, name) {
        Some(file) => Some(unique_id(db, file)),
        None => find(db, name).map(|(id, _)| id),
    }
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_source_tables(
    db: &dyn Db,
) -> BTreeMap<(String, String), (String, Option<String>)> {
    let mut tables = BTreeMap::new();
    for file in property_files(db) {
        let package = package_name(db, file.path(db));
        for source in sources(db, *file) {
            for table in &source.tables {
                tables
                    .entry((source.name.clone(), table.name.clone()))
                    .or_insert_with(|| {
                        let id = format!("source.{package}.{}.{}", source.name, table.name);
                        (id, location(source, table))
                    });
            }
        }
    }
    tables
}

/// The unique id of a table of a source.
pub(crate) fn source_id(db: &dyn Db, source: &str, table: &str) -> Option<String> {
    let key = (source.to_owned(), table.to_owned());
    source_tables(db).get(&key).map(|(id, _)| id.clone())
}

/// The text that stands for a source that is not read as a relation.
pub(crate) fn external(db: &dyn Db, source: &str, table: &str) -> Option<String> {
    let key = (source.to_owned(), table.to_owned());
    source_tables(db).get(&key)?.1.clone()
}

/// The name of a table whose property file says that parts of it are written without quotes.
pub(super) fn plain_name(source: &SourceProps, table: &SourceTable) -> Option<String> {
    let layers = [&table.config, &table.others, &source.config, &source.others];
    let is_plain = |part: &str| {
        let said = |layer: &&Map<String, Json>| layer.get("quoting")?.get(part)?.as_bool();
        layers.iter().find_map(said) == Some(false)
    };
    let parts = [
        ("database", source.database.as_ref()),
        ("schema", Some(&source.schema)),
        ("identifier", Some(&table.identifier)),
    ];
    if !parts.iter().any(|(part, _)| is_plain(part)) {
        return None;
    }
    let written = parts.iter().filter_map(|(part, name)| {
        let name = (*name)?;
        Some(match is_plain(part) {
            true => name.clone(),
            false => mxcp_artifact::catalog::quote_identifier(name),
        })
    });
    Some(written.collect::<Vec<_>>().join("."))
}

fn location(source: &SourceProps, table: &SourceTable) -> Option<String> {
    // `config` outranks `meta`, and within each the table's own settings outrank the source's.
    let mut known: Map<String, Json> = Map::new();
    for (meta, config) in [(&source.meta, &source.config), (&table.meta, &table.config)] {
        known.extend(meta.clone());
        if let Some(Json::Object(meta)) = config.get("meta") {
            known.extend(meta.clone());
        }
    }
    for config in [&source.config, &table.config] {
        known.extend(config.clone());
    }
    let Some(Json::String(template)) = known.get("external_location").cloned() else {
        return plain_name(source, table);
    };
    let mut values: Vec<(String, String)> = known
        .iter()
        .map(|(key, value)| (key.clone(), mxcp_values::repr::text(value)))
        .collect();
    values.extend([
        ("name".to_owned(), table.name.clone()),
        ("identifier".to_owned(), table.identifier.clone()),
        ("schema".to_owned(), source.schema.clone()),
        (
            "database".to_owned(),
            source.database.clone().unwrap_or_default(),
        ),
    ]);
    let (open, close) = match known.get("formatter").and_then(Json::as_str) {
        Some("oldstyle") => ("%(", ")s"),
        Some("template") => ("${", "}"),
        _ => ("{", "}"),
    };
    let mut text = template;
    for (key, value) in values.iter().rev() {
        text = text.replace(&format!("{open}{key}{close}"), value);
    }
    if open == "{" {
        text = text.replace("{{", "{").replace("}}", "}");
    }
    let is_expression = text.contains('(') || text.starts_with('\'');
    Some(if is_expression {
        text
    } else {
        format!("'{text}'")
    })
}
