//! Running SQL text on a leased connection: statements one after the other, named parameters bound
//! by type, the last result returned.

use std::collections::HashMap;
use std::time::Duration;

use duckdb::ffi as c;
use mxcp_artifact::manifest::Limits;
use mxcp_artifact::{SqlType, TypeDef};
use mxcp_python::Cell;

use super::SqlError;
use super::bind::bind;
use super::decode::{Build, ColumnType};
use super::ffi::Prepared;
use super::pool::Session;
use super::watchdog::{Cancel, Watch, Watchdog};

/// A named argument with its declared SQL type, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) value: Cell,
    pub(crate) ty: Option<SqlType>,
}

/// Rows, every one with a value per column. Column names are unique.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<T>>,
    /// There were more rows.
    pub(crate) cut: Option<Cut>,
}

/// Which limit ended a result early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Rows(u64),
    Bytes(u64),
}

/// The declared type of a column, given its name and how many columns there are.
pub(crate) type Hint<'a> = &'a dyn Fn(&str, usize) -> Option<&'a TypeDef>;

/// What one piece of SQL may cost and who may stop it.
pub(crate) struct Bounds<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) watchdog: &'a Watchdog,
    pub(crate) cancel: &'a Cancel,
    /// Arguments that the statement does not use are an error, as they are for DuckDB's own clients.
    pub(crate) exact: bool,
    /// A result beyond a limit ends there instead of being an error.
    pub(crate) cut: bool,
}

/// Runs a text.
pub(crate) fn run<B: Build>(
    session: &mut Session,
    sql: &str,
    arguments: &[Argument],
    build: &B,
    hint: Hint<'_>,
    bounds: &Bounds<'_>,
) -> Result<Table<B::Out>, SqlError> {
    let watch = bounds.watchdog.watch(
        session.connection.interrupt_target(),
        Duration::from_millis(bounds.limits.timeout_ms),
        bounds.cancel,
    );
    let sink = Sink {
        build,
        hint,
        limits: bounds.limits,
        watch: &watch,
        exact: bounds.exact,
        cut: bounds.cut,
    };
    let outcome = statements(session, sql, arguments, &sink);
    if outcome.as_ref().map_or(true, |table| table.cut.is_some()) {
        // Whatever the error left behind (an open transaction, a half-read stream) goes with it.
        session.tainted = true;
    }
    outcome.map_err(|error| watch.explain(error))
}

fn statements<B: Build>(
    session: &mut Session,
    sql: &str,
    arguments: &[Argument],
    sink: &Sink<'_, '_, B>,
) -> Result<Table<B::Out>, SqlError> {
    sink.watch.check()?;
    session.state.take_touched();
    if let Some(prepared) = session.take_statement(sql) {
        sink.check_names(&prepared.names, arguments)?;
        let in_transaction = session.in_transaction;
        let table = last(session, &prepared, arguments, sink, in_transaction)?;
        if !session.state.take_touched() {
            session.keep_statement(sql, prepared);
        }
        return Ok(table);
    }
    let extracted = session.connection.extract(sql)?;
    let mut used = Vec::new();
    let mut in_transaction = session.in_transaction;
    for index in 0..extracted.count - 1 {
        let prepared = session.connection.prepare(&extracted, index)?;
        session.tainted |= leaves_traces(&prepared);
        bind_all(&prepared, arguments)?;
        prepared.execute(false)?;
        used.extend_from_slice(&prepared.names);
        in_transaction |=
            prepared.statement_type() == c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_TRANSACTION;
        sink.watch.check()?;
    }
    let prepared = session
        .connection
        .prepare(&extracted, extracted.count - 1)?;
    session.tainted |= leaves_traces(&prepared);
    used.extend_from_slice(&prepared.names);
    sink.check_names(&used, arguments)?;
    let table = last(session, &prepared, arguments, sink, in_transaction)?;
    if extracted.count == 1 && can_be_kept(&prepared) && !session.state.take_touched() {
        session.keep_statement(sql, prepared);
    }
    Ok(table)
}

// Rows of a change are limited like any others, and a result that is refused must not have changed
// anything: such a statement commits when its rows are read.
fn last<B: Build>(
    session: &mut Session,
    prepared: &Prepared,
    arguments: &[Argument],
    sink: &Sink<'_, '_, B>,
    in_transaction: bool,
) -> Result<Table<B::Out>, SqlError> {
    if in_transaction || !prepared.changes_and_returns() {
        return sink.last(
            prepared,
            arguments,
            sink.cut && !prepared.changes_and_returns(),
        );
    }
    session.connection.batch("BEGIN TRANSACTION")?;
    let table = sink.last(prepared, arguments, false)?;
    session.connection.batch("COMMIT")?;
    Ok(table)
}

struct Sink<'a, 'h, B: Build> {
    build: &'a B,
    hint: Hint<'h>,
    limits: &'a Limits,
    watch: &'a Watch,
    exact: bool,
    cut: bool,
}

