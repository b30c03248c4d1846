//! Keys that dbt reads over: a word that is nearly one it knows does nothing, and nobody is told.
//!
//! Own keys are allowed in many places, so only near misses are reported.

use mxcp_syntax::yaml::{Node, YamlFile, join_pointer};
use serde_json::{Map, Value as Json};

use super::problem::{At, Problem, code};

const COMMON: [&str; 8] = [
    "name",
    "description",
    "meta",
    "tags",
    "config",
    "docs",
    "tests",
    "data_tests",
];
const NODE: [&str; 13] = [
    "columns",
    "constraints",
    "contract",
    "access",
    "group",
    "latest_version",
    "versions",
    "deprecation_date",
    "time_spine",
    "freshness",
    "semantic_model",
    "metrics",
    "relation",
];
const COLUMN: [&str; 8] = [
    "data_type",
    "constraints",
    "quote",
    "policy_tags",
    "granularity",
    "dimension",
    "entity",
    "data_tests",
];
const SOURCE: [&str; 10] = [
    "database",
    "catalog",
    "schema",
    "loader",
    "tables",
    "quoting",
    "freshness",
    "loaded_at_field",
    "loaded_at_query",
    "overrides",
];
const TABLE: [&str; 8] = [
    "identifier",
    "columns",
    "external",
    "loader",
    "quoting",
    "freshness",
    "loaded_at_field",
    "loaded_at_query",
];
const UNIT_TEST: [&str; 5] = ["model", "given", "expect", "overrides", "versions"];
const ROWS: [&str; 4] = ["input", "rows", "format", "fixture"];
const CONSTRAINT: [&str; 8] = [
    "type",
    "name",
    "expression",
    "columns",
    "to",
    "to_columns",
    "warn_unenforced",
    "warn_unsupported",
];
const CONTRACT: [&str; 3] = ["enforced", "alias_types", "checksum"];

/// What may be configured, for any kind of node.
const CONFIG: [&str; 82] = [
    "enabled",
    "schema",
    "database",
    "alias",
    "group",
    "access",
    "tags",
    "meta",
    "materialized",
    "persist_docs",
    "pre_hook",
    "post_hook",
    "quoting",
    "column_types",
    "full_refresh",
    "unique_key",
    "on_schema_change",
    "on_configuration_change",
    "grants",
    "packages",
    "docs",
    "contract",
    "event_time",
    "concurrent_batches",
    "freshness",
    "incremental_strategy",
    "incremental_predicates",
    "merge_update_columns",
    "merge_exclude_columns",
    "merge_on_using_columns",
    "merge_clauses",
    "merge_update_condition",
    "merge_insert_condition",
    "batch_size",
    "lookback",
    "begin",
    "indexes",
    "options",
    "location",
    "format",
    "delimiter",
    "glue_register",
    "glue_database",
    "partition_by",
    "partitioned_by",
    "sorted_by",
    "external_root",
    "plugin",
    "sql_header",
    "static_analysis",
    "strategy",
    "updated_at",
    "check_cols",
    "target_schema",
    "target_database",
    "invalidate_hard_deletes",
    "hard_deletes",
    "dbt_valid_to_current",
    "snapshot_meta_column_names",
    "severity",
    "where",
    "limit",
    "fail_calc",
    "warn_if",
    "error_if",
    "store_failures",
    "store_failures_as",
    "quote_columns",
    "loaded_at_field",
    "loaded_at_query",
    "identifier",
    "overwrite",
    "per_thread_output",
    "python_packages",
    "submission_method",
    "latest_version",
    "description",
    "read_only",
    "cluster_by",
    "name",
    "secrets",
    "bind",
];

/// Near misses among the keys of a property file.
pub fn misspelt_keys(file: &YamlFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(root) = file.root() else {
        return problems;
    };
    for (section, extra) in [
        ("models", &NODE[..]),
        ("seeds", &NODE),
        ("snapshots", &NODE),
        ("sources", &SOURCE),
        ("unit_tests", &UNIT_TEST),
    ] {
        let Some(list) = root.get(section) else {
            continue;
        };
        for (i, entry) in list.items().enumerate() {
            entry_keys(entry, &format!("/{section}/{i}"), extra, &mut problems);
        }
    }
    problems
}

fn entry_keys(entry: Node<'_>, pointer: &str, extra: &[&str], problems: &mut Vec<Problem>) {
    keys(entry, pointer, &[&COMMON, extra], problems);
    if let Some(config) = entry.get("config") {
        config_keys(config, &format!("{pointer}/config"), problems);
    }
    if let Some(contract) = entry.get("contract") {
        keys(
            contract,
            &format!("{pointer}/contract"),
            &[&CONTRACT],
            problems,
        );
    }
    each(entry, "columns", pointer, &mut |column, at| {
        keys(column, at, &[&COMMON, &COLUMN], problems);
        each(column, "constraints", at, &mut |constraint, at| {
            keys(constraint, at, &[&CONSTRAINT], problems);
        });
    });
    each(entry, "constraints", pointer, &mut |constraint, at| {
        keys(constraint, at, &[&CONSTRAINT], problems);
    });
    let mut tables = Vec::new();
    each(entry, "tables", pointer, &mut |table, at| {
        tables.push((table, at.to_owned()));
    });
    for (table, at) in tables {
        entry_keys(table, &at, &TABLE, problems);
    }
    each(entry, "given", pointer, &mut |given, at| {
        keys(given, at, &[&ROWS], problems);
    });
    if let Some(expect) = entry.get("expect") {
        keys(expect, &format!("{pointer}/expect"), &[&ROWS], problems);
    }
}

