//! Which files belong to the dbt layer, and what their names lead to.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_base::{SourceFile, paths};

use super::node::{is_enabled, is_ephemeral, node_relation};
use crate::Db;
use crate::dbt::{
    MacroFile, MacroSet, Problem, ProjectDef, PropertyFile, ephemeral, lower_project,
    lower_properties,
};
use crate::documents::{DocumentKind, files_of, find_file, parse_yaml, site};
use crate::relations::RelationKey;

pub(crate) const PROJECT_FILE: &str = "dbt_project.yml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DbtProject {
    pub def: ProjectDef,
    pub problems: Vec<Problem>,
}

/// The project file; `None` when there is none or the site file switches dbt off.
#[salsa::tracked(returns(as_ref))]
pub(crate) fn dbt_project(db: &dyn Db) -> Option<DbtProject> {
    let file = find_file(db, PROJECT_FILE)?;
    if site(db).is_some_and(|site| !site.dbt.enabled) {
        return None;
    }
    let (def, problems) = lower_project(parse_yaml(db, file));
    Some(DbtProject { def, problems })
}

/// What a path is to the dbt layer, if anything.
pub fn dbt_kind(db: &dyn Db, path: &str) -> Option<DocumentKind> {
    let def = &dbt_project(db)?.def;
    if path == PROJECT_FILE {
        return Some(DocumentKind::DbtProject);
    }
    let below = |dirs: &[String]| {
        dirs.iter()
            .any(|d| paths::is_below(path, &paths::directory(d)))
    };
    // What was installed or generated is not part of the project's own sources.
    if below(std::slice::from_ref(&def.packages_install_path))
        || below(std::slice::from_ref(&def.target_path))
    {
        return None;
    }
    let extension = paths::extension(path);
    let resources = [
        (&def.model_paths, "sql", DocumentKind::DbtModel),
        (&def.seed_paths, "csv", DocumentKind::DbtSeed),
        (&def.macro_paths, "sql", DocumentKind::DbtMacro),
        (&def.test_paths, "sql", DocumentKind::DbtTest),
    ];
    for (dirs, wanted, kind) in resources {
        if !below(dirs) {
            continue;
        }
        if extension == wanted {
            // Generic tests live in a folder of their own below the test path.
            if kind == DocumentKind::DbtTest && path.contains("/generic/") {
                return Some(DocumentKind::DbtMacro);
            }
            return Some(kind);
        }
        if matches!(extension, "yml" | "yaml") {
            return Some(DocumentKind::DbtProperties);
        }
    }
    let others = [&def.snapshot_paths, &def.analysis_paths];
    (others.iter().any(|dirs| below(dirs)) && matches!(extension, "yml" | "yaml"))
        .then_some(DocumentKind::DbtProperties)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn model_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtModel)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn seed_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtSeed)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn singular_test_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtTest)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn property_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtProperties)
}

#[salsa::tracked(returns(ref))]
fn macro_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtMacro)
}

/// A property file's entries, and what is wrong with them.
#[salsa::tracked(returns(ref))]
pub(crate) fn properties(db: &dyn Db, file: SourceFile) -> (PropertyFile, Vec<Problem>) {
    lower_properties(parse_yaml(db, file))
}

/// The macros that templates may call.
#[salsa::tracked(returns(ref), no_eq)]
pub(crate) fn macro_set(db: &dyn Db) -> MacroSet {
    let Some(project) = dbt_project(db) else {
        return MacroSet::empty("");
    };
    let files = macro_files(db)
        .iter()
        .map(|file| MacroFile {
            package: project.def.name.clone(),
            path: file.path(db).to_owned(),
            text: file.text(db).to_owned(),
        })
        .collect();
    MacroSet::new(&project.def.name, &project.def.dispatch, files)
}

pub(crate) fn node_name(db: &dyn Db, file: SourceFile) -> &str {
    paths::stem(file.path(db))
}

/// Enabled models and seeds by name: what `ref` can lead to. With two of a name the first path wins.
#[salsa::tracked(returns(ref))]
pub(crate) fn ref_index(db: &dyn Db) -> BTreeMap<String, SourceFile> {
    let mut index = BTreeMap::new();
    for file in model_files(db).iter().chain(seed_files(db)) {
        if is_enabled(db, *file) {
            index
                .entry(node_name(db, *file).to_owned())
                .or_insert(*file);
        }
    }
    index
}

/// Relations of declared sources: `(source, table)` to where it is.
#[salsa::tracked(returns(ref))]
pub(crate) fn source_index(db: &dyn Db) -> BTreeMap<(String, String), RelationName> {
    let mut index = BTreeMap::new();
    for file in property_files(db) {
        for source in &properties(db, *file).0.sources {
            for table in &source.tables {
                index
                    .entry((source.name.clone(), table.name.clone()))
                    .or_insert_with(|| RelationName {
                        catalog: source.database.clone(),
                        schema: source.schema.clone(),
                        name: table.identifier.clone(),
                    });
            }
        }
    }
    index
}

/// Folded relation names to the nodes that make them. An ephemeral model is found under the name of
/// the common table expression it becomes.
#[salsa::tracked(returns(ref))]
pub(crate) fn relation_index(db: &dyn Db) -> BTreeMap<RelationName, SourceFile> {
    ref_index(db)
        .values()
        .map(|file| {
            let name = if is_ephemeral(db, *file) {
                RelationName::main(ephemeral::cte_name(node_name(db, *file)))
            } else {
                node_relation(db, *file).clone()
            };
            (name.folded(), *file)
        })
        .collect()
}

/// The node behind a relation name. Reading through here keeps a new model from reaching queries
/// about other relations.
#[salsa::tracked(returns(copy))]
pub fn model_for_relation<'db>(db: &'db dyn Db, key: RelationKey<'db>) -> Option<SourceFile> {
    relation_index(db).get(key.name(db)).copied()
}

/// The relations that the dbt layer makes, as users write them.
#[salsa::tracked(returns(ref))]
pub fn relation_names(db: &dyn Db) -> Vec<String> {
    ref_index(db)
        .values()
        .filter(|file| !is_ephemeral(db, **file))
        .map(|file| node_relation(db, *file).to_string())
        .collect()
}
