//! The `merge` strategy: dbt's options as one MERGE statement.

use serde_json::{Map, Value};

use super::strategy::{Statement, is_list};
use crate::relations::quoted_list;

pub(super) fn statement(merge: &Statement<'_>) -> Result<String, String> {
    let job = merge.job;
    check(merge)?;
    let mut sql = format!(
        "merge into {} as DBT_INTERNAL_DEST using {} as DBT_INTERNAL_SOURCE {}",
        merge.target.quoted(),
        merge.source,
        join(merge)
    );
    let clauses = job.config.get("merge_clauses");
    let listed = |key: &str| {
        clauses
            .and_then(|clauses| clauses.get(key))
            .and_then(Value::as_array)
            .cloned()
    };
    let matched = listed("when_matched").unwrap_or_else(|| vec![default_update(merge)]);
    let not_matched = listed("when_not_matched").unwrap_or_else(|| vec![default_insert(merge)]);
    for clause in &matched {
        sql.push_str(" when matched");
        sql.push_str(&condition(clause));
        sql.push_str(" then ");
        sql.push_str(&matched_action(merge, clause)?);
    }
    for clause in &not_matched {
        sql.push_str(" when not matched");
        if let Some(by) = text(clause, "by") {
            sql.push_str(&format!(" by {}", by.to_uppercase()));
        }
        sql.push_str(&condition(clause));
        sql.push_str(" then ");
        sql.push_str(&not_matched_action(clause)?);
    }
    let returning = job.texts("merge_returning_columns");
    if !returning.is_empty() {
        sql.push_str(&format!(" returning {}", returning.join(", ")));
    }
    Ok(sql)
}

fn check(merge: &Statement<'_>) -> Result<(), String> {
    let spec = merge.spec;
    if !spec.merge_update_columns.is_empty() && !spec.merge_exclude_columns.is_empty() {
        return Err("Model cannot specify merge_update_columns and merge_exclude_columns. Please update model to use only one config".into());
    }
    let Some(clauses) = merge.job.config.get("merge_clauses") else {
        return Ok(());
    };
    if clauses.is_null() {
        return Ok(());
    }
    let Some(clauses) = clauses.as_object() else {
        return Err(
            "`merge_clauses` must be a mapping with `when_matched` and `when_not_matched`".into(),
        );
    };
    if !clauses.contains_key("when_matched") && !clauses.contains_key("when_not_matched") {
        return Err(
            "`merge_clauses` must contain at least one of `when_matched` and `when_not_matched`"
                .into(),
        );
    }
    for (key, value) in clauses {
        match value.as_array() {
            Some(list) if !list.is_empty() => {}
            _ => return Err(format!("`merge_clauses.{key}` must be a list of clauses")),
        }
    }
    // Settings that the clauses would silence.
    let silenced: Vec<&str> = [
        "merge_update_condition",
        "merge_insert_condition",
        "merge_update_columns",
        "merge_update_set_expressions",
        "merge_exclude_columns",
    ]
    .into_iter()
    .filter(|key| match merge.job.config.get(*key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    })
    .collect();
    if !silenced.is_empty() {
        return Err(format!(
            "`merge_clauses` stands beside `{}`, which it would silence; say there what these say, and take them out",
            silenced.join("`, `")
        ));
    }
    Ok(())
}

fn join(merge: &Statement<'_>) -> String {
    let using = merge.job.texts("merge_on_using_columns");
    if !using.is_empty() {
        let mut join = format!("using ({})", using.join(", "));
        if !merge.spec.predicates.is_empty() {
            join.push_str(&format!(" on ({})", merge.spec.predicates.join(") and (")));
        }
        return join;
    }
    let mut terms: Vec<String> = merge
        .spec
        .unique_key
        .iter()
        .map(|key| format!("DBT_INTERNAL_SOURCE.{key} = DBT_INTERNAL_DEST.{key}"))
        .collect();
    if terms.is_empty() && !is_list(merge.job) {
        terms.push("false".into());
    }
    terms.extend(merge.spec.predicates.iter().cloned());
    format!("on ({})", terms.join(") and ("))
}

fn default_update(merge: &Statement<'_>) -> Value {
    let spec = merge.spec;
    let sets = merge.job.config.get("merge_update_set_expressions");
    let explicit = !spec.merge_update_columns.is_empty()
        || !spec.merge_exclude_columns.is_empty()
        || sets
            .and_then(Value::as_object)
            .is_some_and(|s| !s.is_empty());
    let mut clause = Map::new();
    clause.insert("action".into(), "update".into());
    clause.insert(
        "mode".into(),
        if explicit { "explicit" } else { "by_name" }.into(),
    );
    if let Some(condition) = merge.job.config.get("merge_update_condition") {
        clause.insert("condition".into(), condition.clone());
    }
    if explicit {
        clause.insert(
            "update".into(),
            serde_json::json!({
                "include": spec.merge_update_columns,
                "exclude": spec.merge_exclude_columns,
                "set_expressions": sets,
            }),
        );
    }
    clause.into()
}

