//! Nodes that the project switches off, for dbt's artifacts.

use mxcp_base::FileSet;
use serde::{Deserialize, Serialize};

use super::compile::unique_id;
use super::data_tests::disabled_tests;
use super::index::{node_name, property_files};
use super::node::{fqn, is_enabled};
use super::packages::{in_package, package_name};
use super::sources::disabled_sources;
use crate::Db;
use crate::documents::{DocumentKind, document_kind};

/// A node that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    pub unique_id: String,
    pub name: String,
    pub package: String,
    pub path: String,
    pub fqn: Vec<String>,
}

/// All of them, sorted by unique id.
pub fn disabled(db: &dyn Db) -> Vec<Disabled> {
    let mut found = Vec::new();
    for (path, file) in FileSet::get(db).files(db) {
        let kind = document_kind(db, *file);
        let is_node = matches!(
            kind,
            DocumentKind::DbtModel | DocumentKind::DbtSeed | DocumentKind::DbtAnalysis
        );
        if is_node && !is_enabled(db, *file) {
            found.push(Disabled {
                unique_id: unique_id(db, *file),
                name: node_name(db, *file).to_owned(),
                package: package_name(db, path).to_owned(),
                path: in_package(db, path).1.to_owned(),
                fqn: fqn(db, *file),
            });
        }
    }
    for (file, test) in disabled_tests(db) {
        let (package, path) = in_package(db, file.path(db));
        found.push(Disabled {
            unique_id: test.unique_id.clone(),
            name: test.name.clone(),
            package: package.to_owned(),
            path: path.to_owned(),
            fqn: test.fqn.clone(),
        });
    }
    for file in property_files(db) {
        found.extend(disabled_sources(db, *file));
    }
    found.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    found.dedup_by(|a, b| a.unique_id == b.unique_id);
    found
}
