//! Sources, exposures and selectors for the graph.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{Age, Exposure, Freshness, Source};
use mxcp_base::SourceFile;
use mxcp_syntax::jinja;
use serde_json::{Map, Value as Json};

use super::docs::{described, described_columns};
use super::index::{dbt_project, properties, property_files, sources};
use super::others::{external, ref_id, source_id};
use super::packages::project_of;
use crate::Db;
use crate::dbt::config::resolve;
use crate::dbt::properties::{SourceProps, SourceTable};
use crate::dbt::{Resolved, Resolver, Resource};
use crate::documents::{find_file, parse_yaml};

/// The folders of a property file below the path it belongs to, after its package.
pub(super) fn folders(db: &dyn Db, path: &str) -> Vec<String> {
    let Some((def, inside)) = project_of(db, path) else {
        return Vec::new();
    };
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    parts.pop();
    if !parts.is_empty() {
        parts.remove(0);
    }
    parts.insert(0, def.name.clone());
    parts
}

/// The tables of all enabled sources, by unique id.
pub(super) fn source_nodes(db: &dyn Db) -> Vec<Source> {
    let mut found = Vec::new();
    for file in property_files(db) {
        for source in sources(db, *file) {
            let tables = source.tables.iter();
            found.extend(tables.filter_map(|table| source_node(db, *file, source, table)));
        }
    }
    found.sort_by(|a: &Source, b| a.unique_id.cmp(&b.unique_id));
    found.dedup_by(|a, b| a.unique_id == b.unique_id);
    found
}

/// The tables of a property file that are switched off.
pub(super) fn disabled_sources(db: &dyn Db, file: SourceFile) -> Vec<super::Disabled> {
    let Some(project) = dbt_project(db) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for source in sources(db, file) {
        for table in &source.tables {
            let mut fqn = folders(db, file.path(db));
            let Some(package) = fqn.first().cloned() else {
                continue;
            };
            fqn.extend([source.name.clone(), table.name.clone()]);
            let mut own = source.config.clone();
            crate::dbt::config::merge(&mut own, table.config.clone());
            let resolved = resolve(Resource::Source, &project.def, &fqn, &own, &Map::new());
            if !resolved.0.enabled {
                found.push(super::Disabled {
                    unique_id: format!("source.{package}.{}.{}", source.name, table.name),
                    name: table.name.clone(),
                    path: super::in_package(db, file.path(db)).1.to_owned(),
                    package,
                    fqn,
                });
            }
        }
    }
    found
}

fn source_node(
    db: &dyn Db,
    file: SourceFile,
    source: &SourceProps,
    table: &SourceTable,
) -> Option<Source> {
    let mut fqn = folders(db, file.path(db));
    let package = fqn.first()?.clone();
    fqn.extend([source.name.clone(), table.name.clone()]);
    let mut own = source.config.clone();
    crate::dbt::config::merge(&mut own, table.config.clone());
    let (config, _) = resolve(
        Resource::Source,
        &dbt_project(db)?.def,
        &fqn,
        &own,
        &Map::new(),
    );
    if !config.enabled {
        return None;
    }
    let mut tags: Vec<String> = [&source.tags, &table.tags, &config.tags]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    tags.sort();
    tags.dedup();
    let mut meta = source.meta.clone();
    meta.extend(table.meta.clone());
    meta.extend(config.meta.clone());
    Some(Source {
        unique_id: format!("source.{package}.{}.{}", source.name, table.name),
        source: source.name.clone(),
        name: table.name.clone(),
        package,
        path: file.path(db).to_owned(),
        fqn,
        relation: source.relation(table),
        tags,
        description: table
            .description
            .as_deref()
            .map(|text| described(db, file.path(db), text)),
        columns: described_columns(db, file, &table.columns),
        meta: meta.into_iter().collect(),
        freshness: freshness(source, table, &config.raw),
        location: external(db, &source.name, &table.name),
        details: source_details(db, file, source, table),
    })
}

fn source_details(
    db: &dyn Db,
    file: SourceFile,
    source: &SourceProps,
    table: &SourceTable,
) -> BTreeMap<String, Json> {
    let mut details = BTreeMap::new();
    let mut add = |key: &str, value: Option<Json>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            details.insert(key.to_owned(), value);
        }
    };
    let plain = super::others::plain_name(source, table);
    add("plain", plain.map(Json::from));
    let loader = table.others.get("loader").or(source.others.get("loader"));
    add("loader", loader.cloned());
    let text = source.description.as_deref();
    let text = text.map(|text| described(db, file.path(db), text).into());
    add("source_description", text);
    let time = table.config.get("event_time");
    add(
        "event_time",
        time.or(source.config.get("event_time")).cloned(),
    );
    add("external", table.others.get("external").cloned());
    let mut meta = source.meta.clone();
    if let Some(Json::Object(more)) = source.config.get("meta") {
        meta.extend(more.clone());
    }
    add("source_meta", (!meta.is_empty()).then(|| meta.into()));
    details
}

