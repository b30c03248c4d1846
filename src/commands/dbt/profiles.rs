//! `profiles.yml`: the target a run connects to. Values go to the engine and into no file of ours.

use std::path::{Path, PathBuf};

use mxcp_compiler::dbt::profiles::{ProfileContext, read_profile};
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
    context: &ProfileContext,
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
    let found = read_profile(&text, profile, target, context)
        .map_err(|what| Failure::new(format!("{}: {what}", file.display())))?;
    Ok(Some(of_output(root, &file, found.target, &found.output)))
}

fn of_output(root: &Path, file: &Path, name: String, output: &Map<String, Value>) -> Target {
    let text = |key: &str| output.get(key).filter(|v| !v.is_null()).map(plain);
    let path = text("path").unwrap_or_else(|| ":memory:".to_owned());
    let path = if path.starts_with(":memory:") {
        PathBuf::from(":memory:")
    } else {
        root.join(path)
    };
    let database = match text("database") {
        Some(database) => database,
        None if path == Path::new(":memory:") => "memory".into(),
        None => path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default(),
    };
    Target {
        name,
        schema: text("schema").unwrap_or_else(|| "main".to_owned()),
        path,
        database,
        threads: text("threads").and_then(|n| n.parse().ok()),
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
}
