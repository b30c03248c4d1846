//! Declared types as compiled validators, whose messages are those that projects know.
//!
//! Arguments are judged by the very schema that clients see. In a result null is allowed anywhere,
//! because SQL cannot promise otherwise, and its formats are those that SQL and Python write.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use mxcp_artifact::{TypeDef, TypeKind, schema_json};
use serde_json::{Value, json};

use crate::fault::{Fault, Step};
use crate::formats;
use crate::repr;

/// A compiled type.
pub struct Validator(Result<jsonschema::Validator, String>);

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Validator").field(&self.0.is_ok()).finish()
    }
}

impl Validator {
    /// The type of an argument. Its formats are read before, in more spellings than the schema has.
    pub fn input(ty: &TypeDef) -> Self {
        Self::build(&schema_json::type_schema(ty), false)
    }

    /// The type of a result.
    pub fn output(ty: &TypeDef) -> Self {
        Self::build(&for_results(ty, schema_json::type_schema(ty)), true)
    }

    // A type that cannot be compiled (a `pattern` that is no regular expression) accepts nothing and
    // says why.
    fn build(schema: &Value, formats: bool) -> Self {
        let mut options = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(formats)
            .offline();
        if formats {
            for (name, check) in formats::CHECKS {
                options = options.with_format(name, check);
            }
        }
        Self(
            options
                .build(schema)
                .map_err(|e| format!("the declared type is not valid: {e}")),
        )
    }

    /// The first violation, with the place where it is.
    pub fn check(&self, value: &Value) -> Result<(), Fault> {
        let validator = match &self.0 {
            Ok(validator) => validator,
            Err(text) => return Err(Fault::new(text, value).without_value()),
        };
        validator.validate(value).map_err(|error| fault(&error))
    }
}

/// The schema of an argument as that of a result.
fn for_results(ty: &TypeDef, schema: Value) -> Value {
    let Value::Object(mut schema) = schema else {
        return schema;
    };
    schema.insert("type".into(), json!([ty.kind.as_str(), "null"]));
    if let Some(Value::Array(allowed)) = schema.get_mut("enum")
        && !allowed.contains(&Value::Null)
    {
        allowed.push(Value::Null);
    }
    if let (TypeKind::String, Some(format)) = (ty.kind, ty.format) {
        schema.insert("format".into(), format.as_str().into());
        // What SQL writes is a moment, not seconds.
        schema.shift_remove("allOf");
        match &ty.pattern {
            Some(pattern) => schema.insert("pattern".into(), pattern.clone().into()),
            None => schema.shift_remove("pattern"),
        };
    }
    if let Some(item) = &ty.items {
        let inner = schema.shift_remove("items").unwrap_or_default();
        schema.insert("items".into(), for_results(item, inner));
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for property in ty.properties.iter().flatten() {
            if let Some(inner) = properties.get_mut(&property.name) {
                *inner = for_results(&property.ty, inner.take());
            }
        }
    }
    schema.into()
}

fn fault(error: &jsonschema::ValidationError<'_>) -> Fault {
    let value = error.instance();
    let mut fault = match error.kind() {
        ValidationErrorKind::Type { kind } => Fault::new(
            format!(
                "Expected {}, got {}",
                expected(kind),
                repr::type_name(value)
            ),
            value,
        ),
        ValidationErrorKind::Enum { options } => {
            let options: Vec<Value> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter(|value| !value.is_null())
                .cloned()
                .collect();
            Fault::new(format!("Must be one of: {}", repr::list(&options)), value)
        }
        ValidationErrorKind::Format { format } => {
            let name = match format.as_str() {
                "uri" => "URI",
                other => other,
            };
            Fault::new(format!("Invalid {name} format"), value).named(repr::text(value))
        }
        ValidationErrorKind::Required { property } => Fault::new(
            format!("Missing required properties: {}", repr::text(property)),
            value,
        ),
        ValidationErrorKind::AdditionalProperties { unexpected } => Fault::new(
            format!("Unexpected property: {}", unexpected.join(", ")),
            value,
        ),
        kind => Fault::new(constraint(kind).unwrap_or_else(|| error.to_string()), value),
    };
    fault.path = error
        .instance_path()
        .into_iter()
        .map(|segment| match segment {
            LocationSegment::Property(name) => Step::Property(name.to_string()),
            LocationSegment::Index(index) => Step::Item(index),
        })
        .collect();
    fault
}

fn constraint(kind: &ValidationErrorKind) -> Option<String> {
    Some(match kind {
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
        _ => return None,
    })
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
