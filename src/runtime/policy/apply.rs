//! What policies do to a result. Each function tells whether it changed anything.

use mxcp_artifact::{TypeDef, TypeKind};
use serde_json::Value;

/// What stands in the place of a masked value.
const MASK: &str = "****";

/// Removes fields. A path goes through objects by `.`, and through every item of a list.
pub(super) fn filter(value: &mut Value, fields: &[String]) -> bool {
    each(fields, |path| {
        at(value, path, &mut |object, field| {
            object.shift_remove(field).is_some()
        })
    })
}

/// Masks the fields that exist, by the same paths.
pub(super) fn mask(value: &mut Value, fields: &[String]) -> bool {
    each(fields, |path| {
        at(value, path, &mut |object, field| {
            object.get_mut(field).is_some_and(|value| {
                *value = MASK.into();
                true
            })
        })
    })
}

// Unlike `any`, this goes on after the first change.
fn each<T>(items: impl IntoIterator<Item = T>, mut edit: impl FnMut(T) -> bool) -> bool {
    let mut changed = false;
    for item in items {
        changed |= edit(item);
    }
    changed
}

type Edit<'a> = dyn FnMut(&mut serde_json::Map<String, Value>, &str) -> bool + 'a;

fn at(value: &mut Value, path: &str, edit: &mut Edit<'_>) -> bool {
    match value {
        Value::Array(items) => each(items, |item| at(item, path, edit)),
        Value::Object(object) => {
            // A key may itself contain a dot.
            if object.contains_key(path) {
                return edit(object, path);
            }
            match path.split_once('.') {
                Some((head, rest)) => object
                    .get_mut(head)
                    .is_some_and(|inner| at(inner, rest, edit)),
                None => false,
            }
        }
        _ => false,
    }
}

/// Removes everything that the type marks as sensitive, at any depth. A result that is sensitive as a
/// whole becomes null, and so does one that is not what the type says: where nothing checked the result,
/// sensitive values may be anywhere in it.
pub(super) fn filter_sensitive(value: &mut Value, ty: &TypeDef) -> bool {
    let as_declared = match value {
        Value::Array(_) => ty.kind == TypeKind::Array,
        Value::Object(_) => ty.kind == TypeKind::Object,
        _ => !matches!(ty.kind, TypeKind::Array | TypeKind::Object),
    };
    if ty.sensitive || !as_declared && holds_sensitive(ty) {
        let changed = !value.is_null();
        *value = Value::Null;
        return changed;
    }
    match value {
        Value::Array(items) => match &ty.items {
            Some(item) if item.sensitive => {
                let changed = !items.is_empty();
                items.clear();
                changed
            }
            Some(item) => each(items, |value| filter_sensitive(value, item)),
            None => false,
        },
        Value::Object(object) => {
            let mut changed = false;
            for property in ty.properties.as_deref().unwrap_or_default() {
                if property.ty.sensitive {
                    changed |= object.shift_remove(&property.name).is_some();
                } else if let Some(inner) = object.get_mut(&property.name) {
                    changed |= filter_sensitive(inner, &property.ty);
                }
            }
            changed
        }
        _ => false,
    }
}

fn holds_sensitive(ty: &TypeDef) -> bool {
    ty.sensitive
        || ty.items.as_deref().is_some_and(holds_sensitive)
        || ty
            .properties
            .iter()
            .flatten()
            .any(|property| holds_sensitive(&property.ty))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|f| (*f).to_owned()).collect()
    }

    #[test]
    fn paths_reach_into_objects_and_lists() {
        let mut value = json!([{"a": {"b": 1, "c": 2}, "l": [{"x": 1}, {"y": 2}], "d.e": 3}]);
        assert!(filter(
            &mut value,
            &paths(&["a.b", "l.x", "d.e", "none.at.all"])
        ));
        assert_eq!(value, json!([{"a": {"c": 2}, "l": [{}, {"y": 2}]}]));
        assert!(mask(&mut value, &paths(&["a.c", "l.x"])));
        assert_eq!(value, json!([{"a": {"c": "****"}, "l": [{}, {"y": 2}]}]));
        assert!(!filter(&mut json!(5), &paths(&["a"])));
    }

    #[test]
    fn sensitive_values_go_at_any_depth() {
        let ty: TypeDef = serde_json::from_value(json!({
            "type": "array",
            "items": {"type": "object", "properties": [
                {"name": "p", "type": {"type": "object", "properties": [
                    {"name": "secret", "type": {"type": "string", "sensitive": true}}
                ]}},
                {"name": "tokens", "type": {"type": "array", "items": {"type": "string", "sensitive": true}}}
            ]}
        }))
        .unwrap();
        let mut value = json!([{"p": {"secret": "s", "open": 1}, "tokens": ["t"], "other": null}]);
        assert!(filter_sensitive(&mut value, &ty));
        assert_eq!(
            value,
            json!([{"p": {"open": 1}, "tokens": [], "other": null}])
        );
    }

    #[test]
    fn a_result_of_another_shape_hides_nothing() {
        let ty: TypeDef = serde_json::from_value(json!({
            "type": "array",
            "items": {"type": "object", "properties": [
                {"name": "pay", "type": {"type": "number", "sensitive": true}}
            ]}
        }))
        .unwrap();
        for mut value in [
            json!({"pay": 1}),
            json!("{\"pay\": 1}"),
            json!([[{"pay": 1}]]),
        ] {
            assert!(filter_sensitive(&mut value, &ty));
            assert!(!value.to_string().contains("pay"), "{value}");
        }
        let open: TypeDef = serde_json::from_value(json!({"type": "array"})).unwrap();
        assert!(!filter_sensitive(&mut json!({"pay": 1}), &open));
    }
}
