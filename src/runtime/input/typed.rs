//! A converted argument as a typed cell: what SQL binds and Python receives.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use mxcp_python::Cell;
use serde_json::Value;

use crate::formats;

/// The cell of a value that was converted to this type.
pub(crate) fn typed(ty: &TypeDef, value: &Value) -> Cell {
    match (ty.kind, value) {
        (TypeKind::String, Value::String(text)) => match ty.format {
            Some(Format::Date) => formats::date(text).map(formats::date_cell),
            Some(Format::Time) => match formats::time(text) {
                // A cell has no time with a zone: the text keeps it.
                Some((time, None)) => Some(formats::time_cell(time)),
                _ => None,
            },
            Some(Format::DateTime | Format::Timestamp) => formats::date_time(text)
                .map(|(moment, offset)| formats::date_time_cell(moment, offset)),
            _ => None,
        }
        .unwrap_or_else(|| Cell::Text(text.clone())),
        (TypeKind::Number, Value::Number(number)) => {
            number.as_f64().map_or(Cell::Null, Cell::Float)
        }
        (TypeKind::Array, Value::Array(items)) => Cell::List(match &ty.items {
            Some(item) => items.iter().map(|value| typed(item, value)).collect(),
            None => items.iter().map(Cell::from_json).collect(),
        }),
        (TypeKind::Object, Value::Object(fields)) => Cell::Struct(
            fields
                .iter()
                .map(|(name, value)| {
                    let cell = match ty.property(name) {
                        Some(ty) => typed(ty, value),
                        None => Cell::from_json(value),
                    };
                    (name.clone(), cell)
                })
                .collect(),
        ),
        (_, value) => Cell::from_json(value),
    }
}
