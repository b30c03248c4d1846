//! The dbt layer as compiled nodes, ready to be run.

use mxcp_artifact::Digest;
use mxcp_artifact::dbt::{
    Constraint, DbtGraph, ModelSpec, Node, NodeSpec, PackageHook, SeedSpec, Version,
};
use mxcp_base::{SourceFile, paths};

use super::compile::{compiled, dependencies, inline_ephemeral, unique_id, version};
use super::docs::column_specs;
use super::hooks::rendered_hook;
use super::index::{analysis_files, dbt_project, find_node, node_name, nodes};
use super::node::{
    Names, fqn, is_enabled, is_ephemeral, materialization, mentions, node_config, node_properties,
    node_relation, resource, target, vars_of,
};
use super::packages::{installed, package_name};
use super::python_models::python_files;
use super::schema::seed_columns;
use super::snapshots::{Snapshot, snapshots};
use super::sources::{exposures, selectors, source_nodes};
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
    let python = python_files(db)
        .iter()
        .filter(|file| is_enabled(db, **file));
    nodes.extend(python.filter_map(|file| node(db, *file).clone()));
    let analyses = analysis_files(db)
        .iter()
        .filter(|file| is_enabled(db, **file));
    nodes.extend(analyses.filter_map(|file| node(db, *file).clone()));
    nodes.extend(super::data_tests::test_nodes(db));
    nodes.extend(snapshots(db).values().filter_map(|s| snapshot_node(db, s)));
    nodes.extend(super::unit_nodes::unit_test_nodes(db));
    nodes.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    DbtGraph {
        project: project.def.name.clone(),
        nodes,
        sources: source_nodes(db),
        exposures: {
            let mut all = exposures(db);
            all.extend(super::semantic::semantic_nodes(db));
            all.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
            all
        },
        on_run_start: project.def.on_run_start.clone(),
        on_run_end: project.def.on_run_end.clone(),
        package_hooks: package_hooks(db),
        selectors: selectors(db),
    }
}

fn package_hooks(db: &dyn Db) -> Vec<PackageHook> {
    let mut found = Vec::new();
    for package in installed(db) {
        let def = &package.def;
        for (at_end, hooks) in [(false, &def.on_run_start), (true, &def.on_run_end)] {
            found.extend(hooks.iter().enumerate().map(|(index, sql)| PackageHook {
                package: def.name.clone(),
                index,
                at_end,
                sql: sql.clone(),
            }));
        }
    }
    found.sort_by(|a, b| (&a.package, a.index).cmp(&(&b.package, b.index)));
    found
}

/// Hooks as SQL, and whether only a run can tell it; `None` when one of them does not render.
fn hooks(db: &dyn Db, file: SourceFile, hooks: &[String]) -> Option<(Vec<String>, bool)> {
    let mut texts = Vec::new();
    let mut live = false;
    for hook in hooks {
        let rendered = rendered_hook(db, file, hook);
        if rendered.problems.iter().any(|p| !p.is_accepted()) {
            return None;
        }
        live |= rendered.live || !rendered.problems.is_empty();
        texts.push(rendered.sql);
    }
    Some((texts, live))
}

/// Which version of its model a file holds.
fn version_of(db: &dyn Db, file: SourceFile) -> Option<Version> {
    let (_, number) = version(db, file)?;
    let props = &node_properties(db, file)?.props;
    let date = props.others.get("deprecation_date");
    let text = mxcp_values::repr::text;
    Some(Version {
        number: match props.others.get("v") {
            Some(number) => number.clone(),
            None => number.as_str().into(),
        },
        latest: props.latest_version().unwrap_or_default(),
        deprecation_date: date.filter(|date| !date.is_null()).map(text),
    })
}

