//! Unit tests: the rows a model makes of given rows, against the expected ones. Differences are
//! printed as dbt does: one line per row, `→` before the old value of a cell and the new one.

use std::cmp::Ordering;

use duckdb::Connection;
use mxcp_artifact::dbt::Node;
use mxcp_artifact::dbt_live::{RunFacts, Table, UnitTestSql};
use serde_json::Value;

use crate::database::Failure;
use crate::job::Run;
use crate::relations::describe;
use crate::result::{Outcome, Status};
use crate::warehouse::{Live, fetch};

pub(crate) fn run(
    run: &Run<'_>,
    connection: &Connection,
    node: &Node,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    let Some(templates) = run.helpers.templates else {
        return Err(Failure::new(format!(
            "`{}` is a unit test, and this command cannot render its model",
            node.name
        )));
    };
    let test = Live::new(connection, run.note)
        .transaction(|live| templates.unit_test(&node.unique_id, facts, live))?;
    let actual = rows(connection, &test.actual, &test)?;
    let expected = rows(connection, &expected_query(connection, &test)?, &test)?;
    let failures = differing(&actual.rows, &expected.rows);
    let outcome = if failures == 0 {
        Outcome {
            failures: Some(0),
            ..Outcome::of(Status::Pass, None)
        }
    } else {
        Outcome {
            failures: Some(1),
            ..Outcome::of(
                Status::Fail,
                Some(format!(
                    "\nactual differs from expected:\n\n{}\n",
                    diff(&actual, &expected)
                )),
            )
        }
    };
    Ok(outcome.compiled(&test.actual))
}

fn rows(connection: &Connection, sql: &str, test: &UnitTestSql) -> Result<Table, Failure> {
    let columns: Vec<String> = test
        .columns
        .iter()
        .map(|name| mxcp_artifact::catalog::quote_identifier(name))
        .collect();
    let columns = if columns.is_empty() {
        "*".to_owned()
    } else {
        columns.join(", ")
    };
    Ok(fetch(
        connection,
        &format!("select {columns} from ({}\n)", crate::job::trimmed(sql)),
    )?)
}

/// The expected rows in the types of the actual ones, where the front end has not seen to it.
fn expected_query(connection: &Connection, test: &UnitTestSql) -> Result<String, Failure> {
    let actual = describe(connection, crate::job::trimmed(&test.actual))?;
    let expected = describe(connection, crate::job::trimmed(&test.expected))?;
    let casts: Vec<String> = expected
        .iter()
        .map(|(name, ty)| {
            let quoted = mxcp_artifact::catalog::quote_identifier(name);
            match actual
                .iter()
                .find(|(other, _)| other.to_lowercase() == name.to_lowercase())
            {
                Some((_, want)) if want != ty => format!("cast({quoted} as {want}) as {quoted}"),
                _ => quoted,
            }
        })
        .collect();
    Ok(format!(
        "select {} from ({}\n)",
        casts.join(", "),
        crate::job::trimmed(&test.expected)
    ))
}

fn key(row: &[Value]) -> Vec<String> {
    row.iter().map(Value::to_string).collect()
}

/// Rows of one side that the other lacks.
fn differing(actual: &[Vec<Value>], expected: &[Vec<Value>]) -> usize {
    let mut left: Vec<_> = actual.iter().map(|r| key(r)).collect();
    let mut right: Vec<_> = expected.iter().map(|r| key(r)).collect();
    left.sort();
    right.sort();
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < left.len() || j < right.len() {
        match (left.get(i), right.get(j)) {
            (Some(a), Some(b)) => match a.cmp(b) {
                Ordering::Equal => {
                    i += 1;
                    j += 1;
                }
                Ordering::Less => {
                    count += 1;
                    i += 1;
                }
                Ordering::Greater => {
                    count += 1;
                    j += 1;
                }
            },
            (Some(_), None) => {
                count += 1;
                i += 1;
            }
            (None, _) => {
                count += 1;
                j += 1;
            }
        }
    }
    count
}

/// Equal rows are paired first, then the remaining ones in order.
fn diff(actual: &Table, expected: &Table) -> String {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    let mut missing: Vec<&Vec<Value>> = expected.rows.iter().collect();
    let mut extra: Vec<&Vec<Value>> = Vec::new();
    let names: Vec<String> = expected.columns.iter().map(|c| c.name.clone()).collect();
    for row in &actual.rows {
        match missing.iter().position(|other| key(other) == key(row)) {
            Some(at) => {
                missing.remove(at);
                lines.push((String::new(), row.iter().map(text).collect()));
            }
            None => extra.push(row),
        }
    }
    let pairs = missing.len().max(extra.len());
    for i in 0..pairs {
        match (missing.get(i), extra.get(i)) {
            (Some(old), Some(new)) => {
                let cells = old
                    .iter()
                    .zip(new.iter())
                    .map(|(old, new)| {
                        if old == new {
                            text(old)
                        } else {
                            format!("{}→{}", text(old), text(new))
                        }
                    })
                    .collect();
                lines.push(("→".into(), cells));
            }
            (Some(old), None) => lines.push(("---".into(), old.iter().map(text).collect())),
            (None, Some(new)) => lines.push(("+++".into(), new.iter().map(text).collect())),
            (None, None) => {}
        }
    }
    let mut widths: Vec<usize> = std::iter::once("@@".chars().count())
        .chain(names.iter().map(|name| name.chars().count()))
        .collect();
    for (mark, cells) in &lines {
        for (i, cell) in std::iter::once(mark).chain(cells).enumerate() {
            if let Some(width) = widths.get_mut(i) {
                *width = (*width).max(cell.chars().count());
            }
        }
    }
    let line = |mark: &str, cells: &[String]| -> String {
        let all: Vec<String> = std::iter::once(mark.to_owned())
            .chain(cells.iter().cloned())
            .enumerate()
            .map(|(i, cell)| {
                let width = widths.get(i).copied().unwrap_or(0);
                format!("{cell:<width$}")
            })
            .collect();
        all.join(",").trim_end().to_owned()
    };
    let mut out = vec![line("@@", &names)];
    out.extend(lines.iter().map(|(mark, cells)| line(mark, cells)));
    out.join("\n")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
