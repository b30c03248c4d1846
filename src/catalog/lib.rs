//! DuckDB at build time: what SQL means, and what a database contains.
//!
//! The only crate that asks DuckDB anything while a project is built. Nothing it does has side
//! effects: no statement of the user is executed, no file is created or written, and every answer
//! depends on the arguments alone. It must not know salsa, YAML or the layout of a project.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod analyze;
mod bind;
mod binder;
mod cached;
mod details;
mod errors;
mod facts;
mod files;
mod forms;
mod introspect;
mod json;
mod lineage;
mod mask;
mod names;
mod request;
mod returning;
mod rows;
mod samples;
mod signatures;
mod slot;
mod spots;
mod tame;
#[cfg(test)]
mod tests;
mod tokens;
mod unplaced;
mod uses;
mod walk;

pub use binder::{DuckDbBinder, engine_name};
pub use cached::{CachedBinder, Memory};
pub use details::{
    Change, ChangeKind, Conflict, Constant, ConstantKind, Details, Item, ParameterUse, Rows,
    TextPlace, TextUse, UnusedCte, UsePlace,
};
pub use files::{FileRead, describe_files, file_reads, may_read_files, with_relations};
pub use introspect::{IntrospectError, introspect, snapshot_from_ddl};
pub use lineage::{How, Lineage, OutputColumn, SourceColumn, Sources};
pub use request::{
    Analysis, BindOutcome, BindRequest, Binder, FunctionStub, SqlError, SqlErrorKind, Statement,
    StatementKind, TableRef,
};
pub use signatures::Signature;
