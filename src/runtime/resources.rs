//! Resource URIs: which template a concrete URI belongs to, and the values in it.
//!
//! A variable stands for one or more characters that are not `/`; `{+name}` may contain `/`. What
//! surrounds it is literal. Values are percent-decoded.

use mxcp_artifact::{Endpoint, EndpointKind, Manifest};
use regex::Regex;
use serde_json::{Map, Value};

/// Whether a URI has variables.
pub fn is_template(uri: &str) -> bool {
    uri.contains('{')
}

/// The resource that a concrete URI names, with the values of its variables. A resource without
/// variables wins over templates, a template with more literal text over one with less.
pub fn resolve<'a>(
    manifest: &'a Manifest,
    uri: &str,
) -> Option<(&'a Endpoint, Map<String, Value>)> {
    manifest
        .endpoints
        .iter()
        .filter(|e| e.kind == EndpointKind::Resource)
        .filter_map(|e| {
            let template = e.uri.as_deref()?;
            Some((specificity(template), e, match_uri(template, uri)?))
        })
        .max_by_key(|(literal, ..)| *literal)
        .map(|(_, endpoint, values)| (endpoint, values))
}

/// The values of a template's variables in a URI, if the URI belongs to it.
pub fn match_uri(template: &str, uri: &str) -> Option<Map<String, Value>> {
    if !is_template(template) {
        return (template == uri).then(Map::new);
    }
    let mut pattern = String::from("^");
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (name, tail) = tail.split_once('}')?;
        pattern.push_str(&regex::escape(literal));
        match name.strip_prefix('+') {
            Some(name) => {
                names.push(name);
                pattern.push_str("(.+)");
            }
            None => {
                names.push(name);
                pattern.push_str("([^/]+)");
            }
        }
        rest = tail;
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    let found = Regex::new(&pattern).ok()?.captures(uri)?;
    let mut values = Map::new();
    for (name, value) in names.into_iter().zip(found.iter().skip(1)) {
        values.insert(name.trim().to_owned(), decode(value?.as_str()).into());
    }
    Some(values)
}

/// How much of a template is literal; of two that fit a URI the one with more is meant.
pub fn specificity(template: &str) -> usize {
    if !is_template(template) {
        return usize::MAX;
    }
    let mut inside = false;
    template
        .chars()
        .filter(|c| {
            match c {
                '{' => inside = true,
                '}' => inside = false,
                _ => return !inside,
            }
            false
        })
        .count()
}

/// Percent-decoding; a sequence that is none stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        let escaped = (*byte == b'%')
            .then(|| text.get(i + 1..i + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(*byte);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matched(template: &str, uri: &str) -> Option<Value> {
        match_uri(template, uri).map(Value::Object)
    }

    #[test]
    fn variables_take_decoded_segments() {
        assert_eq!(
            matched("rows://{kind}/all", "rows://k%201/all"),
            Some(json!({"kind": "k 1"}))
        );
        assert_eq!(matched("item://{id}", "item://a/b"), None);
        assert_eq!(
            matched("file://{+path}", "file://a/b.txt"),
            Some(json!({"path": "a/b.txt"}))
        );
        assert_eq!(matched("a.b://{x}", "aXb://1"), None);
        assert_eq!(
            matched("config://static", "config://static"),
            Some(json!({}))
        );
        assert_eq!(matched("x://{v}", "x://100%"), Some(json!({"v": "100%"})));
    }
}
