//! `user_context` of a test against what the policies read of the caller.

use mxcp_artifact::TestCase;
use mxcp_base::{SourceFile, codes, suggest};
use mxcp_syntax::yaml::join_pointer;
use serde_json::Value;

use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

/// What every caller has, whether policies read it or not.
const STANDARD: [&str; 10] = [
    "user_id",
    "username",
    "email",
    "name",
    "provider",
    "avatar_url",
    "role",
    "permissions",
    "capabilities",
    "raw_profile",
];

pub(super) fn check(
    file: SourceFile,
    def: &EndpointDef,
    test: &TestCase,
    place: &str,
    findings: &mut Vec<Finding>,
) {
    let Some(Value::Object(context)) = &test.user_context else {
        return;
    };
    let conditions = def.input_policies.iter().chain(&def.output_policies);
    let read: Vec<String> = conditions
        .filter_map(|p| p.condition.as_deref())
        .flat_map(fields_of_user)
        .collect();
    for name in context.keys() {
        if STANDARD.contains(&name.as_str()) || read.iter().any(|r| r == name) {
            continue;
        }
        // Callers have many fields; only one that stands in for another is a slip.
        let wanted = read
            .iter()
            .map(String::as_str)
            .filter(|r| !context.contains_key(*r));
        if let Some(near) = suggest::nearest(name, wanted) {
            let anchor = Anchor::key(file, join_pointer(&format!("{place}/user_context"), name));
            findings.push(
                Finding::new(
                    codes::MX0713,
                    format!("no policy reads `user.{name}`"),
                    anchor.clone(),
                )
                .help(format!("did you mean `{near}`?"))
                .fix(format!("change to `{near}`"), anchor, near),
            );
        }
    }
}

/// The names after `user.` in a condition.
fn fields_of_user(condition: &str) -> Vec<String> {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = condition;
    while let Some(at) = rest.find("user.") {
        let before = rest[..at].chars().next_back();
        let tail = &rest[at + "user.".len()..];
        let end = tail.find(|c| !name(c)).unwrap_or(tail.len());
        if before.is_none_or(|c| !name(c) && c != '.') && end > 0 {
            found.push(tail[..end].to_owned());
        }
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::fields_of_user;

    #[test]
    fn fields_are_read_from_the_text() {
        assert_eq!(
            fields_of_user("user.role != 'x' && has(user.team) && my.user.id == superuser.no"),
            ["role", "team"]
        );
    }
}