/// The constraints of a model, with the relations that its foreign keys point to.
fn constraints(db: &dyn Db, file: SourceFile) -> Vec<Constraint> {
    let Some(all) = node_properties(db, file) else {
        return Vec::new();
    };
    let mut constraints = all.props.constraints.clone();
    for constraint in &mut constraints {
        point(db, constraint);
    }
    constraints
}

/// Puts the relation in the place of the reference of a foreign key.
pub(super) fn point(db: &dyn Db, constraint: &mut Constraint) {
    let Some(to) = &constraint.to else { return };
    if let Some(relation) = super::sources::named_relation(db, to) {
        constraint.to = Some(relation.quoted());
    }
}

/// The nodes that the foreign keys of a model point to.
fn key_targets(db: &dyn Db, file: SourceFile) -> Vec<String> {
    let Some(all) = node_properties(db, file) else {
        return Vec::new();
    };
    let of_columns = all.props.columns.iter().flat_map(|c| &c.spec.constraints);
    let keys = all.props.constraints.iter().chain(of_columns);
    let to: Vec<serde_json::Value> = keys
        .filter_map(|key| key.to.as_deref().map(Into::into))
        .collect();
    super::sources::named_ids(db, &to)
}

/// One compiled model or seed; `None` when its template does not compile.
#[salsa::tracked(returns(ref))]
pub(super) fn node(db: &dyn Db, file: SourceFile) -> Option<Node> {
    let config = &node_config(db, file).0;
    let props = node_properties(db, file).map(|p| &p.props);
    let is_seed = document_kind(db, file) == DocumentKind::DbtSeed;
    let is_python = paths::extension(file.path(db)) == "py";
    let mut live = false;
    let (spec, compiled_sql, depends_on) = if is_seed {
        let seed = seed_columns(db, file);
        let spec = NodeSpec::Seed(SeedSpec {
            columns: seed.columns.clone(),
            delimiter: seed.delimiter,
            quote_columns: config.quote_columns.unwrap_or(false),
            indexes: config.indexes.clone(),
        });
        (spec, String::new(), Vec::new())
    } else if is_python {
        let mentioned = &mentions(db, file).0;
        let depends_on = dependencies(db, &mentioned.refs, &mentioned.sources);
        let materialized = materialization(db, file).ok()?;
        let spec = NodeSpec::Model(ModelSpec {
            incremental: config.incremental(&materialized),
            materialized,
            indexes: config.indexes.clone(),
            contract_enforced: config.contract_enforced,
            contract_exact: config.contract_enforced && is_exact(db, file),
            constraints: constraints(db, file),
            pre_hooks: config.pre_hooks.clone(),
            post_hooks: config.post_hooks.clone(),
            full_refresh: config.full_refresh,
            python: Some(file.text(db).to_owned()),
            version: version_of(db, file),
        });
        live = true;
        (spec, String::new(), depends_on.into_iter().collect())
    } else if document_kind(db, file) == DocumentKind::DbtAnalysis {
        let compiled = compiled(db, file)?;
        live = compiled.live;
        let depends_on = compiled.depends_on.clone();
        (NodeSpec::Analysis, compiled.sql.clone(), depends_on)
    } else {
        let compiled = compiled(db, file)?;
        let materialized = materialization(db, file).ok()?;
        live = compiled.live;
        let (pre_hooks, live_before) = hooks(db, file, &config.pre_hooks)?;
        let (post_hooks, live_after) = hooks(db, file, &config.post_hooks)?;
        live |= live_before || live_after;
        let spec = NodeSpec::Model(ModelSpec {
            incremental: config.incremental(&materialized),
            materialized,
            indexes: config.indexes.clone(),
            contract_enforced: config.contract_enforced,
            contract_exact: config.contract_enforced && is_exact(db, file),
            constraints: constraints(db, file),
            pre_hooks,
            post_hooks,
            full_refresh: config.full_refresh,
            python: None,
            version: version_of(db, file),
        });
        let mut depends_on = compiled.depends_on.clone();
        depends_on.extend(key_targets(db, file));
        depends_on.sort();
        depends_on.dedup();
        (spec, compiled.sql.clone(), depends_on)
    };
    let is_kept = !is_ephemeral(db, file) && !matches!(spec, NodeSpec::Analysis);
    let relation = is_kept.then(|| node_relation(db, file).clone());
    Some(Node {
        unique_id: unique_id(db, file),
        name: version(db, file)
            .map_or_else(|| node_name(db, file).to_owned(), |(name, _)| name.clone()),
        package: package_name(db, file.path(db)).to_owned(),
        path: file.path(db).to_owned(),
        fqn: fqn(db, file),
        tags: config.tags.clone(),
        description: props
            .and_then(|p| p.description.as_deref())
            .map(|text| super::docs::described(db, file.path(db), text)),
        relation,
        depends_on,
        compiled_sql,
        columns: column_specs(db, file, props),
        meta: config.meta.clone(),
        config: config.printed(resource(db, file)),
        live,
        digest: Digest::of(file.text(db).as_bytes()),
        spec,
    })
}

