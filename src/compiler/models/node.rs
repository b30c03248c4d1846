//! One node: its properties, its configuration, its relation and its rendered SQL.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::Materialization;
use mxcp_base::{FileSet, SourceFile, paths};
use serde_json::{Map, Value as Json};

use super::index::{
    dbt_project, find_node, macro_set, node_name, properties, property_files, ref_index,
    source_index, untyped_nodes,
};
use super::packages::{installed, package_name, package_of, project_of};
use crate::Db;
use crate::dbt::statics::StaticRefs;
use crate::dbt::values::{YamlContext, custom_name, render_yaml};
use crate::dbt::{
    MacroSet, ModelConfig, ModelProps, Problem, PropertyFile, RenderInput, Rendered, Resolved,
    Resolver, Resource, Target, config, merge_model, static_refs,
};
use crate::documents::{DocumentKind, document_kind, site};
use crate::inputs::{Settings, dbt_inputs};
use crate::surface::property_index;

/// The folder below which every relation is made unless configured otherwise.
const TARGET_SCHEMA: &str = "main";

pub(crate) fn resource(db: &dyn Db, file: SourceFile) -> Resource {
    match document_kind(db, file) {
        DocumentKind::DbtSeed => Resource::Seed,
        DocumentKind::DbtTest => Resource::Test,
        DocumentKind::DbtAnalysis => Resource::Analysis,
        _ => Resource::Model,
    }
}

