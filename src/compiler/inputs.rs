//! Inputs beside the source files: the chosen profile and what is known of the world outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mxcp_artifact::{CatalogSnapshot, Column, Digest};
use mxcp_base::{Content, FileSet};
use salsa::Setter as _;

/// Facts from outside the project. Names and presence only: no secret or environment value ever
/// comes in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The relations of the live database, or of the lock when there is no database.
    pub catalog: Arc<CatalogSnapshot>,
    /// Whether `catalog` was read from the database just now.
    pub live: bool,
    /// Why the live database was not read, for the user.
    pub database_problem: Option<DatabaseProblem>,
    /// Profiles that the user configuration knows for this project; `None` when it says nothing.
    pub user_profiles: Option<BTreeSet<String>>,
    /// The names of the secrets it has for this project, in any profile; `None` when nobody looked.
    pub secret_names: Option<BTreeSet<String>>,
    /// Of a command that runs the dbt layer.
    pub dbt: DbtInputs,
    /// The columns of local files that SQL reads, by the call that reads them.
    pub files: BTreeMap<String, Vec<Column>>,
}

/// What the command line and `profiles.yml` say about the dbt layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DbtInputs {
    /// `--vars`: they outrank those of the project.
    pub vars: serde_json::Map<String, serde_json::Value>,
    pub target: Option<DbtTarget>,
    /// Variables of the environment that YAML files name, for a run.
    pub env: BTreeMap<String, String>,
}

/// The target that a run connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DbtTarget {
    pub name: String,
    pub schema: String,
    /// The name of the database as the engine knows it.
    pub database: String,
    pub threads: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseProblem {
    pub message: String,
    pub help: Option<String>,
}

/// The session's settings. A singleton.
#[salsa::input(singleton, debug)]
pub struct Settings {
    /// The profile asked for, when it is not the site file's own.
    #[returns(ref)]
    pub profile: Option<String>,
    #[returns(ref)]
    pub environment: Environment,
}

/// Sets the profile unless it is the same.
pub(crate) fn set_profile<Db: salsa::Database>(db: &mut Db, profile: Option<String>) {
    let settings = Settings::get(db);
    if *settings.profile(db) != profile {
        settings.set_profile(db).to(profile);
    }
}

/// Sets the environment unless it is the same.
pub(crate) fn set_environment<Db: salsa::Database>(db: &mut Db, environment: Environment) {
    let settings = Settings::get(db);
    if *settings.environment(db) != environment {
        settings.set_environment(db).to(environment);
    }
}

/// Cut off from the rest of the environment, which changes for other reasons.
#[salsa::tracked(returns(ref))]
pub(crate) fn dbt_inputs(db: &dyn crate::Db) -> DbtInputs {
    Settings::get(db).environment(db).dbt.clone()
}

/// Names all inputs together: whatever the compiler says of a project is a function of them, of the
/// SQL engine and of itself. Every input has to be in here; `tests/cache.rs` counts them.
pub fn fingerprint(db: &dyn crate::Db) -> Digest {
    let mut text = Vec::new();
    let mut add = |part: &[u8]| {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    };
    let settings = Settings::get(db);
    let Environment {
        catalog,
        live,
        database_problem,
        user_profiles,
        secret_names,
        files,
        dbt,
    } = settings.environment(db);
    add(format!(
        "{:?}",
        (
            settings.profile(db),
            live,
            database_problem,
            user_profiles,
            secret_names,
            files,
            dbt
        )
    )
    .as_bytes());
    add(serde_json::to_string(catalog.as_ref())
        .unwrap_or_default()
        .as_bytes());
    for (path, file) in FileSet::get(db).files(db) {
        add(path.as_bytes());
        match file.content(db) {
            Content::Text(text) => add(text.as_bytes()),
            Content::Missing => add(b"missing"),
            Content::Unreadable(reason) => add(reason.as_bytes()),
        }
        add(match file.content(db) {
            Content::Text(_) => b"t",
            Content::Missing => b"m",
            Content::Unreadable(_) => b"u",
        });
    }
    Digest::of(text)
}
