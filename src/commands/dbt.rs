//! `mxcp dbt`: builds the dbt layer in the profile's database.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mxcp_artifact::dbt::Node;
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_base::render::Format;
use mxcp_base::{Code, Severity, codes};
use mxcp_dbt::{Command, Helpers, NodeResult, Observer, Options, Status, Summary};
use serde_json::json;

use super::output::{self, Failure};
use super::session::Session;
use super::{CLEAN, FAILED, USAGE};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Sub,
    /// Profile to use instead of the site file's own
    #[arg(long, global = true)]
    profile: Option<String>,
    /// Print the results as JSON
    #[arg(long, global = true)]
    json_output: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Load the seeds
    Seed(Selection),
    /// Materialise the models
    Run(Selection),
    /// Run the data tests
    Test(Selection),
    /// Seeds, models and tests in dependency order
    Build(Selection),
    /// List the selected nodes
    #[command(visible_alias = "list")]
    Ls(Selection),
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// Nodes to include: names, `+name`, `name+`, `tag:x`, `path:models/x`, …
    #[arg(short = 's', long = "select", visible_alias = "models", num_args = 1..)]
    select: Vec<String>,
    /// Nodes to leave out
    #[arg(long, num_args = 1..)]
    exclude: Vec<String>,
    /// Rebuild from nothing
    #[arg(short = 'f', long)]
    full_refresh: bool,
    /// Stop at the first failure
    #[arg(short = 'x', long)]
    fail_fast: bool,
    /// How many nodes may run at once
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

pub(crate) fn run(args: &Args) -> u8 {
    let session = match Session::open(args.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(args.json_output, &failure),
    };
    if let Some(code) = refuse_broken(&session, args.json_output) {
        return code;
    }
    if !args.json_output {
        tell_passed_over(&session);
    }
    let Some(manifest) = session.manifest() else {
        return output::fail(args.json_output, &Failure::new("there is nothing to build"));
    };
    let graph = &manifest.dbt;
    if graph.nodes.is_empty() {
        return output::fail(
            args.json_output,
            &Failure::new("this project has no dbt models, seeds or tests").help(
                "add dbt_project.yml and models/, or remove `dbt: {enabled: false}` from mxcp-site.yml",
            ),
        );
    }
    let (command, selection) = match &args.command {
        Sub::Seed(s) => (Some(Command::Seed), s),
        Sub::Run(s) => (Some(Command::Run), s),
        Sub::Test(s) => (Some(Command::Test), s),
        Sub::Build(s) => (Some(Command::Build), s),
        Sub::Ls(s) => (None, s),
    };
    let Some(command) = command else {
        return match mxcp_dbt::select::select(graph, &selection.select, &selection.exclude) {
            Ok(nodes) => list(&nodes, args.json_output),
            Err(error) => usage(args.json_output, &error.to_string()),
        };
    };
    let options = Options {
        root: session.root.clone(),
        database: session.database(),
        selection: mxcp_dbt::Selection {
            select: selection.select.clone(),
            exclude: selection.exclude.clone(),
        },
        facts: RunFacts {
            full_refresh: selection.full_refresh,
            which: command.as_str().to_owned(),
            ..RunFacts::default()
        },
        fail_fast: selection.fail_fast,
        threads: selection.threads,
        ..Options::default()
    };
    if let Some(parent) = options.database.parent()
        && let Err(e) = std::fs::create_dir_all(parent)
    {
        let failure = Failure::new(format!("{} cannot be created: {e}", parent.display()));
        return output::fail(args.json_output, &failure);
    }
    let mut progress = Progress::new(args.json_output);
    let summary = mxcp_dbt::run(graph, command, &options, Helpers::default(), &mut progress);
    progress.bar.finish_and_clear();
    match summary {
        Ok(summary) => report(&summary, args.json_output),
        Err(error @ mxcp_dbt::RunError::Selector { .. }) => {
            usage(args.json_output, &error.to_string())
        }
        Err(error) => output::fail(args.json_output, &Failure::new(error.to_string())),
    }
}

fn usage(json: bool, message: &str) -> u8 {
    output::fail(json, &Failure::new(message));
    USAGE
}

