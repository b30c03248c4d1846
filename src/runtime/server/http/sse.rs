//! The transport of the first revisions: one stream of events from the server, and a request for every
//! message to it. Clients that know no other need it; nothing new does.
//!
//! `GET /sse` opens a session, whose first event names the address for its messages.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Frame;
use rmcp::ServiceExt as _;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf, split,
};
use tokio::sync::{mpsc, watch};

use super::super::handler::Server;
use super::super::opening::Opening;
use super::routes::{busy, refuse};

const BUFFER: usize = 64 * 1024;
/// Something is sent at least this often, so that nothing in between takes the stream for dead.
const PING: Duration = Duration::from_secs(15);

/// The open streams.
#[derive(Clone)]
pub(super) struct Streams(Arc<Shared>);

struct Shared {
    server: Server,
    most: usize,
    inputs: Mutex<HashMap<String, Input>>,
    closed: watch::Sender<bool>,
}

/// Where the messages of one client go.
type Input = Arc<tokio::sync::Mutex<WriteHalf<DuplexStream>>>;

impl Streams {
    pub(super) fn new(server: Server, most: u64) -> Self {
        Self(Arc::new(Shared {
            server,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            inputs: Mutex::default(),
            closed: watch::Sender::new(false),
        }))
    }

    /// Ends every stream.
    pub(super) fn close(&self) {
        self.0.closed.send_replace(true);
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Input>) -> T) -> T {
        let mut inputs = self.0.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut inputs)
    }

    // Sends events until the client goes, the service ends or the server does.
    async fn pump(
        &self,
        mut lines: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
        events: &mpsc::Sender<Bytes>,
    ) {
        let mut closed = self.0.closed.subscribe();
        loop {
            let event = tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => Bytes::from(format!("event: message\ndata: {line}\n\n")),
                    _ => return,
                },
                () = tokio::time::sleep(PING) => Bytes::from_static(b": ping\n\n"),
                _ = closed.wait_for(|closed| *closed) => return,
                () = events.closed() => return,
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// `GET /sse`
pub(super) async fn open(State(streams): State<Streams>, request: Request) -> Response {
    if streams.with(|inputs| inputs.len()) >= streams.0.most {
        return busy("too many sessions are open");
    }
    let mut bytes = [0_u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        return busy("this machine has no source of random numbers");
    }
    let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (output, input) = split(ours);
    let (service_input, service_output) = split(theirs);
    let transport = Opening::of_request(
        AsyncRwTransport::new_server(service_input, service_output),
        request.into_parts().0,
    );
    let input: Input = Arc::new(tokio::sync::Mutex::new(input));
    streams.with(|inputs| inputs.insert(id.clone(), input));
    let server = streams.0.server.for_client();
    let service = tokio::spawn(async move {
        match server.serve(transport).await {
            Ok(service) => drop(service.waiting().await),
            Err(error) => tracing::debug!("a stream was not opened: {error}"),
        }
    });
    let (events, receiver) = mpsc::channel(64);
    let first = format!("event: endpoint\ndata: /messages/?session_id={id}\n\n");
    let _ = events.try_send(Bytes::from(first));
    tokio::spawn(async move {
        streams.pump(BufReader::new(output).lines(), &events).await;
        // The service sees the end of its input and gives up on what it is doing.
        streams.with(|inputs| inputs.remove(&id));
        service.abort();
    });
    let kind = HeaderValue::from_static("text/event-stream");
    let cache = HeaderValue::from_static("no-cache");
    let body = Body::new(Events(receiver));
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, cache)], body).into_response()
}

/// `POST /messages/?session_id=…`
pub(super) async fn message(State(streams): State<Streams>, request: Request) -> Response {
    let id = request.uri().query().and_then(|query| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix("session_id="))
    });
    let Some(input) = id.and_then(|id| streams.with(|inputs| inputs.get(id).cloned())) else {
        return refuse(StatusCode::NOT_FOUND, "there is no such session");
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), usize::MAX).await else {
        return refuse(StatusCode::BAD_REQUEST, "the message ended early");
    };
    // One message is one line.
    let Ok(message) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the message is not JSON");
    };
    let line = format!("{message}\n");
    match input.lock().await.write_all(line.as_bytes()).await {
        Ok(()) => (StatusCode::ACCEPTED, "Accepted").into_response(),
        Err(_) => refuse(StatusCode::GONE, "the session has ended"),
    }
}

struct Events(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
