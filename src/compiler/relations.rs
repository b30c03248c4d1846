//! Relation schemas: from the dbt models and seeds of the project first, then from the catalogue.

use std::sync::Arc;

use mxcp_artifact::{Column, RelationName};

use crate::Db;
use crate::inputs::Settings;
use crate::startup::{Origin, relation_origin};

/// A relation name as a query key, in folded form.
#[salsa::interned(debug)]
pub struct RelationKey<'db> {
    #[returns(ref)]
    pub name: RelationName,
}

/// What is known of a relation's columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RelationSchema {
    Known(Arc<[Column]>),
    /// Its definition has an error that is reported there; users of it stay silent.
    Poisoned,
    /// It exists, but its columns depend on data.
    Opaque(String),
    Unknown,
}

#[salsa::tracked(returns(ref), cycle_result = poisoned)]
pub fn relation_schema<'db>(db: &'db dyn Db, key: RelationKey<'db>) -> RelationSchema {
    let name = key.name(db);
    if name.catalog.is_none()
        && let Some(model) = crate::models::model_for_relation(db, key)
    {
        return crate::models::model_schema(db, model).clone();
    }
    match Settings::get(db).environment(db).catalog.get(name) {
        Some(relation) => RelationSchema::Known(relation.columns.clone().into()),
        None => made_by_code(db, key).clone(),
    }
}

/// A relation that no text defines and the database does not have yet.
#[salsa::tracked(returns(ref))]
fn made_by_code<'db>(db: &'db dyn Db, key: RelationKey<'db>) -> RelationSchema {
    let name = key.name(db);
    if let Some(model) = crate::models::untyped_node(db, &name.name) {
        return RelationSchema::Opaque(format!("`{}` is made by `{model}`", name.name));
    }
    if crate::models::described_sources(db).contains_key(&name.folded()) {
        return RelationSchema::Opaque(format!(
            "the source `{}` is not in the database",
            name.name
        ));
    }
    match relation_origin(db, name.catalog.as_deref(), &name.name) {
        Some(Origin::Written(file)) => RelationSchema::Opaque(format!(
            "`{}` is made by `{file}` when the server starts",
            name.name
        )),
        Some(Origin::Possible(_)) | None => RelationSchema::Unknown,
    }
}

fn poisoned<'db>(_db: &'db dyn Db, _id: salsa::Id, _key: RelationKey<'db>) -> RelationSchema {
    RelationSchema::Poisoned
}

/// Every relation name a query could mean, for suggestions; sorted.
pub fn known_relations(db: &dyn Db) -> Vec<String> {
    let mut names: Vec<String> = Settings::get(db)
        .environment(db)
        .catalog
        .relations
        .iter()
        .map(|r| r.name.to_string())
        .chain(crate::models::relation_names(db).iter().cloned())
        .collect();
    names.sort();
    names.dedup();
    names
}
