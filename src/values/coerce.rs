//! A value from a client as the JSON value its declared type asks for, where that loses nothing.
//!
//! Models and command lines send numbers as text, texts as numbers and arrays as JSON text, so those
//! are accepted. Never: a fraction for an integer, any text for a boolean, a list for a string. What
//! comes out is judged by the schema that clients see; what already fits it is left as it is.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use serde_json::{Map, Number, Value};

use crate::decimal::{self, NoDecimal};
use crate::fault::{Fault, Step};
use crate::formats;
use crate::repr::type_name;

/// How much a value is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Days and moments are spelled one way, and properties left out have their defaults.
    Canonical,
    /// Only what has to change does.
    AsSent,
}

/// Coerces a value that is not null.
pub fn coerce(ty: &TypeDef, value: Value, spelling: Spelling) -> Result<Value, Fault> {
    match ty.kind {
        TypeKind::String => string(ty.format, value, spelling),
        TypeKind::Number => number(value),
        TypeKind::Integer => integer(value),
        TypeKind::Boolean => boolean(value),
        TypeKind::Array => array(ty, value, spelling),
        TypeKind::Object => object(ty, value, spelling),
    }
}

// Of scalars the message names the Python type, of arrays and objects the declared kind: so it has
// always been.
fn mismatch(kind: TypeKind, value: &Value) -> Fault {
    let found = match (kind, value) {
        (_, Value::Null) => "null",
        (TypeKind::Array | TypeKind::Object, value) => match value {
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            _ => "object",
        },
        (_, value) => type_name(value),
    };
    Fault::new(format!("Expected {}, got {found}", kind.as_str()), value)
}

/// A null where a value is needed.
pub fn null(kind: TypeKind) -> Fault {
    mismatch(kind, &Value::Null).without_value()
}

fn string(format: Option<Format>, value: Value, spelling: Spelling) -> Result<Value, Fault> {
    let moment = matches!(
        format,
        Some(Format::Date | Format::Time | Format::DateTime | Format::Timestamp)
    );
    let raw = match &value {
        Value::String(text) => text.clone(),
        Value::Number(number) if !moment || format == Some(Format::Timestamp) => number.to_string(),
        Value::Bool(value) if format.is_none() => value.to_string(),
        other => {
            return Err(match format.filter(|_| moment) {
                Some(format) => Fault::new(
                    format!(
                        "Expected string for {} format, got {}",
                        format.as_str(),
                        type_name(other)
                    ),
                    other,
                ),
                None => mismatch(TypeKind::String, other),
            });
        }
    };
    let Some(format) = format else {
        return Ok(raw.into());
    };
    let read = match format {
        Format::Email => formats::is_email(&raw).then(|| raw.clone()),
        Format::Uri => formats::is_uri(&raw).then(|| raw.clone()),
        Format::Duration => formats::is_duration(&raw).then(|| raw.clone()),
        Format::Date => formats::date(&raw).map(formats::date_text),
        Format::Time => formats::time(&raw).map(|(t, offset)| formats::time_text(t, offset)),
        Format::DateTime => {
            formats::date_time(&raw).map(|(t, offset)| formats::date_time_text(t, offset))
        }
        Format::Timestamp => formats::timestamp(&raw).map(|(text, _)| text),
    };
    match read {
        // Of a moment in seconds only its digits are a text that the schema may know.
        Some(_)
            if spelling == Spelling::AsSent
                && (format != Format::Timestamp || raw.parse::<f64>().is_ok()) =>
        {
            Ok(raw.into())
        }
        Some(text) => Ok(text.into()),
        None => {
            let text = match format {
                Format::Uri => "Invalid URI format".to_owned(),
                Format::Timestamp => "Invalid timestamp".to_owned(),
                _ => format!("Invalid {} format", format.as_str()),
            };
            Err(Fault::new(text, &value)
                .named(raw)
                .expecting(formats::expected(format)))
        }
    }
}

