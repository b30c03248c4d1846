//! Where a node's configuration is written: in its template, in a property file or in the project file,
//! the first of them that has the key.

use mxcp_base::{SourceFile, TextRange};
use mxcp_syntax::jinja;
use mxcp_syntax::yaml::join_pointer;
use serde_json::{Map, Value as Json};

use super::index::{PROJECT_FILE, dbt_project, properties};
use super::node::{fqn, node_properties, resource};
use crate::Db;
use crate::dbt::{ModelProps, Resource};
use crate::documents::find_file;
use crate::finding::Anchor;

/// The place of a configuration key, or of an entry below it; else the start of the node's file.
pub(super) fn config_anchor(
    db: &dyn Db,
    node: SourceFile,
    key: &str,
    below: Option<&str>,
) -> Anchor {
    in_template(db, node, key)
        .or_else(|| in_properties(db, node, key, below))
        .or_else(|| in_project(db, node, key, below))
        .unwrap_or_else(|| start(node))
}

/// The first line of a file: what is wrong with it as a whole.
pub(super) fn start(file: SourceFile) -> Anchor {
    Anchor::text(file, TextRange::empty(0.into()))
}

fn same(written: &str, key: &str) -> bool {
    written == key || written.replace('_', "-") == key.replace('_', "-")
}

fn in_template(db: &dyn Db, node: SourceFile, key: &str) -> Option<Anchor> {
    if resource(db, node) == Resource::Seed {
        return None;
    }
    let template = jinja::scan(node.text(db));
    let calls = template.calls.iter().filter(|c| c.name == "config");
    let argument = calls
        .flat_map(|call| &call.kwargs)
        .rfind(|(name, _)| same(name, key))?;
    Some(Anchor::text(node, argument.1.range))
}

fn in_properties(db: &dyn Db, node: SourceFile, key: &str, below: Option<&str>) -> Option<Anchor> {
    let all = node_properties(db, node)?;
    let is_seed = resource(db, node) == Resource::Seed;
    for file in &all.parts {
        let entries = &properties(db, *file).0;
        let list: &[ModelProps] = if is_seed {
            &entries.seeds
        } else {
            &entries.models
        };
        for entry in list.iter().filter(|e| e.name == all.props.name) {
            let Some((written, value)) = entry.config.iter().find(|(k, _)| same(k, key)) else {
                continue;
            };
            let pointer = join_pointer(&format!("{}/config", entry.place.pointer), written);
            return Some(match entry_below(value, below) {
                Some(name) => Anchor::key(*file, join_pointer(&pointer, name)),
                None => Anchor::value(*file, pointer),
            });
        }
    }
    None
}

fn entry_below<'v>(value: &'v Json, below: Option<&str>) -> Option<&'v String> {
    let below = below?;
    let names = value.as_object()?.keys();
    names
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(below))
}

fn in_project(db: &dyn Db, node: SourceFile, key: &str, below: Option<&str>) -> Option<Anchor> {
    let file = find_file(db, PROJECT_FILE)?;
    let def = &dbt_project(db)?.def;
    let (section, mut tree): (&str, &Map<String, Json>) = match resource(db, node) {
        Resource::Seed => ("seeds", &def.seeds),
        Resource::Test => ("tests", &def.tests),
        _ => ("models", &def.models),
    };
    let mut pointer = format!("/{section}");
    let mut found = None;
    let mut look = |tree: &Map<String, Json>, pointer: &str| {
        let written = tree
            .iter()
            .find(|(k, _)| same(k.trim_start_matches('+'), key));
        if let Some((written, value)) = written {
            let pointer = join_pointer(pointer, written);
            match entry_below(value, below) {
                Some(name) => found = Some(Anchor::key(file, join_pointer(&pointer, name))),
                None if below.is_some() && found.is_some() => {}
                None => found = Some(Anchor::value(file, pointer)),
            }
        }
    };
    look(tree, &pointer);
    for segment in fqn(db, node) {
        let Some(Json::Object(child)) = tree.get(&segment) else {
            break;
        };
        tree = child;
        pointer = join_pointer(&pointer, &segment);
        look(tree, &pointer);
    }
    found
}
