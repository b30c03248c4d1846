//! What an endpoint gives, as far as its text says: a value, an object with these fields, or a list.

use std::collections::BTreeMap;

use mxcp_artifact::{Action, Column, EndpointKind, SqlType, TypeDef, TypeKind};
use mxcp_base::SourceFile;

use crate::Db;
use crate::lower::endpoint::{EndpointDef, Language};
use crate::sql::{Bound, SqlText, analyze_sql, bind_endpoint, sql_source};

#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Nothing is known.
    Any,
    Scalar(Box<Leaf>),
    Object(Fields),
    List(Box<Shape>),
}

/// A value by its declared type, by the type of its column, or by both.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub declared: Option<TypeDef>,
    pub sql: Option<SqlType>,
}

#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub known: BTreeMap<String, Leaf>,
    /// Whether there can be no other fields.
    pub closed: bool,
    /// Whether every known field is always there.
    pub complete: bool,
}

/// What the output policies of an endpoint may do to a result.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    pub removes: bool,
    pub masked: Vec<String>,
}

impl Policies {
    pub(super) fn of(def: &EndpointDef) -> Self {
        let of = |action: Action| {
            def.output_policies
                .iter()
                .filter(move |p| p.action == Some(action))
        };
        Self {
            removes: of(Action::FilterFields).next().is_some()
                || of(Action::FilterSensitiveFields).next().is_some(),
            masked: of(Action::MaskFields)
                .flat_map(|p| p.fields.clone().unwrap_or_default())
                .collect(),
        }
    }
}

/// Whether the query gives one row at most.
pub(super) fn is_single_row(db: &dyn Db, file: SourceFile) -> bool {
    matches!(
        bind_endpoint(db, file).map(|e| &e.bound),
        Some(Bound::Columns {
            single_row: true,
            ..
        })
    )
}

/// What the outermost `LIMIT` of the query says.
pub(super) fn limit(db: &dyn Db, file: SourceFile) -> Option<&str> {
    let text = sql_source(db, file)?.text.to_string();
    let analysis = analyze_sql(db, SqlText::new(db, text));
    match analysis.statements.as_slice() {
        [one] => one.details.limit.as_deref(),
        _ => None,
    }
}

pub(super) fn of_endpoint(db: &dyn Db, file: SourceFile, def: &EndpointDef) -> Shape {
    if def.kind == EndpointKind::Prompt || (def.has_return && def.returns.is_none()) {
        return Shape::Any;
    }
    let returns = def.returns.as_ref();
    if def.language == Language::Python {
        return returns.map_or(Shape::Any, declared);
    }
    let columns = match bind_endpoint(db, file).map(|e| &e.bound) {
        Some(Bound::Columns { columns, .. }) => Some(columns.as_slice()),
        _ => None,
    };
    // A statement without rows has nothing to compare, and what is broken is reported there.
    if columns.is_some_and(<[Column]>::is_empty) {
        return Shape::Any;
    }
    let row = |declared: Option<&TypeDef>| Shape::Object(fields(declared, columns));
    let value = |ty: &TypeDef| match columns {
        Some([column]) => Shape::Scalar(Box::new(Leaf {
            declared: Some(ty.clone()),
            sql: Some(column.ty.clone()),
        })),
        Some(_) => Shape::Any,
        None => declared(ty),
    };
    let Some(returns) = returns else {
        return Shape::List(Box::new(row(None)));
    };
    match returns.kind {
        TypeKind::Object => row(Some(returns)),
        TypeKind::Array => Shape::List(Box::new(match returns.items.as_deref() {
            None => row(None),
            Some(items) if items.kind == TypeKind::Object => row(Some(items)),
            Some(items) => value(items),
        })),
        _ => value(returns),
    }
}

fn declared(ty: &TypeDef) -> Shape {
    match ty.kind {
        TypeKind::Array => Shape::List(Box::new(ty.items.as_deref().map_or(Shape::Any, declared))),
        TypeKind::Object => Shape::Object(fields(Some(ty), None)),
        _ => Shape::Scalar(Box::new(Leaf {
            declared: Some(ty.clone()),
            sql: None,
        })),
    }
}

fn fields(declared: Option<&TypeDef>, columns: Option<&[Column]>) -> Fields {
    let properties = declared.and_then(|d| d.properties.as_deref());
    let of = |name: &str| declared.and_then(|d| d.property(name)).cloned();
    match columns {
        Some(columns) => {
            let distinct = |c: &Column| columns.iter().filter(|o| o.name == c.name).count() == 1;
            Fields {
                // Columns of one name get another one at run time.
                closed: columns.iter().all(distinct),
                complete: columns.iter().all(distinct),
                known: columns
                    .iter()
                    .map(|c| {
                        let leaf = Leaf {
                            declared: of(&c.name),
                            sql: Some(c.ty.clone()),
                        };
                        (c.name.clone(), leaf)
                    })
                    .collect(),
            }
        }
        None => Fields {
            closed: declared.is_some_and(|d| !d.allows_additional()),
            complete: false,
            known: properties
                .into_iter()
                .flatten()
                .map(|p| {
                    let leaf = Leaf {
                        declared: Some(p.ty.clone()),
                        sql: None,
                    };
                    (p.name.clone(), leaf)
                })
                .collect(),
        },
    }
}

/// The fields of a value that is an object.
pub(super) fn fields_of(leaf: &Leaf) -> Option<Fields> {
    let declared = leaf.declared.as_ref();
    let of = |name: &str| declared.and_then(|d| d.property(name)).cloned();
    if let Some(SqlType::Struct(list)) = &leaf.sql {
        let known = list.iter().map(|(name, ty)| {
            let leaf = Leaf {
                declared: of(name),
                sql: Some(ty.clone()),
            };
            (name.clone(), leaf)
        });
        return Some(Fields {
            known: known.collect(),
            closed: true,
            complete: true,
        });
    }
    let open = leaf.sql.is_none() || matches!(leaf.sql, Some(SqlType::Map(..)));
    declared
        .filter(|d| open && d.kind == TypeKind::Object)
        .map(|d| fields(Some(d), None))
}

/// An item of a value that is a list.
pub(super) fn item_of(leaf: &Leaf) -> Option<Leaf> {
    let declared = leaf.declared.as_ref().and_then(|d| d.items.as_deref());
    let sql = match &leaf.sql {
        Some(SqlType::List(item) | SqlType::Array(item, _)) => Some((**item).clone()),
        _ => None,
    };
    (declared.is_some() || sql.is_some()).then(|| Leaf {
        declared: declared.cloned(),
        sql,
    })
}
