//! `mxcp list`: the endpoints of the project. Opens no database.

use mxcp_artifact::EndpointKind;
use mxcp_base::Severity;
use mxcp_compiler::diagnostics::shape_diagnostics;
use mxcp_compiler::documents::{endpoint_def, endpoint_files};
use serde_json::{Value, json};

use super::output;
use super::session::Session;
use super::{CLEAN, FAILED};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Profile to use instead of the site file's own
    #[arg(long)]
    profile: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json_output: bool,
    /// Accepted for compatibility
    #[arg(long)]
    debug: bool,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Entry {
    path: String,
    kind: Option<EndpointKind>,
    name: String,
    description: Option<String>,
    error: Option<String>,
}

pub(crate) fn run(args: &Args) -> u8 {
    let session = match Session::open_sources(args.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(args.json_output, &failure),
    };
    if let Err(failure) = session.check_site() {
        return output::fail(args.json_output, &failure);
    }
    let entries = session.remembered("list", || entries(&session));
    let failed = entries.iter().any(|e| e.error.is_some());
    if args.json_output {
        let endpoints: Vec<Value> = entries
            .iter()
            .map(|e| {
                json!({
                    "path": session.root.join(&e.path),
                    "kind": e.kind.map_or("unknown", EndpointKind::as_str),
                    "name": e.name,
                    "error": e.error.as_deref().unwrap_or(""),
                })
            })
            .collect();
        output::print_ok(&json!({
            "status": if failed { "error" } else { "ok" },
            "endpoints": endpoints,
        }));
    } else {
        output::print(&human(&entries));
    }
    if failed { FAILED } else { CLEAN }
}

/// Only what keeps a file from being an endpoint counts here; `mxcp validate` checks the rest.
fn entries(session: &Session) -> Vec<Entry> {
    let db = &session.db;
    let mut entries = Vec::new();
    for file in endpoint_files(db) {
        let def = endpoint_def(db, *file);
        if def.is_some_and(|d| !d.enabled) {
            continue;
        }
        let shape = shape_diagnostics(db, *file);
        let errors = shape.iter().filter(|d| d.severity == Severity::Error);
        let error = output::first_message(errors);
        // A file of another kind is none of ours.
        if def.is_none() && error.is_none() {
            continue;
        }
        let usable = def.filter(|_| error.is_none());
        entries.push(Entry {
            path: file.path(db).to_owned(),
            kind: usable.map(|d| d.kind),
            name: usable.and_then(|d| d.id()).unwrap_or("unknown").to_owned(),
            description: usable.and_then(|d| d.description.clone()),
            error,
        });
    }
    entries
}

fn human(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "No endpoints found\n  Add a file to tools/, resources/ or prompts/, or start with `mxcp init --bootstrap`\n".into();
    }
    let mut out = String::new();
    for kind in EndpointKind::ALL {
        let mut of_kind: Vec<&Entry> = entries.iter().filter(|e| e.kind == Some(kind)).collect();
        if of_kind.is_empty() {
            continue;
        }
        of_kind.sort_by(|a, b| a.name.cmp(&b.name));
        let mut title = kind.directory().to_owned();
        title[..1].make_ascii_uppercase();
        out.push_str(&format!("{title}:\n"));
        let width = of_kind
            .iter()
            .map(|e| e.name.chars().count())
            .max()
            .unwrap_or(0);
        for e in of_kind {
            let description = e.description.as_deref().unwrap_or("").trim();
            let line = description.lines().next().unwrap_or("");
            out.push_str(&format!(
                "  ✓ {:width$}  {}{}{line}\n",
                e.name,
                e.path,
                if line.is_empty() { "" } else { "  " },
            ));
        }
    }
    let failed: Vec<&Entry> = entries.iter().filter(|e| e.error.is_some()).collect();
    if !failed.is_empty() {
        out.push_str("Failed:\n");
        for e in failed {
            out.push_str(&format!(
                "  ✗ {}: {}\n",
                e.path,
                e.error.as_deref().unwrap_or("")
            ));
        }
    }
    out
}
