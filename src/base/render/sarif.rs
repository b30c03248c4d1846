//! SARIF 2.1.0, for code-scanning services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Sources;
use crate::{Diagnostic, Location, Severity};

pub(super) fn render(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let rules: Vec<Value> = diagnostics
        .iter()
        .map(|d| d.code)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|code| json!({ "id": code.to_string(), "shortDescription": { "text": code.info().name } }))
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(|d| result(d, sources)).collect();
    let log = json!({
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "mxcp", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

fn result(d: &Diagnostic, sources: &Sources) -> Value {
    let level = match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let text = match &d.help {
        Some(help) => format!("{}; {help}", d.message),
        None => d.message.clone(),
    };
    let related: Vec<Value> = d
        .labels
        .iter()
        .map(|label| {
            let mut place = location(&label.location, sources);
            place["message"] = json!({ "text": label.message });
            place
        })
        .collect();
    let mut out = json!({
        "ruleId": d.code.to_string(),
        "level": level,
        "message": { "text": text },
        "locations": [location(&d.primary, sources)],
    });
    if !related.is_empty() {
        out["relatedLocations"] = related.into();
    }
    out
}

fn location(location: &Location, sources: &Sources) -> Value {
    let uri = if location.file.is_empty() {
        "."
    } else {
        &location.file
    };
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let Some((start, end)) = sources.span(location) {
        physical["region"] = json!({
            "startLine": start.line, "startColumn": start.column,
            "endLine": end.line, "endColumn": end.column,
        });
    }
    json!({ "physicalLocation": physical })
}
