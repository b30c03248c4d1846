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
    ty.default = node.get("default").map(|n| lower_value(kind, n));
    ty.examples = values(kind, node.get("examples"));
    // An empty list allows nothing less than no list.
    ty.allowed = Some(values(kind, node.get("enum"))).filter(|values| !values.is_empty());
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
    for name in node.get("required").into_iter().flat_map(|n| n.items()) {
        if let Some(name) = name
            .as_str()
            .filter(|n| !ty.required.iter().any(|r| r == n))
        {
            ty.required.push(name.to_owned());
        }
    }
    ty.additional_properties = boolean(node.get("additionalProperties"));
    Some(ty)
}

fn values(kind: TypeKind, node: Option<Node<'_>>) -> Vec<Value> {
    node.map(|n| n.items().map(|item| lower_value(kind, item)).collect())
        .unwrap_or_default()
}

// A value as its type asks for it. YAML reads `no`, `010` and `1:30` as something else than the
// text that an author means who writes them among the values of a string.
pub fn lower_value(kind: TypeKind, node: Node<'_>) -> Value {
    let value = node.to_json();
    match (kind, value) {
        (TypeKind::String, Value::Bool(_) | Value::Number(_)) => {
            node.scalar().unwrap_or_default().into()
        }
        (TypeKind::Integer | TypeKind::Number, Value::String(text)) => text
            .trim()
            .parse()
            .map_or(Value::String(text), Value::Number),
        (_, value) => value,
    }
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

#[cfg(test)]
mod tests {
    use mxcp_syntax::yaml;
    use serde_json::json;

    use super::*;

    fn lowered(text: &str) -> TypeDef {
        let tree = yaml::parse(text);
        lower_type(tree.root().expect("a value")).expect("a type")
    }

    #[test]
    fn values_of_a_string_are_texts_as_written() {
        let ty = lowered(
            "{type: string, enum: [yes, no, 010, 1:30, null], default: no, examples: [1.50]}",
        );
        assert_eq!(
            ty.allowed,
            Some(vec![
                json!("yes"),
                json!("no"),
                json!("010"),
                json!("1:30"),
                Value::Null
            ])
        );
        assert_eq!(ty.default, Some(json!("no")));
        assert_eq!(ty.examples, [json!("1.50")]);
        let ty = lowered("{type: integer, enum: [1, '2', x], default: null}");
        assert_eq!(ty.allowed, Some(vec![json!(1), json!(2), json!("x")]));
        assert_eq!(ty.default, Some(Value::Null));
    }

    #[test]
    fn no_list_of_values_is_no_constraint() {
        assert_eq!(lowered("{type: string, enum: }").allowed, None);
        assert_eq!(lowered("{type: string, enum: []}").allowed, None);
        assert_eq!(
            lowered("{type: object, required: [a, a, b]}").required,
            ["a", "b"]
        );
    }
}
