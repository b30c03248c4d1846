//! The threads that run Python: each is attached to the interpreter while it works and lets go of it
//! while it waits. There are as many as jobs need, within a bound. A job that panics costs its own
//! answer, not the thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::PythonError;

/// Says whether the thread may take the next job; one that was given up may not.
pub(crate) type Job = Box<dyn for<'py> FnOnce(Python<'py>) -> bool + Send>;

// Native numeric libraries and deep recursion in C expect the stack of a main thread.
const STACK_BYTES: usize = 16 << 20;

// A thread without work ends after this, unless it is one of the first.
const REST: Duration = Duration::from_secs(20);
const KEPT: usize = 2;

#[derive(Clone)]
pub(crate) struct Workers(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    started: usize,
    closed: bool,
}

impl Workers {
    pub(crate) fn start(most: usize) -> Result<Self, PythonError> {
        let workers = Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            most: most.max(1),
        }));
        let mut state = workers.0.lock();
        workers.spawn(&mut state)?;
        drop(state);
        Ok(workers)
    }

    /// Queues a job; gives it back when the workers are closed.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(job);
        }
        state.queue.push_back(job);
        self.staff(&mut state);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Counts a thread that does not come back as gone.
    pub(crate) fn give_one_up(&self) {
        let mut state = self.0.lock();
        state.threads = state.threads.saturating_sub(1);
        self.staff(&mut state);
    }

    /// Lets the threads end once the queue is empty.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }

    fn staff(&self, state: &mut State) {
        if state.queue.len() > state.idle
            && state.threads < self.0.most
            && let Err(error) = self.spawn(state)
        {
            // The others get to the job later.
            tracing::error!(target: "mxcp::python", "{error}");
        }
    }

    fn spawn(&self, state: &mut State) -> Result<(), PythonError> {
        let shared = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name(format!("python-{}", state.started))
            .stack_size(STACK_BYTES)
            .spawn(move || Python::attach(|py| shared.work(py)))
            .map_err(|e| PythonError::host(format!("cannot start a Python thread: {e}")))?;
        state.started += 1;
        state.threads += 1;
        Ok(())
    }
}

impl Shared {
    fn work(&self, py: Python<'_>) {
        while let Some(job) = py.detach(|| self.next()) {
            match catch_unwind(AssertUnwindSafe(|| job(py))) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => tracing::error!(target: "mxcp::python", "a Python job panicked"),
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed {
                state.threads = state.threads.saturating_sub(1);
                return None;
            }
            state.idle += 1;
            let (woken, waited) = self
                .changed
                .wait_timeout(state, REST)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() && state.threads > KEPT {
                state.threads -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
