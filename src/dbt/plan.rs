//! What a command runs, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::dbt::DbtGraph;

use crate::dag::Dag;
use crate::resource::Resource;
use crate::{Command, Options, RunError, select};

/// The nodes to run in order, and what each of them waits for.
#[derive(Debug)]
pub(crate) struct Plan<'g> {
    pub(crate) items: Vec<Resource<'g>>,
    /// About the selection, for people.
    pub(crate) warnings: Vec<String>,
    /// Per place in `nodes`: how many places it waits for.
    pub(crate) waits_for: Vec<usize>,
    /// Per place: the places that wait for it.
    pub(crate) releases: Vec<Vec<usize>>,
    /// Per place: the places that must not run when it fails.
    pub(crate) blocks: Vec<Vec<usize>>,
}

impl<'g> Plan<'g> {
    pub(crate) fn new(
        graph: &'g DbtGraph,
        command: Command,
        options: &Options,
    ) -> Result<Self, RunError> {
        let mut dag = Dag::new(graph)?;
        let (mut chosen, warnings) = select::positions(graph, &dag, &options.selection)?;
        chosen.retain(|&i| runs(command, dag.resources[i]));
        if command == Command::Build {
            dag = dag.with_test_edges();
        }
        let levels = levels(&dag, &chosen);
        let mut order: Vec<usize> = chosen.iter().copied().collect();
        // dbt's order: level by level, by unique id within one.
        order.sort_by_key(|i| (levels[i], dag.resources[*i].unique_id()));
        let places: BTreeMap<usize, usize> = order
            .iter()
            .enumerate()
            .map(|(place, &i)| (i, place))
            .collect();

        let mut plan = Self {
            items: order.iter().map(|&i| dag.resources[i]).collect(),
            warnings,
            waits_for: vec![0; order.len()],
            releases: vec![Vec::new(); order.len()],
            blocks: vec![Vec::new(); order.len()],
        };
        for (place, &i) in order.iter().enumerate() {
            for parent in dag.nearest_parents(i, &chosen) {
                plan.waits_for[place] += 1;
                plan.releases[places[&parent]].push(place);
            }
            plan.blocks[place] = dag
                .descendants(i)
                .iter()
                .filter_map(|descendant| places.get(descendant).copied())
                .collect();
        }
        Ok(plan)
    }
}

/// Whether the command runs this resource when it is selected. Ephemeral models are inlined in what
/// reads them.
fn runs(command: Command, resource: Resource<'_>) -> bool {
    if resource.is_ephemeral() {
        return false;
    }
    let kind = resource.kind();
    match command {
        Command::Seed => kind == "seed",
        Command::Run => kind == "model",
        Command::Snapshot => kind == "snapshot",
        Command::Test => resource.is_test(),
        Command::Build => !matches!(kind, "source" | "analysis" | "metric" | "semantic_model"),
    }
}

/// How many chosen nodes come one after the other before each chosen node.
fn levels(dag: &Dag<'_>, chosen: &BTreeSet<usize>) -> BTreeMap<usize, usize> {
    let mut levels: BTreeMap<usize, usize> = BTreeMap::new();
    for &i in dag.order() {
        let level = dag
            .parents(i)
            .map(|parent| {
                let level = levels.get(&parent).copied().unwrap_or(0);
                level + usize::from(chosen.contains(&parent))
            })
            .max()
            .unwrap_or(0);
        levels.insert(i, level);
    }
    levels
}
