//! `completion:` of parameters: a query that can be asked, or a column to take the values from.

use mxcp_base::{SourceFile, codes};
use mxcp_catalog::StatementKind;

use super::sql::sql_errors;
use crate::Db;
use crate::completion::{derived, parameters};
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lineage::{of_text, sensitive_source};
use crate::lower::endpoint::{CompletionDef, EndpointDef, ParameterDef};
use crate::sql::{Bound, SqlText, analyze_sql, bind_text};

pub(super) fn check_completions(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    for parameter in &def.parameters {
        let pointer = def.pointer(&format!("parameters/{}/completion", parameter.index));
        match &parameter.completion {
            Some(CompletionDef::Sql(text)) => {
                let origin = TextOrigin::Scalar(file, pointer);
                check_query(db, def, text, &origin, findings);
            }
            Some(CompletionDef::Column) if derived(db, file, def, parameter).is_none() => {
                findings.push(nothing_to_offer(parameter, Anchor::value(file, pointer)));
            }
            _ => {}
        }
    }
}

fn nothing_to_offer(parameter: &ParameterDef, at: Anchor) -> Finding {
    let name = &parameter.name;
    let why = match &parameter.ty {
        Some(ty) if ty.allowed.is_some() => "its `enum` is offered",
        _ => "no column that may be shown is compared with it",
    };
    Finding::new(
        codes::MX0825,
        format!("there is nothing to take values of `{name}` from: {why}"),
        at,
    )
    .help("write a query of one column, or leave the key out")
}

fn check_query(
    db: &dyn Db,
    def: &EndpointDef,
    text: &str,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let analysis = analyze_sql(db, SqlText::new(db, text.to_owned()));
    if !analysis.errors.is_empty() {
        return sql_errors(db, origin, &analysis.errors, &[], findings);
    }
    let offers_nothing = |message: String| {
        Finding::new(codes::MX0825, message, Anchor::origin(origin))
            .help("write one query of one column that only reads the database")
    };
    match analysis.statements.as_slice() {
        [one] if one.kind == StatementKind::Select && !one.effects.writes => {
            if one.effects.external {
                findings.push(offers_nothing(
                    "values to offer cannot come from files or the network".into(),
                ));
                return;
            }
        }
        _ => return findings.push(offers_nothing("this is not one query".into())),
    }
    let used = parameters(def, text);
    for parameter in mxcp_syntax::sql::parameters(text) {
        let same = |p: &ParameterDef| p.name.eq_ignore_ascii_case(&parameter.name);
        if !def.parameters.iter().any(same) {
            let range = u32::from(parameter.range.start())..u32::from(parameter.range.end());
            findings.push(
                Finding::new(
                    codes::MX0825,
                    format!("there is no parameter `{}`", parameter.name),
                    Anchor::inside(origin, range),
                )
                .help(
                    "use parameters of this endpoint; what was typed is looked for in the values",
                ),
            );
            return;
        }
    }
    match bind_text(db, text, &used).0 {
        Bound::Failed { errors, missing } => sql_errors(db, origin, &errors, &missing, findings),
        Bound::Columns { columns, .. } if columns.len() != 1 => findings.push(offers_nothing(
            format!("this query has {} columns", columns.len()),
        )),
        Bound::Columns { .. } => {
            let lineage = of_text(db, text);
            let shown = lineage.columns.first();
            if let Some((source, _)) = shown.and_then(|column| sensitive_source(db, column)) {
                findings.push(
                    Finding::new(
                        codes::MX0825,
                        format!(
                            "the column `{}` of `{}` is sensitive and is not offered",
                            source.column, source.relation
                        ),
                        Anchor::origin(origin),
                    )
                    .help("offer another column, or none"),
                );
            }
        }
        Bound::Opaque(_) | Bound::Poisoned => {}
    }
}
