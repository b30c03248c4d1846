//! Where columns come from: which columns of which relations one can see in a model or an endpoint, and
//! which columns of a relation are sensitive because of that.
//!
//! One relation is one query, so a change stops where the columns stay the same. What the SQL does not
//! tell is left out.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_base::SourceFile;
pub use mxcp_catalog::{How, Lineage, OutputColumn, SourceColumn};

use crate::Db;
use crate::models::{column_marks, marks_exist, model_for_relation, model_sql, source_marks};
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::sql::{SqlText, analyze_sql, sql_source};

fn of_text(db: &dyn Db, sql: &str) -> Lineage {
    db.binder().lineage(sql, &|relation| match relation_schema(
        db,
        RelationKey::new(db, relation.clone()),
    ) {
        RelationSchema::Known(columns) => {
            Some(columns.iter().map(|column| column.name.clone()).collect())
        }
        _ => None,
    })
}

/// The result columns of a model, places being those of its rendered SQL.
#[salsa::tracked(returns(ref), cycle_result = no_lineage)]
pub fn model_lineage(db: &dyn Db, file: SourceFile) -> Lineage {
    match model_sql(db, file) {
        Some(sql) => of_text(db, sql),
        None => Lineage::default(),
    }
}

fn no_lineage(_db: &dyn Db, _id: salsa::Id, _file: SourceFile) -> Lineage {
    Lineage::default()
}

/// The result columns of an SQL endpoint.
#[salsa::tracked(returns(ref))]
pub fn endpoint_lineage(db: &dyn Db, file: SourceFile) -> Lineage {
    match sql_source(db, file) {
        Some(source) => of_text(db, &source.text),
        None => Lineage::default(),
    }
}

/// Why a column is sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// `meta: {sensitive: true}`, at a pointer of a property file.
    Marked { file: SourceFile, pointer: String },
    /// It shows another column that is.
    From { source: SourceColumn, how: How },
}

/// The sensitive columns of a relation by their folded names.
pub type Sensitive = BTreeMap<String, Cause>;

#[salsa::tracked(returns(ref), cycle_result = none_sensitive)]
pub fn sensitive_columns<'db>(db: &'db dyn Db, key: RelationKey<'db>) -> Sensitive {
    if !marks_exist(db) {
        return Sensitive::new();
    }
    let Some(file) = model_for_relation(db, key) else {
        let marks = source_marks(db).get(&key.name(db).folded());
        return marks.cloned().unwrap_or_default();
    };
    let mut found = Sensitive::new();
    let mut cleared = Vec::new();
    for mark in column_marks(db, file) {
        if mark.sensitive {
            found.insert(
                mark.column.clone(),
                Cause::Marked {
                    file: mark.file,
                    pointer: mark.pointer.clone(),
                },
            );
        } else {
            // Somebody looked at it: what a model declares as not sensitive ends the flow.
            cleared.push(&mark.column);
        }
    }
    let reads_sensitive = model_sql(db, file).is_some_and(|sql| reads_sensitive(db, sql));
    if !reads_sensitive {
        return found;
    }
    for column in &model_lineage(db, file).columns {
        let name = column.name.to_lowercase();
        if name.is_empty() || found.contains_key(&name) || cleared.contains(&&name) {
            continue;
        }
        if let Some((source, how)) = sensitive_source(db, column) {
            let cause = Cause::From {
                source: source.clone(),
                how,
            };
            found.insert(name, cause);
        }
    }
    found
}

fn none_sensitive<'db>(_db: &'db dyn Db, _id: salsa::Id, _key: RelationKey<'db>) -> Sensitive {
    Sensitive::new()
}

/// Whether a text reads a relation with sensitive columns. Cheap: most texts do not.
pub fn reads_sensitive(db: &dyn Db, sql: &str) -> bool {
    let analysis = analyze_sql(db, SqlText::new(db, sql.to_owned()));
    analysis
        .statements
        .iter()
        .flat_map(|s| &s.relations)
        .any(|table| {
            let name = RelationName {
                catalog: table.catalog.clone(),
                schema: table.schema.clone().unwrap_or_else(|| "main".into()),
                name: table.name.clone(),
            };
            !sensitive_columns(db, RelationKey::new(db, name.folded())).is_empty()
        })
}

/// The sensitive column that one can see most directly in a result column.
pub fn sensitive_source<'c>(
    db: &dyn Db,
    column: &'c OutputColumn,
) -> Option<(&'c SourceColumn, How)> {
    column
        .from
        .iter()
        .filter(|(source, _)| cause(db, source).is_some())
        .min_by_key(|(_, how)| **how)
        .map(|(source, how)| (source, *how))
}

/// Why a stored column is sensitive, if it is.
pub fn cause<'db>(db: &'db dyn Db, source: &SourceColumn) -> Option<&'db Cause> {
    sensitive_columns(db, RelationKey::new(db, source.relation.clone())).get(&source.column)
}
