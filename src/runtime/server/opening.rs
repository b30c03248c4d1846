//! A transport that survives a clumsy beginning.
//!
//! Before the first request that opens a session, the service takes any other message for the end of
//! the protocol. Those messages mean nothing yet, so they are dropped here.

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetExtensions as _, GetMeta as _, ProtocolVersion,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

pub(super) struct Opening<T> {
    inner: T,
    open: bool,
    /// The HTTP request that opened the connection; what it says of the client goes with every message.
    parts: Option<Parts>,
}

impl<T> Opening<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            open: false,
            parts: None,
        }
    }

    pub(super) fn of_request(inner: T, parts: Parts) -> Self {
        Self {
            parts: Some(parts),
            ..Self::new(inner)
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Opening<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let mut message = self.inner.receive().await?;
            if let (Some(parts), ClientJsonRpcMessage::Request(request)) =
                (&self.parts, &mut message)
            {
                request.request.extensions_mut().insert(parts.clone());
            }
            if self.open {
                return Some(message);
            }
            if let ClientJsonRpcMessage::Request(request) = &message {
                self.open = opens(&request.request);
                return Some(message);
            }
            tracing::debug!("a message before the first request is ignored");
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28)
                .is_empty()
                && meta
                    .protocol_version()
                    .is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version))
        }
    }
}
