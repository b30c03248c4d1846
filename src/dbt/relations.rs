//! What the database holds, as far as a run needs to know: which relations there are and whether
//! they are tables or views.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use duckdb::Connection;
use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use mxcp_artifact::dbt::Node;
use mxcp_artifact::{RelationKind, RelationName};

use crate::RunError;
use crate::database::Failure;

/// Read once when the run begins and kept up to date by the nodes that change it.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    database: String,
    kinds: Mutex<BTreeMap<RelationName, RelationKind>>,
}

/// A column of a relation or query: name and the engine's text of its type.
pub(crate) type Column = (String, String);

impl Relations {
    pub(crate) fn load(connection: &Connection) -> Result<Self, RunError> {
        Self::read(connection).map_err(|error| RunError::database(&error))
    }

    fn read(connection: &Connection) -> duckdb::Result<Self> {
        let database: String =
            connection.query_row("select current_database()", [], |row| row.get(0))?;
        let relations = Self {
            database: database.to_lowercase(),
            kinds: Mutex::default(),
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
                relations.lock().insert(relations.key(&name), kind);
            }
        }
        Ok(relations)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RelationName, RelationKind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, name: &RelationName) -> RelationName {
        let mut key = name.folded();
        key.catalog.get_or_insert_with(|| self.database.clone());
        key
    }

    pub(crate) fn set(&self, name: &RelationName, kind: RelationKind) {
        self.lock().insert(self.key(name), kind);
    }

    /// The database's name, folded.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// Something else may have changed it.
    pub(crate) fn forget(&self, name: &RelationName) {
        let key = self.key(name);
        self.lock().remove(&key);
    }

    /// What the name stands for now. What is not known is asked for: a hook or a macro can have
    /// made it.
    pub(crate) fn kind(
        &self,
        connection: &Connection,
        name: &RelationName,
    ) -> Option<RelationKind> {
        let known = self.lock().get(&self.key(name)).copied();
        if known.is_some() {
            return known;
        }
        let key = self.key(name);
        let place = format!(
            "lower(database_name) = {} and lower(schema_name) = {}",
            quote_literal(key.catalog.as_deref().unwrap_or_default()),
            quote_literal(&key.schema),
        );
        let name = quote_literal(&key.name);
        // A statement that names the relation would abort the transaction where there is none.
        let is_view: Option<bool> = connection
            .query_row(
                &format!(
                    "select bool_or(v) from (select true as v from duckdb_views() where {place} and lower(view_name) = {name} union all select false from duckdb_tables() where {place} and lower(table_name) = {name} and not temporary)"
                ),
                [],
                |row| row.get(0),
            )
            .unwrap_or(None);
        is_view.map(|is_view| {
            if is_view {
                RelationKind::View
            } else {
                RelationKind::Table
            }
        })
    }

    /// Drops the relation, whatever it is. What is recorded is left alone: the transaction may end
    /// without effect.
    pub(crate) fn drop(&self, connection: &Connection, name: &RelationName) -> Result<(), Failure> {
        let kind = match self.lock().get(&self.key(name)) {
            Some(RelationKind::View) => "view",
            // A table may be there although unknown: a hook can have made it.
            Some(RelationKind::Table) | None => "table",
        };
        Ok(
            connection
                .execute_batch(&format!("drop {kind} if exists {} cascade", name.quoted()))?,
        )
    }
}

/// The columns of a query, without running it.
pub(crate) fn describe(connection: &Connection, sql: &str) -> Result<Vec<Column>, Failure> {
    let mut statement = connection.prepare(&format!(
        "select column_name, column_type from (describe ({sql}\n))"
    ))?;
    let columns = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<duckdb::Result<Vec<Column>>>()?;
    Ok(columns)
}

/// The columns of a relation, given its quoted name.
pub(crate) fn columns_of(connection: &Connection, quoted: &str) -> Result<Vec<Column>, Failure> {
    let mut statement = connection.prepare(&format!(
        "select column_name, column_type from (describe {quoted})"
    ))?;
    let columns = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<duckdb::Result<Vec<Column>>>()?;
    Ok(columns)
}

pub(crate) fn quoted_list<'c>(names: impl Iterator<Item = &'c str>) -> String {
    names.map(quote_identifier).collect::<Vec<_>>().join(", ")
}

pub(crate) fn create_schemas<'g>(
    connection: &Connection,
    nodes: impl Iterator<Item = &'g Node>,
) -> Result<(), RunError> {
    let schemas: BTreeSet<String> = nodes
        .filter_map(|node| node.kept())
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
