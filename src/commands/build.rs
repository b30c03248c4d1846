//! `mxcp build`: checks the project and writes the manifest and the lock.

use std::io::IsTerminal as _;
use std::time::Instant;

use mxcp_artifact::lock::LOCK_PATH;
use mxcp_artifact::manifest::MANIFEST_PATH;
use mxcp_artifact::{EndpointKind, Lock, Manifest};
use mxcp_base::render::{summary, to_json};
use mxcp_base::{Severity, System as _};
use serde_json::json;

use super::output::{self, Failure};
use super::session::Session;
use super::validate::FormatArg;
use super::{CLEAN, FAILED, watching};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Profile to use instead of the site file's own
    #[arg(long)]
    profile: Option<String>,
    /// Fail when the lock would change
    #[arg(long)]
    locked: bool,
    /// Exit with 1 on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Print the result as JSON; with --watch one object per revision, each in a line
    #[arg(long, visible_alias = "json")]
    json_output: bool,
    /// How to print diagnostics
    #[arg(long, value_enum, default_value = "graphical")]
    format: FormatArg,
    #[command(flatten)]
    watching: watching::Watching,
}

pub(crate) fn run(args: &Args) -> u8 {
    if args.watching.is_on() {
        return watching::run(&watching::Job {
            command: "build",
            args: &args.watching,
            profile: args.profile.as_deref(),
            json: args.json_output,
            format: args.format.format(),
            least: Severity::Warning,
            deny_warnings: args.deny_warnings,
            only: None,
            build: Some(args.locked),
        });
    }
    let started = Instant::now();
    let session = match Session::open(args.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(args.json_output, &failure),
    };
    let diagnostics = session.diagnostics();
    let sources = session.sources();
    let failed = watching::is_failure(&diagnostics, args.deny_warnings);
    if !args.json_output {
        let shown: Vec<_> = diagnostics
            .iter()
            .filter(|d| d.severity != Severity::Info)
            .cloned()
            .collect();
        output::eprint(&output::render_diagnostics(
            &shown,
            &sources,
            args.format.format(),
            std::io::stderr().is_terminal(),
        ));
    }
    if failed {
        if args.json_output {
            output::print_ok(&json!({
                "status": "error",
                "diagnostics": to_json(&diagnostics, &sources),
            }));
        } else {
            output::print(&format!(
                "✗ Not built: {}; the last manifest was left as it is\n",
                summary(&diagnostics)
            ));
        }
        return FAILED;
    }
    let written = session
        .manifest()
        .ok_or_else(|| Failure::new("there is nothing to build"))
        .and_then(|manifest| write(&session, &manifest, args.locked).map(|lock| (manifest, lock)));
    let (manifest, lock_changed) = match written {
        Ok(written) => written,
        Err(failure) => return output::fail(args.json_output, &failure),
    };
    if args.json_output {
        output::print_ok(&json!({
            "status": "ok",
            "manifest": MANIFEST_PATH,
            "lock": LOCK_PATH,
            "lock_changed": lock_changed,
            "endpoints": manifest.endpoints.len(),
            "diagnostics": to_json(&diagnostics, &sources),
        }));
    } else {
        output::print(&report(&manifest, lock_changed, started));
    }
    CLEAN
}

/// Writes both files; returns whether the lock changed. Nothing is written when `locked` forbids it.
pub(super) fn write(session: &Session, manifest: &Manifest, locked: bool) -> Result<bool, Failure> {
    Ok(write_files(session, manifest, locked, true)?.lock_changed)
}

/// What writing did.
pub(super) struct Written {
    pub(super) manifest_changed: bool,
    pub(super) lock_changed: bool,
}

/// [`write`], where a manifest that is there already is left alone unless `always` says otherwise.
pub(super) fn write_files(
    session: &Session,
    manifest: &Manifest,
    locked: bool,
    always: bool,
) -> Result<Written, Failure> {
    let there = |path: &str| std::fs::read_to_string(session.root.join(path)).ok();
    let lock = lock_text(&manifest.lock())?;
    let old = there(LOCK_PATH);
    let lock_changed = old.as_deref() != Some(lock.as_str());
    if locked && lock_changed {
        return Err(Failure::new(match old {
            Some(_) => format!("{LOCK_PATH} does not match the sources"),
            None => format!("there is no {LOCK_PATH}"),
        })
        .help("run `mxcp build` without `--locked`, review the change and commit it"));
    }
    let text = manifest
        .to_json()
        .map_err(|e| Failure::new(format!("the manifest cannot be written: {e}")))?;
    let manifest_changed = always || there(MANIFEST_PATH).as_deref() != Some(text.as_str());
    let io = |path: &str, e: std::io::Error| Failure::new(format!("{path} cannot be written: {e}"));
    for (path, text, changed) in [
        (MANIFEST_PATH, &text, manifest_changed),
        (LOCK_PATH, &lock, lock_changed),
    ] {
        if changed {
            session.system.write(path, text).map_err(|e| io(path, e))?;
        }
    }
    Ok(Written {
        manifest_changed,
        lock_changed,
    })
}

pub(super) fn lock_text(lock: &Lock) -> Result<String, Failure> {
    let body = serde_yaml::to_string(lock)
        .map_err(|e| Failure::new(format!("the lock cannot be written: {e}")))?;
    Ok(format!(
        "# Written by `mxcp build`. Commit it: a change here is a change of what clients see.\n{body}"
    ))
}

fn report(manifest: &Manifest, lock_changed: bool, started: Instant) -> String {
    let count = |kind| manifest.endpoints.iter().filter(|e| e.kind == kind).count();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    format!(
        "✓ Built {}, {}, {} and {} in {} ms\n  manifest  {MANIFEST_PATH}\n  lock      {LOCK_PATH} ({})\n",
        plural(count(EndpointKind::Tool), "tool"),
        plural(count(EndpointKind::Resource), "resource"),
        plural(count(EndpointKind::Prompt), "prompt"),
        plural(manifest.dbt.nodes.len(), "dbt node"),
        started.elapsed().as_millis(),
        if lock_changed { "changed" } else { "unchanged" },
    )
}