fn number(value: Value) -> Result<Value, Fault> {
    let number = match &value {
        Value::Number(number) => number.clone(),
        Value::String(raw) => {
            let raw = raw.trim();
            // The digits as they are, where they are spelled like a number of JSON.
            let exact = raw
                .parse::<Number>()
                .ok()
                .filter(|number| number.as_f64().is_some_and(f64::is_finite));
            match exact.or_else(|| raw.parse().ok().and_then(Number::from_f64)) {
                Some(number) => number,
                None => return Err(mismatch(TypeKind::Number, &value)),
            }
        }
        other => return Err(mismatch(TypeKind::Number, other)),
    };
    if number.as_f64().is_some_and(f64::is_finite) {
        Ok(Value::Number(number))
    } else {
        Err(Fault::new(
            "Value is outside the range of numbers",
            &Value::Number(number),
        ))
    }
}

fn integer(value: Value) -> Result<Value, Fault> {
    let read = match &value {
        Value::Number(number) => decimal::whole(number.as_str()),
        Value::String(raw) => decimal::whole(raw.trim()),
        _ => Err(NoDecimal::Malformed),
    };
    match read {
        Ok(whole) => Ok(decimal::integer(whole)),
        Err(NoDecimal::TooLarge) => Err(Fault::new(
            "Value is outside the range of 128-bit integers",
            &value,
        )),
        Err(NoDecimal::Malformed | NoDecimal::Fraction) => Err(mismatch(TypeKind::Integer, &value)),
    }
}

fn boolean(value: Value) -> Result<Value, Fault> {
    let found = match &value {
        Value::Bool(value) => Some(*value),
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
    found
        .map(Value::Bool)
        .ok_or_else(|| mismatch(TypeKind::Boolean, &value).expecting("expected true or false"))
}

/// The JSON in a text that stands for an array or an object.
fn parsed(kind: TypeKind, value: Value) -> Result<Value, Fault> {
    let Value::String(raw) = &value else {
        return Ok(value);
    };
    serde_json::from_str(raw).map_err(|error| {
        Fault::new(format!("Invalid JSON {}", kind.as_str()), &value)
            .named(raw)
            .expecting(format!("{error}"))
    })
}

fn array(ty: &TypeDef, value: Value, spelling: Spelling) -> Result<Value, Fault> {
    let items = match parsed(TypeKind::Array, value)? {
        Value::Array(items) => items,
        other => return Err(mismatch(TypeKind::Array, &other)),
    };
    let Some(item) = &ty.items else {
        return Ok(Value::Array(items));
    };
    items
        .into_iter()
        .enumerate()
        .map(|(i, value)| {
            if value.is_null() {
                Err(null(item.kind))
            } else {
                coerce(item, value, spelling)
            }
            .map_err(|fault| fault.inside(Step::Item(i)))
        })
        .collect::<Result<_, _>>()
        .map(Value::Array)
}

fn object(ty: &TypeDef, value: Value, spelling: Spelling) -> Result<Value, Fault> {
    let mut fields = match parsed(TypeKind::Object, value)? {
        Value::Object(fields) => fields,
        other => return Err(mismatch(TypeKind::Object, &other)),
    };
    let missing: Vec<&str> = ty
        .required
        .iter()
        .filter(|name| !fields.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Fault::new(
            format!("Missing required properties: {}", missing.join(", ")),
            &fields.into(),
        ));
    }
    if !ty.allows_additional()
        && let Some(name) = fields.keys().find(|name| ty.property(name).is_none())
    {
        let text = format!("Unexpected property: {name}");
        let names: Vec<&str> = ty
            .properties
            .iter()
            .flatten()
            .map(|property| property.name.as_str())
            .collect();
        let fault = Fault::new(text, &fields.into());
        return Err(match names.as_slice() {
            [] => fault,
            names => fault.expecting(format!("expected {}", names.join(", "))),
        });
    }
    let mut out = Map::with_capacity(fields.len());
    for property in ty.properties.iter().flatten() {
        let required = ty.required.contains(&property.name);
        let value = match fields.shift_remove(&property.name) {
            Some(value) => value,
            // What a default is for: the property was left out.
            None => match &property.ty.default {
                Some(default) if spelling == Spelling::Canonical => default.clone(),
                _ => continue,
            },
        };
        let value = match value {
            Value::Null if required => Err(null(property.ty.kind)),
            Value::Null => Ok(Value::Null),
            value => coerce(&property.ty, value, spelling),
        }
        .map_err(|fault| fault.inside(Step::Property(property.name.clone())))?;
        out.insert(property.name.clone(), value);
    }
    out.extend(fields);
    Ok(out.into())
}

