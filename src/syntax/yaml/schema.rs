//! JSON Schema validation of a tree, without converting it, reporting every violation in one run.
//!
//! The result is data: the callers word the messages and look up ranges through the pointers.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind as Violation};
use jsonschema::{ValidationError, Validator};
use serde_json::Value as Json;

use super::YamlFile;

mod instance;
#[cfg(test)]
mod tests;

pub use instance::YamlJson;

/// At most this many violations are reported per document.
const MAX_VIOLATIONS: usize = 1_000;

/// A compiled schema and its text, which the errors quote from.
pub struct Schema {
    validator: Validator<YamlJson>,
    document: Json,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// One violation of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaError {
    /// The offending value in the document; for [`SchemaDetail::Missing`] the mapping that lacks the property.
    pub pointer: String,
    /// The keyword in the schema document, references resolved.
    pub schema_pointer: String,
    /// The schema keyword: `type`, `required`, …
    pub keyword: String,
    pub detail: SchemaDetail,
    /// The validator's own wording, a last resort.
    pub message: String,
}

/// What a [`SchemaError`] is about.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaDetail {
    /// Properties the schema does not know, in document order, and the sorted names it does.
    Unexpected {
        names: Vec<String>,
        allowed: Vec<String>,
    },
    /// A required property is not there.
    Missing { property: String },
    /// None of several properties is there, and one is needed.
    MissingOneOf { properties: Vec<String> },
    /// Several properties that exclude each other are there.
    Exclusive { properties: Vec<String> },
    /// The value has another JSON type.
    Type {
        expected: Vec<&'static str>,
        found: &'static str,
    },
    /// The value is none of the allowed ones (`enum`, `const`).
    Enum { allowed: Vec<Json>, found: Json },
    /// A string does not match a pattern.
    Pattern { pattern: String, found: Json },
    /// A string does not have a format.
    Format { format: String, found: Json },
    /// A number, length or count is out of bounds; the keyword tells which.
    Bound { limit: Json },
    /// List items repeat.
    NotUnique,
    /// A property name is not acceptable: the inner violation tells why.
    PropertyName {
        name: String,
        reason: Box<SchemaError>,
    },
    /// The schema forbids any value here (`false`, `not`).
    Forbidden,
    /// Several alternatives match where exactly one may.
    Ambiguous,
    /// Anything else; use [`SchemaError::message`].
    Other,
}

impl Schema {
    /// Compiles a schema. References may only point into the schema itself.
    pub fn compile(document: Json) -> Result<Schema, String> {
        let validator = jsonschema::options_for::<YamlJson>()
            .should_validate_formats(true)
            .offline()
            .build(&document)
            .map_err(|error| error.to_string())?;
        Ok(Schema {
            validator,
            document,
        })
    }

    #[must_use]
    pub fn document(&self) -> &Json {
        &self.document
    }
}

/// Whether `pattern` is a regular expression as the keyword `pattern` understands it: the same engine
/// judges values later.
#[must_use]
pub fn is_pattern(pattern: &str) -> bool {
    jsonschema::options()
        .offline()
        .build(&serde_json::json!({ "pattern": pattern }))
        .is_ok()
}

/// Every violation of `schema` in `file`, in document order. An empty document is validated as `null`.
#[must_use]
pub fn validate(schema: &Schema, file: &YamlFile) -> Vec<SchemaError> {
    let instance = instance::root(file);
    let mut found = Vec::new();
    for error in schema.validator.iter_errors(instance).take(MAX_VIOLATIONS) {
        report(schema, &error, &mut found);
    }
    // A property can be rejected through several paths of the schema; one report is enough.
    let mut unique: Vec<SchemaError> = Vec::with_capacity(found.len());
    for error in found {
        if !unique
            .iter()
            .any(|known| known.pointer == error.pointer && known.detail == error.detail)
        {
            unique.push(error);
        }
    }
    unique.sort_by_cached_key(|error| {
        let range = match &error.detail {
            SchemaDetail::Unexpected { names, .. } => names
                .first()
                .and_then(|name| file.key_range(&super::join_pointer(&error.pointer, name))),
            _ => None,
        };
        range
            .or_else(|| file.value_range(&error.pointer))
            .map(|range| range.start())
    });
    unique
}

/// Turns one violation into reports, descending into the best branch of `oneOf` and `anyOf`.
fn report(schema: &Schema, error: &ValidationError<'_>, found: &mut Vec<SchemaError>) {
    match error.kind() {
        Violation::AnyOf { context } | Violation::OneOfNotValid { context } => {
            branches(schema, error, context, found);
        }
        _ => found.push(single(schema, error)),
    }
}

