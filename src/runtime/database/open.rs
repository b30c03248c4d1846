//! Opening the database of a profile, with messages that say what to do, and installing what every
//! connection relies on: extensions, the functions about the caller, secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mxcp_artifact::Manifest;

use super::confine;
use super::extensions;
use super::ffi::Engine;
use super::functions::{self, Registry};
use super::pool::{Opening, Pool};
use super::secrets;
use super::snapshot::{Snapshot, in_words, is_lock, lock_holder};
use crate::options::{InUse, Options, StartError};

/// How long what can wait waits after the start.
const UNHURRIED: Duration = Duration::from_millis(150);

/// A database that lives as long as the process, or until a reload.
const IN_MEMORY: &str = ":memory:";

/// A database that was opened before it was certain that it will be used: opening takes as long as all the
/// rest of a start. Dropping it closes it.
#[derive(Debug)]
pub struct Opened {
    engine: Engine,
    path: PathBuf,
    readonly: bool,
}

impl Opened {
    /// Opens a file that exists. Whatever keeps it from opening is said by who needs it.
    pub fn ahead(path: &Path, readonly: bool) -> Option<Self> {
        if !path.is_file() {
            return None;
        }
        let engine = Engine::open(path.to_str()?, &[("access_mode", mode(readonly))]).ok()?;
        Some(Self {
            engine,
            path: path.to_owned(),
            readonly,
        })
    }
}

fn mode(readonly: bool) -> &'static str {
    if readonly { "READ_ONLY" } else { "READ_WRITE" }
}

/// Opens the database of the profile and makes a pool for it.
pub(crate) fn open(
    manifest: &Manifest,
    options: &Options,
    in_use: InUse,
) -> Result<Pool, StartError> {
    let settings = manifest.project.profile_settings(&options.profile);
    let configured = options
        .database
        .clone()
        .unwrap_or_else(|| PathBuf::from(&settings.database));
    let readonly = options.readonly || settings.readonly;
    let shown = configured
        .strip_prefix(&options.root)
        .unwrap_or(&configured)
        .display()
        .to_string();
    if shown.is_empty() {
        return Err(StartError::Database(format!(
            "the database of profile `{}` has an empty path; give the path of a file, or `:memory:`",
            options.profile
        )));
    }
    let in_memory = shown == IN_MEMORY;
    if in_memory && readonly {
        return Err(StartError::Database(format!(
            "the database of profile `{}` is in memory, where nothing can be read before something is written; leave `readonly` out",
            options.profile
        )));
    }
    let path = match in_memory {
        true => configured.clone(),
        false => options.root.join(&configured),
    };
    if !in_memory {
        prepare_file(&path, &shown, readonly, &options.profile)?;
    }
    let Some(text) = path.to_str() else {
        return Err(StartError::Database(format!(
            "the path of database `{shown}` is not valid UTF-8; move the project or set another path"
        )));
    };
    let opened = in_use
        .opened
        .filter(|opened| opened.path == path && opened.readonly == readonly);
    let opened = match opened {
        Some(opened) => Ok(opened.engine),
        None => Engine::open(text, &[("access_mode", mode(readonly))]),
    };
    let (engine, snapshot) = match opened {
        Ok(engine) => (engine, None),
        Err(message) if is_lock(&message) && (readonly || in_use.only_reads) => {
            let (engine, snapshot) = open_copy(in_use.snapshot, &path, &shown, &message)?;
            (engine, Some(snapshot))
        }
        Err(message) => {
            return Err(StartError::Database(explain(&message, &shown)));
        }
    };
    let engine = Arc::new(engine);
    let registry = Arc::new(Registry::default());
    let refused = |e: super::SqlError| StartError::Database(format!("database `{shown}`: {e}"));
    let mut connection = engine.connect().map_err(refused)?;
    extensions::load(&mut connection, &manifest.project.extensions)
        .map_err(StartError::Extension)?;
    functions::register(&mut connection, &registry).map_err(refused)?;
    secrets::create(&mut connection, &options.user_config.secrets);
    // Who runs a command may read any file anyway; a client of a server may not.
    let serves = options.serves();
    if serves {
        bound_memory(&mut connection, manifest.project.limits.memory_mb).map_err(refused)?;
    }
    let mut opening = None;
    if serves && !confine::may_reach_out(manifest) {
        // It asks for every function of the engine, which takes longer than all the rest: not while the
        // client waits for its first answer, unless that needs the database.
        let confining = Opening::later(UNHURRIED, move || {
            let confined = confine::confine(&mut connection)?;
            tracing::debug!(confined, "external access");
            Ok(())
        });
        opening = Some(confining.map_err(|e| StartError::Database(e.to_string()))?);
    }
    let patience = Duration::from_millis(manifest.project.limits.timeout_ms.min(60_000));
    Ok(Pool::new(engine, registry, patience, snapshot, opening))
}

