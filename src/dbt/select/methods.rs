//! What each method of a selector matches.

use std::collections::BTreeSet;

use mxcp_artifact::dbt::{DbtGraph, Node, NodeKind, NodeSpec, Severity};
use serde_json::{Value, json};

use super::{Criterion, Selection};
use crate::dag::Dag;
use crate::resource::{Resource, plain};
use crate::{RunError, glob};

const METHODS: [&str; 21] = [
    "access",
    "config",
    "exposure",
    "file",
    "fqn",
    "group",
    "metric",
    "package",
    "path",
    "resource_type",
    "result",
    "saved_query",
    "semantic_model",
    "source",
    "source_status",
    "state",
    "tag",
    "test_name",
    "test_type",
    "unit_test",
    "version",
];

const RESOURCE_TYPES: [&str; 12] = [
    "analysis",
    "exposure",
    "function",
    "metric",
    "model",
    "saved_query",
    "seed",
    "semantic_model",
    "snapshot",
    "source",
    "test",
    "unit_test",
];

pub(super) fn check_resource_type(shown: &str, name: &str) -> Result<(), RunError> {
    one_of(shown, name, &RESOURCE_TYPES)
}

fn one_of(shown: &str, value: &str, known: &[&str]) -> Result<(), RunError> {
    if known.contains(&value) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
    Err(RunError::selector(
        shown,
        format!("`{value}` is none of {}", known.join(", ")),
    ))
}

/// Refuses what could never select anything.
pub(super) fn check(shown: &str, criterion: &Criterion) -> Result<(), RunError> {
    let (name, arguments) = split(&criterion.method);
    if !METHODS.contains(&name) {
        return Err(RunError::selector(
            shown,
            format!(
                "there is no method `{name}`; use one of {}",
                METHODS.map(|method| format!("`{method}`")).join(", ")
            ),
        ));
    }
    let value = criterion.value.as_str();
    match name {
        "resource_type" => check_resource_type(shown, value),
        "test_type" => one_of(
            shown,
            value,
            &["data", "generic", "schema", "singular", "unit"],
        ),
        "version" => one_of(shown, value, &["latest", "none", "old", "prerelease"]),
        "state" => one_of(
            shown,
            value,
            &[
                "new",
                "old",
                "modified",
                "unmodified",
                "modified.body",
                "modified.configs",
                "modified.persisted_descriptions",
                "modified.relation",
                "modified.macros",
                "modified.contract",
            ],
        ),
        "source" if value.split('.').count() > 3 => Err(RunError::selector(
            shown,
            "a source is `source`, `source.table` or `package.source.table`",
        )),
        "exposure" | "unit_test" if value.split('.').count() > 2 => Err(RunError::selector(
            shown,
            format!("an {name} is `name` or `package.name`"),
        )),
        "config" if arguments.is_empty() => Err(RunError::selector(
            shown,
            "write which configuration, e.g. `config.materialized:table`",
        )),
        _ => Ok(()),
    }
}

fn split(method: &str) -> (&str, &str) {
    method.split_once('.').unwrap_or((method, ""))
}

pub(super) struct Matcher<'m> {
    graph: &'m DbtGraph,
    method: &'m str,
    keys: Vec<&'m str>,
    value: &'m str,
    /// Of the methods that compare with another run.
    known: BTreeSet<String>,
    latest: BTreeSet<&'m str>,
}

impl<'m> Matcher<'m> {
    pub(super) fn new(
        graph: &'m DbtGraph,
        dag: &'m Dag<'_>,
        selection: &Selection,
        criterion: &'m Criterion,
    ) -> Result<Self, RunError> {
        let (method, arguments) = split(&criterion.method);
        let shown = format!("{}:{}", criterion.method, criterion.value);
        let value = criterion.value.as_str();
        let state = &selection.state;
        let known = match method {
            "state" => state.matching(&shown, value, dag)?,
            "result" => state.with_result(&shown, value)?,
            "source_status" => state.with_freshness(&shown, value)?,
            _ => BTreeSet::new(),
        };
        Ok(Self {
            graph,
            method,
            keys: arguments.split('.').filter(|k| !k.is_empty()).collect(),
            value,
            known,
            latest: if method == "version" {
                latest_versions(dag)
            } else {
                BTreeSet::new()
            },
        })
    }

