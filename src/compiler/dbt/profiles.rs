//! `profiles.yml`: where dbt says which database a project is built in.
//!
//! What comes of the environment goes to who opens the database, and into no query: the environment
//! is read through a function that the caller gives.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Value};
use minijinja::{Error, ErrorKind};
use serde_json::{Map, Value as Json};

use super::context::Root;
use super::macros::MacroSet;
use super::problem::did_you_mean;
use super::render::Target;
use super::session::{Facts, Known, Session};
use super::values::evaluate;
use mxcp_values::repr;

/// Reads a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the Jinja of a profile may read.
#[derive(Clone)]
pub struct ProfileContext {
    pub environment: Environment,
    /// Those of the command line; those of the project file are not there yet.
    pub vars: Map<String, Json>,
}

/// One output of a profile, rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub target: String,
    pub output: Map<String, Json>,
}

/// Reads one output of a profile: that of `target`, else the profile's own choice, else `default`.
/// Other outputs are not rendered: the environment may lack what they need.
pub fn read_profile(
    text: &str,
    profile: &str,
    target: Option<&str>,
    context: &ProfileContext,
) -> Result<Profile, String> {
    let all: Map<String, Json> =
        serde_yaml::from_str(text).map_err(|error| format!("it is not valid YAML: {error}"))?;
    let Some(Json::Object(found)) = all.get(profile) else {
        let names = all
            .keys()
            .filter(|name| *name != "config")
            .map(String::as_str);
        let near = did_you_mean(profile, names.clone());
        let known: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let hint = near.unwrap_or_else(|| format!("it has {}", known.join(", ")));
        return Err(format!("there is no profile `{profile}`: {hint}"));
    };
    let chosen = match (target, found.get("target")) {
        (Some(target), _) => target.to_owned(),
        (None, Some(own)) => repr::text(&render_profile_value(own, context)?),
        (None, None) => "default".to_owned(),
    };
    let outputs = found.get("outputs").and_then(Json::as_object);
    let Some(output) = outputs.and_then(|outputs| outputs.get(&chosen)) else {
        let names = outputs.into_iter().flat_map(Map::keys);
        let known: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        return Err(format!(
            "the profile `{profile}` has no target `{chosen}`; it has {}",
            known.join(", ")
        ));
    };
    let Json::Object(output) = render_profile_value(output, context)? else {
        return Err(format!("the target `{chosen}` is no mapping"));
    };
    let kind = output.get("type").map(repr::text).unwrap_or_default();
    if kind != "duckdb" {
        return Err(format!(
            "the target `{chosen}` is of type `{kind}`; only `duckdb` is run here"
        ));
    }
    Ok(Profile {
        target: chosen,
        output,
    })
}

/// Renders the Jinja in every text of `value`, as in a profile.
pub fn render_profile_value(value: &Json, context: &ProfileContext) -> Result<Json, String> {
    Ok(match value {
        Json::String(text) if text.contains("{{") || text.contains("{%") => {
            render_text(text, context)?
        }
        Json::Array(items) => Json::Array(
            items
                .iter()
                .map(|item| render_profile_value(item, context))
                .collect::<Result<_, String>>()?,
        ),
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(key, item)| Ok((key.clone(), render_profile_value(item, context)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

fn render_text(text: &str, context: &ProfileContext) -> Result<Json, String> {
    let facts = Facts {
        package: String::new(),
        this: None,
        config: Map::new(),
        vars: context.vars.clone(),
        target: Target::default(),
        macros: MacroSet::new("", &[], Vec::new()),
        model: Json::Null,
        extra: BTreeMap::new(),
        env: BTreeMap::new(),
        parsing: false,
    };
    let session = Session::new(Arc::new(facts), Known::default());
    let names = Names {
        root: Arc::new(Root::new(&session, "")),
        environment: Arc::clone(&context.environment),
    };
    evaluate(text, &session, Value::from_object(names)).map_err(|(_, message)| message)
}

/// dbt's names, with an `env_var` that knows the environment.
struct Names {
    root: Arc<Root>,
    environment: Environment,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() != Some("env_var") {
            return self.root.get_value(key);
        }
        let environment = Arc::clone(&self.environment);
        Some(Value::from_function(
            move |name: String, default: Option<Value>| match (environment(&name), default) {
                (Some(value), _) => Ok(Value::from(value)),
                (None, Some(default)) => Ok(Value::from(default.to_string())),
                (None, None) => Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("Env var required but not provided: '{name}'"),
                )),
            },
        ))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.root.enumerate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "shop:\n  target: \"{{ env_var('T', 'dev') }}\"\n  outputs:\n    dev:\n      type: duckdb\n      path: \"data/{{ var('file') | lower }}.duckdb\"\n      schema: \"{{ env_var('S') }}\"\n      threads: \"{{ env_var('N', '4') | as_number }}\"\n      attach:\n        - {path: other.db, read_only: \"{{ 1 == 1 }}\"}\n    prod: {type: postgres}\n";

    fn context(known: &'static [(&'static str, &'static str)]) -> ProfileContext {
        ProfileContext {
            environment: Arc::new(move |name| {
                let found = known.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            }),
            vars: Map::from_iter([("file".to_owned(), Json::from("SHOP"))]),
        }
    }

    #[test]
    fn the_chosen_output_is_rendered() {
        let profile =
            read_profile(TEXT, "shop", None, &context(&[("S", "mine")])).expect("it reads");
        assert_eq!(profile.target, "dev");
        assert_eq!(
            Json::Object(profile.output),
            serde_json::json!({
                "type": "duckdb", "path": "data/shop.duckdb", "schema": "mine", "threads": 4,
                "attach": [{"path": "other.db", "read_only": true}],
            })
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |profile: &str, target: Option<&str>| {
            read_profile(TEXT, profile, target, &context(&[])).expect_err("it is refused")
        };
        assert!(said("shopp", None).contains("did you mean `shop`?"));
        assert!(said("shop", Some("prod")).contains("`postgres`"));
        assert!(said("shop", Some("test")).contains("it has `dev`, `prod`"));
        assert!(said("shop", None).contains("Env var required but not provided: 'S'"));
    }
}