// No query of a client may take the machine: beyond this the engine uses its files, and then gives up.
fn bound_memory(
    connection: &mut super::ffi::Connection,
    limit: Option<u64>,
) -> Result<(), super::SqlError> {
    // What a large result took is given back soon, not when the next one comes.
    connection.batch(
        "SET GLOBAL allocator_background_threads = true; \
         SET GLOBAL allocator_flush_threshold = '32MiB'; \
         SET GLOBAL allocator_bulk_deallocation_flush_threshold = '64MiB'",
    )?;
    let Some(limit) = limit else {
        return connection.batch("SET GLOBAL memory_limit = '25%'");
    };
    connection.batch(&format!("SET GLOBAL memory_limit = '{limit}MiB'"))?;
    let spilled = limit.saturating_mul(4);
    connection.batch(&format!(
        "SET GLOBAL max_temp_directory_size = '{spilled}MiB'"
    ))
}

// The copy that the caller has made already, or a new one.
fn open_copy(
    given: Option<Snapshot>,
    path: &Path,
    shown: &str,
    message: &str,
) -> Result<(Engine, Snapshot), StartError> {
    let by = lock_holder(message);
    let refused = |text: String| {
        StartError::Database(format!(
            "database `{shown}` is in use by {}, and {text}",
            in_words(by)
        ))
    };
    if let Some(snapshot) = given
        && let Ok(engine) = snapshot.open()
    {
        snapshot.forget_files();
        return Ok((engine, snapshot));
    }
    let mut last = String::new();
    // A copy that DuckDB refuses was made while the file changed unseen.
    for _ in 0..3 {
        let snapshot = Snapshot::take(path, by).map_err(refused)?;
        match snapshot.open() {
            Ok(engine) => {
                snapshot.forget_files();
                tracing::warn!(
                    "database `{shown}` is in use by {}; a snapshot of it is read, and later changes are not seen",
                    snapshot.holder()
                );
                return Ok((engine, snapshot));
            }
            Err(text) => last = text,
        }
    }
    Err(refused(format!(
        "a copy of it cannot be read: {}",
        last.lines().next().unwrap_or_default()
    )))
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
fn explain(message: &str, shown: &str) -> String {
    if is_lock(message) {
        return format!(
            "database `{shown}` is in use by {}, and this needs to write or may do so; stop that process, or add `--readonly` to read a snapshot of it",
            in_words(lock_holder(message))
        );
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, json};

    use super::explain;
    use crate::{Options, Runtime, Secret, UserConfig};

    #[test]
    fn a_lock_names_its_holder() {
        let message = "IO Error: Could not set lock on file \"/p/db.duckdb\": Conflicting lock is held in /usr/bin/python3.11 (PID 4321). See also https://duckdb.org/docs/connect/concurrency";
        assert_eq!(
            explain(message, "db.duckdb"),
            "database `db.duckdb` is in use by `python3.11` (process 4321), and this needs to write or may do so; stop that process, or add `--readonly` to read a snapshot of it"
        );
    }

    fn started(
        root: &tempfile::TempDir,
        project: serde_json::Value,
        secrets: Vec<Secret>,
    ) -> Result<Runtime, String> {
        let mut manifest = json!({
            "format_version": 1,
            "toolchain": {"compiler": "0", "engine": "0"},
            "project": {
                "name": "p", "profile": "dev", "profiles": {},
                "python_path": "python", "plugin_path": "plugins", "site": {},
            },
            "endpoints": [],
            "sources": {},
        });
        for (key, value) in project.as_object().cloned().unwrap_or_default() {
            manifest["project"][key] = value;
        }
        let options = Options {
            root: root.path().to_owned(),
            profile: "dev".into(),
            readonly: false,
            database: None,
            user_config: UserConfig {
                secrets,
                ..UserConfig::default()
            },
            venv: None,
            transport: "cli",
        };
        let manifest = Arc::new(serde_json::from_value(manifest).unwrap());
        Runtime::start(manifest, options).map_err(|e| e.to_string())
    }

    fn rows(runtime: &Runtime, sql: &str) -> serde_json::Value {
        runtime.query(sql, &Map::new()).unwrap()
    }

    #[test]
    fn extensions_of_the_library_need_no_repository() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = json!([{"name": "icu"}, {"name": "json", "repository": "core_nightly"}]);
        let runtime = started(&dir, json!({ "extensions": wanted }), Vec::new()).unwrap();
        assert_eq!(rows(&runtime, "SELECT 1 AS a"), json!([{"a": 1}]));
        let unknown = json!([{"name": "no_such \"extension"}]);
        let Err(text) = started(&dir, json!({ "extensions": unknown }), Vec::new()) else {
            panic!("there is no such extension");
        };
        assert!(
            text.starts_with("extension `no_such \"extension` cannot be loaded: "),
            "{text}"
        );
    }

    #[test]
    fn secrets_reach_the_engine_and_hide_their_values() {
        let dir = tempfile::tempdir().unwrap();
        let secret = |name: &str, kind: &str, parameters: serde_json::Value| Secret {
            name: name.into(),
            kind: kind.into(),
            parameters: parameters.as_object().cloned().unwrap_or_default(),
        };
        let secrets = vec![
            secret(
                "web",
                "http",
                json!({"bearer_token": "it's hidden", "extra_http_headers": {"X-A'": "b"}}),
            ),
            secret("odd \"name", "http", json!({"bearer_token": "x"})),
            secret("own", "custom", json!({"key": "x"})),
            secret("empty", "http", json!({})),
            secret("wrong", "http", json!({"extra_http_headers": "not a map"})),
        ];
        let runtime = started(&dir, json!({}), secrets).unwrap();
        assert_eq!(
            rows(
                &runtime,
                "SELECT name, type, persistent FROM duckdb_secrets() ORDER BY name"
            ),
            json!([
                {"name": "odd \"name", "type": "http", "persistent": false},
                {"name": "web", "type": "http", "persistent": false},
            ])
        );
        let shown = rows(&runtime, "FROM duckdb_secrets()").to_string();
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_query_uses_all_its_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = started(&dir, json!({}), Vec::new()).unwrap();
        let query = |sql: &str, arguments: serde_json::Value| {
            let arguments = arguments.as_object().cloned().unwrap_or_default();
            runtime.query(sql, &arguments).map_err(|e| e.to_string())
        };
        assert_eq!(
            query("SELECT $X AS x", json!({"x": "5"})),
            Ok(json!([{"x": "5"}]))
        );
        let script = "CREATE TEMP TABLE t AS SELECT $a AS a; SELECT a, $b AS b FROM t";
        for _ in 0..2 {
            assert_eq!(
                query(script, json!({"a": 1, "b": 2})),
                Ok(json!([{"a": 1, "b": 2}]))
            );
        }
        let text = query("SELECT $y", json!({})).unwrap_err();
        assert!(
            text.ends_with("not provided for the following parameters: y"),
            "{text}"
        );
        for (sql, wanted) in [
            ("SELECT 1", "Expected 0, got 1"),
            (
                "SELECT '$x', \"$x\" /* $x */ FROM (SELECT 1 AS \"$x\") -- $x",
                "Expected 0, got 1",
            ),
        ] {
            let text = query(sql, json!({"x": 1})).unwrap_err();
            assert!(text.contains(wanted), "{sql}: {text}");
        }
        let text = query("SELECT $x", json!({"x": 1, "y": 2, "z": 3})).unwrap_err();
        assert!(
            text.ends_with("identifiers of the excess parameters: y, z"),
            "{text}"
        );
    }
}
