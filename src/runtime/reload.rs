//! Reloading a server in place: calls in progress end, the database is closed, the function that asked
//! for the reload runs, the database is opened again. New calls wait meanwhile.
//!
//! Whatever goes wrong on the way is logged, and the server goes on. One reload runs at a time.

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mxcp_python::Reload;

use crate::call::{CallError, Cancel};
use crate::runtime::Runtime;

// How long a call waits for a reload, and a reload for the calls.
const CALL_PATIENCE: Duration = Duration::from_secs(30);
const DRAIN_PATIENCE: Duration = Duration::from_secs(90);
// How long the end of the server waits for a reload in progress.
const END_PATIENCE: Duration = Duration::from_secs(30);
// How soon a waiting call notices that it is cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// Where calls and reloads meet.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    state: Mutex<State>,
    changed: Condvar,
    /// `None` until something serves.
    queue: Mutex<Option<mpsc::Sender<Reload>>>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    reloading: bool,
    closed: bool,
}

impl Reloads {
    /// Takes reloads from now on, on a thread of its own.
    pub(crate) fn serve(&self, runtime: &Arc<Runtime>) -> Result<(), String> {
        let (queue, requests) = mpsc::channel::<Reload>();
        let runtime = Arc::downgrade(runtime);
        std::thread::Builder::new()
            .name("mxcp-reload".to_owned())
            .spawn(move || work(&requests, &runtime))
            .map_err(|e| format!("cannot start a thread for reloads: {e}"))?;
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(queue);
        Ok(())
    }

    pub(crate) fn request(&self, reload: Reload) -> Result<(), String> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = &*queue else {
            // The first two sentences are what existing code may look for.
            return Err("Server reference not available in context. This function can only be called from within MXCP server endpoints. Run it under `mxcp serve`".to_owned());
        };
        tracing::info!("a reload was asked for: {}", reload.description());
        queue
            .send(reload)
            .map_err(|_| "the server is shut down".to_owned())
    }

    /// Takes no further requests, and waits for a reload in progress.
    pub(crate) fn close(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let deadline = Instant::now() + END_PATIENCE;
        let mut state = self.lock();
        state.closed = true;
        while state.reloading {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("a reload does not end");
                return;
            }
            state = self.wait(state, left);
        }
    }

    /// Lets a call begin, after a reload in progress.
    pub(crate) fn enter(&self, cancel: &Cancel) -> Result<Running<'_>, CallError> {
        let deadline = Instant::now() + CALL_PATIENCE;
        let mut state = self.lock();
        while state.reloading {
            if cancel.is_cancelled() {
                return Err(CallError::Cancelled);
            }
            if Instant::now() >= deadline {
                return Err(CallError::failed(
                    "Service is reloading and taking longer than expected. Please retry in a few seconds.",
                ));
            }
            state = self.wait(state, LOOK);
        }
        state.running += 1;
        Ok(Running(self))
    }

    /// Holds new calls back and waits for those in progress, for a limited time. `None` when the
    /// server ends.
    pub(crate) fn drain(&self) -> Option<Drained<'_>> {
        let deadline = Instant::now() + DRAIN_PATIENCE;
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.reloading = true;
        while state.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("{} calls do not end; reloading regardless", state.running);
                break;
            }
            state = self.wait(state, left);
        }
        drop(state);
        Some(Drained(self))
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(requests: &mpsc::Receiver<Reload>, runtime: &Weak<Runtime>) {
    while let Ok(reload) = requests.recv() {
        let Some(runtime) = runtime.upgrade() else {
            return;
        };
        if let Err(error) = runtime.reload_now(reload) {
            tracing::error!("the reload failed: {error}");
        }
    }
}

/// A call in progress.
pub(crate) struct Running<'a>(&'a Reloads);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_all();
    }
}

/// A time without calls.
pub(crate) struct Drained<'a>(&'a Reloads);

impl Drop for Drained<'_> {
    fn drop(&mut self) {
        self.0.lock().reloading = false;
        self.0.changed.notify_all();
    }
}
