//! What the rest of the compiler asks of the engine and what it gets back: plain values.
//!
//! Nothing here may hold a connection, a path or anything else that depends on the machine: a
//! request is a cache key, an outcome is what the cache keeps.

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::RefUnwindSafe;

use mxcp_artifact::{Column, Effects, Relation, RelationName, SqlType};
use serde::{Deserialize, Serialize};

use crate::details::Details;
use crate::lineage::Lineage;

/// The only door to the SQL engine at build time. Implementations are pure: an answer depends on
/// the arguments alone, and no statement of the user is ever executed.
pub trait Binder: Send + Sync + RefUnwindSafe {
    /// Names the engine, its version and the fixed settings; part of every cache key.
    fn engine(&self) -> &str;

    /// Parses a text and says what each statement is, reads and may do.
    fn analyze(&self, sql: &str) -> Analysis;

    /// Types a text against the given relations, parameters and functions.
    fn bind(&self, request: &BindRequest) -> BindOutcome;

    /// Which columns the result of a text's last statement is made of, given the columns of the
    /// relations that it reads.
    fn lineage(&self, sql: &str, known: &dyn Fn(&RelationName) -> Option<Vec<String>>) -> Lineage {
        let _ = (sql, known);
        Lineage::default()
    }

    /// The lower-case names of the built-in functions, for suggestions.
    fn functions(&self) -> &BTreeSet<String>;

    /// The forms in which they are called, by name.
    fn signatures(&self) -> &[crate::Signature] {
        &[]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BindRequest {
    pub sql: String,
    /// Declared parameters with the types their values are bound as.
    pub parameters: Vec<(String, SqlType)>,
    pub relations: Vec<Relation>,
    pub functions: Vec<FunctionStub>,
}

/// A function that exists only at run time: a Python UDF, a plugin function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FunctionStub {
    pub name: String,
    pub parameters: Vec<SqlType>,
    pub returns: SqlType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BindOutcome {
    /// The columns of the last statement; empty when it returns no rows of its own.
    Bound { columns: Vec<Column> },
    /// Errors the engine would report for every value of the parameters, by position.
    Failed(Vec<SqlError>),
    /// The shape depends on data, files, settings or extensions: nothing may be claimed.
    Opaque { reason: String },
}

impl BindOutcome {
    pub(crate) fn opaque(reason: impl Into<String>) -> Self {
        Self::Opaque {
            reason: reason.into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SqlError {
    pub kind: SqlErrorKind,
    /// The engine's own sentence, without its position and candidate blocks.
    pub message: String,
    /// Bytes in the text that was asked about.
    pub range: Option<Range<u32>>,
    /// The name that is unknown or ambiguous.
    pub name: Option<String>,
    /// What the engine suggests instead, nearest first.
    pub candidates: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SqlErrorKind {
    Syntax,
    UnknownTable,
    /// An unknown column, struct field, or qualifier of a column.
    UnknownColumn,
    UnknownFunction,
    /// A type, or a collation.
    UnknownType,
    Ambiguous,
    Binder,
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Analysis {
    pub statements: Vec<Statement>,
    pub errors: Vec<SqlError>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Statement {
    /// From the first to the last token, without the semicolon and surrounding comments.
    pub range: Range<u32>,
    pub kind: StatementKind,
    /// The relations it names, system views and its own CTEs left out.
    pub relations: Vec<TableRef>,
    /// Lower-case names of the functions it calls, operators left out, sorted.
    pub functions: Vec<String>,
    pub effects: Effects,
    /// Why its shape cannot be known before it runs.
    pub opaque: Option<String>,
    /// Provably at most one row.
    pub single_row: bool,
    pub details: Details,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
    Create,
    Drop,
    Alter,
    Copy,
    Attach,
    Set,
    Pragma,
    Call,
    Explain,
    Load,
    Transaction,
    /// Anything else, by its first keyword.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableRef {
    pub catalog: Option<String>,
    /// As written; in `a.b` the first part may also turn out to be a catalogue.
    pub schema: Option<String>,
    pub name: String,
    /// Bytes of the qualified name.
    pub range: Option<Range<u32>>,
}
