//! Templates to the SQL that is run: ephemeral parents inlined, dependencies named.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_base::SourceFile;

use super::cycles::is_on_ref_loop;
use super::index::{find_node, node_name};
use super::node::{Names, is_ephemeral, mentions, render_input, render_model};
use super::others::{ref_id, source_id};
use super::packages::package_name;
use super::versions::versioned_files;
use crate::Db;
use crate::dbt::ephemeral::{EphemeralParent, inject};
use crate::dbt::problem::code;
use crate::dbt::{Problem, RefUse, Rendered, SourceUse};
use crate::documents::{DocumentKind, document_kind};

/// The unique id of a model or seed.
pub(crate) fn unique_id(db: &dyn Db, file: SourceFile) -> String {
    let package = package_name(db, file.path(db));
    let kind = match document_kind(db, file) {
        DocumentKind::DbtSeed => "seed",
        DocumentKind::DbtAnalysis => "analysis",
        _ => "model",
    };
    match version(db, file) {
        Some((name, number)) => format!("{kind}.{package}.{name}.v{number}"),
        None => format!("{kind}.{package}.{}", node_name(db, file)),
    }
}

/// The model and version that a file holds, of models with versions.
pub(crate) fn version(db: &dyn Db, file: SourceFile) -> Option<&(String, String)> {
    let kind = document_kind(db, file);
    let is_model = matches!(kind, DocumentKind::DbtModel | DocumentKind::Python);
    is_model
        .then(|| versioned_files(db).get(node_name(db, file)))
        .flatten()
}

/// A template's SQL with ephemeral parents inlined, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    /// Empty when only a run can tell it.
    pub sql: String,
    /// Unique ids, sorted.
    pub depends_on: Vec<String>,
    /// It is compiled again when it runs.
    pub live: bool,
}

#[salsa::tracked(returns(as_ref), cycle_result = no_cycle)]
pub(crate) fn compiled(db: &dyn Db, file: SourceFile) -> Option<Compiled> {
    let rendered = render_model(db, file);
    if is_on_ref_loop(db, file) {
        return None;
    }
    if rendered.problems.iter().any(|p| !p.is_accepted()) {
        // The run shall fail at this node, where dbt fails.
        let mentioned = &mentions(db, file).0;
        return fails_late(db, file).then(|| Compiled {
            sql: String::new(),
            depends_on: dependencies(db, &mentioned.refs, &mentioned.sources)
                .into_iter()
                .collect(),
            live: true,
        });
    }
    // A note on something that is not known here leaves the rest to the run.
    let unknown = rendered.dynamic.is_some() || !rendered.problems.is_empty();
    let parents = referenced(db, file);
    let mut depends_on = dependencies(db, &rendered.refs, &rendered.sources);
    let live = rendered.live || unknown || parents.iter().any(|p| is_live_ephemeral(db, *p));
    if live {
        // The run may take branches that were not taken here.
        let mentioned = &mentions(db, file).0;
        depends_on.extend(dependencies(db, &mentioned.refs, &mentioned.sources));
    }
    Some(Compiled {
        sql: match unknown {
            true => String::new(),
            false => inline_ephemeral(db, &rendered.sql, &parents),
        },
        depends_on: depends_on.into_iter().collect(),
        live,
    })
}

/// Whether what is wrong with a template shows when it runs, and not yet when dbt reads it.
#[salsa::tracked(returns(copy), cycle_result = not_late)]
pub(crate) fn fails_late(db: &dyn Db, file: SourceFile) -> bool {
    let late = |p: &Problem| {
        matches!(
            p.code,
            code::JINJA_FAILED | code::UNSUPPORTED | code::JINJA_UNDEFINED
        )
    };
    let wrong = |rendered: &Rendered| -> Vec<Problem> {
        let problems = rendered.problems.iter().filter(|p| !p.is_accepted());
        problems.cloned().collect()
    };
    let found = wrong(render_model(db, file));
    if found.is_empty() || !found.iter().all(late) {
        return false;
    }
    let read = render_input(db, file, |input| {
        crate::dbt::render::parse(input, &Names { db })
    });
    wrong(&read).is_empty()
}

fn not_late(_: &dyn Db, _: salsa::Id, _: SourceFile) -> bool {
    false
}

/// The unique ids behind references.
pub(crate) fn dependencies(
    db: &dyn Db,
    refs: &[RefUse],
    sources: &[SourceUse],
) -> BTreeSet<String> {
    let nodes = refs
        .iter()
        .filter_map(|r| ref_id(db, r.package.as_deref(), &r.name));
    let tables = sources
        .iter()
        .filter_map(|s| source_id(db, &s.source, &s.table));
    nodes.chain(tables).collect()
}

/// An ephemeral model whose SQL is known only when it runs, and with it that of its readers.
fn is_live_ephemeral(db: &dyn Db, file: SourceFile) -> bool {
    is_ephemeral(db, file) && compiled(db, file).is_some_and(|compiled| compiled.live)
}

fn no_cycle(_: &dyn Db, _: salsa::Id, _: SourceFile) -> Option<Compiled> {
    None
}

/// The nodes a template refers to, in order of reference.
fn referenced(db: &dyn Db, file: SourceFile) -> Vec<SourceFile> {
    let mut found = Vec::new();
    for reference in &render_model(db, file).refs {
        if let Some(file) = find_node(db, reference.package.as_deref(), &reference.name)
            && !found.contains(&file)
        {
            found.push(file);
        }
    }
    found
}

/// Puts the ephemeral ones among `parents`, and theirs, in front of the SQL.
pub(crate) fn inline_ephemeral(db: &dyn Db, sql: &str, parents: &[SourceFile]) -> String {
    let mut known: BTreeMap<String, EphemeralParent> = BTreeMap::new();
    let mut open: Vec<SourceFile> = parents.to_vec();
    while let Some(file) = open.pop() {
        let name = node_name(db, file).to_owned();
        if !is_ephemeral(db, file) || known.contains_key(&name) {
            continue;
        }
        let above = referenced(db, file);
        known.insert(
            name.clone(),
            EphemeralParent {
                name,
                sql: render_model(db, file).sql.clone(),
                parents: above
                    .iter()
                    .filter(|p| is_ephemeral(db, **p))
                    .map(|p| node_name(db, *p).to_owned())
                    .collect(),
            },
        );
        open.extend(above);
    }
    let direct: Vec<String> = parents
        .iter()
        .filter(|p| is_ephemeral(db, **p))
        .map(|p| node_name(db, *p).to_owned())
        .collect();
    inject(sql, &direct, &|name| known.get(name))
}
