//! Which files belong to the dbt layer, and what their names lead to.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_base::{FileSet, SourceFile, paths};

use super::node::{is_enabled, is_ephemeral, node_relation, target_of, yaml_context_of};
use super::packages::{package_name, package_of, packages};
use super::versions::version_names;
use crate::Db;
use crate::dbt::values::{YamlContext, render_settings};
use crate::dbt::{
    MacroFile, MacroSet, Problem, ProjectDef, PropertyFile, SourceProps, ephemeral, lower_project,
    lower_properties,
};
use crate::documents::{
    DocumentKind, FilePath, files_of, find_file, parse_yaml, python_module, site,
};
use crate::inputs::dbt_inputs;
use crate::relations::RelationKey;
use crate::surface;
use crate::surface::unbuilt_models;
pub(crate) use crate::surface::{
    package_index, ref_index, relation_index, source_index, untyped_nodes,
};

pub(crate) const PROJECT_FILE: &str = "dbt_project.yml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DbtProject {
    pub def: ProjectDef,
    pub problems: Vec<Problem>,
}

/// The project file; `None` when there is none or the site file switches dbt off.
pub(crate) fn dbt_project(db: &dyn Db) -> Option<&DbtProject> {
    surface::settled_dbt_project(db).as_ref()
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_dbt_project(db: &dyn Db) -> Option<DbtProject> {
    let file = find_file(db, PROJECT_FILE)?;
    if site(db).is_some_and(|site| !site.dbt.enabled) {
        return None;
    }
    let (mut def, problems) = lower_project(parse_yaml(db, file));
    let context = YamlContext {
        package: def.name.clone(),
        // The file's own variables are not there yet when it is read.
        vars: dbt_inputs(db).vars.clone(),
        target: target_of(db, def.profile.as_deref()),
        macros: MacroSet::empty(&def.name),
        env: dbt_inputs(db).env.clone(),
    };
    for settings in [
        &mut def.models,
        &mut def.seeds,
        &mut def.tests,
        &mut def.snapshots,
        &mut def.sources,
    ] {
        render_settings(settings, &context);
    }
    Some(DbtProject { def, problems })
}

/// What a path is to the dbt layer, if anything.
pub fn dbt_kind(db: &dyn Db, path: &str) -> Option<DocumentKind> {
    let def = &dbt_project(db)?.def;
    if path == PROJECT_FILE {
        return Some(DocumentKind::DbtProject);
    }
    if let Some(package) = package_of(db, path) {
        return kind_in(&package.def, path.strip_prefix(package.dir.as_str())?);
    }
    if super::ignored::is_ignored(db, path) {
        return None;
    }
    kind_in(def, path)
}

fn kind_in(def: &ProjectDef, path: &str) -> Option<DocumentKind> {
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
        (&def.analysis_paths, "sql", DocumentKind::DbtAnalysis),
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
            if kind == DocumentKind::DbtTest && path.contains("/fixtures/") {
                return None;
            }
            return Some(kind);
        }
        if matches!(extension, "yml" | "yaml") {
            return Some(DocumentKind::DbtProperties);
        }
    }
    (below(&def.snapshot_paths) && matches!(extension, "yml" | "yaml"))
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
pub(crate) fn analysis_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtAnalysis)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn property_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtProperties)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn macro_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| kind == DocumentKind::DbtMacro)
}

/// A property file's entries, and what is wrong with them.
#[salsa::tracked(returns(ref))]
pub(crate) fn properties(db: &dyn Db, file: SourceFile) -> (PropertyFile, Vec<Problem>) {
    lower_properties(parse_yaml(db, file))
}

/// The sources of a property file, with the Jinja in their names rendered.
#[salsa::tracked(returns(ref))]
pub(crate) fn sources(db: &dyn Db, file: SourceFile) -> Vec<SourceProps> {
    let sources = &properties(db, file).0.sources;
    if sources.is_empty() {
        return Vec::new();
    }
    let context = yaml_context_of(db, file.path(db));
    sources.iter().map(|s| s.rendered(&context)).collect()
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
            package: package_name(db, file.path(db)).to_owned(),
            path: file.path(db).to_owned(),
            text: file.text(db).to_owned(),
        })
        .collect();
    let packages = packages(db).clone();
    MacroSet::with_packages(&project.def.name, &project.def.dispatch, files, packages)
}

pub(crate) fn node_name(db: &dyn Db, file: SourceFile) -> &str {
    paths::stem(file.path(db))
}