    pub(super) fn matches(&self, resource: Resource<'_>) -> bool {
        let value = self.value;
        match self.method {
            "fqn" => !matches!(resource, Resource::Source(_)) && named(resource, value),
            "tag" => resource.tags().iter().any(|tag| glob::matches(value, tag)),
            "path" => glob::matches_path(value, resource.path()),
            "file" => {
                let file = resource.path().rsplit('/').next().unwrap_or_default();
                let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
                glob::matches(value, file) || glob::matches(value, stem)
            }
            "package" => {
                let package = if value == "this" {
                    &self.graph.project
                } else {
                    value
                };
                glob::matches(package, resource.package())
            }
            "resource_type" => resource.kind() == value,
            "group" => config(resource, &["group"])
                .is_some_and(|group| group.as_str().is_some_and(|g| glob::matches(value, g))),
            "access" => {
                resource.kind() == "model"
                    && config(resource, &["access"])
                        .and_then(|access| access.as_str().map(str::to_owned))
                        .unwrap_or_else(|| "protected".into())
                        == value
            }
            "source" => match resource {
                Resource::Source(source) => {
                    let parts: Vec<&str> = value.split('.').collect();
                    let (package, name, table) = match parts.as_slice() {
                        [name] => ("*", *name, "*"),
                        [name, table] => ("*", *name, *table),
                        [package, name, table] => (*package, *name, *table),
                        _ => return false,
                    };
                    glob::matches(package, &source.package)
                        && glob::matches(name, &source.source)
                        && glob::matches(table, &source.name)
                }
                _ => false,
            },
            "exposure" | "metric" | "semantic_model" | "saved_query" => {
                resource.kind() == self.method && in_package(resource, value)
            }
            "unit_test" => resource.kind() == "unit_test" && in_package(resource, value),
            "test_name" => match resource.node().map(|node| (&node.spec, node)) {
                Some((NodeSpec::Test(test), _)) => test
                    .generic
                    .as_ref()
                    .is_some_and(|name| glob::matches(value, bare(name))),
                Some((NodeSpec::UnitTest(_), node)) => glob::matches(value, &node.name),
                _ => false,
            },
            "test_type" => match resource.node().map(|node| &node.spec) {
                Some(NodeSpec::Test(test)) => match value {
                    "generic" | "schema" => test.generic.is_some(),
                    "singular" => test.generic.is_none(),
                    "data" => true,
                    _ => false,
                },
                Some(NodeSpec::UnitTest(_)) => value == "unit",
                _ => false,
            },
            "version" => {
                if resource.kind() != "model" {
                    return false;
                }
                match (value, resource.version()) {
                    ("none", version) => version.is_none(),
                    ("latest", Some(_)) => self.latest.contains(resource.unique_id()),
                    ("old", Some(version)) => {
                        self.against_latest(resource, &version) == Some(std::cmp::Ordering::Less)
                    }
                    ("prerelease", Some(version)) => {
                        self.against_latest(resource, &version) == Some(std::cmp::Ordering::Greater)
                    }
                    _ => false,
                }
            }
            "config" => match resource {
                Resource::Exposure(_) => false,
                _ => config(resource, &self.keys)
                    .is_some_and(|found| value_matches(&self.keys, &found, value)),
            },
            "state" | "result" | "source_status" => self.known.contains(resource.unique_id()),
            _ => false,
        }
    }

    fn against_latest(&self, resource: Resource<'_>, version: &str) -> Option<std::cmp::Ordering> {
        let prefix = format!("model.{}.{}.v", resource.package(), resource.name());
        let latest = self.latest.iter().find_map(|id| id.strip_prefix(&prefix))?;
        Some(compare_versions(version, latest))
    }
}

fn in_package(resource: Resource<'_>, value: &str) -> bool {
    let (package, name) = value.split_once('.').unwrap_or(("*", value));
    glob::matches(package, resource.package()) && glob::matches(name, resource.name())
}

/// A generic test's name without its package.
fn bare(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

/// The unique ids of the latest version of each versioned model.
fn latest_versions<'g>(dag: &Dag<'g>) -> BTreeSet<&'g str> {
    let mut latest: std::collections::BTreeMap<(&str, &str), (String, &str)> =
        std::collections::BTreeMap::new();
    for &resource in &dag.resources {
        let Some(version) = resource.version() else {
            continue;
        };
        let key = (resource.package(), resource.name());
        let declared = resource
            .node()
            .and_then(|node| match &node.spec {
                NodeSpec::Model(model) => model.version.as_ref(),
                _ => None,
            })
            .filter(|version| !version.latest.is_null())
            .map(|version| plain(&version.latest));
        let wins = match (&declared, latest.get(&key)) {
            (Some(declared), _) => *declared == version,
            (None, None) => true,
            (None, Some((best, _))) => {
                compare_versions(&version, best) == std::cmp::Ordering::Greater
            }
        };
        if wins {
            latest.insert(key, (version, resource.unique_id()));
        }
    }
    latest.into_values().map(|(_, id)| id).collect()
}

