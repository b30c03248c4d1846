//! Node selection: dbt's selector language over a compiled graph. Words are united, commas
//! intersect, exclusions are taken away, and tests come along with what they look at.
//!
//! It selects among resources of every kind; which kinds a command runs is decided by the plan.

mod criterion;
mod methods;
mod spec;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use mxcp_artifact::dbt::DbtGraph;
use petgraph::Direction;

use crate::RunError;
use crate::dag::Dag;
use crate::resource::Resource;
use criterion::Criterion;
use spec::{Group, Operation, Spec};

pub use state::{State, manifest_entry};

/// What the command line selects.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Selectors; all nodes when there is none.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    /// A definition of `selectors.yml`, in the place of both.
    pub selector: Option<String>,
    /// Kinds to keep; all when there is none.
    pub resource_types: Vec<String>,
    pub exclude_resource_types: Vec<String>,
    pub indirect: Indirect,
    /// What `state:`, `result:` and `source_status:` compare with.
    pub state: State,
}

/// Which tests come along with what is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indirect {
    /// Those that look at anything selected.
    #[default]
    Eager,
    /// Those that look at nothing else.
    Cautious,
    /// Those that look at nothing else but what the selected nodes are made from.
    Buildable,
    /// None.
    Empty,
}

impl Indirect {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "eager" => Self::Eager,
            "cautious" => Self::Cautious,
            "buildable" => Self::Buildable,
            "empty" => Self::Empty,
            _ => return None,
        })
    }
}

/// The selected resources, sorted by unique id, and what to tell the user about the selection.
#[derive(Debug, Default)]
pub struct Selected<'g> {
    pub resources: Vec<Resource<'g>>,
    pub warnings: Vec<String>,
}

pub fn select<'g>(graph: &'g DbtGraph, selection: &Selection) -> Result<Selected<'g>, RunError> {
    let dag = Dag::new(graph)?;
    let (positions, warnings) = positions(graph, &dag, selection)?;
    Ok(Selected {
        resources: positions.into_iter().map(|i| dag.resources[i]).collect(),
        warnings,
    })
}

pub(crate) fn positions(
    graph: &DbtGraph,
    dag: &Dag<'_>,
    selection: &Selection,
) -> Result<(BTreeSet<usize>, Vec<String>), RunError> {
    for name in selection
        .resource_types
        .iter()
        .chain(&selection.exclude_resource_types)
    {
        if name != "all" && name != "default" {
            methods::check_resource_type("--resource-type", name)?;
        }
    }
    let spec = Spec::of(graph, selection)?;
    let mut evaluation = Evaluation {
        graph,
        dag,
        selection,
        warnings: Vec::new(),
    };
    let (mut chosen, _) = evaluation.of(&spec)?;
    let keeps = |kind: &str| {
        let listed = |list: &[String]| list.iter().any(|name| name == kind);
        let all = |list: &[String]| list.iter().any(|name| name == "all" || name == "default");
        let types = &selection.resource_types;
        (types.is_empty() || all(types) || listed(types))
            && !listed(&selection.exclude_resource_types)
    };
    chosen.retain(|&i| keeps(dag.resources[i].kind()));
    Ok((chosen, evaluation.warnings))
}

type Set = BTreeSet<usize>;

struct Evaluation<'e, 'g> {
    graph: &'e DbtGraph,
    dag: &'e Dag<'g>,
    selection: &'e Selection,
    warnings: Vec<String>,
}

impl Evaluation<'_, '_> {
    /// What is selected, and the tests that would be if more of what they look at were.
    fn of(&mut self, spec: &Spec) -> Result<(Set, Set), RunError> {
        match spec {
            Spec::Criterion(criterion) => self.criterion(criterion),
            Spec::Group(group) => self.group(group),
        }
    }