/// The files of models and seeds that share their name with others, models first.
#[salsa::tracked(returns(ref))]
pub(crate) fn namesakes(db: &dyn Db) -> BTreeMap<String, Vec<SourceFile>> {
    let mut files: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
    for file in model_files(db).iter().chain(seed_files(db)) {
        let name = node_name(db, *file).to_owned();
        files.entry(name).or_default().push(*file);
    }
    files.retain(|_, files| files.len() > 1);
    files
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_ref_index(db: &dyn Db) -> BTreeMap<String, SourceFile> {
    let mut index = BTreeMap::new();
    for own in [true, false] {
        for file in model_files(db).iter().chain(seed_files(db)) {
            if package_of(db, file.path(db)).is_none() == own && is_enabled(db, *file) {
                index
                    .entry(node_name(db, *file).to_owned())
                    .or_insert(*file);
            }
        }
    }
    for (name, files) in version_names(db) {
        if let Some(file) = files.iter().find_map(|file| index.get(file)).copied() {
            index.entry(name.clone()).or_insert(file);
        }
    }
    index
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_package_index(db: &dyn Db) -> BTreeMap<(String, String), SourceFile> {
    let mut index = BTreeMap::new();
    for file in model_files(db).iter().chain(seed_files(db)) {
        if is_enabled(db, *file) {
            let package = package_name(db, file.path(db)).to_owned();
            index
                .entry((package, node_name(db, *file).to_owned()))
                .or_insert(*file);
        }
    }
    index
}

/// The model or seed that a `ref` leads to.
pub(crate) fn find_node(db: &dyn Db, package: Option<&str>, name: &str) -> Option<SourceFile> {
    let found = ref_index(db).get(name).copied();
    let Some(package) = package else {
        return found;
    };
    match found {
        Some(file) if package_name(db, file.path(db)) == package => found,
        _ => package_index(db)
            .get(&(package.to_owned(), name.to_owned()))
            .copied(),
    }
}

/// The nodes themselves, each once: a version of a model has several names.
#[salsa::tracked(returns(ref))]
pub(crate) fn nodes(db: &dyn Db) -> Vec<SourceFile> {
    ref_index(db)
        .iter()
        .filter(|(name, file)| node_name(db, **file) == *name)
        .map(|(_, file)| *file)
        .collect()
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_untyped_nodes(db: &dyn Db) -> BTreeMap<String, String> {
    let mut nodes = BTreeMap::new();
    let Some(project) = dbt_project(db) else {
        return nodes;
    };
    let below = |path: &str, dirs: &[String]| {
        dirs.iter()
            .any(|d| paths::is_below(path, &paths::directory(d)))
    };
    for (path, file) in FileSet::get(db).files(db) {
        let is_snapshot = below(path, &project.def.snapshot_paths);
        match paths::extension(path) {
            "py" if below(path, &project.def.model_paths) => {
                let is_model = python_module(db, *file).function("model").is_some();
                if is_model {
                    nodes.insert(paths::stem(path).to_owned(), path.clone());
                }
            }
            "sql" if is_snapshot => {
                for name in snapshot_names(file.text(db)) {
                    nodes.insert(name.to_owned(), path.clone());
                }
            }
            "yml" | "yaml" if is_snapshot || below(path, &project.def.model_paths) => {
                let yaml = parse_yaml(db, *file);
                let names = yaml
                    .lookup("snapshots")
                    .into_iter()
                    .flat_map(|list| list.items())
                    .filter_map(|entry| entry.get("name")?.as_str());
                nodes.extend(names.map(|name| (name.to_owned(), path.clone())));
                // Each version of a model is a relation of its own.
                for model in yaml.lookup("models").into_iter().flat_map(|l| l.items()) {
                    let name = model.get("name").and_then(|n| n.as_str());
                    let versions = model.get("versions").into_iter().flat_map(|l| l.items());
                    nodes.extend(versions.filter_map(|version| {
                        let number = version.get("v")?.scalar()?;
                        Some((format!("{}_v{number}", name?), path.clone()))
                    }));
                }
            }
            _ => {}
        }
    }
    nodes
}

/// The names in `{% snapshot NAME %}`.
fn snapshot_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{%").skip(1).filter_map(|tag| {
        let mut words = tag.trim_start_matches(['-', '+']).split_whitespace();
        (words.next() == Some("snapshot"))
            .then(|| words.next())
            .flatten()
    })
}

/// The file of such a node, in any case of its name.
#[salsa::tracked(returns(as_ref))]
fn untyped_node_file<'db>(db: &'db dyn Db, name: FilePath<'db>) -> Option<String> {
    untyped_nodes(db)
        .iter()
        .find(|(node, _)| node.eq_ignore_ascii_case(name.text(db)))
        .map(|(_, path)| path.clone())
}

/// The file of the untyped node that makes a relation of this name.
pub fn untyped_node<'db>(db: &'db dyn Db, name: &str) -> Option<&'db String> {
    untyped_node_file(db, FilePath::new(db, name.to_owned()))
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_source_index(db: &dyn Db) -> BTreeMap<(String, String), RelationName> {
    let mut index = BTreeMap::new();
    for file in property_files(db) {
        for source in sources(db, *file) {
            for table in &source.tables {
                index
                    .entry((source.name.clone(), table.name.clone()))
                    .or_insert_with(|| source.relation(table));
            }
        }
    }
    index
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_relation_index(db: &dyn Db) -> BTreeMap<RelationName, SourceFile> {
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

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_unbuilt_models(
    db: &dyn Db,
) -> BTreeMap<RelationName, (SourceFile, &'static str)> {
    model_files(db)
        .iter()
        .filter_map(|file| {
            let why = if !is_enabled(db, *file) {
                "disabled"
            } else if is_ephemeral(db, *file) {
                "ephemeral"
            } else {
                return None;
            };
            Some((node_relation(db, *file).folded(), (*file, why)))
        })
        .collect()
}

/// The model of a relation that some model of that name no longer makes.
#[salsa::tracked(returns(copy))]
pub(crate) fn unbuilt_model<'db>(
    db: &'db dyn Db,
    key: RelationKey<'db>,
) -> Option<(SourceFile, &'static str)> {
    if model_for_relation(db, key).is_some() {
        return None;
    }
    unbuilt_models(db).get(key.name(db)).copied()
}

/// The relations that the dbt layer makes, as users write them.
pub fn relation_names(db: &dyn Db) -> &Vec<String> {
    surface::made_relations(db)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_relation_names(db: &dyn Db) -> Vec<String> {
    nodes(db)
        .iter()
        .filter(|file| !is_ephemeral(db, **file))
        .map(|file| node_relation(db, *file).to_string())
        .collect()
}