/// A snapshot; `None` when it cannot be taken.
fn snapshot_node(db: &dyn Db, snapshot: &Snapshot) -> Option<Node> {
    let rendered = rendered_snapshot(db, snapshot);
    if rendered.problems.iter().any(|p| !p.is_accepted()) {
        return None;
    }
    let unknown = rendered.dynamic.is_some() || !rendered.problems.is_empty();
    let mut depends_on = dependencies(db, &rendered.refs, &rendered.sources);
    if rendered.live {
        let mentioned = crate::dbt::static_refs(&snapshot.text).0;
        depends_on.extend(dependencies(db, &mentioned.refs, &mentioned.sources));
    }
    let parents: Vec<SourceFile> = rendered
        .refs
        .iter()
        .filter_map(|r| find_node(db, r.package.as_deref(), &r.name))
        .collect();
    let props = snapshot.props.as_ref().map(|(_, props)| props);
    Some(Node {
        unique_id: snapshot.unique_id(),
        name: snapshot.name.clone(),
        package: snapshot.package.clone(),
        path: snapshot.file.path(db).to_owned(),
        fqn: snapshot.fqn.clone(),
        tags: snapshot.config.tags.clone(),
        description: props
            .and_then(|p| p.description.as_deref())
            .map(|text| super::docs::described(db, snapshot.file.path(db), text)),
        relation: Some(snapshot.relation.clone()),
        depends_on: depends_on.into_iter().collect(),
        compiled_sql: match unknown {
            true => String::new(),
            false => inline_ephemeral(db, &rendered.sql, &parents),
        },
        columns: column_specs(db, snapshot.file, props),
        meta: snapshot.config.meta.clone(),
        config: snapshot.config.printed(crate::dbt::Resource::Snapshot),
        live: rendered.live || unknown,
        digest: Digest::of(snapshot.text.as_bytes()),
        spec: NodeSpec::Snapshot(snapshot.spec.clone().ok()?),
    })
}

/// The query of a snapshot.
pub(super) fn rendered_snapshot(db: &dyn Db, snapshot: &Snapshot) -> crate::dbt::Rendered {
    let input = crate::dbt::RenderInput {
        text: &snapshot.text,
        package: &snapshot.package,
        name: &snapshot.name,
        this: Some(snapshot.relation.clone()),
        config: &snapshot.config.raw,
        vars: &vars_of(db, &snapshot.package),
        target: &target(db),
        macros: super::index::macro_set(db),
        extra: std::collections::BTreeMap::new(),
    };
    crate::dbt::render(&input, &Names { db })
}

/// Whether the contract is in a configuration, where dbt reads it.
fn is_exact(db: &dyn Db, file: SourceFile) -> bool {
    let contract = node_properties(db, file).and_then(|all| all.props.contract.as_ref());
    contract.is_none_or(|contract| contract.exact)
}
