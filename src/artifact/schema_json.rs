//! Declared types as JSON Schema (2020-12), the form clients see.
//!
//! Portable on purpose: no type unions, no `$ref`, and `required` means required, because many
//! clients understand no more than that.

use serde_json::{Map, Value, json};

use crate::{Format, Parameter, TypeDef, TypeKind};

/// The schema of a tool's arguments object.
pub fn input_schema(parameters: &[Parameter]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in parameters {
        properties.insert(parameter.name.clone(), type_schema(&parameter.ty));
        if parameter.is_required() {
            required.push(Value::from(parameter.name.clone()));
        }
    }
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.insert("additionalProperties".into(), false.into());
    schema.into()
}

/// The schema of a tool's structured result: an object as declared, anything else under `result`.
pub fn output_schema(returns: &TypeDef) -> Value {
    if returns.kind == TypeKind::Object {
        return type_schema(returns);
    }
    json!({
        "type": "object",
        "properties": { "result": type_schema(returns) },
        "required": ["result"],
    })
}

/// The format `timestamp` (seconds since 1970) is ours alone; JSON Schema can only describe it. It
/// ends before the years that have five digits.
const TIMESTAMP: &str = r"^(-[0-5]?[0-9]{1,10}|1?[0-9]{1,11}|2[0-4][0-9]{10})(\.[0-9]+)?$";

fn is_timestamp(ty: &TypeDef) -> bool {
    ty.kind == TypeKind::String && ty.format == Some(Format::Timestamp)
}

/// One declared type.
pub fn type_schema(ty: &TypeDef) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), ty.kind.as_str().into());
    if let Some(description) = &ty.description {
        schema.insert("description".into(), description.clone().into());
    }
    if let Some(format) = ty.format
        && ty.kind == TypeKind::String
        && format != Format::Timestamp
    {
        schema.insert("format".into(), format.as_str().into());
    }
    // A null default says "optional", which leaving it out of `required` already says.
    if let Some(default) = &ty.default
        && !default.is_null()
    {
        schema.insert("default".into(), default.clone());
    }
    if !ty.examples.is_empty() {
        schema.insert("examples".into(), ty.examples.clone().into());
    }
    if let Some(allowed) = &ty.allowed {
        schema.insert("enum".into(), allowed.clone().into());
    }
    for (key, value) in [
        ("minLength", ty.min_length),
        ("maxLength", ty.max_length),
        ("minItems", ty.min_items),
        ("maxItems", ty.max_items),
    ] {
        if let Some(value) = value {
            schema.insert(key.into(), value.into());
        }
    }
    match (&ty.pattern, is_timestamp(ty)) {
        (Some(pattern), false) => {
            schema.insert("pattern".into(), pattern.clone().into());
        }
        (None, true) => {
            schema.insert("pattern".into(), TIMESTAMP.into());
        }
        (Some(pattern), true) => {
            schema.insert("pattern".into(), pattern.clone().into());
            schema.insert("allOf".into(), json!([{ "pattern": TIMESTAMP }]));
        }
        (None, false) => {}
    }
    for (key, value) in [
        ("multipleOf", &ty.multiple_of),
        ("minimum", &ty.minimum),
        ("maximum", &ty.maximum),
        ("exclusiveMinimum", &ty.exclusive_minimum),
        ("exclusiveMaximum", &ty.exclusive_maximum),
    ] {
        if let Some(value) = value {
            schema.insert(key.into(), Value::Number(value.clone()));
        }
    }
    if ty.unique_items {
        schema.insert("uniqueItems".into(), true.into());
    }
    if let Some(items) = &ty.items {
        schema.insert("items".into(), type_schema(items));
    }
    if let Some(properties) = &ty.properties {
        let properties: Map<String, Value> = properties
            .iter()
            .map(|p| (p.name.clone(), type_schema(&p.ty)))
            .collect();
        schema.insert("properties".into(), properties.into());
    }
    if !ty.required.is_empty() {
        schema.insert("required".into(), ty.required.clone().into());
    }
    if ty.additional_properties == Some(false) {
        schema.insert("additionalProperties".into(), false.into());
    }
    schema.into()
}
