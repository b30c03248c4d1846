//! Loops between models, each reported once with all its members.

use std::collections::{BTreeSet, HashMap, HashSet};

use mxcp_artifact::RelationName;
use mxcp_base::{SourceFile, codes};
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::index::{dbt_project, model_for_relation, node_name, nodes as all_nodes, ref_index};
use super::node::{mentions, render_model};
use crate::Db;
use crate::documents::{DocumentKind, document_kind};
use crate::finding::{Anchor, Finding};
use crate::relations::RelationKey;
use crate::sql::{SqlText, analyze_sql};
use crate::surface::on_loops;

/// Findings about the dbt layer as a whole: snapshots that cannot be taken, and loops.
pub fn check_project(db: &dyn Db, findings: &mut Vec<Finding>) {
    if dbt_project(db).is_none() {
        return;
    }
    super::snapshot_checks::check_snapshots(db, findings);
    for members in loops(&references(db)) {
        findings.extend(loop_finding(db, &sorted(db, members)));
    }
}

/// Whether a model reads itself, by way of others or at once. Whatever follows relations from model to
/// model asks this first: a loop of queries would depend on which of them was asked first.
#[salsa::tracked(returns(copy))]
pub(crate) fn is_on_loop(db: &dyn Db, file: SourceFile) -> bool {
    on_loops(db).contains(&file)
}

/// Whether a model refers to itself, by way of others or at once. Templates alone are asked.
#[salsa::tracked(returns(copy))]
pub(crate) fn is_on_ref_loop(db: &dyn Db, file: SourceFile) -> bool {
    on_ref_loops(db).contains(&file)
}

#[salsa::tracked(returns(ref))]
fn on_ref_loops(db: &dyn Db) -> HashSet<SourceFile> {
    loops(&references(db)).into_iter().flatten().collect()
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_on_loops(db: &dyn Db) -> HashSet<SourceFile> {
    let mut edges = references(db);
    // SQL may name the relation of a model without `ref`.
    for file in all_nodes(db) {
        if document_kind(db, *file) != DocumentKind::DbtModel {
            continue;
        }
        let rendered = render_model(db, *file);
        let analysis = analyze_sql(db, SqlText::new(db, rendered.sql.clone()));
        for table in analysis.statements.iter().flat_map(|s| &s.relations) {
            let schema = table.schema.as_deref().unwrap_or("main");
            let name = RelationName::in_schema(schema, &table.name).folded();
            if let Some(read) = model_for_relation(db, RelationKey::new(db, name)) {
                edges.push((*file, read));
            }
        }
    }
    loops(&edges).into_iter().flatten().collect()
}

/// Which model refers to which node, in any branch of its template.
fn references(db: &dyn Db) -> Vec<(SourceFile, SourceFile)> {
    let index = ref_index(db);
    let own = |package: &String| dbt_project(db).is_some_and(|p| p.def.name == *package);
    let mut edges = Vec::new();
    // By name, so that the graph and with it the report do not depend on hashing.
    for file in all_nodes(db) {
        if document_kind(db, *file) != DocumentKind::DbtModel {
            continue;
        }
        for reference in &mentions(db, *file).0.refs {
            if reference.package.as_ref().is_none_or(own)
                && let Some(to) = index.get(&reference.name)
            {
                edges.push((*file, *to));
            }
        }
    }
    edges
}

/// The sets of files that lead back to themselves.
fn loops(edges: &[(SourceFile, SourceFile)]) -> Vec<Vec<SourceFile>> {
    let mut graph = DiGraph::<SourceFile, ()>::new();
    let mut nodes = HashMap::new();
    for (from, to) in edges {
        let [from, to] =
            [from, to].map(|file| *nodes.entry(*file).or_insert_with(|| graph.add_node(*file)));
        graph.update_edge(from, to, ());
    }
    let members = |component: Vec<_>| {
        component
            .iter()
            .filter_map(|n| graph.node_weight(*n).copied())
            .collect::<Vec<_>>()
    };
    tarjan_scc(&graph)
        .into_iter()
        .filter(|component| match component.as_slice() {
            [one] => graph.find_edge(*one, *one).is_some(),
            several => several.len() > 1,
        })
        .map(members)
        .collect()
}

fn sorted(db: &dyn Db, mut members: Vec<SourceFile>) -> Vec<SourceFile> {
    members.sort_by(|a, b| node_name(db, *a).cmp(node_name(db, *b)));
    members
}

/// One finding for a whole loop, at the first member's reference to the next one.
fn loop_finding(db: &dyn Db, members: &[SourceFile]) -> Option<Finding> {
    let first = *members.first()?;
    let names: BTreeSet<&str> = members.iter().map(|m| node_name(db, *m)).collect();
    // Walk from the first member along references inside the loop until it closes.
    let mut path = vec![first];
    let mut at = first;
    loop {
        let next = mentions(db, at)
            .0
            .refs
            .iter()
            .filter(|r| names.contains(r.name.as_str()))
            .filter_map(|r| members.iter().find(|m| node_name(db, **m) == r.name))
            .min_by_key(|m| (path.contains(m) && **m != first, node_name(db, **m)))?;
        if path.contains(next) {
            break;
        }
        path.push(*next);
        at = *next;
    }
    let mut shown: Vec<String> = path
        .iter()
        .map(|m| format!("`{}`", node_name(db, *m)))
        .collect();
    shown.push(format!("`{}`", node_name(db, first)));
    let reference = mentions(db, first)
        .0
        .refs
        .iter()
        .find(|r| names.contains(r.name.as_str()))?;
    let range = mxcp_base::TextRange::new(reference.range.start.into(), reference.range.end.into());
    Some(
        Finding::new(
            codes::MX0403,
            format!("models form a cycle: {}", shown.join(" → ")),
            Anchor::text(first, range),
        )
        .help("remove one of these references"),
    )
}
