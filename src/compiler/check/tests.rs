//! `tests:` of an endpoint: arguments against declared parameters.

use mxcp_base::{SourceFile, codes, suggest};

use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_tests(file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    for (i, test) in def.tests.iter().enumerate() {
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
        // A test of a failing call leaves arguments out on purpose.
        if test.expect_error.is_some() {
            continue;
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
