//! Incremental models: the first run builds the table, the next ones add to it.

use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{IncrementalSpec, ModelSpec, OnSchemaChange};
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_artifact::{RelationKind, RelationName};

use super::microbatch::Span;
use super::{Built, beside, full_refresh, schema_change, strategy, table};
use crate::database::Failure;
use crate::job::Job;
use crate::relations::columns_of;

pub(super) fn build(
    job: &Job<'_>,
    model: &ModelSpec,
    target: &RelationName,
    facts: &RunFacts,
    span: Option<Span>,
) -> Result<Built, Failure> {
    let existing = job.run.relations.kind(job.connection, target);
    if existing != Some(RelationKind::Table) || full_refresh(model, facts) {
        return table::table(job, model, target);
    }
    let default = IncrementalSpec::default();
    let spec = model.incremental.as_ref().unwrap_or(&default);
    let temporary = Temporary::create(job, target)?;
    let columns = match spec.on_schema_change {
        OnSchemaChange::Ignore => columns_of(job.connection, &target.quoted())?,
        change => schema_change::apply(job, change, &temporary.quoted, target)?,
    };
    let statement = strategy::Statement {
        job,
        spec,
        target,
        source: &temporary.quoted,
        columns: &columns,
        span,
        facts,
    };
    let rows = statement.run()?;
    temporary.drop(job)?;
    Ok(Built {
        kind: RelationKind::Table,
        rows,
    })
}

/// The new rows, in a table that only this connection sees and that no interrupted run leaves behind.
pub(super) struct Temporary {
    pub(super) quoted: String,
}

impl Temporary {
    pub(super) fn create(job: &Job<'_>, target: &RelationName) -> Result<Self, Failure> {
        table::header(job)?;
        Self::of(job, target, &job.sql)
    }

    pub(super) fn of(job: &Job<'_>, target: &RelationName, sql: &str) -> Result<Self, Failure> {
        let quoted = quote_identifier(&beside(target).name);
        job.execute(&format!(
            "create or replace temporary table {quoted} as ({sql}\n)"
        ))?;
        Ok(Self {
            quoted: format!("temp.main.{quoted}"),
        })
    }

    pub(super) fn drop(self, job: &Job<'_>) -> Result<(), Failure> {
        job.execute(&format!("drop table if exists {}", self.quoted))
    }
}
