//! Filters as Jinja2 has them, where the template engine lacks them or writes another text.

use minijinja::value::{ArgType, Kwargs, Value as Jinja, ValueKind};
use minijinja::{Environment, Error};
use mxcp_values::text;
use serde_json::Value;

use super::print;

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("forceescape", |value: Jinja| {
        Jinja::from_safe_string(text::html(&print(&value)))
    });
    environment.add_filter("string", |value: Jinja| print(&value));
    environment.add_filter("tojson", to_json);
    environment.add_filter("pprint", |value: Jinja| {
        mxcp_values::repr::repr(&data(&value))
    });
    environment.add_filter("wordcount", |value: Jinja| text::words(&print(&value)));
    environment.add_filter("center", center);
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordwrap", word_wrap);
    environment.add_filter("filesizeformat", file_size);
    environment.add_filter("striptags", |value: Jinja| text::strip_tags(&print(&value)));
    environment.add_filter("urlencode", url_encode);
}

/// An argument that may be given by its place or by its name.
fn argument<T>(named: &Kwargs, name: &str, placed: Option<T>) -> Result<Option<T>, Error>
where
    T: for<'a> ArgType<'a, Output = T>,
{
    if named.has(name) {
        return named.get(name).map(Some);
    }
    Ok(placed)
}

fn data(value: &Jinja) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn escape(value: Jinja) -> Jinja {
    if value.is_safe() {
        return value;
    }
    Jinja::from_safe_string(text::html(&print(&value)))
}

/// JSON as Python writes it: sorted keys, a space after each sign, ASCII, and safe inside HTML.
fn to_json(value: Jinja, indent: Option<usize>, named: Kwargs) -> Result<Jinja, Error> {
    let indent = argument(&named, "indent", indent)?;
    named.assert_all_used()?;
    let mut out = String::new();
    json(&data(&value), indent, 0, &mut out);
    let safe = out
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027");
    Ok(Jinja::from_safe_string(safe))
}

fn json(value: &Value, indent: Option<usize>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent.min(16) * depth));
        }
    };
    let between = if indent.is_some() { "," } else { ", " };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(between);
                }
                line(depth + 1, out);
                json(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(fields) if !fields.is_empty() => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            out.push('{');
            for (i, name) in names.into_iter().enumerate() {
                if i > 0 {
                    out.push_str(between);
                }
                line(depth + 1, out);
                quoted(name, out);
                out.push_str(": ");
                json(&fields[name], indent, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        Value::String(text) => quoted(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn quoted(text: &str, out: &mut String) {
    for c in Value::from(text).to_string().chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

fn center(value: Jinja, width: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let width = argument(&named, "width", width)?.unwrap_or(80);
    named.assert_all_used()?;
    Ok(text::center(&print(&value), width))
}

fn truncate(
    value: Jinja,
    length: Option<usize>,
    killwords: Option<bool>,
    end: Option<String>,
    named: Kwargs,
) -> Result<String, Error> {
    let length = argument(&named, "length", length)?.unwrap_or(255);
    let kill = argument(&named, "killwords", killwords)?.unwrap_or(false);
    let end = argument(&named, "end", end)?.unwrap_or_else(|| "...".into());
    let leeway = argument(&named, "leeway", None)?.unwrap_or(5usize);
    named.assert_all_used()?;
    Ok(text::truncate(&print(&value), length, kill, &end, leeway))
}

fn word_wrap(value: Jinja, width: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let width = argument(&named, "width", width)?.unwrap_or(79);
    named.assert_all_used()?;
    Ok(text::word_wrap(&print(&value), width))
}

fn file_size(value: Jinja, binary: Option<bool>, named: Kwargs) -> Result<String, Error> {
    let binary = argument(&named, "binary", binary)?.unwrap_or(false);
    named.assert_all_used()?;
    let bytes = print(&value).trim().parse().unwrap_or(0.0);
    Ok(text::file_size(bytes, binary))
}

/// A text as part of a URL, or a mapping or list of pairs as its query.
fn url_encode(value: Jinja) -> Result<String, Error> {
    let pair = |key: &Jinja, value: &Jinja| {
        format!(
            "{}={}",
            text::percent(&print(key), true),
            text::percent(&print(value), true)
        )
    };
    let pairs: Vec<String> = match value.kind() {
        ValueKind::Map => value
            .try_iter()?
            .map(|key| Ok(pair(&key, &value.get_item(&key)?)))
            .collect::<Result<_, Error>>()?,
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()?
            .map(|item| {
                Ok(pair(
                    &item.get_item_by_index(0)?,
                    &item.get_item_by_index(1)?,
                ))
            })
            .collect::<Result<_, Error>>()?,
        _ => return Ok(text::percent(&print(&value), false)),
    };
    Ok(pairs.join("&"))
}
