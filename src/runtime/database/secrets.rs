//! Secrets of the user configuration as DuckDB's temporary secrets. Nothing here may log a value.

use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use serde_json::Value;

use super::ffi::Connection;
use crate::options::Secret;

/// Creates those that DuckDB knows the type of. The others are for Python only; that is no error.
pub(crate) fn create(connection: &mut Connection, secrets: &[Secret]) {
    for secret in secrets {
        let Some(sql) = statement(secret) else {
            continue;
        };
        if connection.batch(&sql).is_err() {
            // DuckDB's message may quote the statement, and so the values.
            tracing::debug!(
                secret = secret.name,
                kind = secret.kind,
                "DuckDB does not accept this secret; only Python can use it"
            );
        }
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
}
