//! The dependency graph over a project's resources, by their position in unique id order.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{DbtGraph, NodeKind, NodeSpec};
use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::RunError;
use crate::resource::Resource;

#[derive(Clone)]
pub(crate) struct Dag<'g> {
    /// Sorted by unique id.
    pub(crate) resources: Vec<Resource<'g>>,
    positions: BTreeMap<&'g str, usize>,
    /// Node weights are unused: index `i` is `resources[i]`. Edges go from a resource to its dependants.
    edges: DiGraph<(), ()>,
    /// Every resource after all that it depends on.
    order: Vec<usize>,
}

impl<'g> Dag<'g> {
    pub(crate) fn new(graph: &'g DbtGraph) -> Result<Self, RunError> {
        let mut resources: Vec<Resource<'g>> = graph
            .nodes
            .iter()
            .map(Resource::Node)
            .chain(graph.sources.iter().map(Resource::Source))
            .chain(graph.exposures.iter().map(Resource::Exposure))
            .collect();
        resources.sort_by_key(|resource| resource.unique_id());
        let positions: BTreeMap<&str, usize> = resources
            .iter()
            .enumerate()
            .map(|(i, resource)| (resource.unique_id(), i))
            .collect();
        let mut edges = DiGraph::new();
        for _ in &resources {
            edges.add_node(());
        }
        for (i, resource) in resources.iter().enumerate() {
            for parent in resource.depends_on() {
                if let Some(&parent) = positions.get(parent.as_str()) {
                    edges.update_edge(NodeIndex::new(parent), NodeIndex::new(i), ());
                }
            }
        }
        let order = sorted(&edges).ok_or_else(|| cycle(&resources, &edges))?;
        Ok(Self {
            resources,
            positions,
            edges,
            order,
        })
    }

    /// Makes every node wait for the tests of its ancestors: a test precedes the nodes that descend
    /// from all it looks at. Those already come after the test's own parents, so no cycle arises.
    #[must_use]
    pub(crate) fn with_test_edges(mut self) -> Self {
        let is_data_test = |i: usize| {
            self.resources[i]
                .node()
                .is_some_and(|node| node.kind() == NodeKind::Test)
        };
        let mut added = Vec::new();
        for test in (0..self.resources.len()).filter(|&i| is_data_test(i)) {
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
                    .filter(|&i| !self.resources[i].is_test())
                    .map(|i| (test, i)),
            );
        }
        for unit in 0..self.resources.len() {
            self.put_before_its_model(unit);
        }
        for (test, node) in added {
            // The unit tests of a model run with it, or not at all.
            let units: Vec<usize> = self
                .parents(node)
                .filter(|&parent| self.is_unit_test_of(parent, node))
                .collect();
            for i in units.into_iter().chain([node]) {
                self.edges
                    .update_edge(NodeIndex::new(test), NodeIndex::new(i), ());
            }
        }
        self.put_after_makers();
        if let Some(order) = sorted(&self.edges) {
            self.order = order;
        }
        self
    }

    /// A test of a source waits for the node that makes the same relation, such as the seed that stands
    /// in for the loaded table. dbt leaves to chance which of them comes first.
    fn put_after_makers(&mut self) {
        let makers: BTreeMap<&RelationName, usize> = self
            .resources
            .iter()
            .enumerate()
            .filter(|(_, resource)| resource.node().is_some() && !resource.is_test())
            .filter_map(|(i, resource)| Some((resource.relation()?, i)))
            .collect();
        for source in 0..self.resources.len() {
            let Resource::Source(read) = self.resources[source] else {
                continue;
            };
            let Some(&maker) = makers.get(&read.relation) else {
                continue;
            };
            let tests: Vec<usize> = self
                .children(source)
                .filter(|&i| self.resources[i].is_test())
                .collect();
            for test in tests {
                if !self.descendants(test).contains(&maker) {
                    self.edges
                        .update_edge(NodeIndex::new(maker), NodeIndex::new(test), ());
                }
            }
        }
    }

    fn is_unit_test_of(&self, unit: usize, model: usize) -> bool {
        match self.resources[unit].node().map(|node| &node.spec) {
            Some(NodeSpec::UnitTest(spec)) => spec.model == self.resources[model].unique_id(),
            _ => false,
        }
    }

    /// A unit test needs what its model reads, and the model waits for the verdict.
    fn put_before_its_model(&mut self, unit: usize) {
        let Some(NodeSpec::UnitTest(spec)) = self.resources[unit].node().map(|node| &node.spec)
        else {
            return;
        };
        let Some(&model) = self.positions.get(spec.model.as_str()) else {
            return;
        };
        let (unit, model) = (NodeIndex::new(unit), NodeIndex::new(model));
        if let Some(edge) = self.edges.find_edge(model, unit) {
            self.edges.remove_edge(edge);
        }
        let parents: Vec<NodeIndex> = self
            .edges
            .neighbors_directed(model, Direction::Incoming)
            .filter(|&parent| parent != unit && !self.resources[parent.index()].is_test())
            .collect();
        for parent in parents {
            self.edges.update_edge(parent, unit, ());
        }
        self.edges.update_edge(unit, model, ());
    }

    pub(crate) fn position(&self, unique_id: &str) -> Option<usize> {
        self.positions.get(unique_id).copied()
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

fn sorted(edges: &DiGraph<(), ()>) -> Option<Vec<usize>> {
    toposort(edges, None)
        .ok()
        .map(|order| order.into_iter().map(NodeIndex::index).collect())
}

fn cycle(resources: &[Resource<'_>], edges: &DiGraph<(), ()>) -> RunError {
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
            .map(|i| resources[i].name().to_owned())
            .collect(),
    }
}
