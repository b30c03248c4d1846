//! Filters that Jinja2 has and the template engine lacks, or writes in another way.

use minijinja::value::{ArgType, Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use mxcp_values::text;
use serde_json::Value as Json;

use super::pycompat::MutableList;
use super::pyfmt;
use super::statics::json_of;

/// What no text can be made of before a run: `random` draws, `urlize` makes HTML of prose.
pub(super) const UNSUPPORTED: [&str; 2] = ["random", "urlize"];

pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("forceescape", |value: Value| {
        Value::from_safe_string(text::html(&value.to_string()))
    });
    env.add_filter("wordcount", |value: Value| text::words(&value.to_string()));
    env.add_filter("striptags", |value: Value| {
        text::strip_tags(&value.to_string())
    });
    env.add_filter("tojson", to_json);
    // Lists of their own, which a template may change.
    env.add_filter("list", |state: &State<'_, '_>, value: Value| {
        changeable(minijinja::filters::list(state, value)?)
    });
    env.add_filter(
        "sort",
        |state: &State<'_, '_>, value: Value, named: Kwargs| {
            changeable(minijinja::filters::sort(state, value, named)?)
        },
    );
    env.add_filter("center", center);
    env.add_filter("truncate", truncate);
    env.add_filter("wordwrap", word_wrap);
    env.add_filter("filesizeformat", file_size);
    env.add_filter("urlencode", url_encode);
    env.add_filter("xmlattr", xml_attributes);
}

fn changeable(list: Value) -> Result<Value, Error> {
    Ok(Value::from_object(MutableList::new(
        list.try_iter()?.collect(),
    )))
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

fn escape(value: Value) -> Value {
    if value.is_safe() {
        return value;
    }
    Value::from_safe_string(text::html(&value.to_string()))
}

/// JSON as Python writes it, with sorted keys, and safe inside HTML.
fn to_json(value: Value, indent: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let indent = argument(&named, "indent", indent)?;
    named.assert_all_used()?;
    let Some(json) = json_of(&value) else {
        let message = format!("`{value}` cannot be written as JSON");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    let text = match indent {
        Some(indent) => indented(&json, indent.min(16), 0),
        None => pyfmt::json_dumps(&json, true),
    };
    Ok(text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027"))
}

fn indented(json: &Json, indent: usize, depth: usize) -> String {
    let inner = "\n".to_owned() + &" ".repeat(indent * (depth + 1));
    let outer = "\n".to_owned() + &" ".repeat(indent * depth);
    let joined = |parts: Vec<String>, open: char, close: char| {
        let comma = format!(",{inner}");
        format!("{open}{inner}{}{outer}{close}", parts.join(&comma))
    };
    match json {
        Json::Array(items) if !items.is_empty() => {
            let items = items.iter().map(|item| indented(item, indent, depth + 1));
            joined(items.collect(), '[', ']')
        }
        Json::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let pairs = keys.into_iter().map(|key| {
                let name = pyfmt::json_dumps(&Json::from(key.as_str()), true);
                format!("{name}: {}", indented(&map[key], indent, depth + 1))
            });
            joined(pairs.collect(), '{', '}')
        }
        other => pyfmt::json_dumps(other, true),
    }
}

fn center(value: Value, width: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let width = argument(&named, "width", width)?.unwrap_or(80);
    named.assert_all_used()?;
    Ok(text::center(&value.to_string(), width))
}

fn truncate(
    value: Value,
    length: Option<usize>,
    kill_words: Option<bool>,
    end: Option<String>,
    named: Kwargs,
) -> Result<String, Error> {
    let length = argument(&named, "length", length)?.unwrap_or(255);
    let kill = argument(&named, "killwords", kill_words)?.unwrap_or(false);
    let end = argument(&named, "end", end)?.unwrap_or_else(|| "...".into());
    let leeway = argument(&named, "leeway", None)?.unwrap_or(5usize);
    named.assert_all_used()?;
    Ok(text::truncate(
        &value.to_string(),
        length,
        kill,
        &end,
        leeway,
    ))
}

fn word_wrap(value: Value, width: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let width = argument(&named, "width", width)?.unwrap_or(79);
    named.assert_all_used()?;
    Ok(text::word_wrap(&value.to_string(), width))
}

fn file_size(value: Value, binary: Option<bool>, named: Kwargs) -> Result<String, Error> {
    let binary = argument(&named, "binary", binary)?.unwrap_or(false);
    named.assert_all_used()?;
    let bytes = value.to_string().trim().parse().map_err(|_| {
        let message = format!("could not convert string to float: '{value}'");
        Error::new(ErrorKind::InvalidOperation, message)
    })?;
    Ok(text::file_size(bytes, binary))
}

/// A text as part of a URL, or a mapping or list of pairs as its query.
fn url_encode(value: Value) -> Result<String, Error> {
    let query = |part: &Value| text::percent(&part.to_string(), true);
    let mut pairs = Vec::new();
    match value.kind() {
        ValueKind::Map => {
            for key in value.try_iter()? {
                pairs.push(format!("{}={}", query(&key), query(&value.get_item(&key)?)));
            }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                let (key, value) = (item.get_item_by_index(0)?, item.get_item_by_index(1)?);
                pairs.push(format!("{}={}", query(&key), query(&value)));
            }
        }
        _ => return Ok(text::percent(&value.to_string(), false)),
    }
    Ok(pairs.join("&"))
}

/// A mapping as attributes of an element; what is nothing is left out.
fn xml_attributes(value: Value, space: Option<bool>, named: Kwargs) -> Result<Value, Error> {
    let space = argument(&named, "autospace", space)?.unwrap_or(true);
    named.assert_all_used()?;
    let mut written = Vec::new();
    for key in value.try_iter()? {
        let value = value.get_item(&key)?;
        if value.is_none() || value.is_undefined() {
            continue;
        }
        written.push(format!(
            "{}=\"{}\"",
            text::html(&key.to_string()),
            text::html(&value.to_string())
        ));
    }
    let lead = if space && !written.is_empty() {
        " "
    } else {
        ""
    };
    Ok(Value::from_safe_string(format!(
        "{lead}{}",
        written.join(" ")
    )))
}
