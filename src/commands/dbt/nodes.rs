//! `seed`, `run`, `snapshot`, `test`, `build` and `retry`: runs of nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_dbt::{Command, Interrupt, Options, RunError, State};
use serde_json::{Value, json};

use super::artifacts::Writer;
use super::cli::{Args, Running};
use super::graph_json;
use super::open::Opened;
use super::progress::{self, Log, Progress};
use super::{run_error, usage};
use crate::commands::output::{self, Failure};
use crate::commands::{CLEAN, FAILED};

pub(super) fn run(args: &Args, opened: &Opened, command: Command, running: &Running) -> u8 {
    match opened.running(args, command.as_str(), running) {
        Ok(options) => execute(args, opened, command, &options),
        Err(failure) => usage(args, &failure),
    }
}

fn execute(args: &Args, opened: &Opened, command: Command, options: &Options) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let log = Log::new(args);
    if !args.json_output && !args.quiet {
        opened.tell_passed_over();
    }
    let graph = opened.graph();
    log.line(&found(opened));
    log.line("");
    log.line(&format!(
        "Concurrency: {} threads (target='{}')",
        options.threads,
        opened
            .target
            .as_ref()
            .map_or(opened.session.profile.as_str(), |target| &target.name)
    ));
    log.line("");
    let writer = Writer::new(args, opened);
    writer.manifest();
    interrupt_on_signal(Arc::clone(&options.interrupt));
    let mut observer = Progress::new(log.clone());
    let summary = mxcp_dbt::run(graph, command, options, opened.helpers(), &mut observer);
    observer.bar.finish_and_clear();
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => return run_error(args, &error),
    };
    for warning in &summary.warnings {
        log.line(warning);
    }
    if !args.json_output && !args.quiet {
        // What the engine refused may be told at its place in the template.
        let failed = summary
            .results
            .iter()
            .filter(|result| matches!(result.status, mxcp_dbt::Status::Error));
        let patches = &opened.ecosystem().patches;
        let files = failed.flat_map(|result| {
            let patch = patches.get(&result.unique_id).map(String::as_str);
            [Some(result.path.as_str()), patch].into_iter().flatten()
        });
        opened.tell_broken(&files.collect());
    }
    for result in &summary.results {
        if let Some(node) = graph.get(&result.unique_id)
            && result.status != mxcp_dbt::Status::Skipped
        {
            writer.sql(node, &result.compiled_sql, true);
        }
    }
    writer.results(&summary, options);
    if args.json_output {
        output::print_ok(&json!({
            "status": if summary.exit_code() == 0 { "ok" } else { "error" },
            "results": summary.results,
            "elapsed_time": summary.seconds,
        }));
        return summary.exit_code();
    }
    if summary.is_empty() {
        log.line("Nothing to do. Try checking your model configs and model specification args");
        return CLEAN;
    }
    let kinds: BTreeMap<String, String> = graph_json::resources(graph)
        .map(|resource| {
            let kind = match resource.kind() {
                "model" => format!("{} model", resource.materialized()),
                "test" => "data test".to_owned(),
                "unit_test" => "unit test".to_owned(),
                other => other.to_owned(),
            };
            (resource.unique_id().to_owned(), kind)
        })
        .collect();
    progress::conclude(&log, &summary, &kinds, &|result| {
        writer.compiled_path(result)
    });
    if options.interrupt.fired() {
        log.error("The run was interrupted: what was running was undone, and what had not begun was skipped");
        return FAILED;
    }
    summary.exit_code()
}

/// `Found 3 models, 2 seeds, …`
fn found(opened: &Opened) -> String {
    let graph = opened.graph();
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for resource in graph_json::resources(graph) {
        let kind = match resource.kind() {
            "test" => "data test",
            "unit_test" => "unit test",
            "semantic_model" => "semantic model",
            "saved_query" => "saved query",
            other => other,
        };
        *tally.entry(kind).or_default() += 1;
    }
    let hooks = graph.hooks().len();
    if hooks > 0 {
        tally.insert("operation", hooks);
    }
    let macros = opened.ecosystem().macros.len();
    if macros > 0 {
        tally.insert("macro", macros);
    }
    let parts: Vec<String> = tally
        .iter()
        .map(|(kind, n)| format!("{n} {kind}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    format!("Found {}", parts.join(", "))
}

/// The first signal ends the run in good order, a second one at once.
pub(super) fn interrupt_on_signal(interrupt: Arc<Interrupt>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            interrupt.fire();
            output::eprint("interrupted: stopping; press again to leave at once\n");
            if tokio::signal::ctrl_c().await.is_ok() {
                crate::commands::exit(130);
            }
        });
    });
}

/// Runs what failed or was skipped according to the last `run_results.json`.
pub(super) fn retry(args: &Args, opened: &Opened, running: &Running) -> u8 {
    let folder = match &running.selection.state {
        Some(folder) => opened.root().join(folder),
        None => opened.target_dir.clone(),
    };
    let state = match State::read(&folder) {
        Ok(state) => state,
        Err(error) => return run_error(args, &error),
    };
    let Some(results) = state.results else {
        let failure = Failure::new(format!(
            "there is no run_results.json in {}; nothing can be retried",
            folder.display()
        ));
        return usage(args, &failure);
    };
    let command = match results["args"]["which"].as_str() {
        Some("seed") => Command::Seed,
        Some("run") => Command::Run,
        Some("snapshot") => Command::Snapshot,
        Some("test") => Command::Test,
        _ => Command::Build,
    };
    let again: Vec<String> = results["results"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|result| {
            [
                "error",
                "fail",
                "skipped",
                "partial success",
                "runtime error",
            ]
            .contains(&result["status"].as_str().unwrap_or_default())
        })
        .filter_map(|result| result["unique_id"].as_str())
        .filter(|id| !id.starts_with("operation."))
        .map(str::to_owned)
        .collect();
    if again.is_empty() {
        Log::new(args).line("Nothing to do: the last run had no failures");
        return CLEAN;
    }
    let mut options = match opened.running(args, command.as_str(), running) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    options.facts.full_refresh |= results["args"]["full_refresh"].as_bool() == Some(true);
    options.selection = mxcp_dbt::Selection {
        select: vec!["result:retry".into()],
        indirect: mxcp_dbt::Indirect::Empty,
        state: State {
            results: Some(json!({
                "results": again
                    .iter()
                    .map(|id| json!({"unique_id": id, "status": "retry"}))
                    .collect::<Vec<Value>>(),
            })),
            ..State::default()
        },
        ..mxcp_dbt::Selection::default()
    };
    execute(args, opened, command, &options)
}

/// For the commands that only look: nothing is selected is no failure.
pub(super) fn selected<'o>(
    opened: &'o Opened,
    options: &Options,
) -> Result<mxcp_dbt::select::Selected<'o>, RunError> {
    mxcp_dbt::select::select(opened.graph(), &options.selection)
}
