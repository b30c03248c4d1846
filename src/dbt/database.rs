//! The database side of a run: opening the file, handing out connections, and transactions that are
//! tried again when two nodes get in each other's way.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use duckdb::Connection;
use mxcp_artifact::catalog::quote_literal;

use crate::{Options, RunError};

/// Why a node failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Another transaction was in the way: the same work may succeed now.
    pub(crate) conflict: bool,
    /// The SQL that failed, where it is not the graph's.
    pub(crate) compiled: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            conflict: false,
            compiled: None,
        }
    }

    pub(crate) fn of(mut self, sql: &str) -> Self {
        self.compiled = Some(sql.to_owned());
        self
    }

    pub(crate) fn context(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<duckdb::Error> for Failure {
    fn from(error: duckdb::Error) -> Self {
        let message = error.to_string();
        Self {
            conflict: message.starts_with("TransactionContext Error")
                && message.to_lowercase().contains("conflict"),
            compiled: None,
            message,
        }
    }
}

/// The open database. It can be closed for a while, when no connection is in use.
pub(crate) struct Database {
    path: PathBuf,
    root: PathBuf,
    setup: Vec<String>,
    open: Mutex<Option<Connection>>,
}

impl Database {
    pub(crate) fn open(options: &Options) -> Result<Self, RunError> {
        if let Some(folder) = options.database.parent()
            && !folder.as_os_str().is_empty()
        {
            std::fs::create_dir_all(folder)
                .map_err(|error| RunError::opening(&options.database, &error.to_string()))?;
        }
        let database = Self {
            path: options.database.clone(),
            root: options.root.clone(),
            setup: options.setup.clone(),
            open: Mutex::new(None),
        };
        database.reopen()?;
        Ok(database)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn connect(&self) -> Result<Connection, RunError> {
        match self.lock().as_ref() {
            Some(connection) => connection
                .try_clone()
                .map_err(|error| RunError::database(&error)),
            None => Err(RunError::Database {
                message: "the database is closed".into(),
            }),
        }
    }

    /// Lets another engine open the file. All connections handed out must be gone.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    pub(crate) fn reopen(&self) -> Result<(), RunError> {
        let connection = Connection::open(&self.path)
            .map_err(|error| RunError::opening(&self.path, &error.to_string()))?;
        search_below(&connection, &self.root)?;
        for statement in &self.setup {
            connection
                .execute_batch(statement)
                .map_err(|error| RunError::database(&error))?;
        }
        *self.lock() = Some(connection);
        Ok(())
    }
}

/// Models name data files relative to the project, wherever the command was started.
fn search_below(connection: &Connection, root: &Path) -> Result<(), RunError> {
    // The setting is a comma-separated list without a way to escape one.
    match root.to_str() {
        Some(root) if !root.is_empty() && !root.contains(',') => connection
            .execute_batch(&format!(
                "set global file_search_path = {}",
                quote_literal(root)
            ))
            .map_err(|error| RunError::database(&error)),
        _ => Ok(()),
    }
}

const ATTEMPTS: u32 = 20;
/// The longest pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(160);

/// Held by whoever tries again: those who got in each other's way take turns.
static AGAIN: Mutex<()> = Mutex::new(());

/// Runs `work` in a transaction: all of it happens, or nothing.
pub(crate) fn in_transaction<T>(
    connection: &Connection,
    work: impl Fn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut outcome = once(connection, &work);
    for attempt in 1..ATTEMPTS {
        if !outcome.as_ref().is_err_and(|failure| failure.conflict) {
            break;
        }
        let _turn = AGAIN.lock().unwrap_or_else(PoisonError::into_inner);
        sleep(PAUSE.min(Duration::from_millis(5 << attempt.min(8))));
        outcome = once(connection, &work);
    }
    outcome
}

fn once<T>(connection: &Connection, work: &impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
    connection.execute_batch("begin transaction")?;
    let outcome = work().and_then(|value| {
        connection.execute_batch("commit")?;
        Ok(value)
    });
    if outcome.is_err() {
        // A failed commit has ended the transaction already; there is nothing else to undo then.
        let _ = connection.execute_batch("rollback");
    }
    outcome
}
