//! The threads that run Python: each is attached to the interpreter while it works and lets go of it
//! while it waits. A job that panics costs its own answer, not the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};

use pyo3::prelude::*;

use crate::PythonError;

pub(crate) type Job = Box<dyn for<'py> FnOnce(Python<'py>) + Send>;

// Native numeric libraries and deep recursion in C expect the stack of a main thread.
const STACK_BYTES: usize = 16 << 20;

pub(crate) struct Workers {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Workers {
    pub(crate) fn start(count: usize) -> Result<Self, PythonError> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..count {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("python-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || Python::attach(|py| work(py, &jobs)))
                .map_err(|e| PythonError::host(format!("cannot start a Python thread: {e}")))?;
        }
        Ok(Self {
            queue: Mutex::new(Some(queue)),
        })
    }

    /// Queues a job; gives it back when the workers are closed.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Job> {
        let queue = self.queue.lock().unwrap_or_else(|e| e.into_inner());
        match &*queue {
            Some(queue) => queue.send(job).map_err(|e| e.0),
            None => Err(job),
        }
    }

    /// Lets the threads end once the queue is empty.
    pub(crate) fn close(&self) {
        self.queue.lock().unwrap_or_else(|e| e.into_inner()).take();
    }
}

fn work(py: Python<'_>, jobs: &Mutex<mpsc::Receiver<Job>>) {
    while let Ok(job) = py.detach(|| jobs.lock().unwrap_or_else(|e| e.into_inner()).recv()) {
        if catch_unwind(AssertUnwindSafe(|| job(py))).is_err() {
            tracing::error!(target: "mxcp::python", "a Python job panicked");
        }
    }
}
