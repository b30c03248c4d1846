//! `--watch` of `validate` and `build`: one process keeps the project, looks at it whenever something
//! changes and checks again what the change can reach. Every result is a *revision*.
//!
//! A revision is what a fresh `mxcp validate` would say at that moment: only the way to it is shorter.

mod ending;
mod output;
mod project;
mod revision;
mod screen;
mod tree;
pub(crate) mod watcher;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use mxcp_base::render::Format;
use mxcp_base::{Diagnostic, Severity};
use mxcp_compiler::diagnostics::project_diagnostics;

use self::ending::Whole;
use self::output::Output;
use self::project::{Changes, Project};
use self::revision::{Outcome, Revision};
use self::screen::Screen;
use self::watcher::{Watcher, Woken};
use super::output::{Failure, fail};
use super::session::{Session, find_root};
use super::{CLEAN, USAGE, validate};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Watching {
    /// Stay, and check again whenever something changes
    #[arg(long)]
    watch: bool,
    /// Look for changes every MS milliseconds [default: 500] instead of relying on the system to report them
    #[arg(long, value_name = "MS", num_args = 0..=1, require_equals = true, default_missing_value = "500", requires = "watch", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    poll: Option<u64>,
}

impl Watching {
    pub(crate) fn is_on(&self) -> bool {
        self.watch
    }
}

/// What is done with every revision.
pub(crate) struct Job<'a> {
    pub(crate) command: &'static str,
    pub(crate) args: &'a Watching,
    pub(crate) profile: Option<&'a str>,
    pub(crate) json: bool,
    pub(crate) format: Format,
    /// People see what is at least this serious.
    pub(crate) least: Severity,
    pub(crate) deny_warnings: bool,
    /// The file that was asked for.
    pub(crate) only: Option<&'a str>,
    /// Write the manifest and the lock; `true` when the lock must not change.
    pub(crate) build: Option<bool>,
}

pub(crate) fn run(job: &Job<'_>) -> u8 {
    let json = job.json || job.format == Format::Json;
    if matches!(job.format, Format::Sarif | Format::Github) {
        fail(
            json,
            &Failure::new("--watch cannot print this format")
                .help("use `--format concise`, or `--json` for one object per revision"),
        );
        return USAGE;
    }
    let root = match find_root() {
        Ok(root) => root,
        Err(failure) => return fail(json, &failure),
    };
    let polling = job.args.poll.map(Duration::from_millis);
    let mut watcher = Watcher::new(&root, polling);
    let whole = Whole::default();
    if let Err(error) = ending::on_signal(watcher.stopper(), whole.clone()) {
        return fail(
            json,
            &Failure::new(format!("signals cannot be waited for: {error}")),
        );
    }
    let mut screen = Screen::new(job, json);
    let mut project = Project::new(root.clone(), job.profile);
    let mut output = Output::default();
    let mut number = 0;
    let mut woken = Woken::Touched;
    loop {
        let started = Instant::now();
        let work = AssertUnwindSafe(|| {
            revise(job, &mut project, &mut watcher, &whole, woken, &mut output)
        });
        let done = match std::panic::catch_unwind(work) {
            Ok(done) => done,
            Err(_) => {
                // What the graph holds now is not to be trusted.
                let broken =
                    std::mem::replace(&mut project, Project::new(root.clone(), job.profile));
                std::mem::forget(broken);
                output = Output::default();
                let failure = Failure::new("the compiler failed on these sources").help(
                    "this is a defect of mxcp; the next change is checked from the beginning",
                );
                Some((Changes::new(), Outcome::Failed(failure)))
            }
        };
        if let Some((changes, outcome)) = done {
            number += 1;
            let revision = Revision {
                number,
                command: job.command,
                changes,
                rechecked: project.session.db.take_reruns(),
                outcome,
                took: started.elapsed(),
                note: watcher.take_note(),
            };
            let _writing = whole.hold();
            if screen.show(&project.session, &revision).is_err() {
                // Nobody reads it any more.
                break;
            }
        }
        woken = watcher.wait();
        if woken == Woken::Stop {
            break;
        }
    }
    let _leaving = whole.hold();
    project.session.leave();
    CLEAN
}

/// Looks, and checks again if something is different.
fn revise(
    job: &Job<'_>,
    project: &mut Project,
    watcher: &mut Watcher,
    whole: &Whole,
    woken: Woken,
    output: &mut Output,
) -> Option<(Changes, Outcome)> {
    let refreshed = project.refresh(watcher, woken);
    let lost = output.lost(&project.session);
    let (mut changes, result) = match refreshed {
        Some(refreshed) => refreshed,
        None if lost.is_empty() => return None,
        None => (Changes::new(), Ok(())),
    };
    changes.extend(lost);
    let outcome = match result {
        Ok(()) => check(job, &project.session, whole, output),
        Err(failure) => Outcome::Failed(failure),
    };
    Some((changes, outcome))
}

fn check(job: &Job<'_>, session: &Session, whole: &Whole, output: &mut Output) -> Outcome {
    let mut diagnostics = project_diagnostics(&session.db);
    if let Some(only) = job.only {
        match validate::project_path(session, only) {
            Ok(path) => diagnostics.retain(|d| validate::concerns(d, &path, session)),
            Err(failure) => return Outcome::Failed(failure),
        }
    }
    let failed = is_failure(&diagnostics, job.deny_warnings);
    let built = match job.build {
        Some(locked) if !failed => {
            let _writing = whole.hold();
            match output.write(session, locked) {
                Ok(built) => Some(built),
                Err(failure) => return Outcome::NotBuilt(diagnostics, failure),
            }
        }
        _ => None,
    };
    Outcome::Checked {
        diagnostics,
        failed,
        built,
    }
}

pub(crate) fn is_failure(diagnostics: &[Diagnostic], deny_warnings: bool) -> bool {
    diagnostics.iter().any(|d| {
        d.severity == Severity::Error || (deny_warnings && d.severity == Severity::Warning)
    })
}