fn single(schema: &Schema, error: &ValidationError<'_>) -> SchemaError {
    let schema_pointer = error.schema_path().as_str().to_owned();
    let value = || error.instance().as_ref().clone();
    let detail = match error.kind() {
        Violation::AdditionalProperties { unexpected }
        | Violation::UnevaluatedProperties { unexpected } => {
            let mut allowed = BTreeSet::new();
            let owner = parent(&schema_pointer);
            known_properties(&schema.document, owner, &mut allowed, 0);
            SchemaDetail::Unexpected {
                names: unexpected.clone(),
                allowed: allowed.into_iter().collect(),
            }
        }
        Violation::Required { property } => SchemaDetail::Missing {
            property: text(property),
        },
        Violation::Type { kind } => SchemaDetail::Type {
            expected: match kind {
                TypeKind::Single(one) => vec![one.as_str()],
                TypeKind::Multiple(many) => many.iter().map(|one| one.as_str()).collect(),
            },
            found: type_name(error.instance()),
        },
        Violation::Enum { options } => SchemaDetail::Enum {
            allowed: options.as_array().cloned().unwrap_or_default(),
            found: value(),
        },
        Violation::Constant { expected_value } => SchemaDetail::Enum {
            allowed: vec![expected_value.as_ref().clone()],
            found: value(),
        },
        Violation::Pattern { pattern } => SchemaDetail::Pattern {
            pattern: pattern.clone(),
            found: value(),
        },
        Violation::Format { format } => SchemaDetail::Format {
            format: format.clone(),
            found: value(),
        },
        Violation::ExclusiveMaximum { limit }
        | Violation::ExclusiveMinimum { limit }
        | Violation::Maximum { limit }
        | Violation::Minimum { limit } => SchemaDetail::Bound {
            limit: limit.clone(),
        },
        Violation::MaxItems { limit }
        | Violation::MinItems { limit }
        | Violation::MaxLength { limit }
        | Violation::MinLength { limit }
        | Violation::MaxProperties { limit }
        | Violation::MinProperties { limit } => SchemaDetail::Bound {
            limit: (*limit).into(),
        },
        Violation::UniqueItems => SchemaDetail::NotUnique,
        Violation::PropertyNames { error: inner } => SchemaDetail::PropertyName {
            name: text(inner.instance()),
            reason: Box::new(single(schema, inner)),
        },
        Violation::FalseSchema | Violation::Not { .. } => SchemaDetail::Forbidden,
        Violation::OneOfMultipleValid { context } => {
            let mut properties = Vec::new();
            for (index, branch) in context.iter().enumerate() {
                if branch.is_empty() {
                    let required = format!("{schema_pointer}/{index}/required");
                    let names = schema.document.pointer(&required).and_then(Json::as_array);
                    properties.extend(names.into_iter().flatten().map(text));
                }
            }
            properties.dedup();
            if properties.len() > 1 {
                SchemaDetail::Exclusive { properties }
            } else {
                SchemaDetail::Ambiguous
            }
        }
        _ => SchemaDetail::Other,
    };
    SchemaError {
        pointer: error.instance_path().as_str().to_owned(),
        schema_pointer,
        keyword: error.kind().keyword().to_owned(),
        detail,
        message: error.to_string(),
    }
}

/// Reports the branch that the author most likely meant, or what all branches have in common.
fn branches(
    schema: &Schema,
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    found: &mut Vec<SchemaError>,
) {
    let here = error.instance_path().as_str();
    let mut reports: Vec<Vec<SchemaError>> = context
        .iter()
        .map(|branch| {
            let mut inner = Vec::new();
            for error in branch {
                report(schema, error, &mut inner);
            }
            inner
        })
        .collect();
    reports.retain(|branch| !branch.is_empty());
    if let Some(detail) = common(here, &reports) {
        found.push(SchemaError {
            pointer: here.to_owned(),
            schema_pointer: error.schema_path().as_str().to_owned(),
            keyword: error.kind().keyword().to_owned(),
            detail,
            message: error.to_string(),
        });
        return;
    }
    if let Some(error) = discriminator(&reports) {
        found.push(error);
        return;
    }
    let best = reports
        .into_iter()
        .min_by_key(|branch| misfit(here, branch));
    match best {
        Some(best) => found.extend(best),
        None => found.push(single(schema, error)),
    }
}

/// When all that keeps every branch from matching is the value of one property, the union of its allowed values.
fn discriminator(reports: &[Vec<SchemaError>]) -> Option<SchemaError> {
    let mut union: Option<SchemaError> = None;
    for branch in reports {
        let [error] = &branch[..] else { return None };
        let SchemaDetail::Enum { allowed: more, .. } = &error.detail else {
            return None;
        };
        match &mut union {
            None => union = Some(error.clone()),
            Some(known) if known.pointer == error.pointer => {
                if let SchemaDetail::Enum { allowed, .. } = &mut known.detail {
                    for value in more {
                        if !allowed.contains(value) {
                            allowed.push(value.clone());
                        }
                    }
                }
            }
            Some(_) => return None,
        }
    }
    union
}

