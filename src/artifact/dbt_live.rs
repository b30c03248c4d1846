//! What the templates of a dbt project and the runner of its nodes say to each other while a run is
//! on: the compiler's side renders, the runner's side asks the database. Plain data and two traits,
//! so that neither needs to know the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::RelationName;
use crate::dbt::Materialization;

/// A column of a result: its name and the engine's text of its type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub data_type: String,
}

/// The result of a query, as templates see it.
///
/// Values of types that JSON lacks are text in the engine's own spelling; the column's type tells
/// which they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
    /// Rows changed, where the statement says so.
    pub changed: Option<u64>,
}

/// The database of a run, through the connection of the node that is being run.
pub trait Warehouse {
    /// Runs every statement of the text in the current transaction; the result is the last one's.
    fn query(&self, sql: &str) -> Result<Table, String>;
    /// Begins a transaction where none is open.
    fn begin(&self) -> Result<(), String> {
        Ok(())
    }
    /// Ends the current transaction with its effects kept and begins another.
    fn commit(&self) -> Result<(), String>;
    /// Ends the current transaction with its effects undone and begins another.
    fn rollback(&self) -> Result<(), String>;
    /// A line for the user: of `log(…, info=True)`, `print` and `exceptions.warn`.
    fn log(&self, line: &str);
}

/// What a command says about the run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    pub full_refresh: bool,
    /// Failing rows of all tests are kept.
    pub store_failures: bool,
    /// dbt's word for the command: `run`, `build`, …
    pub which: String,
    pub invocation_id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Results of the nodes so far, in dbt's form; given to hooks at the end of a run.
    pub results: Vec<Value>,
    /// Unique ids of the selected nodes.
    pub selected: Vec<String>,
    /// What nodes read has no rows.
    pub empty: bool,
    /// What has an event time is read for this period only.
    pub sample: Option<Batch>,
    /// Relations of an earlier run by unique id, read in the place of those that are not there.
    pub deferred: BTreeMap<String, RelationName>,
    /// They come before those that are there, unless these are selected.
    pub favor_state: bool,
}

/// A node compiled against the live database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// With ephemeral parents inlined.
    pub sql: String,
    /// Configuration that only this rendering could tell; empty when it is what the graph says.
    pub config: Map<String, Value>,
    pub pre_hooks: Vec<String>,
    pub post_hooks: Vec<String>,
}

/// One period of a microbatch model: RFC 3339 bounds, the end exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub start: String,
    pub end: String,
}

/// What a unit test compares, as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitTestSql {
    /// The model's query over the given rows.
    pub actual: String,
    /// The expected rows; their columns are the ones compared.
    pub expected: String,
    pub columns: Vec<String>,
}

/// What a custom materialisation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Materialized {
    pub relations: Vec<RelationName>,
    /// What its `main` statement answered, e.g. `OK`.
    pub message: String,
    pub rows_affected: Option<u64>,
}

/// Renders templates during a run. Errors are for people, with the place in the template where
/// there is one.
pub trait Templates: Sync {
    /// Compiles a node again, now that the database can be asked.
    fn compile(
        &self,
        unique_id: &str,
        run: &RunFacts,
        batch: Option<&Batch>,
        warehouse: &dyn Warehouse,
    ) -> Result<Compiled, String>;

    /// Runs the macro `materialization_<name>_…` for a node whose SQL is compiled.
    fn materialize(
        &self,
        unique_id: &str,
        name: &str,
        compiled_sql: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<Materialized, String>;

    fn unit_test(
        &self,
        unique_id: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<UnitTestSql, String>;

    /// Renders free text, such as a hook of the run, in the context of the project.
    fn render(
        &self,
        template: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<String, String>;
    /// The same in the place of a package.
    fn render_in(
        &self,
        _package: &str,
        template: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<String, String> {
        self.render(template, run, warehouse)
    }

    /// Calls a macro by name (`package.macro` or `macro`) for `run-operation`.
    fn call_macro(
        &self,
        name: &str,
        arguments: &BTreeMap<String, Value>,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<Value, String>;

    /// Whether the project itself defines this materialisation.
    fn defines(&self, materialization: &Materialization) -> bool;
}