/// As numbers where both are.
fn compare_versions(left: &str, right: &str) -> std::cmp::Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.cmp(right),
    }
}

fn named(resource: Resource<'_>, selector: &str) -> bool {
    let fqn = resource.fqn();
    let versioned = resource.version().is_some() && fqn.len() > 1;
    fqn_matches(fqn, selector, versioned)
        || fqn
            .split_first()
            .is_some_and(|(_, rest)| fqn_matches(rest, selector, versioned))
}

/// A name, or a dotted path from the package (or below it) on; a pattern matches all that follows.
fn fqn_matches(fqn: &[String], selector: &str, versioned: bool) -> bool {
    let Some(last) = fqn.last() else {
        return false;
    };
    let wanted: Vec<&str> = selector.split('.').collect();
    let mut leaf = last;
    if versioned && fqn.len() > 1 {
        leaf = &fqn[fqn.len() - 2];
        // `name`, `name.v2` and `name_v2`.
        let tail = |parts: &[String]| parts.join("_");
        let end = tail(&fqn[fqn.len() - 2..]);
        let from = wanted.len().saturating_sub(2);
        if leaf == selector || end == wanted[from..].join("_") {
            return true;
        }
    } else if last == selector {
        return true;
    }
    let flat: Vec<&str> = fqn.iter().flat_map(|part| part.split('.')).collect();
    if flat.len() < wanted.len() {
        return false;
    }
    for (i, part) in wanted.iter().enumerate() {
        if part.contains(['*', '?', '[', ']']) {
            return glob::matches(&wanted[i..].join("."), &flat[i..].join("."))
                || (wanted.len() == 1 && glob::matches(selector, leaf));
        }
        if flat[i] != *part {
            return false;
        }
    }
    true
}

/// The configuration at a path; what the graph keeps elsewhere is found there.
fn config(resource: Resource<'_>, keys: &[&str]) -> Option<Value> {
    match resource {
        Resource::Node(node) => {
            let first = keys.first()?;
            node.config
                .get(*first)
                .and_then(|value| {
                    keys[1..]
                        .iter()
                        .try_fold(value, |value, key| value.get(*key))
                })
                .cloned()
                .or_else(|| known_config(node, keys))
        }
        Resource::Source(source) => match keys {
            ["meta", rest @ ..] => rest
                .iter()
                .try_fold(&json!(source.meta), |value, key| value.get(*key))
                .cloned(),
            ["tags"] => Some(json!(source.tags)),
            ["enabled"] => Some(true.into()),
            _ => None,
        },
        Resource::Exposure(_) => None,
    }
}

fn known_config(node: &Node, keys: &[&str]) -> Option<Value> {
    match keys {
        ["materialized"] => Some(Resource::Node(node).materialized().into()),
        ["severity"] => match &node.spec {
            NodeSpec::Test(test) => Some(
                match test.severity {
                    Severity::Error => "ERROR",
                    Severity::Warn => "WARN",
                }
                .into(),
            ),
            _ => None,
        },
        ["tags"] => Some(json!(node.tags)),
        ["enabled"] => Some(true.into()),
        ["contract", "enforced"] if node.kind() != NodeKind::Test => {
            Some(matches!(&node.spec, NodeSpec::Model(model) if model.contract_enforced).into())
        }
        ["meta", first, rest @ ..] => {
            let value = node.meta.get(*first)?;
            rest.iter()
                .try_fold(value, |value, key| value.get(*key))
                .cloned()
        }
        _ => None,
    }
}

fn value_matches(keys: &[&str], value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) if keys == ["severity"] => text.eq_ignore_ascii_case(wanted),
        Value::String(text) => text == wanted,
        Value::Bool(flag) => wanted.eq_ignore_ascii_case(if *flag { "true" } else { "false" }),
        // dbt compares with the text, which no number equals.
        Value::Number(_) => false,
        Value::Array(items) => items.iter().any(|item| value_matches(&[], item, wanted)),
        Value::Null | Value::Object(_) => false,
    }
}
