//! Node selection: dbt's selector language over a compiled graph. Words are united, commas
//! intersect, exclusions are taken away, and tests come along with any node they look at.
//!
//! It selects among nodes of every kind; which kinds a command runs is decided by the plan.

use std::collections::BTreeSet;

use mxcp_artifact::dbt::{DbtGraph, Node, NodeKind, NodeSpec, Severity};
use petgraph::Direction;
use serde_json::Value;

use crate::dag::Dag;
use crate::{RunError, glob};

/// What the command line selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Selectors; all nodes when there is none.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
}

/// The nodes selected, in graph order.
pub fn select<'g>(
    graph: &'g DbtGraph,
    select: &[String],
    exclude: &[String],
) -> Result<Vec<&'g Node>, RunError> {
    let dag = Dag::new(graph)?;
    Ok(positions(graph, &dag, select, exclude)?
        .into_iter()
        .map(|i| &graph.nodes[i])
        .collect())
}

pub(crate) fn positions(
    graph: &DbtGraph,
    dag: &Dag,
    select: &[String],
    exclude: &[String],
) -> Result<BTreeSet<usize>, RunError> {
    let mut selected = if select.is_empty() {
        (0..graph.nodes.len()).collect()
    } else {
        union(graph, dag, select)?
    };
    for i in union(graph, dag, exclude)? {
        selected.remove(&i);
    }
    Ok(selected)
}

fn union(graph: &DbtGraph, dag: &Dag, words: &[String]) -> Result<BTreeSet<usize>, RunError> {
    let mut selected = BTreeSet::new();
    for word in words.iter().flat_map(|w| w.split_whitespace()) {
        let mut common: Option<BTreeSet<usize>> = None;
        for part in word.split(',') {
            let part = Criterion::parse(part)?.nodes(graph, dag);
            common = Some(match common {
                None => part,
                Some(common) => common.intersection(&part).copied().collect(),
            });
        }
        selected.extend(common.unwrap_or_default());
    }
    Ok(selected)
}

/// One atom of a selector, e.g. `2+tag:nightly+1`.
#[derive(Debug, PartialEq)]
struct Criterion {
    method: Method,
    value: String,
    /// `@`: the descendants and everything they need.
    family: bool,
    parents: Option<Depth>,
    children: Option<Depth>,
}

/// How far to follow; `None` for all the way.
type Depth = Option<usize>;

#[derive(Debug, PartialEq)]
enum Method {
    Fqn,
    Tag,
    Path,
    File,
    Package,
    ResourceType,
    TestName,
    TestType,
    /// The path below `config`.
    Config(Vec<String>),
}

const METHODS: &str = "`fqn`, `tag`, `path`, `file`, `package`, `resource_type`, `test_name`, `test_type`, `config.<key>`";

/// Methods of dbt that a compiled graph has no nodes or state for.
const UNSUPPORTED: &[&str] = &[
    "access",
    "exposure",
    "group",
    "metric",
    "result",
    "saved_query",
    "semantic_model",
    "source",
    "source_status",
    "state",
    "unit_test",
    "version",
];

