//! `on-run-start` and `on-run-end`: statements around a run, results like those of nodes.

use duckdb::Connection;
use mxcp_artifact::dbt::{DbtGraph, PackageHook};
use mxcp_artifact::dbt_live::RunFacts;

use crate::Helpers;
use crate::database::Failure;
use crate::moment::Moment;
use crate::result::{NodeResult, Observer, Status, Timing};
use crate::warehouse::{Live, fetch, is_blank, is_template};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Start,
    End,
}

impl When {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "on-run-start",
            Self::End => "on-run-end",
        }
    }
}

/// Runs them in order; after one that fails the others are skipped.
pub(crate) fn run(
    connection: &Connection,
    graph: &DbtGraph,
    when: When,
    facts: &RunFacts,
    helpers: Helpers<'_>,
    observer: &mut dyn Observer,
) -> Vec<NodeResult> {
    let all = graph.hooks();
    let hooks: Vec<&PackageHook> = all
        .iter()
        .filter(|hook| hook.at_end == (when == When::End))
        .collect();
    let mut results = Vec::new();
    let mut failed = false;
    for (i, hook) in hooks.iter().enumerate() {
        let package = &hook.package;
        let name = format!("{package}.{}.{i}", when.as_str());
        observer.hook_started(i + 1, hooks.len(), &name);
        let started = Moment::now();
        let notes = std::cell::RefCell::new(Vec::new());
        let done = if failed {
            Err(None)
        } else {
            let note = |line: String| notes.borrow_mut().push(line);
            one(connection, hook, facts, helpers, &note).map_err(|f| Some(f.message))
        };
        for line in notes.into_inner() {
            observer.note(&line);
        }
        let (status, message, sql) = match done {
            Ok(sql) => (Status::Success, Some(format!("{name} passed")), sql),
            Err(None) => (
                Status::Skipped,
                Some(format!("{name} skipped")),
                String::new(),
            ),
            Err(Some(message)) => (Status::Error, Some(message), hook.sql.clone()),
        };
        failed |= status == Status::Error;
        let ended = Moment::now();
        let result = NodeResult {
            unique_id: format!(
                "operation.{package}.{package}-{}-{}",
                when.as_str(),
                hook.index
            ),
            name,
            kind: "operation",
            path: "dbt_project.yml".into(),
            status,
            message,
            failures: Some(u64::from(status == Status::Error)),
            rows_affected: None,
            seconds: (ended.micros() - started.micros()) as f64 / 1e6,
            compiled_sql: sql,
            relation: None,
            timing: Timing {
                started: Some(started),
                ended: Some(ended),
                worker: 0,
            },
            batches: None,
        };
        observer.hook_finished(i + 1, hooks.len(), &result);
        results.push(result);
    }
    results
}

fn one(
    connection: &Connection,
    hook: &PackageHook,
    facts: &RunFacts,
    helpers: Helpers<'_>,
    note: &dyn Fn(String),
) -> Result<String, Failure> {
    let sql = match helpers.templates {
        Some(templates) if is_template(&hook.sql) => Live::new(connection, note)
            .transaction(|live| templates.render_in(&hook.package, &hook.sql, facts, live))?,
        None if is_template(&hook.sql) => {
            return Err(Failure::new(
                "this command cannot render the template of the hook",
            ));
        }
        _ => hook.sql.clone(),
    };
    if !is_blank(&sql) {
        fetch(connection, &sql)?;
    }
    Ok(sql.trim().to_owned())
}
