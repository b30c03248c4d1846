//! What a running endpoint tells its client: log messages and progress.
//!
//! Endpoints call from their own threads and must not wait for a slow client, so messages queue up
//! to a bound; what does not fit is dropped.

#![expect(
    deprecated,
    reason = "clients of every revision but the newest know messages of a server only this way"
)]

use rmcp::RoleServer;
use rmcp::model::{
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
    ProtocolVersion,
};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::mpsc;

use crate::{LogLevel, Messages};

const QUEUE: usize = 256;

#[derive(Debug)]
pub(super) enum Message {
    Log(LoggingLevel, String),
    Progress(ProgressNotificationParam),
}

/// The end that an endpoint writes to.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Message>,
    least: Option<LoggingLevel>,
    token: Option<ProgressToken>,
}

pub(super) type Inbox = mpsc::Receiver<Message>;

impl Outbox {
    /// `chosen` is what the client last asked for with `logging/setLevel`.
    pub(super) fn new(
        context: &RequestContext<RoleServer>,
        chosen: Option<LoggingLevel>,
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
        };
        (outbox, inbox)
    }
}

impl Messages for Outbox {
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

pub(super) async fn forward(message: Message, peer: &Peer<RoleServer>) {
    let sent = match message {
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
