//! `source freshness`: how old the newest row of each source is.

use std::time::Instant;

use duckdb::Connection;
use mxcp_artifact::dbt::{Age, DbtGraph, Freshness, Source};
use mxcp_artifact::dbt_live::RunFacts;
use serde_json::{Value, json};

use crate::database::Database;
use crate::moment::Moment;
use crate::warehouse::{Live, is_template};
use crate::{Helpers, Observer, Options, Resource, RunError, select};

/// The verdict on one source.
#[derive(Clone, Debug)]
pub struct FreshnessResult {
    pub unique_id: String,
    pub source: String,
    pub name: String,
    pub path: String,
    pub status: FreshnessStatus,
    /// Why it could not be told.
    pub message: Option<String>,
    pub seconds: f64,
    json: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreshnessStatus {
    Pass,
    Warn,
    Error,
    RuntimeError,
}

impl FreshnessStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::RuntimeError => "runtime error",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct FreshnessSummary {
    pub results: Vec<FreshnessResult>,
    pub warnings: Vec<String>,
    pub seconds: f64,
}

impl FreshnessSummary {
    pub fn exit_code(&self) -> u8 {
        u8::from(self.results.iter().any(|result| {
            matches!(
                result.status,
                FreshnessStatus::Error | FreshnessStatus::RuntimeError
            )
        }))
    }

