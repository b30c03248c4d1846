//! What editors ask of the dbt layer and of the grammar beside diagnostics: names, descriptions,
//! compiled SQL. Readings of queries that exist for checking; nothing is computed for editors alone.

use std::sync::Arc;

use mxcp_artifact::{Column, RelationName};
use mxcp_base::SourceFile;

use crate::Db;
use crate::check::grammar_names;
use crate::documents::{DocumentKind, document_kind};
use crate::models::editing as models;
use crate::relations::RelationSchema;

pub use grammar_names::{CelName, cel_names, prompt_filters, prompt_globals, prompt_tests};

/// A table of a declared source, with where it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTable {
    pub source: String,
    pub table: String,
    pub relation: RelationName,
    pub file: SourceFile,
    /// The table's entry.
    pub pointer: String,
    pub description: Option<String>,
    pub columns: Vec<(String, Option<String>)>,
}

/// Whether a file is a model or a seed.
pub fn is_node(db: &dyn Db, file: SourceFile) -> bool {
    matches!(
        document_kind(db, file),
        DocumentKind::DbtModel | DocumentKind::DbtSeed
    )
}

/// The models and seeds that `ref` can lead to, by name.
pub fn refs(db: &dyn Db) -> Vec<(String, SourceFile)> {
    models::refs(db)
}

pub fn resolve_ref(db: &dyn Db, package: Option<&str>, name: &str) -> Option<SourceFile> {
    models::resolve_ref(db, package, name)
}

pub fn node_name(db: &dyn Db, file: SourceFile) -> String {
    models::name(db, file)
}

pub fn node_relation(db: &dyn Db, file: SourceFile) -> RelationName {
    models::relation(db, file)
}

/// What property files say of a model or seed.
pub fn node_description(db: &dyn Db, file: SourceFile) -> Option<String> {
    models::description(db, file)
}

/// What property files say of its columns: the text, and the declared type.
pub fn column_description(
    db: &dyn Db,
    file: SourceFile,
    column: &str,
) -> Option<(Option<String>, Option<String>)> {
    models::column(db, file, column)
}

/// Whether property files promise that a column has no NULL, by a constraint or a test.
pub fn is_never_null(db: &dyn Db, file: SourceFile, column: &str) -> bool {
    models::is_never_null(db, file, column)
}

/// How it is built: `table`, `view`, …
pub fn materialized(db: &dyn Db, file: SourceFile) -> String {
    models::materialized(db, file)
}

/// The SQL that a model's template renders to.
pub fn compiled_sql(db: &dyn Db, file: SourceFile) -> Option<String> {
    models::compiled(db, file)
}

/// The columns of a model or seed, as far as they are known.
pub fn node_columns(db: &dyn Db, file: SourceFile) -> Option<Arc<[Column]>> {
    match crate::models::model_schema(db, file) {
        RelationSchema::Known(columns) => Some(columns.clone()),
        _ => None,
    }
}

pub fn source_tables(db: &dyn Db) -> Vec<SourceTable> {
    models::source_tables(db)
}

pub fn macro_files(db: &dyn Db) -> Vec<SourceFile> {
    models::macros(db)
}
