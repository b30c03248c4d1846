//! The lines of a run, as dbt prints them; on a terminal a bar shows what is running.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use mxcp_artifact::dbt::NodeSpec;
use mxcp_dbt::{
    FreshnessResult, FreshnessStatus, Moment, NodeResult, Observer, Resource, Status, Summary,
};
use serde_json::json;

use super::cli::Args;
use crate::commands::output;

/// Where lines go.
#[derive(Clone)]
pub(super) struct Log {
    quiet: bool,
    json: bool,
    /// The results are printed as one JSON document instead.
    silent: bool,
    pub(super) color: bool,
}

impl Log {
    pub(super) fn new(args: &Args) -> Self {
        Self {
            quiet: args.quiet,
            json: args.log_format == "json",
            silent: args.json_output,
            color: output::stdout_color() && args.log_format != "json",
        }
    }

    pub(super) fn line(&self, text: &str) {
        if !self.quiet {
            self.write("info", text);
        }
    }

    pub(super) fn error(&self, text: &str) {
        self.write("error", text);
    }

    fn write(&self, level: &str, text: &str) {
        if self.silent {
            return;
        }
        let now = Moment::now();
        if self.json {
            let line = json!({"info": {"level": level, "msg": text, "ts": now.stamp()}});
            output::print(&format!("{line}\n"));
        } else {
            output::print(&format!("{}  {text}\n", now.clock()));
        }
    }

