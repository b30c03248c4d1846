//! `mxcp validate [FILE]`: checks and reports; runs nothing, and writes nothing but `.mxcp/cache`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use mxcp_base::render::{Format, summary, to_json};
use mxcp_base::{Diagnostic, FileSet, Severity, paths};
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def};
use serde_json::{Value, json};

use super::output::{self, Failure};
use super::session::Session;
use super::{CLEAN, FAILED, watching};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of the project; everything is checked without it
    file: Option<String>,
    /// Profile to use instead of the site file's own
    #[arg(long)]
    profile: Option<String>,
    /// Print the result as JSON; with --watch one object per revision, each in a line
    #[arg(long, visible_alias = "json")]
    json_output: bool,
    /// How to print diagnostics
    #[arg(long, value_enum, default_value = "graphical")]
    format: FormatArg,
    /// Show diagnostics of at least this severity [default: warning; info in JSON and SARIF]
    #[arg(long, value_enum)]
    severity: Option<SeverityArg>,
    /// Apply the fixes that are certain, where the result still checks
    #[arg(long, conflicts_with = "watch")]
    fix: bool,
    /// Exit with 1 on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Accepted for compatibility
    #[arg(long)]
    debug: bool,
    /// Accepted for compatibility: checking never writes
    #[arg(long)]
    readonly: bool,
    #[command(flatten)]
    watching: watching::Watching,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum FormatArg {
    Graphical,
    Concise,
    Json,
    Sarif,
    Github,
}

impl FormatArg {
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Graphical => Format::Graphical,
            Self::Concise => Format::Concise,
            Self::Json => Format::Json,
            Self::Sarif => Format::Sarif,
            Self::Github => Format::Github,
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SeverityArg {
    #[value(alias = "all")]
    Info,
    Warning,
    Error,
}

pub(crate) fn run(args: &Args) -> u8 {
    // Machines get everything; people get what needs them.
    let least = match (args.severity, args.format) {
        (Some(SeverityArg::Info), _) | (None, FormatArg::Json | FormatArg::Sarif) => Severity::Info,
        (Some(SeverityArg::Error), _) => Severity::Error,
        (Some(SeverityArg::Warning) | None, _) => Severity::Warning,
    };
    if args.watching.is_on() {
        return watching::run(&watching::Job {
            command: "validate",
            args: &args.watching,
            profile: args.profile.as_deref(),
            json: args.json_output,
            format: args.format.format(),
            least,
            deny_warnings: args.deny_warnings,
            only: args.file.as_deref(),
            build: None,
        });
    }
    let mut session = match Session::open(args.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(args.json_output, &failure),
    };
    let only = match args.file.as_deref().map(|f| project_path(&session, f)) {
        Some(Ok(path)) => Some(path),
        Some(Err(failure)) if args.json_output => {
            output::print_ok(&json!({
                "status": "error",
                "path": args.file,
                "message": failure.message,
            }));
            return FAILED;
        }
        Some(Err(failure)) => return output::fail(false, &failure),
        None => None,
    };
    if args.fix {
        let wanted = |session: &Session, d: &Diagnostic| {
            only.as_deref()
                .is_none_or(|only| concerns(d, only, session))
        };
        match super::fix::apply(&mut session, &wanted) {
            Ok(fixed) => report_fixes(&fixed),
            Err(failure) => return output::fail(args.json_output, &failure),
        }
    }
    let mut diagnostics = session.diagnostics();
    if let Some(only) = &only {
        diagnostics.retain(|d| concerns(d, only, &session));
    }
    let failed = watching::is_failure(&diagnostics, args.deny_warnings);
    if args.json_output {
        output::print_ok(&result(&session, &diagnostics, only.as_deref()));
    } else {
        let hidden = diagnostics.len();
        diagnostics.retain(|d| d.severity <= least);
        let hidden = hidden - diagnostics.len();
        print_human(&session, &diagnostics, only.as_deref(), hidden, args);
    }
    if failed { FAILED } else { CLEAN }
}

// On standard error: the diagnostics alone are the output.
fn report_fixes(fixed: &super::fix::Fixed) {
    for (file, title) in &fixed.applied {
        output::eprint(&format!("fixed {file}: {title}\n"));
    }
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "es" });
    output::eprint(&format!(
        "{} applied; {} written\n",
        count(fixed.applied.len(), "fix"),
        match fixed.files.len() {
            1 => "1 file".to_owned(),
            n => format!("{n} files"),
        }
    ));
}

