//! Runs compiled dbt nodes on DuckDB: seeds, models and data tests, in dependency order, with dbt's
//! materialisations, statuses and messages.
//!
//! It reads a `DbtGraph` and nothing else: no YAML, no Jinja, no terminal, no compiler. What goes
//! wrong in a node is a result; only what keeps a run from starting is a `RunError`.

mod contract;
mod dag;
mod data_test;
mod database;
mod error;
mod glob;
mod model;
mod plan;
mod result;
mod schedule;
mod seed;
pub mod select;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Instant;

use duckdb::Connection;
use mxcp_artifact::dbt::{DbtGraph, Node};

use plan::Plan;

pub use error::RunError;
pub use result::{Counts, NodeResult, Observer, Silent, Status, Summary};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Seed,
    /// Models only.
    Run,
    Test,
    /// Everything: what a test guards waits for the test.
    Build,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The project's folder: seed files and the data files of models are found below it.
    pub root: PathBuf,
    pub database: PathBuf,
    /// Selectors; all nodes when there is none.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    /// Every run replaces whole relations; this only changes how seeds are reported.
    pub full_refresh: bool,
    /// Start no further node after the first failure.
    pub fail_fast: bool,
    /// Nodes run at the same time, at least one.
    pub threads: usize,
}

/// Opens the database and runs the selected nodes. An empty selection opens nothing.
///
/// The engine's file lock holds other processes off, but not this one: where the process has the
/// database open already, `run_on` must be used instead, or two instances write one file.
pub fn run(
    graph: &DbtGraph,
    command: Command,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Summary, RunError> {
    let started = Instant::now();
    let plan = Plan::new(graph, command, options)?;
    if plan.nodes.is_empty() {
        return Ok(Summary::default());
    }
    let connection = database::open(options)?;
    execute(&connection, &plan, options, observer, started)
}

/// Runs on a database that is open already; `options.database` is not looked at.
pub fn run_on(
    connection: &Connection,
    graph: &DbtGraph,
    command: Command,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Summary, RunError> {
    let started = Instant::now();
    let plan = Plan::new(graph, command, options)?;
    execute(connection, &plan, options, observer, started)
}

fn execute(
    connection: &Connection,
    plan: &Plan<'_>,
    options: &Options,
    observer: &mut dyn Observer,
    started: Instant,
) -> Result<Summary, RunError> {
    let relations = database::Relations::load(connection)?;
    database::create_schemas(connection, plan.nodes.iter().copied())?;
    let results = schedule::run(connection, plan, &relations, options, observer)?;
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