impl Criterion {
    fn parse(text: &str) -> Result<Self, RunError> {
        let (family, rest) = match text.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (parents, rest) = match rest.split_once('+') {
            Some((digits, after)) if all_digits(digits) => (Some(depth(text, digits)?), after),
            _ => (None, rest),
        };
        let (rest, children) = match rest.rsplit_once('+') {
            Some((before, digits)) if all_digits(digits) => (before, Some(depth(text, digits)?)),
            _ => (rest, None),
        };
        if family && children.is_some() {
            return Err(RunError::selector(
                text,
                "the prefix `@` and the suffix `+` exclude each other; drop one of them",
            ));
        }
        let is_method = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_.".contains(c))
        };
        let (method, value) = match rest.split_once(':') {
            Some((method, value)) if is_method(method) => (Method::parse(text, method)?, value),
            _ => (Method::of_bare(rest), rest),
        };
        if value.is_empty() {
            return Err(RunError::selector(text, "it names nothing to select"));
        }
        check_value(text, &method, value)?;
        Ok(Self {
            method,
            value: value.to_owned(),
            family,
            parents,
            children,
        })
    }

    fn nodes(&self, graph: &DbtGraph, dag: &Dag) -> BTreeSet<usize> {
        let mut selected: BTreeSet<usize> = graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| self.matches(graph, node))
            .map(|(i, _)| i)
            .collect();
        let named = selected.clone();
        if self.family {
            let mut family = dag.reach(&named, Direction::Outgoing, None);
            family.extend(named.iter().copied());
            selected.extend(dag.reach(&family, Direction::Incoming, None));
            selected.extend(family);
        }
        if let Some(depth) = self.parents {
            selected.extend(dag.reach(&named, Direction::Incoming, depth));
        }
        if let Some(depth) = self.children {
            selected.extend(dag.reach(&named, Direction::Outgoing, depth));
        }
        let tests: Vec<usize> = selected
            .iter()
            .flat_map(|&i| dag.children(i))
            .filter(|&i| graph.nodes[i].kind() == NodeKind::Test)
            .collect();
        selected.extend(tests);
        selected
    }

    fn matches(&self, graph: &DbtGraph, node: &Node) -> bool {
        let value = self.value.as_str();
        match &self.method {
            Method::Fqn => {
                fqn_matches(&node.fqn, value)
                    || node
                        .fqn
                        .split_first()
                        .is_some_and(|(_, rest)| fqn_matches(rest, value))
            }
            Method::Tag => node.tags.iter().any(|tag| glob::matches(value, tag)),
            Method::Path => glob::matches_path(value, &node.path),
            Method::File => {
                let file = node.path.rsplit('/').next().unwrap_or_default();
                let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
                glob::matches(value, file) || glob::matches(value, stem)
            }
            Method::Package => {
                let package = if value == "this" {
                    &graph.project
                } else {
                    value
                };
                glob::matches(package, &node.package)
            }
            Method::ResourceType => node.kind().as_str() == value,
            Method::TestName => matches!(
                &node.spec,
                NodeSpec::Test(test) if test.generic.as_ref().is_some_and(|name| glob::matches(value, name))
            ),
            Method::TestType => match &node.spec {
                NodeSpec::Test(test) => match value {
                    "generic" | "schema" => test.generic.is_some(),
                    "singular" => test.generic.is_none(),
                    "data" => true,
                    _ => false,
                },
                _ => false,
            },
            Method::Config(keys) => config_matches(node, keys, value),
        }
    }
}

impl Method {
    /// dbt's rule for a value without a method.
    fn of_bare(value: &str) -> Self {
        let lower = value.to_lowercase();
        if value.contains('/') {
            Self::Path
        } else if [".sql", ".py", ".csv"].iter().any(|e| lower.ends_with(e)) {
            Self::File
        } else {
            Self::Fqn
        }
    }

    fn parse(selector: &str, method: &str) -> Result<Self, RunError> {
        let (name, arguments) = method.split_once('.').unwrap_or((method, ""));
        Ok(match name {
            "fqn" => Self::Fqn,
            "tag" => Self::Tag,
            "path" => Self::Path,
            "file" => Self::File,
            "package" => Self::Package,
            "resource_type" => Self::ResourceType,
            "test_name" => Self::TestName,
            "test_type" => Self::TestType,
            "config" => Self::Config(arguments.split('.').map(str::to_owned).collect()),
            _ if UNSUPPORTED.contains(&name) => {
                return Err(RunError::selector(
                    selector,
                    format!("the method `{name}` is not supported; use one of {METHODS}"),
                ));
            }
            _ => {
                return Err(RunError::selector(
                    selector,
                    format!("there is no method `{name}`; use one of {METHODS}"),
                ));
            }
        })
    }
}

fn check_value(selector: &str, method: &Method, value: &str) -> Result<(), RunError> {
    let known: &[&str] = match method {
        Method::ResourceType => &[
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
        ],
        Method::TestType => &["data", "generic", "schema", "singular", "unit"],
        _ => return Ok(()),
    };
    if known.contains(&value) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
    Err(RunError::selector(
        selector,
        format!("`{value}` is none of {}", known.join(", ")),
    ))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn depth(selector: &str, digits: &str) -> Result<Depth, RunError> {
    if digits.is_empty() {
        return Ok(None);
    }
    digits
        .parse()
        .map(Some)
        .map_err(|_| RunError::selector(selector, format!("`{digits}` is too deep")))
}

/// A name, or a dotted path from the package (or below it) on; a pattern matches all that follows.
fn fqn_matches(fqn: &[String], selector: &str) -> bool {
    let Some(name) = fqn.last() else {
        return false;
    };
    if name == selector {
        return true;
    }
    let flat: Vec<&str> = fqn.iter().flat_map(|part| part.split('.')).collect();
    let wanted: Vec<&str> = selector.split('.').collect();
    if flat.len() < wanted.len() {
        return false;
    }
    for (i, part) in wanted.iter().enumerate() {
        if part.contains(['*', '?', '[', ']']) {
            return glob::matches(&wanted[i..].join("."), &flat[i..].join("."))
                || (wanted.len() == 1 && glob::matches(selector, name));
        }
        if flat[i] != *part {
            return false;
        }
    }
    true
}

fn config_matches(node: &Node, keys: &[String], wanted: &str) -> bool {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["materialized"] => {
            let materialized = match &node.spec {
                NodeSpec::Seed(_) => "seed",
                NodeSpec::Test(_) => "test",
                NodeSpec::Snapshot(_) => "snapshot",
                NodeSpec::UnitTest(_) => "unit",
                NodeSpec::Model(model) => model.materialized.as_str(),
            };
            materialized == wanted
        }
        ["severity"] => match &node.spec {
            NodeSpec::Test(test) => {
                let severity = match test.severity {
                    Severity::Error => "error",
                    Severity::Warn => "warn",
                };
                severity.eq_ignore_ascii_case(wanted)
            }
            _ => false,
        },
        ["tags"] => node.tags.iter().any(|tag| tag == wanted),
        ["enabled"] => wanted.eq_ignore_ascii_case("true"),
        ["contract", "enforced"] => match &node.spec {
            NodeSpec::Model(model) => wanted.eq_ignore_ascii_case(if model.contract_enforced {
                "true"
            } else {
                "false"
            }),
            _ => wanted.eq_ignore_ascii_case("false"),
        },
        ["meta", first, rest @ ..] => node
            .meta
            .get(*first)
            .and_then(|value| rest.iter().try_fold(value, |value, key| value.get(*key)))
            .is_some_and(|value| value_matches(value, wanted)),
        _ => false,
    }
}

