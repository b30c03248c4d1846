//! Loops between models, each reported once with all its members.

use std::collections::{BTreeSet, HashMap};

use mxcp_base::{SourceFile, codes};
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::index::{dbt_project, node_name, nodes as all_nodes, ref_index};
use super::node::mentions;
use super::packages::package_of;
use super::snapshots::snapshots;
use crate::Db;
use crate::documents::DocumentKind;
use crate::finding::{Anchor, Finding};

/// Findings about the dbt layer as a whole: snapshots that cannot be taken, and loops.
pub fn check_project(db: &dyn Db, findings: &mut Vec<Finding>) {
    if dbt_project(db).is_none() {
        return;
    }
    for snapshot in snapshots(db).values() {
        let reason = match &snapshot.spec {
            Err(reason) if package_of(db, snapshot.file.path(db)).is_none() => reason,
            _ => continue,
        };
        findings.push(
            Finding::new(
                codes::MX0430,
                format!("the snapshot `{}` is left out: {reason}", snapshot.name),
                super::places::start(snapshot.file),
            )
            .help("say in its configuration how a changed row is told"),
        );
    }
    let index = ref_index(db);
    let mut graph = DiGraph::<SourceFile, ()>::new();
    let all = all_nodes(db);
    let nodes: HashMap<SourceFile, _> = all
        .iter()
        .map(|file| (*file, graph.add_node(*file)))
        .collect();
    // By name, so that the graph and with it the report do not depend on hashing.
    for file in all {
        let Some(from) = nodes.get(file) else {
            continue;
        };
        if crate::documents::document_kind(db, *file) != DocumentKind::DbtModel {
            continue;
        }
        let own = |package: &String| dbt_project(db).is_some_and(|p| p.def.name == *package);
        for reference in &mentions(db, *file).0.refs {
            if reference.package.as_ref().is_none_or(own)
                && let Some(to) = index.get(&reference.name).and_then(|f| nodes.get(f))
            {
                graph.update_edge(*from, *to, ());
            }
        }
    }
    for component in tarjan_scc(&graph) {
        let mut members: Vec<SourceFile> = component
            .iter()
            .filter_map(|n| graph.node_weight(*n).copied())
            .collect();
        let is_loop = members.len() > 1
            || component
                .first()
                .is_some_and(|n| graph.find_edge(*n, *n).is_some());
        if is_loop {
            members.sort_by(|a, b| node_name(db, *a).cmp(node_name(db, *b)));
            findings.extend(loop_finding(db, &members));
        }
    }
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
