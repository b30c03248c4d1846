//! Sources that the database does not have yet, as their property files describe them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_artifact::{Column, Relation, RelationKind, RelationName, SqlType};
use mxcp_catalog::{BindOutcome, BindRequest};

use super::index::{property_files, sources};
use crate::Db;
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::sql::{BindKey, SqlText, analyze_sql, bind_query};
pub(crate) use crate::surface::described_sources;

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_described_sources(
    db: &dyn Db,
) -> BTreeMap<RelationName, Option<Arc<[Column]>>> {
    let mut found = BTreeMap::new();
    for file in property_files(db) {
        for source in sources(db, *file) {
            for table in &source.tables {
                let name = source.relation(table);
                let columns: Option<Vec<Column>> = table
                    .columns
                    .iter()
                    .map(|column| {
                        let ty = SqlType::parse(column.spec.data_type.as_deref()?);
                        (!matches!(ty, SqlType::Other(_))).then(|| Column {
                            name: column.spec.name.clone(),
                            ty,
                            nullable: true,
                        })
                    })
                    .collect();
                let columns = columns.filter(|c| !c.is_empty()).map(Arc::from);
                found.entry(name.folded()).or_insert(columns);
            }
        }
    }
    found
}

/// The columns of a query over described sources. `None` when the descriptions do not suffice: they may be
/// incomplete, so nothing is an error here.
pub(super) fn bind_over_descriptions(db: &dyn Db, sql: &str) -> Option<Vec<Column>> {
    let analysis = analyze_sql(db, SqlText::new(db, sql.to_owned()));
    let mut relations = BTreeMap::new();
    for table in analysis.statements.iter().flat_map(|s| &s.relations) {
        let name = RelationName {
            catalog: table.catalog.clone(),
            schema: table.schema.clone().unwrap_or_else(|| "main".into()),
            name: table.name.clone(),
        };
        let columns = match relation_schema(db, RelationKey::new(db, name.folded())) {
            RelationSchema::Known(columns) => columns.clone(),
            _ => described_sources(db).get(&name.folded())?.clone()?,
        };
        let relation = Relation {
            name: name.clone(),
            kind: RelationKind::Table,
            columns: columns.to_vec(),
        };
        relations.entry(name.folded()).or_insert(relation);
    }
    let request = BindRequest {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        relations: relations.into_values().collect(),
        functions: Vec::new(),
    };
    match bind_query(db, BindKey::new(db, request)) {
        BindOutcome::Bound { columns } => Some(columns.clone()),
        BindOutcome::Failed(_) | BindOutcome::Opaque { .. } => None,
    }
}
