//! `profiles.yml`: where dbt says which database a project is built in.
//!
//! The environment is read through a function that the caller gives, because what comes of it may
//! enter names of relations.

use std::collections::BTreeMap;

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};
use serde_json::{Map, Value as Json};

use super::environment::new_environment;
use super::problem::did_you_mean;
use super::render::Target;
use mxcp_values::repr;

/// One output of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub profile: String,
    pub target: String,
    /// Where the database is; absent for one in memory.
    pub path: Option<String>,
    pub schema: String,
    pub database: Option<String>,
    pub threads: u32,
    pub extensions: Vec<String>,
    pub settings: BTreeMap<String, String>,
    /// `ATTACH` by entry: the path and the settings written beside it.
    pub attach: Vec<Map<String, Json>>,
    /// The whole output, rendered.
    pub raw: Map<String, Json>,
}

impl Profile {
    /// What templates see of it.
    pub fn target(&self) -> Target {
        let stem = self.path.as_deref().map(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.rsplit_once('.')
                .map_or(name, |(stem, _)| stem)
                .to_owned()
        });
        Target {
            name: self.target.clone(),
            profile: self.profile.clone(),
            schema: self.schema.clone(),
            database: self
                .database
                .clone()
                .or(stem)
                .unwrap_or_else(|| "memory".to_owned()),
            threads: self.threads,
        }
    }
}

/// Reads one output of a profile: that of `target`, else the profile's own choice, else `default`.
pub fn read_profile(
    text: &str,
    profile: &str,
    target: Option<&str>,
    env: &(dyn Fn(&str) -> Option<String> + Send + Sync),
) -> Result<Profile, String> {
    let all: Map<String, Json> = serde_yaml::from_str(text)
        .map_err(|error| format!("profiles.yml is not valid: {error}"))?;
    let Some(Json::Object(found)) = all.get(profile) else {
        let names = all
            .keys()
            .filter(|name| *name != "config")
            .map(String::as_str);
        let near = did_you_mean(profile, names.clone());
        let known: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let hint = near.unwrap_or_else(|| format!("it has {}", known.join(", ")));
        return Err(format!("profiles.yml has no profile `{profile}`: {hint}"));
    };
    let chosen = match (target, found.get("target")) {
        (Some(target), _) => target.to_owned(),
        (None, Some(own)) => repr::text(&rendered(own, env)?),
        (None, None) => "default".to_owned(),
    };
    let outputs = found.get("outputs").and_then(Json::as_object);
    let Some(Json::Object(output)) = outputs.and_then(|outputs| outputs.get(&chosen)) else {
        let names = outputs.into_iter().flat_map(Map::keys).map(String::as_str);
        let known: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        return Err(format!(
            "the profile `{profile}` has no target `{chosen}`; it has {}",
            known.join(", ")
        ));
    };
    let Json::Object(raw) = rendered(&Json::Object(output.clone()), env)? else {
        return Err(format!("the target `{chosen}` is no mapping"));
    };
    let text = |key: &str| {
        raw.get(key)
            .filter(|value| !value.is_null())
            .map(repr::text)
            .filter(|text| !text.is_empty())
    };
    let kind = text("type").unwrap_or_default();
    if kind != "duckdb" {
        return Err(format!(
            "the target `{chosen}` is of type `{kind}`; only `duckdb` is run here"
        ));
    }
    let extensions = match raw.get("extensions") {
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| match item.get("name") {
                Some(name) => repr::text(name),
                None => repr::text(item),
            })
            .collect(),
        _ => Vec::new(),
    };
    let settings = match raw.get("settings") {
        Some(Json::Object(map)) => map
            .iter()
            .map(|(k, v)| (k.clone(), repr::text(v)))
            .collect(),
        _ => BTreeMap::new(),
    };
    let attach = match raw.get("attach") {
        Some(Json::Array(items)) => items
            .iter()
            .filter_map(|i| i.as_object().cloned())
            .collect(),
        _ => Vec::new(),
    };
    Ok(Profile {
        profile: profile.to_owned(),
        target: chosen,
        path: text("path").filter(|path| path != ":memory:"),
        schema: text("schema").unwrap_or_else(|| "main".to_owned()),
        database: text("database"),
        threads: text("threads").and_then(|n| n.parse().ok()).unwrap_or(1),
        extensions,
        settings,
        attach,
        raw,
    })
}

fn rendered(
    value: &Json,
    env: &(dyn Fn(&str) -> Option<String> + Send + Sync),
) -> Result<Json, String> {
    Ok(match value {
        Json::String(text) if text.contains("{{") => render_text(text, env)?,
        Json::Array(items) => {
            let items: Result<_, String> = items.iter().map(|item| rendered(item, env)).collect();
            Json::Array(items?)
        }
        Json::Object(map) => {
            let entries: Result<_, String> = map
                .iter()
                .map(|(key, item)| Ok((key.clone(), rendered(item, env)?)))
                .collect();
            Json::Object(entries?)
        }
        other => other.clone(),
    })
}

fn render_text(
    text: &str,
    env: &(dyn Fn(&str) -> Option<String> + Send + Sync),
) -> Result<Json, String> {
    // Only what the text names is looked up, so the template needs no borrowed function.
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for call in mxcp_syntax::jinja::scan(text).calls {
        if call.name == "env_var"
            && let Some(name) = call.str_arg(0)
            && let Some(value) = env(name)
        {
            known.insert(name.to_owned(), value);
        }
    }
    let mut jinja = new_environment();
    jinja.add_function(
        "env_var",
        move |name: String, default: Option<String>| match known.get(&name).cloned().or(default) {
            Some(value) => Ok(Value::from(value)),
            None => Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("the environment variable `{name}` is not set and has no default"),
            )),
        },
    );
    let out = jinja.render_str(text, ()).map_err(|error| {
        let detail = error.detail().map(str::to_owned);
        format!(
            "profiles.yml: {}",
            detail.unwrap_or_else(|| error.kind().to_string())
        )
    })?;
    Ok(match serde_json::from_str(&out) {
        Ok(number @ (Json::Number(_) | Json::Bool(_))) => number,
        _ => Json::String(out),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "shop:\n  target: \"{{ env_var('T', 'dev') }}\"\n  outputs:\n    dev:\n      type: duckdb\n      path: data/shop.duckdb\n      schema: \"{{ env_var('S') }}\"\n      threads: \"{{ env_var('N', '4') | as_number }}\"\n      extensions: [httpfs, {name: spatial, repo: community}]\n      settings: {memory_limit: 1GB}\n      attach:\n        - {path: other.db, alias: other}\n    prod: {type: postgres}\n";

    #[test]
    fn the_chosen_output_is_read_with_its_environment() {
        let env = |name: &str| (name == "S").then(|| "mine".to_owned());
        let profile = read_profile(TEXT, "shop", None, &env).expect("it reads");
        assert_eq!(profile.schema, "mine");
        assert_eq!(profile.threads, 4);
        assert_eq!(profile.extensions, ["httpfs", "spatial"]);
        assert_eq!(profile.attach.len(), 1);
        assert_eq!(profile.target().database, "shop");
        assert_eq!(profile.target().name, "dev");
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = |_: &str| None;
        let said = |profile: &str, target: Option<&str>| {
            read_profile(TEXT, profile, target, &none).expect_err("it fails")
        };
        assert!(said("shopp", None).contains("did you mean `shop`?"));
        assert!(said("shop", Some("prod")).contains("`postgres`"));
        assert!(said("shop", Some("test")).contains("it has `dev`, `prod`"));
        assert!(said("shop", None).contains("`S` is not set"));
    }
}
