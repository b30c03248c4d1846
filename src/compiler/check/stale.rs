//! Tables that are still in the database although the project no longer builds them.

use mxcp_artifact::RelationName;
use mxcp_base::{SourceFile, codes};

use crate::Db;
use crate::finding::{Anchor, Finding};
use crate::models::unbuilt_model;
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::sql::{SqlText, analyze_sql, sql_source};

pub(super) fn check_stale(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let Some(source) = sql_source(db, file) else {
        return;
    };
    let analysis = analyze_sql(db, SqlText::new(db, source.text.to_string()));
    for table in analysis.statements.iter().flat_map(|s| &s.relations) {
        let name = RelationName {
            catalog: table.catalog.clone(),
            schema: table.schema.clone().unwrap_or_else(|| "main".into()),
            name: table.name.clone(),
        };
        let key = RelationKey::new(db, name.folded());
        let Some((model, why)) = unbuilt_model(db, key) else {
            continue;
        };
        // Without a database the table is unknown, which is said elsewhere.
        if !matches!(relation_schema(db, key), RelationSchema::Known(_)) {
            continue;
        }
        let anchor = match &table.range {
            Some(range) => Anchor::inside(&source.origin, range.clone()),
            None => Anchor::origin(&source.origin),
        };
        findings.push(
            Finding::new(
                codes::MX0429,
                format!("dbt no longer builds `{name}`: its model is {why}"),
                anchor,
            )
            .label(
                Anchor::text(model, mxcp_base::TextRange::empty(0.into())),
                "the model",
            )
            .help("read another relation, or let dbt build this one again"),
        );
    }
}
