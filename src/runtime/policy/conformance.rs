//! Conditions against the CEL specification: `conformance.json` says what each gives.

use mxcp_artifact::{Action, Policies, Policy};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Facts, PolicySet};
use crate::call::{Decision, User};

#[derive(Deserialize)]
struct Cases {
    context: Map<String, Value>,
    r#true: Vec<String>,
    r#false: Vec<String>,
    error: Vec<String>,
}

fn verdict(context: &Map<String, Value>, condition: &str) -> &'static str {
    let set = PolicySet::new(&Policies {
        input: Vec::new(),
        output: vec![Policy {
            condition: condition.into(),
            action: Action::Deny,
            reason: Some("it holds".into()),
            fields: Vec::new(),
        }],
    });
    let user = User {
        profile: context["user"].as_object().cloned().unwrap(),
        provider: "test".into(),
        user_id: "u1".into(),
        username: "ann".into(),
        capabilities: vec!["c".into()],
        ..User::default()
    };
    let facts = Facts::new(Some(&user), context, |_| None, false);
    let response = context["response"].clone();
    match set.apply_output(&facts, response, None, &mut Decision::default()) {
        Ok(_) => "false",
        Err(refusal) if refusal.reason == "it holds" => "true",
        Err(_) => "error",
    }
}

#[test]
fn conditions_mean_what_the_specification_says() {
    let cases: Cases = serde_json::from_str(include_str!("conformance.json")).unwrap();
    let mut wrong = Vec::new();
    for (wanted, conditions) in [
        ("true", &cases.r#true),
        ("false", &cases.r#false),
        ("error", &cases.error),
    ] {
        for condition in conditions {
            let found = verdict(&cases.context, condition);
            if found != wanted {
                wrong.push(format!("{condition}: expected {wanted}, got {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
