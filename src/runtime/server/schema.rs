//! The output schema that clients see: the declared one, widened to what a call may really give.
//!
//! Clients validate structured results and drop those that do not fit. SQL cannot promise that a
//! value is not null, output policies remove and mask fields for some callers, and a moment without
//! a zone or an address with an umlaut is fine here though no format of JSON Schema.

use mxcp_artifact::{Action, Endpoint, Format, Policy, TypeDef, TypeKind};
use serde_json::{Map, Value, json};

/// The schema to advertise; always an object's.
pub(crate) fn output_schema(endpoint: &Endpoint) -> Option<Map<String, Value>> {
    let returns = endpoint.returns.as_ref()?;
    let mut schema = endpoint.output_schema.clone()?;
    let filters = |p: &Policy| p.action == Action::FilterSensitiveFields;
    if returns.sensitive
        && returns.kind == TypeKind::Object
        && endpoint.policies.output.iter().any(filters)
    {
        // It may become null, which no schema of an object allows.
        return None;
    }
    // Anything but an object is wrapped.
    let wrapped = returns.kind != TypeKind::Object;
    let root = if wrapped {
        schema.pointer_mut("/properties/result")
    } else {
        Some(&mut schema)
    };
    if let Some(root) = root {
        without_formats(root, returns);
        for policy in &endpoint.policies.output {
            match policy.action {
                Action::Deny => {}
                Action::FilterFields => at_each(root, &policy.fields, &not_required),
                Action::MaskFields => at_each(root, &policy.fields, &or_text),
                Action::FilterSensitiveFields => without_sensitive(root, returns),
            }
        }
    }
    match nullable_inside(schema) {
        Value::Object(schema) => Some(schema),
        _ => None,
    }
}

// Of all formats a day alone is always written the way JSON Schema wants it.
fn without_formats(schema: &mut Value, ty: &TypeDef) {
    let Value::Object(object) = schema else {
        return;
    };
    if ty.format != Some(Format::Date) {
        object.shift_remove("format");
    }
    if ty.format == Some(Format::Timestamp) {
        // Seconds are for arguments; a result is a moment.
        object.shift_remove("allOf");
        object.shift_remove("pattern");
        if let Some(pattern) = &ty.pattern {
            object.insert("pattern".into(), pattern.clone().into());
        }
    }
    if let (Some(items), Some(ty)) = (object.get_mut("items"), &ty.items) {
        without_formats(items, ty);
    }
    for property in ty.properties.iter().flatten() {
        if let Some(inner) = object
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(&property.name))
        {
            without_formats(inner, &property.ty);
        }
    }
}

type Edit<'a> = dyn Fn(&mut Map<String, Value>, &str) + 'a;

fn at_each(schema: &mut Value, paths: &[String], edit: &Edit<'_>) {
    for path in paths {
        at(schema, path, edit);
    }
}

// The paths of policies: through objects by `.`, through every item of a list.
fn at(schema: &mut Value, path: &str, edit: &Edit<'_>) {
    let Value::Object(object) = schema else {
        return;
    };
    if let Some(items) = object.get_mut("items") {
        return at(items, path, edit);
    }
    let property = |name: &str, object: &Map<String, Value>| {
        object
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|properties| properties.contains_key(name))
    };
    if property(path, object) {
        edit(object, path);
    } else if let Some((head, rest)) = path.split_once('.')
        && let Some(inner) = object
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(head))
    {
        at(inner, rest, edit);
    }
}

fn not_required(object: &mut Map<String, Value>, name: &str) {
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.retain(|item| item.as_str() != Some(name));
        if required.is_empty() {
            object.shift_remove("required");
        }
    }
}

fn or_text(object: &mut Map<String, Value>, name: &str) {
    if let Some(property) = object
        .get_mut("properties")
        .and_then(|properties| properties.get_mut(name))
    {
        *property = or(property.take(), "string");
    }
}

fn without_sensitive(schema: &mut Value, ty: &TypeDef) {
    let Value::Object(object) = schema else {
        return;
    };
    if let (Some(items), Some(ty)) = (object.get_mut("items"), &ty.items) {
        without_sensitive(items, ty);
        if ty.sensitive {
            object.shift_remove("minItems");
        }
    }
    for property in ty.properties.as_deref().unwrap_or_default() {
        if property.ty.sensitive {
            not_required(object, &property.name);
        } else if let Some(inner) = object
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(&property.name))
        {
            without_sensitive(inner, &property.ty);
        }
    }
}

