//! The types of the names a condition sees: parameters, `user`, `response`.

use std::collections::BTreeMap;

use mxcp_artifact::{EndpointKind, TypeDef, TypeKind};
use serde_json::Value;

use super::types::{Allowed, Fields, Type};
use crate::check::grammar::GRAMMAR;
use crate::lower::endpoint::{EndpointDef, Language};

/// Names at the top level of a condition.
pub(in crate::check) type Names = BTreeMap<String, Type>;

/// A declared type as a condition sees its values: converted, with defaults applied.
pub(in crate::check) fn declared(ty: &TypeDef) -> Type {
    match ty.kind {
        TypeKind::String => Type::String(allowed(ty)),
        TypeKind::Integer => Type::Int,
        TypeKind::Number => Type::Double,
        TypeKind::Boolean => Type::Bool,
        TypeKind::Array => Type::List(Box::new(match &ty.items {
            Some(items) => declared(items).nullable(),
            None => Type::Dyn,
        })),
        TypeKind::Object => Type::Map(fields(ty)),
    }
}

fn allowed(ty: &TypeDef) -> Option<Allowed> {
    let texts = ty
        .allowed
        .as_ref()?
        .iter()
        // Null is no text, and compares unequal to each.
        .filter(|value| !value.is_null())
        .map(Value::as_str);
    texts
        .map(|text| text.map(str::to_owned))
        .collect::<Option<_>>()
        .map(Allowed)
}

fn fields(ty: &TypeDef) -> Fields {
    let properties = ty.properties.iter().flatten();
    Fields {
        known: properties
            .map(|p| (p.name.clone(), declared(&p.ty).nullable()))
            .collect(),
        closed: ty.properties.is_some() && !ty.allows_additional(),
    }
}

/// `response` of an endpoint. `columns` are the names of a result that is known exactly.
pub(in crate::check) fn response(def: &EndpointDef, columns: Option<&[String]>) -> Type {
    if def.kind == EndpointKind::Prompt {
        return Type::List(Box::new(Type::Map(Fields {
            known: GRAMMAR
                .response
                .prompt_message
                .iter()
                .map(|(name, ty)| (name.clone(), Type::from_name(ty)))
                .collect(),
            closed: true,
        })));
    }
    let row = |mut fields: Fields| {
        if let Some(columns) = columns {
            for column in columns {
                fields.known.entry(column.clone()).or_insert(Type::Dyn);
            }
            fields.known.retain(|name, _| columns.contains(name));
            fields.closed = true;
        }
        Type::Map(fields)
    };
    let Some(returns) = &def.returns else {
        return match def.language {
            // A type that was not understood says nothing.
            Language::Sql if !def.has_return => Type::List(Box::new(row(Fields::default()))),
            _ => Type::Dyn,
        };
    };
    let of_row = |ty: &TypeDef| match ty.kind {
        TypeKind::Object => row(fields(ty)),
        _ => declared(ty).nullable(),
    };
    match (returns.kind, &returns.items) {
        (TypeKind::Array, Some(items)) => Type::List(Box::new(of_row(items))),
        (TypeKind::Array, None) => Type::list_of_any(),
        _ => of_row(returns),
    }
}

/// The caller: the known fields with their types, and any other field of a profile.
pub(super) fn user_field(field: &str) -> Type {
    GRAMMAR
        .user
        .fields
        .get(field)
        .map_or(Type::Dyn, |ty| Type::from_name(ty))
}
