//! The configuration of a node: project tree, then property file, then `config()` in the template,
//! merged by dbt's rules, and the names that follow from it.
//!
//! Values are expected with their Jinja already rendered ([`super::values`]).

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{Index, Materialization};
use serde_json::{Map, Value as Json};

use super::problem::{At, Problem, code, did_you_mean};
use super::project::ProjectDef;
use mxcp_values::repr;

/// The kinds of nodes that have a configuration tree in the project file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Model,
    Seed,
    Test,
    Snapshot,
    Source,
    Analysis,
}

/// A node's final configuration. `raw` holds every key, for `config.get()`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelConfig {
    pub enabled: bool,
    /// As written; see [`ModelConfig::materialization`].
    pub materialized: String,
    /// The custom schema, before naming.
    pub schema: Option<String>,
    pub alias: Option<String>,
    pub database: Option<String>,
    /// Sorted, without duplicates.
    pub tags: Vec<String>,
    pub meta: BTreeMap<String, Json>,
    pub indexes: Vec<Index>,
    pub contract_enforced: bool,
    pub pre_hooks: Vec<String>,
    pub post_hooks: Vec<String>,
    pub column_types: BTreeMap<String, String>,
    pub delimiter: Option<String>,
    pub quote_columns: Option<bool>,
    pub full_refresh: Option<bool>,
    pub raw: Map<String, Json>,
}

// Keys whose values add up instead of replacing each other.
const APPEND: [&str; 4] = ["tags", "packages", "pre-hook", "post-hook"];
const UPDATE: [&str; 5] = ["quoting", "column_types", "meta", "docs", "contract"];

/// Merges the three layers for the node with `fqn` (package first).
pub fn resolve(
    resource: Resource,
    project: &ProjectDef,
    fqn: &[String],
    properties: &Map<String, Json>,
    in_file: &Map<String, Json>,
) -> (ModelConfig, Vec<Problem>) {
    let mut merged = Map::new();
    for level in project_levels(resource, project, fqn) {
        merge(&mut merged, level);
    }
    merge(&mut merged, properties.clone());
    merge(&mut merged, in_file.clone());
    finish(resource, merged)
}

/// The same for the node of a package: its own project file comes first, the root project's last.
pub fn resolve_in_package(
    resource: Resource,
    package: &ProjectDef,
    root: &ProjectDef,
    fqn: &[String],
    properties: &Map<String, Json>,
    in_file: &Map<String, Json>,
    problems: Vec<Problem>,
) -> (ModelConfig, Vec<Problem>) {
    let mut merged = Map::new();
    for level in project_levels(resource, package, fqn) {
        merge(&mut merged, level);
    }
    merge(&mut merged, properties.clone());
    merge(&mut merged, in_file.clone());
    for level in project_levels(resource, root, fqn) {
        merge(&mut merged, level);
    }
    let (config, more) = finish(resource, merged);
    (config, problems.into_iter().chain(more).collect())
}

// The levels of the configuration tree along `fqn`: the root, the package, each folder, the name.
fn project_levels(
    resource: Resource,
    project: &ProjectDef,
    fqn: &[String],
) -> Vec<Map<String, Json>> {
    let mut node = match resource {
        Resource::Model => &project.models,
        Resource::Seed => &project.seeds,
        Resource::Test => &project.tests,
        Resource::Snapshot => &project.snapshots,
        Resource::Source => &project.sources,
        // dbt configures them like models.
        Resource::Analysis => &project.models,
    };
    let mut levels = vec![own_keys(node)];
    for segment in fqn {
        let Some(Json::Object(child)) = node.get(segment) else {
            break;
        };
        node = child;
        levels.push(own_keys(node));
    }
    levels
}

// `+key` is always configuration; a bare key is unless it holds a mapping, which is a folder.
fn own_keys(node: &Map<String, Json>) -> Map<String, Json> {
    node.iter()
        .filter_map(|(key, value)| match key.strip_prefix('+') {
            Some(key) => Some((key.trim().to_owned(), value.clone())),
            None if !value.is_object() => Some((key.clone(), value.clone())),
            None => None,
        })
        .collect()
}

/// Adds one layer to another.
pub fn merge(into: &mut Map<String, Json>, layer: Map<String, Json>) {
    for (key, value) in layer {
        let key = match key.as_str() {
            "pre_hook" => "pre-hook".to_owned(),
            "post_hook" => "post-hook".to_owned(),
            _ => key,
        };
        merge_value(into, key, value);
    }
}