/// A table's own word, else the source's; an explicit null switches it off.
fn freshness(
    source: &SourceProps,
    table: &SourceTable,
    config: &Map<String, Json>,
) -> Option<Freshness> {
    let find = |key: &str| {
        [
            &table.config,
            &table.others,
            &source.config,
            &source.others,
            config,
        ]
        .into_iter()
        .find_map(|layer| layer.get(key))
    };
    // The table's limits are read into the source's, one by one.
    let limit = |key: &str| {
        for layer in [
            &table.config,
            &table.others,
            &source.config,
            &source.others,
            config,
        ] {
            match layer.get("freshness") {
                Some(Json::Object(map)) => {
                    if let Some(value) = map.get(key) {
                        return Some(value);
                    }
                }
                Some(Json::Null) => return None,
                _ => {}
            }
        }
        None
    };
    let off = [&table.config, &table.others]
        .into_iter()
        .find_map(|layer| layer.get("freshness"))
        .is_some_and(Json::is_null);
    find("freshness").filter(|_| !off)?;
    let text = |value: Option<&Json>| {
        value
            .filter(|value| !value.is_null())
            .map(mxcp_values::repr::text)
    };
    let age = |value: Option<&Json>| {
        let value = value?;
        Some(Age {
            count: u32::try_from(value.get("count")?.as_u64()?).ok()?,
            period: value.get("period")?.as_str()?.to_owned(),
        })
    };
    Some(Freshness {
        loaded_at_field: text(find("loaded_at_field")),
        loaded_at_query: text(find("loaded_at_query")),
        filter: text(limit("filter")),
        warn_after: age(limit("warn_after")),
        error_after: age(limit("error_after")),
    })
}

/// The unique ids that texts such as `ref('orders')` lead to, sorted.
pub(super) fn named_ids(db: &dyn Db, texts: &[Json]) -> Vec<String> {
    let mut ids: Vec<String> = texts
        .iter()
        .filter_map(|text| {
            let template = jinja::scan(&format!("{{{{ {} }}}}", text.as_str()?));
            let call = template.calls.first()?;
            let argument = |i: usize| call.str_arg(i).map(str::to_owned);
            match (call.name.as_str(), call.args.len()) {
                ("ref", 1) => ref_id(db, None, &argument(0)?),
                ("ref", 2) => ref_id(db, Some(&argument(0)?), &argument(1)?),
                ("source", 2) => source_id(db, &argument(0)?, &argument(1)?),
                _ => None,
            }
        })
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The relation that a text such as `ref('orders')` leads to.
pub(super) fn named_relation(db: &dyn Db, text: &str) -> Option<RelationName> {
    let template = jinja::scan(&format!("{{{{ {text} }}}}"));
    let call = template.calls.first()?;
    let names = super::node::Names { db };
    let found = match (call.name.as_str(), call.args.len()) {
        ("ref", 1) => names.resolve_ref(None, call.str_arg(0)?),
        ("ref", 2) => names.resolve_ref(Some(call.str_arg(0)?), call.str_arg(1)?),
        ("source", 2) => names.resolve_source(call.str_arg(0)?, call.str_arg(1)?),
        _ => return None,
    };
    match found {
        Resolved::Relation(relation) => Some(relation),
        _ => None,
    }
}

pub(super) fn exposures(db: &dyn Db) -> Vec<Exposure> {
    let mut found = Vec::new();
    for file in property_files(db) {
        let Some(Json::Array(entries)) = properties(db, *file).0.others.get("exposures") else {
            continue;
        };
        for entry in entries {
            let Some(name) = entry.get("name").and_then(Json::as_str) else {
                continue;
            };
            let config = entry.get("config");
            if config.and_then(|c| c.get("enabled")) == Some(&Json::Bool(false)) {
                continue;
            }
            let mut fqn = folders(db, file.path(db));
            let package = fqn.first().cloned().unwrap_or_default();
            fqn.push(name.to_owned());
            let tags = entry
                .get("tags")
                .or_else(|| config.and_then(|c| c.get("tags")));
            let depends_on = entry.get("depends_on").and_then(Json::as_array);
            found.push(Exposure {
                unique_id: format!("exposure.{package}.{name}"),
                name: name.to_owned(),
                package,
                path: file.path(db).to_owned(),
                fqn,
                tags: match tags {
                    Some(Json::Array(tags)) => tags.iter().map(mxcp_values::repr::text).collect(),
                    Some(Json::String(tag)) => vec![tag.clone()],
                    _ => Vec::new(),
                },
                depends_on: named_ids(db, depends_on.map_or(&[], Vec::as_slice)),
                details: exposure_details(db, *file, entry),
            });
        }
    }
    found.sort_by(|a: &Exposure, b| a.unique_id.cmp(&b.unique_id));
    found
}

/// What an exposure says of itself.
fn exposure_details(db: &dyn Db, file: SourceFile, entry: &Json) -> BTreeMap<String, Json> {
    let keys = [
        "type", "url", "maturity", "label", "owner", "meta", "config",
    ];
    let mut details: BTreeMap<String, Json> = keys
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), entry.get(key)?.clone())))
        .collect();
    if let Some(text) = entry.get("description").and_then(Json::as_str) {
        let text = described(db, file.path(db), text);
        details.insert("description".to_owned(), text.into());
    }
    details
}

/// The definitions of `selectors.yml`.
pub(super) fn selectors(db: &dyn Db) -> BTreeMap<String, Json> {
    let Some(file) = find_file(db, "selectors.yml") else {
        return BTreeMap::new();
    };
    let yaml = parse_yaml(db, file);
    let entries = yaml.lookup("selectors").into_iter().flat_map(|l| l.items());
    entries
        .filter_map(|entry| {
            let name = entry.get("name")?.as_str()?.to_owned();
            Some((name, entry.get("definition")?.to_json()))
        })
        .collect()
}
