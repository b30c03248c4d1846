//! Serving many clients over HTTP: the protocol under `/mcp`, and what probes and monitoring ask
//! for. TLS and user names are the business of what stands in front.

mod guard;
mod routes;
mod sse;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;

use super::calls::Calls;
use super::ending::{End, drain, reload_on_hangup};
use super::handler::Server;
use super::stdio::ServeError;
use crate::Runtime;
use guard::Guard;
use routes::Routes;
use sse::Streams;

/// Connections at once; more wait until one closes.
const CONNECTIONS: usize = 2048;
/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(15);
/// How long a session lives without a request.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// How clients reach the server.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Keep no session between requests.
    pub stateless: bool,
    /// Offer the transport of the first revisions, too, under `/sse`.
    pub events: bool,
    /// Names beside the loopback ones and the listening one that clients may call the server by.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may talk to the server.
    pub allowed_origins: Vec<String>,
}

/// A socket that listens already, so that a taken port is told before anything else starts.
#[derive(Debug)]
pub struct Listening {
    socket: TcpListener,
    host: String,
}

impl Listening {
    pub fn on(host: &str, port: u16) -> io::Result<Self> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (bare, port).to_socket_addrs()? {
            match TcpListener::bind(address) {
                Ok(socket) => {
                    socket.set_nonblocking(true)?;
                    return Ok(Self {
                        socket,
                        host: bare.to_owned(),
                    });
                }
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Serves until a signal ends it. `ready` is called once requests are answered.
pub fn serve_http(
    runtime: Arc<Runtime>,
    listening: Listening,
    options: &HttpOptions,
    ready: impl FnOnce(),
) -> Result<(), ServeError> {
    runtime.serve_reloads().map_err(io::Error::other)?;
    let threads = tokio::runtime::Builder::new_multi_thread()
        .thread_name("mxcp-server")
        .enable_all()
        .build()?;
    let served = threads.block_on(async {
        let end = End::by_signal()?;
        reload_on_hangup(Arc::clone(&runtime))?;
        ready();
        serve(runtime, listening, options, end).await
    });
    threads.shutdown_timeout(Duration::from_secs(1));
    served.map_err(ServeError::Io)
}

async fn serve(
    runtime: Arc<Runtime>,
    listening: Listening,
    options: &HttpOptions,
    end: End,
) -> io::Result<()> {
    let limits = runtime.manifest().project.limits.clone();
    let calls = Arc::new(Calls::new(
        limits.concurrent_calls,
        runtime.width(),
        limits.queue,
    ));
    let server = Server::new(runtime, Arc::clone(&calls));
    server.announce_changes();
    let guard = Guard::new(
        &listening.host,
        &options.allowed_hosts,
        &options.allowed_origins,
    );
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(IDLE);
    let sessions = Arc::new(sessions);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(!options.stateless)
        .with_json_response(true)
        // The guard has looked at both already, with the rules of this server.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(usize::try_from(limits.body_bytes).unwrap_or(usize::MAX));
    let stopping = config.cancellation_token.clone();
    let factory = server.clone();
    let service = StreamableHttpService::new(
        move || Ok(factory.for_client()),
        Arc::clone(&sessions),
        config,
    );
    let streams = options
        .events
        .then(|| Streams::new(server.clone(), limits.sessions));
    let routes = Routes::new(server, guard, sessions, limits);
    let router = routes.router(service, streams.clone());
    let closing = GracefulShutdown::new();
    let listener = tokio::net::TcpListener::from_std(listening.socket)?;
    tokio::select! {
        () = accept(listener, router, &closing) => {}
        _ = end.stop => tracing::debug!("a signal ends the service"),
    }
    routes.close();
    drain(&calls, end.abort, end.patience.calls).await;
    // What still streams has nothing more to say.
    stopping.cancel();
    if let Some(streams) = streams {
        streams.close();
    }
    if tokio::time::timeout(end.patience.output, closing.shutdown())
        .await
        .is_err()
    {
        tracing::debug!("a client does not read its answers; they are lost");
    }
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, router: Router, closing: &GracefulShutdown) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed, so a slot always comes.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others will close theirs.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(router.clone()),
            );
        let connection = closing.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection broke: {error}");
            }
            drop(slot);
        });
    }
}
