//! The dependency graph over a `DbtGraph`'s nodes, by their position in it. Dependencies on nodes
//! that are not in the graph (sources) are left out.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::dbt::{DbtGraph, NodeKind, NodeSpec};
use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::RunError;

#[derive(Clone)]
pub(crate) struct Dag {
    /// Node weights are unused: index `i` is `graph.nodes[i]`. Edges go from a node to its dependants.
    edges: DiGraph<(), ()>,
    /// Every node after all that it depends on.
    order: Vec<usize>,
}

impl Dag {
    pub(crate) fn new(graph: &DbtGraph) -> Result<Self, RunError> {
        let positions: BTreeMap<&str, usize> = graph
            .nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.unique_id.as_str(), i))
            .collect();
        let mut edges = DiGraph::new();
        for _ in &graph.nodes {
            edges.add_node(());
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            for parent in &node.depends_on {
                if let Some(&parent) = positions.get(parent.as_str()) {
                    edges.update_edge(NodeIndex::new(parent), NodeIndex::new(i), ());
                }
            }
        }
        let order = sorted(&edges).ok_or_else(|| cycle(graph, &edges))?;
        Ok(Self { edges, order })
    }

    /// Makes every node wait for the tests of its ancestors: a test precedes the nodes that descend
    /// from all it looks at. Those already come after the test's own parents, so no cycle arises.
    #[must_use]
    pub(crate) fn with_test_edges(mut self, graph: &DbtGraph) -> Self {
        let is_test = |i: usize| graph.nodes[i].kind() == NodeKind::Test;
        let mut added = Vec::new();
        for test in (0..graph.nodes.len()).filter(|&i| is_test(i)) {
            let parents: Vec<usize> = self.parents(test).collect();
            let waiting: BTreeSet<usize> = match parents.as_slice() {
                [] => continue,
                // The children are enough: whatever is below them waits for them.
                [parent] => self.children(*parent).collect(),
                [first, rest @ ..] => {
                    let mut common = self.descendants(*first);
                    for parent in rest {
                        let below = self.descendants(*parent);
                        common.retain(|i| below.contains(i));
                    }
                    common
                }
            };
            added.extend(
                waiting
                    .into_iter()
                    .filter(|&i| !is_test(i))
                    .map(|i| (test, i)),
            );
        }
        for unit in 0..graph.nodes.len() {
            self.put_before_its_model(graph, unit);
        }
        for (test, node) in added {
            self.edges
                .update_edge(NodeIndex::new(test), NodeIndex::new(node), ());
        }
        if let Some(order) = sorted(&self.edges) {
            self.order = order;
        }
        self
    }

    /// A unit test needs what its model reads, and the model waits for the verdict.
    fn put_before_its_model(&mut self, graph: &DbtGraph, unit: usize) {
        let NodeSpec::UnitTest(spec) = &graph.nodes[unit].spec else {
            return;
        };
        let Ok(model) = graph
            .nodes
            .binary_search_by(|node| node.unique_id.as_str().cmp(&spec.model))
        else {
            return;
        };
        let (unit, model) = (NodeIndex::new(unit), NodeIndex::new(model));
        if let Some(edge) = self.edges.find_edge(model, unit) {
            self.edges.remove_edge(edge);
        }
        let parents: Vec<NodeIndex> = self
            .edges
            .neighbors_directed(model, Direction::Incoming)
            .filter(|&parent| parent != unit && !is_unit_test(graph, parent.index()))
            .collect();
        for parent in parents {
            self.edges.update_edge(parent, unit, ());
        }
        self.edges.update_edge(unit, model, ());
    }

    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    fn neighbours(&self, i: usize, direction: Direction) -> impl Iterator<Item = usize> + '_ {
        self.edges
            .neighbors_directed(NodeIndex::new(i), direction)
            .map(NodeIndex::index)
    }

    pub(crate) fn parents(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        self.neighbours(i, Direction::Incoming)
    }

    pub(crate) fn children(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        self.neighbours(i, Direction::Outgoing)
    }

    /// What is reachable in at most `depth` steps; a start is in it only when another start leads to it.
    pub(crate) fn reach(
        &self,
        starts: &BTreeSet<usize>,
        direction: Direction,
        depth: Option<usize>,
    ) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut layer = starts.clone();
        let mut steps = 0;
        while !layer.is_empty() && depth.is_none_or(|depth| steps < depth) {
            layer = layer
                .iter()
                .flat_map(|&i| self.neighbours(i, direction))
                .filter(|i| !reached.contains(i))
                .collect();
            reached.extend(layer.iter().copied());
            steps += 1;
        }
        reached
    }

    pub(crate) fn descendants(&self, i: usize) -> BTreeSet<usize> {
        self.reach(&BTreeSet::from([i]), Direction::Outgoing, None)
    }

    /// The members of `chosen` that `i` waits for, directly or through nodes that are not chosen.
    pub(crate) fn nearest_parents(&self, i: usize, chosen: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = self.parents(i).collect();
        while let Some(parent) = open.pop() {
            if !seen.insert(parent) {
                continue;
            }
            if chosen.contains(&parent) {
                found.insert(parent);
            } else {
                open.extend(self.parents(parent));
            }
        }
        found
    }
}

fn is_unit_test(graph: &DbtGraph, i: usize) -> bool {
    graph.nodes[i].kind() == NodeKind::UnitTest
}

fn sorted(edges: &DiGraph<(), ()>) -> Option<Vec<usize>> {
    toposort(edges, None)
        .ok()
        .map(|order| order.into_iter().map(NodeIndex::index).collect())
}

fn cycle(graph: &DbtGraph, edges: &DiGraph<(), ()>) -> RunError {
    let mut members: Vec<usize> = tarjan_scc(edges)
        .into_iter()
        .map(|part| part.into_iter().map(NodeIndex::index).collect::<Vec<_>>())
        .find(|part| {
            part.len() > 1
                || part
                    .first()
                    .is_some_and(|&i| edges.contains_edge(NodeIndex::new(i), NodeIndex::new(i)))
        })
        .unwrap_or_default();
    members.sort_unstable();
    RunError::Cycle {
        nodes: members
            .into_iter()
            .map(|i| graph.nodes[i].name.clone())
            .collect(),
    }
}
