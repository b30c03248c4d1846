//! Conversion between JSON and template values, and Jinja inside YAML values.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::Value;
use serde_json::{Map, Value as Json};

use super::context::Root;
use super::macros::MacroSet;
use super::problem::{At, Problem, code};
use super::pycompat::{MutableList, MutableMap};
use super::render::Target;
use super::session::{Facts, Known, Session, Stop};

/// JSON as a template value.
pub(super) fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(to_value).collect::<Vec<_>>()),
        Json::Object(map) => map_value(map),
    }
}

/// The same, with lists and mappings that templates may change.
pub(super) fn to_changeable(json: &Json) -> Value {
    match json {
        Json::Array(items) => {
            Value::from_object(MutableList::new(items.iter().map(to_changeable).collect()))
        }
        Json::Object(map) => Value::from_object(MutableMap::new(
            map.iter()
                .map(|(key, value)| (Value::from(key.as_str()), to_changeable(value)))
                .collect(),
        )),
        other => to_value(other),
    }
}

pub(super) fn map_value(map: &Map<String, Json>) -> Value {
    Value::from_pairs(
        map.iter()
            .map(|(key, value)| (Value::from(key.as_str()), to_value(value))),
    )
}

/// What Jinja in a project or property file may read.
#[derive(Clone, Debug)]
pub struct YamlContext {
    pub package: String,
    pub vars: Map<String, Json>,
    pub target: Target,
    pub macros: MacroSet,
    /// Variables of the environment; those that are not here have their defaults.
    pub env: BTreeMap<String, String>,
}

/// Renders the Jinja in every text of `value`, keeping the kinds of values as dbt does: a text that is
/// one expression becomes that expression's value. `pointer` is where `value` stands in its file.
pub fn render_yaml(value: &Json, context: &YamlContext, pointer: &str) -> (Json, Vec<Problem>) {
    let mut problems = Vec::new();
    if !mentions_jinja(value) {
        return (value.clone(), problems);
    }
    let facts = Arc::new(Facts {
        package: context.package.clone(),
        this: None,
        config: Map::new(),
        vars: context.vars.clone(),
        target: context.target.clone(),
        macros: context.macros.clone(),
        model: Json::Null,
        extra: BTreeMap::new(),
        env: context.env.clone(),
        parsing: false,
    });
    let rendered = walk(value, &facts, pointer, &mut problems);
    (rendered, problems)
}

/// The same for a tree of settings in the project file, whose hooks stay templates: a node renders them.
pub fn render_settings(settings: &mut Map<String, Json>, context: &YamlContext) {
    for (key, value) in settings {
        let key = key.trim_start_matches('+').replace('-', "_");
        if key == "pre_hook" || key == "post_hook" {
            continue;
        }
        match value {
            Json::Object(below) => render_settings(below, context),
            other => {
                let (rendered, _) = render_yaml(other, context, "");
                *other = rendered;
            }
        }
    }
}

fn mentions_jinja(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains("{{") || text.contains("{%"),
        Json::Array(items) => items.iter().any(mentions_jinja),
        Json::Object(map) => map.values().any(mentions_jinja),
        _ => false,
    }
}

