//! Microbatch models: an incremental model run period by period, each in a transaction of its own.

use duckdb::Connection;
use mxcp_artifact::RelationKind;
use mxcp_artifact::dbt::{IncrementalSpec, Materialization, ModelSpec, Node};
use mxcp_artifact::dbt_live::{Batch, RunFacts};

use super::{full_refresh, hide_temporary_name, incremental};
use crate::database::Failure;
use crate::job::{self, Job, Run};
use crate::moment::{Moment, Period};
use crate::result::{Batches, Outcome, Status};

const KEYED: &str = "microbatch incremental strategy does not support 'unique_key': each batch replaces the rows of its period. Remove 'unique_key' or use incremental_strategy='merge'";

/// The bounds of a batch; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Moment,
    pub(crate) end: Moment,
}

pub(super) fn is_microbatch(node: &Node, model: &ModelSpec) -> bool {
    model.materialized == Materialization::Incremental
        && model.python.is_none()
        && node.relation.is_some()
        && model
            .incremental
            .as_ref()
            .is_some_and(|spec| spec.strategy.as_deref() == Some("microbatch"))
}

pub(super) fn build(
    run: &Run<'_>,
    connection: &Connection,
    node: &Node,
    model: &ModelSpec,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    let default = IncrementalSpec::default();
    let spec = model.incremental.as_ref().unwrap_or(&default);
    let target = job::target(node)?;
    let incremental = run.relations.kind(connection, target) == Some(RelationKind::Table)
        && !full_refresh(model, facts);
    let spans = spans(run, node, spec, incremental)?;
    let last = spans.len() - 1;
    let mut batches = Batches::default();
    let mut message = None;
    let mut compiled = String::new();
    let mut rows: Option<u64> = None;
    for (i, span) in spans.iter().enumerate() {
        if run.options.interrupt.fired() {
            batches.failed.extend(spans[i..].iter().copied());
            break;
        }
        // Only the first batch may start the table anew.
        let facts = RunFacts {
            full_refresh: facts.full_refresh && i == 0,
            ..facts.clone()
        };
        let mut model = model.clone();
        if i > 0 {
            model.full_refresh = Some(false);
            model.pre_hooks.clear();
        }
        if i < last {
            model.post_hooks.clear();
        }
        // The batch that makes the table has nothing to replace yet.
        let keyed = !spec.unique_key.is_empty() && (incremental || i > 0);
        let done = match keyed {
            true => Err(Failure::new(KEYED)),
            false => batch(run, connection, node, &model, &facts, *span, i, last),
        };
        match done {
            Ok((sql, built)) => {
                compiled = sql;
                rows = Some(rows.unwrap_or(0) + built.unwrap_or(0));
                batches.successful.push(*span);
            }
            Err(failure) => {
                let failure = hide_temporary_name(failure, target);
                (run.note)(format!(
                    "batch {} of {} of `{}` failed: {}",
                    i + 1,
                    spans.len(),
                    node.name,
                    failure.message
                ));
                message.get_or_insert(failure.message);
                batches.failed.push(*span);
                // Without its first batch there may be no table for the others.
                if i == 0 {
                    batches.failed.extend(spans[1..].iter().copied());
                    break;
                }
            }
        }
    }
    let (done, failed) = (batches.successful.len(), batches.failed.len());
    let mut outcome = match (done, failed) {
        (_, 0) => Outcome::built("SUCCESS".into(), rows),
        (0, _) => Outcome::error(message.unwrap_or_else(|| "ERROR".into())),
        _ => Outcome::of(
            Status::PartialSuccess,
            Some(format!("PARTIAL SUCCESS ({done}/{})", done + failed)),
        ),
    }
    .compiled(&compiled);
    outcome.failures = u64::try_from(failed).ok();
    outcome.batches = Some(batches);
    Ok(outcome)
}

#[allow(clippy::too_many_arguments)]
fn batch(
    run: &Run<'_>,
    connection: &Connection,
    node: &Node,
    model: &ModelSpec,
    facts: &RunFacts,
    span: Span,
    index: usize,
    last: usize,
) -> Result<(String, Option<u64>), Failure> {
    let bounds = Batch {
        start: span.start.rfc3339(),
        end: span.end.rfc3339(),
    };
    let mut job = Job::new(
        run,
        connection,
        node,
        &model.pre_hooks,
        &model.post_hooks,
        Some(&bounds),
        facts,
    )?;
    job.hooks.of_batch(index == 0, index == last);
    let target = job.target()?;
    let built = job.around(|| {
        let built = incremental::build(&job, model, target, facts, Some(span))?;
        job.persist_docs("table", target)?;
        Ok(built)
    })?;
    run.relations.set(target, built.kind);
    Ok((job.sql.into_owned(), built.rows))
}

fn spans(
    run: &Run<'_>,
    node: &Node,
    spec: &IncrementalSpec,
    incremental: bool,
) -> Result<Vec<Span>, Failure> {
    let wrong = |what: &str| Failure::new(format!("Microbatch model '{}' {what}", node.name));
    let Some(period) = spec.batch_size.as_deref().and_then(Period::from_name) else {
        return Err(wrong(
            "does not have a 'batch_size' config (one of 'hour', 'day', 'month', 'year') specified.",
        ));
    };
    let now = Moment::parse(&run.options.facts.started_at).unwrap_or_else(Moment::now);
    let end = run.options.event_time_end.unwrap_or(now).ceiling(period);
    let start = match run.options.event_time_start {
        Some(start) => start.truncate(period),
        None if incremental => {
            let mut lookback = i64::from(spec.lookback.unwrap_or(1));
            // An end on the border of a period belongs to the period before it.
            if end == end.truncate(period) {
                lookback += 1;
            }
            end.offset(period, -lookback)
        }
        None => spec
            .begin
            .as_deref()
            .ok_or_else(|| wrong("requires a 'begin' configuration."))
            .and_then(|begin| {
                Moment::parse(begin)
                    .ok_or_else(|| wrong(&format!("has a 'begin' that is no date: `{begin}`")))
            })?
            .truncate(period),
    };
    let mut spans = vec![Span {
        start,
        end: start.offset(period, 1),
    }];
    while let Some(span) = spans.last().copied()
        && span.end < end
    {
        spans.push(Span {
            start: span.end,
            end: span.end.offset(period, 1),
        });
    }
    if let Some(span) = spans.last_mut() {
        span.end = end;
    }
    Ok(spans)
}
