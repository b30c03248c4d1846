//! Data tests: counts the failures a query returns and judges them by the test's conditions.

use duckdb::Connection;
use mxcp_artifact::dbt::{Node, Severity, TestSpec};

use crate::database::Failure;
use crate::model::query;
use crate::result::{Outcome, Status};

pub(crate) fn run(
    connection: &Connection,
    node: &Node,
    test: &TestSpec,
) -> Result<Outcome, Failure> {
    let (failures, warns, errs) = connection.query_row(&counting_query(node, test), [], |row| {
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
    } else if warns == Some(true) {
        let message = format!("{got}, configured to warn if {}", test.warn_if);
        (Status::Warn, Some(message))
    } else {
        (Status::Pass, None)
    };
    Ok(Outcome {
        failures: Some(if status == Status::Pass { 0 } else { failures }),
        ..Outcome::of(status, message)
    })
}

fn counting_query(node: &Node, test: &TestSpec) -> String {
    let TestSpec {
        fail_calc,
        warn_if,
        error_if,
        ..
    } = test;
    let sql = query(node);
    let limited = match test.limit {
        Some(limit) => format!("select * from ({sql}\n) as limited limit {limit}"),
        None => sql.to_owned(),
    };
    format!(
        "select cast({fail_calc} as bigint), cast({fail_calc} {warn_if} as boolean), cast({fail_calc} {error_if} as boolean) from ({limited}\n) as dbt_internal_test"
    )
}