fn walk(value: &Json, facts: &Arc<Facts>, pointer: &str, problems: &mut Vec<Problem>) -> Json {
    match value {
        Json::String(text) if mentions_jinja(value) => {
            render_text(text, facts).unwrap_or_else(|(code, message)| {
                problems.push(Problem::new(code, At::Pointer(pointer.to_owned()), message));
                value.clone()
            })
        }
        Json::Array(items) => Json::Array(
            items
                .iter()
                .enumerate()
                .map(|(i, item)| walk(item, facts, &format!("{pointer}/{i}"), problems))
                .collect(),
        ),
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(key, item)| {
                    // SQL templates are rendered when they run.
                    let key_pointer = mxcp_syntax::yaml::join_pointer(pointer, key);
                    let hook = key.trim_start_matches('+').replace('_', "-");
                    let item =
                        if matches!(hook.as_str(), "pre-hook" | "post-hook" | "loaded-at-query") {
                            item.clone()
                        } else {
                            walk(item, facts, &key_pointer, problems)
                        };
                    (key.clone(), item)
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

fn render_text(text: &str, facts: &Arc<Facts>) -> Result<Json, (&'static str, String)> {
    let session = Session::new(Arc::clone(facts), Known::default());
    let root = Value::from_object(Root::new(&session, &facts.package));
    evaluate(text, &session, root)
}

/// An expression without its quoted texts.
pub(super) fn outside_quotes(expression: &str) -> String {
    let mut outside = String::new();
    let mut open = None;
    for c in expression.chars() {
        match open {
            Some(quote) if c == quote => open = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => open = Some(c),
            None => outside.push(c),
        }
    }
    outside
}

/// Whether a list is written with literals alone.
fn is_constant(expression: &str) -> bool {
    expression.trim_start().starts_with('[')
        && !outside_quotes(expression).contains(char::is_alphabetic)
}

/// Renders a text with the names of `root`, which belongs to `session`.
pub(super) fn evaluate(
    text: &str,
    session: &Session,
    root: Value,
) -> Result<Json, (&'static str, String)> {
    let env = session.facts.macros.env();
    let whole = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .filter(|inner| !inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%"));
    let result = match whole {
        Some(expression) => env
            .compile_expression_owned(expression.trim_matches('-').trim().to_owned())
            .and_then(|compiled| compiled.eval(root))
            .map(|value| match super::statics::json_of(&value) {
                Some(Json::String(result)) if expression.contains("as_") => native(result),
                // dbt's engine writes out what needs no rendering.
                Some(list @ Json::Array(_)) if is_constant(expression) => {
                    Json::String(mxcp_values::repr::text(&list))
                }
                Some(json) => json,
                None => Json::String(value.to_string()),
            }),
        None => env.render_str(text, root).map(Json::String),
    };
    result.map_err(|error| match session.log().stop.take() {
        Some(Stop::MissingVar(name)) => (
            code::JINJA_UNDEFINED,
            format!("there is no variable `{name}`"),
        ),
        Some(Stop::MissingEnv(name)) => (
            code::UNSUPPORTED,
            format!("`env_var('{name}')` needs a default here"),
        ),
        Some(Stop::Unsupported { path, .. }) => {
            (code::UNSUPPORTED, format!("`{path}` is not supported here"))
        }
        Some(Stop::Raised { message } | Stop::Failed { message }) => (code::JINJA_FAILED, message),
        Some(Stop::Undefined { name, .. }) => {
            (code::JINJA_UNDEFINED, format!("`{name}` is not defined"))
        }
        Some(Stop::Ref(_) | Stop::Source(_)) => (
            code::UNSUPPORTED,
            "`ref` and `source` are not available here".to_owned(),
        ),
        None if error.kind() == minijinja::ErrorKind::SyntaxError => (
            code::JINJA_SYNTAX,
            error
                .detail()
                .unwrap_or("the Jinja here does not parse")
                .to_owned(),
        ),
        None => (
            code::JINJA_FAILED,
            error
                .detail()
                .map_or_else(|| error.kind().to_string(), str::to_owned),
        ),
    })
}

// What the filters `as_bool`, `as_number` and `as_native` make of a text.
fn native(text: String) -> Json {
    match text.as_str() {
        "True" => Json::Bool(true),
        "False" => Json::Bool(false),
        "None" => Json::Null,
        number => match serde_json::from_str(number) {
            Ok(Json::Number(number)) => Json::Number(number),
            _ => Json::String(text),
        },
    }
}

/// dbt's `generate_schema_name` and `generate_alias_name`: the project's own macro when it has one,
/// else the default. `custom` is the configured schema or alias.
pub fn custom_name(
    macro_name: &str,
    custom: Option<&str>,
    node: &Json,
    context: &YamlContext,
) -> Result<Option<String>, Problem> {
    let own = [
        macro_name.to_owned(),
        format!("default__{macro_name}"),
        format!("duckdb__{macro_name}"),
    ];
    let root = context.macros.root_package();
    if !own.iter().any(|name| {
        context.macros.contains(root, name) || context.macros.contains(&context.package, name)
    }) {
        return Ok(None);
    }
    let mut extra = BTreeMap::new();
    let custom = custom.map_or(Json::Null, |text| Json::String(text.to_owned()));
    extra.insert("__custom".to_owned(), custom);
    extra.insert("__node".to_owned(), node.clone());
    let facts = Arc::new(Facts {
        package: context.package.clone(),
        this: None,
        config: Map::new(),
        vars: context.vars.clone(),
        target: context.target.clone(),
        macros: context.macros.clone(),
        model: node.clone(),
        extra,
        env: context.env.clone(),
        parsing: false,
    });
    let text = format!("{{{{ {macro_name}(__custom, __node) }}}}");
    match render_text(&text, &facts) {
        Ok(Json::String(name)) if !name.trim().is_empty() => Ok(Some(name.trim().to_owned())),
        Ok(_) => Err(Problem::new(
            code::JINJA_FAILED,
            At::File,
            format!("the macro `{macro_name}` returns no name"),
        )),
        Err((code, message)) => Err(Problem::new(
            code,
            At::File,
            format!("the macro `{macro_name}` fails: {message}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::macros::MacroFile;
    use super::*;

    fn context(macros: &str) -> YamlContext {
        let vars = json!({"n": 5, "b": true, "l": [1, 2], "s": "x"});
        let file = MacroFile {
            package: "shop".into(),
            path: "macros/m.sql".into(),
            text: macros.into(),
        };
        YamlContext {
            package: "shop".into(),
            vars: match vars {
                Json::Object(map) => map,
                _ => Map::new(),
            },
            target: Target::default(),
            macros: MacroSet::new("shop", &[], vec![file]),
            env: BTreeMap::new(),
        }
    }

    #[test]
    fn values_keep_their_kinds_as_in_dbt() {
        let value = json!({
            "a": "{{ var('n') }}", "b": "{{ var('b') }}", "c": " {{ var('n') }} ", "d": "{{ var('l') }}",
            "e": ["{{ var('s') }}_{{ target.name }}"], "f": "{{ var('n') > 3 }}", "g": "{{ '5' | as_number }}",
            "h": "{{ env_var('X', 'default') }}", "i": "plain", "+post-hook": "{{ this }}",
        });
        let expected = json!({
            "a": 5, "b": true, "c": " 5 ", "d": [1, 2], "e": ["x_dev"], "f": true, "g": 5,
            "h": "default", "i": "plain", "+post-hook": "{{ this }}",
        });
        assert_eq!(
            render_yaml(&value, &context(""), "/models"),
            (expected, Vec::new())
        );
    }

    #[test]
    fn mistakes_stand_at_the_value() {
        let value = json!({"a": ["{{ var('nope') }}", "{{ 1 +"], "b/c": "{{ env_var('HOME') }}"});
        let (same, problems) = render_yaml(&value, &context(""), "/models");
        assert_eq!(same, value);
        let found: Vec<_> = problems.into_iter().map(|p| (p.code, p.at)).collect();
        assert_eq!(
            found,
            [
                ("MX0409", At::Pointer("/models/a/0".into())),
                ("MX0408", At::Pointer("/models/a/1".into())),
                ("MX0412", At::Pointer("/models/b~1c".into())),
            ]
        );
    }

    #[test]
    fn a_project_names_its_schemas() {
        let node = json!({"name": "m"});
        let of = |macros: &str, custom: Option<&str>| {
            custom_name("generate_schema_name", custom, &node, &context(macros))
        };
        assert_eq!(of("", Some("gold")), Ok(None));
        let own = "{% macro generate_schema_name(custom_schema_name, node) -%}\n{%- if custom_schema_name is none -%}{{ target.schema }}{%- else -%}{{ custom_schema_name | trim }}_{{ node.name }}{%- endif -%}\n{%- endmacro %}";
        assert_eq!(of(own, Some("gold")), Ok(Some("gold_m".into())));
        assert_eq!(of(own, None), Ok(Some("main".into())));
    }
}
