//! `tests:` of an endpoint: arguments against declared parameters.

use mxcp_base::{Code, SourceFile, codes, suggest};

use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

/// What is wrong with a single test only. The endpoint runs and so do its other tests; the test itself
/// fails with the message of the call.
pub const OF_ONE_TEST: [Code; 2] = [codes::MX0701, codes::MX0702];

pub(super) fn check_tests(file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    for (i, test) in def.tests.iter().enumerate() {
        // A test of a failing call gives wrong arguments, or none, on purpose.
        if test.expect_error.is_some() {
            continue;
        }
        for (j, (name, _)) in test.arguments.iter().enumerate() {
            if def.parameters.iter().any(|p| p.name == *name) {
                continue;
            }
            let names = def.parameters.iter().map(|p| p.name.as_str());
            findings.push(
                Finding::new(
                    codes::MX0701,
                    format!("there is no parameter `{name}`"),
                    Anchor::value(file, def.pointer(&format!("tests/{i}/arguments/{j}/key"))),
                )
                .help_if(suggest::did_you_mean(name, names)),
            );
        }
        for parameter in &def.parameters {
            let required = parameter.ty.as_ref().is_some_and(|t| t.default.is_none());
            if required && !test.arguments.iter().any(|(n, _)| *n == parameter.name) {
                findings.push(
                    Finding::new(
                        codes::MX0702,
                        format!(
                            "test `{}` does not set the required parameter `{}`",
                            test.name, parameter.name
                        ),
                        Anchor::value(file, def.pointer(&format!("tests/{i}/name"))),
                    )
                    .help(format!(
                        "add `- key: {}` with a value under `arguments:`",
                        parameter.name
                    )),
                );
            }
        }
    }
}
