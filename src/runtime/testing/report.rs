//! The report of a test run, serialised as existing scripts read it.

use mxcp_artifact::TestCase;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Of an endpoint or a run: nothing went wrong.
    Ok,
    /// Of a test: every assertion holds.
    Passed,
    /// An assertion does not hold.
    Failed,
    /// The call itself failed.
    Error,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestResult {
    pub name: String,
    pub description: String,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_cause: Option<String>,
    /// Something the author should know although the test says nothing about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Seconds.
    pub time: f64,
}

impl TestResult {
    pub(super) fn passed(test: &TestCase, time: f64) -> Self {
        Self {
            name: test.name.clone(),
            description: test.description.clone().unwrap_or_default(),
            status: Status::Passed,
            error: None,
            error_cause: None,
            note: None,
            time: (time * 1e6).round() / 1e6,
        }
    }
}

/// The tests of one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointReport {
    pub status: Status,
    pub tests_run: usize,
    pub tests: Vec<TestResult>,
    pub no_tests: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl EndpointReport {
    pub(super) fn new(tests: Vec<TestResult>) -> Self {
        Self {
            status: worst(tests.iter().map(|t| t.status)),
            tests_run: tests.len(),
            no_tests: tests.is_empty(),
            tests,
            message: None,
        }
    }

    pub(super) fn missing(message: String) -> Self {
        Self {
            status: Status::Error,
            tests_run: 0,
            tests: Vec::new(),
            no_tests: false,
            message: Some(message),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointEntry {
    /// `tool/x`, or the absolute path of a file that holds no endpoint.
    pub endpoint: String,
    pub path: String,
    pub test_results: EndpointReport,
}

impl EndpointEntry {
    /// How people call it: the endpoint, or the file where that holds none.
    pub fn label(&self) -> &str {
        if self.endpoint.ends_with(&self.path) {
            &self.path
        } else {
            &self.endpoint
        }
    }
}

/// A whole run: of one endpoint, or of several.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TestReport {
    One(EndpointReport),
    All {
        status: Status,
        tests_run: usize,
        endpoints: Vec<EndpointEntry>,
    },
}

impl TestReport {
    pub(super) fn all(endpoints: Vec<EndpointEntry>) -> Self {
        Self::All {
            status: worst(endpoints.iter().map(|e| e.test_results.status)),
            tests_run: endpoints.iter().map(|e| e.test_results.tests_run).sum(),
            endpoints,
        }
    }

    pub fn status(&self) -> Status {
        match self {
            Self::One(report) => report.status,
            Self::All { status, .. } => *status,
        }
    }

    pub fn is_ok(&self) -> bool {
        self.status() == Status::Ok
    }
}

// error > failed > ok
fn worst(statuses: impl Iterator<Item = Status>) -> Status {
    match statuses.max() {
        Some(status @ (Status::Failed | Status::Error)) => status,
        _ => Status::Ok,
    }
}
