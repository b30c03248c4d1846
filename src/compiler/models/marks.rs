//! What property files mark as sensitive: `meta: {sensitive: true}` of a column, also under `config`.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_base::SourceFile;
use serde_json::Value as Json;

use super::index::{properties, property_files, sources};
use super::node::{node_properties, render_model};
use crate::Db;
use crate::dbt::properties::ColumnProps;
use crate::documents::{DocumentKind, document_kind};
use crate::lineage::{Cause, Sensitive};
pub(crate) use crate::surface::source_marks;

/// A column that says whether it is sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ColumnMark {
    /// Folded.
    pub column: String,
    pub sensitive: bool,
    pub file: SourceFile,
    /// Of the column's entry.
    pub pointer: String,
}

fn marked(column: &ColumnProps) -> Option<bool> {
    match column.meta.get("sensitive")? {
        Json::Bool(value) => Some(*value),
        Json::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        _ => None,
    }
}

/// Whether anything is marked at all. Projects without marks pay nothing for the flow.
pub(crate) fn marks_exist(db: &dyn Db) -> bool {
    *crate::surface::marks_are_there(db)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_marks_exist(db: &dyn Db) -> bool {
    property_files(db).iter().any(|file| {
        let entries = &properties(db, *file).0;
        let of_nodes = entries
            .models
            .iter()
            .chain(&entries.seeds)
            .flat_map(|m| &m.columns);
        let of_sources = entries
            .sources
            .iter()
            .flat_map(|s| &s.tables)
            .flat_map(|t| &t.columns);
        of_nodes.chain(of_sources).any(|c| marked(c) == Some(true))
    })
}

/// What the property files say about the columns of a model or seed.
#[salsa::tracked(returns(ref))]
pub(crate) fn column_marks(db: &dyn Db, node: SourceFile) -> Vec<ColumnMark> {
    let Some(all) = node_properties(db, node) else {
        return Vec::new();
    };
    all.props
        .columns
        .iter()
        .filter_map(|column| {
            Some(ColumnMark {
                column: column.spec.name.to_lowercase(),
                sensitive: marked(column)?,
                file: *all.parts.get(column.place.part)?,
                pointer: column.place.pointer.clone(),
            })
        })
        .collect()
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_source_marks(db: &dyn Db) -> BTreeMap<RelationName, Sensitive> {
    let mut found: BTreeMap<RelationName, Sensitive> = BTreeMap::new();
    for file in property_files(db) {
        for source in sources(db, *file) {
            for table in &source.tables {
                let relation = source.relation(table);
                for column in table.columns.iter().filter(|c| marked(c) == Some(true)) {
                    let cause = Cause::Marked {
                        file: *file,
                        pointer: column.place.pointer.clone(),
                    };
                    found
                        .entry(relation.folded())
                        .or_default()
                        .insert(column.spec.name.to_lowercase(), cause);
                }
            }
        }
    }
    found
}

/// The SQL of a model whose template renders.
pub(crate) fn model_sql(db: &dyn Db, file: SourceFile) -> Option<&str> {
    if document_kind(db, file) != DocumentKind::DbtModel {
        return None;
    }
    let rendered = render_model(db, file);
    (rendered.problems.is_empty() && rendered.dynamic.is_none()).then_some(rendered.sql.as_str())
}

/// A range of a model's rendered SQL, in its template.
pub(crate) fn template_range(
    db: &dyn Db,
    file: SourceFile,
    range: std::ops::Range<u32>,
) -> std::ops::Range<u32> {
    crate::dbt::map_to_template(&render_model(db, file).spans, range)
}
