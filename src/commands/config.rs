//! The user configuration: `$MXCP_CONFIG` or `~/.mxcp/config.yml`, with its references resolved.
//!
//! Values from here are secrets. They go to the runtime and nowhere else: no diagnostic, log line
//! or file of ours may hold one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mxcp_runtime::{Secret, UserConfig};
use mxcp_syntax::yaml;
use serde_json::{Map, Value};

use super::output::{self, Failure};

/// The file as read, with references still in it.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    raw: Value,
}

/// Where the file is, and whether the environment names it.
pub(crate) fn place() -> Option<(PathBuf, bool)> {
    if let Some(path) = std::env::var_os("MXCP_CONFIG") {
        return Some((path.into(), true));
    }
    let home = std::env::var_os("HOME")?;
    Some((Path::new(&home).join(".mxcp/config.yml"), false))
}

/// Reads the file that the environment names, or the default one if it exists.
pub(crate) fn load() -> Result<ConfigFile, Failure> {
    let Some((path, explicit)) = place() else {
        return Ok(ConfigFile::default());
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !explicit => {
            return Ok(ConfigFile::default());
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(
                Failure::new(format!("MXCP user config not found at {}", path.display()))
                    .help("correct MXCP_CONFIG, or unset it"),
            );
        }
        Err(e) => {
            return Err(Failure::new(format!(
                "the user configuration {} cannot be read: {e}",
                path.display()
            )));
        }
    };
    let tree = yaml::parse(&text);
    if let Some(error) = tree.errors.first() {
        let at = mxcp_base::LineIndex::new(&text).line_column(&text, error.range.start());
        return Err(Failure::new(format!(
            "{}:{}:{}: {}",
            path.display(),
            at.line,
            at.column,
            error.message
        )));
    }
    let raw = tree.to_json();
    if !raw.is_object() && !raw.is_null() {
        return Err(Failure::new(format!(
            "{}: the user configuration must be a mapping",
            path.display()
        )));
    }
    Ok(ConfigFile { raw })
}

/// How the server is reached, when the command line does not say.
#[derive(Debug)]
pub(crate) struct HttpConfig {
    pub(crate) provider: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) stateless: bool,
}

impl ConfigFile {
    /// The section `transport`, references resolved.
    pub(crate) fn http(&self) -> Result<HttpConfig, Failure> {
        let mut transport = self.raw.get("transport").cloned().unwrap_or(Value::Null);
        resolve_value(&mut transport)?;
        let http = transport.get("http").cloned().unwrap_or(Value::Null);
        let port = match http.get("port") {
            None | Some(Value::Null) => 8000,
            // A reference to an environment variable leaves text behind.
            Some(port) => port.to_string().trim_matches('"').parse().map_err(|_| {
                Failure::new(format!(
                    "`transport.http.port` of the user configuration is {port}"
                ))
                .help("it is a whole number up to 65535")
            })?,
        };
        let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
        Ok(HttpConfig {
            provider: text(&transport, "provider"),
            host: text(&http, "host").unwrap_or_else(|| "localhost".to_owned()),
            port,
            stateless: http.get("stateless").is_some_and(|stateless| {
                stateless == &Value::Bool(true) || stateless.as_str() == Some("true")
            }),
        })
    }

