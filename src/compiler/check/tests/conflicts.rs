//! Expectations that cannot hold together, and denials that nothing gives.

use mxcp_artifact::{Action, TestCase};
use mxcp_base::{Severity, SourceFile, codes};
use mxcp_syntax::yaml::join_pointer;
use serde_json::Value;

use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check(
    file: SourceFile,
    def: &EndpointDef,
    test: &TestCase,
    place: &str,
    findings: &mut Vec<Finding>,
) {
    let at = |key: &str| Anchor::key(file, format!("{place}/{key}"));
    if test.denied {
        denied(file, def, place, findings);
    }
    let refusal = if test.denied {
        Some("denied")
    } else {
        test.expect_error.as_ref().map(|_| "expect_error")
    };
    if let Some(refusal) = refusal {
        // A refused call has no result, so these are never looked at.
        for (key, given) in results(test) {
            if given {
                let mut finding = Finding::new(
                    codes::MX0711,
                    format!("`{key}` is never looked at: the call is expected to fail"),
                    at(key),
                )
                .label(at(refusal), "expected here")
                .help(format!("remove `{key}`, or `{refusal}`"));
                finding.severity = Some(Severity::Warning);
                findings.push(finding);
            }
        }
        return;
    }
    let mut conflict = |anchor: Anchor, other: Anchor, message: String| {
        findings.push(
            Finding::new(codes::MX0711, message, anchor)
                .label(other, "against this")
                .help("keep the one that is meant"),
        );
    };
    if let (Some(length), Some(Value::Array(items))) = (test.result_length, &test.result)
        && items.len() as u64 != length
    {
        conflict(
            at("result_length"),
            at("result"),
            format!("`result` has {} items, not {length}", items.len()),
        );
    }
    if let (Some(length), Some(all)) = (test.result_length, &test.result_contains_all) {
        let distinct = all
            .iter()
            .enumerate()
            .filter(|(i, v)| !all[..*i].contains(v))
            .filter(|(_, v)| !v.is_object())
            .count();
        if distinct as u64 > length {
            conflict(
                at("result_length"),
                at("result_contains_all"),
                format!("a list of {length} cannot contain {distinct} different values"),
            );
        }
    }
    if test.result_length == Some(0) {
        let item = [
            ("result_contains_item", test.result_contains_item.is_some()),
            (
                "result_contains_all",
                test.result_contains_all
                    .as_ref()
                    .is_some_and(|all| !all.is_empty()),
            ),
        ];
        for (key, given) in item {
            if given {
                conflict(
                    at(key),
                    at("result_length"),
                    "an empty list contains nothing".into(),
                );
            }
        }
    }
    let absent = test.result_not_contains.as_deref().unwrap_or_default();
    for (key, wanted) in [
        ("result", &test.result),
        ("result_contains", &test.result_contains),
    ] {
        let Some(Value::Object(wanted)) = wanted else {
            continue;
        };
        for (i, name) in absent.iter().enumerate() {
            if wanted.contains_key(name) {
                conflict(
                    Anchor::value(file, format!("{place}/result_not_contains/{i}")),
                    Anchor::key(file, join_pointer(&format!("{place}/{key}"), name)),
                    format!("`{name}` is expected and must not be there"),
                );
            }
        }
    }
    if let (Some(Value::Object(whole)), Some(Value::Object(part))) =
        (&test.result, &test.result_contains)
    {
        for (name, value) in part {
            if whole.get(name).is_none_or(|other| !alike(other, value)) {
                let pointer = join_pointer(&format!("{place}/result_contains"), name);
                conflict(
                    Anchor::key(file, pointer),
                    at("result"),
                    format!("`result` does not contain this `{name}`"),
                );
            }
        }
    }
}

fn alike(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

fn results(test: &TestCase) -> [(&'static str, bool); 7] {
    [
        ("result", test.result.is_some()),
        ("result_contains", test.result_contains.is_some()),
        ("result_not_contains", test.result_not_contains.is_some()),
        ("result_contains_item", test.result_contains_item.is_some()),
        ("result_contains_all", test.result_contains_all.is_some()),
        ("result_length", test.result_length.is_some()),
        ("result_contains_text", test.result_contains_text.is_some()),
    ]
}

fn denied(file: SourceFile, def: &EndpointDef, place: &str, findings: &mut Vec<Finding>) {
    let denies = def
        .input_policies
        .iter()
        .chain(&def.output_policies)
        // A policy that is not understood is reported there.
        .any(|p| p.action.is_none_or(|a| a == Action::Deny));
    if !denies {
        findings.push(
            Finding::new(
                codes::MX0712,
                "no policy of this endpoint denies a call",
                Anchor::key(file, format!("{place}/denied")),
            )
            .help("add a policy with `action: deny`, or expect a result"),
        );
    }
}
