//! The tests that endpoints declare: each runs the call as a client would, policies and validation
//! included, and checks what came back.

mod assertions;
mod report;

use std::collections::BTreeMap;
use std::time::Instant;

use mxcp_artifact::{Endpoint, EndpointKind, TestCase};
use serde_json::{Map, Value};

pub use report::{EndpointEntry, EndpointReport, Status, TestReport, TestResult};

use crate::call::{Call, CallError, Caller, Outcome, User};
use crate::runtime::Runtime;

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
}

/// Runs the selected tests, one after the other.
pub fn run(runtime: &Runtime, selection: &Selection, options: &TestOptions) -> TestReport {
    let manifest = runtime.manifest();
    if let Some(id) = &selection.id {
        let found = EndpointKind::ALL
            .into_iter()
            .filter(|kind| selection.kind.is_none_or(|wanted| wanted == *kind))
            .find_map(|kind| manifest.endpoint(kind, id));
        return TestReport::One(match found {
            Some(endpoint) => endpoint_tests(runtime, endpoint, options),
            None => EndpointReport::missing(format!(
                "Endpoint not found: {}/{id}",
                selection.kind.unwrap_or(EndpointKind::Tool)
            )),
        });
    }
    let endpoints = manifest
        .endpoints
        .iter()
        .filter(|e| selection.kind.is_none_or(|kind| kind == e.kind))
        .map(|endpoint| EndpointEntry {
            endpoint: format!("{}/{}", endpoint.kind, endpoint.id()),
            path: endpoint.path.clone(),
            test_results: endpoint_tests(runtime, endpoint, options),
        })
        .collect();
    TestReport::all(endpoints)
}

fn endpoint_tests(runtime: &Runtime, endpoint: &Endpoint, options: &TestOptions) -> EndpointReport {
    EndpointReport::new(
        endpoint
            .tests
            .iter()
            .map(|test| one(runtime, endpoint, test, options))
            .collect(),
    )
}

fn one(
    runtime: &Runtime,
    endpoint: &Endpoint,
    test: &TestCase,
    options: &TestOptions,
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
    let outcome = runtime.call(&call);
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
                    result.error_cause = Some(error.cause().unwrap_or(&text).to_owned());
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
