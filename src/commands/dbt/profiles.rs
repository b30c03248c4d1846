//! `profiles.yml`: the target a run connects to. Values go to the engine and into no file of ours.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::commands::output::Failure;

/// One output of a profile.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) schema: String,
    /// Where the database is; `:memory:` has no file.
    pub(super) path: PathBuf,
    pub(super) database: String,
    pub(super) threads: Option<usize>,
    /// Statements for a newly opened database.
    pub(super) setup: Vec<String>,
    /// The file it comes from.
    pub(super) file: PathBuf,
}

/// The target, when there is a `profiles.yml`: in the folder asked for, or in the project.
pub(super) fn find(
    root: &Path,
    folder: Option<&Path>,
    profile: &str,
    target: Option<&str>,
) -> Result<Option<Target>, Failure> {
    let file = folder.unwrap_or(root).join("profiles.yml");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match folder {
                None => Ok(None),
                Some(folder) => Err(Failure::new(format!(
                    "there is no profiles.yml in {}",
                    folder.display()
                ))
                .help("name another folder with `--profiles-dir`, or leave it out to use the profile of mxcp-site.yml")),
            };
        }
        Err(error) => {
            return Err(Failure::new(format!(
                "{} cannot be read: {error}",
                file.display()
            )));
        }
    };
    let wrong = |what: String| Failure::new(format!("{}: {what}", file.display()));
    let all: Value = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let Some(found) = all.get(profile) else {
        let known: Vec<String> = all
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "config")
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        return Err(
            wrong(format!("there is no profile `{profile}`")).help(format!(
                "it has {}; name one of them under `profile:` in dbt_project.yml",
                known.join(", ")
            )),
        );
    };
    let rendered = render(found).map_err(wrong)?;
    let name = match target.or_else(|| rendered.get("target").and_then(Value::as_str)) {
        Some(name) => name.to_owned(),
        None => "default".to_owned(),
    };
    let outputs = rendered.get("outputs").and_then(Value::as_object);
    let Some(output) = outputs
        .and_then(|outputs| outputs.get(&name))
        .and_then(Value::as_object)
    else {
        let known: Vec<String> = outputs
            .into_iter()
            .flatten()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        return Err(wrong(format!(
            "the profile `{profile}` has no target `{name}`; it has {}",
            known.join(", ")
        )));
    };
    let kind = output.get("type").and_then(Value::as_str);
    if kind != Some("duckdb") {
        return Err(wrong(format!(
            "the target `{name}` is of the type `{}`; only `duckdb` is supported",
            kind.unwrap_or_default()
        )));
    }
    Ok(Some(of_output(root, &file, name, output)))
}

