//! Opening the database of a profile, with messages that say what to do, and installing what every
//! connection relies on: extensions, the functions about the caller, secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mxcp_artifact::Manifest;
use mxcp_artifact::catalog::quote_identifier;

use super::ffi::Engine;
use super::functions::{self, Registry};
use super::pool::Pool;
use super::secrets;
use crate::options::{Options, StartError};

/// Opens the database of the profile and makes a pool for it.
pub(crate) fn open(manifest: &Manifest, options: &Options) -> Result<Pool, StartError> {
    let settings = manifest.project.profile_settings(&options.profile);
    let configured = options
        .database
        .clone()
        .unwrap_or_else(|| PathBuf::from(&settings.database));
    let readonly = options.readonly || settings.readonly;
    let shown = configured.display().to_string();
    if shown.starts_with(":memory:") || shown.is_empty() {
        return Err(StartError::Database(format!(
            "the database of profile `{}` must be a file; an in-memory database cannot be shared between connections",
            options.profile
        )));
    }
    let path = options.root.join(&configured);
    prepare_file(&path, &shown, readonly, &options.profile)?;
    let mode = if readonly { "READ_ONLY" } else { "READ_WRITE" };
    let Some(text) = path.to_str() else {
        return Err(StartError::Database(format!(
            "the path of database `{shown}` is not valid UTF-8; move the project or set another path"
        )));
    };
    let engine = Engine::open(text, &[("access_mode", mode)])
        .map_err(|message| StartError::Database(explain(&message, &shown, readonly)))?;
    let engine = Arc::new(engine);
    let registry = Arc::new(Registry::default());
    let refused = |e: super::SqlError| StartError::Database(format!("database `{shown}`: {e}"));
    let mut connection = engine.connect().map_err(refused)?;
    for extension in &manifest.project.extensions {
        let name = quote_identifier(&extension.name);
        let from = extension
            .repository
            .as_ref()
            .map(|r| format!(" FROM {}", quote_identifier(r)))
            .unwrap_or_default();
        connection
            .batch(&format!("INSTALL {name}{from}"))
            .and_then(|()| connection.batch(&format!("LOAD {name}")))
            .map_err(|e| {
                StartError::Extension(format!(
                    "extension `{}` cannot be loaded: {e}",
                    extension.name
                ))
            })?;
    }
    functions::register(&mut connection, &registry).map_err(refused)?;
    secrets::create(&mut connection, &options.user_config.secrets);
    drop(connection);
    let patience = Duration::from_millis(manifest.project.limits.timeout_ms.min(60_000));
    Ok(Pool::new(engine, registry, patience))
}

fn prepare_file(path: &Path, shown: &str, readonly: bool, profile: &str) -> Result<(), StartError> {
    if path.is_dir() {
        return Err(StartError::Database(format!(
            "database `{shown}` is a directory; give the path of a file under `profiles.{profile}.duckdb.path`"
        )));
    }
    if readonly {
        if !path.exists() {
            return Err(StartError::Database(format!(
                "database `{shown}` does not exist, and profile `{profile}` is opened read-only; create it first, e.g. with `mxcp dbt build`"
            )));
        }
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| {
            StartError::Database(format!(
                "the directory of database `{shown}` cannot be created: {e}"
            ))
        })?;
    }
    Ok(())
}

/// DuckDB's message about a file it cannot open, with the remedy.
fn explain(message: &str, shown: &str, readonly: bool) -> String {
    if message.contains("Could not set lock") {
        let holder = lock_holder(message).map_or_else(
            || "another process".to_owned(),
            |(program, pid)| format!("`{program}` (process {pid})"),
        );
        let remedy = if readonly {
            "stop it, or let it open the database read-only too"
        } else {
            "stop it, or open the database read-only in both"
        };
        return format!("database `{shown}` is in use by {holder}; {remedy}");
    }
    let first = message.lines().next().unwrap_or_default();
    if message.contains("not a valid DuckDB database file") {
        return format!(
            "`{shown}` is not a DuckDB database; give another path, or move the file away and build the database again"
        );
    }
    if message.contains("read-only mode") || message.contains("Permission denied") {
        return format!(
            "database `{shown}` cannot be opened for writing: {first}; fix its permissions or use `--readonly`"
        );
    }
    format!("database `{shown}` cannot be opened: {first}")
}

// `Conflicting lock is held in /usr/bin/python3.11 (PID 1234)`
fn lock_holder(message: &str) -> Option<(String, String)> {
    let rest = message.split("lock is held in ").nth(1)?;
    let (program, rest) = rest.split_once(" (PID ")?;
    let (pid, _) = rest.split_once(')')?;
    let program = program.rsplit('/').next().unwrap_or(program);
    Some((program.to_owned(), pid.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn a_lock_names_its_holder() {
        let message = "IO Error: Could not set lock on file \"/p/db.duckdb\": Conflicting lock is held in /usr/bin/python3.11 (PID 4321). See also https://duckdb.org/docs/connect/concurrency";
        assert_eq!(
            explain(message, "db.duckdb", false),
            "database `db.duckdb` is in use by `python3.11` (process 4321); stop it, or open the database read-only in both"
        );
    }
}
