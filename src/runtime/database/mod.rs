//! DuckDB at run time: opening it, a pool of connections, typed parameters, results, and the SQL
//! functions that know the caller.
//!
//! Nothing here knows endpoints, policies or MCP: it runs SQL text for a caller and gives values back.

pub(crate) mod bind;
pub(crate) mod cells;
mod confine;
pub(crate) mod decode;
pub(crate) mod execute;
pub(crate) mod extensions;
pub(crate) mod ffi;
pub(crate) mod free_sql;
pub(crate) mod functions;
pub(crate) mod iso;
pub(crate) mod json;
pub(crate) mod memory;
pub(crate) mod open;
pub(crate) mod pool;
pub(crate) mod rollback;
pub(crate) mod secrets;
pub(crate) mod snapshot;
mod texts;
pub(crate) mod udf;
mod variant;
pub(crate) mod watchdog;
pub(crate) mod write;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod value_tests;

use std::fmt;

/// Why SQL gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SqlError {
    /// DuckDB's own message.
    Engine(String),
    /// A value cannot be bound.
    Parameter(String),
    /// The SQL uses `$name`, and nothing of that name was given.
    Missing(String),
    /// DuckDB was told to stop; the caller knows why.
    Interrupted,
    TimedOut(u64),
    Cancelled,
    TooManyRows(u64),
    TooManyBytes(u64),
    /// The process grew beyond what the server may take.
    TooMuchMemory,
    /// A client's SQL that would leave the database.
    Refused(String),
    /// No connection became free in time.
    Busy(usize),
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(text) | Self::Parameter(text) | Self::Refused(text) => f.write_str(text),
            Self::Missing(name) => write!(f, "no value is given for `${name}`"),
            Self::Interrupted => f.write_str("the statement was interrupted"),
            Self::TimedOut(ms) => write!(
                f,
                "the statement was stopped after {} seconds; make it cheaper or raise the time limit",
                (*ms as f64) / 1000.0
            ),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::TooManyRows(limit) => write!(
                f,
                "the result has more than {limit} rows; add a LIMIT or aggregate"
            ),
            Self::TooManyBytes(limit) => write!(
                f,
                "the result is larger than {} MB; select fewer columns or rows",
                limit >> 20
            ),
            Self::TooMuchMemory => f.write_str(
                "the statement was stopped because it takes too much memory; ask for fewer rows or smaller values",
            ),
            Self::Busy(size) => write!(f, "all {size} database connections are busy; try again"),
        }
    }
}

impl std::error::Error for SqlError {}
