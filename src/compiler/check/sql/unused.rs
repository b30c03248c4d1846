//! Common table expressions that nothing reads. DuckDB never binds them, so a mistake inside stays
//! unseen until somebody uses them.

use mxcp_base::{Severity, SourceFile};
use mxcp_catalog::Statement;

use super::errors::sql_errors;
use crate::Db;
use crate::finding::{Finding, TextOrigin};
use crate::sql::{Bound, bind_text, sql_source, used_parameters};

pub(super) fn check_unused(
    db: &dyn Db,
    file: SourceFile,
    text: &str,
    statement: &Statement,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let Some(source) = sql_source(db, file) else {
        return;
    };
    for cte in &statement.details.unused {
        let Some(definition) = text.get(..cte.until as usize) else {
            continue;
        };
        // Everything up to the definition keeps its place.
        let probe = format!(
            "{definition} SELECT * FROM \"{}\"",
            cte.name.replace('"', "\"\"")
        );
        let (bound, _) = bind_text(db, &probe, &used_parameters(source));
        let Bound::Failed { errors, missing } = bound else {
            continue;
        };
        let before = findings.len();
        sql_errors(db, origin, &errors, &missing, findings);
        for finding in findings.iter_mut().skip(before) {
            finding.severity = Some(Severity::Warning);
            finding.message = format!(
                "{} (`{}` is not used, and DuckDB does not look into it until it is)",
                finding.message, cte.name
            );
        }
    }
}
