//! Where columns come from: which columns of which relations one can see in a model or an endpoint, and
//! which columns of a relation are sensitive because of that.
//!
//! One relation is one query, so a change stops where the columns stay the same. What the SQL does not
//! tell is left out.

use std::collections::BTreeMap;

use mxcp_artifact::{RelationName, TypeDef, TypeKind};
use mxcp_base::{FileSet, Shelf, SourceFile};
pub use mxcp_catalog::{How, Lineage, OutputColumn, SourceColumn};
use mxcp_syntax::yaml::join_pointer;

use crate::Db;
use crate::documents::endpoint_def;
use crate::models::{
    column_marks, is_on_loop, marks_exist, model_for_relation, model_sql, source_marks,
};
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::sql::{SqlText, analyze_sql, sql_source};
use crate::surface::return_marks;

pub(crate) fn of_text(db: &dyn Db, sql: &str) -> Lineage {
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

/// Whether anything is marked at all. Projects without marks pay nothing for the flow.
pub fn any_sensitive_column(db: &dyn Db) -> bool {
    marks_exist(db) || !return_marks(db).is_empty()
}

/// The stored columns that an endpoint returns as they are and marks as sensitive in its `return`.
#[salsa::tracked(returns(ref))]
fn endpoint_marks(db: &dyn Db, file: SourceFile) -> Vec<(SourceColumn, String)> {
    let mut found = Vec::new();
    let Some(def) = endpoint_def(db, file).filter(|def| def.enabled) else {
        return found;
    };
    let mut pointer = def.pointer(def.return_key);
    let mut row = def.returns.as_ref();
    while let Some(TypeDef {
        kind: TypeKind::Array,
        items: Some(items),
        ..
    }) = row
    {
        pointer.push_str("/items");
        row = Some(items);
    }
    let properties = row
        .into_iter()
        .flat_map(|row| row.properties.iter().flatten());
    for property in properties.filter(|property| property.ty.sensitive) {
        let columns = &endpoint_lineage(db, file).columns;
        let column = columns
            .iter()
            .find(|c| c.name.eq_ignore_ascii_case(&property.name));
        let direct = column.into_iter().flat_map(|c| &c.from);
        for (source, _) in direct.filter(|(_, how)| **how == How::Direct) {
            let place = join_pointer(&format!("{pointer}/properties"), &property.name);
            found.push((source.clone(), place));
        }
    }
    found
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_return_marks(db: &dyn Db) -> BTreeMap<RelationName, Sensitive> {
    let mut found: BTreeMap<RelationName, Sensitive> = BTreeMap::new();
    let mut marking: Vec<SourceFile> = FileSet::get(db)
        .shelves(db)
        .iter()
        .flat_map(|shelf| marking_files(db, *shelf))
        .copied()
        .collect();
    marking.sort_by(|a, b| a.path(db).cmp(b.path(db)));
    for file in marking {
        for (source, pointer) in endpoint_marks(db, file) {
            let columns = found.entry(source.relation.clone()).or_default();
            columns
                .entry(source.column.clone())
                .or_insert_with(|| Cause::Marked {
                    file,
                    pointer: pointer.clone(),
                });
        }
    }
    found
}

/// The endpoints that mark anything.
#[salsa::tracked(returns(ref))]
fn marking_files(db: &dyn Db, shelf: Shelf) -> Vec<SourceFile> {
    let marks = |file: &SourceFile| !endpoint_marks(db, *file).is_empty();
    shelf.files(db).iter().copied().filter(marks).collect()
}

/// Why a column is sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// `sensitive: true`, in the `meta` of a property file or in the `return` of an endpoint.
    Marked { file: SourceFile, pointer: String },
    /// It shows another column that is.
    From { source: SourceColumn, how: How },
}

/// The sensitive columns of a relation by their folded names.
pub type Sensitive = BTreeMap<String, Cause>;

#[salsa::tracked(returns(ref), cycle_result = none_sensitive)]
pub fn sensitive_columns<'db>(db: &'db dyn Db, key: RelationKey<'db>) -> Sensitive {
    if !any_sensitive_column(db) {
        return Sensitive::new();
    }
    let returned = return_marks(db).get(&key.name(db).folded());
    let Some(file) = model_for_relation(db, key) else {
        let mut found = returned.cloned().unwrap_or_default();
        let marks = source_marks(db).get(&key.name(db).folded());
        found.extend(marks.cloned().unwrap_or_default());
        return found;
    };
    let mut found = Sensitive::new();
    if is_on_loop(db, file) {
        return found;
    }
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
    for (name, cause) in returned.into_iter().flatten() {
        if !cleared.contains(&name) {
            found.entry(name.clone()).or_insert_with(|| cause.clone());
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
