//! The final configuration of a node as dbt prints it, and what the runner needs of it.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::{IncrementalSpec, Materialization, OnSchemaChange};
use serde_json::{Map, Value as Json, json};

use super::config::{ModelConfig, Resource};
use mxcp_values::repr;

/// A text or a list of texts.
pub(super) fn listed_texts(value: Option<&Json>) -> Vec<String> {
    match value {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items.iter().map(repr::text).collect(),
        Some(one) => vec![repr::text(one)],
    }
}

fn text(raw: &Map<String, Json>, key: &str) -> Option<String> {
    match raw.get(key) {
        None | Some(Json::Null) => None,
        Some(value) => Some(repr::text(value)),
    }
}

fn hook(value: &Json) -> Json {
    match value {
        Json::Object(map) if map.contains_key("sql") => json!({
            "sql": map.get("sql"),
            "transaction": map.get("transaction").cloned().unwrap_or(Json::Bool(true)),
            "index": null,
        }),
        Json::String(text) => match serde_json::from_str::<Map<String, Json>>(text) {
            // What `before_begin` and its like make of a statement.
            Ok(map) if map.contains_key("sql") => hook(&Json::Object(map)),
            _ => json!({"sql": text, "transaction": true, "index": null}),
        },
        other => other.clone(),
    }
}

impl ModelConfig {
    /// How an incremental model adds to what is there.
    pub fn incremental(&self, materialized: &Materialization) -> Option<IncrementalSpec> {
        if *materialized != Materialization::Incremental {
            return None;
        }
        let raw = &self.raw;
        let change = match text(raw, "on_schema_change").as_deref() {
            Some("fail") => OnSchemaChange::Fail,
            Some("append_new_columns") => OnSchemaChange::AppendNewColumns,
            Some("sync_all_columns") => OnSchemaChange::SyncAllColumns,
            _ => OnSchemaChange::Ignore,
        };
        Some(IncrementalSpec {
            strategy: text(raw, "incremental_strategy"),
            unique_key: listed_texts(raw.get("unique_key")),
            on_schema_change: change,
            merge_update_columns: listed_texts(raw.get("merge_update_columns")),
            merge_exclude_columns: listed_texts(raw.get("merge_exclude_columns")),
            predicates: listed_texts(
                raw.get("incremental_predicates")
                    .or_else(|| raw.get("predicates")),
            ),
            event_time: text(raw, "event_time"),
            batch_size: text(raw, "batch_size"),
            begin: text(raw, "begin"),
            lookback: text(raw, "lookback").and_then(|n| n.parse().ok()),
        })
    }

    /// Every setting, with dbt's defaults where nothing is written.
    pub fn printed(&self, resource: Resource) -> BTreeMap<String, Json> {
        printed(&self.raw, resource)
    }
}

/// A day is the moment it begins.
fn moment(text: &str) -> String {
    let is_day = text.len() == 10 && text.bytes().filter(|b| *b == b'-').count() == 2;
    match is_day {
        true => format!("{text}T00:00:00"),
        false => text.to_owned(),
    }
}

/// The same of settings that are merged already.
pub fn printed(raw: &Map<String, Json>, resource: Resource) -> BTreeMap<String, Json> {
    let mut out: BTreeMap<String, Json> = [
        ("enabled", json!(true)),
        ("alias", Json::Null),
        ("schema", Json::Null),
        ("database", Json::Null),
        ("tags", json!([])),
        ("meta", json!({})),
        ("group", Json::Null),
        ("static_analysis", Json::Null),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    let more = match resource {
        Resource::Test => json!({
            "materialized": "test", "schema": "dbt_test__audit", "severity": "ERROR", "store_failures": null, "store_failures_as": null,
            "where": null, "limit": null, "fail_calc": "count(*)", "warn_if": "!= 0", "error_if": "!= 0",
        }),
        Resource::Source => json!({"event_time": null}),
        _ => json!({
            "incremental_strategy": null, "batch_size": null, "lookback": 1, "begin": null,
            "persist_docs": {}, "post-hook": [], "pre-hook": [], "quoting": {}, "column_types": {},
            "full_refresh": null, "unique_key": null, "on_schema_change": "ignore",
            "on_configuration_change": "apply", "grants": {}, "packages": [],
            "docs": {"show": true, "node_color": null},
            "contract": {"enforced": false, "alias_types": true},
            "event_time": null, "concurrent_batches": null,
        }),
    };
    let special = match resource {
        Resource::Model => json!({"access": "protected", "freshness": null}),
        Resource::Seed => json!({"delimiter": ",", "quote_columns": null}),
        Resource::Snapshot => json!({
            "strategy": null, "updated_at": null, "check_cols": null, "target_schema": null,
            "target_database": null, "dbt_valid_to_current": null,
            "snapshot_meta_column_names": {
                "dbt_valid_to": null, "dbt_valid_from": null, "dbt_scd_id": null,
                "dbt_updated_at": null, "dbt_is_deleted": null,
            },
        }),
        _ => json!({}),
    };
    for map in [more, special] {
        if let Json::Object(map) = map {
            out.extend(map);
        }
    }
    for (key, value) in raw {
        let value = match (key.as_str(), value) {
            ("pre-hook" | "post-hook", Json::Array(hooks)) => {
                Json::Array(hooks.iter().map(hook).collect())
            }
            ("contract" | "docs", Json::Object(written)) => match out.remove(key) {
                Some(Json::Object(mut known)) => {
                    known.extend(written.clone());
                    Json::Object(known)
                }
                _ => value.clone(),
            },
            ("tags", _) => json!(listed_texts(Some(value))),
            ("begin", Json::String(text)) => json!(moment(text)),
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    if resource == Resource::Test
        && raw.get("store_failures") == Some(&Json::Bool(true))
        && raw.get("store_failures_as").is_none_or(Json::is_null)
    {
        out.insert("store_failures_as".to_owned(), json!("table"));
    }
    out
}
