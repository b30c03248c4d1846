//! Prompts: a call whose result is messages.

use mxcp_artifact::{Endpoint, EndpointKind};
use rmcp::ErrorData;
use rmcp::model::{ContentBlock, GetPromptResult, PromptMessage, ResourceContents, Role};
use serde_json::{Map, Value, json};

use super::failure::error_data;
use super::messages::Outbox;
use crate::{Call, Caller, Cancel, Messages as _, Question, Runtime, Unanswered};

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
        .map_err(|error| error_data(&error, endpoint.id(), &call.arguments))?;
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

/// Why a prompt has no values for what it needs.
pub(super) enum Missing {
    /// The client is asked first.
    Asked,
    Declined(String),
}

/// Asks for the required arguments that are missing, where the client can be asked between calls.
pub(super) fn ask_missing(
    endpoint: &Endpoint,
    arguments: &mut Map<String, Value>,
    outbox: &Outbox,
) -> Result<(), Missing> {
    let missing: Vec<_> = endpoint
        .parameters
        .iter()
        .filter(|p| p.is_required() && !arguments.contains_key(&p.name))
        .collect();
    if missing.is_empty() || !outbox.asks_between_calls() {
        return Ok(());
    }
    let properties: Map<String, Value> = missing
        .iter()
        .map(|parameter| {
            let mut field = json!({ "type": "string", "title": parameter.name });
            if let Some(description) = &parameter.ty.description {
                field["description"] = description.as_str().into();
            }
            if let Some(allowed) = &parameter.ty.allowed {
                let texts: Vec<String> = allowed.iter().map(super::tools::text).collect();
                field["enum"] = json!(texts);
            }
            (parameter.name.clone(), field)
        })
        .collect();
    let names: Vec<&str> = missing.iter().map(|p| p.name.as_str()).collect();
    let question = Question {
        name: "arguments".to_owned(),
        method: "elicitation/create".to_owned(),
        params: json!({
            "message": format!("The prompt {} needs: {}", endpoint.id(), names.join(", ")),
            "requestedSchema": { "type": "object", "properties": properties, "required": names },
        }),
    };
    let answer = match outbox.ask(vec![question]) {
        Ok(answers) => answers.into_iter().next().unwrap_or_default(),
        Err(Unanswered::Later) => return Err(Missing::Asked),
        Err(Unanswered::Refused(_)) => return Ok(()),
    };
    if answer.get("action").and_then(Value::as_str) != Some("accept") {
        return Err(Missing::Declined(format!(
            "the arguments {} were not given",
            names.join(", ")
        )));
    }
    if let Some(Value::Object(content)) = answer.get("content") {
        for parameter in missing {
            if let Some(value) = content.get(&parameter.name) {
                arguments.insert(parameter.name.clone(), super::tools::text(value).into());
            }
        }
    }
    Ok(())
}

// The protocol has no system role: such a message comes from the user.
fn message(value: &Value) -> PromptMessage {
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let role = match field("role") {
        "assistant" => Role::Assistant,
        _ => Role::User,
    };
    let text = field("prompt");
    let mime = || field("mime_type");
    match field("type") {
        // What a client could not use goes as text, as it always did.
        "image" | "audio" if mime().is_empty() => PromptMessage::new_text(role, text),
        "resource" if field("uri").is_empty() => PromptMessage::new_text(role, text),
        "image" => PromptMessage::new(role, ContentBlock::image(text, mime())),
        "audio" => PromptMessage::new(role, ContentBlock::audio(text, mime())),
        "resource" => {
            let mut contents = ResourceContents::text(text, field("uri"));
            if !mime().is_empty() {
                contents = contents.with_mime_type(mime());
            }
            PromptMessage::new(role, ContentBlock::resource(contents))
        }
        _ => PromptMessage::new_text(role, text),
    }
}
