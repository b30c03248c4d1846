//! Secrets of the user configuration as DuckDB's temporary secrets. Nothing here may log a value.

use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use serde_json::Value;

use super::SqlError;
use super::ffi::Connection;
use crate::options::Secret;

/// Creates those that DuckDB knows the type of. The others are for Python only; that is no error.
pub(crate) fn create(connection: &mut Connection, secrets: &[Secret]) {
    let mut unreachable = false;
    for secret in secrets {
        if let Some(sql) = statement(secret) {
            create_one(connection, secret, &sql, &mut unreachable);
        }
    }
}

const INSTALLING: &str = "autoinstall_known_extensions";

fn create_one(connection: &mut Connection, secret: &Secret, sql: &str, unreachable: &mut bool) {
    // Types such as `s3` come with an extension. A repository that does not answer costs seconds,
    // so it is asked only for what is not installed, and not again after it has failed.
    let local = without_installing(connection, sql);
    let outcome = match local {
        Err(error) if needs_extension(&error.to_string()) && !*unreachable => {
            let outcome = connection.batch(sql);
            *unreachable = outcome.is_err();
            outcome
        }
        outcome => outcome,
    };
    let Err(error) = outcome else {
        return;
    };
    let reason = reason(secret, &error.to_string());
    if reason.contains("not found") {
        // A type of the project's own: only Python uses it.
        tracing::debug!("secret `{}` is not for SQL: {reason}", secret.name);
    } else {
        tracing::warn!(
            "secret `{}` of type `{}` is not available to SQL: {reason}",
            secret.name,
            secret.kind
        );
    }
}

fn without_installing(connection: &mut Connection, sql: &str) -> Result<(), SqlError> {
    connection.batch(&format!("SET {INSTALLING} = false"))?;
    let outcome = connection.batch(sql);
    connection.batch(&format!("RESET {INSTALLING}"))?;
    outcome
}

fn needs_extension(message: &str) -> bool {
    message.contains("extension")
}

/// The first line of DuckDB's message, unless it may quote a value.
fn reason(secret: &Secret, message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let quotes = secret
        .parameters
        .values()
        .any(|value| parts(value).iter().any(|part| first.contains(part)));
    if quotes || first.contains("with value") {
        "one of its parameters has a value of the wrong kind".into()
    } else if needs_extension(first) {
        "DuckDB has it from an extension that is not installed and cannot be downloaded".into()
    } else {
        first.to_owned()
    }
}

// The texts and numbers in a value.
fn parts(value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Bool(_) => Vec::new(),
        Value::Number(number) => vec![number.to_string()],
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![text.clone(), text.replace('\'', "''")],
        Value::Array(items) => items.iter().flat_map(parts).collect(),
        Value::Object(fields) => fields.values().flat_map(parts).collect(),
    }
}

fn statement(secret: &Secret) -> Option<String> {
    if secret.parameters.is_empty() || !is_word(&secret.kind) {
        return None;
    }
    let mut sql = format!(
        "CREATE OR REPLACE TEMPORARY SECRET {} (TYPE {}",
        quote_identifier(&secret.name),
        secret.kind
    );
    for (key, value) in &secret.parameters {
        if !is_word(key) {
            return None;
        }
        sql.push_str(&format!(", {key} {}", literal(value)));
    }
    sql.push(')');
    Some(sql)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => quote_literal(text),
        Value::Object(fields) => {
            let entries: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", quote_literal(key), literal(value)))
                .collect();
            format!("MAP {{{}}}", entries.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_quoted() {
        let secret = Secret {
            name: "a\"b".into(),
            kind: "http".into(),
            parameters: json!({"bearer_token": "it's", "extra_http_headers": {"X": "1"}})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        assert_eq!(
            statement(&secret).as_deref(),
            Some(
                "CREATE OR REPLACE TEMPORARY SECRET \"a\"\"b\" (TYPE http, bearer_token 'it''s', extra_http_headers MAP {'X': '1'})"
            )
        );
        assert!(!format!("{secret:?}").contains("it's"));
    }
    #[test]
    fn reasons_show_no_value() {
        let secret = Secret {
            name: "a".into(),
            kind: "http".into(),
            parameters: json!({"x": {"k": ["hidden"]}, "y": 12})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        let kept = "Binder Error: Unknown parameter \"z\" for secret type \"http\"";
        assert_eq!(reason(&secret, kept), kept);
        for message in [
            "cannot cast hidden",
            "not 12",
            "Type VARCHAR with value 'hid'",
        ] {
            assert!(reason(&secret, message).starts_with("one of its parameters"));
        }
    }
}
