//! What a run produces: one result per node, and the summary over them.

use std::fmt;

use mxcp_artifact::dbt::{Node, NodeKind};
use serde::Serialize;

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
        }
    }

    /// Whether what depends on the node must not run.
    pub fn blocks(self) -> bool {
        matches!(self, Self::Error | Self::Fail)
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
    #[serde(serialize_with = "kind_name")]
    pub kind: NodeKind,
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
}

fn kind_name<S: serde::Serializer>(kind: &NodeKind, ser: S) -> Result<S::Ok, S::Error> {
    ser.serialize_str(kind.as_str())
}

impl NodeResult {
    pub(crate) fn new(node: &Node, outcome: Outcome, seconds: f64) -> Self {
        Self {
            unique_id: node.unique_id.clone(),
            name: node.name.clone(),
            kind: node.kind(),
            path: node.path.clone(),
            status: outcome.status,
            message: outcome.message,
            failures: outcome.failures,
            rows_affected: outcome.rows_affected,
            seconds,
            compiled_sql: node.compiled_sql.clone(),
            relation: node.relation.as_ref().map(|r| r.quoted()),
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
}

impl Outcome {
    pub(crate) fn of(status: Status, message: Option<String>) -> Self {
        Self {
            status,
            message,
            failures: None,
            rows_affected: None,
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
    pub total: usize,
}

/// The outcome of a run, results in plan order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub results: Vec<NodeResult>,
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
        counts.error == 0 && counts.skip == 0
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
    fn started(&mut self, index: usize, total: usize, node: &Node);
    fn finished(&mut self, index: usize, total: usize, result: &NodeResult);
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn started(&mut self, _index: usize, _total: usize, _node: &Node) {}
    fn finished(&mut self, _index: usize, _total: usize, _result: &NodeResult) {}
}
