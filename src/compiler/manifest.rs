//! The whole project as one artifact.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::manifest::{FORMAT_VERSION, Project, PythonFile, Toolchain};
use mxcp_artifact::{
    Body, CatalogSnapshot, Digest, Endpoint, Manifest, Relation, RelationKind, RelationName,
};
use mxcp_base::{FileSet, SourceFile, paths};

use crate::Db;
use crate::documents::{DocumentKind, document_kind, endpoint_files, serving, site};
use crate::ir::{endpoint_ir, is_served};
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::site::SITE_FILE;
use crate::sql::{SqlText, analyze_sql, database_macros};

/// The manifest of everything that clients may get. Whether the project as a whole may be built
/// is the caller's decision, from the diagnostics.
pub fn manifest(db: &dyn Db, compiler_version: &str) -> Option<Manifest> {
    manifest_of(db, compiler_version, &|file| is_served(db, file))
}

/// The manifest of everything that can be tried, for commands that run single endpoints.
pub fn runnable_manifest(db: &dyn Db, compiler_version: &str) -> Option<Manifest> {
    manifest_of(db, compiler_version, &|_| true)
}

fn manifest_of(
    db: &dyn Db,
    compiler_version: &str,
    wanted: &dyn Fn(SourceFile) -> bool,
) -> Option<Manifest> {
    let site = site(db)?;
    let serving = serving(db)?;
    let mut endpoints: Vec<Endpoint> = endpoint_files(db)
        .iter()
        .filter(|file| wanted(**file))
        .filter_map(|file| endpoint_ir(db, *file).cloned())
        .collect();
    endpoints.sort_by(|a, b| (a.kind, a.id()).cmp(&(b.kind, b.id())));

    let mut profiles: BTreeMap<_, _> = site
        .profiles
        .keys()
        .map(|name| (name.clone(), site.profile(name)))
        .collect();
    profiles.insert(site.profile.clone(), site.profile(&site.profile));

    Some(Manifest {
        format_version: FORMAT_VERSION,
        toolchain: Toolchain {
            compiler: compiler_version.to_owned(),
            engine: db.binder().engine().to_owned(),
        },
        project: Project {
            name: site.project.clone(),
            profile: site.profile.clone(),
            profiles,
            python_path: site.paths.python.clone(),
            plugin_path: site.paths.plugins.clone(),
            extensions: site.extensions.clone(),
            plugins: site.plugins.clone(),
            secrets: site.secrets.clone(),
            sql_tools: site.sql_tools.clone(),
            server: serving.server,
            limits: serving.limits,
            site: serving.raw,
        },
        python: python_files(db, &endpoints),
        dbt: crate::models::dbt_graph(db).clone(),
        catalog: catalog(db, &endpoints),
        sources: sources(db, &endpoints),
        endpoints,
    })
}

/// Files of endpoints, and those below the Python directory: they are loaded for their hooks.
fn python_files(db: &dyn Db, endpoints: &[Endpoint]) -> Vec<PythonFile> {
    let used: BTreeSet<&str> = endpoints
        .iter()
        .filter_map(|e| match &e.body {
            Body::Python(python) => Some(python.file.as_str()),
            _ => None,
        })
        .collect();
    let Some(site) = site(db) else {
        return Vec::new();
    };
    FileSet::get(db)
        .files(db)
        .values()
        .filter(|file| {
            let path = file.path(db);
            paths::extension(path) == "py"
                && (used.contains(path) || paths::is_below(path, &site.paths.python))
        })
        .map(|file| PythonFile {
            path: file.path(db).to_owned(),
            digest: Digest::of(file.text(db).as_bytes()),
        })
        .collect()
}

fn catalog(db: &dyn Db, endpoints: &[Endpoint]) -> CatalogSnapshot {
    let names: BTreeSet<&RelationName> = endpoints
        .iter()
        .filter_map(|e| match &e.body {
            Body::Sql(sql) => Some(&sql.effects.reads),
            _ => None,
        })
        .flatten()
        .collect();
    CatalogSnapshot::new(
        names
            .into_iter()
            .filter_map(|name| {
                let key = RelationKey::new(db, name.folded());
                match relation_schema(db, key) {
                    RelationSchema::Known(columns) => Some(Relation {
                        name: name.folded(),
                        kind: RelationKind::Table,
                        columns: columns.to_vec(),
                    }),
                    _ => None,
                }
            })
            .collect(),
    )
    .with_functions(called_macros(db, endpoints))
}

fn called_macros(db: &dyn Db, endpoints: &[Endpoint]) -> BTreeSet<String> {
    let macros = database_macros(db);
    if macros.is_empty() {
        return BTreeSet::new();
    }
    endpoints
        .iter()
        .filter_map(|e| match &e.body {
            Body::Sql(body) => Some(analyze_sql(db, SqlText::new(db, body.sql.clone()))),
            _ => None,
        })
        .flat_map(|analysis| analysis.statements.iter().flat_map(|s| &s.functions))
        .filter(|name| macros.contains(*name))
        .cloned()
        .collect()
}

/// Every file whose text went into the artifact.
fn sources(db: &dyn Db, endpoints: &[Endpoint]) -> BTreeMap<String, Digest> {
    let sql: BTreeSet<&str> = endpoints
        .iter()
        .filter_map(|e| match &e.body {
            Body::Sql(body) => body.file.as_deref(),
            Body::Python(body) => Some(body.file.as_str()),
            Body::Prompt(_) => None,
        })
        .collect();
    FileSet::get(db)
        .files(db)
        .values()
        .filter(|file| goes_in(db, **file) || sql.contains(file.path(db)))
        .map(|file| {
            (
                file.path(db).to_owned(),
                Digest::of(file.text(db).as_bytes()),
            )
        })
        .collect()
}

fn goes_in(db: &dyn Db, file: SourceFile) -> bool {
    let path = file.path(db);
    match document_kind(db, file) {
        DocumentKind::Endpoint(_) | DocumentKind::Site => true,
        DocumentKind::DbtProject
        | DocumentKind::DbtProperties
        | DocumentKind::DbtModel
        | DocumentKind::DbtSeed
        | DocumentKind::DbtMacro
        | DocumentKind::DbtTest
        | DocumentKind::DbtAnalysis => true,
        DocumentKind::Python => {
            site(db).is_some_and(|site| paths::is_below(path, &site.paths.python))
        }
        _ => path == SITE_FILE,
    }
}
