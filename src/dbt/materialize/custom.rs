//! Materialisations that the project or a package defines: a macro does the work.

use mxcp_artifact::dbt::Materialization;
use mxcp_artifact::dbt_live::RunFacts;

use crate::database::Failure;
use crate::job::Job;
use crate::result::Outcome;

/// The macro's name, when the project defines this materialisation; that outranks a built-in one.
pub(super) fn name(job: &Job<'_>, materialized: &Materialization) -> Option<String> {
    let templates = job.run.helpers.templates?;
    templates
        .defines(materialized)
        .then(|| materialized.as_str().to_owned())
}

pub(super) fn build(job: &Job<'_>, name: &str, facts: &RunFacts) -> Result<Outcome, Failure> {
    let templates = job.templates()?;
    // The macro runs the hooks and ends transactions itself.
    let done = job.live().transaction(|live| {
        templates.materialize(&job.node.unique_id, name, &job.sql, facts, live)
    })?;
    for relation in done.relations.iter().chain(job.node.relation.as_ref()) {
        job.run.relations.forget(relation);
        if let Some(kind) = job.run.relations.kind(job.connection, relation) {
            job.run.relations.set(relation, kind);
        }
    }
    let message = if done.message.is_empty() {
        "OK".to_owned()
    } else {
        done.message
    };
    Ok(Outcome::built(message, done.rows_affected).compiled(&job.sql))
}
