//! `tests:` of an endpoint: arguments against the declared parameters, and what they expect against
//! what the endpoint can give at all.

mod caller;
mod conflicts;
mod expect;
mod shape;

use mxcp_artifact::TestCase;
use mxcp_base::{Code, Severity, SourceFile, codes, suggest};
use mxcp_syntax::yaml::Kind;

use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

/// What is wrong with a single test only. The endpoint runs and so do its other tests; the test itself
/// fails with the message of the call.
pub const OF_ONE_TEST: [Code; 6] = [
    codes::MX0701,
    codes::MX0702,
    codes::MX0709,
    codes::MX0710,
    codes::MX0711,
    codes::MX0712,
];

pub(super) fn check_tests(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    if def.tests.is_empty() {
        return;
    }
    let shape = shape::of_endpoint(db, file, def);
    let single_row = shape::is_single_row(db, file);
    for (i, test) in def.tests.iter().enumerate() {
        let place = def.pointer(&format!("tests/{i}"));
        check_duplicates(file, def, i, findings);
        caller::check(file, def, test, &place, findings);
        let before = findings.len();
        conflicts::check(file, def, test, &place, findings);
        // A test of a failing call gives wrong arguments, or none, on purpose, and expects nothing else.
        if test.expect_error.is_some() || test.denied {
            if test.expect_error.is_none() {
                check_arguments(db, file, def, i, findings);
            }
            continue;
        }
        check_arguments(db, file, def, i, findings);
        if findings[before..].iter().all(|f| f.code != codes::MX0711) {
            let expectations = expect::Expectations {
                file,
                test,
                place: &place,
                policies: shape::Policies::of(def),
                single_row,
                most_rows: most_rows(db, file, def, test),
            };
            expectations.check(&shape, findings);
        }
    }
}

/// How many rows the `LIMIT` of the query lets through in this test.
fn most_rows(db: &dyn Db, file: SourceFile, def: &EndpointDef, test: &TestCase) -> Option<u64> {
    let limit = shape::limit(db, file)?;
    let Some(name) = limit.strip_prefix('$') else {
        return limit.parse().ok();
    };
    let given = test.arguments.iter().rfind(|(key, _)| key == name);
    let parameter = def.parameters.iter().find(|p| p.name == name);
    match given {
        Some((_, value)) => value.as_u64(),
        None => parameter?.ty.as_ref()?.default.as_ref()?.as_u64(),
    }
}

fn check_arguments(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    i: usize,
    findings: &mut Vec<Finding>,
) {
    let test = &def.tests[i];
    // Something else than a list is reported by its form.
    let written = parse_yaml(db, file).lookup(&def.pointer(&format!("tests/{i}/arguments")));
    if written.is_some_and(|n| !matches!(n.kind(), Kind::Seq | Kind::Null)) {
        return;
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

/// Both run: of two arguments the last one counts, of two tests with one name a report does not say which
/// it means.
fn check_duplicates(file: SourceFile, def: &EndpointDef, i: usize, findings: &mut Vec<Finding>) {
    let test = &def.tests[i];
    let mut twice = |message: String, here: String, first: String, help: &str| {
        let mut finding = Finding::new(codes::MX0005, message, Anchor::value(file, here))
            .label(Anchor::value(file, first), "first here")
            .help(help);
        finding.severity = Some(Severity::Warning);
        findings.push(finding);
    };
    let first = def.tests[..i].iter().position(|t| t.name == test.name);
    if let Some(first) = first.filter(|_| !test.name.is_empty()) {
        twice(
            format!("two tests are called `{}`", test.name),
            def.pointer(&format!("tests/{i}/name")),
            def.pointer(&format!("tests/{first}/name")),
            "give each of them a name of its own",
        );
    }
    for (j, (name, _)) in test.arguments.iter().enumerate() {
        if let Some(first) = test.arguments[..j].iter().position(|(n, _)| n == name) {
            let key = |j: usize| def.pointer(&format!("tests/{i}/arguments/{j}/key"));
            twice(
                format!("argument `{name}` is given twice"),
                key(j),
                key(first),
                "remove one of them; the last one counts",
            );
        }
    }
}
