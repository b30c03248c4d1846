//! `--engine dbt-core`: the command line goes to an installed dbt, with the secrets of the profile
//! in its environment.

use std::ffi::OsString;
use std::process::Command;

use serde_json::Value;

use crate::commands::config::Need;
use crate::commands::output::{self, Failure};
use crate::commands::session::Session;
use crate::commands::{FAILED, USAGE};

/// The arguments for dbt, when the command line asks for it: dbt's own flags are not parsed here.
pub(crate) fn wanted(args: &[OsString]) -> Option<u8> {
    let mut words: Vec<String> = args
        .iter()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    if words.first().map(String::as_str) != Some("dbt") {
        return None;
    }
    words.remove(0);
    if option(&mut words, "--engine").as_deref() != Some("dbt-core") {
        return None;
    }
    let profile = option(&mut words, "--profile");
    Some(hand_over(profile.as_deref(), &words))
}

/// Takes `--name value` or `--name=value` out.
fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    if let Some(at) = words.iter().position(|word| word == name) {
        words.remove(at);
        return (at < words.len()).then(|| words.remove(at));
    }
    let at = words.iter().position(|word| word.starts_with(&prefix))?;
    Some(words.remove(at).split_off(prefix.len()))
}

fn hand_over(profile: Option<&str>, words: &[String]) -> u8 {
    let session = match Session::open_sources(profile) {
        Ok(session) => session,
        Err(failure) => return output::fail(false, &failure),
    };
    let Some(site) = mxcp_compiler::documents::site(&session.db) else {
        return output::fail(false, &Failure::new("the site file cannot be read"));
    };
    if !site.dbt.enabled {
        return output::fail(
            false,
            &Failure::new("dbt integration is disabled in mxcp-site.yml")
                .help("remove `dbt: {enabled: false}`"),
        );
    }
    let secrets = match session
        .config
        .resolve(&site.project, &session.profile, Need::Everything)
    {
        Ok(config) => config.secrets,
        Err(failure) => return output::fail(false, &failure),
    };
    let mut command = Command::new("dbt");
    command.args(words).current_dir(&session.root);
    if session.root.join("profiles.yml").is_file()
        && !words.iter().any(|word| word.starts_with("--profiles-dir"))
        && std::env::var_os("DBT_PROFILES_DIR").is_none()
    {
        command.env("DBT_PROFILES_DIR", &session.root);
    }
    let mut count = 0;
    for secret in &secrets {
        for (name, value) in variables(&secret.name, &secret.parameters) {
            command.env(name, value);
            count += 1;
        }
    }
    output::eprint(&format!(
        "dbt {} (project {}, profile {}, {count} secret variables)\n",
        words.join(" "),
        site.project,
        session.profile
    ));
    match command.status() {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(FAILED),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            output::fail(
                false,
                &Failure::new("dbt is not installed, or not on the PATH").help(
                    "install dbt-core and dbt-duckdb, or leave `--engine dbt-core` out: mxcp runs the project itself",
                ),
            );
            USAGE
        }
        Err(error) => output::fail(
            false,
            &Failure::new(format!("dbt cannot be started: {error}")),
        ),
    }
}

/// `MXCP_SECRET_<NAME>_<PARAMETER>`, and one per entry of a mapping.
pub(super) fn variables(
    secret: &str,
    parameters: &serde_json::Map<String, Value>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for (name, value) in parameters {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    found.push((variable(&[secret, name, key]), text(value)));
                }
            }
            value => found.push((variable(&[secret, name]), text(value))),
        }
    }
    found
}

/// A name that shells can refer to: what is no letter, digit or `_` becomes `_`.
pub(super) fn variable(parts: &[&str]) -> String {
    let mut name = "MXCP_SECRET".to_owned();
    for part in parts {
        name.push('_');
        name.extend(part.chars().map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        }));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_and_the_rest_is_dbts() {
        let mut words: Vec<String> = ["run", "--engine", "dbt-core", "--profile=prod", "-s", "x"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(option(&mut words, "--engine").as_deref(), Some("dbt-core"));
        assert_eq!(option(&mut words, "--profile").as_deref(), Some("prod"));
        assert_eq!(words, ["run", "-s", "x"]);
    }

    #[test]
    fn secrets_are_variables() {
        let parameters =
            serde_json::json!({"BEARER_TOKEN": "t", "EXTRA_HTTP_HEADERS": {"X-Key": "k"}});
        let map = parameters.as_object().expect("an object");
        assert_eq!(
            variables("api-tok", map),
            [
                (
                    "MXCP_SECRET_API_TOK_BEARER_TOKEN".to_owned(),
                    "t".to_owned()
                ),
                (
                    "MXCP_SECRET_API_TOK_EXTRA_HTTP_HEADERS_X_KEY".to_owned(),
                    "k".to_owned()
                ),
            ]
        );
    }
}
