//! Snapshots: blocks of files below the snapshot paths, and entries of property files with a `relation`.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{HardDeletes, SnapshotSpec, SnapshotStrategy};
use mxcp_base::{FileSet, SourceFile, paths};
use serde_json::{Map, Value as Json};

use super::index::{dbt_project, macro_set, properties, property_files};
use super::node::{parsed_config_of, yaml_context_of};
use super::packages::{package_name, project_of};
use crate::Db;
use crate::dbt::config::{ModelConfig, resolve};
use crate::dbt::values::{custom_name, render_yaml};
use crate::dbt::{MacroKind, ModelProps, Resource, lower_macros, static_refs};
pub(crate) use crate::surface::snapshots;

/// One snapshot. Templates are texts of their own: what a block holds, or a query over the relation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub name: String,
    pub package: String,
    pub file: SourceFile,
    pub text: String,
    pub fqn: Vec<String>,
    pub config: ModelConfig,
    pub relation: RelationName,
    /// What property files say of it.
    pub props: Option<(SourceFile, ModelProps)>,
    /// How it is taken, or why that cannot be told.
    pub spec: Result<SnapshotSpec, String>,
}

impl Snapshot {
    /// Whether the block itself sets a configuration key.
    pub(super) fn config_in_template(&self, key: &str) -> bool {
        static_refs(&self.text).0.config.contains_key(key)
    }

