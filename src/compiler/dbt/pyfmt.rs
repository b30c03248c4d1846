//! JSON values written the way Python writes them: dbt hashes, names and prints such texts.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// `str(value)`.
pub(super) fn to_str(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(super) fn repr(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => repr_str(text),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", repr_str(key), repr(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() && (c as u32) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

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
            repr(&value),
            r#"{'k': ["it's", 'a"b', None, True, 1.0, 2], 'ü': '\n'}"#
        );
        assert_eq!(
            json_dumps(&value, true),
            r#"{"k": ["it's", "a\"b", null, true, 1.0, 2], "\u00fc": "\n"}"#
        );
        assert_eq!(to_str(&json!("x")), "x");
    }
}
