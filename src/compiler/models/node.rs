//! One node: its properties, its configuration, its relation and its rendered SQL.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::Materialization;
use mxcp_base::{SourceFile, paths};
use serde_json::Map;

use super::index::{
    dbt_project, macro_set, node_name, properties, property_files, ref_index, source_index,
    untyped_nodes,
};
use crate::Db;
use crate::dbt::statics::StaticRefs;
use crate::dbt::values::{YamlContext, render_yaml};
use crate::dbt::{
    ModelConfig, ModelProps, Problem, PropertyFile, RenderInput, Rendered, Resolved, Resolver,
    Resource, Target, config, merge_model, static_refs,
};
use crate::documents::{DocumentKind, document_kind, site};
use crate::inputs::{Settings, dbt_inputs};

/// The folder below which every relation is made unless configured otherwise.
const TARGET_SCHEMA: &str = "main";

pub(crate) fn resource(db: &dyn Db, file: SourceFile) -> Resource {
    match document_kind(db, file) {
        DocumentKind::DbtSeed => Resource::Seed,
        DocumentKind::DbtTest => Resource::Test,
        _ => Resource::Model,
    }
}

fn entries(file: &PropertyFile, resource: Resource) -> &[ModelProps] {
    match resource {
        Resource::Seed => &file.seeds,
        _ => &file.models,
    }
}

/// Which property files speak of which node: names only, so that most edits stop here.
#[salsa::tracked(returns(ref))]
fn property_index(db: &dyn Db) -> BTreeMap<(Resource, String), Vec<SourceFile>> {
    let mut index: BTreeMap<_, Vec<SourceFile>> = BTreeMap::new();
    for file in property_files(db) {
        let entries_of = &properties(db, *file).0;
        for resource in [Resource::Model, Resource::Seed] {
            for entry in entries(entries_of, resource) {
                let files = index.entry((resource, entry.name.clone())).or_default();
                if !files.contains(file) {
                    files.push(*file);
                }
            }
        }
    }
    index
}

/// Everything property files say about one node, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeProperties {
    pub props: ModelProps,
    /// The files of the merged entries: `Place::part` counts here.
    pub parts: Vec<SourceFile>,
    pub problems: Vec<(usize, Problem)>,
}

#[salsa::tracked(returns(as_ref))]
pub(crate) fn node_properties(db: &dyn Db, file: SourceFile) -> Option<NodeProperties> {
    let resource = resource(db, file);
    let name = node_name(db, file);
    let files = property_index(db).get(&(resource, name.to_owned()))?;
    let mut parts = Vec::new();
    let mut found: Vec<&ModelProps> = Vec::new();
    for file in files {
        for entry in entries(&properties(db, *file).0, resource) {
            if entry.name == name {
                found.push(entry);
                parts.push(*file);
            }
        }
    }
    let (props, problems) = merge_model(&found);
    Some(NodeProperties {
        props,
        parts,
        problems,
    })
}

/// Names a template mentions in any branch. Depends on the template alone.
#[salsa::tracked(returns(ref))]
pub(crate) fn mentions(db: &dyn Db, file: SourceFile) -> (StaticRefs, Vec<Problem>) {
    static_refs(file.text(db))
}

/// A node's final configuration.
#[salsa::tracked(returns(ref))]
pub(crate) fn node_config(db: &dyn Db, file: SourceFile) -> (ModelConfig, Vec<Problem>) {
    let resource = resource(db, file);
    let Some(project) = dbt_project(db) else {
        return config::resolve(resource, &Default::default(), &[], &Map::new(), &Map::new());
    };
    let declared = node_properties(db, file)
        .map(|p| p.props.config_map())
        .unwrap_or_default();
    let (declared, _) = render_yaml(&declared.into(), &yaml_context(db), "");
    let declared = declared.as_object().cloned().unwrap_or_default();
    let in_file = match resource {
        Resource::Seed => Map::new(),
        _ => mentions(db, file).0.config.clone(),
    };
    config::resolve(resource, &project.def, &fqn(db, file), &declared, &in_file)
}

fn yaml_context(db: &dyn Db) -> YamlContext {
    let (package, vars) = match dbt_project(db) {
        Some(project) => (
            project.def.name.clone(),
            project.def.vars_for(&project.def.name),
        ),
        None => Default::default(),
    };
    YamlContext {
        package,
        vars,
        target: target(db),
        macros: macro_set(db).clone(),
    }
}

