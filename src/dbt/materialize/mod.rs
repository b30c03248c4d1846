//! Materialisations: how the result of a model's query becomes a relation. Everything is built
//! beside what it replaces and put in its place in one transaction, so a failure changes nothing.

pub(crate) mod contract;
mod custom;
mod external;
mod incremental;
mod merge;
mod microbatch;
mod python;
mod schema_change;
pub(crate) mod seed;
pub(crate) mod snapshot;
mod strategy;
mod table;

use std::borrow::Cow;

use mxcp_artifact::dbt::{Materialization, ModelSpec, Node};
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_artifact::{RelationKind, RelationName};
use serde_json::Value;

use crate::database::Failure;
use crate::job::{Job, Run};
use crate::result::Outcome;

pub(crate) use microbatch::Span;
pub(crate) use python::run_python;
pub(crate) use table::{create_table_as, take_place};

/// What a materialisation left behind.
pub(crate) struct Built {
    pub(crate) kind: RelationKind,
    pub(crate) rows: Option<u64>,
}

/// Builds a model whose code is SQL.
pub(crate) fn model(
    run: &Run<'_>,
    connection: &duckdb::Connection,
    node: &Node,
    model: &ModelSpec,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    if microbatch::is_microbatch(node, model) {
        return microbatch::build(run, connection, node, model, facts);
    }
    let job = Job::new(
        run,
        connection,
        node,
        &model.pre_hooks,
        &model.post_hooks,
        None,
        facts,
    )?;
    let model = refined(model, &job);
    one(&job, &model, facts)
        .map(|outcome| outcome.compiled(&job.sql))
        .map_err(|failure| failure.of(&job.sql))
}

fn one(job: &Job<'_>, model: &ModelSpec, facts: &RunFacts) -> Result<Outcome, Failure> {
    if job
        .config
        .get("grants")
        .and_then(Value::as_object)
        .is_some_and(|grants| !grants.is_empty())
    {
        (job.run.note)("Grants for relations are not supported by DuckDB".into());
    }
    if let Some(name) = custom::name(job, &model.materialized) {
        return custom::build(job, &name, facts);
    }
    let target = job.target()?;
    let built = job
        .around(|| {
            let built = match &model.materialized {
                Materialization::Table => table::table(job, model, target)?,
                Materialization::View => table::view(job, model, target)?,
                Materialization::Incremental => {
                    incremental::build(job, model, target, facts, None)?
                }
                Materialization::External => external::build(job, model, target)?,
                Materialization::Ephemeral => return Ok(None),
                Materialization::Custom(name) => {
                    return Err(Failure::new(format!(
                        "there is no materialization `{name}`; define the macro `{{% materialization {name}, adapter='duckdb' %}}` or use `view`, `table`, `incremental`, `ephemeral` or `external`"
                    )));
                }
            };
            let kind = match built.kind {
                RelationKind::View => "view",
                RelationKind::Table => "table",
            };
            job.persist_docs(kind, target)?;
            Ok(Some(built))
        })
        .map_err(|failure| hide_temporary_name(failure, target))?;
    let Some(built) = built else {
        return Ok(Outcome::built("OK".to_owned(), None));
    };
    job.run.relations.set(target, built.kind);
    Ok(Outcome::built("OK".to_owned(), built.rows))
}

/// The configuration a live rendering found, over what was known before.
fn refined<'m>(model: &'m ModelSpec, job: &Job<'_>) -> Cow<'m, ModelSpec> {
    let mut refined = Cow::Borrowed(model);
    if matches!(job.config, Cow::Borrowed(_)) {
        return refined;
    }
    if let Some(name) = job.text("materialized")
        && name != model.materialized.as_str()
    {
        refined.to_mut().materialized = match name {
            "view" => Materialization::View,
            "table" => Materialization::Table,
            "ephemeral" => Materialization::Ephemeral,
            "incremental" => Materialization::Incremental,
            "external" => Materialization::External,
            other => Materialization::Custom(other.to_owned()),
        };
    }
    if refined.materialized == Materialization::Incremental {
        let incremental = refined.to_mut().incremental.get_or_insert_default();
        if let Some(strategy) = job.text("incremental_strategy") {
            incremental.strategy = Some(strategy.to_owned());
        }
        let key = job.texts("unique_key");
        if !key.is_empty() {
            incremental.unique_key = key;
        }
    }
    refined
}

/// Whether an incremental model is rebuilt from nothing: its own configuration outranks the command.
pub(crate) fn full_refresh(model: &ModelSpec, facts: &RunFacts) -> bool {
    model.full_refresh.unwrap_or(facts.full_refresh)
}

/// Where a relation is built before it takes its place.
pub(crate) fn beside(target: &RelationName) -> RelationName {
    RelationName {
        name: format!("{}__dbt_tmp", target.name),
        ..target.clone()
    }
}

/// The name of the table under construction means nothing to a reader.
pub(crate) fn hide_temporary_name(mut failure: Failure, target: &RelationName) -> Failure {
    failure.message = failure.message.replace(&beside(target).name, &target.name);
    failure
}