    fn project<'a>(&'a self, project: &str) -> Option<&'a Map<String, Value>> {
        self.raw
            .get("projects")?
            .get(project)?
            .get("profiles")?
            .as_object()
    }

    /// The profiles it declares for a project; `None` when it does not know the project.
    pub(crate) fn profiles(&self, project: &str) -> Option<BTreeSet<String>> {
        Some(self.project(project)?.keys().cloned().collect())
    }

    /// The names of the secrets that any profile of a project has.
    pub(crate) fn secret_names(&self, project: &str) -> BTreeSet<String> {
        let profiles = self.project(project).into_iter().flatten();
        profiles
            .filter_map(|(_, profile)| profile.get("secrets")?.as_array())
            .flatten()
            .filter_map(|secret| Some(secret.get("name")?.as_str()?.to_owned()))
            .collect()
    }

    /// What one profile gets, references resolved. Other profiles may hold references that cannot
    /// be resolved here, so they are left alone.
    ///
    /// A server needs all of it. A command that can do without secrets gets what can be resolved: a
    /// secret that cannot is left out with a warning, and what else cannot stays as it is written.
    pub(crate) fn resolve(
        &self,
        project: &str,
        profile: &str,
        need: Need,
    ) -> Result<UserConfig, Failure> {
        let mut raw = self.raw.clone();
        let mut active = self
            .project(project)
            .and_then(|p| p.get(profile))
            .cloned()
            .unwrap_or(Value::Null);
        match need {
            Need::Everything => resolve_value(&mut active)?,
            Need::WhatIsUsed => resolve_known(&mut active)?,
        }
        let secrets = active
            .get("secrets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|s| {
                Some(Secret {
                    name: s.get("name")?.as_str()?.to_owned(),
                    kind: s.get("type")?.as_str()?.to_owned(),
                    parameters: s
                        .get("parameters")
                        .and_then(Value::as_object)
                        .cloned()
                        .unwrap_or_default(),
                })
            })
            .collect();
        let plugin_config = active
            .get("plugin")
            .and_then(|p| p.get("config"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, entries)| {
                let entries = entries
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| {
                        let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                        (k.clone(), text)
                    })
                    .collect::<BTreeMap<_, _>>();
                (name.clone(), entries)
            })
            .collect();
        if let Some(place) = raw.pointer_mut(&format!(
            "/projects/{}/profiles/{}",
            escape(project),
            escape(profile)
        )) {
            *place = active;
        }
        Ok(UserConfig {
            secrets,
            plugin_config,
            raw,
        })
    }
}

/// How much of the configuration a command cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Everything,
    WhatIsUsed,
}

/// Resolves a profile as far as it goes. Plugins are created whatever is run, so their settings must
/// resolve.
fn resolve_known(active: &mut Value) -> Result<(), Failure> {
    let Some(sections) = active.as_object_mut() else {
        return Ok(());
    };
    for (name, section) in sections.iter_mut() {
        match (name.as_str(), section) {
            ("secrets", Value::Array(secrets)) => secrets.retain_mut(|secret| {
                let Err(failure) = resolve_value(secret) else {
                    return true;
                };
                let name = secret.get("name").and_then(Value::as_str).unwrap_or("?");
                output::eprint(&format!(
                    "Warning: the secret `{name}` is left out: {}\n",
                    failure.message
                ));
                false
            }),
            ("plugin", section) => resolve_value(section)?,
            (_, section) => {
                let mut resolved = section.clone();
                if resolve_value(&mut resolved).is_ok() {
                    *section = resolved;
                }
            }
        }
    }
    Ok(())
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn resolve_value(value: &mut Value) -> Result<(), Failure> {
    match value {
        Value::String(text) => {
            if let Some(resolved) = resolve_text(text)? {
                *text = resolved;
            }
        }
        Value::Array(items) => {
            for item in items {
                resolve_value(item)?;
            }
        }
        Value::Object(entries) => {
            for (_, entry) in entries.iter_mut() {
                resolve_value(entry)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// `${NAME}` anywhere, `file://path` as the whole value.
fn resolve_text(text: &str) -> Result<Option<String>, Failure> {
    for (scheme, product) in [("vault://", "Vault"), ("op://", "1Password")] {
        if text.starts_with(scheme) {
            return Err(Failure::new(format!(
                "{product} references are not supported yet: `{scheme}…` in the user configuration"
            ))
            .help("use an environment variable, `${NAME}`, or a file, `file://path`"));
        }
    }
    if let Some(path) = text.strip_prefix("file://") {
        return match std::fs::read_to_string(path) {
            Ok(content) => Ok(Some(content.trim().to_owned())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Err(Failure::new(format!("File not found: {path}")))
            }
            Err(e) => Err(Failure::new(format!("`{path}` cannot be read: {e}"))),
        };
    }
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        match std::env::var(name) {
            Ok(value) => out.push_str(&value),
            Err(_) => {
                return Err(
                    Failure::new(format!("Environment variable {name} is not set"))
                        .help("the user configuration refers to it in the active profile"),
                );
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(Some(out))
}
