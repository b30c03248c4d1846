//! What a template says without being run: its calls with literal arguments, from every branch.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::value::{Value, ValueKind};
use mxcp_syntax::SyntaxError;
use mxcp_syntax::jinja::{Arg, Template, scan};
use serde_json::{Map, Value as Json};

use super::problem::{At, Problem, code};

/// A call of a name (`ref`, `config.get`, …) written in a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StaticCall {
    pub(super) name: String,
    /// `None` for an argument that is not a literal.
    pub(super) args: Vec<Option<Json>>,
    pub(super) kwargs: Vec<(String, Option<Json>)>,
    /// The whole call.
    pub(super) range: Range<u32>,
}

/// The names and positions a template mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StaticRefs {
    pub refs: Vec<RefUse>,
    pub sources: Vec<SourceUse>,
    /// Literal keyword arguments of `config()` calls, later ones winning.
    pub config: Map<String, Json>,
    /// A `ref`, `source` or `config` has an argument that only rendering can tell.
    pub computed: bool,
    /// A `config` has.
    pub computed_config: bool,
}

/// One `ref()`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefUse {
    pub package: Option<String>,
    pub name: String,
    /// Bytes of the call in the template.
    pub range: Range<u32>,
}

/// One `source()`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceUse {
    pub source: String,
    pub table: String,
    /// Bytes of the call in the template.
    pub range: Range<u32>,
}

/// Reads refs, sources and configuration from every branch of a template, without rendering it.
/// A template that does not parse says so.
pub fn static_refs(text: &str) -> (StaticRefs, Vec<Problem>) {
    let mut out = StaticRefs::default();
    let calls = match calls(text) {
        Ok(calls) => calls,
        Err(problems) => return (out, problems),
    };
    for call in calls {
        match call.name.as_str() {
            "ref" | "builtins.ref" => match ref_arguments(&call) {
                Some((package, name)) => out.refs.push(RefUse {
                    package,
                    name,
                    range: call.range,
                }),
                None => out.computed = true,
            },
            "source" | "builtins.source" => match call.args.as_slice() {
                [Some(Json::String(source)), Some(Json::String(table))] => {
                    out.sources.push(SourceUse {
                        source: source.clone(),
                        table: table.clone(),
                        range: call.range,
                    });
                }
                _ => out.computed = true,
            },
            "config" => {
                for argument in &call.args {
                    match argument {
                        Some(Json::Object(map)) => {
                            super::config::merge(&mut out.config, map.clone())
                        }
                        _ => out.computed_config = true,
                    }
                }
                for (key, value) in call.kwargs {
                    match value {
                        Some(value) => {
                            let layer = Map::from_iter([(key, value)]);
                            super::config::merge(&mut out.config, layer);
                        }
                        None => out.computed_config = true,
                    }
                }
            }
            _ => {}
        }
    }
    out.computed |= out.computed_config;
    (out, Vec::new())
}

/// Package and name of a `ref` call with literal arguments.
pub(super) fn ref_arguments(call: &StaticCall) -> Option<(Option<String>, String)> {
    let version = call
        .kwargs
        .iter()
        .find(|(name, _)| name == "version" || name == "v");
    let version = match version {
        Some((_, Some(Json::Null))) | None => None,
        Some((_, Some(Json::String(version)))) => Some(version.clone()),
        Some((_, Some(Json::Number(version)))) => Some(version.to_string()),
        Some(_) => return None,
    };
    let name = |name: &String| match &version {
        Some(version) => version_name(name, version),
        None => name.clone(),
    };
    match call.args.as_slice() {
        [Some(Json::String(model))] => Some((None, name(model))),
        [Some(Json::String(package)), Some(Json::String(model))] => {
            Some((Some(package.clone()), name(model)))
        }
        _ => None,
    }
}

/// What dbt calls a version of a model, unless the properties name another file.
pub(super) fn version_name(model: &str, version: &str) -> String {
    format!("{model}_v{version}")
}

/// What is known of a template before it is rendered.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Every call of a dotted name, in template order.
    pub(super) calls: Vec<StaticCall>,
    /// Names it reads, sets nowhere, and does not allow to be missing.
    pub(super) free: Vec<(String, Range<u32>)>,
}

pub(super) fn outline(text: &str) -> Result<Outline, Vec<Problem>> {
    let template = scan(text);
    if !template.errors.is_empty() {
        return Err(template.errors.into_iter().map(jinja_problem).collect());
    }
    let guarded = guarded_names(text, &template);
    let free = template
        .undeclared
        .iter()
        .filter(|(name, range)| {
            !guarded.contains(name.as_str()) && !in_condition(text, range.start().into())
        })
        .map(|(name, range)| (name.clone(), range.start().into()..range.end().into()))
        .collect();
    let values = |args: Vec<Arg>| args.into_iter().map(|arg| arg.value).collect();
    let calls = template
        .calls
        .into_iter()
        .map(|call| {
            let mut args: Vec<Option<Json>> = values(call.args);
            if call.has_splat {
                args.push(None);
            }
            StaticCall {
                name: call.name,
                args,
                kwargs: call
                    .kwargs
                    .into_iter()
                    .map(|(name, arg)| (name, arg.value))
                    .collect(),
                range: call.range.start().into()..call.range.end().into(),
            }
        })
        .collect();
    Ok(Outline { calls, free })
}

/// Every call of a dotted name, in template order.
pub(super) fn calls(text: &str) -> Result<Vec<StaticCall>, Vec<Problem>> {
    outline(text).map(|outline| outline.calls)
}

