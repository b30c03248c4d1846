//! The local files that the project's SQL reads: which there are, and what is known of their columns.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::Column;
use mxcp_base::{FileSet, Shelf, SourceFile, paths};
use mxcp_catalog::{FileRead, file_reads, may_read_files};

use super::endpoint_source;
use crate::Db;
use crate::documents::{DocumentKind, document_kind, endpoint_def, python_module};
use crate::inputs::Settings;
use crate::lower::endpoint::Language;
use crate::models::render_model;

/// A firewall over the environment.
#[salsa::tracked(returns(ref))]
pub fn file_columns(db: &dyn Db) -> BTreeMap<String, Vec<Column>> {
    Settings::get(db).environment(db).files.clone()
}

/// Every local file that SQL of the project names as a constant.
pub fn project_file_reads(db: &dyn Db) -> BTreeSet<FileRead> {
    let shelves = FileSet::get(db).shelves(db);
    let mut found: BTreeSet<FileRead> = shelves
        .iter()
        .flat_map(|shelf| shelf_file_reads(db, *shelf))
        .cloned()
        .collect();
    // A source of dbt may stand for a file, so any model may read one when one of them does.
    if shelves.iter().any(|shelf| models_may_read(db, *shelf)) {
        for shelf in shelves {
            found.extend(model_file_reads(db, *shelf).iter().cloned());
        }
    }
    found
}

/// What endpoints and Python read.
#[salsa::tracked(returns(ref))]
fn shelf_file_reads(db: &dyn Db, shelf: Shelf) -> BTreeSet<FileRead> {
    let mut found = BTreeSet::new();
    for file in shelf.files(db).iter().copied() {
        match document_kind(db, file) {
            DocumentKind::Endpoint(_) => found.extend(endpoint_file_reads(db, file)),
            DocumentKind::Python | DocumentKind::Other
                if paths::extension(file.path(db)) == "py" =>
            {
                for execute in &python_module(db, file).facts.executes {
                    found.extend(file_reads(execute.sql.value.as_str()));
                }
            }
            _ => {}
        }
    }
    found
}

fn endpoint_file_reads(db: &dyn Db, file: SourceFile) -> BTreeSet<FileRead> {
    let text = file.text(db);
    // What stands in a file of its own has to be looked up there.
    if !may_read_files(text) && !text.contains("file") {
        return BTreeSet::new();
    }
    let is_sql = endpoint_def(db, file).is_some_and(|def| def.language == Language::Sql);
    match endpoint_source(db, file) {
        Some(Ok((text, _))) if is_sql => file_reads(text).into_iter().collect(),
        _ => BTreeSet::new(),
    }
}

#[salsa::tracked(returns(copy))]
fn models_may_read(db: &dyn Db, shelf: Shelf) -> bool {
    let of_models = |file: &SourceFile| {
        let kind = document_kind(db, *file);
        matches!(kind, DocumentKind::DbtModel | DocumentKind::DbtProperties)
    };
    let files = shelf.files(db).iter();
    files
        .filter(|file| of_models(file))
        .any(|file| may_read_files(file.text(db)))
}

#[salsa::tracked(returns(ref))]
fn model_file_reads(db: &dyn Db, shelf: Shelf) -> BTreeSet<FileRead> {
    let is_model = |file: &&SourceFile| document_kind(db, **file) == DocumentKind::DbtModel;
    let models = shelf.files(db).iter().filter(is_model);
    models
        .flat_map(|file| file_reads(&render_model(db, *file).sql))
        .collect()
}
