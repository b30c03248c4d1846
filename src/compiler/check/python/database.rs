//! SQL in Python: constant texts given to `db.execute` are bound like those of endpoints.

use std::collections::BTreeSet;

use mxcp_artifact::SqlType;
use mxcp_base::{Severity, SourceFile, codes, suggest};
use mxcp_catalog::SqlErrorKind;
use mxcp_syntax::python::{Execute, Module, Params};
use mxcp_syntax::sql::ParameterKind;

use crate::Db;
use crate::check::sql::sql_errors;
use crate::finding::{Anchor, Finding, Place, TextOrigin};
use crate::sql::{Bound, SqlText, analyze_sql, bind_text};
use crate::startup;

pub(super) fn check(db: &dyn Db, file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    for (i, execute) in module.facts.executes.iter().enumerate() {
        let text = execute.sql.value.as_str();
        let analysis = analyze_sql(db, SqlText::new(db, text.to_owned()));
        if analysis.errors.is_empty() && analysis.statements.len() == 1 {
            check_parameters(file, execute, findings);
        }
        let columns = check_text(db, file, execute, findings);
        let Some(columns) = columns.filter(|c| !c.is_empty()) else {
            continue;
        };
        let mut seen = BTreeSet::new();
        for read in module.facts.columns.iter().filter(|r| r.execute == i) {
            if columns.contains(&read.name) || !seen.insert(read.range.start()) {
                continue;
            }
            let names = columns.iter().map(String::as_str);
            let listed: Vec<String> = columns.iter().map(|c| format!("`{c}`")).collect();
            let mut finding = Finding::new(
                codes::MX0517,
                format!("the query has no column `{}`", read.name),
                Anchor::text(file, read.range),
            )
            .label(Anchor::text(file, execute.sql.range), "this query")
            .help(
                suggest::did_you_mean(&read.name, names)
                    .unwrap_or_else(|| format!("its columns are {}", listed.join(", "))),
            );
            if execute.guarded {
                finding.severity = Some(Severity::Warning);
            }
            findings.push(finding);
        }
    }
}

/// Reports what DuckDB says of a text, and gives the names of its columns when they are known.
fn check_text(
    db: &dyn Db,
    file: SourceFile,
    execute: &Execute,
    findings: &mut Vec<Finding>,
) -> Option<Vec<String>> {
    let text = execute.sql.value.as_str();
    let mut names: Vec<String> = Vec::new();
    for parameter in mxcp_syntax::sql::parameters(text) {
        if !names.contains(&parameter.name) {
            names.push(parameter.name);
        }
    }
    // Values have the type they have when they are given.
    let untyped: Vec<(String, Option<SqlType>)> =
        names.iter().map(|name| (name.clone(), None)).collect();
    let (errors, missing) = match bind_text(db, text, &untyped).0 {
        Bound::Columns { columns, .. } => {
            return Some(columns.into_iter().map(|c| c.name).collect());
        }
        Bound::Opaque(_) if !names.is_empty() => {
            let null: Vec<(String, Option<SqlType>)> = names
                .into_iter()
                .map(|name| (name, Some(SqlType::Null)))
                .collect();
            return match bind_text(db, text, &null).0 {
                Bound::Columns { columns, .. } => {
                    Some(columns.into_iter().map(|c| c.name).collect())
                }
                _ => None,
            };
        }
        Bound::Failed { errors, missing } => (errors, missing),
        Bound::Opaque(_) | Bound::Poisoned => return None,
    };
    // Code makes tables too, and what reads them is known when it runs.
    let made = missing
        .iter()
        .any(|table| startup::made_by_any_code(db, table.catalog.as_deref(), &table.name));
    if made {
        return None;
    }
    let mut found = Vec::new();
    sql_errors(db, &TextOrigin::File(file), &errors, &missing, &mut found);
    let doubtful = execute.guarded
        || (errors.iter().any(|e| e.kind == SqlErrorKind::UnknownTable)
            && startup::makes_other_relations(db, file));
    for mut finding in found {
        if doubtful {
            finding.severity = Some(Severity::Warning);
        }
        place(file, execute, &mut finding);
        findings.push(finding);
    }
    None
}

/// Moves a finding from the text of the SQL to the file.
fn place(file: SourceFile, execute: &Execute, finding: &mut Finding) {
    let moved = |anchor: &Anchor| match &anchor.place {
        Place::Text(range) => Anchor::text(
            file,
            execute.sql.place(range.start().into(), range.end().into()),
        ),
        _ => Anchor::text(file, execute.sql.range),
    };
    finding.anchor = moved(&finding.anchor);
    for (anchor, _) in &mut finding.labels {
        *anchor = moved(anchor);
    }
    if let Some(fix) = &mut finding.fix {
        fix.anchor = moved(&fix.anchor);
    }
}

fn check_parameters(file: SourceFile, execute: &Execute, findings: &mut Vec<Finding>) {
    let used = mxcp_syntax::sql::parameters(&execute.sql.value);
    let report = |range, message: String, help: &str| {
        Finding::new(codes::MX0514, message, Anchor::text(file, range)).help(help)
    };
    let place = |p: &mxcp_syntax::sql::Parameter| {
        execute
            .sql
            .place(p.range.start().into(), p.range.end().into())
    };
    let written = |p: &mxcp_syntax::sql::Parameter| &execute.sql.value[p.range];
    let mut distinct: Vec<&mxcp_syntax::sql::Parameter> = Vec::new();
    for parameter in &used {
        if !distinct
            .iter()
            .any(|known| known.name.eq_ignore_ascii_case(&parameter.name))
        {
            distinct.push(parameter);
        }
    }
    match &execute.params {
        Params::Unknown => {}
        Params::None => {
            for parameter in distinct {
                findings.push(report(
                    place(parameter),
                    format!("`{}` gets no value", written(parameter)),
                    "give `db.execute` a second argument: a dict for `$name`, a list for `?`",
                ));
            }
        }
        Params::Named(keys) => {
            for parameter in &distinct {
                if !keys
                    .iter()
                    .any(|(key, _)| key.eq_ignore_ascii_case(&parameter.name))
                {
                    findings.push(
                        report(
                            place(parameter),
                            format!("`{}` gets no value", written(parameter)),
                            "add it to the dict",
                        )
                        .help_if(suggest::did_you_mean(
                            &parameter.name,
                            keys.iter().map(|(key, _)| key.as_str()),
                        )),
                    );
                }
            }
            for (key, range) in keys {
                if !distinct.iter().any(|p| p.name.eq_ignore_ascii_case(key)) {
                    findings.push(report(
                        *range,
                        format!("the SQL does not use `{key}`"),
                        "write `$name` in the SQL, or remove the value",
                    ));
                }
            }
        }
        Params::Positional(count) => {
            if let Some(named) = used.iter().find(|p| p.kind == ParameterKind::Named) {
                findings.push(report(
                    place(named),
                    format!("`{}` gets no value from a list", written(named)),
                    "give a dict, or write `?`",
                ));
                return;
            }
            let needed = used
                .iter()
                .filter_map(|p| p.name.parse::<usize>().ok())
                .max()
                .unwrap_or(0);
            if needed != *count {
                findings.push(report(
                    execute.range,
                    format!("the SQL has {needed} parameters, but {count} values are given"),
                    "give one value for each",
                ));
            }
        }
    }
}
