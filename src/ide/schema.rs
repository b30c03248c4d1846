//! The JSON Schemas of the grammar as an editor reads them: which keys and values a place may have.

use std::sync::LazyLock;

use mxcp_base::SourceFile;
use mxcp_compiler::Db;
use mxcp_compiler::check::documents::Schema;
use mxcp_compiler::documents::{DocumentKind, document_kind};
use mxcp_syntax::yaml::pointer_segments;
use serde_json::Value;

fn document(schema: Schema) -> &'static Value {
    static PARSED: LazyLock<Vec<(Schema, Value)>> = LazyLock::new(|| {
        [
            Schema::Endpoint,
            Schema::Site,
            Schema::Evals,
            Schema::DbtProject,
            Schema::DbtProperties,
        ]
        .into_iter()
        .map(|s| (s, serde_json::from_str(s.text()).unwrap_or_default()))
        .collect()
    });
    static NONE: Value = Value::Null;
    PARSED
        .iter()
        .find(|(s, _)| *s == schema)
        .map_or(&NONE, |(_, document)| document)
}

/// The schema of a file's kind.
pub fn of_file(db: &dyn Db, file: SourceFile) -> Option<Schema> {
    Some(match document_kind(db, file) {
        DocumentKind::Site => Schema::Site,
        DocumentKind::Endpoint(_) => Schema::Endpoint,
        DocumentKind::Eval => Schema::Evals,
        DocumentKind::DbtProject => Schema::DbtProject,
        DocumentKind::DbtProperties => Schema::DbtProperties,
        _ => return None,
    })
}

/// A key that a mapping may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub description: Option<String>,
    pub required: bool,
    /// Its values are mappings, lists, or something short.
    pub shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Scalar,
    Map,
    List,
}

/// All schemas that apply at a pointer.
pub fn at(schema: Schema, pointer: &str) -> Vec<&'static Value> {
    let root = document(schema);
    let mut here = expanded(root, root);
    for segment in pointer_segments(pointer) {
        let mut next = Vec::new();
        for schema in here {
            for child in child(schema, &segment) {
                next.extend(expanded(root, child));
            }
        }
        here = next;
    }
    here
}

/// A schema with everything it includes.
fn expanded(root: &'static Value, schema: &'static Value) -> Vec<&'static Value> {
    let mut found: Vec<&'static Value> = Vec::new();
    let mut todo = vec![schema];
    while let Some(schema) = todo.pop() {
        if found.iter().any(|f| std::ptr::eq(*f, schema)) || found.len() > 200 {
            continue;
        }
        found.push(schema);
        if let Some(target) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|r| root.pointer(r.trim_start_matches('#')))
        {
            todo.push(target);
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(key).and_then(Value::as_array);
            todo.extend(parts.into_iter().flatten());
        }
        for key in ["then", "else"] {
            todo.extend(schema.get(key));
        }
    }
    found
}

fn child(schema: &'static Value, segment: &str) -> Vec<&'static Value> {
    let mut found = Vec::new();
    found.extend(schema.get("properties").and_then(|p| p.get(segment)));
    if found.is_empty() {
        found.extend(schema.get("additionalProperties").filter(|p| p.is_object()));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        found.extend(patterns.into_iter().flat_map(|p| p.values()));
    }
    if segment.bytes().all(|b| b.is_ascii_digit()) {
        found.extend(schema.get("items").filter(|i| i.is_object()));
    }
    found
}

fn text(schema: &Value, key: &str) -> Option<String> {
    schema.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The keys that a mapping at a pointer may have, in the grammar's order.
pub fn keys(schema: Schema, pointer: &str) -> Vec<Key> {
    let root = document(schema);
    let mut found: Vec<Key> = Vec::new();
    for part in at(schema, pointer) {
        let required = part.get("required").and_then(Value::as_array);
        let properties = part.get("properties").and_then(Value::as_object);
        for (name, value) in properties.into_iter().flatten() {
            // It is read, but nobody should write it.
            if value.get("deprecated").is_some() {
                continue;
            }
            let description = text(value, "description");
            let is_required = required.is_some_and(|r| r.iter().any(|r| r == name));
            match found.iter_mut().find(|k| k.name == *name) {
                Some(known) => {
                    known.required |= is_required;
                    known.description = known.description.take().or(description);
                }
                None => found.push(Key {
                    name: name.clone(),
                    description,
                    required: is_required,
                    shape: shape(root, value),
                }),
            }
        }
    }
    found
}

fn shape(root: &'static Value, schema: &'static Value) -> Shape {
    for part in expanded(root, schema) {
        let is = |name: &str| match part.get("type") {
            Some(Value::String(one)) => one == name,
            Some(Value::Array(many)) => many.iter().any(|t| t == name),
            _ => false,
        };
        if is("string") || is("boolean") || is("integer") || is("number") {
            return Shape::Scalar;
        }
        if is("array") {
            return Shape::List;
        }
        if is("object") {
            return Shape::Map;
        }
    }
    Shape::Scalar
}

/// The values that a place may have, where the grammar lists them.
pub fn values(schema: Schema, pointer: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in at(schema, pointer) {
        for value in part
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .chain(part.get("const"))
        {
            match value {
                Value::String(text) => found.push(text.clone()),
                Value::Null => {}
                other => found.push(other.to_string()),
            }
        }
        let is_boolean = match part.get("type") {
            Some(Value::String(one)) => one == "boolean",
            Some(Value::Array(many)) => many.iter().any(|t| t == "boolean"),
            _ => false,
        };
        if is_boolean {
            found.extend(["true".to_owned(), "false".to_owned()]);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|v| seen.insert(v.clone()));
    found
}

/// Values that are often meant where the grammar allows any.
pub fn examples(schema: Schema, pointer: &str) -> Vec<&'static str> {
    at(schema, pointer)
        .into_iter()
        .flat_map(|part| part.get("examples").and_then(Value::as_array))
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// What the grammar says of a key.
pub fn describe(schema: Schema, pointer: &str) -> Option<String> {
    at(schema, pointer)
        .into_iter()
        .find_map(|part| text(part, "description"))
}
