//! The tests that endpoints declare: each runs the call as a client would, policies and validation
//! included, and checks what came back.
//!
//! Tests that only read run side by side. One that may write runs alone, in a transaction that is
//! rolled back. The report has the declared order either way.

mod assertions;
mod junit;
mod report;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mxcp_artifact::{Body, Endpoint, EndpointKind, Manifest, TestCase};
use serde_json::{Map, Value};

pub use junit::junit;
pub use report::{EndpointEntry, EndpointReport, Status, TestReport, TestResult};

use crate::call::{Call, CallError, Caller, Outcome, User};
use crate::runtime::Runtime;

// Every test is a query that DuckDB spreads over all processors itself.
const THREADS: usize = 4;

/// Which tests run: all, those of one kind, or those of one endpoint.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub kind: Option<EndpointKind>,
    pub id: Option<String>,
}

/// What the command line says for every test.
#[derive(Clone, Debug, Default)]
pub struct TestOptions {
    /// Takes the place of each test's own `user_context`.
    pub user: Option<User>,
    pub headers: BTreeMap<String, String>,
    /// What a test writes stays, and later tests see it: all run one after the other.
    pub persist: bool,
}

/// Is told how many tests are done, of how many. Called from several threads.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Runs the selected tests.
pub fn run(
    runtime: &Runtime,
    selection: &Selection,
    options: &TestOptions,
    progress: Progress<'_>,
) -> TestReport {
    let manifest = runtime.manifest();
    let one = selection.id.as_deref();
    let endpoints: Vec<&Endpoint> = match one {
        Some(id) => match find(&manifest, selection.kind, id) {
            Some(endpoint) => vec![endpoint],
            None => {
                return TestReport::One(EndpointReport::missing(format!(
                    "Endpoint not found: {}/{id}",
                    selection.kind.unwrap_or(EndpointKind::Tool)
                )));
            }
        },
        None => manifest
            .endpoints
            .iter()
            .filter(|e| selection.kind.is_none_or(|kind| kind == e.kind))
            .collect(),
    };
    let mut results = run_all(runtime, &endpoints, options, progress).into_iter();
    let mut reports = endpoints.iter().map(|endpoint| EndpointEntry {
        endpoint: format!("{}/{}", endpoint.kind, endpoint.id()),
        path: endpoint.path.clone(),
        test_results: EndpointReport::new(results.by_ref().take(endpoint.tests.len()).collect()),
    });
    match (one, reports.next()) {
        (Some(_), Some(entry)) => TestReport::One(entry.test_results),
        (_, first) => TestReport::all(first.into_iter().chain(reports).collect()),
    }
}

fn find<'a>(manifest: &'a Manifest, kind: Option<EndpointKind>, id: &str) -> Option<&'a Endpoint> {
    EndpointKind::ALL
        .into_iter()
        .filter(|k| kind.is_none_or(|wanted| wanted == *k))
        .find_map(|kind| manifest.endpoint(kind, id))
}

/// The results of all tests, in the order of their declaration.
fn run_all(
    runtime: &Runtime,
    endpoints: &[&Endpoint],
    options: &TestOptions,
    progress: Progress<'_>,
) -> Vec<TestResult> {
    let tests: Vec<(&Endpoint, &TestCase)> = endpoints
        .iter()
        .flat_map(|endpoint| endpoint.tests.iter().map(|test| (*endpoint, test)))
        .collect();
    let results: Vec<Mutex<Option<TestResult>>> = tests.iter().map(|_| Mutex::default()).collect();
    let done = AtomicUsize::new(0);
    let run = |index: &usize, roll_back: bool| {
        let (Some((endpoint, test)), Some(slot)) = (tests.get(*index), results.get(*index)) else {
            return;
        };
        let result = one(runtime, endpoint, test, options, roll_back);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, tests.len());
    };
    let (writing, reading): (Vec<usize>, Vec<usize>) =
        (0..tests.len()).partition(|i| tests.get(*i).is_some_and(|(e, _)| may_write(&e.body)));
    if options.persist && !writing.is_empty() {
        (0..tests.len()).for_each(|index| run(&index, false));
    } else {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS.min(reading.len()) {
                scope.spawn(|| {
                    while let Some(index) = reading.get(next.fetch_add(1, Ordering::Relaxed)) {
                        run(index, false);
                    }
                });
            }
        });
        writing.iter().for_each(|index| run(index, true));
    }
    results
        .into_iter()
        .filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

