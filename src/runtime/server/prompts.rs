//! Prompts: a call whose result is messages.

use mxcp_artifact::{Endpoint, EndpointKind};
use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, PromptMessage, Role};
use serde_json::{Map, Value};

use super::failure::error_data;
use crate::{Call, Caller, Cancel, Runtime};

pub(super) fn get(
    runtime: &Runtime,
    endpoint: &Endpoint,
    arguments: Map<String, Value>,
    caller: Caller,
    cancel: Cancel,
) -> Result<GetPromptResult, ErrorData> {
    let missing: Vec<String> = endpoint
        .parameters
        .iter()
        .filter(|p| p.is_required() && !arguments.contains_key(&p.name))
        .map(|p| format!("`{}`", p.name))
        .collect();
    if !missing.is_empty() {
        return Err(ErrorData::invalid_params(
            format!(
                "Missing required arguments of prompt {}: {}",
                endpoint.id(),
                missing.join(", ")
            ),
            None,
        ));
    }
    let mut call = Call::new(EndpointKind::Prompt, endpoint.id(), arguments);
    call.caller = caller;
    call.cancel = cancel;
    // The protocol knows only text here.
    call.lenient_strings = true;
    let outcome = runtime
        .call(&call)
        .map_err(|error| error_data(&error, endpoint.id()))?;
    let messages = outcome
        .value
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(message)
        .collect();
    let result = GetPromptResult::new(messages);
    Ok(match &endpoint.description {
        Some(text) => result.with_description(text),
        None => result,
    })
}

// The protocol has no system role: such a message comes from the user.
fn message(value: &Value) -> PromptMessage {
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let role = match field("role") {
        "assistant" => Role::Assistant,
        _ => Role::User,
    };
    PromptMessage::new_text(role, field("prompt"))
}
