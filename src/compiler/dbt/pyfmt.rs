//! JSON values written the way Python writes them: dbt hashes, names and prints such texts.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// `json.dumps(value)`, with Python's separators and its ASCII-only strings.
pub(super) fn json_dumps(value: &Json, sort_keys: bool) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(|v| json_dumps(v, sort_keys)).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if sort_keys {
                entries.sort_by_key(|(key, _)| key.as_str());
            }
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}: {}", json_str(key), json_dumps(value, sort_keys)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Json::String(text) => json_str(text),
        other => other.to_string(),
    }
}

fn json_str(text: &str) -> String {
    let plain = Json::String(text.to_owned()).to_string();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_python_writes_it() {
        let value = json!({"k": ["it's", "a\"b", null, true, 1.0, 2], "ü": "\n"});
        assert_eq!(
            mxcp_values::repr::repr(&value),
            r#"{'k': ["it's", 'a"b', None, True, 1.0, 2], 'ü': '\n'}"#
        );
        assert_eq!(
            json_dumps(&value, true),
            r#"{"k": ["it's", "a\"b", null, true, 1.0, 2], "\u00fc": "\n"}"#
        );
    }
}