fn each<'a>(node: Node<'a>, list: &str, pointer: &str, then: &mut dyn FnMut(Node<'a>, &str)) {
    let items = node.get(list).into_iter().flat_map(|list| list.items());
    for (i, item) in items.enumerate() {
        then(item, &format!("{pointer}/{list}/{i}"));
    }
}

fn config_keys(config: Node<'_>, pointer: &str, problems: &mut Vec<Problem>) {
    for (key, _) in config.entries() {
        if let Some(near) = misspelt_config(key.text) {
            let at = At::Key(join_pointer(pointer, key.text));
            problems.push(ignored(at, key.text, near));
        }
    }
    if let Some(contract) = config.get("contract") {
        keys(
            contract,
            &format!("{pointer}/contract"),
            &[&CONTRACT],
            problems,
        );
    }
}

fn keys(node: Node<'_>, pointer: &str, known: &[&[&str]], problems: &mut Vec<Problem>) {
    for (key, _) in node.entries() {
        let near = near(key.text, known.iter().flat_map(|list| list.iter().copied()));
        // One letter can be the whole difference between two keys that both exist.
        if let Some(near) = near.filter(|near| node.get(near).is_none()) {
            let at = At::Key(join_pointer(pointer, key.text));
            problems.push(ignored(at, key.text, near));
        }
    }
}

/// The configuration key that a word nearly is.
pub fn misspelt_config(key: &str) -> Option<&'static str> {
    let plain = key.strip_prefix('+').unwrap_or(key).trim();
    if matches!(plain, "pre-hook" | "post-hook") {
        return None;
    }
    near(plain, CONFIG.iter().copied())
}

pub fn ignored(at: At, key: &str, near: &str) -> Problem {
    Problem::new(
        code::IGNORED_KEY,
        at,
        format!("dbt has no key `{key}` here and ignores it"),
    )
    .help(format!("did you mean `{near}`?"))
}

fn near<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    if known.clone().any(|key| key == word) {
        return None;
    }
    let limit = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    known
        .map(|key| (strsim::damerau_levenshtein(word, key), key))
        .filter(|(distance, key)| *distance <= limit && key.len() > 3)
        .min()
        .map(|(_, key)| key)
}

/// What a configuration tree of the project file says about folders and keys that do not exist.
/// `exists` knows the folders and names of nodes, package first.
pub fn unused_paths(
    section: &str,
    tree: &Map<String, Json>,
    package: &str,
    exists: &dyn Fn(&[String]) -> bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut path = Vec::new();
    walk(
        tree,
        &format!("/{section}"),
        &mut path,
        &mut |at, key, path| {
            if let Some(near) = misspelt_config(key) {
                problems.push(ignored(at, key, near));
                return false;
            }
            if path.is_empty() || exists(path) {
                return true;
            }
            let problem = Problem::new(
                code::UNUSED_CONFIG,
                at,
                format!("no node is configured by `{}`", path.join(".")),
            );
            let last = path.last().map_or("", String::as_str);
            let below_package = path.len() == 1 && exists(&[package.to_owned(), last.to_owned()]);
            problems.push(problem.help(if CONFIG.contains(&last) {
                format!("write `+{last}` for the setting of that name")
            } else if below_package {
                format!("put it below the name of the project, `{package}:`")
            } else if path.len() == 1 {
                format!("the name of the project is `{package}`")
            } else {
                "the path is the project, then folders below the resource path, then a name"
                    .to_owned()
            }));
            false
        },
    );
    problems
}

/// Visits folders and the settings that are no folders; below a folder only when told so.
fn walk(
    tree: &Map<String, Json>,
    pointer: &str,
    path: &mut Vec<String>,
    visit: &mut dyn FnMut(At, &str, &[String]) -> bool,
) {
    for (key, value) in tree {
        let pointer = join_pointer(pointer, key);
        match value {
            Json::Object(below) if !key.starts_with('+') => {
                path.push(key.clone());
                if visit(At::Key(pointer.clone()), "", path) {
                    walk(below, &pointer, path, visit);
                }
                path.pop();
            }
            _ => {
                visit(At::Key(pointer), key, &[]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_misses_are_named() {
        assert_eq!(misspelt_config("+materialised"), Some("materialized"));
        assert_eq!(misspelt_config("tag"), Some("tags"));
        assert_eq!(misspelt_config("tagss"), Some("tags"));
        assert_eq!(misspelt_config("owner"), None);
        assert_eq!(misspelt_config("pre-hook"), None);
        let text = "models:\n  - name: a\n    colums: []\n    owner: me\n    columns:\n      - name: b\n        descripton: x\n";
        let found = misspelt_keys(&mxcp_syntax::yaml::parse(text));
        let at: Vec<_> = found.iter().map(|p| p.at.clone()).collect();
        assert_eq!(at, [At::Key("/models/0/columns/0/descripton".into())]);
    }
}
