//! What an eval expects of the answer: that it says something, and nothing that excludes itself.

use mxcp_base::{SourceFile, codes};

use crate::finding::{Anchor, Finding};
use crate::lower::evals::EvalTest;

pub(super) fn check(file: SourceFile, test: &EvalTest, place: &str, findings: &mut Vec<Finding>) {
    if test.has_assertions
        && test.must_call.is_empty()
        && test.must_not_call.is_empty()
        && test.answer_contains.is_empty()
        && test.answer_not_contains.is_empty()
    {
        findings.push(
            Finding::new(
                codes::MX0715,
                "this test asserts nothing, so it always passes",
                Anchor::key(file, format!("{place}/assertions")),
            )
            .help("add `must_call`, `must_not_call`, `answer_contains` or `answer_not_contains`"),
        );
    }
    for (i, forbidden) in test.answer_not_contains.iter().enumerate() {
        let here = format!("{place}/assertions/answer_not_contains/{i}");
        let Some(forbidden) = forbidden.as_deref().map(str::to_lowercase) else {
            continue;
        };
        if forbidden.is_empty() {
            findings.push(
                Finding::new(
                    codes::MX0711,
                    "every answer contains the empty text",
                    Anchor::value(file, here),
                )
                .help("write the text that must not appear"),
            );
            continue;
        }
        // Letter case does not count, and a part of a wanted text is in every answer that has it.
        let wanted = test.answer_contains.iter().position(|wanted| {
            wanted
                .as_deref()
                .is_some_and(|w| w.to_lowercase().contains(&forbidden))
        });
        if let Some(wanted) = wanted {
            findings.push(
                Finding::new(
                    codes::MX0711,
                    format!("an answer cannot contain the expected text without `{forbidden}`"),
                    Anchor::value(file, here),
                )
                .label(
                    Anchor::value(file, format!("{place}/assertions/answer_contains/{wanted}")),
                    "against this",
                )
                .help("keep the one that is meant"),
            );
        }
    }
}
