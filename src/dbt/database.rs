//! The database side of a run: opening the file, knowing what it holds, and transactions that are
//! tried again when two nodes get in each other's way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use duckdb::Connection;
use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use mxcp_artifact::dbt::Node;
use mxcp_artifact::{RelationKind, RelationName};

use crate::{Options, RunError};

/// Why a node failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Another transaction was in the way: the same work may succeed now.
    conflict: bool,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            conflict: false,
        }
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
            message,
        }
    }
}

pub(crate) fn open(options: &Options) -> Result<Connection, RunError> {
    let failed = |message: &str| RunError::opening(&options.database, message);
    if let Some(folder) = options.database.parent()
        && !folder.as_os_str().is_empty()
    {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error.to_string()))?;
    }
    let connection =
        Connection::open(&options.database).map_err(|error| failed(&error.to_string()))?;
    search_below(&connection, &options.root)?;
    Ok(connection)
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

/// What the database held when the run began. Each node replaces only its own relation, so this
/// stays true for the relation a node asks about.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    database: String,
    kinds: BTreeMap<RelationName, RelationKind>,
}

impl Relations {
    pub(crate) fn load(connection: &Connection) -> Result<Self, RunError> {
        Self::read(connection).map_err(|error| RunError::database(&error))
    }

    fn read(connection: &Connection) -> duckdb::Result<Self> {
        let database: String =
            connection.query_row("select current_database()", [], |row| row.get(0))?;
        let mut relations = Self {
            database: database.to_lowercase(),
            kinds: BTreeMap::new(),
        };
        for (list, kind) in [
            (
                "select database_name, schema_name, table_name from duckdb_tables() where not internal and not temporary",
                RelationKind::Table,
            ),
            (
                "select database_name, schema_name, view_name from duckdb_views() where not internal and not temporary",
                RelationKind::View,
            ),
        ] {
            let mut statement = connection.prepare(list)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name = RelationName {
                    catalog: Some(row.get(0)?),
                    schema: row.get(1)?,
                    name: row.get(2)?,
                };
                relations.kinds.insert(relations.key(&name), kind);
            }
        }
        Ok(relations)
    }

    fn key(&self, name: &RelationName) -> RelationName {
        let mut key = name.folded();
        key.catalog.get_or_insert_with(|| self.database.clone());
        key
    }

    /// Drops the relation, whatever it is.
    pub(crate) fn drop(&self, connection: &Connection, name: &RelationName) -> Result<(), Failure> {
        let kind = match self.kinds.get(&self.key(name)) {
            Some(RelationKind::View) => "view",
            // A table may be there although unknown: a hook can have made it.
            Some(RelationKind::Table) | None => "table",
        };
        Ok(connection.execute_batch(&format!("drop {kind} if exists {}", name.quoted()))?)
    }
}

pub(crate) fn create_schemas<'g>(
    connection: &Connection,
    nodes: impl Iterator<Item = &'g Node>,
) -> Result<(), RunError> {
    let schemas: BTreeSet<String> = nodes
        .filter_map(|node| node.relation.as_ref())
        .filter(|relation| relation.schema != "main")
        .map(|relation| match &relation.catalog {
            Some(catalog) => format!(
                "{}.{}",
                quote_identifier(catalog),
                quote_identifier(&relation.schema)
            ),
            None => quote_identifier(&relation.schema),
        })
        .collect();
    for schema in schemas {
        connection
            .execute_batch(&format!("create schema if not exists {schema}"))
            .map_err(|error| RunError::database(&error))?;
    }
    Ok(())
}

const ATTEMPTS: u32 = 6;

/// Runs `work` in a transaction: all of it happens, or nothing.
pub(crate) fn in_transaction<T>(
    connection: &Connection,
    work: impl Fn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut attempt = 1;
    loop {
        match once(connection, &work) {
            Err(failure) if failure.conflict && attempt < ATTEMPTS => {
                sleep(Duration::from_millis(10 << attempt));
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
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
