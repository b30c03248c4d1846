//! The local files that the project's SQL reads: which there are, and what is known of their columns.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::Column;
use mxcp_base::{SourceFile, paths};
use mxcp_catalog::{FileRead, file_reads, may_read_files};

use super::endpoint_source;
use crate::Db;
use crate::documents::{
    DocumentKind, document_kind, endpoint_def, endpoint_files, files_of, python_module,
};
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
    let mut found = BTreeSet::new();
    for file in endpoint_files(db).iter().copied() {
        let text = file.text(db);
        // What stands in a file of its own has to be looked up there.
        if !may_read_files(text) && !text.contains("file") {
            continue;
        }
        let is_sql = endpoint_def(db, file).is_some_and(|def| def.language == Language::Sql);
        if is_sql && let Some(Ok((text, _))) = endpoint_source(db, file) {
            found.extend(file_reads(text));
        }
    }
    // A source of dbt may stand for a file.
    let of_models = |kind| matches!(kind, DocumentKind::DbtModel | DocumentKind::DbtProperties);
    let models = files_of(db, of_models);
    let any = models.iter().any(|file| may_read_files(file.text(db)));
    let is_model = |file: &SourceFile| document_kind(db, *file) == DocumentKind::DbtModel;
    for file in models.into_iter().filter(|file| any && is_model(file)) {
        found.extend(file_reads(&render_model(db, file).sql));
    }
    let is_code = |kind: DocumentKind| matches!(kind, DocumentKind::Python | DocumentKind::Other);
    for file in files_of(db, is_code) {
        if paths::extension(file.path(db)) == "py" {
            for execute in &python_module(db, file).facts.executes {
                found.extend(file_reads(execute.sql.value.as_str()));
            }
        }
    }
    found
}