    fn criterion(&self, criterion: &Criterion) -> Result<(Set, Set), RunError> {
        let mut named = Set::new();
        let matcher = methods::Matcher::new(self.graph, self.dag, self.selection, criterion)?;
        for (i, resource) in self.dag.resources.iter().enumerate() {
            if matcher.matches(*resource) {
                named.insert(i);
            }
        }
        let mut selected = named.clone();
        if criterion.family {
            let mut family = self.dag.reach(&named, Direction::Outgoing, None);
            family.extend(named.iter().copied());
            selected.extend(self.dag.reach(&family, Direction::Incoming, None));
            selected.extend(family);
        }
        if let Some(depth) = criterion.parents {
            selected.extend(self.dag.reach(&named, Direction::Incoming, depth));
        }
        if let Some(depth) = criterion.children {
            selected.extend(self.dag.reach(&named, Direction::Outgoing, depth));
        }
        let indirect = criterion.indirect.unwrap_or(self.selection.indirect);
        Ok(self.with_tests(selected, indirect))
    }

    fn with_tests(&self, selected: Set, indirect: Indirect) -> (Set, Set) {
        if indirect == Indirect::Empty {
            return (selected, Set::new());
        }
        let buildable = match indirect {
            Indirect::Buildable => self.buildable(&selected),
            _ => Set::new(),
        };
        let mut direct = selected.clone();
        let mut waiting = Set::new();
        let tests: Set = selected
            .iter()
            .flat_map(|&i| self.dag.children(i))
            .filter(|&i| self.dag.resources[i].is_test())
            .collect();
        for test in tests {
            if indirect == Indirect::Eager
                || self.looks_at_only(test, &selected)
                || (indirect == Indirect::Buildable && self.looks_at_only(test, &buildable))
            {
                direct.insert(test);
            } else {
                waiting.insert(test);
            }
        }
        (direct, waiting)
    }

    fn buildable(&self, selected: &Set) -> Set {
        let mut buildable = self.dag.reach(selected, Direction::Incoming, None);
        buildable.extend(selected.iter().copied());
        let sources = self.dag.resources.iter().enumerate();
        buildable.extend(
            sources
                .filter(|(_, resource)| matches!(resource, Resource::Source(_)))
                .map(|(i, _)| i),
        );
        buildable
    }

    fn looks_at_only(&self, test: usize, selected: &Set) -> bool {
        self.dag.resources[test]
            .depends_on()
            .iter()
            .all(|id| self.dag.position(id).is_some_and(|i| selected.contains(&i)))
    }

    fn group(&mut self, group: &Group) -> Result<(Set, Set), RunError> {
        let mut direct_sets = Vec::new();
        let mut all_sets = Vec::new();
        for part in &group.parts {
            let (direct, waiting) = self.of(part)?;
            all_sets.push(direct.union(&waiting).copied().collect());
            direct_sets.push(direct);
        }
        let mut direct = group.operation.combine(direct_sets);
        let waiting = group.operation.combine(all_sets);
        if direct != waiting {
            let known = match group.indirect {
                Indirect::Cautious => direct.clone(),
                Indirect::Buildable => self.buildable(&direct),
                Indirect::Eager | Indirect::Empty => Set::new(),
            };
            if matches!(group.indirect, Indirect::Cautious | Indirect::Buildable) {
                let found: Vec<usize> = waiting
                    .iter()
                    .copied()
                    .filter(|&test| self.looks_at_only(test, &known))
                    .collect();
                direct.extend(found);
            }
        }
        if let Some(raw) = &group.expected
            && direct.is_empty()
        {
            self.warnings.push(format!(
                "The selection criterion '{raw}' does not match any enabled nodes"
            ));
        }
        Ok((direct, waiting))
    }
}

impl Operation {
    fn combine(self, sets: Vec<Set>) -> Set {
        let mut sets = sets.into_iter();
        let Some(mut combined) = sets.next() else {
            return Set::new();
        };
        for set in sets {
            match self {
                Self::Union => combined.extend(set),
                Self::Intersection => combined.retain(|i| set.contains(i)),
                Self::Difference => combined.retain(|i| !set.contains(i)),
            }
        }
        combined
    }
}