/// A whole number of any spelling, exactly.
pub fn whole(number: &Number) -> Option<i128> {
    decimal::whole(number.as_str()).ok()
}

/// The value without the nulls that stand for optional properties: what a schema judges.
pub fn without_nulls(ty: &TypeDef, value: &Value) -> Value {
    match value {
        Value::Array(items) => match &ty.items {
            Some(item) => items.iter().map(|v| without_nulls(item, v)).collect(),
            None => value.clone(),
        },
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| match ty.property(name) {
                Some(_) if value.is_null() => None,
                Some(ty) => Some((name.clone(), without_nulls(ty, value))),
                None => Some((name.clone(), value.clone())),
            })
            .collect::<Map<_, _>>()
            .into(),
        scalar => scalar.clone(),
    }
}

/// A coerced value in the one form that endpoints and policies see: numbers as doubles, dates and
/// moments in one spelling.
pub fn canonical(ty: &TypeDef, value: Value) -> Value {
    match (ty.kind, value) {
        // A whole number too becomes a double: its type does not depend on its value.
        (TypeKind::Number, Value::Number(number)) => number
            .as_f64()
            .and_then(Number::from_f64)
            .map_or(Value::Null, Value::Number),
        (TypeKind::String, Value::String(text)) => {
            let moment = match ty.format {
                Some(Format::Date) => formats::date(&text).map(formats::date_text),
                Some(Format::Time) => {
                    formats::time(&text).map(|(t, offset)| formats::time_text(t, offset))
                }
                Some(Format::DateTime) => {
                    formats::date_time(&text).map(|(t, offset)| formats::date_time_text(t, offset))
                }
                Some(Format::Timestamp) => {
                    formats::timestamp(&text).map(|(_, t)| formats::date_time_text(t, None))
                }
                _ => None,
            };
            moment.unwrap_or(text).into()
        }
        (TypeKind::Array, Value::Array(items)) if ty.items.is_some() => {
            let item = ty.items.as_deref();
            items
                .into_iter()
                .map(|value| match item {
                    Some(item) => canonical(item, value),
                    None => value,
                })
                .collect()
        }
        (TypeKind::Object, Value::Object(fields)) => fields
            .into_iter()
            .map(|(name, value)| {
                let value = match ty.property(&name) {
                    Some(ty) => canonical(ty, value),
                    None => value,
                };
                (name, value)
            })
            .collect::<Map<_, _>>()
            .into(),
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn convert(ty: &TypeDef, value: Value) -> Result<Value, String> {
        coerce(ty, value, Spelling::Canonical)
            .map(|value| canonical(ty, value))
            .map_err(|fault| fault.explain(ty, None))
    }

    #[track_caller]
    fn check(kind: TypeKind, value: Value, wanted: Result<Value, &str>) {
        let found = convert(&TypeDef::new(kind), value);
        assert_eq!(found, wanted.map_err(str::to_owned));
    }

    fn big(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_loses_nothing_is_converted() {
        check(TypeKind::Integer, json!("12"), Ok(json!(12)));
        check(TypeKind::Integer, json!("1.0"), Ok(json!(1)));
        check(TypeKind::Integer, json!(3.0), Ok(json!(3)));
        check(TypeKind::Integer, json!(" -0 "), Ok(json!(0)));
        check(TypeKind::Integer, json!("007"), Ok(json!(7)));
        check(
            TypeKind::Integer,
            big("1e20"),
            Ok(big("100000000000000000000")),
        );
        check(
            TypeKind::Integer,
            json!("9007199254740993"),
            Ok(json!(9_007_199_254_740_993_i64)),
        );
        check(TypeKind::Number, json!("1e3"), Ok(json!(1000.0)));
        check(TypeKind::Number, json!("2"), Ok(json!(2.0)));
        check(TypeKind::Number, json!(2), Ok(json!(2.0)));
        check(TypeKind::Number, json!(" .5 "), Ok(json!(0.5)));
        check(TypeKind::String, json!(5), Ok(json!("5")));
        check(TypeKind::String, big("1.50"), Ok(json!("1.50")));
        check(TypeKind::String, json!(true), Ok(json!("true")));
        check(TypeKind::Boolean, json!("Off"), Ok(json!(false)));
        check(TypeKind::Boolean, json!(1.0), Ok(json!(true)));
        check(TypeKind::Array, json!("[1, 2]"), Ok(json!([1, 2])));
        check(TypeKind::Object, json!("{\"a\": 1}"), Ok(json!({"a": 1})));
    }

    #[test]
    fn what_would_lose_something_is_refused() {
        let integer = TypeKind::Integer;
        check(
            integer,
            json!(1.5),
            Err("Expected integer, got float; got 1.5"),
        );
        check(
            integer,
            json!("1.5"),
            Err("Expected integer, got str; got '1.5'"),
        );
        check(
            integer,
            json!(true),
            Err("Expected integer, got bool; got true"),
        );
        check(
            integer,
            big("170141183460469231731687303715884105728"),
            Err(
                "Value is outside the range of 128-bit integers; got 170141183460469231731687303715884105728",
            ),
        );
        for text in ["nan", "inf", "1e400", "1_000", "0x10", ""] {
            let found = convert(&TypeDef::new(TypeKind::Number), json!(text));
            assert_eq!(
                found,
                Err(format!("Expected number, got str; got '{text}'"))
            );
        }
        check(
            TypeKind::Number,
            big("1e400"),
            Err("Value is outside the range of numbers; got 1e+400"),
        );
        check(
            TypeKind::Boolean,
            json!("maybe"),
            Err("Expected boolean, got str; got 'maybe', expected true or false"),
        );
        check(
            TypeKind::String,
            json!([1]),
            Err("Expected string, got list; got [1]"),
        );
        check(
            TypeKind::Array,
            json!("{}"),
            Err("Expected array, got object; got {}"),
        );
        check(
            TypeKind::Array,
            json!("[1,]"),
            Err("Invalid JSON array: [1,]; trailing comma at line 1 column 4"),
        );
    }

    #[test]
    fn nested_values_name_their_place() {
        let ty: TypeDef = serde_json::from_value(json!({
            "type": "array",
            "items": {"type": "object", "properties": [
                {"name": "on", "type": {"type": "string", "format": "date"}},
                {"name": "n", "type": {"type": "integer", "default": 7}},
                {"name": "z", "type": {"type": "integer", "default": null}}
            ], "required": ["on"]}
        }))
        .unwrap();
        assert_eq!(
            convert(&ty, json!([{"on": "2024-1-5"}])),
            Ok(json!([{"on": "2024-01-05", "n": 7, "z": null}]))
        );
        assert_eq!(
            convert(&ty, json!([{"on": "x"}])),
            Err("Array item 0: Property 'on': Invalid date format: x; expected YYYY-MM-DD".into())
        );
        assert_eq!(
            convert(&ty, json!([{"n": 1}])),
            Err("Array item 0: Missing required properties: on; got {\"n\":1}".into())
        );
        assert_eq!(
            convert(&ty, json!([{"on": null}])),
            Err("Array item 0: Property 'on': Expected string, got null".into())
        );
        assert_eq!(
            convert(&ty, json!([null])),
            Err("Array item 0: Expected object, got null".into())
        );
    }
}