fn entries(file: &PropertyFile, resource: Resource) -> &[ModelProps] {
    match resource {
        Resource::Seed => &file.seeds,
        Resource::Test => &file.tests,
        Resource::Analysis => &file.analyses,
        _ => &file.models,
    }
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_property_index(
    db: &dyn Db,
) -> BTreeMap<(String, Resource, String), Vec<SourceFile>> {
    let mut index: BTreeMap<_, Vec<SourceFile>> = BTreeMap::new();
    for file in property_files(db) {
        let entries_of = &properties(db, *file).0;
        let package = package_name(db, file.path(db));
        for resource in [
            Resource::Model,
            Resource::Seed,
            Resource::Test,
            Resource::Analysis,
        ] {
            for entry in entries(entries_of, resource) {
                let key = (package.to_owned(), resource, entry.name.clone());
                let files = index.entry(key).or_default();
                if !files.contains(file) {
                    files.push(*file);
                }
            }
        }
    }
    index
}

/// Whether the project has a node that is called as this one of a package.
fn has_node_of_its_own(db: &dyn Db, of: SourceFile) -> bool {
    let kind = document_kind(db, of);
    FileSet::get(db).files(db).iter().any(|(path, file)| {
        paths::stem(path) == paths::stem(of.path(db))
            && package_of(db, path).is_none()
            && document_kind(db, *file) == kind
    })
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
    // The entry of a model speaks of all its versions.
    let version = super::compile::version(db, file);
    let name = version.map_or(node_name(db, file), |(name, _)| name.as_str());
    let package = package_name(db, file.path(db)).to_owned();
    let index = property_index(db);
    let mut files: Vec<SourceFile> = Vec::new();
    files.extend(
        index
            .get(&(package.clone(), resource, name.to_owned()))
            .into_iter()
            .flatten(),
    );
    // The project may describe the nodes of its packages.
    let root = &dbt_project(db)?.def.name;
    if *root != package
        && let Some(described) = index.get(&(root.clone(), resource, name.to_owned()))
        && !has_node_of_its_own(db, file)
    {
        files.extend(described);
    }
    if files.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let mut found: Vec<&ModelProps> = Vec::new();
    for file in &files {
        for entry in entries(&properties(db, *file).0, resource) {
            if entry.name == name {
                found.push(entry);
                parts.push(*file);
            }
        }
    }
    let (props, problems) = merge_model(&found);
    let props = match version {
        Some((_, number)) => props.of_version(number).unwrap_or(props),
        None => props,
    };
    Some(NodeProperties {
        props,
        parts,
        problems,
    })
}

/// Names a template mentions in any branch. Depends on the template alone.
#[salsa::tracked(returns(ref))]
pub(crate) fn mentions(db: &dyn Db, file: SourceFile) -> (StaticRefs, Vec<Problem>) {
    if paths::extension(file.path(db)) == "py" {
        return (super::python_models::mentions(file.text(db)), Vec::new());
    }
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
    let (declared, _) = render_yaml(&declared.into(), &yaml_context_of(db, file.path(db)), "");
    let declared = declared.as_object().cloned().unwrap_or_default();
    let mut in_file = match resource {
        Resource::Seed => Map::new(),
        _ => mentions(db, file).0.config.clone(),
    };
    let fqn = fqn(db, file);
    let Some(package) = package_of(db, file.path(db)) else {
        if resource != Resource::Seed && mentions(db, file).0.computed_config {
            let (known, _) = config::resolve(resource, &project.def, &fqn, &declared, &in_file);
            in_file = parsed_config(db, file, &known.raw);
        }
        return config::resolve(resource, &project.def, &fqn, &declared, &in_file);
    };
    // What the project says about a package's nodes outranks what the package says.
    let (own, problems) = config::resolve(resource, &package.def, &fqn, &declared, &in_file);
    if resource != Resource::Seed && mentions(db, file).0.computed_config {
        in_file = parsed_config(db, file, &own.raw);
    }
    config::resolve_in_package(
        resource,
        &package.def,
        &project.def,
        &fqn,
        &declared,
        &in_file,
        problems,
    )
}

/// What calls of `config` with computed arguments say, as dbt reads them first: nothing is asked, and names lead
/// nowhere.
fn parsed_config(db: &dyn Db, file: SourceFile, config: &Map<String, Json>) -> Map<String, Json> {
    let package = package_name(db, file.path(db));
    let (name, text) = (node_name(db, file), file.text(db));
    parsed_config_of(db, package, name, text, config)
        .unwrap_or_else(|| mentions(db, file).0.config.clone())
}

/// The same of any template of a package; `None` where it cannot be read.
pub(super) fn parsed_config_of(
    db: &dyn Db,
    package: &str,
    name: &str,
    text: &str,
    config: &Map<String, Json>,
) -> Option<Map<String, Json>> {
    struct Nowhere;
    impl Resolver for Nowhere {
        fn resolve_ref(&self, _: Option<&str>, name: &str) -> Resolved {
            Resolved::Relation(RelationName::main(name.to_owned()))
        }

        fn resolve_source(&self, _: &str, table: &str) -> Resolved {
            Resolved::Relation(RelationName::main(table.to_owned()))
        }
    }
    let input = RenderInput {
        text,
        package,
        name,
        this: Some(RelationName::main(name.to_owned())),
        config,
        vars: &vars_of(db, package),
        target: &target(db),
        macros: macro_set(db),
        extra: BTreeMap::new(),
    };
    let rendered = crate::dbt::render::parse(&input, &Nowhere);
    let sound = rendered.problems.iter().all(Problem::is_accepted);
    sound.then_some(rendered.config)
}

/// The variables that a package's templates see.
pub(crate) fn vars_of(db: &dyn Db, package: &str) -> Map<String, Json> {
    let Some(project) = dbt_project(db) else {
        return Map::new();
    };
    let theirs = installed(db).iter().find(|p| p.def.name == package);
    let mut vars = theirs.map_or_else(Map::new, |p| p.def.vars_for(package));
    vars.extend(project.def.vars_for(package));
    // The command line outranks what packages set for themselves.
    vars.extend(dbt_inputs(db).vars.clone());
    vars
}

/// What Jinja in the YAML of a file may read.
pub(crate) fn yaml_context_of(db: &dyn Db, path: &str) -> YamlContext {
    let package = package_name(db, path).to_owned();
    YamlContext {
        vars: vars_of(db, &package),
        package,
        target: target(db),
        macros: macro_set(db).clone(),
        env: dbt_inputs(db).env.clone(),
    }
}

pub(crate) fn fqn(db: &dyn Db, file: SourceFile) -> Vec<String> {
    let path = file.path(db);
    let Some((def, path)) = project_of(db, path) else {
        return vec![node_name(db, file).to_owned()];
    };
    let dirs = match resource(db, file) {
        Resource::Seed => &def.seed_paths,
        Resource::Test => &def.test_paths,
        Resource::Analysis => &def.analysis_paths,
        _ => &def.model_paths,
    };
    let mut fqn = def
        .fqn(dirs, path)
        .unwrap_or_else(|| vec![def.name.clone(), paths::stem(path).to_owned()]);
    if let Some((name, number)) = super::compile::version(db, file) {
        fqn.pop();
        fqn.extend([name.clone(), format!("v{number}")]);
    }
    if resource(db, file) == Resource::Analysis && !fqn.is_empty() {
        fqn.insert(1, "analysis".to_owned());
    }
    fqn
}

#[salsa::tracked(returns(copy))]
pub(crate) fn is_enabled(db: &dyn Db, file: SourceFile) -> bool {
    node_config(db, file).0.enabled
}

#[salsa::tracked(returns(copy))]
pub(crate) fn is_ephemeral(db: &dyn Db, file: SourceFile) -> bool {
    document_kind(db, file) == DocumentKind::DbtModel
        && node_config(db, file).0.materialized == "ephemeral"
}

/// The package and name of the macro that defines a materialisation.
pub(crate) fn custom_materialization(macros: &MacroSet, name: &str) -> Option<(String, String)> {
    ["duckdb", "default"].into_iter().find_map(|adapter| {
        let macro_name = format!("materialization_{name}_{adapter}");
        let mut packages = macros.package_names().iter();
        let package = packages.find(|package| macros.contains(package, &macro_name))?;
        Some((package.clone(), macro_name))
    })
}

/// How a model is made.
pub(crate) fn materialization(db: &dyn Db, file: SourceFile) -> Result<Materialization, Problem> {
    let macros = macro_set(db);
    let defined = |name: &str| custom_materialization(macros, name).is_some();
    node_config(db, file).0.materialization(&defined)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn node_relation(db: &dyn Db, file: SourceFile) -> RelationName {
    let config = &node_config(db, file).0;
    let schema = target(db).schema;
    let version = super::compile::version(db, file);
    let name = match version {
        Some((name, number)) => format!("{name}_v{}", number.replace('.', "_")),
        None => node_name(db, file).to_owned(),
    };
    let mut relation = config.relation(&schema, &name);
    relation.catalog.clone_from(&config.database);
    let macros = macro_set(db);
    let package = package_name(db, file.path(db));
    if !names_are_made(macros, package) {
        return relation;
    }
    // The project names its relations itself. A macro that fails is reported where the node is checked.
    let node = serde_json::json!({
        "name": version.map_or(node_name(db, file), |(name, _)| name),
        "resource_type": if resource(db, file) == Resource::Seed { "seed" } else { "model" },
        "package_name": package,
        "unique_id": super::compile::unique_id(db, file),
        "fqn": fqn(db, file),
        "path": file.path(db),
        "original_file_path": file.path(db),
        "config": config.raw,
        "tags": config.tags,
        "schema": schema,
        "version": version.map(|(_, number)| number),
    });
    let context = yaml_context_of(db, file.path(db));
    let made = |name: &str, custom: Option<&str>| {
        custom_name(name, custom, &node, &context).ok().flatten()
    };
    if let Some(schema) = made("generate_schema_name", config.schema.as_deref()) {
        relation.schema = schema;
    }
    if let Some(database) = made("generate_database_name", config.database.as_deref()) {
        relation.catalog = (database != context.target.database).then_some(database);
    }
    if let Some(alias) = made("generate_alias_name", config.alias.as_deref()) {
        relation.name = alias;
    }
    relation
}

/// Whether the project has a macro of its own that names relations.
fn names_are_made(macros: &MacroSet, package: &str) -> bool {
    [
        "generate_schema_name",
        "generate_alias_name",
        "generate_database_name",
    ]
    .iter()
    .any(|name| {
        macros.contains(macros.root_name(), name)
            || macros.contains(package, name)
            || macros.contains(macros.root_name(), &format!("default__{name}"))
            || macros.contains(macros.root_name(), &format!("duckdb__{name}"))
    })
}

pub(crate) fn target(db: &dyn Db) -> Target {
    let def = dbt_project(db).map(|project| &project.def);
    let quoting = def.map(|def| def.quoting).unwrap_or_default();
    Target {
        plain: [quoting.database, quoting.schema, quoting.identifier].map(|q| q == Some(false)),
        ..target_of(db, def.and_then(|def| def.profile.as_deref()))
    }
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
            is_named: !target.database.is_empty(),
            threads: target.threads,
            plain: [false; 3],
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
    let package = package_name(db, file.path(db)).to_owned();
    let vars = vars_of(db, &package);
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
        match find_node(self.db, package, name) {
            Some(file) if is_ephemeral(self.db, file) => Resolved::Ephemeral(name.to_owned()),
            Some(file) => Resolved::Relation(node_relation(self.db, file).clone()),
            None if ours && let Some((_, relation)) = super::others::find(self.db, name) => {
                Resolved::Relation(relation)
            }
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
            Some(relation) => match super::others::external(self.db, source, table) {
                Some(text) => Resolved::External {
                    relation: relation.clone(),
                    text,
                },
                None => Resolved::Relation(relation.clone()),
            },
            None => Resolved::Unknown {
                candidates: index.keys().map(|(s, t)| format!("{s}.{t}")).collect(),
            },
        }
    }
}
