//! Inputs beside the source files: the chosen profile and what is known of the world outside.

use std::collections::BTreeSet;
use std::sync::Arc;

use mxcp_artifact::CatalogSnapshot;
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseProblem {
    pub message: String,
    pub help: Option<String>,
}

/// What a command says of the dbt layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DbtOptions {
    /// `--vars`, which outrank those of the project file.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// The target of a `profiles.yml`, in the place of the profile's own database.
    pub target: Option<crate::dbt::Target>,
}

/// The session's settings. A singleton.
#[salsa::input(singleton, debug)]
pub struct Settings {
    /// The profile asked for, when it is not the site file's own.
    #[returns(ref)]
    pub profile: Option<String>,
    #[returns(ref)]
    pub environment: Environment,
    #[returns(ref)]
    pub dbt: DbtOptions,
}

/// Sets the profile unless it is the same.
pub fn set_profile<Db: salsa::Database>(db: &mut Db, profile: Option<String>) {
    let settings = Settings::get(db);
    if *settings.profile(db) != profile {
        settings.set_profile(db).to(profile);
    }
}

/// Sets the options of the dbt layer unless they are the same.
pub fn set_dbt_options<Db: salsa::Database>(db: &mut Db, options: DbtOptions) {
    let settings = Settings::get(db);
    if *settings.dbt(db) != options {
        settings.set_dbt(db).to(options);
    }
}

/// Sets the environment unless it is the same.
pub fn set_environment<Db: salsa::Database>(db: &mut Db, environment: Environment) {
    let settings = Settings::get(db);
    if *settings.environment(db) != environment {
        settings.set_environment(db).to(environment);
    }
}
