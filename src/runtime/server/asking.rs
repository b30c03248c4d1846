//! Questions of an endpoint to its client. Clients of the older revisions are asked while the call
//! waits. Later ones get the questions as the answer of the call and call again with theirs: the
//! endpoint then runs from its beginning and finds the answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::RoleServer;
use rmcp::model::{
    ClientCapabilities, ErrorCode, InputRequest, InputRequests, InputRequiredResult,
    InputResponses, RequestStateCodec, SealOptions, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::{Question, Unanswered};

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Answers that a client sent with its request, and the questions that are still open.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    answers: BTreeMap<String, Value>,
    open: Mutex<InputRequests>,
    /// What the client would have to support.
    missing: Mutex<Option<&'static str>>,
}

impl Rounds {
    pub(super) fn new(answers: BTreeMap<String, Value>) -> Self {
        Self {
            answers,
            ..Self::default()
        }
    }

    pub(super) fn ask(
        &self,
        capabilities: &ClientCapabilities,
        questions: Vec<Question>,
    ) -> Result<Vec<Value>, Unanswered> {
        let known: Option<Vec<Value>> = questions
            .iter()
            .map(|question| self.answers.get(&question.name).cloned())
            .collect();
        if let Some(answers) = known {
            return Ok(answers);
        }
        let mut open = InputRequests::new();
        for question in questions {
            if !self.answers.contains_key(&question.name) {
                let name = question.name.clone();
                let needed = capability(capabilities, &question.method).err();
                *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = needed.flatten();
                open.insert(name, request(capabilities, question)?);
            }
        }
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
        Err(Unanswered::Later)
    }

    /// The error of a call that failed because the client does not support what it was asked.
    pub(super) fn incapable(&self) -> Option<ErrorData> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = (*missing)?;
        Some(ErrorData::new(
            ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
            format!("this needs a client that supports {missing}"),
            Some(json!({ "requiredCapabilities": { missing: {} } })),
        ))
    }

    pub(super) fn is_open(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        !open.is_empty()
    }

    /// What the client is to answer before it calls again, if anything.
    pub(super) fn result(&self, seal: &Seal<'_>) -> Option<InputRequiredResult> {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        (!open.is_empty())
            .then(|| InputRequiredResult::new(Some(open), Some(seal.close(&self.answers))))
    }
}

/// Keeps the answers of earlier rounds with the client, where it can neither change them nor use
/// them for another call.
pub(super) struct Seal<'a> {
    codec: &'a RequestStateCodec,
    call: String,
}

impl<'a> Seal<'a> {
    pub(super) fn new(
        codec: &'a RequestStateCodec,
        method: &str,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Self {
        let arguments: BTreeMap<_, _> = arguments.iter().collect();
        Self {
            codec,
            call: json!([method, name, arguments]).to_string(),
        }
    }

    fn close(&self, answers: &BTreeMap<String, Value>) -> String {
        let options = SealOptions::new()
            .associated_data(self.call.as_bytes())
            .ttl(PATIENCE);
        self.codec
            .seal_with(json!(answers).to_string().as_bytes(), &options)
    }

    /// All answers so far: those of this round and of the earlier ones.
    pub(super) fn answers(
        &self,
        state: Option<&str>,
        responses: Option<InputResponses>,
    ) -> Result<BTreeMap<String, Value>, ErrorData> {
        let mut answers = match state {
            None => BTreeMap::new(),
            Some(state) => self
                .codec
                .open_with(state, self.call.as_bytes())
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .ok_or_else(|| {
                    ErrorData::invalid_params(
                        "the requestState is not one that this server gave for this request, or it is too old",
                        None,
                    )
                })?,
        };
        answers.extend(responses.unwrap_or_default());
        Ok(answers)
    }
}

/// A codec whose key lives as long as this process.
pub(super) fn codec() -> Option<RequestStateCodec> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).ok()?;
    RequestStateCodec::try_new(key).ok()
}

/// Puts questions to a client that answers at once.
pub(super) struct Ask {
    pub(super) request: InputRequest,
    pub(super) answer: oneshot::Sender<Result<Value, String>>,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").finish_non_exhaustive()
    }
}

impl Ask {
    pub(super) async fn put(self, peer: Peer<RoleServer>) {
        let request = match self.request {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => return,
        };
        let mut options = PeerRequestOptions::no_options();
        options.timeout = Some(PATIENCE);
        let answered = match peer.send_request_with_option(request, options).await {
            Ok(handle) => handle.await_response().await,
            Err(error) => Err(error),
        };
        let answer = answered
            .map_err(|error| format!("the client did not answer: {error}"))
            .and_then(|result| serde_json::to_value(&result).map_err(|error| error.to_string()));
        let _ = self.answer.send(answer);
    }
}

/// What a client lacks that is asked this; `None` when nobody can be asked it.
fn capability(has: &ClientCapabilities, method: &str) -> Result<(), Option<&'static str>> {
    let (able, name) = match method {
        "elicitation/create" => (has.elicitation.is_some(), "elicitation"),
        "sampling/createMessage" => (has.sampling.is_some(), "sampling"),
        "roots/list" => (has.roots.is_some(), "roots"),
        _ => return Err(None),
    };
    if able { Ok(()) } else { Err(Some(name)) }
}

/// A question as a request of the protocol, if the client takes such requests.
pub(super) fn request(
    capabilities: &ClientCapabilities,
    question: Question,
) -> Result<InputRequest, Unanswered> {
    let method = question.method.as_str();
    capability(capabilities, method).map_err(|missing| {
        Unanswered::Refused(match missing {
            Some(_) => format!("the client does not support `{method}`"),
            None => format!(
                "a client cannot be asked `{method}`: it is `elicitation/create`, `sampling/createMessage` or `roots/list`"
            ),
        })
    })?;
    let message = json!({ "method": question.method, "params": question.params });
    serde_json::from_value(message).map_err(|error| {
        Unanswered::Refused(format!(
            "the question `{}` is malformed: {error}",
            question.name
        ))
    })
}
