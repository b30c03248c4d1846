//! The site file and what the project as a whole promises.

use mxcp_artifact::EndpointKind;
use mxcp_base::{Severity, SourceFile, codes, paths, suggest};
use mxcp_syntax::yaml::Kind;

use super::documents;
use crate::Db;
use crate::documents::{parse_yaml, site};
use crate::finding::{Anchor, Finding};
use crate::inputs::Settings;

pub(super) fn check_site(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    documents::check_yaml(db, file, documents::Schema::Site, findings);
    check_profile(db, file, findings);
    check_own_profile(db, file, findings);
    check_databases(db, file, findings);
    check_secrets(db, file, findings);
    check_severities(db, file, findings);
    super::lists::check_lists(db, file, findings);
    super::plugin::check_plugins(db, file, findings);
    super::policy::check_sql_tools(db, file, findings);
}

/// Endpoints where old projects kept them: in the root, or in `endpoints/`. Nothing reads them there.
pub(super) fn check_stray(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let path = file.path(db);
    let old_place = !path.contains('/') || paths::is_below(path, OLD_FOLDER);
    if !old_place || !matches!(paths::extension(path), "yml" | "yaml") {
        return;
    }
    let yaml = parse_yaml(db, file);
    let Some(root) = yaml.root().filter(|root| root.get("mxcp").is_some()) else {
        return;
    };
    let Some(kind) = EndpointKind::ALL
        .into_iter()
        .find(|kind| root.get(kind.as_str()).is_some())
    else {
        return;
    };
    findings.push(
        Finding::new(
            codes::MX0003,
            format!("this file defines a {kind}, but nothing is read from here"),
            Anchor::key(file, kind.as_str()),
        )
        .help(format!("move it to `{}/`", kind.directory())),
    );
}

const OLD_FOLDER: &str = "endpoints";

fn check_profile(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let Some(site) = site(db) else {
        return;
    };
    let settings = Settings::get(db);
    let Some(wanted) = settings.profile(db) else {
        return;
    };
    let user = settings.environment(db).user_profiles.as_ref();
    // A project that declares no profile at all accepts any name.
    let declared = site.profiles.contains_key(wanted)
        || *wanted == site.profile
        || user.is_some_and(|u| u.contains(wanted))
        || site.profiles.is_empty();
    if declared {
        return;
    }
    let names = site
        .profiles
        .keys()
        .map(String::as_str)
        .chain(user.into_iter().flatten().map(String::as_str));
    let mut finding = Finding::new(
        codes::MX0006,
        format!("no profile `{wanted}` is declared; defaults are used"),
        Anchor::key(file, "profiles"),
    )
    .help(
        suggest::did_you_mean(wanted, names)
            .unwrap_or_else(|| format!("declare `{wanted}` under `profiles:`")),
    );
    finding.severity = Some(Severity::Warning);
    findings.push(finding);
}

// The profile that is active when nobody asks for another one.
fn check_own_profile(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let Some(site) = site(db) else {
        return;
    };
    let written = parse_yaml(db, file)
        .lookup("profile")
        .is_some_and(|n| n.as_str().is_some());
    let environment = Settings::get(db).environment(db);
    let user = environment.user_profiles.as_ref();
    if !written
        || site.profiles.is_empty()
        || site.profiles.contains_key(&site.profile)
        || user.is_some_and(|u| u.contains(&site.profile))
    {
        return;
    }
    let names = site.profiles.keys().map(String::as_str);
    let mut finding = Finding::new(
        codes::MX0006,
        format!(
            "`profiles` does not declare the profile `{}`; defaults are used",
            site.profile
        ),
        Anchor::value(file, "profile"),
    )
    .help(
        suggest::did_you_mean(&site.profile, names)
            .unwrap_or_else(|| format!("declare `{}` under `profiles:`", site.profile)),
    );
    finding.severity = Some(Severity::Warning);
    findings.push(finding);
}

// Each command opens a database in memory of its own, so nothing that dbt builds is ever seen.
fn check_databases(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let Some(site) = site(db) else {
        return;
    };
    if !site.dbt.enabled || crate::models::relation_names(db).is_empty() {
        return;
    }
    for (name, profile) in &site.profiles {
        if profile.database.trim() == ":memory:" {
            findings.push(
                Finding::new(
                    codes::MX0803,
                    format!("the database of the profile `{name}` is in memory"),
                    Anchor::value(file, format!("profiles/{name}/duckdb/path")),
                )
                .help("give a file: what `mxcp dbt run` builds in memory is gone when it ends"),
            );
        }
    }
}

fn check_secrets(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let (Some(site), Some(known)) = (
        site(db),
        Settings::get(db).environment(db).secret_names.as_ref(),
    ) else {
        return;
    };
    let list = parse_yaml(db, file)
        .lookup("secrets")
        .is_some_and(|n| n.kind() == Kind::Seq);
    for (i, name) in site.secrets.iter().enumerate() {
        if known.contains(name) {
            continue;
        }
        let pointer = if list {
            format!("secrets/{i}")
        } else {
            "secrets".to_owned()
        };
        findings.push(
            Finding::new(
                codes::MX0010,
                format!("no profile of the user configuration has the secret `{name}`"),
                Anchor::value(file, pointer),
            )
            .help(
                suggest::did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(
                    || {
                        format!(
                            "add it under `projects.{}.profiles.{}.secrets` of the user configuration, or remove it here",
                            site.project, site.profile
                        )
                    },
                ),
            ),
        );
    }
}

// `diagnostics:` maps codes to severities; a code nobody registered would silently do nothing.
fn check_severities(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let yaml = parse_yaml(db, file);
    let Some(node) = yaml.lookup("diagnostics") else {
        return;
    };
    for (key, _) in node.entries() {
        if mxcp_base::Code::parse(key.text).is_none() {
            let names: Vec<String> = codes::REGISTRY.iter().map(|i| i.code.to_string()).collect();
            findings.push(
                Finding::new(
                    codes::MX0103,
                    format!("`{}` is not a diagnostic code", key.text),
                    Anchor::key(file, format!("diagnostics/{}", key.text)),
                )
                .help_if(suggest::did_you_mean(
                    key.text,
                    names.iter().map(String::as_str),
                )),
            );
        }
    }
}