impl<B: Build> Sink<'_, '_, B> {
    // In DuckDB's words, which is what clients of its own interfaces are told.
    fn check_names(&self, used: &[String], arguments: &[Argument]) -> Result<(), SqlError> {
        if !self.exact {
            return Ok(());
        }
        let excess: Vec<&String> = arguments
            .iter()
            .map(|a| &a.name)
            .filter(|name| used.iter().all(|n| !n.eq_ignore_ascii_case(name)))
            .collect();
        if !excess.is_empty() {
            return Err(SqlError::Parameter(if used.is_empty() {
                format!(
                    "Binder Error: Parameter/argument count mismatch for prepared statement. Expected 0, got {}",
                    arguments.len()
                )
            } else {
                format!(
                    "Invalid Input Error: Parameter argument/count mismatch, identifiers of the excess parameters: {}",
                    listed(excess)
                )
            }));
        }
        let missing: Vec<&String> = used
            .iter()
            .filter(|name| arguments.iter().all(|a| !a.name.eq_ignore_ascii_case(name)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(SqlError::Parameter(format!(
            "Invalid Input Error: Values were not provided for the following parameters: {}",
            listed(missing)
        )))
    }

    fn last(
        &self,
        prepared: &Prepared,
        arguments: &[Argument],
        cut: bool,
    ) -> Result<Table<B::Out>, SqlError> {
        bind_all(prepared, arguments)?;
        // A stream stops early when it has too many rows.
        let mut result = prepared.execute(true)?;
        let columns = result.columns();
        let names = unique(columns.iter().map(|(name, _)| name.as_str()));
        if result.return_type() == c::duckdb_result_type_DUCKDB_RESULT_TYPE_NOTHING {
            return Ok(Table {
                columns: names,
                rows: Vec::new(),
                cut: None,
            });
        }
        let types: Vec<ColumnType> = columns
            .iter()
            .map(|(name, ty)| {
                ColumnType::of(ty).map_err(|e| SqlError::Engine(format!("column `{name}` {e}")))
            })
            .collect::<Result<_, _>>()?;
        let hints: Vec<Option<&TypeDef>> = columns
            .iter()
            .map(|(name, _)| (self.hint)(name, columns.len()))
            .collect();
        let mut rows: Vec<Vec<B::Out>> = Vec::new();
        let mut over = None;
        while let Some(chunk) = result.next_chunk()? {
            let room = self.limits.rows - rows.len() as u64;
            let mut wanted = chunk.len();
            if wanted as u64 > room {
                if !cut {
                    return Err(SqlError::TooManyRows(self.limits.rows));
                }
                over = Some(Cut::Rows(self.limits.rows));
                wanted = usize::try_from(room).unwrap_or(wanted);
            }
            // SAFETY: the chunk outlives the vectors, has one per column, and its size bounds the
            // rows.
            unsafe {
                let vectors: Vec<_> = types
                    .iter()
                    .enumerate()
                    .map(|(i, ty)| ty.open(chunk.vector(i)))
                    .collect();
                for row in 0..wanted {
                    rows.push(
                        vectors
                            .iter()
                            .zip(&hints)
                            .map(|(vector, hint)| vector.read(row, self.build, *hint))
                            .collect(),
                    );
                    if self.build.size() > self.limits.bytes {
                        // One row that is too large leaves nothing to show.
                        if !cut || rows.len() == 1 {
                            return Err(SqlError::TooManyBytes(self.limits.bytes));
                        }
                        rows.pop();
                        over = Some(Cut::Bytes(self.limits.bytes));
                        break;
                    }
                }
            }
            if over.is_some() {
                break;
            }
            self.watch.check()?;
        }
        Ok(Table {
            columns: names,
            rows,
            cut: over,
        })
    }
}

fn bind_all(prepared: &Prepared, arguments: &[Argument]) -> Result<(), SqlError> {
    for (position, name) in prepared.names.iter().enumerate() {
        let argument = arguments
            .iter()
            .find(|a| a.name == *name)
            .or_else(|| arguments.iter().find(|a| a.name.eq_ignore_ascii_case(name)))
            .ok_or_else(|| SqlError::Missing(name.clone()))?;
        let value = bind(&argument.value, argument.ty.as_ref()).map_err(|error| match error {
            SqlError::Parameter(text) => SqlError::Parameter(format!("`${name}`: {text}")),
            error => error,
        })?;
        prepared.bind(position, &value)?;
    }
    Ok(())
}

fn listed(names: Vec<&String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.join(", ")
}

// Everything else may change the session: settings, variables, transactions, temporary tables.
fn leaves_traces(prepared: &Prepared) -> bool {
    !matches!(
        prepared.statement_type(),
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPLAIN
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY
    )
}

fn can_be_kept(prepared: &Prepared) -> bool {
    matches!(
        prepared.statement_type(),
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
            | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
    )
}

/// Column names made unique the way DuckDB does it for its own clients, without regard to case:
/// `a`, `a_1`, `A_2`.
fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    names
        .map(|name| {
            let lower = name.to_lowercase();
            let Some(mut n) = seen.get(&lower).copied() else {
                seen.insert(lower, 1);
                return name.to_owned();
            };
            let mut candidate = format!("{name}_{n}");
            while seen.contains_key(&candidate.to_lowercase()) {
                n += 1;
                candidate = format!("{name}_{n}");
            }
            seen.insert(lower, n + 1);
            seen.insert(candidate.to_lowercase(), 1);
            candidate
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::unique;

    #[test]
    fn duplicate_columns_get_numbers_that_are_free() {
        assert_eq!(
            unique(["a", "a", "b", "A", "a_1"].into_iter()),
            ["a", "a_1", "b", "A_2", "a_1_1"]
        );
        assert_eq!(
            unique(["a", "b", "a_1", "a", "a"].into_iter()),
            ["a", "b", "a_1", "a_2", "a_3"]
        );
    }
}
