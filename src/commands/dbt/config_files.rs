//! `mxcp dbt-config`: writes what an installed dbt needs, inside the project: `profiles.yml` and,
//! when there is none, `dbt_project.yml`. Secrets stay out of both: they are environment variables,
//! which `mxcp dbt --engine dbt-core` sets.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::core::variable;
use crate::commands::CLEAN;
use crate::commands::config::Need;
use crate::commands::output::{self, Failure};
use crate::commands::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Profile to use instead of the site file's own
    #[arg(long)]
    profile: Option<String>,
    /// Print the files instead of writing them
    #[arg(long)]
    dry_run: bool,
    /// Replace a target that is there already
    #[arg(long)]
    force: bool,
    /// Write the values of secrets into profiles.yml; needs --force
    #[arg(long, requires = "force")]
    embed_secrets: bool,
    #[arg(long, hide = true)]
    debug: bool,
}

pub(crate) fn run(args: &Args) -> u8 {
    match configured(args) {
        Ok(()) => CLEAN,
        Err(failure) => output::fail(false, &failure),
    }
}

fn configured(args: &Args) -> Result<(), Failure> {
    let session = Session::open_sources(args.profile.as_deref())?;
    session.check_site()?;
    let site = mxcp_compiler::documents::site(&session.db)
        .ok_or_else(|| Failure::new("the site file cannot be read"))?;
    if !site.dbt.enabled {
        return Err(Failure::new("dbt integration is disabled in mxcp-site.yml")
            .help("remove `dbt: {enabled: false}`"));
    }
    let project_path = session.root.join("dbt_project.yml");
    let profiles_path = session.root.join("profiles.yml");
    let target = session.profile.replace('-', "_");
    let existing_project = read(&project_path)?;
    let profile = existing_project
        .get("profile")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .unwrap_or_else(|| format!("{}_{target}", site.project.replace('-', "_")));

    let output = output_of(&session, site, args)?;
    let mut profiles = match read(&profiles_path)? {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        _ => {
            return Err(Failure::new(format!(
                "{} is not a mapping",
                profiles_path.display()
            )));
        }
    };
    let entry = profiles
        .entry(profile.clone())
        .or_insert_with(|| json!({ "target": target, "outputs": {} }));
    if !entry["outputs"].is_object() {
        entry["outputs"] = json!({});
    }
    let there = &mut entry["outputs"][&target];
    if !there.is_null() && *there != output && !args.force {
        return Err(Failure::new(format!(
            "profiles.yml has a target `{target}` of the profile `{profile}` already"
        ))
        .help("pass `--force` to replace it"));
    }
    *there = output;
    entry["target"] = target.clone().into();

    let profiles_text = yaml(&Value::Object(profiles))?;
    // A project file has comments and an order; it is only written where there is none.
    let project_text = match existing_project {
        Value::Null => Some(yaml(&json!({
            "name": site.project.replace('-', "_"),
            "profile": profile,
            "config-version": 2,
            "model-paths": ["models"],
            "analysis-paths": ["analyses"],
            "test-paths": ["tests"],
            "seed-paths": ["seeds"],
            "macro-paths": ["macros"],
            "snapshot-paths": ["snapshots"],
            "target-path": "target",
            "clean-targets": ["target", "dbt_packages"],
        }))?),
        _ => None,
    };
    if args.dry_run {
        output::print(&format!("# profiles.yml\n{profiles_text}"));
        if let Some(text) = project_text {
            output::print(&format!("\n# dbt_project.yml\n{text}"));
        }
        return Ok(());
    }
    write(&profiles_path, &profiles_text)?;
    let mut written = "profiles.yml".to_owned();
    if let Some(text) = project_text {
        write(&project_path, &text)?;
        written.push_str(" and dbt_project.yml");
    }
    output::print(&format!(
        "wrote {written} (profile {profile}, target {target})\n"
    ));
    if args.embed_secrets {
        output::eprint(
            "Warning: profiles.yml holds the values of secrets; keep it out of version control\n",
        );
    }
    Ok(())
}

fn output_of(
    session: &Session,
    site: &mxcp_compiler::site::Site,
    args: &Args,
) -> Result<Value, Failure> {
    let database = session.database();
    // Relative to the project, so that the file can be committed; dbt is started there.
    let path = database.strip_prefix(&session.root).unwrap_or(&database);
    let mut output = json!({ "type": "duckdb", "path": path.display().to_string() });
    let extensions: Vec<&str> = site.extensions.iter().map(|e| e.name.as_str()).collect();
    if !extensions.is_empty() {
        output["extensions"] = json!(extensions);
    }
    let need = if args.embed_secrets {
        Need::Everything
    } else {
        Need::WhatIsUsed
    };
    let config = session
        .config
        .resolve(&site.project, &session.profile, need)?;
    let mut secrets = Vec::new();
    for secret in &config.secrets {
        // Other kinds are of Python code and plugins.
        let known = ["s3", "gcs", "r2", "azure", "http", "postgres", "mysql"];
        if !known.contains(&secret.kind.to_lowercase().as_str()) {
            continue;
        }
        let mut entry = Map::from_iter([
            ("name".to_owned(), json!(secret.name.replace('-', "_"))),
            ("type".to_owned(), json!(secret.kind.to_lowercase())),
        ]);
        for (name, value) in &secret.parameters {
            let reference =
                |parts: &[&str]| json!(format!("{{{{ env_var('{}') }}}}", variable(parts)));
            let value = match value {
                Value::Object(entries) if !args.embed_secrets => Value::Object(
                    entries
                        .keys()
                        .map(|key| (key.clone(), reference(&[&secret.name, name, key])))
                        .collect(),
                ),
                _ if !args.embed_secrets => reference(&[&secret.name, name]),
                value => value.clone(),
            };
            entry.insert(name.to_lowercase(), value);
        }
        secrets.push(Value::Object(entry));
    }
    if !secrets.is_empty() {
        output["secrets"] = json!(secrets);
    }
    Ok(output)
}

fn read(path: &Path) -> Result<Value, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_yaml::from_str(&text)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(error) => Err(Failure::new(format!(
            "{} cannot be read: {error}",
            path.display()
        ))),
    }
}

fn yaml(value: &Value) -> Result<String, Failure> {
    serde_yaml::to_string(value).map_err(|error| Failure::new(error.to_string()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let partial = path.with_extension("yml.tmp");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
}