pub(crate) fn fqn(db: &dyn Db, file: SourceFile) -> Vec<String> {
    let path = file.path(db);
    let Some(project) = dbt_project(db) else {
        return vec![node_name(db, file).to_owned()];
    };
    let def = &project.def;
    let dirs = match resource(db, file) {
        Resource::Seed => &def.seed_paths,
        Resource::Test => &def.test_paths,
        _ => &def.model_paths,
    };
    def.fqn(dirs, path)
        .unwrap_or_else(|| vec![def.name.clone(), paths::stem(path).to_owned()])
}

#[salsa::tracked(returns(copy))]
pub(crate) fn is_enabled(db: &dyn Db, file: SourceFile) -> bool {
    node_config(db, file).0.enabled
}

#[salsa::tracked(returns(copy))]
pub(crate) fn is_ephemeral(db: &dyn Db, file: SourceFile) -> bool {
    document_kind(db, file) == DocumentKind::DbtModel
        && matches!(
            node_config(db, file).0.materialization(),
            Ok(Materialization::Ephemeral)
        )
}

#[salsa::tracked(returns(ref))]
pub(crate) fn node_relation(db: &dyn Db, file: SourceFile) -> RelationName {
    node_config(db, file)
        .0
        .relation(&target(db).schema, node_name(db, file))
}

pub(crate) fn target(db: &dyn Db) -> Target {
    target_of(db, dbt_project(db).and_then(|p| p.def.profile.as_deref()))
}

/// The target of a project whose file names this profile of dbt.
pub(super) fn target_of(db: &dyn Db, dbt_profile: Option<&str>) -> Target {
    let profile = Settings::get(db)
        .profile(db)
        .clone()
        .or_else(|| site(db).map(|s| s.profile.clone()))
        .unwrap_or_else(|| "default".into());
    if let Some(target) = &dbt_inputs(db).target {
        return Target {
            name: target.name.clone(),
            profile: dbt_profile.unwrap_or_default().to_owned(),
            schema: target.schema.clone(),
            database: target.database.clone(),
            threads: target.threads,
        };
    }
    Target {
        name: profile.replace('-', "_"),
        profile: dbt_profile.unwrap_or_default().to_owned(),
        schema: TARGET_SCHEMA.into(),
        ..Target::default()
    }
}

/// The template of a model or singular test, rendered.
#[salsa::tracked(returns(ref))]
pub(crate) fn render_model(db: &dyn Db, file: SourceFile) -> Rendered {
    render_input(db, file, |input| crate::dbt::render(input, &Names { db }))
}

/// Everything that rendering a file's template depends on.
pub(crate) fn render_input<T>(
    db: &dyn Db,
    file: SourceFile,
    then: impl FnOnce(&RenderInput<'_>) -> T,
) -> T {
    let (package, vars) = match dbt_project(db) {
        Some(project) => (
            project.def.name.clone(),
            project.def.vars_for(&project.def.name),
        ),
        None => (String::new(), Map::new()),
    };
    then(&RenderInput {
        text: file.text(db),
        package: &package,
        name: node_name(db, file),
        this: Some(node_relation(db, file).clone()),
        config: &node_config(db, file).0.raw,
        vars: &vars,
        target: &target(db),
        macros: macro_set(db),
        extra: BTreeMap::new(),
    })
}

/// Looks refs and sources up in the project.
pub(crate) struct Names<'db> {
    pub db: &'db dyn Db,
}

impl Resolver for Names<'_> {
    fn resolve_ref(&self, package: Option<&str>, name: &str) -> Resolved {
        let index = ref_index(self.db);
        let ours = package
            .is_none_or(|p| dbt_project(self.db).is_some_and(|project| project.def.name == p));
        match index.get(name).filter(|_| ours) {
            Some(file) if is_ephemeral(self.db, *file) => Resolved::Ephemeral(name.to_owned()),
            Some(file) => Resolved::Relation(node_relation(self.db, *file).clone()),
            None if ours && untyped_nodes(self.db).contains_key(name) => {
                Resolved::Relation(RelationName::main(name.to_owned()))
            }
            None => Resolved::Unknown {
                candidates: index.keys().cloned().collect(),
            },
        }
    }

    fn resolve_source(&self, source: &str, table: &str) -> Resolved {
        let index = source_index(self.db);
        match index.get(&(source.to_owned(), table.to_owned())) {
            Some(relation) => Resolved::Relation(relation.clone()),
            None => Resolved::Unknown {
                candidates: index.keys().map(|(s, t)| format!("{s}.{t}")).collect(),
            },
        }
    }
}
