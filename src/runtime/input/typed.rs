//! A converted argument as a typed cell: what SQL binds and Python receives.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use mxcp_python::Cell;
use mxcp_values::{coerce, formats};
use serde_json::Value;

use super::moments;

/// Who receives the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Python,
    /// A declared property that is absent is null: `$order.note` must mean something on every call.
    Sql,
}

/// The cell of a value that was converted to this type.
pub(super) fn typed(ty: &TypeDef, value: &Value, target: Target) -> Cell {
    match (ty.kind, value) {
        (TypeKind::String, Value::String(text)) => match ty.format {
            Some(Format::Date) => formats::date(text).map(moments::date_cell),
            Some(Format::Time) => match formats::time(text) {
                // A cell has no time with a zone: the text keeps it, unless it says nothing.
                Some((time, None | Some(0))) => Some(moments::time_cell(time)),
                _ => None,
            },
            Some(Format::DateTime | Format::Timestamp) => formats::date_time(text)
                .map(|(moment, offset)| moments::date_time_cell(moment, offset)),
            _ => None,
        }
        .unwrap_or_else(|| Cell::Text(text.clone())),
        (TypeKind::Number, Value::Number(number)) => {
            number.as_f64().map_or(Cell::Null, Cell::Float)
        }
        (TypeKind::Array, Value::Array(items)) => Cell::List(match &ty.items {
            Some(item) => items
                .iter()
                .map(|value| typed(item, value, target))
                .collect(),
            None => items.iter().map(untyped).collect(),
        }),
        (TypeKind::Object, Value::Object(fields)) => {
            let present = fields.iter().map(|(name, value)| {
                let cell = match ty.property(name) {
                    Some(ty) => typed(ty, value, target),
                    None => untyped(value),
                };
                (name.clone(), cell)
            });
            let absent = ty
                .properties
                .iter()
                .flatten()
                .filter(|p| target == Target::Sql && !fields.contains_key(&p.name))
                .map(|p| (p.name.clone(), Cell::Null));
            Cell::Struct(present.chain(absent).collect())
        }
        (_, value) => untyped(value),
    }
}

// Integers keep their digits beyond 64 bits too.
fn untyped(value: &Value) -> Cell {
    match value {
        Value::Number(number) if number.as_str().bytes().all(is_integral) => {
            coerce::whole(number).map_or_else(|| Cell::from_json(value), Cell::Int)
        }
        Value::Array(items) => Cell::List(items.iter().map(untyped).collect()),
        Value::Object(fields) => Cell::Struct(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), untyped(value)))
                .collect(),
        ),
        other => Cell::from_json(other),
    }
}

fn is_integral(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ty(value: Value) -> TypeDef {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn integers_keep_their_digits_and_absent_properties_are_null_in_sql() {
        let object = ty(json!({"type": "object", "properties": [
            {"name": "n", "type": {"type": "integer"}},
            {"name": "note", "type": {"type": "string"}}
        ]}));
        let value: Value =
            serde_json::from_str(r#"{"n": 100000000000000000000, "more": [18446744073709551616]}"#)
                .unwrap();
        let n = Cell::Int(100_000_000_000_000_000_000);
        let more = Cell::List(vec![Cell::Int(18_446_744_073_709_551_616)]);
        let cell = |target| typed(&object, &value, target);
        assert_eq!(
            cell(Target::Python),
            Cell::Struct(vec![("n".into(), n.clone()), ("more".into(), more.clone())])
        );
        assert_eq!(
            cell(Target::Sql),
            Cell::Struct(vec![
                ("n".into(), n),
                ("more".into(), more),
                ("note".into(), Cell::Null)
            ])
        );
    }
}