/// The project path of an argument, which is relative to the current directory or to the root.
pub(super) fn project_path(session: &Session, argument: &str) -> Result<String, Failure> {
    let files = FileSet::get(&session.db).files(&session.db);
    let absolute = std::path::absolute(argument).unwrap_or_else(|_| argument.into());
    let candidates = [
        absolute.strip_prefix(&session.root).ok().map(slashes),
        paths::resolve("", argument),
    ];
    for candidate in candidates.into_iter().flatten() {
        if files.contains_key(&candidate) {
            return Ok(candidate);
        }
    }
    // `mxcp validate my_tool`: a name is as good as its file.
    let (kind, name) = match argument.split_once('/') {
        Some((kind @ ("tool" | "resource" | "prompt"), name)) => (Some(kind), name),
        _ => (None, argument),
    };
    for (path, file) in files {
        if let Some(def) = endpoint_def(&session.db, *file)
            && def.id() == Some(name)
            && kind.is_none_or(|k| k == def.kind.as_str())
        {
            return Ok(path.clone());
        }
    }
    Err(Failure::new(format!(
        "Endpoint file not found or not a valid endpoint: {argument}"
    ))
    .help("give a file of the project, e.g. `tools/my_tool.yml`, or the name of an endpoint"))
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

// A file's own diagnostics, and those of the SQL or Python file behind it.
pub(super) fn concerns(d: &Diagnostic, path: &str, session: &Session) -> bool {
    if d.primary.file == path {
        return true;
    }
    let Some(file) = session.db.file(path) else {
        return false;
    };
    mxcp_compiler::diagnostics::file_diagnostics(&session.db, file).contains(d)
}

fn endpoint_paths(session: &Session) -> Vec<String> {
    let db = &session.db;
    let files = FileSet::get(db).files(db).iter();
    files
        .filter(|(_, file)| {
            matches!(document_kind(db, **file), DocumentKind::Endpoint(_))
                && endpoint_def(db, **file).is_some_and(|d| d.enabled)
        })
        .map(|(path, _)| path.clone())
        .collect()
}

/// What each file to report on has to say: endpoints always, other files when something is wrong.
fn by_file<'a>(
    session: &Session,
    diagnostics: &'a [Diagnostic],
    only: Option<&str>,
) -> BTreeMap<String, Vec<&'a Diagnostic>> {
    let mut map: BTreeMap<String, Vec<&Diagnostic>> = BTreeMap::new();
    for path in session.remembered("endpoint paths", || endpoint_paths(session)) {
        if only.is_none_or(|o| o == path) {
            map.insert(path, Vec::new());
        }
    }
    for d in diagnostics {
        // Notes about files that are no endpoints are shown, but do not make them results.
        if d.severity == Severity::Error || map.contains_key(&d.primary.file) {
            map.entry(d.primary.file.clone()).or_default().push(d);
        }
    }
    map
}

fn result(session: &Session, diagnostics: &[Diagnostic], only: Option<&str>) -> Value {
    let sources = session.sources();
    let all = to_json(diagnostics, &sources);
    let files = by_file(session, diagnostics, only);
    let entry = |path: &str, found: &[&Diagnostic]| {
        let message = output::first_message(found.iter().copied());
        let mut value = json!({
            "status": if message.is_some() { "error" } else { "ok" },
            "path": path,
        });
        if let Some(message) = message {
            value["message"] = message.into();
        }
        value
    };
    if let Some(only) = only {
        let found: Vec<&Diagnostic> = files.values().flatten().copied().collect();
        let mut value = entry(only, &found);
        value["diagnostics"] = all;
        return value;
    }
    let validated: Vec<Value> = files.iter().map(|(p, found)| entry(p, found)).collect();
    let failed = diagnostics.iter().any(|d| d.severity == Severity::Error);
    json!({
        "status": if failed { "error" } else { "ok" },
        "validated": validated,
        "diagnostics": all,
    })
}

fn print_human(
    session: &Session,
    diagnostics: &[Diagnostic],
    only: Option<&str>,
    hidden: usize,
    args: &Args,
) {
    let sources = session.sources();
    let format = args.format.format();
    let text = output::render_diagnostics(
        diagnostics,
        &sources,
        format,
        std::io::stdout().is_terminal(),
    );
    output::print(&text);
    if !matches!(format, Format::Graphical | Format::Concise) {
        return;
    }
    let files = by_file(session, diagnostics, only);
    let checked = files.len();
    let failed = files
        .values()
        .filter(|found| found.iter().any(|d| d.severity == Severity::Error))
        .count();
    output::print(&format!(
        "{} Checked {checked} file{}: {}\n",
        if failed > 0 { "✗" } else { "✓" },
        if checked == 1 { "" } else { "s" },
        summary(diagnostics),
    ));
    if let Some(first) = diagnostics.first() {
        output::print(&format!("  `mxcp explain {}` says more\n", first.code));
    }
    let fixable = diagnostics.iter().filter(|d| d.fix.is_some()).count();
    if fixable > 0 {
        output::print(&format!(
            "  {fixable} can be mended with `mxcp validate --fix`\n"
        ));
    }
    if hidden > 0 {
        output::print(&format!(
            "  {hidden} more below this severity; `--severity info` shows all\n"
        ));
    }
}