// What cannot be compiled cannot be run. Errors of the SQL itself are left to the engine, which
// knows the live database best.
fn refuse_broken(session: &Session, json: bool) -> Option<u8> {
    let errors: Vec<_> = session
        .diagnostics()
        .into_iter()
        .filter(|d| d.severity == Severity::Error && d.code.to_string().starts_with("MX04"))
        .collect();
    let message = output::first_message(&errors)?;
    if json {
        return Some(output::fail(true, &Failure::new(message)));
    }
    output::eprint(&output::render_diagnostics(
        &errors,
        &session.sources(),
        Format::Graphical,
        std::io::stderr().is_terminal(),
    ));
    output::eprint("Error: the dbt project has errors; nothing was run\n");
    Some(FAILED)
}

// What dbt builds and this does not: models left out silently would look built.
fn tell_passed_over(session: &Session) {
    let passed_over: Vec<_> = session
        .diagnostics()
        .into_iter()
        .filter(|d| d.severity == Severity::Info && passes_over(d.code))
        .collect();
    if !passed_over.is_empty() {
        output::eprint(&output::render_diagnostics(
            &passed_over,
            &session.sources(),
            Format::Graphical,
            std::io::stderr().is_terminal(),
        ));
    }
}

fn passes_over(code: Code) -> bool {
    [
        codes::MX0401,
        codes::MX0409,
        codes::MX0412,
        codes::MX0413,
        codes::MX0420,
    ]
    .contains(&code)
}

fn list(nodes: &[&Node], json: bool) -> u8 {
    if json {
        let ids: Vec<&str> = nodes.iter().map(|n| n.unique_id.as_str()).collect();
        output::print_ok(&json!(ids));
    } else {
        let text: String = nodes
            .iter()
            .map(|n| format!("{}\n", n.fqn.join(".")))
            .collect();
        output::print(&text);
    }
    CLEAN
}

/// Prints a line per finished node; on a terminal a bar shows what is running.
struct Progress {
    bar: ProgressBar,
    quiet: bool,
    color: bool,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        };
        Self {
            bar,
            quiet,
            color: output::stdout_color(),
        }
    }
}

impl Observer for Progress {
    fn started(&mut self, _index: usize, total: usize, node: &Node) {
        self.bar.set_length(total as u64);
        self.bar.set_message(node.name.clone());
    }

    fn finished(&mut self, index: usize, total: usize, result: &NodeResult) {
        self.bar.inc(1);
        if self.quiet {
            return;
        }
        let line = result_line(index, total, result, self.color);
        self.bar.suspend(|| output::print(&line));
    }
}

fn result_line(index: usize, total: usize, result: &NodeResult, color: bool) -> String {
    let (word, style) = match result.status {
        Status::Success => ("OK", "\u{1b}[32m"),
        Status::Pass => ("PASS", "\u{1b}[32m"),
        Status::Warn => ("WARN", "\u{1b}[33m"),
        Status::Error => ("ERROR", "\u{1b}[31m"),
        Status::Fail => ("FAIL", "\u{1b}[31m"),
        Status::Skipped => ("SKIP", "\u{1b}[33m"),
        Status::PartialSuccess => ("PARTIAL", "\u{1b}[33m"),
        Status::NoOp => ("NO-OP", "\u{1b}[32m"),
    };
    let (on, off) = if color {
        (style, "\u{1b}[0m")
    } else {
        ("", "")
    };
    let mut line = format!(
        "{index:>3} of {total} {on}{word:<5}{off} {} {} in {:.2}s\n",
        result.kind.as_str(),
        result.name,
        result.seconds
    );
    let bad = matches!(result.status, Status::Error | Status::Fail | Status::Warn);
    if let Some(message) = result.message.as_ref().filter(|_| bad) {
        for text in message.lines() {
            line.push_str(&format!("      {text}\n"));
        }
    }
    line
}

fn report(summary: &Summary, json: bool) -> u8 {
    let counts = summary.counts();
    if json {
        output::print_ok(&json!({
            "status": if summary.exit_code() == 0 { "ok" } else { "error" },
            "results": summary.results,
            "elapsed_time": summary.seconds,
        }));
    } else if summary.is_empty() {
        output::print("The selection criterion matches no nodes; nothing was done\n");
    } else {
        output::print(&format!(
            "{}\nDone. PASS={} WARN={} ERROR={} SKIP={} TOTAL={} in {:.2}s\n",
            if summary.exit_code() == 0 {
                "Completed successfully"
            } else {
                "Completed with errors"
            },
            counts.pass,
            counts.warn,
            counts.error,
            counts.skip,
            counts.total,
            summary.seconds
        ));
    }
    summary.exit_code()
}
