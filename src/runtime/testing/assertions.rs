//! What a test says about a result. Numbers compare by value; a false, zero or empty result is a
//! result like any other.

use mxcp_artifact::{EndpointKind, TestCase};
use mxcp_values::equal;
use mxcp_values::repr::{self, repr};
use serde_json::Value;

/// The value that assertions look at. Of a prompt that is its last assistant message, as JSON where
/// it looks like JSON; without such a message the whole list.
pub(super) fn normalise(kind: EndpointKind, value: Value) -> Value {
    if kind != EndpointKind::Prompt {
        return value;
    }
    let message = value.as_array().and_then(|messages| {
        messages
            .iter()
            .rfind(|m| m.get("role").and_then(Value::as_str) == Some("assistant"))?
            .get("prompt")?
            .as_str()
    });
    match message {
        Some(text) => {
            let text = text.trim();
            if text.starts_with(['{', '[']) {
                serde_json::from_str(text).unwrap_or_else(|_| text.into())
            } else {
                text.into()
            }
        }
        None => value,
    }
}

/// The first assertion that does not hold.
pub(super) fn check(test: &TestCase, value: &Value) -> Result<(), String> {
    if test.denied {
        return Err("Expected the call to be denied by a policy, but it succeeded".into());
    }
    if let Some(wanted) = &test.expect_error {
        return Err(format!(
            "Expected an error containing '{wanted}', but the call succeeded"
        ));
    }
    if let Some(wanted) = &test.result
        && !equal(value, wanted)
    {
        return Err(format!(
            "Result does not match expected output.\nExpected: {}\nGot: {}",
            repr::text(wanted),
            repr::text(value)
        ));
    }
    if let Some(wanted) = &test.result_contains {
        contains(value, wanted)?;
    }
    if let Some(names) = test
        .result_not_contains
        .as_deref()
        .filter(|n| !n.is_empty())
    {
        let Value::Object(fields) = value else {
            return Err(mismatch("result_not_contains", "dict", value));
        };
        if let Some(name) = names.iter().find(|name| fields.contains_key(*name)) {
            return Err(format!(
                "Field '{name}' should not be present in result but was found"
            ));
        }
    }
    if let Some(wanted) = &test.result_contains_item {
        let items = list("result_contains_item", value)?;
        if !items.iter().any(|item| has(item, wanted)) {
            return Err(no_item(wanted));
        }
    }
    if let Some(wanted) = test
        .result_contains_all
        .as_deref()
        .filter(|w| !w.is_empty())
    {
        let items = list("result_contains_all", value)?;
        for wanted in wanted {
            if !items.iter().any(|item| has(item, wanted)) {
                return Err(no_item(wanted));
            }
        }
    }
    if let Some(wanted) = test.result_length {
        let items = list("result_length", value)?;
        if items.len() as u64 != wanted {
            return Err(format!(
                "Array has {} items, expected {wanted}",
                items.len()
            ));
        }
    }
    if let Some(wanted) = &test.result_contains_text
        && !repr::text(value).contains(wanted.as_str())
    {
        return Err(format!("Result does not contain expected text: '{wanted}'"));
    }
    Ok(())
}

fn contains(value: &Value, wanted: &Value) -> Result<(), String> {
    match (value, wanted) {
        (Value::Object(fields), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                match fields.get(name) {
                    None => return Err(format!("Expected field '{name}' not found in result")),
                    Some(found) if !alike(found, wanted) => {
                        return Err(format!(
                            "Field '{name}' has value {}, expected {}",
                            repr::text(found),
                            repr::text(wanted)
                        ));
                    }
                    Some(_) => {}
                }
            }
            Ok(())
        }
        (Value::Array(items), Value::Object(_)) => {
            if items.iter().any(|item| has(item, wanted)) {
                Ok(())
            } else {
                Err(format!(
                    "No item in array contains the expected fields: {}",
                    repr(wanted)
                ))
            }
        }
        (Value::Array(items), wanted) => {
            if items.iter().any(|item| alike(item, wanted)) {
                Ok(())
            } else {
                Err(format!(
                    "Array does not contain expected value: {}",
                    repr::text(wanted)
                ))
            }
        }
        _ => Err(mismatch("result_contains", "dict or array", value)),
    }
}

