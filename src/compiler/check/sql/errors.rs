//! What DuckDB said of a text, as findings.

use std::ops::Range;

use mxcp_base::{Code, Severity, codes, suggest};
use mxcp_catalog::{SqlError, SqlErrorKind, TableRef};

use crate::Db;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::relations::known_relations;
use crate::startup::relation_origin;

/// Turns what DuckDB said into findings, adding what only the project knows: which relations exist.
pub(crate) fn sql_errors(
    db: &dyn Db,
    origin: &TextOrigin,
    errors: &[SqlError],
    missing: &[TableRef],
    findings: &mut Vec<Finding>,
) {
    let at = |range: &Option<Range<u32>>| match range {
        Some(range) => Anchor::inside(origin, range.clone()),
        None => Anchor::origin(origin),
    };
    let mut tables_reported = false;
    for error in errors {
        if error.kind == SqlErrorKind::UnknownTable {
            if !std::mem::replace(&mut tables_reported, true) {
                unknown_tables(db, error, missing, &at, findings);
            }
            continue;
        }
        let name = error.name.as_deref();
        let (code, message): (Code, String) = match (error.kind, name) {
            (SqlErrorKind::Syntax, _) => (codes::MX0201, error.message.clone()),
            (SqlErrorKind::UnknownColumn, Some(name)) => {
                (codes::MX0203, format!("no column `{name}`"))
            }
            (SqlErrorKind::UnknownColumn, None) => (codes::MX0203, error.message.clone()),
            (SqlErrorKind::UnknownFunction, Some(name)) => {
                (codes::MX0204, format!("no function `{name}`"))
            }
            (SqlErrorKind::UnknownType, Some(name))
                if error.message.starts_with("type with name") =>
            {
                (codes::MX0212, format!("no type `{name}`"))
            }
            (SqlErrorKind::UnknownType, _) => (codes::MX0212, error.message.clone()),
            (SqlErrorKind::UnknownFunction, None) => (codes::MX0204, error.message.clone()),
            _ => (codes::MX0205, error.message.clone()),
        };
        let mut finding = Finding::new(code, message, at(&error.range));
        // Candidates may be qualified (`o.amount`); people write the last part.
        let candidates: Vec<&str> = error
            .candidates
            .iter()
            .map(|c| c.rsplit('.').next().unwrap_or(c).trim_matches('"'))
            .collect();
        let best = name
            .map(|n| n.rsplit('.').next().unwrap_or(n))
            .and_then(|n| suggest::nearest(n, candidates.iter().copied()));
        if let Some(best) = best {
            finding = finding.help(format!("did you mean `{best}`?"));
            if let (Some(range), SqlErrorKind::UnknownColumn) = (&error.range, error.kind)
                && name.is_some_and(|n| !n.contains('.'))
                && range.len() == name.map_or(0, str::len)
            {
                finding = finding.fix(format!("change to `{best}`"), at(&error.range), best);
            }
        } else if !candidates.is_empty() {
            let list: Vec<String> = candidates.iter().map(|c| format!("`{c}`")).collect();
            finding = finding.help(format!("there are {}", list.join(", ")));
        }
        findings.push(finding);
    }
}

fn unknown_tables(
    db: &dyn Db,
    error: &SqlError,
    missing: &[TableRef],
    at: &dyn Fn(&Option<Range<u32>>) -> Anchor,
    findings: &mut Vec<Finding>,
) {
    let candidates = known_relations(db);
    let report = |name: &str, range: &Option<Range<u32>>, findings: &mut Vec<Finding>| {
        let mut finding = Finding::new(codes::MX0202, format!("no table `{name}`"), at(range));
        let near = suggest::did_you_mean(name, candidates.iter().map(String::as_str));
        let last = name.rsplit('.').next().unwrap_or(name);
        finding = match (near, relation_origin(db, None, last)) {
            (Some(near), _) => finding.help(near),
            (None, Some(origin)) => {
                finding.severity = Some(Severity::Warning);
                finding.help(format!(
                    "unless `{}` makes it when the server starts",
                    origin.file()
                ))
            }
            (None, None) => finding
                .help("create it with a dbt model or seed, or in the database of the profile"),
        };
        findings.push(finding);
    };
    let ours: Vec<&TableRef> = missing.iter().filter(|t| !is_system(t)).collect();
    if ours.is_empty() {
        let name = error.name.as_deref().unwrap_or("?");
        report(name, &error.range, findings);
    }
    for table in ours {
        let name = match &table.schema {
            Some(schema) if schema != "main" => format!("{schema}.{}", table.name),
            _ => table.name.clone(),
        };
        report(&name, &table.range, findings);
    }
}

// Always there, and never in a snapshot.
fn is_system(table: &TableRef) -> bool {
    matches!(
        table.schema.as_deref(),
        Some("information_schema" | "pg_catalog" | "duckdb")
    ) || table.name.starts_with("duckdb_")
        || table.name.starts_with("sqlite_")
        || table.name.starts_with("pragma_")
}
