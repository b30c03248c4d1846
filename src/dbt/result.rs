//! What a run produces: one result per node, and the summary over them.

use std::fmt;

use serde::Serialize;

use crate::freshness::FreshnessResult;
use crate::materialize::Span;
use crate::moment::Moment;
use crate::resource::Resource;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A seed or model was built.
    Success,
    /// The node could not be run.
    Error,
    /// A test of severity `error` found failures.
    Fail,
    /// A test found failures that only warn.
    Warn,
    /// A test found nothing.
    Pass,
    /// Not run, because something before it failed.
    Skipped,
    /// Some batches of a microbatch model failed.
    #[serde(rename = "partial success")]
    PartialSuccess,
    /// There is nothing to run, e.g. for an exposure.
    #[serde(rename = "no-op")]
    NoOp,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::PartialSuccess => "partial success",
            Self::NoOp => "no-op",
        }
    }

    /// Whether what depends on the node must not run.
    pub fn blocks(self) -> bool {
        matches!(self, Self::Error | Self::Fail | Self::PartialSuccess)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeResult {
    pub unique_id: String,
    pub name: String,
    /// dbt's word: `model`, `test`, …
    pub kind: &'static str,
    /// The declaring file, relative to the project root.
    pub path: String,
    pub status: Status,
    pub message: Option<String>,
    /// Of tests that ran.
    pub failures: Option<u64>,
    /// Rows in the new table; views and tests have none.
    pub rows_affected: Option<u64>,
    pub seconds: f64,
    pub compiled_sql: String,
    /// The quoted relation, for nodes that have one.
    pub relation: Option<String>,
    #[serde(skip)]
    pub timing: Timing,
    /// Of microbatch models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<Batches>,
}

/// When a node ran, and on which thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    pub started: Option<Moment>,
    pub ended: Option<Moment>,
    /// From 1; 0 for the thread of the command itself.
    pub worker: usize,
}

/// The batches of a microbatch model that were built, and those that were not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batches {
    pub(crate) successful: Vec<Span>,
    pub(crate) failed: Vec<Span>,
}

impl Batches {
    /// dbt's form: pairs of the bounds.
    pub fn json(&self) -> serde_json::Value {
        let pairs = |spans: &[Span]| -> Vec<[String; 2]> {
            spans
                .iter()
                .map(|span| [span.start.rfc3339(), span.end.rfc3339()])
                .collect()
        };
        serde_json::json!({
            "successful": pairs(&self.successful),
            "failed": pairs(&self.failed),
        })
    }
}

impl Serialize for Batches {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(ser)
    }
}

impl NodeResult {
    /// Of a node that was only compiled.
    pub fn compiled(resource: Resource<'_>, sql: Option<&str>) -> Self {
        let now = Some(Moment::now());
        let timing = Timing {
            started: now,
            ended: now,
            worker: 1,
        };
        let mut outcome = Outcome::of(Status::Success, None);
        outcome.compiled = sql.map(str::to_owned);
        Self::new(resource, outcome, timing)
    }

    /// As templates see it after a run; they find the node by its unique id.
    pub(crate) fn for_templates(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["execution_time"] = self.seconds.into();
        value["thread_id"] = format!("Thread-{}", self.timing.worker).into();
        value["adapter_response"] = serde_json::json!({});
        value
    }

    /// Of a macro that was called.
    pub fn operation(unique_id: &str, name: &str, error: Option<String>, started: Moment) -> Self {
        let ended = Moment::now();
        Self {
            unique_id: unique_id.to_owned(),
            name: name.to_owned(),
            kind: "operation",
            path: String::new(),
            status: match error {
                None => Status::Success,
                Some(_) => Status::Error,
            },
            failures: Some(u64::from(error.is_some())),
            message: error,
            rows_affected: None,
            seconds: (ended.micros() - started.micros()) as f64 / 1e6,
            compiled_sql: String::new(),
            relation: None,
            timing: Timing {
                started: Some(started),
                ended: Some(ended),
                worker: 0,
            },
            batches: None,
        }
    }