fn of_output(root: &Path, file: &Path, name: String, output: &Map<String, Value>) -> Target {
    let text = |key: &str| output.get(key).and_then(Value::as_str);
    let path = text("path").unwrap_or(":memory:");
    let path = if path.starts_with(":memory:") {
        PathBuf::from(":memory:")
    } else {
        root.join(path)
    };
    let database = match text("database") {
        Some(database) => database.to_owned(),
        None if path == Path::new(":memory:") => "memory".into(),
        None => path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default(),
    };
    Target {
        name,
        schema: text("schema").unwrap_or("main").to_owned(),
        path,
        database,
        threads: output
            .get("threads")
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok()),
        setup: setup(root, output),
        file: file.to_path_buf(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Extensions, settings, secrets and attached databases, as dbt-duckdb does them.
fn setup(root: &Path, output: &Map<String, Value>) -> Vec<String> {
    let mut statements = Vec::new();
    let list = |key: &str| {
        output
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for extension in list("extensions") {
        let name = extension
            .get("name")
            .map_or_else(|| plain(&extension), plain);
        if name != "json" && name != "parquet" && name != "icu" {
            statements.push(format!("load {name}"));
        }
    }
    for key in ["config_options", "settings"] {
        for (name, value) in output
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            statements.push(format!("set {name} = {}", quoted(&plain(value))));
        }
    }
    for (i, secret) in list("secrets").iter().enumerate() {
        let Some(fields) = secret.as_object() else {
            continue;
        };
        let name = fields
            .get("name")
            .map_or_else(|| format!("_dbt_secret_{}", i + 1), plain);
        let kind = fields.get("type").map(plain).unwrap_or_default();
        let parameters: Map<String, Value> = fields
            .iter()
            .filter(|(key, _)| !["name", "type", "persistent"].contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        statements.push(create_secret(&name, &kind, &parameters));
    }
    for attachment in list("attach") {
        let Some(path) = attachment.get("path").and_then(Value::as_str) else {
            continue;
        };
        let place = if path.contains(':') {
            path.to_owned()
        } else {
            root.join(path).to_string_lossy().into_owned()
        };
        let mut statement = format!("attach if not exists {}", quoted(&place));
        if let Some(alias) = attachment.get("alias").and_then(Value::as_str) {
            statement.push_str(&format!(" as {alias}"));
        }
        let mut options = Vec::new();
        if let Some(kind) = attachment.get("type").and_then(Value::as_str) {
            options.push(format!("type {kind}"));
        }
        if attachment.get("read_only").and_then(Value::as_bool) == Some(true) {
            options.push("read_only".into());
        }
        if !options.is_empty() {
            statement.push_str(&format!(" ({})", options.join(", ")));
        }
        statements.push(statement);
    }
    statements
}

pub(super) fn create_secret(name: &str, kind: &str, parameters: &Map<String, Value>) -> String {
    let mut parts = vec![format!("type {kind}")];
    for (key, value) in parameters {
        parts.push(match value {
            other if key.eq_ignore_ascii_case("provider") => format!("{key} {}", plain(other)),
            Value::Object(map) => {
                let entries: Vec<String> = map
                    .iter()
                    .map(|(k, v)| format!("{}: {}", quoted(k), quoted(&plain(v))))
                    .collect();
                format!("{key} map {{{}}}", entries.join(", "))
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|v| quoted(&plain(v))).collect();
                format!("{key} ({})", items.join(", "))
            }
            other => format!("{key} {}", quoted(&plain(other))),
        });
    }
    format!(
        "create or replace secret \"{}\" ({})",
        name.replace('"', "\"\""),
        parts.join(", ")
    )
}

/// `{{ env_var('X', 'default') }}` in texts, with `as_number` and `as_bool`.
fn render(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => render_text(text)?,
        Value::Array(items) => Value::Array(items.iter().map(render).collect::<Result<_, _>>()?),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), render(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

fn render_text(text: &str) -> Result<Value, String> {
    let mut out = String::new();
    let mut rest = text;
    let mut number = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, after)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        let expression = expression.trim().trim_matches('-').trim();
        let (call, filters) = expression.split_once('|').unwrap_or((expression, ""));
        number |= ["as_number", "as_native", "as_bool", "int"]
            .iter()
            .any(|filter| filters.contains(filter));
        out.push_str(&environment(call.trim())?);
        rest = after;
    }
    out.push_str(rest);
    if number && let Ok(value) = serde_yaml::from_str::<Value>(&out) {
        return Ok(value);
    }
    Ok(Value::String(out))
}

fn environment(call: &str) -> Result<String, String> {
    let unknown = || {
        format!("`{{{{ {call} }}}}` cannot be rendered here; only `env_var('NAME', 'default')` can")
    };
    let arguments = call
        .strip_prefix("env_var(")
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or_else(unknown)?;
    let mut texts = Vec::new();
    for argument in arguments.split(',') {
        texts.push(argument.trim().trim_matches(['\'', '"']).to_owned());
    }
    let name = texts.first().ok_or_else(unknown)?;
    match (std::env::var(name), texts.get(1)) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(_), None) => Err(format!("Env var required but not provided: '{name}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_with_what_goes_before_it() {
        let output = serde_json::json!({
            "type": "duckdb", "path": "x/shop.duckdb", "threads": 4,
            "settings": {"threads": 2},
            "attach": [{"path": "other.duckdb", "alias": "o", "read_only": true}],
            "extensions": ["httpfs", "parquet"],
        });
        let map = output.as_object().expect("an object");
        let target = of_output(
            Path::new("/p"),
            Path::new("/p/profiles.yml"),
            "dev".into(),
            map,
        );
        assert_eq!(target.path, Path::new("/p/x/shop.duckdb"));
        assert_eq!(target.database, "shop");
        assert_eq!(
            target.setup,
            [
                "load httpfs",
                "set threads = '2'",
                "attach if not exists '/p/other.duckdb' as o (read_only)",
            ]
        );
    }

    #[test]
    fn environment_variables_have_defaults() {
        assert_eq!(
            render_text("{{ env_var('MXCP_NO_SUCH_VARIABLE', '3') | as_number }}"),
            Ok(3.into())
        );
        assert!(render_text("{{ env_var('MXCP_NO_SUCH_VARIABLE') }}").is_err());
    }
}
