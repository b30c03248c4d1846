//! One call on its way: where its code runs, and how to stop it.
//!
//! Whoever waits is answered first; stopping the code is best effort and happens on a thread of its
//! own. Python code is interrupted with an exception, a coroutine is cancelled. Code that ignores both
//! or never comes back from a library is left behind on its thread, and another takes its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use serde_json::Value;

use crate::{PythonError, interpreter};

// When interruptions follow each other, and when the thread is given up.
const AGAIN: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 6;

/// Why a call has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Raised(PythonError),
    TimedOut,
    /// [`Stopper::stop`] was called.
    Stopped,
}

enum Place {
    Queued,
    /// On the thread with this Python identity.
    Thread(u64),
    /// A coroutine, as the task of `modules/loops.py`.
    Loop(Py<PyAny>),
    Done,
}

pub(crate) struct Turn {
    /// For messages: `function` of `file`.
    name: String,
    place: Mutex<Place>,
    stopping: AtomicBool,
    left_behind: AtomicBool,
    replace: Box<dyn Fn() + Send + Sync>,
}

impl Turn {
    pub(crate) fn new(name: String, replace: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            name,
            place: Mutex::new(Place::Queued),
            stopping: AtomicBool::new(false),
            left_behind: AtomicBool::new(false),
            replace: Box::new(replace),
        }
    }

    /// Runs the code of the call on this thread, unless it was stopped before it began. The code gives
    /// a task back if it goes on afterwards.
    pub(crate) fn run<'py>(
        &self,
        py: Python<'py>,
        code: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.enter(py, code, |task| {
            (!task.is_none()).then(|| task.clone().unbind())
        })
        .map(drop)
    }

    /// Runs code that is over when it returns.
    pub(crate) fn run_whole<T>(
        &self,
        py: Python<'_>,
        code: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        self.enter(py, code, |_| None)
    }

    // `None` when the turn was stopped before it began.
    fn enter<T>(
        &self,
        py: Python<'_>,
        code: impl FnOnce() -> PyResult<T>,
        task: impl FnOnce(&T) -> Option<Py<PyAny>>,
    ) -> PyResult<Option<T>> {
        let thread = thread_ident(py)?;
        {
            let mut place = self.place();
            if self.stopping.load(Ordering::Acquire) {
                *place = Place::Done;
                return Ok(None);
            }
            *place = Place::Thread(thread);
        }
        let outcome = code();
        let task = outcome.as_ref().ok().and_then(task);
        let mut place = self.place();
        // An exception that is still on its way must not hit the next call on this thread.
        forget_interruption(thread);
        *place = task.map_or(Place::Done, Place::Loop);
        drop(place);
        outcome.map(Some)
    }

    /// Whether another thread has taken the place of the one that ran this.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.left_behind.load(Ordering::Acquire)
    }

    /// Makes the code end, as far as possible, without waiting for that.
    pub(crate) fn stop(self: &Arc<Self>) {
        if self.stopping.swap(true, Ordering::AcqRel) || matches!(*self.place(), Place::Done) {
            return;
        }
        let turn = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("python-stop".to_owned())
            .spawn(move || turn.pursue());
        if let Err(error) = spawned {
            tracing::error!(target: "mxcp::python", "cannot stop {}: {error}", self.name);
        }
    }

    fn pursue(&self) {
        for _ in 0..ATTEMPTS {
            if Python::attach(|py| self.interrupt(py)) {
                return;
            }
            std::thread::sleep(AGAIN);
        }
        let place = self.place();
        match *place {
            Place::Thread(_) => {
                self.left_behind.store(true, Ordering::Release);
                drop(place);
                (self.replace)();
            }
            Place::Loop(_) => {}
            Place::Queued | Place::Done => return,
        }
        tracing::warn!(
            target: "mxcp::python",
            "{} was stopped and does not end; its thread is left behind",
            self.name
        );
    }

    /// Whether there is nothing to interrupt any more.
    fn interrupt(&self, py: Python<'_>) -> bool {
        // The interpreter is held: the code cannot finish between the look and the deed.
        let place = self.place();
        match &*place {
            Place::Queued => false,
            Place::Done => true,
            Place::Thread(thread) => {
                if let Ok(class) =
                    interpreter::host_module(py).and_then(|m| m.getattr("CallStopped"))
                {
                    crate::native::interrupt(*thread, &class);
                }
                false
            }
            Place::Loop(task) => {
                let task = task.clone_ref(py);
                drop(place);
                let done = task
                    .call_method0(py, "is_done")
                    .and_then(|done| done.extract::<bool>(py));
                if matches!(done, Ok(true)) {
                    *self.place() = Place::Done;
                    return true;
                }
                if let Err(error) = task.call_method0(py, "stop") {
                    tracing::debug!(target: "mxcp::python", "cannot cancel {}: {error}", self.name);
                }
                false
            }
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn thread_ident(py: Python<'_>) -> PyResult<u64> {
    py.import("_thread")?.call_method0("get_ident")?.extract()
}

fn forget_interruption(thread: u64) {
    if let Ok(thread) = thread.try_into() {
        // SAFETY: the interpreter is held by the caller; null takes a pending exception back.
        unsafe {
            pyo3::ffi::PyThreadState_SetAsyncExc(thread, std::ptr::null_mut());
        }
    }
}

pub(crate) enum Message {
    Answer(Result<Value, PythonError>),
    Stopped,
}

/// A call that was begun.
pub struct Pending {
    pub(crate) turn: Arc<Turn>,
    pub(crate) answers: mpsc::Receiver<Message>,
    pub(crate) stopper: Stopper,
}

impl Pending {
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the value. When the time is over the code is stopped.
    pub fn wait(self, limit: Option<Duration>) -> Result<Value, Ending> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let message = match deadline {
            Some(deadline) => self
                .answers
                .recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => self
                .answers
                .recv()
                .map_err(|_| mpsc::RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(Message::Answer(answer)) => answer.map_err(Ending::Raised),
            Ok(Message::Stopped) => {
                self.turn.stop();
                Err(Ending::Stopped)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.turn.stop();
                Err(Ending::TimedOut)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(Ending::Raised(PythonError::host("Python is shut down")))
            }
        }
    }
}

/// Ends the wait for a call, from any thread. Clones end the same one.
#[derive(Clone)]
pub struct Stopper(pub(crate) mpsc::SyncSender<Message>);

impl Stopper {
    pub fn stop(&self) {
        // A full channel has its answer.
        let _ = self.0.try_send(Message::Stopped);
    }
}
