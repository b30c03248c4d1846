//! The dbt layer as compiled nodes, ready to be run.

use mxcp_artifact::Digest;
use mxcp_artifact::dbt::{DbtGraph, ModelSpec, Node, NodeSpec, SeedSpec};
use mxcp_base::SourceFile;

use super::compile::{compiled, unique_id};
use super::hooks::rendered_hook;
use super::index::{dbt_project, node_name, nodes};
use super::node::{fqn, is_ephemeral, node_config, node_properties, node_relation};
use super::schema::seed_columns;
use crate::Db;
use crate::documents::{DocumentKind, document_kind};

/// All enabled nodes whose templates compile, sorted by unique id.
#[salsa::tracked(returns(ref))]
pub fn dbt_graph(db: &dyn Db) -> DbtGraph {
    let Some(project) = dbt_project(db) else {
        return DbtGraph::default();
    };
    let mut nodes: Vec<Node> = nodes(db)
        .iter()
        .filter_map(|file| node(db, *file).clone())
        .collect();
    nodes.extend(super::data_tests::test_nodes(db));
    nodes.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    DbtGraph {
        project: project.def.name.clone(),
        nodes,
        ..DbtGraph::default()
    }
}

/// Hooks as SQL; `None` when one of them does not render.
fn hooks(db: &dyn Db, file: SourceFile, hooks: &[String]) -> Option<Vec<String>> {
    hooks
        .iter()
        .map(|hook| {
            let rendered = rendered_hook(db, file, hook);
            let known = rendered.problems.is_empty() && rendered.dynamic.is_none();
            known.then_some(rendered.sql)
        })
        .collect()
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
            pre_hooks: hooks(db, file, &config.pre_hooks)?,
            post_hooks: hooks(db, file, &config.post_hooks)?,
            incremental: None,
            full_refresh: None,
            python: None,
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
        config: std::collections::BTreeMap::new(),
        live: false,
        digest: Digest::of(file.text(db).as_bytes()),
        spec,
    })
}
