//! Runs compiled dbt nodes on DuckDB: seeds, models and data tests, in dependency order, with dbt's
//! materialisations, statuses and messages.
//!
//! It reads a `DbtGraph` and nothing else: no YAML, no Jinja, no terminal, no compiler. What goes
//! wrong in a node is a result; only what keeps a run from starting is a `RunError`.

mod dag;
mod data_test;
mod database;
mod error;
mod glob;
mod job;
mod materialize;
mod moment;
mod options;
mod plan;
mod relations;
mod result;
mod schedule;
pub mod select;
mod unit_test;
mod warehouse;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod runs;

use std::time::Instant;

use mxcp_artifact::dbt::{DbtGraph, Node};

use database::Database;
use plan::Plan;
use relations::Relations;
use schedule::Shared;

pub use error::RunError;
pub use moment::Moment;
pub use options::{Command, Helpers, Interrupt, Options, PythonJob, PythonModels};
pub use result::{Batches, Counts, NodeResult, Observer, Silent, Status, Summary, Timing};
pub use select::Selection;

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
    if plan.nodes.is_empty() {
        return Ok(Summary::default());
    }
    let database = Database::open(options)?;
    let connection = database.connect()?;
    let relations = Relations::load(&connection)?;
    relations::create_schemas(&connection, plan.nodes.iter().copied())?;
    drop(connection);
    let shared = Shared {
        graph,
        plan: &plan,
        database: &database,
        relations: &relations,
        options,
        helpers,
    };
    let results = schedule::run(&shared, observer);
    Ok(Summary {
        results,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The nodes the command would run, in order.
pub fn plan<'g>(
    graph: &'g DbtGraph,
    command: Command,
    options: &Options,
) -> Result<Vec<&'g Node>, RunError> {
    Plan::new(graph, command, options).map(|plan| plan.nodes)
}