fn default_insert(merge: &Statement<'_>) -> Value {
    serde_json::json!({
        "action": "insert",
        "mode": "by_name",
        "condition": merge.job.config.get("merge_insert_condition"),
    })
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|items| {
            items
                .iter()
                .map(|item| match item {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect()
        })
        .unwrap_or_default()
}

fn condition(clause: &Value) -> String {
    match clause.get("condition") {
        Some(Value::String(condition)) => format!(" and {condition}"),
        Some(list @ Value::Array(_)) => {
            format!(" and ({})", texts(Some(list)).join(") and ("))
        }
        _ => String::new(),
    }
}

fn matched_action(merge: &Statement<'_>, clause: &Value) -> Result<String, String> {
    let action = text(clause, "action").unwrap_or_default();
    if action != "update" {
        return plain_action(clause, "when_matched");
    }
    Ok(match text(clause, "mode").unwrap_or_default() {
        "by_name" => "update by name".to_owned(),
        "by_position" => "update by position".to_owned(),
        "star" => "update set *".to_owned(),
        "explicit" => {
            let update = clause.get("update").cloned().unwrap_or_default();
            let sets = update
                .get("set_expressions")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            let include = texts(update.get("include"));
            let exclude = texts(update.get("exclude"));
            let columns: Vec<String> = if !include.is_empty() {
                include
            } else {
                merge
                    .columns
                    .iter()
                    .filter(|(name, _)| {
                        !exclude
                            .iter()
                            .any(|e| e.to_lowercase() == name.to_lowercase())
                    })
                    .map(|(name, _)| quoted_list(std::iter::once(name.as_str())))
                    .collect()
            };
            let mut terms: Vec<String> = sets
                .iter()
                .map(|(column, expression)| match expression {
                    Value::String(expression) => format!("{column} = {expression}"),
                    other => format!("{column} = {other}"),
                })
                .collect();
            terms.extend(
                columns
                    .iter()
                    .filter(|column| !sets.contains_key(&column.replace(['"', '\''], "")))
                    .map(|column| format!("{column} = DBT_INTERNAL_SOURCE.{column}")),
            );
            format!("update set {}", terms.join(", "))
        }
        other => {
            return Err(format!(
                "`merge_clauses.when_matched` has an update of the mode `{other}`; use `by_name`, `by_position`, `star` or `explicit`"
            ));
        }
    })
}

fn not_matched_action(clause: &Value) -> Result<String, String> {
    match text(clause, "action").unwrap_or_default() {
        "update" => {
            let sets = clause
                .get("set_expressions")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            let terms: Vec<String> = sets
                .iter()
                .map(|(column, expression)| match expression {
                    Value::String(expression) => format!("{column} = {expression}"),
                    other => format!("{column} = {other}"),
                })
                .collect();
            Ok(format!("update set {}", terms.join(", ")))
        }
        "insert" => Ok(match text(clause, "mode").unwrap_or_default() {
            "by_name" => "insert by name".to_owned(),
            "by_position" => "insert by position".to_owned(),
            "star" => "insert *".to_owned(),
            "explicit" => {
                let insert = clause.get("insert").cloned().unwrap_or_default();
                format!(
                    "insert ({}) values ({})",
                    texts(insert.get("columns")).join(", "),
                    texts(insert.get("values")).join(", ")
                )
            }
            other => {
                return Err(format!(
                    "`merge_clauses.when_not_matched` has an insert of the mode `{other}`; use `by_name`, `by_position`, `star` or `explicit`"
                ));
            }
        }),
        _ => plain_action(clause, "when_not_matched"),
    }
}

fn plain_action(clause: &Value, place: &str) -> Result<String, String> {
    Ok(match text(clause, "action").unwrap_or_default() {
        "delete" => "delete".to_owned(),
        "do_nothing" => "do nothing".to_owned(),
        "error" => match text(clause, "error_message") {
            Some(message) if !message.is_empty() => {
                format!("error '{}'", message.replace('\'', "''"))
            }
            _ => "error".to_owned(),
        },
        other => {
            return Err(format!(
                "`merge_clauses.{place}` has the action `{other}`; use `update`, `insert`, `delete`, `do_nothing` or `error`"
            ));
        }
    })
}
