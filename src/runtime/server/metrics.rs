//! What happened since the start, as counters and histograms in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Names of endpoints come from
//! the manifest, never from a request, so that a client cannot make the list grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the buckets, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ended {
    Ok,
    /// The endpoint failed, or a policy denied it.
    Failed,
    Cancelled,
    /// Refused because too many calls wait already.
    Refused,
}

impl Ended {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug, Default)]
struct Series {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

#[derive(Debug)]
pub(super) struct Metrics {
    started: Instant,
    calls: Mutex<BTreeMap<(&'static str, String, Ended), Series>>,
}

/// What only the moment of asking tells.
pub(super) struct Now {
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) sessions: usize,
    pub(super) endpoints: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            calls: Mutex::default(),
        }
    }
}

impl Metrics {
    pub(super) fn record(&self, method: &'static str, name: &str, ended: Ended, took: Duration) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let series = calls.entry((method, name.to_owned(), ended)).or_default();
        let seconds = took.as_secs_f64();
        series.count += 1;
        series.seconds += seconds;
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            series.buckets[bucket] += 1;
        }
    }

    pub(super) fn render(&self, now: &Now) -> String {
        let mut out = String::new();
        for (name, help, value) in [
            (
                "mxcp_up_seconds",
                "Seconds since the server started.",
                self.started.elapsed().as_secs_f64(),
            ),
            (
                "mxcp_calls_running",
                "Calls in progress.",
                count(now.running),
            ),
            (
                "mxcp_calls_waiting",
                "Calls that wait for their turn.",
                count(now.waiting),
            ),
            (
                "mxcp_sessions",
                "Open sessions of clients that use them.",
                count(now.sessions),
            ),
            (
                "mxcp_endpoints",
                "Endpoints of the manifest.",
                count(now.endpoints),
            ),
        ] {
            let _ = writeln!(
                out,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
            );
        }
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(
            out,
            "# HELP mxcp_call_duration_seconds Time from a request to its answer.\n# TYPE mxcp_call_duration_seconds histogram"
        );
        for ((method, name, ended), series) in calls.iter() {
            let labels = format!(
                "method=\"{method}\",name=\"{}\",outcome=\"{}\"",
                escaped(name),
                ended.label()
            );
            let mut total = 0;
            for (bound, bucket) in BUCKETS.iter().zip(series.buckets) {
                total += bucket;
                let _ = writeln!(
                    out,
                    "mxcp_call_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {total}"
                );
            }
            let _ = writeln!(
                out,
                "mxcp_call_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {}\nmxcp_call_duration_seconds_sum{{{labels}}} {}\nmxcp_call_duration_seconds_count{{{labels}}} {}",
                series.count, series.seconds, series.count
            );
        }
        out
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of this size has no use for the last digit"
)]
fn count(n: usize) -> f64 {
    n as f64
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let metrics = Metrics::default();
        for milliseconds in [1, 4, 4, 60_000] {
            metrics.record(
                "tools/call",
                "a\"b",
                Ended::Ok,
                Duration::from_millis(milliseconds),
            );
        }
        let now = Now {
            running: 1,
            waiting: 0,
            sessions: 2,
            endpoints: 3,
        };
        let text = metrics.render(&now);
        let labels = "method=\"tools/call\",name=\"a\\\"b\",outcome=\"ok\"";
        for line in [
            "mxcp_calls_running 1".to_owned(),
            "mxcp_sessions 2".to_owned(),
            format!("mxcp_call_duration_seconds_bucket{{{labels},le=\"0.001\"}} 1"),
            format!("mxcp_call_duration_seconds_bucket{{{labels},le=\"0.005\"}} 3"),
            format!("mxcp_call_duration_seconds_bucket{{{labels},le=\"30\"}} 3"),
            format!("mxcp_call_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 4"),
            format!("mxcp_call_duration_seconds_count{{{labels}}} 4"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