    pub(crate) fn new(resource: Resource<'_>, outcome: Outcome, timing: Timing) -> Self {
        let seconds = match (timing.started, timing.ended) {
            (Some(started), Some(ended)) => (ended.micros() - started.micros()) as f64 / 1e6,
            _ => 0.0,
        };
        // A test has a relation only where its failures are kept.
        let relation = resource
            .relation()
            .filter(|_| resource.kind() != "test" || outcome.kept);
        Self {
            unique_id: resource.unique_id().to_owned(),
            name: resource.name().to_owned(),
            kind: resource.kind(),
            path: resource.path().to_owned(),
            status: outcome.status,
            message: outcome.message,
            failures: outcome.failures,
            rows_affected: outcome.rows_affected,
            seconds,
            compiled_sql: outcome.compiled.unwrap_or_else(|| {
                resource
                    .node()
                    .map(|node| node.compiled_sql.clone())
                    .unwrap_or_default()
            }),
            relation: relation.map(|r| r.quoted()),
            timing,
            batches: outcome.batches,
        }
    }
}

/// What running one node came to, before it is tied to the node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
    pub(crate) failures: Option<u64>,
    pub(crate) rows_affected: Option<u64>,
    /// The SQL that was run, where it is not the graph's.
    pub(crate) compiled: Option<String>,
    /// The failing rows were kept.
    pub(crate) kept: bool,
    pub(crate) batches: Option<Batches>,
}

impl Outcome {
    pub(crate) fn compiled(mut self, sql: &str) -> Self {
        self.compiled = Some(sql.to_owned());
        self
    }

    pub(crate) fn of(status: Status, message: Option<String>) -> Self {
        Self {
            status,
            message,
            failures: None,
            rows_affected: None,
            compiled: None,
            kept: false,
            batches: None,
        }
    }

    pub(crate) fn built(message: String, rows_affected: Option<u64>) -> Self {
        Self {
            rows_affected,
            ..Self::of(Status::Success, Some(message))
        }
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::of(Status::Error, Some(message.into()))
    }
}

/// The figures of the last line: `PASS` holds passed tests and built nodes, `ERROR` failed tests too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub pass: usize,
    pub warn: usize,
    pub error: usize,
    pub skip: usize,
    pub no_op: usize,
    /// Models some of whose batches failed.
    pub partial: usize,
    pub total: usize,
}

/// The outcome of a run, results in plan order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub results: Vec<NodeResult>,
    /// About the selection.
    #[serde(skip)]
    pub warnings: Vec<String>,
    pub seconds: f64,
}

impl Summary {
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            total: self.results.len(),
            ..Counts::default()
        };
        for result in &self.results {
            match result.status {
                Status::Success | Status::Pass => counts.pass += 1,
                Status::Warn => counts.warn += 1,
                Status::Error | Status::Fail => counts.error += 1,
                Status::Skipped => counts.skip += 1,
                Status::PartialSuccess => counts.partial += 1,
                Status::NoOp => counts.no_op += 1,
            }
        }
        counts
    }

    /// Nothing matched the selection.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    pub fn succeeded(&self) -> bool {
        let counts = self.counts();
        counts.error == 0 && counts.skip == 0 && counts.partial == 0
    }

    /// 0 when everything ran and passed or warned, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.succeeded())
    }

    pub fn get(&self, unique_id: &str) -> Option<&NodeResult> {
        self.results.iter().find(|r| r.unique_id == unique_id)
    }
}

/// Told about every node as it starts and ends, always on the calling thread. `index` is the node's
/// place in the plan, from 1. A skipped node finishes without having started.
pub trait Observer {
    fn started(&mut self, index: usize, total: usize, item: Resource<'_>);
    fn finished(&mut self, index: usize, total: usize, result: &NodeResult);
    /// A line of a template or of the runner, for people.
    fn note(&mut self, _line: &str) {}
    /// Of the statements around a run.
    fn hook_started(&mut self, _index: usize, _total: usize, _name: &str) {}
    fn hook_finished(&mut self, _index: usize, _total: usize, _result: &NodeResult) {}
    fn freshness(&mut self, _index: usize, _total: usize, _result: &FreshnessResult) {}
    /// The nodes begin or have ended.
    fn between(&mut self) {}
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn started(&mut self, _index: usize, _total: usize, _item: Resource<'_>) {}
    fn finished(&mut self, _index: usize, _total: usize, _result: &NodeResult) {}
}
