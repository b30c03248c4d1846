//! A value from a client brought to a declared type, where that loses nothing.
//!
//! Models and command lines send numbers as text, texts as numbers and arrays as JSON text, so those
//! are accepted. Never: a fraction for an integer, any text for a boolean, a list for a string.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use serde_json::{Map, Number, Value};

use crate::formats;
use crate::repr::{text, type_name};

/// Converts a value. The error is a sentence without the parameter's name.
pub(super) fn convert(ty: &TypeDef, value: Value) -> Result<Value, String> {
    match ty.kind {
        TypeKind::String => string(ty, value),
        TypeKind::Number => number(value),
        TypeKind::Integer => integer(value),
        TypeKind::Boolean => boolean(value),
        TypeKind::Array => array(ty, value),
        TypeKind::Object => object(ty, value),
    }
}

fn expected(kind: TypeKind, value: &Value) -> String {
    format!("Expected {}, got {}", kind.as_str(), type_name(value))
}

fn string(ty: &TypeDef, value: Value) -> Result<Value, String> {
    let raw = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(value) if ty.format.is_none() => value.to_string(),
        other => return Err(expected(TypeKind::String, &other)),
    };
    let Some(format) = ty.format else {
        return Ok(raw.into());
    };
    let invalid = || format!("Invalid {} format: {raw}", format.as_str());
    Ok(match format {
        Format::Email if formats::is_email(&raw) => raw,
        Format::Uri if formats::is_uri(&raw) => raw,
        Format::Duration if formats::is_duration(&raw) => raw,
        Format::Email => return Err(invalid()),
        Format::Uri => return Err(format!("Invalid URI format: {raw}")),
        Format::Duration => {
            return Err(format!("{} (expected ISO 8601, e.g. P1DT2H)", invalid()));
        }
        Format::Date => formats::date(&raw)
            .ok_or_else(|| format!("{} (expected YYYY-MM-DD)", invalid()))?
            .format("%Y-%m-%d")
            .to_string(),
        Format::Time => formats::time(&raw)
            .map(|(time, offset)| formats::time_text(time, offset))
            .ok_or_else(|| format!("{} (expected HH:MM:SS)", invalid()))?,
        Format::DateTime => formats::date_time(&raw)
            .map(|(moment, offset)| formats::date_time_text(moment, offset))
            .ok_or_else(|| format!("{} (expected e.g. 2024-01-31T10:11:12Z)", invalid()))?,
        Format::Timestamp => raw
            .trim()
            .parse()
            .ok()
            .and_then(formats::from_epoch)
            .map(|moment| formats::date_time_text(moment, None))
            .ok_or_else(|| format!("Invalid timestamp: {raw} (expected seconds since 1970)"))?,
    }
    .into())
}

fn number(value: Value) -> Result<Value, String> {
    // A whole number too becomes a double: its type does not depend on its value.
    let double = match &value {
        Value::Number(number) => number
            .as_f64()
            .ok_or("Value is outside the range of numbers")?,
        Value::String(raw) => raw
            .trim()
            .parse()
            .map_err(|_| expected(TypeKind::Number, &value))?,
        other => return Err(expected(TypeKind::Number, other)),
    };
    Number::from_f64(double)
        .map(Value::Number)
        .ok_or_else(|| expected(TypeKind::Number, &value))
}

