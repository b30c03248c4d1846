//! Requests by their method.

use std::panic::AssertUnwindSafe;

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Response, ResponseError};
use mxcp_ide::Cancelled;
use serde_json::Value;

use crate::handlers;
use crate::snapshot::Snapshot;
use crate::to_proto;

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) id: lsp_server::RequestId,
    pub(crate) method: String,
    pub(crate) params: Value,
    /// How often an edit has interrupted it.
    pub(crate) tries: u32,
}

/// How a question ended.
pub(crate) enum Outcome {
    Answered(Response),
    /// The project changed while it was being answered.
    Interrupted(Question),
}

type Answer = Result<Value, Failed>;

/// Why there is no answer.
pub(crate) enum Failed {
    Params(String),
    Method,
    /// Said to the author, who asked for something that cannot be done.
    Refused(String),
    Cancelled(Cancelled),
}

impl From<Cancelled> for Failed {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

pub(crate) type Result_<T> = Result<T, Failed>;

fn call<R: lsp::Request>(
    snapshot: &Snapshot,
    params: &Value,
    handler: fn(&Snapshot, R::Params) -> Result_<R::Result>,
) -> Answer {
    let params =
        serde_json::from_value(params.clone()).map_err(|e| Failed::Params(e.to_string()))?;
    handler(snapshot, params).map(to_proto::value)
}

fn route(snapshot: &Snapshot, question: &Question) -> Answer {
    let params = &question.params;
    match question.method.as_str() {
        "textDocument/diagnostic" => call::<lsp::DocumentDiagnosticRequest>(
            snapshot,
            params,
            handlers::diagnostics::document,
        ),
        "workspace/diagnostic" => call::<lsp::WorkspaceDiagnosticRequest>(
            snapshot,
            params,
            handlers::diagnostics::workspace,
        ),
        "textDocument/hover" => call::<lsp::HoverRequest>(snapshot, params, handlers::hover::hover),
        "textDocument/definition" => {
            call::<lsp::DefinitionRequest>(snapshot, params, handlers::navigation::definition)
        }
        "textDocument/typeDefinition" => call::<lsp::TypeDefinitionRequest>(
            snapshot,
            params,
            handlers::navigation::type_definition,
        ),
        "textDocument/references" => {
            call::<lsp::ReferencesRequest>(snapshot, params, handlers::navigation::references)
        }
        "textDocument/documentHighlight" => {
            call::<lsp::DocumentHighlightRequest>(snapshot, params, handlers::navigation::highlight)
        }
        "textDocument/prepareRename" => {
            call::<lsp::PrepareRenameRequest>(snapshot, params, handlers::rename::prepare)
        }
        "textDocument/rename" => {
            call::<lsp::RenameRequest>(snapshot, params, handlers::rename::rename)
        }
        _ => Err(Failed::Method),
    }
}

/// Answers a question, whatever happens on the way.
pub(crate) fn answer(snapshot: &Snapshot, question: Question) -> Outcome {
    let routed = mxcp_ide::analysis::guarded(AssertUnwindSafe(|| route(snapshot, &question)));
    let result = match routed {
        Ok(result) => result,
        Err(cancelled) => Err(Failed::Cancelled(cancelled)),
    };
    let error = |code: ErrorCode, message: String| {
        Err(ResponseError {
            code: code as i32,
            message,
            data: None,
        })
    };
    let response_result = match result {
        Ok(value) => Ok(value),
        Err(Failed::Cancelled(Cancelled::Changed)) => return Outcome::Interrupted(question),
        Err(Failed::Cancelled(Cancelled::Withdrawn)) => {
            error(ErrorCode::RequestCanceled, "cancelled".into())
        }
        Err(Failed::Cancelled(Cancelled::Panicked(message))) => {
            eprintln!("mxcp lsp: a bug in {}: {message}", question.method);
            error(ErrorCode::InternalError, message)
        }
        Err(Failed::Params(message)) => error(ErrorCode::InvalidParams, message),
        Err(Failed::Refused(message)) => error(ErrorCode::RequestFailed, message),
        Err(Failed::Method) => error(
            ErrorCode::MethodNotFound,
            format!("`{}` is not supported", question.method),
        ),
    };
    Outcome::Answered(Response {
        id: question.id,
        response_result,
    })
}