/// Whether running it may leave something in the database. Of Python nothing is known, and a volatile
/// function may move a sequence.
fn may_write(body: &Body) -> bool {
    match body {
        Body::Sql(sql) => sql.effects.writes || sql.effects.volatile,
        Body::Python(_) => true,
        Body::Prompt(_) => false,
    }
}

fn one(
    runtime: &Runtime,
    endpoint: &Endpoint,
    test: &TestCase,
    options: &TestOptions,
    roll_back: bool,
) -> TestResult {
    let context = test.user_context.as_ref().and_then(Value::as_object);
    let user = options
        .user
        .clone()
        .or_else(|| context.map(User::from_test_context));
    let arguments: Map<String, Value> = test.arguments.iter().cloned().collect();
    let mut call = Call::new(endpoint.kind, endpoint.id(), arguments);
    // A test that expects a refusal wants the policies as a client meets them.
    call.lenient_policies = user.is_none() && !test.denied && test.expect_error.is_none();
    call.caller = Caller {
        user,
        headers: options.headers.clone(),
        ..Caller::default()
    };
    let started = Instant::now();
    let outcome = if roll_back {
        runtime.call_and_roll_back(&call)
    } else {
        runtime.call(&call)
    };
    let time = started.elapsed().as_secs_f64();
    judge(endpoint.kind, test, outcome, time)
}

fn judge(
    kind: EndpointKind,
    test: &TestCase,
    outcome: Result<Outcome, CallError>,
    time: f64,
) -> TestResult {
    let mut result = TestResult::passed(test, time);
    match outcome {
        Ok(outcome) => {
            result.note =
                (!outcome.decision.notes.is_empty()).then(|| outcome.decision.notes.join("; "));
            let value = assertions::normalise(kind, outcome.value);
            if let Err(text) = assertions::check(test, &value) {
                result.status = Status::Failed;
                result.error = Some(text);
            }
        }
        Err(error) => {
            let text = error.to_string();
            let denied = matches!(error, CallError::Denied { .. });
            match (&test.expect_error, test.denied) {
                (Some(wanted), _) if !text.contains(wanted.as_str()) => {
                    result.status = Status::Failed;
                    result.error = Some(format!(
                        "Expected an error containing '{wanted}', got: {text}"
                    ));
                }
                (_, true) if !denied => {
                    result.status = Status::Failed;
                    result.error = Some(format!(
                        "Expected the call to be denied by a policy, got: {text}"
                    ));
                }
                (Some(_), _) | (_, true) => {}
                (None, false) if denied && !test.has_assertion() => {
                    let reason = error.cause().unwrap_or_default();
                    result.note = Some(format!(
                        "denied by policy: {reason}; add `denied: true` to say so"
                    ));
                }
                (None, false) => {
                    result.status = Status::Error;
                    result.error_cause = error.cause().map(str::to_owned);
                    result.error = Some(text);
                    result.note = error
                        .decision()
                        .filter(|decision| !decision.notes.is_empty())
                        .map(|decision| decision.notes.join("; "));
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::{Decision, Phase};

    fn judged(test: Value, outcome: Result<Value, CallError>) -> (Status, Option<String>) {
        let mut test = test;
        test["name"] = "t".into();
        let test: TestCase = serde_json::from_value(test).unwrap();
        let outcome = outcome.map(|value| Outcome {
            value,
            decision: Decision::default(),
            rows: None,
            cut: None,
        });
        let result = judge(EndpointKind::Tool, &test, outcome, 0.0);
        (result.status, result.error.or(result.note))
    }

    fn denial() -> Result<Value, CallError> {
        Err(CallError::Denied {
            phase: Phase::Input,
            reason: "no way".into(),
            decision: Decision::default(),
        })
    }

    #[test]
    fn a_denial_passes_only_where_nothing_else_is_said() {
        assert_eq!(
            judged(json!({}), denial()),
            (
                Status::Passed,
                Some("denied by policy: no way; add `denied: true` to say so".into())
            )
        );
        assert_eq!(
            judged(json!({"result": 1}), denial()),
            (
                Status::Error,
                Some("Policy enforcement failed: no way".into())
            )
        );
        assert_eq!(
            judged(json!({"denied": true}), denial()),
            (Status::Passed, None)
        );
        assert_eq!(
            judged(json!({"expect_error": "no way"}), denial()),
            (Status::Passed, None)
        );
        assert_eq!(
            judged(json!({"denied": true}), Ok(json!(1))).0,
            Status::Failed
        );
        assert_eq!(
            judged(json!({"denied": true}), Err(CallError::failed("boom"))).0,
            Status::Failed
        );
        assert_eq!(
            judged(json!({}), Err(CallError::failed("boom"))).0,
            Status::Error
        );
    }
}
