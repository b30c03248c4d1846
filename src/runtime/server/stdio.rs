//! Serving one client over standard input and output.
//!
//! Nothing but the protocol may reach standard output. The end of input and the signals SIGINT and
//! SIGTERM end the service: calls in progress get some time to finish, a second signal takes it away.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;

use super::calls::Calls;
use super::ending::{End, drain, reload_on_hangup};
use super::handler::Server;
use super::mending::Lines;
use super::opening::Opening;
use crate::Runtime;

const BUFFER: usize = 64 * 1024;

/// Why a server could not serve.
#[derive(Debug)]
pub enum ServeError {
    /// Standard input or output cannot be used, or threads cannot be started.
    Io(io::Error),
    /// What the client sent first is not the protocol.
    Handshake(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Handshake(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes standard output for the protocol and serves until the client or a signal ends it. Everything
/// else that writes to standard output writes to standard error from here on.
pub fn serve_stdio(runtime: Arc<Runtime>) -> Result<(), ServeError> {
    let input = mxcp_python::take_stdin()?;
    serve_stdio_on(runtime, input, mxcp_python::take_stdout()?)
}

/// Like [`serve_stdio`], with standard input and output that were taken before, so that code which
/// ran since could not touch them.
pub fn serve_stdio_on(runtime: Arc<Runtime>, input: File, output: File) -> Result<(), ServeError> {
    runtime.serve_reloads().map_err(io::Error::other)?;
    let threads = tokio::runtime::Builder::new_multi_thread()
        .thread_name("mxcp-server")
        .enable_all()
        .build()?;
    let served = threads.block_on(async {
        let end = End::by_signal()?;
        reload_on_hangup(Arc::clone(&runtime))?;
        serve(runtime, read_from(input)?, output, end).await
    });
    // A thread still waits for input, and nobody can wake it.
    threads.shutdown_background();
    served
}

/// Serves a client until its input ends or `end` says so.
pub(super) async fn serve(
    runtime: Arc<Runtime>,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: File,
    end: End,
) -> Result<(), ServeError> {
    let patience = end.patience;
    let limits = runtime.manifest().project.limits.clone();
    let calls = Arc::new(Calls::new(
        limits.concurrent_calls,
        runtime.width(),
        limits.queue,
    ));
    let server = Server::new(runtime, Arc::clone(&calls));
    server.announce_changes();
    let (from_client, service_input) = tokio::io::duplex(BUFFER);
    let (service_output, to_client) = tokio::io::duplex(BUFFER);
    let written = write_out(to_client, output)?;
    let transport = Opening::new(AsyncRwTransport::new_server(service_input, service_output));
    let mut reader = tokio::spawn(read_in(input, from_client, calls, end));
    let service = async {
        match server.serve(transport).await {
            Ok(service) => match service.waiting().await {
                Ok(_) => Ok(()),
                Err(error) => Err(ServeError::Io(io::Error::other(error))),
            },
            // The client went before it said anything.
            Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(ServeError::Handshake(error.to_string())),
        }
    };
    let overdue = async {
        let _ = (&mut reader).await;
        tokio::time::sleep(patience.answers).await;
    };
    let ended = tokio::select! {
        ended = service => ended,
        () = overdue => {
            tracing::warn!("the client does not read its answers; they are lost");
            Ok(())
        }
    };
    reader.abort();
    match tokio::time::timeout(patience.output, written).await {
        Ok(Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => ended,
    }
}

// Files have no asynchronous form, so a thread of its own reads.
fn read_from(mut input: File) -> io::Result<DuplexStream> {
    let (mut bytes, reader) = tokio::io::duplex(BUFFER);
    let handle = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("mxcp-input".to_owned())
        .spawn(move || {
            let mut buffer = vec![0; BUFFER];
            loop {
                let read = match input.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        tracing::debug!("the connection broke: {error}");
                        return;
                    }
                };
                if handle.block_on(bytes.write_all(&buffer[..read])).is_err() {
                    return;
                }
            }
        })?;
    Ok(reader)
}

// Hands the client's bytes over; the service sees the end of input only when its calls are done.
async fn read_in(
    mut input: impl AsyncRead + Unpin,
    mut service: DuplexStream,
    calls: Arc<Calls>,
    end: End,
) {
    tokio::select! {
        copied = hand_over(&mut input, &mut service) => {
            if let Err(error) = copied {
                tracing::debug!("the connection broke: {error}");
            }
        }
        Ok(()) = end.stop => tracing::debug!("a signal ends the service"),
    }
    drain(&calls, end.abort, end.patience.calls).await;
}

async fn hand_over(
    input: &mut (impl AsyncRead + Unpin),
    service: &mut DuplexStream,
) -> io::Result<()> {
    let mut lines = Lines::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = input.read(&mut buffer).await?;
        if read == 0 {
            return service.write_all(&lines.rest()).await;
        }
        let bytes = lines.push(buffer.get(..read).unwrap_or_default());
        service.write_all(&bytes).await?;
    }
}

// Files have no asynchronous form, so a thread of its own writes.
fn write_out(
    mut service: DuplexStream,
    mut output: File,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (done, written) = oneshot::channel();
    let handle = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("mxcp-output".into())
        .spawn(move || {
            let mut buffer = vec![0; BUFFER];
            let result = loop {
                match handle.block_on(service.read(&mut buffer)) {
                    Ok(0) => break output.flush(),
                    Ok(n) => {
                        if let Err(error) = output.write_all(buffer.get(..n).unwrap_or_default()) {
                            break Err(error);
                        }
                    }
                    Err(error) => break Err(error),
                }
            };
            let _ = done.send(result);
        })?;
    Ok(written)
}
