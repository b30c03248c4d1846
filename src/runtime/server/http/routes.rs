//! The addresses of the server, and what every request passes through before the protocol sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONNECTION,
    CONTENT_TYPE, ORIGIN, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use mxcp_artifact::manifest::Limits;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde_json::json;

use super::super::handler::Server;
use super::super::mending::mended;
use super::super::metrics::Now;
use super::guard::{Guard, Refused};
use super::sse::{self, Streams};

/// How long a client may take to send a body.
const BODY: Duration = Duration::from_secs(60);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first revision without sessions.
const NO_SESSIONS: &str = "2026-07-28";

#[derive(Clone)]
pub(super) struct Routes(Arc<Shared>);

struct Shared {
    server: Server,
    guard: Guard,
    sessions: Arc<LocalSessionManager>,
    limits: Limits,
    closed: AtomicBool,
}

impl Routes {
    pub(super) fn new(
        server: Server,
        guard: Guard,
        sessions: Arc<LocalSessionManager>,
        limits: Limits,
    ) -> Self {
        Self(Arc::new(Shared {
            server,
            guard,
            sessions,
            limits,
            closed: AtomicBool::new(false),
        }))
    }

    pub(super) fn router(
        &self,
        mcp: StreamableHttpService<Server, LocalSessionManager>,
        streams: Option<Streams>,
    ) -> Router {
        let protocol = any(move |request: Request| {
            let mcp = mcp.clone();
            async move {
                let ends_session = request.method() == Method::DELETE;
                let json = request
                    .headers()
                    .get(CONTENT_TYPE)
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
                let mut response = mcp.handle(request).await.map(Body::new);
                // The session has ended already, and clients take only this for it.
                if ends_session && response.status() == StatusCode::ACCEPTED {
                    *response.status_mut() = StatusCode::OK;
                }
                // The kind was right, so what it holds is what is wrong.
                if json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
                    response = unreadable();
                }
                response
            }
        });
        // Addresses are copied with and without the slash.
        let mcp = Router::new()
            .route("/mcp", protocol.clone())
            .route("/mcp/", protocol)
            .layer(from_fn_with_state(self.clone(), admit));
        let events = match streams {
            Some(streams) => Router::new()
                .route("/messages/", post(sse::message))
                .layer(from_fn_with_state(self.clone(), admit))
                .route("/sse", get(sse::open))
                .with_state(streams),
            None => Router::new(),
        };
        Router::new()
            .merge(mcp)
            .merge(events)
            .route("/healthz", get(async || answer(StatusCode::OK, "ok")))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .fallback(async || {
                refuse(
                    StatusCode::NOT_FOUND,
                    "there is nothing here; the protocol is under /mcp",
                )
            })
            .layer(from_fn_with_state(self.clone(), guarded))
            .with_state(self.clone())
    }

    /// From now on new requests are refused.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
    }

    fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }
}

/// Checks who asks, and tells a browser what its page may do.
async fn guarded(State(routes): State<Routes>, request: Request, next: Next) -> Response {
    let guard = &routes.0.guard;
    let checked = guard.check(request.headers(), request.uri().authority());
    let origin = request.headers().get(ORIGIN).cloned();
    // A probe calls by the address it found; it learns nothing that matters.
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    match checked {
        Err(Refused::Host) if !probe || origin.is_some() => {
            return refuse(
                StatusCode::FORBIDDEN,
                "this server is not known by this name; allow it with --allowed-host",
            );
        }
        Err(Refused::Origin) => {
            return refuse(
                StatusCode::FORBIDDEN,
                "pages of this origin may not talk to this server; allow it with --allowed-origin",
            );
        }
        Ok(()) | Err(Refused::Host) => {}
    }
    let mut response = if request.method() == Method::OPTIONS && origin.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Authorization, Content-Type, Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id",
            ),
            (
                ACCESS_CONTROL_EXPOSE_HEADERS,
                "Mcp-Session-Id, WWW-Authenticate",
            ),
            (ACCESS_CONTROL_MAX_AGE, "3600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Lets a request of the protocol in when there is room for it, with its whole body read.
async fn admit(State(routes): State<Routes>, request: Request, next: Next) -> Response {
    if routes.is_closed() {
        let mut response = busy("the server is shutting down");
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let limits = &routes.0.limits;
    if request.method() == Method::POST && begins_session(request.headers()) {
        let open = routes.0.sessions.sessions.read().await.len();
        if u64::try_from(open).unwrap_or(u64::MAX) >= limits.sessions {
            return busy("too many sessions are open");
        }
    }
    let (mut head, body) = request.into_parts();
    // Who takes anything takes both forms of an answer.
    let anything = |accept: &HeaderValue| accept.as_bytes().windows(3).any(|part| part == b"*/*");
    if head.headers.get(ACCEPT).is_some_and(anything) {
        let both = HeaderValue::from_static("application/json, text/event-stream");
        head.headers.insert(ACCEPT, both);
    }
    let most = usize::try_from(limits.body_bytes).unwrap_or(usize::MAX);
    let body: Bytes = match tokio::time::timeout(BODY, to_bytes(body, most)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the request is larger than {most} bytes, or it ended early"),
            );
        }
        Err(_) => {
            return refuse(
                StatusCode::REQUEST_TIMEOUT,
                "the request took too long to arrive",
            );
        }
    };
    // A body that is no JSON is answered for what it is.
    let body = match mended(&body) {
        Some(message) if message != b"null" => Bytes::from(message),
        _ => body,
    };
    next.run(Request::from_parts(head, Body::from(body))).await
}

// Only `initialize` comes without a session, and clients of later revisions have none.
fn begins_session(headers: &HeaderMap) -> bool {
    !headers.contains_key(SESSION)
        && headers
            .get(VERSION)
            .and_then(|version| version.to_str().ok())
            .is_none_or(|version| version < NO_SESSIONS)
}

async fn ready(State(routes): State<Routes>) -> Response {
    if routes.is_closed() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "shutting down");
    }
    answer(StatusCode::OK, "ready")
}

async fn metrics(State(routes): State<Routes>) -> Response {
    let shared = &routes.0;
    let (running, waiting) = shared.server.calls().load();
    let now = Now {
        running,
        waiting,
        sessions: shared.sessions.sessions.read().await.len(),
        endpoints: shared.server.manifest().endpoints.len(),
    };
    let text = shared.server.metrics().render(&now);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, kind)], text).into_response()
}

fn answer(status: StatusCode, word: &str) -> Response {
    body(status, &json!({ "status": word }))
}

/// A refusal in the form that clients of the protocol read.
pub(super) fn refuse(status: StatusCode, message: &str) -> Response {
    let code = match status {
        StatusCode::NOT_FOUND => -32601,
        _ => -32600,
    };
    let error = json!({ "code": code, "message": message });
    body(
        status,
        &json!({ "jsonrpc": "2.0", "id": null, "error": error }),
    )
}

fn unreadable() -> Response {
    let error = json!({ "code": -32700, "message": "the body is no message of the protocol" });
    body(
        StatusCode::BAD_REQUEST,
        &json!({ "jsonrpc": "2.0", "id": null, "error": error }),
    )
}

/// A refusal that may be another answer in a moment.
pub(super) fn busy(message: &str) -> Response {
    let error = json!({ "code": -32000, "message": message, "data": { "retryable": true } });
    let mut response = body(
        StatusCode::SERVICE_UNAVAILABLE,
        &json!({ "jsonrpc": "2.0", "id": null, "error": error }),
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn body(status: StatusCode, value: &serde_json::Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], value.to_string()).into_response()
}
