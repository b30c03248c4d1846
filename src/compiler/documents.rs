//! Files to trees and definitions: the first queries of the graph.
//!
//! `parse_yaml` is compared by nobody, so it changes with every keystroke; `lower_*` are the
//! firewall: whitespace and comments stop there, because definitions hold no positions.

use std::collections::BTreeSet;
use std::sync::Arc;

use mxcp_artifact::EndpointKind;
use mxcp_base::{FileSet, SourceFile, paths};
use mxcp_syntax::yaml::{self, YamlFile};

use crate::Db;
use crate::lower::endpoint::{EndpointDef, lower_endpoint};
use crate::lower::evals::{EvalSuite, lower_evals};
use crate::site::{
    Paths, SITE_FILE, Serving, Severities, Site, lower_serving, lower_severities, lower_site,
};
use crate::surface;

/// A project-relative path as a query key.
#[salsa::interned(debug)]
pub struct FilePath<'db> {
    #[returns(deref)]
    pub text: String,
}

/// The file at a path. Reading through here keeps a change of the file set from reaching queries
/// that name other paths.
#[salsa::tracked(returns(copy))]
pub fn file_at<'db>(db: &'db dyn Db, path: FilePath<'db>) -> Option<SourceFile> {
    FileSet::get(db).files(db).get(path.text(db)).copied()
}

/// [`file_at`] for a plain path.
pub fn find_file(db: &dyn Db, path: &str) -> Option<SourceFile> {
    file_at(db, FilePath::new(db, path.to_owned()))
}

/// What a file is to the project, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    Site,
    Endpoint(EndpointKind),
    Eval,
    /// A `.yaml` or `.YML` file where only `.yml` is read.
    IgnoredYaml,
    Python,
    Sql,
    DbtProject,
    DbtProperties,
    DbtModel,
    DbtSeed,
    DbtMacro,
    DbtTest,
    DbtAnalysis,
    Other,
}

#[salsa::tracked(returns(ref), no_eq, lru = 512)]
pub fn parse_yaml(db: &dyn Db, file: SourceFile) -> Arc<YamlFile> {
    Arc::new(yaml::parse(file.text(db)))
}

/// The site file's definitions; `None` when there is no site file.
pub fn site(db: &dyn Db) -> Option<&Site> {
    surface::settled_site(db).as_ref()
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_site(db: &dyn Db) -> Option<Site> {
    let file = find_file(db, SITE_FILE)?;
    Some(lower_site(parse_yaml(db, file)))
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_severities(db: &dyn Db) -> Severities {
    find_file(db, SITE_FILE)
        .map(|file| lower_severities(parse_yaml(db, file)))
        .unwrap_or_default()
}

/// What the site file says to the server alone.
pub fn serving(db: &dyn Db) -> Option<Serving> {
    find_file(db, SITE_FILE).map(|file| lower_serving(parse_yaml(db, file)))
}

/// A firewall over [`site`]: most queries need the directories only.
#[salsa::tracked(returns(ref))]
pub fn site_paths(db: &dyn Db) -> Paths {
    match site(db) {
        Some(site) => site.paths.clone(),
        None => lower_site(&yaml::parse("")).paths,
    }
}

#[salsa::tracked(returns(copy))]
pub fn document_kind(db: &dyn Db, file: SourceFile) -> DocumentKind {
    let path = file.path(db);
    if path == SITE_FILE {
        return DocumentKind::Site;
    }
    let dirs = site_paths(db);
    let extension = paths::extension(path);
    for kind in EndpointKind::ALL {
        if paths::is_below(path, dirs.endpoint_dir(kind)) {
            match extension {
                "yml" => return DocumentKind::Endpoint(kind),
                other if crate::is_yaml_like(other) => return DocumentKind::IgnoredYaml,
                _ => {}
            }
        }
    }
    if paths::is_below(path, &dirs.evals) {
        match extension {
            "yml" => return DocumentKind::Eval,
            other if crate::is_yaml_like(other) => return DocumentKind::IgnoredYaml,
            _ => {}
        }
    }
    if let Some(kind) = crate::models::dbt_kind(db, path) {
        return kind;
    }
    match extension {
        "py" => DocumentKind::Python,
        "sql" => DocumentKind::Sql,
        _ => DocumentKind::Other,
    }
}

/// The endpoint a file defines, without positions. `None` for a file that holds no endpoint of the
/// kind its folder says.
#[salsa::tracked(returns(as_ref))]
pub fn endpoint_def(db: &dyn Db, file: SourceFile) -> Option<EndpointDef> {
    let DocumentKind::Endpoint(kind) = document_kind(db, file) else {
        return None;
    };
    lower_endpoint(parse_yaml(db, file), kind)
}

#[salsa::tracked(returns(ref))]
pub fn eval_suite(db: &dyn Db, file: SourceFile) -> EvalSuite {
    lower_evals(parse_yaml(db, file))
}

/// All files of the kinds that `wanted` accepts, by path.
pub fn files_of(db: &dyn Db, wanted: impl Fn(DocumentKind) -> bool) -> Vec<SourceFile> {
    FileSet::get(db)
        .files(db)
        .values()
        .copied()
        .filter(|file| wanted(document_kind(db, *file)))
        .collect()
}

#[salsa::tracked(returns(ref))]
pub fn endpoint_files(db: &dyn Db) -> Vec<SourceFile> {
    files_of(db, |kind| matches!(kind, DocumentKind::Endpoint(_)))
}

/// The paths that endpoints name as their source and that are no known files.
pub fn unread_sources(db: &dyn Db) -> BTreeSet<String> {
    endpoint_files(db)
        .iter()
        .filter_map(|file| {
            let reference = endpoint_def(db, *file)?.file.as_deref()?;
            let path = paths::resolve(file.path(db), reference)?;
            find_file(db, &path).is_none().then_some(path)
        })
        .collect()
}

/// A Python file as its signatures; nothing is imported.
#[salsa::tracked(returns(ref), no_eq)]
pub fn python_module(db: &dyn Db, file: SourceFile) -> mxcp_syntax::python::Module {
    mxcp_syntax::python::parse(file.text(db))
}
