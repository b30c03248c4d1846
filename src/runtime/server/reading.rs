//! Reading resources: a URI becomes a call, its result becomes text.

use base64::Engine as _;
use mxcp_artifact::{Endpoint, EndpointKind, Manifest};
use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, ResourceContents};
use serde_json::{Map, Value, json};

use super::descriptors::mime_type;
use super::failure::error_data;
use super::tools::CONTENT;
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
        .map_err(|error| error_data(&error, endpoint.id(), &call.arguments))?;
    let mime = mime_type(endpoint);
    if let Some(contents) = blob(&outcome.value, &uri, mime) {
        return Ok(ReadResourceResult::new(vec![contents]));
    }
    let (text, natural) = match outcome.value {
        Value::String(text) => (text, "text/plain"),
        value => (
            serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string()),
            "application/json",
        ),
    };
    let contents = ResourceContents::text(text, uri).with_mime_type(mime.unwrap_or(natural));
    Ok(ReadResourceResult::new(vec![contents]))
}

/// Bytes, which come as base64: marked as such by Python code, or promised by the MIME type.
fn blob(value: &Value, uri: &str, mime: Option<&str>) -> Option<ResourceContents> {
    let marked = value.get(CONTENT);
    let field = |name: &str| marked?.get(name)?.as_str();
    let inner = |name: &str| marked?.get("resource")?.get(name)?.as_str();
    let data = field("data")
        .or_else(|| inner("blob"))
        .or_else(|| value.as_str().filter(|_| mime.is_some_and(is_binary)))?;
    base64::engine::general_purpose::STANDARD
        .decode(data)
        .ok()?;
    let contents = ResourceContents::blob(data, uri);
    let mime = field("mimeType").or_else(|| inner("mimeType")).or(mime);
    Some(match mime {
        Some(mime) => contents.with_mime_type(mime),
        None => contents,
    })
}

fn is_binary(mime: &str) -> bool {
    let mime = mime.split(';').next().unwrap_or(mime).trim();
    match mime.split_once('/') {
        Some(("image", kind)) => !kind.ends_with("+xml"),
        Some(("audio" | "video" | "font", _)) => true,
        Some(("application", kind)) => {
            matches!(
                kind,
                "octet-stream" | "pdf" | "zip" | "gzip" | "zstd" | "wasm"
            ) || kind.starts_with("vnd.openxmlformats")
                || kind.starts_with("vnd.apache")
        }
        _ => false,
    }
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
