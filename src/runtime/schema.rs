//! Declared types as compiled validators, whose messages are those that projects know.
//!
//! Arguments and results share it. What differs: an argument was converted before, so formats are
//! already checked, and null is allowed only where a property is optional; in a result null is
//! allowed anywhere, because SQL cannot promise otherwise.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use mxcp_artifact::{TypeDef, TypeKind};
use serde_json::{Map, Value, json};

use crate::formats;
use crate::repr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

/// A compiled type.
pub(crate) struct Validator(Result<jsonschema::Validator, String>);

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Validator").field(&self.0.is_ok()).finish()
    }
}

impl Validator {
    /// Compiles a type. One that cannot be compiled (a `pattern` that is no regular expression)
    /// accepts nothing and says why.
    pub(crate) fn new(ty: &TypeDef, side: Side) -> Self {
        let mut options = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .offline();
        for (name, check) in formats::CHECKS {
            options = options.with_format(format!("mxcp-{name}"), check);
        }
        let schema = schema(ty, side, side == Side::Output);
        Self(
            options
                .build(&schema)
                .map_err(|e| format!("the declared type is not valid: {e}")),
        )
    }

    /// The first violation, with the place where it is.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        let validator = self.0.as_ref().map_err(Clone::clone)?;
        match validator.validate(value) {
            Ok(()) => Ok(()),
            Err(error) => Err(message(&error)),
        }
    }
}

fn schema(ty: &TypeDef, side: Side, nullable: bool) -> Value {
    let mut out = Map::new();
    let name = ty.kind.as_str();
    out.insert(
        "type".into(),
        if nullable {
            json!([name, "null"])
        } else {
            name.into()
        },
    );
    if let (Side::Output, TypeKind::String, Some(format)) = (side, ty.kind, ty.format) {
        out.insert("format".into(), format!("mxcp-{}", format.as_str()).into());
    }
    if let Some(allowed) = &ty.allowed {
        let mut allowed = allowed.clone();
        if nullable && !allowed.contains(&Value::Null) {
            allowed.push(Value::Null);
        }
        out.insert("enum".into(), allowed.into());
    }
    for (key, value) in [
        ("minLength", ty.min_length),
        ("maxLength", ty.max_length),
        ("minItems", ty.min_items),
        ("maxItems", ty.max_items),
    ] {
        if let Some(value) = value {
            out.insert(key.into(), value.into());
        }
    }
    if let Some(pattern) = &ty.pattern {
        out.insert("pattern".into(), pattern.clone().into());
    }
    for (key, value) in [
        ("multipleOf", &ty.multiple_of),
        ("minimum", &ty.minimum),
        ("maximum", &ty.maximum),
        ("exclusiveMinimum", &ty.exclusive_minimum),
        ("exclusiveMaximum", &ty.exclusive_maximum),
    ] {
        if let Some(value) = value {
            out.insert(key.into(), Value::Number(value.clone()));
        }
    }
    if ty.unique_items {
        out.insert("uniqueItems".into(), true.into());
    }
    if let Some(items) = &ty.items {
        out.insert("items".into(), schema(items, side, side == Side::Output));
    }
    if let Some(properties) = &ty.properties {
        let properties: Map<String, Value> = properties
            .iter()
            .map(|p| {
                let nullable = side == Side::Output || !ty.required.contains(&p.name);
                (p.name.clone(), schema(&p.ty, side, nullable))
            })
            .collect();
        out.insert("properties".into(), properties.into());
    }
    if !ty.required.is_empty() {
        out.insert("required".into(), ty.required.clone().into());
    }
    if !ty.allows_additional() {
        out.insert("additionalProperties".into(), false.into());
    }
    out.into()
}

fn message(error: &jsonschema::ValidationError<'_>) -> String {
    let mut out = String::new();
    for segment in error.instance_path() {
        match segment {
            LocationSegment::Property(name) => out.push_str(&format!("Property '{name}': ")),
            LocationSegment::Index(index) => out.push_str(&format!("Array item {index}: ")),
        }
    }
    out.push_str(&detail(error));
    out
}

fn detail(error: &jsonschema::ValidationError<'_>) -> String {
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            format!(
                "Expected {}, got {}",
                expected(kind),
                repr::type_name(value)
            )
        }
        ValidationErrorKind::Enum { options } => match options.as_array() {
            Some(options) => {
                let options: Vec<Value> =
                    options.iter().filter(|v| !v.is_null()).cloned().collect();
                format!("Must be one of: {}", repr::list(&options))
            }
            None => "Value is not allowed".into(),
        },
        ValidationErrorKind::MultipleOf { multiple_of } => {
            format!("Value must be multiple of {multiple_of}")
        }
        ValidationErrorKind::Minimum { limit } => format!("Value must be >= {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("Value must be <= {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("Value must be > {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("Value must be < {limit}"),
        ValidationErrorKind::MinLength { limit } => {
            format!("String must be at least {limit} characters long")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("String must be at most {limit} characters long")
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("Array must have at least {limit} items")
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("Array must have at most {limit} items")
        }
        ValidationErrorKind::UniqueItems => "Array must contain unique items".into(),
        ValidationErrorKind::Pattern { pattern } => {
            format!("String must match the pattern {pattern}")
        }
        ValidationErrorKind::Format { format } => {
            let format = format.strip_prefix("mxcp-").unwrap_or(format);
            format!("Invalid {format} format: {}", repr::text(value))
        }
        ValidationErrorKind::Required { property } => {
            format!("Missing required properties: {}", repr::text(property))
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            format!("Unexpected property: {}", unexpected.join(", "))
        }
        _ => error.to_string(),
    }
}

fn expected(kind: &jsonschema::error::TypeKind) -> String {
    match kind {
        jsonschema::error::TypeKind::Single(ty) => ty.to_string(),
        jsonschema::error::TypeKind::Multiple(types) => types
            .iter()
            .map(|ty| ty.to_string())
            .find(|ty| ty != "null")
            .unwrap_or_else(|| "null".into()),
    }
}