pub(super) fn merge_value(into: &mut Map<String, Json>, key: String, value: Json) {
    let merged = if APPEND.contains(&key.as_str()) {
        let mut items = into.remove(&key).map(listed).unwrap_or_default();
        items.extend(listed(value));
        Json::Array(items)
    } else if UPDATE.contains(&key.as_str()) {
        match (into.remove(&key), value) {
            (Some(Json::Object(mut known)), Json::Object(new)) => {
                known.extend(new);
                Json::Object(known)
            }
            (_, value) => value,
        }
    } else if key == "grants" {
        match (into.remove(&key), value) {
            (Some(Json::Object(known)), Json::Object(new)) => Json::Object(grants(known, new)),
            (_, value) => value,
        }
    } else {
        value
    };
    into.insert(key, merged);
}

fn listed(value: Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items,
        Json::Null => Vec::new(),
        one => vec![one],
    }
}

fn grants(mut known: Map<String, Json>, new: Map<String, Json>) -> Map<String, Json> {
    for (key, value) in new {
        match key.strip_prefix('+') {
            Some(name) => {
                let mut items = known.remove(name).map(listed).unwrap_or_default();
                items.extend(listed(value));
                known.insert(name.to_owned(), Json::Array(items));
            }
            None => {
                known.insert(key, Json::Array(listed(value)));
            }
        }
    }
    known
}

fn finish(resource: Resource, mut raw: Map<String, Json>) -> (ModelConfig, Vec<Problem>) {
    let mut problems = Vec::new();
    let materialized = match resource {
        Resource::Seed => "seed",
        Resource::Test => "test",
        Resource::Snapshot => "snapshot",
        Resource::Model | Resource::Source | Resource::Analysis => "view",
    };
    raw.entry("materialized")
        .or_insert_with(|| Json::String(materialized.to_owned()));
    raw.entry("enabled").or_insert(Json::Bool(true));

    let mut wrong = |key: &str, wanted: &str| {
        problems.push(Problem::new(
            code::BAD_VALUE,
            At::Config(key.to_owned()),
            format!("config `{key}` must be {wanted}"),
        ));
    };
    let flag = |key: &str, wrong: &mut dyn FnMut(&str, &str)| match raw.get(key) {
        None | Some(Json::Null) => None,
        Some(Json::Bool(value)) => Some(*value),
        Some(_) => {
            wrong(key, "`true` or `false`");
            None
        }
    };
    let text = |key: &str| match raw.get(key) {
        None | Some(Json::Null) => None,
        Some(value) => Some(repr::text(value).trim().to_owned()),
    };
    let map = |key: &str, wrong: &mut dyn FnMut(&str, &str)| match raw.get(key) {
        None | Some(Json::Null) => Map::new(),
        Some(Json::Object(map)) => map.clone(),
        Some(_) => {
            wrong(key, "a mapping");
            Map::new()
        }
    };

    let enabled = flag("enabled", &mut wrong).unwrap_or(true);
    let quote_columns = flag("quote_columns", &mut wrong);
    let full_refresh = flag("full_refresh", &mut wrong);
    let contract = map("contract", &mut wrong);
    let column_types = map("column_types", &mut wrong)
        .into_iter()
        .map(|(name, ty)| (name, repr::text(&ty)))
        .collect();
    let meta = map("meta", &mut wrong).into_iter().collect();
    let mut tags: Vec<String> = raw
        .get("tags")
        .cloned()
        .map(listed)
        .unwrap_or_default()
        .iter()
        .map(repr::text)
        .collect();
    tags.sort();
    tags.dedup();
    let indexes = match raw.get("indexes") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => {
            let read: Vec<_> = items.iter().filter_map(index).collect();
            if read.len() != items.len() {
                wrong("indexes", "a list of mappings with `columns`");
            }
            read
        }
        Some(_) => {
            wrong("indexes", "a list of mappings with `columns`");
            Vec::new()
        }
    };
    let config = ModelConfig {
        enabled,
        materialized: text("materialized").unwrap_or_default(),
        schema: text("schema").filter(|schema| !schema.is_empty()),
        alias: text("alias").filter(|alias| !alias.is_empty()),
        database: text("database"),
        tags,
        meta,
        indexes,
        contract_enforced: contract.get("enforced") == Some(&Json::Bool(true)),
        pre_hooks: hooks(raw.get("pre-hook")),
        post_hooks: hooks(raw.get("post-hook")),
        column_types,
        delimiter: match raw.get("delimiter") {
            Some(Json::String(delimiter)) => Some(delimiter.clone()),
            _ => None,
        },
        quote_columns,
        full_refresh,
        raw: Map::new(),
    };
    (ModelConfig { raw, ..config }, problems)
}

fn index(item: &Json) -> Option<Index> {
    let columns = match item.get("columns")? {
        Json::Array(columns) => columns.iter().map(repr::text).collect(),
        Json::String(column) => vec![column.clone()],
        _ => return None,
    };
    Some(Index {
        columns,
        unique: item.get("unique") == Some(&Json::Bool(true)),
    })
}

