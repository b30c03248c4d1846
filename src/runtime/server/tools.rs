//! Results and errors of tools as clients receive them.

use mxcp_artifact::{TypeDef, TypeKind};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value};

use super::failure::{Author, explain};
use crate::CallError;

/// The result of a call: text for the model, and structured content when a type is declared.
pub(super) fn success(value: Value, returns: Option<&TypeDef>) -> Result<CallToolResult, String> {
    let content = vec![ContentBlock::text(text(&value))];
    let mut result = CallToolResult::success(content);
    result.structured_content = match returns {
        None => None,
        Some(returns) if returns.kind == TypeKind::Object => match value {
            Value::Object(_) => Some(value),
            // A policy took all of it; such a tool promises no structure.
            Value::Null if returns.sensitive => None,
            _ => {
                return Err(
                    "nothing was returned, and the tool's result is declared as an object".into(),
                );
            }
        },
        Some(_) => Some(wrapped(value)),
    };
    Ok(result)
}

/// Anything but an object travels under `result`.
pub(super) fn wrapped(value: Value) -> Value {
    let mut object = Map::new();
    object.insert("result".into(), value);
    object.into()
}

pub(super) fn failure(tool: &str, error: &CallError, author: Author) -> CallToolResult {
    failure_text(tool, &explain(error, tool, author))
}

pub(super) fn failure_text(tool: &str, text: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!(
        "Error executing tool {tool}: {text}"
    ))])
}

/// A string as it is, anything else as compact JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn returns(kind: TypeKind) -> TypeDef {
        TypeDef::new(kind)
    }

    #[test]
    fn structured_content_is_an_object_and_text_is_compact() {
        let shape = |value: Value, ty: Option<TypeDef>| {
            let result = success(value, ty.as_ref()).unwrap();
            let text = result
                .content
                .first()
                .unwrap()
                .as_text()
                .unwrap()
                .text
                .clone();
            (text, result.structured_content)
        };
        assert_eq!(shape(json!([{"a": 1}]), None), ("[{\"a\":1}]".into(), None));
        assert_eq!(
            shape(json!({"a": null}), Some(returns(TypeKind::Object))),
            ("{\"a\":null}".into(), Some(json!({"a": null})))
        );
        assert_eq!(
            shape(json!("hi"), Some(returns(TypeKind::String))),
            ("hi".into(), Some(json!({"result": "hi"})))
        );
        assert!(success(Value::Null, Some(&returns(TypeKind::Object))).is_err());
        let mut secret = returns(TypeKind::Object);
        secret.sensitive = true;
        assert_eq!(shape(Value::Null, Some(secret)), ("null".into(), None));
    }
}
