//! Completion of arguments: the values that are declared, or else the examples.

use mxcp_artifact::{Endpoint, EndpointKind, Manifest};
use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};
use serde_json::Value;

use super::tools::text;

pub(super) fn complete(
    manifest: &Manifest,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let unknown =
        |what: &str, name: &str| ErrorData::invalid_params(format!("Unknown {what}: {name}"), None);
    let find = |kind, id: &str| {
        manifest
            .endpoints
            .iter()
            .find(|e: &&Endpoint| e.kind == kind && e.id() == id)
    };
    let endpoint = match &request.r#ref {
        Reference::Prompt(prompt) => find(EndpointKind::Prompt, &prompt.name)
            .ok_or_else(|| unknown("prompt", &prompt.name))?,
        Reference::Resource(resource) => find(EndpointKind::Resource, &resource.uri)
            .ok_or_else(|| unknown("resource", &resource.uri))?,
        _ => return Err(ErrorData::invalid_params("Unknown kind of reference", None)),
    };
    let parameter = endpoint
        .parameters
        .iter()
        .find(|p| p.name == request.argument.name)
        .ok_or_else(|| unknown("argument", &request.argument.name))?;
    let typed = request.argument.value.to_lowercase();
    let mut values: Vec<String> = parameter
        .ty
        .allowed
        .as_ref()
        .unwrap_or(&parameter.ty.examples)
        .iter()
        .filter(|value| **value != Value::Null)
        .map(text)
        .filter(|value| value.to_lowercase().starts_with(&typed))
        .collect();
    let total = values.len();
    values.truncate(CompletionInfo::MAX_VALUES);
    let info = CompletionInfo::with_pagination(
        values,
        u32::try_from(total).ok(),
        total > CompletionInfo::MAX_VALUES,
    )
    .map_err(|e| ErrorData::internal_error(e, None))?;
    Ok(CompleteResult::new(info))
}
