//! `mxcp test`: runs the tests that endpoints declare.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mxcp_artifact::{Endpoint, Manifest};
use mxcp_base::system::write_atomically;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, endpoint_files};
use mxcp_compiler::ir::endpoint_ir;
use mxcp_runtime::User;
use mxcp_runtime::testing::{
    EndpointEntry, EndpointReport, Selection, Status, TestOptions, TestReport, TestResult, junit,
};

use super::output::{self, Failure};
use super::run::{Common, KindArg, errors, near, only_read, start_for};
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
    /// Roll back what each test writes to the database; the default
    #[arg(long, overrides_with = "no_isolated")]
    isolated: bool,
    /// Let what tests write stay, and run them one after the other
    #[arg(long)]
    no_isolated: bool,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
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
    let reads = |manifest: &Manifest| {
        let tested = |e: &&Endpoint| !e.tests.is_empty() && wanted(e);
        only_read(manifest.endpoints.iter().filter(tested))
    };
    let runtime = match start_for(&session, &args.common, "cli", &wanted, reads) {
        Ok(runtime) => runtime,
        Err(failure) => return output::fail(json, &failure),
    };
    let options = TestOptions {
        user: user.as_ref().map(User::from_cli_context),
        headers,
        persist: args.no_isolated,
    };
    let ticker = Ticker::new();
    let report = mxcp_runtime::testing::run(&runtime, &selection, &options, &|done, all| {
        ticker.show(done, all);
    });
    ticker.clear();
    let hint = selection.id.as_deref().zip(selection.kind);
    let hint = hint.and_then(|(id, kind)| near(&runtime, kind, id));
    runtime.shutdown();
    let report = with_broken(&session, &selection, report);
    let seconds = started.elapsed().as_secs_f64();
    if json {
        output::print_ok(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        output::print(&human(&report, args.common.debug, seconds));
    }
    if let (TestReport::One(one), Some(hint)) = (&report, hint)
        && one
            .message
            .as_ref()
            .is_some_and(|m| m.starts_with(NOT_FOUND))
    {
        output::eprint(&format!("  help: {hint}\n"));
    }
    if let Some(path) = &args.junit
        && let Err(failure) = write_junit(path, &report, &selection, seconds)
    {
        output::fail(false, &failure);
        return FAILED;
    }
    if report.is_ok() { CLEAN } else { FAILED }
}

const NOT_FOUND: &str = "Endpoint not found";

fn write_junit(
    path: &Path,
    report: &TestReport,
    selection: &Selection,
    seconds: f64,
) -> Result<(), Failure> {
    let name = match (selection.kind, &selection.id) {
        (Some(kind), Some(id)) => format!("{kind}/{id}"),
        _ => String::new(),
    };
    write_atomically(path, junit(report, &name, seconds).as_bytes()).map_err(|e| {
        Failure::new(format!("`{}` cannot be written: {e}", path.display()))
            .help("the tests have run; give `--junit` a file in a folder that can be written to")
    })
}

/// A line on the terminal that counts, once there is something to wait for.
struct Ticker {
    started: Instant,
    shown: Option<Mutex<bool>>,
}

impl Ticker {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            shown: std::io::stderr().is_terminal().then(|| Mutex::new(false)),
        }
    }

    fn show(&self, done: usize, all: usize) {
        if let Some(shown) = &self.shown
            && self.started.elapsed() > Duration::from_secs(1)
        {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            output::eprint(&format!("\r{done} of {all} tests"));
            *shown = true;
        }
    }

    fn clear(&self) {
        if let Some(shown) = &self.shown
            && *shown.lock().unwrap_or_else(PoisonError::into_inner)
        {
            output::eprint("\r\x1b[K");
        }
    }
}

/// Endpoints that do not compile have no tests to run; leaving them out would look like success.
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
        if !wanted || endpoint_ir(db, *file).is_some() {
            continue;
        }
        // Without an error of its own it needs something that has one, or holds no endpoint.
        let message = output::first_message(&errors(session, *file)).or_else(|| {
            def.map(|_| "it needs something that has errors; run `mxcp validate`".into())
        });
        if let Some(message) = message {
            let path = file.path(db).to_owned();
            entries.push(EndpointEntry {
                // A file that holds no endpoint is named by where it is.
                endpoint: id.map_or_else(
                    || session.root.join(&path).display().to_string(),
                    |id| format!("{kind}/{id}"),
                ),
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

fn human(report: &TestReport, debug: bool, seconds: f64) -> String {
    let mut out = String::new();
    let mut passed = 0;
    let mut failed = 0;
    match report {
        TestReport::One(report) => one(&mut out, "  ", report, debug, &mut passed, &mut failed),
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
                    entry.label(),
                    entry.path
                ));
                one(&mut out, "    ", report, debug, &mut passed, &mut failed);
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
    debug: bool,
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
        out.push_str(&test_line(indent, test, debug));
    }
}

fn test_line(indent: &str, test: &TestResult, debug: bool) -> String {
    let mark = if test.status == Status::Passed {
        "✓"
    } else {
        "✗"
    };
    let mut line = format!("{indent}{mark} {} ({:.2}s)\n", test.name, test.time);
    let cause = test.error_cause.clone().filter(|_| debug);
    for (word, text) in [
        ("error", &test.error),
        ("cause", &cause),
        ("note", &test.note),
    ] {
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
