//! Data tests: counts the failures a query returns and judges them by the test's conditions.

use duckdb::Connection;
use mxcp_artifact::dbt::{Materialization, Node, Severity, TestSpec};
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_artifact::{RelationKind, RelationName};

use crate::database::{Failure, in_transaction};
use crate::job::{Job, Run};
use crate::materialize::beside;
use crate::result::{Outcome, Status};

pub(crate) fn run(
    run: &Run<'_>,
    connection: &Connection,
    node: &Node,
    test: &TestSpec,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    let job = Job::new(run, connection, node, &[], &[], None, facts)?;
    judged(&job, test).map_err(|failure| failure.of(&job.sql))
}

fn judged(job: &Job<'_>, test: &TestSpec) -> Result<Outcome, Failure> {
    let Job {
        run,
        connection,
        node,
        ..
    } = job;
    let rows = match test.limit {
        Some(limit) => format!("select * from ({}\n) as limited limit {limit}", job.sql),
        None => job.sql.to_string(),
    };
    let kept = kept_as(run, test);
    let counted = match (&kept, &node.relation) {
        (Some(kind), Some(relation)) => {
            store(job, *kind, relation, &rows)?;
            format!("select * from {}", relation.quoted())
        }
        _ => rows,
    };
    let (failures, warns, errs) =
        connection.query_row(&counting_query(&counted, test), [], |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                row.get::<_, Option<bool>>(1)?,
                row.get::<_, Option<bool>>(2)?,
            ))
        })?;
    let Some(failures) = failures else {
        return Err(Failure::new(format!(
            "the `fail_calc` of `{}` returns NULL; it must return a number, e.g. `coalesce({}, 0)`",
            node.name, test.fail_calc
        )));
    };
    let failures = u64::try_from(failures).unwrap_or(0);
    let got = format!(
        "Got {failures} result{}",
        if failures == 1 { "" } else { "s" }
    );
    let (status, message) = if test.severity == Severity::Error && errs == Some(true) {
        let message = format!("{got}, configured to fail if {}", test.error_if);
        (Status::Fail, Some(message))
    } else if warns == Some(true) && run.options.warn_error {
        let message = format!("{got}, configured to fail if {}", test.warn_if);
        (Status::Fail, Some(message))
    } else if warns == Some(true) {
        let message = format!("{got}, configured to warn if {}", test.warn_if);
        (Status::Warn, Some(message))
    } else {
        (Status::Pass, None)
    };
    Ok(Outcome {
        failures: Some(if status == Status::Pass { 0 } else { failures }),
        kept: kept.is_some() && node.relation.is_some(),
        ..Outcome::of(status, message)
    }
    .compiled(&job.sql))
}

fn kept_as(run: &Run<'_>, test: &TestSpec) -> Option<RelationKind> {
    match &test.store_failures {
        Some(Materialization::View) => Some(RelationKind::View),
        Some(Materialization::Ephemeral) => None,
        Some(_) => Some(RelationKind::Table),
        None => run.options.store_failures.then_some(RelationKind::Table),
    }
}

/// Keeps the failing rows.
fn store(
    job: &Job<'_>,
    kind: RelationKind,
    relation: &RelationName,
    rows: &str,
) -> Result<(), Failure> {
    let built = beside(relation);
    in_transaction(job.connection, || match kind {
        RelationKind::View => {
            job.run.relations.drop(job.connection, relation)?;
            job.execute(&format!("create view {} as ({rows}\n)", relation.quoted()))
        }
        RelationKind::Table => {
            job.run.relations.drop(job.connection, &built)?;
            job.execute(&format!("create table {} as ({rows}\n)", built.quoted()))?;
            crate::materialize::take_place(job.connection, job.run.relations, &built, relation)
        }
    })?;
    job.run.relations.set(relation, kind);
    Ok(())
}

fn counting_query(rows: &str, test: &TestSpec) -> String {
    let TestSpec {
        fail_calc,
        warn_if,
        error_if,
        ..
    } = test;
    format!(
        "select cast({fail_calc} as bigint), cast({fail_calc} {warn_if} as boolean), cast({fail_calc} {error_if} as boolean) from ({rows}\n) as dbt_internal_test"
    )
}
