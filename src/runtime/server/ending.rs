//! Who may end a server, besides its clients: the first SIGINT or SIGTERM lets calls in progress
//! finish, the second takes the time for that away.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::calls::Calls;
use crate::Runtime;

/// How long the end may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For calls in progress.
    pub(super) calls: Duration,
    /// For the service to hand over its answers; it gives up by itself after five seconds.
    pub(super) answers: Duration,
    /// For the last bytes on their way out.
    pub(super) output: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            calls: Duration::from_secs(10),
            answers: Duration::from_secs(6),
            output: Duration::from_secs(2),
        }
    }
}

pub(super) struct End {
    pub(super) stop: oneshot::Receiver<()>,
    /// Cuts the time to finish short.
    pub(super) abort: oneshot::Receiver<()>,
    pub(super) patience: Patience,
}

impl End {
    /// The end that the signals of this process bring. Must be called inside a runtime.
    pub(super) fn by_signal() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (once, twice) = (oneshot::channel(), oneshot::channel());
        tokio::spawn(async move {
            for ring in [once.0, twice.0] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                let _ = ring.send(());
            }
        });
        Ok(Self {
            stop: once.1,
            abort: twice.1,
            patience: Patience::default(),
        })
    }
}

/// Reloads when SIGHUP arrives, one reload after the other. Must be called inside a runtime; ends with it.
pub(super) fn reload_on_hangup(runtime: Arc<Runtime>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let runtime = Arc::clone(&runtime);
            let _ = tokio::task::spawn_blocking(move || runtime.hang_up()).await;
        }
    });
    Ok(())
}

/// Lets the calls in progress finish, and gives up on them when the time is over or `abort` says so.
pub(super) async fn drain(calls: &Calls, abort: oneshot::Receiver<()>, patience: Duration) {
    tokio::select! {
        () = finish(calls) => {}
        () = tokio::time::sleep(patience) => calls.stop(),
        Ok(()) = abort => calls.stop(),
    }
}

// Requests that were read but not yet begun need a moment to show up as calls.
async fn finish(calls: &Calls) {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if calls.is_idle() {
            return;
        }
        calls.idle().await;
    }
}