fn value_matches(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(flag) => wanted.eq_ignore_ascii_case(if *flag { "true" } else { "false" }),
        Value::Number(number) => number.to_string() == wanted,
        Value::Array(items) => items.iter().any(|item| value_matches(item, wanted)),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixture::shop;

    /// Selects among the nodes of `shop`, short names only, tests by their own name.
    fn names(select_words: &[&str], exclude_words: &[&str]) -> String {
        let graph = shop();
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        select(&graph, &words(select_words), &words(exclude_words))
            .unwrap()
            .iter()
            .map(|n| n.name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The answers are those of `dbt ls` on the same project.
    #[test]
    fn the_selector_table() {
        for (selector, want) in [
            ("stg_orders", "stg_orders orders_known orders_positive"),
            ("fqn:stg_orders", "stg_orders orders_known orders_positive"),
            (
                "shop.staging",
                "stg_customers stg_orders orders_known orders_positive",
            ),
            ("staging.stg_customers", "stg_customers orders_known"),
            ("marts.*", "customers report customers_unique"),
            (
                "st*rs",
                "stg_customers stg_orders orders_known orders_positive",
            ),
            ("raw_*,resource_type:seed", "raw_customers raw_orders"),
            ("1+stg_orders,resource_type:seed", "raw_orders"),
            ("+customers,resource_type:seed", "raw_customers raw_orders"),
            (
                "stg_orders+,resource_type:model",
                "customers report stg_orders customers_unique orders_known orders_positive",
            ),
            (
                "stg_orders+1,resource_type:model",
                "customers stg_orders customers_unique orders_known orders_positive",
            ),
            (
                "1+report,resource_type:model",
                "customers report customers_unique",
            ),
            (
                "@stg_orders,resource_type:model",
                "customers report stg_customers stg_orders customers_unique orders_known orders_positive",
            ),
            (
                "1+orders_known",
                "stg_customers stg_orders orders_known orders_positive",
            ),
            ("tag:nightly", "report"),
            ("path:models/marts", "customers report customers_unique"),
            ("models/marts/report.sql", "report"),
            ("report.sql", "report"),
            ("package:this,file:raw*", "raw_customers raw_orders"),
            ("test_type:singular", "orders_positive"),
            ("test_name:uniq*", "customers_unique"),
            ("config.materialized:table", "customers customers_unique"),
            ("config.meta.owner:sales", "report"),
            (
                "tag:nightly stg_customers",
                "report stg_customers orders_known",
            ),
            ("report,tag:none", ""),
            ("no_such_model", ""),
        ] {
            assert_eq!(names(&[selector], &[]), want, "--select {selector}");
        }
        assert_eq!(
            names(&["staging"], &["stg_orders"]),
            "stg_customers",
            "tests go with an excluded node"
        );
        assert_eq!(names(&[], &["resource_type:test", "+report"]), "");
    }

    #[test]
    fn what_is_wrong_with_a_selector() {
        for (selector, part) in [
            ("tagg:x", "there is no method `tagg`"),
            ("source:crm", "not supported"),
            ("@a+", "exclude each other"),
            ("resource_type:modl", "`modl` is none of"),
            ("tag:", "names nothing"),
            ("99999999999999999999+a", "too deep"),
        ] {
            let message = Criterion::parse(selector).unwrap_err().to_string();
            assert!(message.contains(part), "{selector}: {message}");
        }
    }
}