fn no_item(wanted: &Value) -> String {
    format!(
        "Array does not contain expected item: {}",
        repr::text(wanted)
    )
}

// Equal, or an object with at least the wanted fields.
fn has(item: &Value, wanted: &Value) -> bool {
    match (item, wanted) {
        (Value::Object(fields), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| fields.get(name).is_some_and(|found| alike(found, wanted))),
        _ => alike(item, wanted),
    }
}

/// Equality of everything but `result`: true and 1 are the same there, as they are in Python.
fn alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Bool(a), Value::Number(_)) => equal(&u8::from(*a).into(), right),
        (Value::Number(_), Value::Bool(_)) => alike(right, left),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        _ => equal(left, right),
    }
}

fn list<'a>(assertion: &str, value: &'a Value) -> Result<&'a [Value], String> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| mismatch(assertion, "array", value))
}

fn mismatch(assertion: &str, wanted: &str, value: &Value) -> String {
    format!(
        "{assertion} assertion requires {wanted} result, got <class '{}'>",
        repr::type_name(value)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(test: Value, value: Value) -> Result<(), String> {
        let mut test = test;
        test["name"] = "t".into();
        let test: TestCase = serde_json::from_value(test).unwrap();
        check(&test, &value)
    }

    #[test]
    fn falsy_results_are_results() {
        assert_eq!(checked(json!({"result": 0}), json!(0)), Ok(()));
        assert_eq!(checked(json!({"result": false}), json!(false)), Ok(()));
        assert!(checked(json!({"result": []}), json!(0)).is_err());
        assert_eq!(checked(json!({"result": null}), json!(null)), Ok(()));
        assert_eq!(
            checked(json!({"result": null}), json!("x")),
            Err("Result does not match expected output.\nExpected: None\nGot: x".into())
        );
        assert_eq!(checked(json!({"result": 5}), json!(5.0)), Ok(()));
        assert_eq!(
            checked(json!({"result": [{"n": 1}]}), json!([{"n": 2}])),
            Err(
                "Result does not match expected output.\nExpected: [{'n': 1}]\nGot: [{'n': 2}]"
                    .into()
            )
        );
    }

    #[test]
    fn contains_looks_into_objects_and_lists() {
        let rows = json!([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]);
        let row = json!({"a": 1, "b": {"c": 1, "d": 2}});
        let ok = |test: Value, value: &Value| checked(test, value.clone()).is_ok();
        assert!(ok(json!({"result_contains": {"a": 1.0}}), &row));
        assert!(!ok(json!({"result_contains": {"b": {"c": 1}}}), &row));
        assert!(ok(json!({"result_contains": {"b": "y"}}), &rows));
        assert!(!ok(json!({"result_contains": {"a": 1, "b": "y"}}), &rows));
        assert!(ok(json!({"result_contains_item": {"a": 2}}), &rows));
        assert!(ok(
            json!({"result_contains_all": [{"a": 2}, {"b": "x"}]}),
            &rows
        ));
        assert!(!ok(json!({"result_contains_all": [{"a": 3}]}), &rows));
        assert!(ok(json!({"result_length": 2}), &rows));
        assert!(!ok(json!({"result_not_contains": ["a"]}), &row));
        assert!(!ok(json!({"result_not_contains": ["a"]}), &rows));
        assert!(ok(json!({"result_not_contains": []}), &rows));
        assert!(ok(json!({"result_contains_all": []}), &row));
        assert!(ok(json!({"result_contains": {"a": true}}), &row));
        assert!(!ok(json!({"result": true}), &json!(1)));
        assert!(ok(json!({"result_contains_text": "'b': 'x'"}), &rows));
        assert_eq!(
            checked(json!({"result_contains": 1}), json!("text")),
            Err(
                "result_contains assertion requires dict or array result, got <class 'str'>".into()
            )
        );
    }

    #[test]
    fn a_prompt_is_judged_by_its_last_assistant_message() {
        let messages = json!([
            {"role": "assistant", "prompt": "first"},
            {"role": "assistant", "prompt": " {\"a\": 1} "},
            {"role": "user", "prompt": "bye"}
        ]);
        assert_eq!(normalise(EndpointKind::Prompt, messages), json!({"a": 1}));
        let messages = json!([{"role": "user", "prompt": "x"}]);
        assert_eq!(normalise(EndpointKind::Prompt, messages.clone()), messages);
    }
}
