//! What commands print: JSON envelopes, error messages, terminal facts.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;

use mxcp_base::render::{Format, Options, Sources, render};
use mxcp_base::{Diagnostic, Severity};
use serde_json::{Value, json};

use super::FAILED;

static KEPT: OnceLock<File> = OnceLock::new();

/// Keeps standard output for what the command prints, before it runs a project's code: native code
/// and child processes write to descriptor 1 too, and get standard error there.
pub(crate) fn keep_stdout() {
    if KEPT.get().is_none()
        && let Ok(file) = mxcp_python::take_stdout()
    {
        let _ = KEPT.set(file);
    }
}

/// A message for people, with what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// What `--debug` adds: the kind of error and where it came from.
    pub(crate) detail: Option<Detail>,
}

#[derive(Clone, Debug)]
pub(crate) struct Detail {
    pub(crate) kind: String,
    pub(crate) traceback: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            detail: None,
        }
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Sends the program's log to standard error. The protocol library stays at errors: below that it
/// writes whole requests, arguments included.
pub(crate) fn log_to_stderr(debug: bool) {
    let level = if debug { "debug" } else { "warn" };
    let filter = std::env::var("MXCP_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = format!("{filter},rmcp=error,salsa=warn");
    // A second call finds the first one's subscriber in place, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

/// Colours only where a person looks and has not asked for none.
pub(crate) fn color(terminal: bool) -> bool {
    terminal
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

pub(crate) fn stdout_color() -> bool {
    color(match KEPT.get() {
        Some(file) => file.is_terminal(),
        None => std::io::stdout().is_terminal(),
    })
}

/// `{"status": "ok", "result": …}` on standard output.
pub(crate) fn print_ok(result: &Value) {
    print_json(&json!({ "status": "ok", "result": result }));
}

pub(crate) fn print_json(value: &Value) {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    print(&text);
}

/// Writes to standard output; a reader that went away is no error of ours.
pub(crate) fn print(text: &str) {
    if let Some(mut file) = KEPT.get() {
        let _ = file.write_all(text.as_bytes());
        return;
    }
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes to standard output, for a command that ends when nobody reads it.
pub(crate) fn try_print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(crate) fn eprint(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}

/// Reports a failed command in the form asked for and returns the exit code.
pub(crate) fn fail(json: bool, failure: &Failure) -> u8 {
    if json {
        let mut envelope = json!({ "status": "error", "error": failure.message });
        if let Some(detail) = &failure.detail {
            envelope["traceback"] = detail.traceback.clone().into();
            envelope["type"] = detail.kind.clone().into();
        }
        print_json(&envelope);
    } else {
        eprint(&format!("Error: {}\n", failure.message));
        if let Some(detail) = &failure.detail {
            eprint(&indented(&detail.traceback));
        }
    }
    // Beside the envelope, whose form is fixed.
    if let Some(help) = &failure.help {
        eprint(&format!("  help: {help}\n"));
    }
    FAILED
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Renders diagnostics for the terminal at hand.
pub(crate) fn render_diagnostics(
    diagnostics: &[Diagnostic],
    sources: &Sources,
    format: Format,
    terminal: bool,
) -> String {
    let options = Options {
        format,
        color: color(terminal),
        width: terminal_width(),
    };
    render(diagnostics, sources, options)
}

fn terminal_width() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|c| c.parse().ok())
        .unwrap_or(100)
}

/// How many lines the terminal of standard output has.
pub(crate) fn terminal_height() -> Option<usize> {
    let (_, terminal_size::Height(rows)) = terminal_size::terminal_size()?;
    Some(usize::from(rows))
}

/// The worst message of a file in one line, for the compact envelopes.
pub(crate) fn first_message<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
) -> Option<String> {
    let mut errors = diagnostics
        .into_iter()
        .filter(|d| d.severity == Severity::Error);
    let first = errors.next()?;
    let rest = errors.count();
    let mut text = first.message.clone();
    if let Some(help) = &first.help {
        text.push_str("; ");
        text.push_str(help);
    }
    if rest > 0 {
        text.push_str(&format!(" (and {rest} more)"));
    }
    Some(text)
}