fn integer(value: Value) -> Result<Value, String> {
    let number = match &value {
        Value::Number(number) => number.clone(),
        Value::String(raw) => {
            let raw = raw.trim();
            if let Ok(whole) = raw.parse::<i64>() {
                return Ok(whole.into());
            }
            if let Ok(whole) = raw.parse::<u64>() {
                return Ok(whole.into());
            }
            if raw.parse::<i128>().is_ok() {
                return Err("Value is outside the range of 64-bit integers".into());
            }
            raw.parse::<f64>()
                .ok()
                .and_then(Number::from_f64)
                .ok_or_else(|| expected(TypeKind::Integer, &value))?
        }
        other => return Err(expected(TypeKind::Integer, other)),
    };
    if number.is_i64() || number.is_u64() {
        return Ok(Value::Number(number));
    }
    if !number.is_f64() {
        return Err("Value is outside the range of 64-bit integers".into());
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    if float.fract() != 0.0 {
        return Err(expected(TypeKind::Integer, &value));
    }
    // Up to here every whole double is the integer it stands for.
    if float.abs() > 9_007_199_254_740_992.0 {
        return Err("Value is outside the range of exact integers; send its digits".into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
    let whole = float as i64;
    Ok(whole.into())
}

fn boolean(value: Value) -> Result<Value, String> {
    let found = match &value {
        Value::Bool(_) => return Ok(value),
        Value::String(raw) => match raw.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
        _ => None,
    };
    found.map(Value::Bool).ok_or_else(|| match &value {
        Value::String(raw) => format!("Expected boolean (true or false), got '{raw}'"),
        other => expected(TypeKind::Boolean, other),
    })
}

fn array(ty: &TypeDef, value: Value) -> Result<Value, String> {
    let items = match value {
        Value::Array(items) => items,
        Value::String(raw) => match serde_json::from_str(&raw) {
            Ok(Value::Array(items)) => items,
            Ok(other) => return Err(expected(TypeKind::Array, &other)),
            Err(error) => return Err(format!("Invalid JSON array: {error}")),
        },
        other => return Err(expected(TypeKind::Array, &other)),
    };
    let Some(item) = &ty.items else {
        return Ok(Value::Array(items));
    };
    items
        .into_iter()
        .enumerate()
        .map(|(i, value)| {
            if value.is_null() {
                return Err(format!("Array item {i}: {}", expected(item.kind, &value)));
            }
            convert(item, value).map_err(|e| format!("Array item {i}: {e}"))
        })
        .collect::<Result<_, _>>()
        .map(Value::Array)
}

fn object(ty: &TypeDef, value: Value) -> Result<Value, String> {
    let mut fields = match value {
        Value::Object(fields) => fields,
        Value::String(raw) => match serde_json::from_str(&raw) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => return Err(expected(TypeKind::Object, &other)),
            Err(error) => return Err(format!("Invalid JSON object: {error}")),
        },
        other => return Err(expected(TypeKind::Object, &other)),
    };
    let properties = ty.properties.as_deref().unwrap_or_default();
    let mut out = Map::with_capacity(fields.len());
    for property in properties {
        let required = ty.required.contains(&property.name);
        let value = match fields.shift_remove(&property.name) {
            Some(Value::Null) if required => {
                return Err(format!(
                    "Property '{}': {}",
                    property.name,
                    expected(property.ty.kind, &Value::Null)
                ));
            }
            Some(Value::Null) => Value::Null,
            Some(value) => convert(&property.ty, value)
                .map_err(|e| format!("Property '{}': {e}", property.name))?,
            None => match &property.ty.default {
                Some(default) if !default.is_null() => convert(&property.ty, default.clone())
                    .map_err(|e| format!("Property '{}': {e}", property.name))?,
                _ => continue,
            },
        };
        out.insert(property.name.clone(), value);
    }
    if !ty.allows_additional()
        && let Some(name) = fields.keys().next()
    {
        return Err(format!("Unexpected property: {name}"));
    }
    out.extend(fields);
    let missing: Vec<&str> = ty
        .required
        .iter()
        .filter(|name| !out.contains_key(*name))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        Ok(out.into())
    } else {
        Err(format!(
            "Missing required properties: {}",
            missing.join(", ")
        ))
    }
}

/// Whether an argument is among the allowed values: as sent, as text, or after conversion.
pub(super) fn is_allowed(allowed: &[Value], sent: &Value, converted: &Value) -> bool {
    allowed.iter().any(|value| {
        equal(value, converted)
            || equal(value, sent)
            || matches!(sent, Value::String(raw) if *raw == text(value))
    })
}

/// Equality by value: `5` equals `5.0`, everything else structurally.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || ((a.is_f64() || b.is_f64()) && a.as_f64().is_some_and(|a| b.as_f64() == Some(a)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(kind: TypeKind, value: Value, wanted: Result<Value, &str>) {
        let found = convert(&TypeDef::new(kind), value);
        assert_eq!(found, wanted.map_err(str::to_owned));
    }

    #[test]
    fn what_loses_nothing_is_converted() {
        check(TypeKind::Integer, json!("12"), Ok(json!(12)));
        check(TypeKind::Integer, json!("1.0"), Ok(json!(1)));
        check(TypeKind::Integer, json!(3.0), Ok(json!(3)));
        check(TypeKind::Number, json!("1e3"), Ok(json!(1000.0)));
        check(TypeKind::Number, json!("2"), Ok(json!(2.0)));
        check(TypeKind::Number, json!(2), Ok(json!(2.0)));
        check(TypeKind::String, json!(5), Ok(json!("5")));
        check(TypeKind::Boolean, json!("Off"), Ok(json!(false)));
        check(TypeKind::Array, json!("[1, 2]"), Ok(json!([1, 2])));
        check(TypeKind::Object, json!("{\"a\": 1}"), Ok(json!({"a": 1})));
    }

    #[test]
    fn what_would_lose_something_is_refused() {
        check(
            TypeKind::Integer,
            json!(1.5),
            Err("Expected integer, got float"),
        );
        check(
            TypeKind::Integer,
            json!("1.5"),
            Err("Expected integer, got str"),
        );
        check(
            TypeKind::Integer,
            json!(true),
            Err("Expected integer, got bool"),
        );
        check(
            TypeKind::Number,
            json!("nan"),
            Err("Expected number, got str"),
        );
        for (kind, sent, text) in [
            (
                TypeKind::Integer,
                "170141183460469231731687303715884105727",
                "Value is outside the range of 64-bit integers",
            ),
            (
                TypeKind::Number,
                "1e400",
                "Value is outside the range of numbers",
            ),
        ] {
            check(kind, serde_json::from_str(sent).unwrap(), Err(text));
        }
        check(
            TypeKind::Boolean,
            json!("maybe"),
            Err("Expected boolean (true or false), got 'maybe'"),
        );
        check(
            TypeKind::String,
            json!([1]),
            Err("Expected string, got list"),
        );
        check(
            TypeKind::Array,
            json!("{}"),
            Err("Expected array, got dict"),
        );
    }

    #[test]
    fn nested_values_name_their_place() {
        let ty: TypeDef = serde_json::from_value(json!({
            "type": "array",
            "items": {"type": "object", "properties": [
                {"name": "on", "type": {"type": "string", "format": "date"}},
                {"name": "n", "type": {"type": "integer", "default": 7}}
            ], "required": ["on"]}
        }))
        .unwrap();
        assert_eq!(
            convert(&ty, json!([{"on": "2024-1-5"}])),
            Ok(json!([{"on": "2024-01-05", "n": 7}]))
        );
        assert_eq!(
            convert(&ty, json!([{"on": "x"}])),
            Err("Array item 0: Property 'on': Invalid date format: x (expected YYYY-MM-DD)".into())
        );
        assert_eq!(
            convert(&ty, json!([{"n": 1}])),
            Err("Array item 0: Missing required properties: on".into())
        );
    }
}
