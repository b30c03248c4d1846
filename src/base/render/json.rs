//! The JSON form: `grammar/schema/diagnostics.schema.json`.

use serde_json::{Map, Value, json};

use super::Sources;
use crate::{Diagnostic, Fix, LineColumn, Location};

/// A list of objects; lines and columns count from 1, columns in characters.
pub fn to_json(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    diagnostics.iter().map(|d| one(d, sources)).collect()
}

fn one(d: &Diagnostic, sources: &Sources) -> Value {
    let mut out = Map::new();
    out.insert("code".into(), d.code.to_string().into());
    out.insert("severity".into(), d.severity.as_str().into());
    out.insert("message".into(), d.message.clone().into());
    place(&mut out, &d.primary, sources);
    if let Some(help) = &d.help {
        out.insert("help".into(), help.clone().into());
    }
    if let Some(fix) = &d.fix {
        out.insert("fix".into(), fix_json(fix, sources));
    }
    if !d.labels.is_empty() {
        let related: Vec<Value> = d
            .labels
            .iter()
            .map(|label| {
                let mut out = Map::new();
                out.insert("message".into(), label.message.clone().into());
                place(&mut out, &label.location, sources);
                out.into()
            })
            .collect();
        out.insert("related".into(), related.into());
    }
    out.into()
}

fn place(out: &mut Map<String, Value>, location: &Location, sources: &Sources) {
    out.insert("file".into(), location.file.clone().into());
    // What is said of a whole file stands at its beginning, where an editor opens it.
    let span = sources.span(location).or_else(|| {
        let start = LineColumn { line: 1, column: 1 };
        sources.has(&location.file).then_some((start, start))
    });
    if let Some((start, end)) = span {
        out.insert("line".into(), start.line.into());
        out.insert("column".into(), start.column.into());
        out.insert("end_line".into(), end.line.into());
        out.insert("end_column".into(), end.column.into());
    }
}

fn fix_json(fix: &Fix, sources: &Sources) -> Value {
    let edits: Vec<Value> = fix
        .edits
        .iter()
        .map(|edit| {
            let mut out = Map::new();
            place(&mut out, &edit.location, sources);
            out.insert("text".into(), edit.text.clone().into());
            out.into()
        })
        .collect();
    json!({ "title": fix.title, "edits": edits })
}
