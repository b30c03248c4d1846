//! What a running endpoint tells its client: log messages and progress.
//!
//! Endpoints call from their own threads and must not wait for a slow client, so messages queue up
//! to a bound; what does not fit is dropped.

#![expect(
    deprecated,
    reason = "clients of every revision but the newest know messages of a server only this way"
)]

use std::collections::BTreeMap;

use rmcp::RoleServer;
use rmcp::model::{
    ClientCapabilities, InputRequiredResult, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, ProgressToken, ProtocolVersion,
};
use rmcp::service::{Peer, RequestContext};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::asking::{self, Ask, Rounds, Seal};
use crate::{LogLevel, Messages, Question, Unanswered};

const QUEUE: usize = 256;

#[derive(Debug)]
pub(super) enum Message {
    Ask(Ask),
    Log(LoggingLevel, String),
    Progress(ProgressNotificationParam),
}

/// The end that an endpoint writes to.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Message>,
    least: Option<LoggingLevel>,
    token: Option<ProgressToken>,
    capabilities: ClientCapabilities,
    /// For clients that are asked between calls.
    rounds: Option<Rounds>,
}

pub(super) type Inbox = mpsc::Receiver<Message>;

impl Outbox {
    /// `chosen` is what the client last asked for with `logging/setLevel`, `answers` what it answered
    /// in earlier rounds of the call.
    pub(super) fn new(
        context: &RequestContext<RoleServer>,
        chosen: Option<LoggingLevel>,
        answers: BTreeMap<String, Value>,
    ) -> (Self, Inbox) {
        let modern = context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let least = if modern {
            // Each request says whether it wants messages.
            context.meta.log_level()
        } else {
            Some(chosen.unwrap_or(LoggingLevel::Debug))
        };
        let (queue, inbox) = mpsc::channel(QUEUE);
        let outbox = Self {
            queue,
            least,
            token: context.meta.get_progress_token(),
            capabilities: context.client_capabilities().unwrap_or_default(),
            rounds: modern.then(|| Rounds::new(answers)),
        };
        (outbox, inbox)
    }
}

impl Outbox {
    pub(super) fn incapable(&self) -> Option<rmcp::ErrorData> {
        self.rounds.as_ref()?.incapable()
    }

    pub(super) fn waits_for_client(&self) -> bool {
        self.rounds.as_ref().is_some_and(Rounds::is_open)
    }

    /// Whether questions become the answer of the call, and the client may be asked for values.
    pub(super) fn asks_between_calls(&self) -> bool {
        self.rounds.is_some() && self.capabilities.elicitation.is_some()
    }

    /// What the client is to answer before it calls again, if anything.
    pub(super) fn input_required(&self, seal: &Seal<'_>) -> Option<InputRequiredResult> {
        self.rounds.as_ref()?.result(seal)
    }

    pub(super) fn ask_now(&self, question: Question) -> Result<Value, Unanswered> {
        let request = asking::request(&self.capabilities, question)?;
        let (answer, answered) = oneshot::channel();
        self.queue
            .blocking_send(Message::Ask(Ask { request, answer }))
            .map_err(|_| Unanswered::Refused("the call is over".to_owned()))?;
        answered
            .blocking_recv()
            .unwrap_or_else(|_| Err("the call was cancelled".to_owned()))
            .map_err(Unanswered::Refused)
    }
}

impl Messages for Outbox {
    fn ask(&self, questions: Vec<Question>) -> Result<Vec<Value>, Unanswered> {
        match &self.rounds {
            Some(rounds) => rounds.ask(&self.capabilities, questions),
            None => questions.into_iter().map(|q| self.ask_now(q)).collect(),
        }
    }

    fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => LoggingLevel::Debug,
            LogLevel::Info => LoggingLevel::Info,
            LogLevel::Warning => LoggingLevel::Warning,
            LogLevel::Error => LoggingLevel::Error,
        };
        if self.least.is_some_and(|least| rank(level) >= rank(least)) {
            let _ = self.queue.try_send(Message::Log(level, message.to_owned()));
        }
    }

    fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let Some(token) = &self.token else { return };
        let mut params = ProgressNotificationParam::new(token.clone(), progress);
        params.total = total;
        params.message = message.map(str::to_owned);
        let _ = self.queue.try_send(Message::Progress(params));
    }
}

/// `asked` holds the questions under way; they end with it.
pub(super) async fn forward(message: Message, peer: &Peer<RoleServer>, asked: &mut JoinSet<()>) {
    let sent = match message {
        Message::Ask(ask) => {
            asked.spawn(ask.put(peer.clone()));
            return;
        }
        Message::Log(level, text) => {
            peer.notify_logging_message(LoggingMessageNotificationParam::new(level, text.into()))
                .await
        }
        Message::Progress(params) => peer.notify_progress(params).await,
    };
    if let Err(error) = sent {
        tracing::debug!("a message of an endpoint was not sent: {error}");
    }
}

pub(super) fn rank(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}
