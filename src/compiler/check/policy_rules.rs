//! Policies beside each other: those that repeat one another or are never reached.

use std::collections::BTreeSet;

use mxcp_artifact::Action;
use mxcp_base::{SourceFile, codes};

use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::{EndpointDef, PolicyDef};

pub(super) fn check_rules(
    file: SourceFile,
    def: &EndpointDef,
    phase: &str,
    policies: &[PolicyDef],
    findings: &mut Vec<Finding>,
) {
    let pointer = |i: usize| def.pointer(&format!("policies/{phase}/{i}"));
    let condition_at = |i: usize| Anchor::value(file, format!("{}/condition", pointer(i)));
    let mut closed = None;
    for (i, policy) in policies.iter().enumerate() {
        let (Some(condition), Some(action)) = (condition(policy), policy.action) else {
            continue;
        };
        if let Some(first) = closed {
            findings.push(
                Finding::new(
                    codes::MX0609,
                    "no call gets as far as this policy",
                    condition_at(i),
                )
                .label(condition_at(first), "this one denies every call")
                .help("remove it, or move it up"),
            );
            continue;
        }
        if action == Action::Deny && condition == "true" {
            closed = Some(i);
        }
        let earlier = || policies.iter().enumerate().take(i);
        let twin = earlier().find(|(_, other)| {
            self::condition(other).as_ref() == Some(&condition)
                && other.action == Some(action)
                && fields(other) == fields(policy)
        });
        if let Some((first, _)) = twin {
            findings.push(
                Finding::new(
                    codes::MX0609,
                    "this policy repeats an earlier one",
                    condition_at(i),
                )
                .label(condition_at(first), "the same condition and action")
                .help("remove one of the two"),
            );
            continue;
        }
        check_fields(file, &pointer(i), policy, findings);
        if action == Action::Deny {
            continue;
        }
        let denied = policies.iter().enumerate().find(|(_, other)| {
            other.action == Some(Action::Deny)
                && self::condition(other).as_ref() == Some(&condition)
        });
        if let Some((first, _)) = denied {
            findings.push(
                Finding::new(
                    codes::MX0609,
                    "nobody sees what this policy does",
                    condition_at(i),
                )
                .label(condition_at(first), "the same condition denies the call")
                .help("remove one of the two, or change its condition"),
            );
            continue;
        }
        removed_before(file, &pointer(i), policy, &condition, earlier(), findings);
    }
}

/// Fields that a policy with the same condition has removed already.
fn removed_before<'p>(
    file: SourceFile,
    pointer: &str,
    policy: &PolicyDef,
    condition: &str,
    earlier: impl Iterator<Item = (usize, &'p PolicyDef)>,
    findings: &mut Vec<Finding>,
) {
    let removed: BTreeSet<&str> = earlier
        .filter(|(_, other)| {
            other.action == Some(Action::FilterFields)
                && self::condition(other).as_deref() == Some(condition)
        })
        .flat_map(|(_, other)| fields(other))
        .collect();
    for (i, field) in policy.fields.iter().flatten().enumerate() {
        if removed.contains(field.as_str()) {
            findings.push(
                Finding::new(
                    codes::MX0609,
                    format!("`{field}` is removed already by an earlier policy"),
                    Anchor::value(file, format!("{pointer}/fields/{i}")),
                )
                .help("name it in one of the two only"),
            );
        }
    }
}

/// A field that is listed twice, or lies in one that is listed.
fn check_fields(file: SourceFile, pointer: &str, policy: &PolicyDef, findings: &mut Vec<Finding>) {
    let all: Vec<&String> = policy.fields.iter().flatten().collect();
    for (i, field) in all.iter().enumerate() {
        let inside = |other: &str| {
            field
                .strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let twice = all.iter().take(i).any(|other| other == field);
        let outer = all.iter().find(|other| inside(other));
        let message = match (twice, outer) {
            (true, _) => format!("`{field}` is listed twice"),
            (false, Some(outer)) => format!("`{field}` is part of `{outer}`, which is listed too"),
            (false, None) => continue,
        };
        findings.push(
            Finding::new(
                codes::MX0609,
                message,
                Anchor::value(file, format!("{pointer}/fields/{i}")),
            )
            .help("remove it"),
        );
    }
}

/// Conditions that differ by white space are the same.
fn condition(policy: &PolicyDef) -> Option<String> {
    let text = policy.condition.as_ref()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn fields(policy: &PolicyDef) -> BTreeSet<&str> {
    policy.fields.iter().flatten().map(String::as_str).collect()
}
