//! The output columns of models and seeds.

use std::sync::Arc;

use mxcp_artifact::{Column, SqlType};
use mxcp_base::SourceFile;
use mxcp_syntax::seed::{self, Seed};

use super::cycles::is_on_loop;
use super::described::bind_over_descriptions;
use super::node::{node_config, node_properties, render_model};
use crate::Db;
use crate::documents::{DocumentKind, document_kind};
use crate::relations::RelationSchema;
use crate::sql::{Bound, bind_text};

/// A seed's columns, with configured types in place of inferred ones. Rows are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeedColumns {
    pub columns: Vec<(String, SqlType)>,
    pub delimiter: char,
    pub errors: Vec<mxcp_syntax::SyntaxError>,
}

#[salsa::tracked(returns(ref))]
pub(crate) fn seed_columns(db: &dyn Db, file: SourceFile) -> SeedColumns {
    let config = &node_config(db, file).0;
    let delimiter = config
        .delimiter
        .as_ref()
        .and_then(|d| d.chars().next())
        .unwrap_or(',');
    let seed: Seed = seed::read(file.text(db), delimiter);
    let columns = seed
        .columns
        .iter()
        .map(|column| {
            let configured = config
                .column_types
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&column.name))
                .map(|(_, ty)| SqlType::parse(ty));
            let ty = configured.unwrap_or_else(|| SqlType::parse(column.seed_type.duckdb()));
            (column.name.clone(), ty)
        })
        .collect();
    SeedColumns {
        columns,
        delimiter,
        errors: seed.errors,
    }
}

/// The bound SQL of a model or singular test; `None` when its template did not render.
#[salsa::tracked(returns(as_ref), cycle_result = no_bind)]
pub(crate) fn bind_model(db: &dyn Db, file: SourceFile) -> Option<Bound> {
    let rendered = render_model(db, file);
    if !rendered.problems.is_empty() || is_on_loop(db, file) {
        return None;
    }
    if let Some(reason) = &rendered.dynamic {
        return Some(Bound::Opaque(reason.clone()));
    }
    let (bound, _) = bind_text(db, &rendered.sql, &[]);
    // A source need not be there when the project is built.
    if let Bound::Opaque(_) = bound
        && let Some(columns) = bind_over_descriptions(db, &rendered.sql)
    {
        return Some(Bound::Columns {
            columns,
            single_row: false,
        });
    }
    Some(bound)
}

// The loop itself is reported once, with all its members, by the check.
fn no_bind(_db: &dyn Db, _id: salsa::Id, _file: SourceFile) -> Option<Bound> {
    None
}

/// The columns of the relation that a model or seed makes.
#[salsa::tracked(returns(ref), cycle_result = poisoned)]
pub fn model_schema(db: &dyn Db, file: SourceFile) -> RelationSchema {
    if document_kind(db, file) == DocumentKind::DbtSeed {
        let seed = seed_columns(db, file);
        if !seed.errors.is_empty() {
            return RelationSchema::Poisoned;
        }
        return RelationSchema::Known(
            seed.columns
                .iter()
                .map(|(name, ty)| column(name, ty.clone()))
                .collect(),
        );
    }
    match bind_model(db, file) {
        Some(Bound::Columns { columns, .. }) => {
            RelationSchema::Known(with_contract(db, file, columns))
        }
        Some(Bound::Opaque(reason)) => RelationSchema::Opaque(reason.clone()),
        Some(Bound::Failed { .. } | Bound::Poisoned) | None => RelationSchema::Poisoned,
    }
}

fn poisoned(_db: &dyn Db, _id: salsa::Id, _file: SourceFile) -> RelationSchema {
    RelationSchema::Poisoned
}

// Under an enforced contract the table is created with the declared types.
fn with_contract(db: &dyn Db, file: SourceFile, columns: &[Column]) -> Arc<[Column]> {
    let enforced = node_config(db, file).0.contract_enforced;
    let declared = node_properties(db, file).filter(|_| enforced);
    columns
        .iter()
        .map(|c| {
            let ty = declared
                .and_then(|p| {
                    p.props
                        .columns
                        .iter()
                        .find(|d| d.spec.name.eq_ignore_ascii_case(&c.name))
                })
                .and_then(|d| d.spec.data_type.as_deref())
                .map_or_else(|| c.ty.clone(), SqlType::parse);
            column(&c.name, ty)
        })
        .collect()
}

fn column(name: &str, ty: SqlType) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        nullable: true,
    }
}
