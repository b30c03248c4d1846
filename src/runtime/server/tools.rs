//! Results and errors of tools as clients receive them.

use mxcp_artifact::{TypeDef, TypeKind};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value};

use super::failure::{Author, explain};
use crate::CallError;

/// The result of a call: text for the model, and structured content when a type is declared.
pub(super) fn success(value: Value, returns: Option<&TypeDef>) -> Result<CallToolResult, String> {
    if returns.is_none()
        && let Some(content) = blocks(&value)?
    {
        return Ok(CallToolResult::success(content));
    }
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

/// The key under which `mxcp.runtime.content` marks what is shown as it is.
pub(super) const CONTENT: &str = "mcp:content";

/// The content that a value is or holds; `None` for plain data.
fn blocks(value: &Value) -> Result<Option<Vec<ContentBlock>>, String> {
    let marked = |value: &Value| value.get(CONTENT).cloned();
    let items = match value {
        Value::Array(items) if items.iter().any(|item| marked(item).is_some()) => items.as_slice(),
        value if marked(value).is_some() => std::slice::from_ref(value),
        _ => return Ok(None),
    };
    let block = |item: &Value| match marked(item) {
        Some(block) => serde_json::from_value(block)
            .map_err(|error| format!("a block of content is malformed: {error}")),
        None => Ok(ContentBlock::text(text(item))),
    };
    items.iter().map(block).collect::<Result<_, _>>().map(Some)
}

/// Anything but an object travels under `result`.
pub(super) fn wrapped(value: Value) -> Value {
    let mut object = Map::new();
    object.insert("result".into(), value);
    object.into()
}

pub(super) fn failure(
    tool: &str,
    error: &CallError,
    author: Author,
    given: &Map<String, Value>,
) -> CallToolResult {
    failure_text(tool, &explain(error, tool, author, given))
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