    fn paint(&self, text: &str, style: &str) -> String {
        if self.color {
            format!("\u{1b}[{style}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

pub(super) struct Progress {
    pub(super) log: Log,
    pub(super) bar: ProgressBar,
    /// How nodes are called, by unique id.
    described: BTreeMap<String, String>,
    hooks: bool,
}

impl Progress {
    pub(super) fn new(log: Log) -> Self {
        let bar = if log.silent || log.quiet || log.json || !std::io::stderr().is_terminal() {
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
            log,
            bar,
            described: BTreeMap::new(),
            hooks: false,
        }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| self.log.line(text));
    }

    fn row(&self, index: usize, total: usize, what: &str, end: &str) {
        self.say(&row(index, total, what, end));
    }
}

/// `1 of 2 OK … ....... [OK in 0.02s]`, in dbt's width.
fn row(index: usize, total: usize, what: &str, end: &str) -> String {
    let mut text = format!("{index} of {total} {what} ");
    while text.chars().count() < 80 {
        text.push('.');
    }
    format!("{text} [{end}]")
}

/// How dbt calls a node while it runs.
fn describe(item: Resource<'_>) -> String {
    let relation = item
        .relation()
        .map(|relation| format!("{}.{}", relation.schema, relation.name));
    let relation = relation.unwrap_or_else(|| item.name().to_owned());
    match item {
        Resource::Node(node) => match &node.spec {
            NodeSpec::Seed(_) => format!("seed file {relation}"),
            NodeSpec::Model(model) => {
                let language = if model.python.is_some() {
                    "python"
                } else {
                    "sql"
                };
                format!("{language} {} model {relation}", item.materialized())
            }
            NodeSpec::Snapshot(_) => format!("snapshot {relation}"),
            NodeSpec::Test(_) => format!("test {}", node.name),
            NodeSpec::Analysis => format!("analysis {}", node.name),
            NodeSpec::UnitTest(unit) => {
                let model = unit.model.rsplit('.').next().unwrap_or_default();
                format!("unit_test {model}::{}", node.name)
            }
        },
        Resource::Source(source) => format!("freshness of {}.{}", source.source, source.name),
        Resource::Exposure(exposure) => format!("{} {}", item.kind(), exposure.name),
    }
}

impl Observer for Progress {
    fn started(&mut self, index: usize, total: usize, item: Resource<'_>) {
        let what = describe(item);
        self.bar.set_length(total as u64);
        self.bar.set_message(item.name().to_owned());
        if !matches!(item, Resource::Exposure(_)) {
            self.row(index, total, &format!("START {what}"), "RUN");
        }
        self.described.insert(item.unique_id().to_owned(), what);
    }

    fn finished(&mut self, index: usize, total: usize, result: &NodeResult) {
        self.bar.inc(1);
        let what = self
            .described
            .get(&result.unique_id)
            .cloned()
            .unwrap_or_else(|| result.name.clone());
        let bare = |prefix: &str| what.strip_prefix(prefix).unwrap_or(&what).to_owned();
        let seconds = result.seconds;
        let failures = result.failures.unwrap_or(0);
        let is_test = matches!(result.kind, "test" | "unit_test");
        let name = if result.kind == "unit_test" {
            bare("unit_test ")
        } else {
            bare("test ")
        };
        let verb = match result.kind {
            "seed" => ["loaded", "loading"],
            "snapshot" => ["snapshotted", "snapshotting"],
            _ => ["created", "creating"],
        };
        let what = if result.kind == "snapshot" {
            bare("snapshot ")
        } else {
            what.clone()
        };
        let message = result.message.clone().unwrap_or_else(|| "OK".into());
        let (text, end, style) = match result.status {
            Status::Pass => (format!("PASS {name}"), "PASS".to_owned(), GREEN),
            Status::Warn => (
                format!("WARN {failures} {name}"),
                format!("WARN {failures}"),
                YELLOW,
            ),
            Status::Fail => (
                format!("FAIL {failures} {name}"),
                format!("FAIL {failures}"),
                RED,
            ),
            Status::Error if is_test => (format!("ERROR {name}"), "ERROR".into(), RED),
            Status::Error => (format!("ERROR {} {what}", verb[1]), "ERROR".into(), RED),
            Status::Success => (format!("OK {} {what}", verb[0]), message, GREEN),
            Status::PartialSuccess => (format!("OK {} {what}", verb[0]), message, YELLOW),
            Status::NoOp => (format!("NO-OP {what}"), "NO-OP".into(), YELLOW),
            Status::Skipped => {
                let kind = match result.kind {
                    "model" | "seed" | "snapshot" => "relation",
                    other => other,
                };
                let name = match &result.relation {
                    Some(relation) if kind == "relation" => relation.replace('"', ""),
                    _ => result.name.clone(),
                };
                let end = self.log.paint("SKIP", YELLOW);
                self.row(index, total, &format!("SKIP {kind} {name}"), &end);
                return;
            }
        };
        let end = format!("{} in {seconds:.2}s", self.log.paint(&end, style));
        self.row(index, total, &text, &end);
    }

    fn note(&mut self, line: &str) {
        self.say(line);
    }

    fn hook_started(&mut self, index: usize, total: usize, name: &str) {
        self.hooks = true;
        self.row(index, total, &format!("START hook: {name}"), "RUN");
    }

    fn hook_finished(&mut self, index: usize, total: usize, result: &NodeResult) {
        let (word, style) = match result.status {
            Status::Success => ("OK", GREEN),
            Status::Skipped => ("SKIP", YELLOW),
            _ => ("ERROR", RED),
        };
        let end = format!("{} in {:.2}s", self.log.paint(word, style), result.seconds);
        self.row(index, total, &format!("{word} hook: {}", result.name), &end);
    }

    fn between(&mut self) {
        if self.hooks {
            self.say("");
        }
    }

    fn freshness(&mut self, index: usize, total: usize, result: &FreshnessResult) {
        let (word, style) = match result.status {
            FreshnessStatus::Pass => ("PASS", GREEN),
            FreshnessStatus::Warn => ("WARN", YELLOW),
            FreshnessStatus::Error => ("ERROR STALE", RED),
            FreshnessStatus::RuntimeError => ("ERROR", RED),
        };
        let end = format!("{} in {:.2}s", self.log.paint(word, style), result.seconds);
        self.row(
            index,
            total,
            &format!("{word} freshness of {}.{}", result.source, result.name),
            &end,
        );
    }
}

/// What follows the last node: counts by kind, failures with their reasons, the totals.
pub(super) fn conclude(
    log: &Log,
    summary: &Summary,
    kinds: &BTreeMap<String, String>,
    compiled: &dyn Fn(&NodeResult) -> Option<String>,
) {
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for result in &summary.results {
        let kind = kinds
            .get(&result.unique_id)
            .cloned()
            .unwrap_or_else(|| "project hook".into());
        *tally.entry(kind).or_default() += 1;
    }
    let parts: Vec<String> = tally
        .iter()
        .map(|(kind, n)| format!("{n} {kind}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    let whole = summary.seconds;
    log.line("");
    log.line(&format!(
        "Finished running {} in {} hours {} minutes and {:.2} seconds ({whole:.2}s).",
        parts.join(", "),
        (whole / 3600.0) as u64,
        (whole / 60.0) as u64 % 60,
        whole % 60.0
    ));
    log.line("");
    let counts = summary.counts();
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    if counts.error + counts.partial == 0 && counts.warn == 0 {
        log.line(&log.paint("Completed successfully", GREEN));
    } else {
        let partial = if counts.partial == 1 {
            "1 partial success".to_owned()
        } else {
            format!("{} partial successes", counts.partial)
        };
        let text = format!(
            "Completed with {}, {partial}, and {}:",
            plural(counts.error, "error"),
            plural(counts.warn, "warning")
        );
        let style = if counts.error > 0 { RED } else { YELLOW };
        log.line(&log.paint(&text, style));
    }
    for result in &summary.results {
        let word = match result.status {
            Status::Error | Status::Fail => "Failure",
            Status::PartialSuccess => "Partial success",
            Status::Warn => "Warning",
            _ => continue,
        };
        let style = if word == "Failure" { RED } else { YELLOW };
        log.error("");
        log.error(&log.paint(
            &format!(
                "{word} in {} {} ({})",
                result.kind, result.name, result.path
            ),
            style,
        ));
        let message = result.message.as_deref().unwrap_or_default();
        log.error(&format!("  {}", failure_text(result, message)));
        if let Some(path) = compiled(result) {
            log.error("");
            log.error(&format!("  compiled code at {path}"));
        }
    }
    log.line("");
    log.line(&format!(
        "Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP={} TOTAL={}",
        counts.pass, counts.warn, counts.error, counts.skip, counts.no_op, counts.total
    ));
}

/// dbt's form of a message: what failed, then why, indented.
pub(super) fn failure_text(result: &NodeResult, message: &str) -> String {
    if result.status != Status::Error {
        return message.to_owned();
    }
    format!(
        "Runtime Error in {} {} ({})\n  {}",
        result.kind,
        result.name,
        result.path,
        message.trim_end().replace('\n', "\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_with_dots() {
        assert_eq!(
            row(1, 15, "START seed file main.raw", "RUN"),
            "1 of 15 START seed file main.raw ............................................... [RUN]"
        );
    }
}
