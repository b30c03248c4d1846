//! The dbt layer as compiled nodes, ready to be run.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::Digest;
use mxcp_artifact::dbt::{DbtGraph, ModelSpec, Node, NodeSpec, SeedSpec};
use mxcp_base::SourceFile;

use super::index::{dbt_project, node_name, ref_index};
use super::node::{fqn, is_ephemeral, node_config, node_properties, node_relation, render_model};
use super::schema::seed_columns;
use crate::Db;
use crate::dbt::ephemeral::{EphemeralParent, inject};
use crate::documents::{DocumentKind, document_kind};

/// All enabled nodes whose templates compile, sorted by unique id.
#[salsa::tracked(returns(ref))]
pub fn dbt_graph(db: &dyn Db) -> DbtGraph {
    let Some(project) = dbt_project(db) else {
        return DbtGraph::default();
    };
    let mut nodes: Vec<Node> = ref_index(db)
        .values()
        .filter_map(|file| node(db, *file).clone())
        .collect();
    nodes.extend(super::data_tests::test_nodes(db));
    nodes.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    DbtGraph {
        project: project.def.name.clone(),
        nodes,
    }
}

/// The unique id of a model or seed.
pub(crate) fn unique_id(db: &dyn Db, file: SourceFile) -> String {
    let package = dbt_project(db).map_or("", |p| p.def.name.as_str());
    let kind = match document_kind(db, file) {
        DocumentKind::DbtSeed => "seed",
        _ => "model",
    };
    format!("{kind}.{package}.{}", node_name(db, file))
}

/// One compiled model or seed; `None` when its template does not compile.
#[salsa::tracked(returns(ref))]
fn node(db: &dyn Db, file: SourceFile) -> Option<Node> {
    let config = &node_config(db, file).0;
    let props = node_properties(db, file).map(|p| &p.props);
    let is_seed = document_kind(db, file) == DocumentKind::DbtSeed;
    let (spec, compiled_sql, depends_on) = if is_seed {
        let seed = seed_columns(db, file);
        let spec = NodeSpec::Seed(SeedSpec {
            columns: seed.columns.clone(),
            delimiter: seed.delimiter,
            quote_columns: config.quote_columns.unwrap_or(false),
        });
        (spec, String::new(), Vec::new())
    } else {
        let compiled = compiled(db, file)?;
        let spec = NodeSpec::Model(ModelSpec {
            materialized: config.materialization().ok()?,
            indexes: config.indexes.clone(),
            contract_enforced: config.contract_enforced,
            constraints: props.map(|p| p.constraints.clone()).unwrap_or_default(),
            pre_hooks: config.pre_hooks.clone(),
            post_hooks: config.post_hooks.clone(),
        });
        (spec, compiled.sql.clone(), compiled.depends_on.clone())
    };
    let relation = (!is_ephemeral(db, file)).then(|| node_relation(db, file).clone());
    Some(Node {
        unique_id: unique_id(db, file),
        name: node_name(db, file).to_owned(),
        package: dbt_project(db).map_or_else(String::new, |p| p.def.name.clone()),
        path: file.path(db).to_owned(),
        fqn: fqn(db, file),
        tags: config.tags.clone(),
        description: props.and_then(|p| p.description.clone()),
        relation,
        depends_on,
        compiled_sql,
        columns: props
            .map(|p| p.columns.iter().map(|c| c.spec.clone()).collect())
            .unwrap_or_default(),
        meta: config.meta.clone(),
        digest: Digest::of(file.text(db).as_bytes()),
        spec,
    })
}

/// A template's SQL with ephemeral parents inlined, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    pub sql: String,
    /// Unique ids, sorted.
    pub depends_on: Vec<String>,
}

#[salsa::tracked(returns(as_ref))]
pub(crate) fn compiled(db: &dyn Db, file: SourceFile) -> Option<Compiled> {
    let rendered = render_model(db, file);
    if !rendered.problems.is_empty() || rendered.dynamic.is_some() {
        return None;
    }
    let parents = referenced(db, file);
    let depends_on: BTreeSet<String> = parents.iter().map(|p| unique_id(db, *p)).collect();
    Some(Compiled {
        sql: inline_ephemeral(db, &rendered.sql, &parents),
        depends_on: depends_on.into_iter().collect(),
    })
}

/// The nodes a template refers to, in order of reference.
fn referenced(db: &dyn Db, file: SourceFile) -> Vec<SourceFile> {
    let index = ref_index(db);
    let mut found = Vec::new();
    for reference in &render_model(db, file).refs {
        if let Some(file) = index.get(&reference.name)
            && !found.contains(file)
        {
            found.push(*file);
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
