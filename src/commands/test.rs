//! `mxcp test`: runs the tests that endpoints declare.

use std::time::Instant;

use mxcp_artifact::Endpoint;
use mxcp_base::Severity;
use mxcp_compiler::diagnostics::file_diagnostics;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, endpoint_files};
use mxcp_runtime::User;
use mxcp_runtime::testing::{
    EndpointEntry, EndpointReport, Selection, Status, TestOptions, TestReport, TestResult,
};

use super::output;
use super::run::{Common, KindArg, start};
use super::session::Session;
use super::{CLEAN, FAILED, USAGE, params};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only endpoints of this kind
    #[arg(value_enum)]
    kind: Option<KindArg>,
    /// Only this endpoint
    name: Option<String>,
    /// The caller as a JSON object, or @file; replaces every test's own
    #[arg(short = 'u', long, value_name = "JSON|@FILE")]
    user_context: Option<String>,
    /// Request headers as a JSON object, or @file
    #[arg(long, value_name = "JSON|@FILE")]
    request_headers: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> u8 {
    let json = args.common.json_output;
    let usage = params::object("--user-context", args.user_context.as_deref())
        .and_then(|user| Ok((user, params::headers(args.request_headers.as_deref())?)));
    let (user, headers) = match usage {
        Ok(parsed) => parsed,
        Err(failure) => {
            output::fail(false, &failure);
            return USAGE;
        }
    };
    let started = Instant::now();
    let session = match Session::open(args.common.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(json, &failure),
    };
    let selection = Selection {
        kind: args.kind.map(KindArg::kind),
        id: args.name.clone(),
    };
    let wanted = |e: &Endpoint| {
        selection.kind.is_none_or(|kind| kind == e.kind)
            && selection.id.as_deref().is_none_or(|id| id == e.id())
    };
    let runtime = match start(&session, &args.common, "cli", &wanted) {
        Ok(runtime) => runtime,
        Err(failure) => return output::fail(json, &failure),
    };
    let options = TestOptions {
        user: user.as_ref().map(User::from_cli_context),
        headers,
    };
    let report = mxcp_runtime::testing::run(&runtime, &selection, &options);
    runtime.shutdown();
    let report = with_broken(&session, &selection, report);
    if json {
        output::print_ok(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        output::print(&human(&report, started.elapsed().as_secs_f64()));
    }
    if report.is_ok() { CLEAN } else { FAILED }
}

/// Endpoints that cannot be run have no tests to run; leaving them out would look like success.
fn with_broken(session: &Session, selection: &Selection, report: TestReport) -> TestReport {
    let broken = broken_entries(session, selection);
    match report {
        TestReport::One(_) => match broken.into_iter().next() {
            Some(entry) if selection.id.is_some() => TestReport::One(entry.test_results),
            _ => report,
        },
        TestReport::All {
            status,
            tests_run,
            mut endpoints,
        } => {
            let status = if broken.is_empty() {
                status
            } else {
                Status::Error
            };
            endpoints.extend(broken);
            TestReport::All {
                status,
                tests_run,
                endpoints,
            }
        }
    }
}

fn broken_entries(session: &Session, selection: &Selection) -> Vec<EndpointEntry> {
    let db = &session.db;
    let mut entries = Vec::new();
    for file in endpoint_files(db) {
        let DocumentKind::Endpoint(kind) = document_kind(db, *file) else {
            continue;
        };
        let def = endpoint_def(db, *file);
        let id = def.and_then(|d| d.id());
        let wanted = selection.kind.is_none_or(|k| k == kind)
            && selection.id.as_deref().is_none_or(|name| id == Some(name))
            && def.is_none_or(|d| d.enabled);
        if mxcp_compiler::ir::endpoint_ir(db, *file).is_some() {
            continue;
        }
        let errors = file_diagnostics(db, *file)
            .iter()
            .filter(|d| d.severity == Severity::Error);
        if let Some(message) = output::first_message(errors).filter(|_| wanted) {
            let path = file.path(db).to_owned();
            entries.push(EndpointEntry {
                endpoint: id.map_or_else(|| path.clone(), |id| format!("{kind}/{id}")),
                path,
                test_results: EndpointReport {
                    status: Status::Error,
                    tests_run: 0,
                    tests: Vec::new(),
                    no_tests: false,
                    message: Some(message),
                },
            });
        }
    }
    entries
}

fn human(report: &TestReport, seconds: f64) -> String {
    let mut out = String::new();
    let mut passed = 0;
    let mut failed = 0;
    match report {
        TestReport::One(report) => one(&mut out, "  ", report, &mut passed, &mut failed),
        TestReport::All { endpoints, .. } => {
            for entry in endpoints {
                let report = &entry.test_results;
                let mark = if report.status == Status::Ok {
                    "✓"
                } else {
                    "✗"
                };
                let note = if report.no_tests { "  (no tests)" } else { "" };
                out.push_str(&format!(
                    "{mark} {} ({}){note}\n",
                    entry.endpoint, entry.path
                ));
                one(&mut out, "    ", report, &mut passed, &mut failed);
            }
        }
    }
    if passed + failed == 0 {
        out.push_str("No tests were run\n");
    } else {
        out.push_str(&format!(
            "{} {passed} passed, {failed} failed in {seconds:.2}s\n",
            if report.is_ok() { "✓" } else { "✗" }
        ));
    }
    out
}

fn one(
    out: &mut String,
    indent: &str,
    report: &EndpointReport,
    passed: &mut usize,
    failed: &mut usize,
) {
    if let Some(message) = &report.message {
        out.push_str(&format!("{indent}✗ {message}\n"));
        *failed += 1;
    }
    for test in &report.tests {
        if test.status == Status::Passed {
            *passed += 1;
        } else {
            *failed += 1;
        }
        out.push_str(&test_line(indent, test));
    }
}

fn test_line(indent: &str, test: &TestResult) -> String {
    let mark = if test.status == Status::Passed {
        "✓"
    } else {
        "✗"
    };
    let mut line = format!("{indent}{mark} {} ({:.2}s)\n", test.name, test.time);
    for (word, text) in [("error", &test.error), ("note", &test.note)] {
        for (i, part) in text.iter().flat_map(|t| t.lines()).enumerate() {
            let lead = if i == 0 { word } else { "" };
            line.push_str(&format!(
                "{indent}  {lead}{} {part}\n",
                if i == 0 { ":" } else { " " }
            ));
        }
    }
    line
}