fn nullable_inside(schema: Value) -> Value {
    let Value::Object(mut object) = schema else {
        return schema;
    };
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            *property = nullable(property.take());
        }
    }
    if let Some(items) = object.get_mut("items") {
        *items = nullable(items.take());
    }
    if let Some(branches) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
        for branch in branches {
            *branch = nullable_inside(branch.take());
        }
    }
    object.into()
}

fn nullable(schema: Value) -> Value {
    or(nullable_inside(schema), "null")
}

// `anyOf`, because lists of types are not understood everywhere.
fn or(schema: Value, name: &str) -> Value {
    let Value::Object(mut object) = schema else {
        return schema;
    };
    if object.is_empty() {
        return object.into();
    }
    let branch = json!({ "type": name });
    if let Some(branches) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
        if !branches.contains(&branch) {
            branches.push(branch);
        }
        return object.into();
    }
    let mut out = Map::new();
    if let Some(description) = object.shift_remove("description") {
        out.insert("description".into(), description);
    }
    let branches = if Value::Object(object.clone()) == branch {
        vec![object.into()]
    } else {
        vec![object.into(), branch]
    };
    out.insert("anyOf".into(), branches.into());
    out.into()
}

#[cfg(test)]
mod tests {
    use mxcp_artifact::schema_json;

    use super::*;

    fn advertised(returns: Value, policies: Value) -> Value {
        let returns: TypeDef = serde_json::from_value(returns).unwrap();
        let endpoint: Endpoint = serde_json::from_value(json!({
            "kind": "tool",
            "name": "t",
            "path": "tools/t.yml",
            "return": returns,
            "body": {"sql": {"sql": "SELECT 1", "effects": {}}},
            "policies": {"output": policies},
            "input_schema": {"type": "object"},
            "output_schema": schema_json::output_schema(&returns),
        }))
        .unwrap();
        output_schema(&endpoint).unwrap().into()
    }

    #[test]
    fn values_may_be_null_but_the_result_is_an_object() {
        assert_eq!(
            advertised(
                json!({"type": "object", "required": ["a"], "properties": [
                    {"name": "a", "type": {"type": "integer", "minimum": 1, "description": "A"}}
                ]}),
                json!([])
            ),
            json!({
                "type": "object",
                "properties": {"a": {
                    "description": "A",
                    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]
                }},
                "required": ["a"]
            })
        );
        assert_eq!(
            advertised(
                json!({"type": "array", "items": {"type": "string"}}),
                json!([])
            ),
            json!({
                "type": "object",
                "properties": {"result": {"anyOf": [
                    {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                    {"type": "null"}
                ]}},
                "required": ["result"]
            })
        );
    }

    #[test]
    fn what_policies_take_away_is_not_promised() {
        let schema = advertised(
            json!({"type": "array", "items": {
                "type": "object",
                "required": ["id", "mail", "age", "secret", "inner"],
                "properties": [
                    {"name": "id", "type": {"type": "integer"}},
                    {"name": "mail", "type": {"type": "string"}},
                    {"name": "age", "type": {"type": "integer"}},
                    {"name": "secret", "type": {"type": "string", "sensitive": true}},
                    {"name": "inner", "type": {"type": "object", "required": ["x"], "properties": [
                        {"name": "x", "type": {"type": "integer"}}
                    ]}}
                ]
            }}),
            json!([
                {"condition": "true", "action": "filter_fields", "fields": ["mail", "inner.x"]},
                {"condition": "true", "action": "mask_fields", "fields": ["age"]},
                {"condition": "true", "action": "filter_sensitive_fields"}
            ]),
        );
        let item = &schema["properties"]["result"]["anyOf"][0]["items"]["anyOf"][0];
        assert_eq!(item["required"], json!(["id", "age", "inner"]));
        assert_eq!(
            item["properties"]["age"],
            json!({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]})
        );
        assert!(
            item["properties"]["inner"]["anyOf"][0]
                .get("required")
                .is_none()
        );
    }
}
