//! Runs compiled dbt nodes on DuckDB: seeds, models and data tests, in dependency order, with dbt's
//! materialisations, statuses and messages.
//!
//! It reads a `DbtGraph` and nothing else: no YAML, no Jinja, no terminal, no compiler. What goes
//! wrong in a node is a result; only what keeps a run from starting is a `RunError`.

mod ask;
mod dag;
mod data_test;
mod database;
mod error;
mod freshness;
mod glob;
mod job;
mod materialize;
mod moment;
mod options;
mod plan;
mod relations;
mod resource;
mod result;
mod run_hooks;
mod schedule;
pub mod select;
mod unit_test;
mod warehouse;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod runs;

use std::time::Instant;

use mxcp_artifact::dbt::DbtGraph;

use database::Database;
use plan::Plan;
use relations::Relations;
use run_hooks::When;
use schedule::Shared;

pub use ask::Asking;
pub use error::RunError;
pub use freshness::{FreshnessResult, FreshnessStatus, FreshnessSummary, freshness};
pub use moment::Moment;
pub use options::{Command, Helpers, Interrupt, Options, PythonJob, PythonModels};
pub use resource::Resource;
pub use result::{Batches, Counts, NodeResult, Observer, Silent, Status, Summary, Timing};
pub use select::{Indirect, Selection, State, manifest_entry};

/// Opens the database and runs the selected nodes. An empty selection opens nothing.
///
/// The engine's file lock holds other processes off, but not this one: nothing else in the process
/// may have the database open meanwhile, or two instances write one file.
pub fn run(
    graph: &DbtGraph,
    command: Command,
    options: &Options,
    helpers: Helpers<'_>,
    observer: &mut dyn Observer,
) -> Result<Summary, RunError> {
    let started = Instant::now();
    let plan = Plan::new(graph, command, options)?;
    if plan.items.is_empty() {
        return Ok(Summary {
            warnings: plan.warnings,
            ..Summary::default()
        });
    }
    let database = Database::open(options)?;
    let connection = database.connect()?;
    let relations = Relations::load(&connection)?;
    relations::create_schemas(
        &connection,
        plan.items.iter().filter_map(|item| item.node()),
    )?;
    let mut facts = options.facts.clone();
    facts.selected = plan
        .items
        .iter()
        .map(|item| item.unique_id().to_owned())
        .collect();
    let mut results = run_hooks::run(&connection, graph, When::Start, &facts, helpers, observer);
    drop(connection);
    observer.between();
    let options = &Options {
        facts,
        ..options.clone()
    };
    let shared = Shared {
        graph,
        plan: &plan,
        database: &database,
        relations: &relations,
        options,
        helpers,
    };
    results.extend(schedule::run(&shared, observer));
    observer.between();
    if graph.hooks().iter().any(|hook| hook.at_end) {
        let mut facts = options.facts.clone();
        facts.results = results
            .iter()
            .filter(|result| result.kind != "operation")
            .map(NodeResult::for_templates)
            .collect();
        let connection = database.connect()?;
        results.extend(run_hooks::run(
            &connection,
            graph,
            When::End,
            &facts,
            helpers,
            observer,
        ));
    }
    Ok(Summary {
        results,
        warnings: plan.warnings,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// What the command would run, in order.
pub fn plan<'g>(
    graph: &'g DbtGraph,
    command: Command,
    options: &Options,
) -> Result<Vec<Resource<'g>>, RunError> {
    Plan::new(graph, command, options).map(|plan| plan.items)
}
