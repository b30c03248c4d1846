//! What dbt's own artifacts hold and the locked manifest does not: the text of templates and macros,
//! and the docs blocks.

use std::collections::BTreeMap;

use mxcp_base::paths;

use super::compile::unique_id;
use super::index::{dbt_project, macro_files, nodes};
use super::node::node_properties;
use super::packages::package_name;
use crate::Db;
use crate::dbt::macros::{MacroKind, lower_macros};

/// For `target/manifest.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ecosystem {
    pub project: String,
    pub macros: Vec<MacroEntry>,
    /// Docs blocks by unique id, with their path and text.
    pub docs: BTreeMap<String, (String, String, String)>,
    /// The property file that speaks of a node, by unique id.
    pub patches: BTreeMap<String, String>,
    /// The folder for what a run writes.
    pub target_path: String,
    pub clean_targets: Vec<String>,
    pub packages_path: String,
    /// The profile of dbt that the project file names.
    pub profile: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroEntry {
    pub unique_id: String,
    pub package: String,
    pub name: String,
    pub path: String,
    /// From the opening tag to the closing one.
    pub sql: String,
}

/// `None` when there is no dbt project.
pub fn ecosystem(db: &dyn Db) -> Option<Ecosystem> {
    let def = &dbt_project(db)?.def;
    let mut found = Ecosystem {
        project: def.name.clone(),
        target_path: def.target_path.clone(),
        clean_targets: def.clean_targets.clone(),
        packages_path: def.packages_install_path.clone(),
        profile: def.profile.clone(),
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
            found.macros.push(MacroEntry {
                unique_id: format!("macro.{package}.{name}"),
                package: package.to_owned(),
                name,
                path: file.path(db).to_owned(),
                sql: part(text, &def.range).to_owned(),
            });
        }
    }
    for file in nodes(db) {
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
    Some(found)
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
