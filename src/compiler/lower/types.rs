//! Declared types out of their YAML form.

use mxcp_artifact::{Format, Property, TypeDef, TypeKind};
use mxcp_syntax::yaml::{Kind, Node};
use serde_json::{Number, Value};

use crate::site::{boolean, string};

/// `None` when the type's own name is missing or unknown: nothing can be said of such a type.
pub fn lower_type(node: Node<'_>) -> Option<TypeDef> {
    let kind = TypeKind::from_name(node.get("type")?.as_str()?)?;
    let mut ty = TypeDef::new(kind);
    ty.format = node
        .get("format")
        .and_then(|n| n.as_str())
        .and_then(Format::from_name);
    ty.description = string(node.get("description"));
    ty.default = node.get("default").map(|n| n.to_json());
    ty.examples = values(node.get("examples"));
    ty.allowed = node.get("enum").map(|n| values(Some(n)));
    ty.sensitive = boolean(node.get("sensitive")).unwrap_or(false);
    ty.min_length = count(node.get("minLength"));
    ty.max_length = count(node.get("maxLength"));
    ty.pattern = string(node.get("pattern"));
    ty.minimum = number(node.get("minimum"));
    ty.maximum = number(node.get("maximum"));
    ty.exclusive_minimum = number(node.get("exclusiveMinimum"));
    ty.exclusive_maximum = number(node.get("exclusiveMaximum"));
    ty.multiple_of = number(node.get("multipleOf"));
    ty.min_items = count(node.get("minItems"));
    ty.max_items = count(node.get("maxItems"));
    ty.unique_items = boolean(node.get("uniqueItems")).unwrap_or(false);
    ty.items = node.get("items").and_then(lower_type).map(Box::new);
    ty.properties = node
        .get("properties")
        .filter(|n| n.kind() == Kind::Map)
        .map(|n| {
            n.entries()
                .filter_map(|(key, value)| {
                    Some(Property {
                        name: key.text.to_owned(),
                        ty: lower_type(value)?,
                    })
                })
                .collect()
        });
    ty.required = node
        .get("required")
        .map(|n| {
            n.items()
                .filter_map(|i| i.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    ty.additional_properties = boolean(node.get("additionalProperties"));
    Some(ty)
}

fn values(node: Option<Node<'_>>) -> Vec<Value> {
    node.map(|n| n.items().map(|i| i.to_json()).collect())
        .unwrap_or_default()
}

fn count(node: Option<Node<'_>>) -> Option<u64> {
    let number = number(node)?;
    number.as_u64().or_else(|| {
        number
            .as_f64()
            .filter(|f| *f >= 0.0 && f.fract() == 0.0)
            .map(|f| f as u64)
    })
}

// A number, or one written as a string; integers stay integers so that messages show what was written.
fn number(node: Option<Node<'_>>) -> Option<Number> {
    match node?.to_json() {
        Value::Number(n) => Some(n),
        Value::String(s) => s
            .trim()
            .parse::<i64>()
            .ok()
            .map(Number::from)
            .or_else(|| s.trim().parse::<f64>().ok().and_then(Number::from_f64)),
        _ => None,
    }
}
