//! Filters as Jinja2 has them, where the template engine lacks them or writes another text.

use minijinja::value::{ArgType, Kwargs, Value as Jinja, ValueKind};
use minijinja::{Environment, Error};
use serde_json::Value;

use super::print;

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("forceescape", |value: Jinja| {
        Jinja::from_safe_string(html(&print(&value)))
    });
    environment.add_filter("string", |value: Jinja| print(&value));
    environment.add_filter("tojson", to_json);
    environment.add_filter("pprint", |value: Jinja| {
        mxcp_values::repr::repr(&data(&value))
    });
    environment.add_filter("wordcount", |value: Jinja| words(&print(&value)));
    environment.add_filter("center", center);
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordwrap", word_wrap);
    environment.add_filter("filesizeformat", file_size);
    environment.add_filter("striptags", |value: Jinja| strip_tags(&print(&value)));
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
    Jinja::from_safe_string(html(&print(&value)))
}

/// The five characters, under the names that Python's `markupsafe` gives them.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
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

fn words(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .count()
}

// Where the space is odd, Python puts the larger half in front only for an odd width.
fn center(value: Jinja, width: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let width = argument(&named, "width", width)?.unwrap_or(80);
    named.assert_all_used()?;
    let text = print(&value);
    let space = width.min(10_000).saturating_sub(text.chars().count());
    let left = space / 2 + (space & width & 1);
    Ok(format!(
        "{}{text}{}",
        " ".repeat(left),
        " ".repeat(space - left)
    ))
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
    let text = print(&value);
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text
        .chars()
        .take(length.saturating_sub(end.chars().count()))
        .collect();
    if kill {
        return Ok(kept + &end);
    }
    let whole = kept
        .rsplit_once(' ')
        .map_or(kept.as_str(), |(head, _)| head);
    Ok(format!("{whole}{end}"))
}

/// Breaks each line at spaces; a word longer than a line is cut.
fn word_wrap(value: Jinja, width: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let width = argument(&named, "width", width)?.unwrap_or(79).max(1);
    named.assert_all_used()?;
    let text = print(&value);
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            let used = current.chars().count();
            let needed = used + usize::from(used > 0) + word.len();
            if needed <= width {
                if used > 0 {
                    current.push(' ');
                }
            } else {
                // A word that no line could hold fills what is left of this one.
                if word.len() > width && used > 0 && width > used + 1 {
                    let head: String = word.drain(..width - used - 1).collect();
                    current.push(' ');
                    current.push_str(&head);
                }
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                while word.len() > width {
                    out.push(word.drain(..width).collect());
                }
            }
            current.extend(word);
        }
        out.push(current);
    }
    Ok(out.join("\n"))
}

fn file_size(value: Jinja, binary: Option<bool>, named: Kwargs) -> Result<String, Error> {
    let binary = argument(&named, "binary", binary)?.unwrap_or(false);
    named.assert_all_used()?;
    let bytes: f64 = print(&value).trim().parse().unwrap_or(0.0);
    let base = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok("1 Byte".into());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let mut unit = base;
    let mut chosen = "";
    for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
        unit *= base;
        chosen = prefix;
        if bytes < unit {
            break;
        }
    }
    let unit_name = match (binary, chosen) {
        (true, "k") => "KiB".to_owned(),
        (true, prefix) => format!("{prefix}iB"),
        (false, prefix) => format!("{prefix}B"),
    };
    Ok(format!("{:.1} {unit_name}", base * bytes / unit))
}

fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let tag = &rest[open..];
        let end = match tag.strip_prefix("<!--") {
            Some(comment) => comment.find("-->").map(|at| at + 7),
            None => tag.find('>').map(|at| at + 1),
        };
        let Some(end) = end else {
            rest = tag;
            break;
        };
        rest = &tag[end..];
    }
    out.push_str(rest);
    let text: Vec<&str> = out.split_whitespace().collect();
    text.join(" ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// A text as part of a URL, or a mapping or list of pairs as its query.
fn url_encode(value: Jinja) -> Result<String, Error> {
    let pair = |key: &Jinja, value: &Jinja| {
        format!(
            "{}={}",
            percent(&print(key), "", true),
            percent(&print(value), "", true)
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
        _ => return Ok(percent(&print(&value), "/", false)),
    };
    Ok(pairs.join("&"))
}

fn percent(text: &str, safe: &str, plus: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
            out.push(c);
        } else if c == ' ' && plus {
            out.push('+');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