/// One detail that says what every branch asks for: a union of types or of allowed values, or one of several
/// properties.
fn common(here: &str, reports: &[Vec<SchemaError>]) -> Option<SchemaDetail> {
    let mut types: Vec<&'static str> = Vec::new();
    let mut values: Vec<Json> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    let mut seen_type = None;
    let mut seen_value = None;
    let (mut only_values, mut only_missing, mut only_types) = (true, true, true);
    for branch in reports {
        let at_root = |error: &&SchemaError| error.pointer == here;
        let mut branch_types = false;
        for error in branch.iter().filter(at_root) {
            match &error.detail {
                SchemaDetail::Type { expected, found } => {
                    types.extend(expected);
                    seen_type = Some(*found);
                    branch_types = true;
                }
                SchemaDetail::Enum { allowed, found } => {
                    values.extend(allowed.iter().cloned());
                    seen_value = Some(found.clone());
                }
                SchemaDetail::Missing { property } => missing.push(property.clone()),
                SchemaDetail::MissingOneOf { properties } => {
                    missing.extend(properties.iter().cloned());
                }
                _ => {}
            }
        }
        only_types &= branch_types;
        only_values &= branch
            .iter()
            .all(|e| e.pointer == here && matches!(e.detail, SchemaDetail::Enum { .. }));
        only_missing &= matches!(
            &branch[..],
            [SchemaError {
                detail: SchemaDetail::Missing { .. } | SchemaDetail::MissingOneOf { .. },
                pointer,
                ..
            }] if pointer == here
        );
    }
    if reports.is_empty() {
        return None;
    }
    if let (true, Some(found)) = (only_types, seen_type) {
        types.sort_unstable();
        types.dedup();
        return Some(SchemaDetail::Type {
            expected: types,
            found,
        });
    }
    if let (true, Some(found)) = (only_values, seen_value) {
        let mut allowed: Vec<Json> = Vec::new();
        for value in values {
            if !allowed.contains(&value) {
                allowed.push(value);
            }
        }
        return Some(SchemaDetail::Enum { allowed, found });
    }
    missing.dedup();
    (only_missing && missing.len() > 1).then_some(SchemaDetail::MissingOneOf {
        properties: missing,
    })
}

/// How far a branch is from what the author wrote; smaller is closer.
fn misfit(here: &str, branch: &[SchemaError]) -> (usize, usize, usize, usize) {
    let depth = |pointer: &str| {
        pointer[here.len().min(pointer.len())..]
            .matches('/')
            .count()
    };
    // A wrong type of the value itself, or a discriminating property with another value, rules a branch out.
    let wrong_kind = branch
        .iter()
        .filter(|error| match &error.detail {
            SchemaDetail::Type { .. } => error.pointer == here,
            SchemaDetail::Enum { .. } => depth(&error.pointer) <= 1,
            SchemaDetail::Forbidden => error.pointer == here,
            _ => false,
        })
        .count();
    let strangers = branch
        .iter()
        .map(|error| match &error.detail {
            SchemaDetail::Unexpected { names, .. } if error.pointer == here => names.len(),
            SchemaDetail::Missing { .. } if error.pointer == here => 1,
            _ => 0,
        })
        .sum();
    let shallowest = branch
        .iter()
        .map(|error| depth(&error.pointer))
        .min()
        .unwrap_or(0);
    (wrong_kind, strangers, usize::MAX - shallowest, branch.len())
}

/// The property names a schema object knows, through its references and combinators.
fn known_properties(document: &Json, pointer: &str, names: &mut BTreeSet<String>, depth: u32) {
    if depth > 16 {
        return;
    }
    let Some(object) = document.pointer(pointer).and_then(Json::as_object) else {
        return;
    };
    if let Some(properties) = object.get("properties").and_then(Json::as_object) {
        names.extend(
            properties
                .iter()
                .filter(|(_, schema)| **schema != Json::Bool(false))
                .map(|(name, _)| name.clone()),
        );
    }
    let target = object.get("$ref").and_then(Json::as_str);
    if let Some(target) = target.and_then(|target| target.strip_prefix('#')) {
        known_properties(document, target, names, depth + 1);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let count = object
            .get(keyword)
            .and_then(Json::as_array)
            .map_or(0, Vec::len);
        for index in 0..count {
            let branch = format!("{pointer}/{keyword}/{index}");
            known_properties(document, &branch, names, depth + 1);
        }
    }
    for keyword in ["if", "then", "else"] {
        if object.contains_key(keyword) {
            known_properties(document, &format!("{pointer}/{keyword}"), names, depth + 1);
        }
    }
}

fn parent(pointer: &str) -> &str {
    pointer.rfind('/').map_or("", |at| &pointer[..at])
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
