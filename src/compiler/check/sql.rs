//! SQL of an endpoint: parameters both ways, binding, and the result against `return`.

use mxcp_base::{SourceFile, codes};
use mxcp_catalog::{SqlError, SqlErrorKind, Statement, StatementKind};

use super::result;
use crate::Db;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;
use crate::sql::{Bound, SqlText, analyze_sql, bind_endpoint, endpoint_source};

mod conflicts;
mod effects;
mod errors;
mod parameters;
mod texts;
mod unused;
mod uses;

pub(crate) use errors::sql_errors;
pub(super) use uses::column_type;

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
                match origin {
                    // A place in the file, so that it has a line.
                    TextOrigin::File(_) => Anchor::inside(origin, 0..u32::from(!text.is_empty())),
                    TextOrigin::Scalar(..) => Anchor::origin(origin),
                },
            )
            .help("write a query, or set `enabled: false`"),
        );
        return;
    }
    parameters::check_parameters(file, def, text, origin, findings);
    effects::check_effects(db, file, def, text, &analysis.statements, origin, findings);
    let before_last = analysis.statements.split_last().map_or(&[][..], |(_, s)| s);
    let only_reads = analysis.statements.iter().all(|s| !s.effects.writes);
    // `SET VARIABLE` and its like prepare the query after them; what has effects has a purpose.
    let lost = before_last.iter().position(|s| {
        let has_effects = s.effects.writes || s.effects.volatile || s.effects.external;
        s.kind == StatementKind::Select && (only_reads || !has_effects)
    });
    if let Some(lost) = lost
        && let Some(second) = analysis
            .statements
            .get(if only_reads { 1 } else { lost + 1 })
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
    uses::check_uses(
        db,
        def,
        &analysis.statements,
        &endpoint.bound,
        origin,
        findings,
    );
    for statement in &analysis.statements {
        texts::check_choices(file, def, statement, origin, findings);
        if !matches!(endpoint.bound, Bound::Failed { .. }) {
            conflicts::check_conflicts(db, statement, origin, findings);
        }
    }
    match &endpoint.bound {
        Bound::Columns {
            columns,
            single_row,
        } => {
            if let [statement] = analysis.statements.as_slice() {
                texts::check_texts(db, statement, origin, findings);
                unused::check_unused(db, file, text, statement, origin, findings);
                if !single_row {
                    result::rows::check_rows(db, file, def, statement, findings);
                }
                result::values::check_values(db, file, def, columns, statement, origin, findings);
            }
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

/// Whether a statement certainly changes data or definitions that outlive it.
fn changes(statement: &Statement, text: &str) -> bool {
    let temporary = || {
        let range = statement.range.start as usize..statement.range.end as usize;
        text.get(range).is_some_and(|t| {
            t.split_whitespace()
                .take(4)
                .any(|w| w.eq_ignore_ascii_case("temp") || w.eq_ignore_ascii_case("temporary"))
        })
    };
    match &statement.kind {
        StatementKind::Insert
        | StatementKind::Update
        | StatementKind::Delete
        | StatementKind::Drop
        | StatementKind::Copy
        | StatementKind::Alter => true,
        StatementKind::Create => !temporary(),
        StatementKind::Select => !statement.details.changes.is_empty(),
        StatementKind::Other(word) => word == "MERGE",
        _ => false,
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