// A hook is a statement or `{sql: statement, transaction: bool}`.
fn hooks(value: Option<&Json>) -> Vec<String> {
    value
        .cloned()
        .map(listed)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|hook| match hook {
            Json::String(sql) => Some(sql),
            Json::Object(map) => match map.get("sql") {
                Some(Json::String(sql)) => Some(sql.clone()),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

impl ModelConfig {
    /// The materialisation, or why there is none; `defined` tells which ones the project's macros define.
    pub fn materialization(
        &self,
        defined: &dyn Fn(&str) -> bool,
    ) -> Result<Materialization, Problem> {
        let own = self.materialized.as_str();
        Ok(match own {
            _ if defined(own) => Materialization::Custom(own.to_owned()),
            "view" => Materialization::View,
            "table" => Materialization::Table,
            "ephemeral" => Materialization::Ephemeral,
            "incremental" => Materialization::Incremental,
            "external" => Materialization::External,
            other => {
                let known = ["materialized_view", "snapshot"];
                let accepted = known.contains(&other);
                let problem = if accepted {
                    format!("models materialised as `{other}` are not supported")
                } else {
                    format!("there is no materialisation `{other}`")
                };
                let all = ["view", "table", "incremental", "ephemeral", "external"];
                return Err(Problem::new(
                    code::UNSUPPORTED,
                    At::Config("materialized".to_owned()),
                    problem,
                )
                .help(did_you_mean(other, all).unwrap_or_else(|| {
                    "use `view`, `table`, `incremental`, `ephemeral` or `external`".to_owned()
                }))
                .accepted(accepted));
            }
        })
    }

    /// Where the node lives: dbt's default names, `<target schema>_<custom schema>` and the alias.
    pub fn relation(&self, target_schema: &str, name: &str) -> RelationName {
        RelationName::in_schema(
            schema_name(target_schema, self.schema.as_deref()),
            self.alias.as_deref().unwrap_or(name),
        )
    }
}

/// dbt's default `generate_schema_name`.
pub fn schema_name(target_schema: &str, custom: Option<&str>) -> String {
    match custom {
        Some(custom) => format!("{target_schema}_{}", custom.trim()),
        None => target_schema.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use mxcp_syntax::yaml::parse;
    use serde_json::json;

    use super::super::project::lower_project;
    use super::*;

    fn object(value: Json) -> Map<String, Json> {
        match value {
            Json::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn layers_merge_as_dbt_merges_them() {
        let (project, problems) = lower_project(&parse(
            "name: shop\nmodels:\n  +tags: root\n  shop:\n    +meta: {a: 1, b: 1}\n    marts:\n      +materialized: table\n      schema: gold\n      +pre-hook: one\n      +grants: {select: [x]}\n    other:\n      +materialized: ephemeral\n",
        ));
        assert_eq!(problems, []);
        let fqn: Vec<String> = ["shop", "marts", "m"].map(str::to_owned).to_vec();
        let (config, problems) = resolve(
            Resource::Model,
            &project,
            &fqn,
            &object(json!({"meta": {"b": 2}, "tags": ["prop"], "materialized": "view"})),
            &object(
                json!({"materialized": "table", "tags": "own", "pre_hook": ["two"],
                "indexes": [{"columns": ["id"], "unique": true}], "grants": {"+select": "y"}}),
            ),
        );
        assert_eq!(problems, []);
        assert_eq!(
            config.materialization(&|_| false),
            Ok(Materialization::Table)
        );
        assert_eq!(config.tags, ["own", "prop", "root"]);
        assert_eq!(json!(config.meta), json!({"a": 1, "b": 2}));
        assert_eq!(config.pre_hooks, ["one", "two"]);
        assert_eq!(config.indexes[0].columns, ["id"]);
        assert_eq!(
            config.raw.get("grants"),
            Some(&json!({"select": ["x", "y"]}))
        );
        assert_eq!(config.relation("main", "m").quoted(), "\"main_gold\".\"m\"");
    }

    #[test]
    fn bare_mappings_are_folders() {
        let (project, _) = lower_project(&parse(
            "name: shop\nseeds:\n  shop:\n    column_types: {a: int}\n    raw:\n      +column_types: {b: int}\n",
        ));
        let fqn: Vec<String> = ["shop", "raw"].map(str::to_owned).to_vec();
        let (config, _) = resolve(Resource::Seed, &project, &fqn, &Map::new(), &Map::new());
        assert_eq!(json!(config.column_types), json!({"b": "int"}));
        assert_eq!(config.materialized, "seed");
    }

    #[test]
    fn unknown_materialisations_are_explained() {
        let project = ProjectDef::default();
        let with = |name: &str| {
            let own = object(json!({"materialized": name}));
            let (config, _) = resolve(Resource::Model, &project, &[], &Map::new(), &own);
            config.materialization(&|_| false).unwrap_err()
        };
        assert_eq!(with("tabel").help.as_deref(), Some("did you mean `table`?"));
        assert!(with("materialized_view").message.contains("not supported"));
    }
}
