//! Reading resources: a URI becomes a call, its result becomes text.

use mxcp_artifact::{Endpoint, EndpointKind, Manifest};
use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, ResourceContents};
use serde_json::{Map, Value, json};

use super::descriptors::mime_type;
use super::failure::error_data;
use crate::{Call, Caller, Cancel, Runtime, resources};

/// Reads the resource that a URI names.
pub(super) fn read(
    runtime: &Runtime,
    manifest: &Manifest,
    uri: String,
    caller: Caller,
    cancel: Cancel,
) -> Result<ReadResourceResult, ErrorData> {
    let (endpoint, arguments) = find(manifest, &uri).ok_or_else(|| {
        ErrorData::resource_not_found(
            format!("Unknown resource: {uri}"),
            Some(json!({ "uri": uri })),
        )
    })?;
    let mut call = Call::new(EndpointKind::Resource, endpoint.id(), arguments);
    call.caller = caller;
    call.cancel = cancel;
    // Everything in a URI is text.
    call.lenient_strings = true;
    let outcome = runtime
        .call(&call)
        .map_err(|error| error_data(&error, endpoint.id()))?;
    let (text, natural) = match outcome.value {
        Value::String(text) => (text, "text/plain"),
        value => (
            serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string()),
            "application/json",
        ),
    };
    let contents =
        ResourceContents::text(text, uri).with_mime_type(mime_type(endpoint).unwrap_or(natural));
    Ok(ReadResourceResult::new(vec![contents]))
}

fn find<'a>(manifest: &'a Manifest, uri: &str) -> Option<(&'a Endpoint, Map<String, Value>)> {
    let exact = manifest.endpoints.iter().find(|e| {
        e.kind == EndpointKind::Resource
            && e.uri.as_deref() == Some(uri)
            && !resources::is_template(uri)
    });
    match exact {
        Some(endpoint) => Some((endpoint, Map::new())),
        None => resources::resolve(manifest, uri),
    }
}