    pub(crate) fn unique_id(&self) -> String {
        format!("snapshot.{}.{}", self.package, self.name)
    }
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_snapshots(db: &dyn Db) -> BTreeMap<String, Snapshot> {
    let mut found = BTreeMap::new();
    if dbt_project(db).is_none() {
        return found;
    }
    let mut described: BTreeMap<(&str, &str), (SourceFile, &ModelProps)> = BTreeMap::new();
    for file in property_files(db) {
        let package = package_name(db, file.path(db));
        for entry in &properties(db, *file).0.snapshots {
            described
                .entry((package, entry.name.as_str()))
                .or_insert((*file, entry));
        }
    }
    let mut add = |snapshot: Option<Snapshot>| {
        if let Some(snapshot) = snapshot.filter(|s| s.config.enabled) {
            found.entry(snapshot.name.clone()).or_insert(snapshot);
        }
    };
    for (path, file) in FileSet::get(db).files(db) {
        let Some((def, inside)) = project_of(db, path) else {
            continue;
        };
        let below = |d: &String| paths::is_below(inside, &paths::directory(d));
        if paths::extension(path) != "sql" || !def.snapshot_paths.iter().any(below) {
            continue;
        }
        for (name, text) in blocks(file.text(db)) {
            let props = described.get(&(def.name.as_str(), name.as_str())).copied();
            let mut fqn = def.fqn(&def.snapshot_paths, inside).unwrap_or_default();
            fqn.push(name.clone());
            add(lower(db, *file, &name, text, fqn, props));
        }
    }
    for ((_, name), (file, entry)) in &described {
        let Some(relation) = entry.others.get("relation").and_then(Json::as_str) else {
            continue;
        };
        let Some((def, inside)) = project_of(db, file.path(db)) else {
            continue;
        };
        let dirs: Vec<String> = [&def.snapshot_paths, &def.model_paths]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let mut fqn = def
            .fqn(&dirs, inside)
            .unwrap_or_else(|| vec![def.name.clone(), String::new()]);
        fqn.pop();
        fqn.push((*name).to_owned());
        let text = format!("select * from {{{{ {} }}}}", relation.trim());
        let props = Some((*file, *entry));
        add(lower(db, *file, name, text, fqn, props));
    }
    found
}

/// The names and templates of the blocks in a file.
fn blocks(text: &str) -> Vec<(String, String)> {
    let (defs, _) = lower_macros(text);
    defs.into_iter()
        .filter(|def| def.kind == MacroKind::Snapshot)
        .filter_map(|def| {
            let whole = text.get(def.range.start as usize..def.range.end as usize)?;
            let start = whole.find("%}")? + 2;
            let end = whole.rfind("{%")?;
            Some((def.name, whole.get(start..end)?.to_owned()))
        })
        .collect()
}

fn lower(
    db: &dyn Db,
    file: SourceFile,
    name: &str,
    text: String,
    fqn: Vec<String>,
    props: Option<(SourceFile, &ModelProps)>,
) -> Option<Snapshot> {
    let project = dbt_project(db)?;
    let context = yaml_context_of(db, file.path(db));
    let declared = props.map(|(_, p)| p.config_map()).unwrap_or_default();
    let (declared, _) = render_yaml(&declared.into(), &context, "");
    let declared = declared.as_object().cloned().unwrap_or_default();
    let package = package_name(db, file.path(db)).to_owned();
    let said = static_refs(&text).0;
    let mut in_file = said.config;
    let resolved = |in_file: &Map<String, Json>| {
        resolve(Resource::Snapshot, &project.def, &fqn, &declared, in_file).0
    };
    if said.computed_config {
        let known = resolved(&in_file).raw;
        in_file = parsed_config_of(db, &package, name, &text, &known).unwrap_or(in_file);
    }
    let config = resolved(&in_file);
    let text_of = |key: &str| {
        config
            .raw
            .get(key)
            .filter(|v| !v.is_null())
            .map(mxcp_values::repr::text)
    };
    let mut relation = config.relation(&context.target.schema, name);
    relation.catalog = text_of("target_database").or_else(|| config.database.clone());
    let node = serde_json::json!({
        "name": name, "resource_type": "snapshot", "package_name": package, "fqn": fqn,
        "config": config.raw, "tags": config.tags, "version": null,
    });
    match text_of("target_schema") {
        // The old word for a schema that is taken as it is.
        Some(schema) => relation.schema = schema,
        None => {
            let made = custom_name(
                "generate_schema_name",
                config.schema.as_deref(),
                &node,
                &context,
            );
            if let Ok(Some(schema)) = made {
                relation.schema = schema;
            }
        }
    }
    let made = custom_name(
        "generate_database_name",
        relation.catalog.as_deref(),
        &node,
        &context,
    );
    if let Ok(Some(database)) = made {
        relation.catalog = (database != context.target.database).then_some(database);
    }
    let made = custom_name(
        "generate_alias_name",
        config.alias.as_deref(),
        &node,
        &context,
    );
    if let Ok(Some(alias)) = made {
        relation.name = alias;
    }
    Some(Snapshot {
        name: name.to_owned(),
        spec: spec(db, &package, &config),
        package,
        file,
        text,
        fqn,
        relation,
        config,
        props: props.map(|(file, props)| (file, props.clone())),
    })
}

fn spec(db: &dyn Db, package: &str, config: &ModelConfig) -> Result<SnapshotSpec, String> {
    let raw = &config.raw;
    let text = |key: &str| {
        raw.get(key)
            .filter(|v| !v.is_null())
            .map(mxcp_values::repr::text)
    };
    let list = |key: &str| match raw.get(key) {
        Some(Json::Array(items)) => items.iter().map(mxcp_values::repr::text).collect(),
        Some(Json::Null) | None => Vec::new(),
        Some(one) => vec![mxcp_values::repr::text(one)],
    };
    let strategy = match text("strategy").as_deref() {
        Some("timestamp") => SnapshotStrategy::Timestamp {
            updated_at: text("updated_at").ok_or("the strategy `timestamp` needs `updated_at`")?,
        },
        Some("check") => match raw.get("check_cols") {
            None | Some(Json::Null) => {
                return Err("the strategy `check` needs `check_cols`".to_owned());
            }
            Some(Json::String(all)) if all == "all" => SnapshotStrategy::Check {
                columns: Vec::new(),
            },
            Some(_) => SnapshotStrategy::Check {
                columns: list("check_cols"),
            },
        },
        Some(other) => {
            let name = format!("snapshot_{other}_strategy");
            if !macro_set(db).callable(package, &name) {
                return Err(format!(
                    "there is no snapshot strategy `{other}`, and no macro `{name}`"
                ));
            }
            SnapshotStrategy::Custom {
                name: other.to_owned(),
            }
        }
        None => return Err("a snapshot needs a `strategy`, `timestamp` or `check`".to_owned()),
    };
    let unique_key = list("unique_key");
    if unique_key.is_empty() {
        return Err("a snapshot needs a `unique_key`".to_owned());
    }
    let hard_deletes = match text("hard_deletes").as_deref() {
        Some("invalidate") => HardDeletes::Invalidate,
        Some("new_record") => HardDeletes::NewRecord,
        Some("ignore") => HardDeletes::Ignore,
        _ if raw.get("invalidate_hard_deletes") == Some(&Json::Bool(true)) => {
            HardDeletes::Invalidate
        }
        _ => HardDeletes::Ignore,
    };
    let column_names = match raw.get("snapshot_meta_column_names") {
        Some(Json::Object(map)) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), mxcp_values::repr::text(value)))
            .collect(),
        _ => BTreeMap::new(),
    };
    Ok(SnapshotSpec {
        strategy,
        unique_key,
        hard_deletes,
        valid_to_current: text("dbt_valid_to_current"),
        column_names,
        pre_hooks: config.pre_hooks.clone(),
        post_hooks: config.post_hooks.clone(),
    })
}