/// Names that the template itself says may be missing: `{{ x | default('') }}`, `{% if x is defined %}`.
pub(crate) fn guarded_names<'a>(text: &'a str, template: &Template) -> BTreeSet<&'a str> {
    let guards = template
        .tests
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "defined" | "undefined" | "none"));
    template
        .filters
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "default" | "d"))
        .chain(guards)
        .filter_map(|(_, range)| guarded_name(text, range.start().into()))
        .collect()
}

// The name before a filter or test that starts at `offset`: `x` of `x | default(1)` and `x is not defined`.
fn guarded_name(text: &str, offset: usize) -> Option<&str> {
    let mut head = text.get(..offset)?.trim_end();
    for word in ["not", "is", "|"] {
        head = head.strip_suffix(word).unwrap_or(head).trim_end();
    }
    let start = head
        .rfind(|c: char| c != '_' && !c.is_alphanumeric())
        .map_or(0, |i| {
            i + head[i..].chars().next().map_or(1, char::len_utf8)
        });
    head.get(start..).filter(|name| !name.is_empty())
}

// `{% if x %}` asks whether there is an `x`.
fn in_condition(text: &str, offset: usize) -> bool {
    let head = text.get(..offset).unwrap_or("");
    let Some(open) = head.rfind('{') else {
        return false;
    };
    let tag = head.get(open..).and_then(|tag| tag.strip_prefix("{%"));
    tag.is_some_and(|tag| {
        let tag = tag.trim_start_matches(['-', '+']).trim_start();
        tag.starts_with("if ") || tag.starts_with("elif ")
    })
}

pub(super) fn jinja_problem(error: SyntaxError) -> Problem {
    Problem::new(code::JINJA_SYNTAX, At::Range(error.range), error.message).maybe_help(error.help)
}

/// A parse error of the template engine as a problem.
pub(super) fn syntax_problem(text: &str, error: &minijinja::Error) -> Problem {
    let message = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    if message.starts_with("unexpected end of input")
        && let Some(error) = mxcp_syntax::jinja::unclosed(text)
    {
        return jinja_problem(error);
    }
    let range = error
        .range()
        .map_or_else(|| line_range(text, error.line().unwrap_or(1)), to_u32);
    Problem::new(
        code::JINJA_SYNTAX,
        At::bytes(range),
        format!("not valid Jinja: {message}"),
    )
}

pub(super) fn to_u32(range: Range<usize>) -> Range<u32> {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    cut(range.start)..cut(range.end)
}

/// The line of an error, counted from 1.
pub(super) fn line_of_range(error: &minijinja::Error) -> Option<usize> {
    error.line()
}

/// The bytes of a line, counted from 1.
pub(super) fn line_range(text: &str, line: usize) -> Range<u32> {
    let mut start = 0;
    for (index, content) in text.split('\n').enumerate() {
        if index + 1 == line {
            return to_u32(start..start + content.trim_end().len());
        }
        start += content.len() + 1;
    }
    to_u32(text.len()..text.len())
}

/// A value as JSON; `None` when it cannot be data.
pub(super) fn json_of(value: &Value) -> Option<Json> {
    if value.is_undefined() {
        return Some(Json::Null);
    }
    // A time is an object for templates, and a text in data.
    if let Some(text) = super::modules::datetime::iso(value) {
        return Some(text.into());
    }
    if !holds_moment(value) {
        return serde_json::to_value(value).ok();
    }
    let parts = value.try_iter().ok()?;
    if value.kind() != ValueKind::Map {
        return parts.map(|part| json_of(&part)).collect();
    }
    let pair = |key: Value| Some((key.to_string(), json_of(&value.get_item(&key).ok()?)?));
    Some(Json::Object(parts.map(pair).collect::<Option<_>>()?))
}

fn holds_moment(value: &Value) -> bool {
    let inside = |part: &Value| super::modules::datetime::iso(part).is_some() || holds_moment(part);
    match value.kind() {
        ValueKind::Map => value.try_iter().is_ok_and(|mut keys| {
            keys.any(|key| value.get_item(&key).is_ok_and(|part| inside(&part)))
        }),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .is_ok_and(|mut parts| parts.any(|part| inside(&part))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refs_come_from_every_branch() {
        let text = "{{ config(materialized='table', tags=['a'], x=f()) }}\n{% if false %}{{ ref('a') }}{% else %}select {{ ref('pkg', \"b\") | upper }} {% endif %}\n{% call wrap(ref('c')) %}{{ source('raw', 't') }}{% endcall %}{{ ref(name) }}";
        let (found, problems) = static_refs(text);
        assert_eq!(problems, []);
        let refs: Vec<_> = found
            .refs
            .iter()
            .map(|r| {
                (
                    r.package.as_deref(),
                    r.name.as_str(),
                    &text[r.range.start as usize..r.range.end as usize],
                )
            })
            .collect();
        assert_eq!(
            refs,
            [
                (None, "a", "ref('a')"),
                (Some("pkg"), "b", "ref('pkg', \"b\")"),
                (None, "c", "ref('c')"),
            ]
        );
        assert_eq!(found.sources[0].table, "t");
        assert_eq!(
            Json::Object(found.config),
            json!({"materialized": "table", "tags": ["a"]})
        );
        assert!(found.computed);
    }

    #[test]
    fn broken_templates_say_where() {
        let text = "select 1\n{% if x %}\n{{ ref('a' }}";
        let (_, problems) = static_refs(text);
        let At::Range(range) = problems[0].at.clone() else {
            panic!("{problems:?}")
        };
        assert_eq!(problems[0].code, "MX0408");
        assert_eq!(&text[range], "}");
    }
}
