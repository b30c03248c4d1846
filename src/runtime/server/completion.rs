//! Completion of arguments, as the protocol has it.

use mxcp_artifact::EndpointKind;
use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};

use crate::completing::{Offered, Typing, Unknown};

/// What is asked for.
pub(super) fn typing(request: CompleteRequestParams) -> Result<Typing, ErrorData> {
    let (kind, id) = match request.r#ref {
        Reference::Prompt(prompt) => (EndpointKind::Prompt, prompt.name),
        Reference::Resource(resource) => (EndpointKind::Resource, resource.uri),
        _ => return Err(ErrorData::invalid_params("Unknown kind of reference", None)),
    };
    let given = request.context.and_then(|context| context.arguments);
    Ok(Typing {
        kind,
        id,
        name: request.argument.name,
        typed: request.argument.value,
        given: given.into_iter().flatten().collect(),
    })
}

pub(super) fn unknown(what: &Unknown, typing: &Typing) -> ErrorData {
    let text = match what {
        Unknown::Endpoint => format!("Unknown {}: {}", typing.kind, typing.id),
        Unknown::Argument => format!("Unknown argument: {}", typing.name),
    };
    ErrorData::invalid_params(text, None)
}

pub(super) fn result(offered: Offered) -> Result<CompleteResult, ErrorData> {
    let total = offered.total.and_then(|total| u32::try_from(total).ok());
    let info = CompletionInfo::with_pagination(offered.values, total, offered.more)
        .map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(info))
}
