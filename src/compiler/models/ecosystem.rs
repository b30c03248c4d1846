//! What dbt's own artifacts hold and the locked manifest does not: the text of templates and macros,
//! and the docs blocks.

use std::collections::BTreeMap;

use mxcp_base::paths;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::compile::unique_id;
use super::data_tests::called_by_tests;
use super::index::{
    analysis_files, dbt_project, macro_files, macro_set, node_name, nodes, properties,
    property_files, singular_test_files,
};
use super::node::{node_properties, render_model};
use super::packages::{in_package, package_name};
use super::python_models::python_files;
use super::snapshots::snapshots;
use crate::Db;
use crate::dbt::macros::{MacroKind, lower_macros};
use crate::documents::{DocumentKind, document_kind};

/// For `target/manifest.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ecosystem {
    pub project: String,
    pub macros: Vec<MacroEntry>,
    /// Docs blocks by unique id, with their path and text.
    pub docs: BTreeMap<String, (String, String, String)>,
    /// The property file that speaks of a node, by unique id.
    pub patches: BTreeMap<String, String>,
    pub groups: Vec<Group>,
    /// Unique ids of the macros that a node calls itself, by its unique id.
    pub called: BTreeMap<String, Vec<String>>,
    /// Which of database, schema and identifier are written without quotes.
    pub plain: [bool; 3],
}

/// What a command has to know before it can say which target it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    pub project: String,
    /// The folder for what a run writes.
    pub target_path: String,
    /// The profile of dbt that the project file names.
    pub profile: Option<String>,
}

/// `None` when there is no dbt project.
pub fn heading(db: &dyn Db) -> Option<Heading> {
    let def = &dbt_project(db)?.def;
    Some(Heading {
        project: def.name.clone(),
        target_path: def.target_path.clone(),
        profile: def.profile.clone(),
    })
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacroEntry {
    pub unique_id: String,
    pub package: String,
    pub name: String,
    pub path: String,
    /// From the opening tag to the closing one.
    pub sql: String,
    /// Unique ids of the macros it names.
    pub calls: Vec<String>,
}

/// Who owns models, as a property file says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub unique_id: String,
    pub name: String,
    pub package: String,
    pub path: String,
    pub entry: Json,
}

pub fn ecosystem(db: &dyn Db) -> Ecosystem {
    let Some(project) = dbt_project(db) else {
        return Ecosystem::default();
    };
    let def = &project.def;
    let mut found = Ecosystem {
        project: def.name.clone(),
        plain: super::node::target(db).plain,
        ..Ecosystem::default()
    };
    for file in macro_files(db) {
        let text = file.text(db);
        let package = package_name(db, file.path(db));
        for def in lower_macros(text).0 {
            let name = match def.kind {
                MacroKind::Macro => def.name.clone(),
                MacroKind::Test => format!("test_{}", def.name),
                MacroKind::Materialization => format!("materialization_{}", def.name),
                MacroKind::Snapshot | MacroKind::Docs => continue,
            };
            let sql = part(text, &def.range);
            let unique_id = format!("macro.{package}.{name}");
            let mut calls = macro_set(db).calls_of(package, sql);
            calls.retain(|id| *id != unique_id);
            found.macros.push(MacroEntry {
                unique_id,
                calls,
                package: package.to_owned(),
                name,
                path: file.path(db).to_owned(),
                sql: sql.to_owned(),
            });
        }
    }
    for file in property_files(db) {
        let Some(Json::Array(entries)) = properties(db, *file).0.others.get("groups") else {
            continue;
        };
        let (package, path) = in_package(db, file.path(db));
        for entry in entries {
            if let Some(name) = entry.get("name").and_then(Json::as_str) {
                found.groups.push(Group {
                    unique_id: format!("group.{package}.{name}"),
                    name: name.to_owned(),
                    package: package.to_owned(),
                    path: path.to_owned(),
                    entry: entry.clone(),
                });
            }
        }
    }
    for snapshot in snapshots(db).values() {
        if let Some((file, _)) = &snapshot.props {
            let path = file.path(db).to_owned();
            found.patches.insert(snapshot.unique_id(), path);
        }
    }
    for file in singular_test_files(db) {
        if let Some(part) = node_properties(db, *file).and_then(|p| p.parts.first()) {
            let package = package_name(db, file.path(db));
            let id = format!("test.{package}.{}", node_name(db, *file));
            found.patches.insert(id, part.path(db).to_owned());
        }
    }
    found.called.extend(called_by_tests(db));
    for (when, hooks) in [("start", &def.on_run_start), ("end", &def.on_run_end)] {
        for (i, sql) in hooks.iter().enumerate() {
            let id = format!("operation.{0}.{0}-on-run-{when}-{i}", def.name);
            let macros = macro_set(db).calls_of(&def.name, sql);
            found.called.insert(id, macros);
        }
    }
    for file in nodes(db).iter().chain(analysis_files(db)) {
        let macros = match document_kind(db, *file) {
            DocumentKind::DbtSeed => continue,
            _ => render_model(db, *file).macros.iter().cloned().collect(),
        };
        found.called.insert(unique_id(db, *file), macros);
    }
    for file in python_files(db) {
        let loader = vec!["macro.dbt.py_script_postfix".to_owned()];
        found.called.insert(unique_id(db, *file), loader);
    }
    let others = python_files(db).iter().chain(analysis_files(db));
    for file in nodes(db).iter().chain(others) {
        let part = node_properties(db, *file).and_then(|properties| properties.parts.first());
        if let Some(part) = part {
            let path = part.path(db).to_owned();
            found.patches.insert(unique_id(db, *file), path);
        }
    }
    for (path, file) in mxcp_base::FileSet::get(db).files(db) {
        if paths::extension(path) != "md" {
            continue;
        }
        let text = file.text(db);
        for def in lower_macros(text).0 {
            if def.kind == MacroKind::Docs {
                let whole = part(text, &def.range);
                found.docs.insert(
                    format!("doc.{}.{}", found.project, def.name),
                    (def.name, path.to_owned(), inner(whole).trim().to_owned()),
                );
            }
        }
    }
    found
}

/// dbt's digest of names that are too long.
pub fn short_digest(text: &str) -> String {
    crate::dbt::md5_hex(text)
}

fn part<'t>(text: &'t str, range: &std::ops::Range<u32>) -> &'t str {
    text.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

/// What stands between the first tag and the last.
fn inner(block: &str) -> &str {
    let start = block.find("%}").map_or(0, |at| at + 2);
    let end = block.rfind("{%").unwrap_or(block.len());
    block.get(start..end).unwrap_or_default()
}