    /// The `results` of `target/sources.json`.
    pub fn json(&self) -> Vec<Value> {
        self.results
            .iter()
            .map(|result| result.json.clone())
            .collect()
    }
}

/// Asks every selected source that says how old it may be.
pub fn freshness(
    graph: &DbtGraph,
    options: &Options,
    helpers: Helpers<'_>,
    observer: &mut dyn Observer,
) -> Result<FreshnessSummary, RunError> {
    let begun = Instant::now();
    let selected = select::select(graph, &options.selection)?;
    let sources: Vec<(&Source, &Freshness)> = selected
        .resources
        .iter()
        .filter_map(|resource| match resource {
            Resource::Source(source) => Some((*source, source.freshness.as_ref()?)),
            _ => None,
        })
        .collect();
    let mut summary = FreshnessSummary {
        warnings: selected.warnings,
        ..FreshnessSummary::default()
    };
    if sources.is_empty() {
        return Ok(summary);
    }
    let database = Database::open(options)?;
    let connection = database.connect()?;
    for (i, (source, rules)) in sources.iter().enumerate() {
        observer.started(i + 1, sources.len(), Resource::Source(source));
        let result = one(&connection, source, rules, &options.facts, helpers);
        observer.freshness(i + 1, sources.len(), &result);
        summary.results.push(result);
    }
    summary.seconds = begun.elapsed().as_secs_f64();
    Ok(summary)
}

fn one(
    connection: &Connection,
    source: &Source,
    rules: &Freshness,
    facts: &RunFacts,
    helpers: Helpers<'_>,
) -> FreshnessResult {
    let started = Moment::now();
    let asked = query(connection, source, rules, facts, helpers)
        .and_then(|newest| ask(connection, &newest));
    let ended = Moment::now();
    let seconds = (ended.micros() - started.micros()) as f64 / 1e6;
    let (status, message, mut json) = match asked {
        Ok((loaded, now)) => {
            let age = (now.micros() - loaded.micros()) as f64 / 1e6;
            let past = |limit: &Option<Age>| limit.as_ref().is_some_and(|l| age > seconds_of(l));
            let status = if past(&rules.error_after) {
                FreshnessStatus::Error
            } else if past(&rules.warn_after) {
                FreshnessStatus::Warn
            } else {
                FreshnessStatus::Pass
            };
            let json = json!({
                "unique_id": source.unique_id,
                "max_loaded_at": loaded.rfc3339(),
                "snapshotted_at": now.rfc3339(),
                "max_loaded_at_time_ago_in_s": age,
                "status": status.as_str(),
                "criteria": {
                    "warn_after": criterion(&rules.warn_after),
                    "error_after": criterion(&rules.error_after),
                    "filter": rules.filter,
                },
                "adapter_response": {"_message": "OK"},
            });
            (status, None, json)
        }
        Err(message) => {
            let json = json!({
                "unique_id": source.unique_id,
                "error": format!("Runtime Error in source {} ({})\n  {message}", source.name, source.path),
                "status": FreshnessStatus::RuntimeError.as_str(),
            });
            (FreshnessStatus::RuntimeError, Some(message), json)
        }
    };
    if status != FreshnessStatus::RuntimeError
        && let Some(map) = json.as_object_mut()
    {
        map.insert(
            "timing".into(),
            json!([
                {"name": "compile", "started_at": started.stamp(), "completed_at": started.stamp()},
                {"name": "execute", "started_at": started.stamp(), "completed_at": ended.stamp()},
            ]),
        );
        map.insert("thread_id".into(), "Thread-1 (worker)".into());
        map.insert("execution_time".into(), json!(seconds));
    }
    FreshnessResult {
        unique_id: source.unique_id.clone(),
        source: source.source.clone(),
        name: source.name.clone(),
        path: source.path.clone(),
        status,
        message,
        seconds,
        json,
    }
}

/// The query for the newest row's time, in parentheses.
fn query(
    connection: &Connection,
    source: &Source,
    rules: &Freshness,
    facts: &RunFacts,
    helpers: Helpers<'_>,
) -> Result<String, String> {
    Ok(match (&rules.loaded_at_query, &rules.loaded_at_field) {
        (Some(query), _) => match helpers.templates.filter(|_| is_template(query)) {
            Some(templates) => {
                // In it `this` is the source.
                let template = format!(
                    "{{%- set this = source('{}', '{}') -%}}{query}",
                    source.source, source.name
                );
                let quiet = |_| {};
                let rendered = Live::new(connection, &quiet)
                    .transaction(|live| templates.render(&template, facts, live))
                    .map_err(|failure| failure.message)?;
                format!("({rendered}\n)")
            }
            None => format!("({query}\n)"),
        },
        (None, Some(field)) => {
            let filter = rules
                .filter
                .as_ref()
                .map(|filter| format!(" where {filter}"))
                .unwrap_or_default();
            format!(
                "(select max({field}) from {}{filter})",
                source.relation.quoted()
            )
        }
        (None, None) => {
            return Err(format!(
                "the source `{}.{}` has no `loaded_at_field`; name the column that tells when a row was loaded",
                source.source, source.name
            ));
        }
    })
}

/// The newest row's time and now. Times without a zone are taken as UTC.
fn ask(connection: &Connection, newest: &str) -> Result<(Moment, Moment), String> {
    // An instant stays what it is; a time without a zone is cast to the same figures.
    let (loaded, now): (Option<i64>, i64) = connection
        .query_row(
            &format!(
                "select case when typeof(t) = 'TIMESTAMP WITH TIME ZONE' then epoch_us(t::timestamptz) else epoch_us(t::timestamp) end, epoch_us(now()) from (select {newest} as t)"
            ),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(|error: duckdb::Error| error.to_string())?;
    // Without rows dbt takes the beginning of time.
    let loaded = loaded.map_or_else(|| Moment::of(1, 1, 1), Moment::from_micros);
    Ok((loaded, Moment::from_micros(now)))
}

fn seconds_of(age: &Age) -> f64 {
    let unit = match age.period.as_str() {
        "minute" => 60.0,
        "hour" => 3600.0,
        _ => 86_400.0,
    };
    f64::from(age.count) * unit
}

fn criterion(age: &Option<Age>) -> Value {
    match age {
        Some(age) => json!({"count": age.count, "period": age.period}),
        None => json!({"count": null, "period": null}),
    }
}
