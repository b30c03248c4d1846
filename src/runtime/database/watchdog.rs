//! Stops statements that run too long, that nobody waits for any more, or that take the machine's memory.
//! One thread per runtime, started when the first statement runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::ffi::InterruptTarget;
use super::{SqlError, memory};

const RUNNING: u8 = 0;
const TIMED_OUT: u8 = 1;
const CANCELLED: u8 = 2;
const TOO_LARGE: u8 = 3;

/// What one statement may make beyond the engine's own limit, its result in all its forms included.
const ROOM: u64 = 512 << 20;

/// How long statements that were stopped get to end before they are looked at again.
const ENDING: Duration = Duration::from_millis(200);

/// A statement in progress.
#[derive(Debug)]
struct Job {
    target: Arc<InterruptTarget>,
    state: AtomicU8,
}

impl Job {
    /// Says whether it was running until now.
    fn stop(&self, why: u8) -> bool {
        let first = self
            .state
            .compare_exchange(RUNNING, why, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.target.interrupt();
        }
        first.is_ok()
    }
}

/// Lets whoever started a call stop it, from any thread. Clones stop the same call.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Mutex<CancelState>>);

#[derive(Default)]
struct CancelState {
    cancelled: bool,
    jobs: Vec<Weak<Job>>,
    listeners: Vec<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for CancelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelState")
            .field("cancelled", &self.cancelled)
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

impl Cancel {
    pub fn cancel(&self) {
        let mut state = lock(&self.0);
        state.cancelled = true;
        for job in state.jobs.drain(..).filter_map(|job| job.upgrade()) {
            let _ = job.stop(CANCELLED);
        }
        let listeners = std::mem::take(&mut state.listeners);
        drop(state);
        for listener in listeners {
            listener();
        }
    }

    /// Runs something when the call is cancelled, or at once if it is already.
    pub(crate) fn on_cancel(&self, listener: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.0);
        if state.cancelled {
            drop(state);
            listener();
        } else {
            state.listeners.push(Box::new(listener));
        }
    }

    pub fn is_cancelled(&self) -> bool {
        lock(&self.0).cancelled
    }

    fn watch(&self, job: &Arc<Job>) {
        let mut state = lock(&self.0);
        if state.cancelled {
            drop(state);
            job.stop(CANCELLED);
        } else {
            state.jobs.retain(|job| job.strong_count() > 0);
            state.jobs.push(Arc::downgrade(job));
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    deadlines: BTreeMap<(Instant, u64), Arc<Job>>,
    next: u64,
    started: bool,
    closed: bool,
    /// What the process may hold with no statement running; each that runs has room beyond.
    memory: Option<u64>,
}

impl Watchdog {
    /// Stops statements when the process holds much more than it does now and the engine may.
    pub(crate) fn bound_memory(&self, engine: u64) {
        let memory = memory::resident().map(|now| now.saturating_add(engine));
        lock(&self.shared.queue).memory = memory;
    }

    /// Watches a statement until the returned guard is dropped.
    pub(crate) fn watch(
        &self,
        target: Arc<InterruptTarget>,
        limit: Duration,
        cancel: &Cancel,
    ) -> Watch {
        let job = Arc::new(Job {
            target,
            state: AtomicU8::new(RUNNING),
        });
        cancel.watch(&job);
        let mut queue = lock(&self.shared.queue);
        let key = (Instant::now() + limit, queue.next);
        queue.next += 1;
        let earliest = queue.deadlines.keys().next().is_none_or(|k| key < *k);
        queue.deadlines.insert(key, Arc::clone(&job));
        if !queue.started {
            queue.started = true;
            let shared = Arc::clone(&self.shared);
            let spawned = std::thread::Builder::new()
                .name("mxcp-watchdog".into())
                .spawn(move || shared.run());
            queue.started = spawned.is_ok();
        }
        drop(queue);
        if earliest {
            self.shared.changed.notify_one();
        }
        Watch {
            shared: Arc::clone(&self.shared),
            key,
            job,
            limit,
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut queue = lock(&self.queue);
        // What the process held when the first of the statements in progress began: what earlier ones took
        // may not have been given back yet.
        let mut before = None;
        while !queue.closed {
            let Some((deadline, _)) = queue.deadlines.keys().next().copied() else {
                before = None;
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if let Some(memory) = queue.memory
                && let Some(held) = memory::resident()
            {
                let base = memory.max(*before.get_or_insert(held));
                let running = queue.deadlines.len() as u64;
                let most = base.saturating_add(ROOM.saturating_mul(running.min(4)));
                if held > most {
                    queue = self.shrink(queue, most);
                    continue;
                }
            }
            let now = Instant::now();
            if deadline <= now {
                if let Some((_, job)) = queue.deadlines.pop_first() {
                    job.stop(TIMED_OUT);
                }
            } else {
                let wait = match queue.memory {
                    Some(_) => memory::LOOK.min(deadline - now),
                    None => deadline - now,
                };
                queue = self
                    .changed
                    .wait_timeout(queue, wait)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }
}

impl Shared {
    // Nobody can tell which statement it is, and there is no time to find out.
    fn shrink<'a>(&'a self, queue: MutexGuard<'a, Queue>, most: u64) -> MutexGuard<'a, Queue> {
        let jobs: Vec<Arc<Job>> = queue.deadlines.values().cloned().collect();
        drop(queue);
        let stopped = jobs.iter().filter(|job| job.stop(TOO_LARGE)).count();
        drop(jobs);
        if stopped > 0 {
            tracing::error!(
                stopped,
                "statements are stopped: the process takes too much memory"
            );
        }
        let until = Instant::now() + ENDING;
        while Instant::now() < until
            && memory::resident().is_some_and(|held| held > most)
            && !lock(&self.queue).deadlines.is_empty()
        {
            std::thread::sleep(memory::LOOK);
        }
        crate::memory::trim();
        lock(&self.queue)
    }
}

/// A watched statement.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    key: (Instant, u64),
    job: Arc<Job>,
    limit: Duration,
}

impl Watch {
    /// Says why DuckDB was interrupted, if this watch did it.
    pub(crate) fn explain(&self, error: SqlError) -> SqlError {
        match self.job.state.load(Ordering::Acquire) {
            TIMED_OUT => {
                SqlError::TimedOut(u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX))
            }
            CANCELLED => SqlError::Cancelled,
            TOO_LARGE => SqlError::TooMuchMemory,
            _ => error,
        }
    }

    /// Fails when the statement should stop before DuckDB noticed.
    pub(crate) fn check(&self) -> Result<(), SqlError> {
        if self.job.state.load(Ordering::Acquire) == RUNNING {
            Ok(())
        } else {
            Err(self.explain(SqlError::Interrupted))
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.shared.queue).deadlines.remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
