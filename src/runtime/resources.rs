//! Resource URIs: which template a concrete URI belongs to, and the values in it.
//!
//! A variable stands for one or more characters that are not `/`; `{+name}` may contain `/`. What
//! surrounds it is literal, in whatever way the characters are escaped: clients escape a URI before they
//! send it, and not all alike. Values are percent-decoded.

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
    let uri = spelled(uri);
    manifest
        .endpoints
        .iter()
        .filter(|e| e.kind == EndpointKind::Resource)
        .filter_map(|e| {
            let template = e.uri.as_deref()?;
            Some((specificity(template), e, match_spelled(template, &uri)?))
        })
        .max_by_key(|(literal, ..)| *literal)
        .map(|(_, endpoint, values)| (endpoint, values))
}

/// The values of a template's variables in a URI, if the URI belongs to it.
pub fn match_uri(template: &str, uri: &str) -> Option<Map<String, Value>> {
    match_spelled(template, &spelled(uri))
}

fn match_spelled(template: &str, uri: &str) -> Option<Map<String, Value>> {
    if !is_template(template) {
        return (spelled(template) == uri).then(Map::new);
    }
    // Most templates of a project are told apart by how they begin.
    let (begin, _) = template.split_once('{')?;
    if !uri.starts_with(&spelled(begin)) {
        return None;
    }
    let mut pattern = String::from("^");
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (name, tail) = tail.split_once('}')?;
        pattern.push_str(&regex::escape(&spelled(literal)));
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
    pattern.push_str(&regex::escape(&spelled(rest)));
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

/// A URI in the one way of escaping that others are compared in: what must be escaped is, what need not
/// be is not.
fn spelled(uri: &str) -> String {
    let mut out = String::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let escaped = (*byte == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(escaped) = escaped {
            rest = tail.get(2..).unwrap_or_default();
            match escaped {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(char::from(escaped));
                }
                _ => out.push_str(&format!("%{escaped:02X}")),
            }
        } else if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
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
        for uri in ["x://größe/a%2fb", "x://gr%C3%B6%c3%9Fe/%61%2Fb"] {
            assert_eq!(matched("x://größe/{v}", uri), Some(json!({"v": "a/b"})));
        }
        assert_eq!(matched("x://a b", "x://a%20b"), Some(json!({})));
        assert_eq!(matched("x://a%2Fb", "x://a/b"), None);
    }
}
