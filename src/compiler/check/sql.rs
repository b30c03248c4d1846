//! SQL of an endpoint: parameters both ways, binding, and the result against `return`.

use std::ops::Range;

use mxcp_base::{Code, Severity, SourceFile, codes, suggest};
use mxcp_catalog::{SqlError, SqlErrorKind, StatementKind, TableRef};

use super::result;
use crate::Db;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;
use crate::relations::known_relations;
use crate::sql::{Bound, SqlText, analyze_sql, bind_endpoint, endpoint_source};
use crate::startup::relation_origin;

pub(super) fn check_sql(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    let Some(Ok((text, origin))) = endpoint_source(db, file) else {
        return;
    };
    let analysis = analyze_sql(db, SqlText::new(db, text.to_string()));
    if analysis.errors.is_empty() && analysis.statements.is_empty() {
        findings.push(
            Finding::new(
                codes::MX0211,
                "there is no SQL here",
                Anchor::origin(origin),
            )
            .help("write a query, or set `enabled: false`"),
        );
        return;
    }
    check_parameters(file, def, text, origin, findings);
    let before_last = analysis.statements.split_last().map_or(&[][..], |(_, s)| s);
    if let [_, second, ..] = analysis.statements.as_slice()
        && analysis.statements.iter().all(|s| !s.effects.writes)
        // `SET VARIABLE` and its like prepare the query after them.
        && before_last.iter().any(|s| s.kind == StatementKind::Select)
    {
        findings.push(
            Finding::new(
                codes::MX0206,
                format!(
                    "there are {} statements here; only the last one's result is returned",
                    analysis.statements.len()
                ),
                Anchor::inside(origin, second.range.clone()),
            )
            .help("remove the statements whose results nobody sees"),
        );
    }
    let Some(endpoint) = bind_endpoint(db, file) else {
        return;
    };
    match &endpoint.bound {
        Bound::Columns { columns, .. } => {
            let items = std::cell::OnceCell::new();
            // Parsed only when there is something to point at.
            let written = |name: &str| {
                let items = items.get_or_init(|| mxcp_syntax::sql::projection(text));
                let item = items
                    .iter()
                    .find(|item| item.name.eq_ignore_ascii_case(name))?;
                let range = u32::from(item.range.start())..u32::from(item.range.end());
                Some((Anchor::inside(origin, range), item.is_empty))
            };
            result::check_result(file, def, columns, &written, findings);
        }
        Bound::Failed { errors, missing } => {
            let before = findings.len();
            if let Some(finding) = template(text, origin, errors) {
                findings.push(finding);
            } else {
                sql_errors(db, origin, errors, missing, findings);
            }
            if matches!(origin, TextOrigin::File(_)) {
                // The mistake is in the SQL file; what breaks is the endpoint.
                for finding in findings.iter_mut().skip(before) {
                    finding.labels.push((
                        Anchor::value(file, def.pointer("source/file")),
                        format!(
                            "{} `{}` runs this SQL",
                            def.kind,
                            def.id().unwrap_or_default()
                        ),
                    ));
                }
            }
        }
        Bound::Opaque(reason) => {
            if def.has_return {
                findings.push(Finding::new(
                    codes::MX0210,
                    format!("the result is not checked against `return`: {reason}"),
                    Anchor::key(file, def.pointer(def.return_key)),
                ));
            }
        }
        Bound::Poisoned => {}
    }
}

/// One finding for a text that is a template and no SQL, which breaks at every tag.
fn template(text: &str, origin: &TextOrigin, errors: &[SqlError]) -> Option<Finding> {
    if !errors.iter().all(|e| e.kind == SqlErrorKind::Syntax) {
        return None;
    }
    let at = text.find("{{").into_iter().chain(text.find("{%")).min()?;
    let start = u32::try_from(at).ok()?;
    Some(
        Finding::new(
            codes::MX0201,
            "the SQL of an endpoint is no template",
            Anchor::inside(origin, start..start + 2),
        )
        .help("write `$name` for a parameter and the name of the table for a model; only dbt models are templates"),
    )
}

fn check_parameters(
    file: SourceFile,
    def: &EndpointDef,
    text: &str,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let used = mxcp_syntax::sql::parameters(text);
    let mut seen: Vec<&str> = Vec::new();
    for parameter in &used {
        let name = parameter.name.as_str();
        if seen.contains(&name) || def.parameters.iter().any(|p| p.name == name) {
            continue;
        }
        seen.push(name);
        let range = u32::from(parameter.range.start())..u32::from(parameter.range.end());
        let anchor = Anchor::inside(origin, range);
        let cased = def
            .parameters
            .iter()
            .find(|p| p.name.eq_ignore_ascii_case(name));
        findings.push(match cased {
            Some(declared) => Finding::new(
                codes::MX0209,
                format!(
                    "`${name}` differs from the parameter `{}` only by case",
                    declared.name
                ),
                anchor.clone(),
            )
            .help(format!("write `${}`", declared.name))
            .fix(
                "spell it as declared",
                anchor,
                format!("${}", declared.name),
            ),
            None if name.is_empty() || name.chars().all(|c| c.is_ascii_digit()) => Finding::new(
                codes::MX0207,
                "positional parameters cannot be bound: parameters have names",
                anchor,
            )
            .help("write `$name` with the name of a declared parameter"),
            None => Finding::new(
                codes::MX0207,
                format!("parameter `${name}` is used but not declared"),
                anchor,
            )
            .help(
                suggest::did_you_mean(name, def.parameters.iter().map(|p| p.name.as_str()))
                    .unwrap_or_else(|| format!("declare `{name}` under `parameters:`")),
            ),
        });
    }
    for parameter in &def.parameters {
        let is_used = used
            .iter()
            .any(|u| u.name.eq_ignore_ascii_case(&parameter.name));
        if !is_used {
            findings.push(
                Finding::new(
                    codes::MX0208,
                    format!(
                        "parameter `{}` is declared but the SQL does not use it",
                        parameter.name
                    ),
                    Anchor::value(
                        file,
                        def.pointer(&format!("parameters/{}/name", parameter.index)),
                    ),
                )
                .help(format!("use `${}` in the SQL or remove it", parameter.name)),
            );
        }
    }
}

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
