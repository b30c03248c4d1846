//! Calls in progress: each on a thread made for waiting, at most so many at once, stoppable by the
//! client and by the end of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::messages::{Inbox, forward};
use crate::Cancel;

#[derive(Debug)]
pub(super) struct Calls {
    permits: Arc<Semaphore>,
    /// One for each piece of SQL that can run at once: what waits for one must not hold a thread.
    lanes: Arc<Semaphore>,
    /// How many may wait for a permit.
    queue: usize,
    waiting: AtomicUsize,
    running: watch::Sender<usize>,
    stopped: watch::Sender<bool>,
}

/// What a call occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A connection of the database, and nothing else.
    Sql,
    Other,
}

/// Why a call gave nothing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The client cancelled it; the answer goes nowhere.
    Cancelled,
    /// The server ends.
    Stopped,
    /// It panicked.
    Crashed,
    /// Too many calls wait already.
    Refused,
}

impl Calls {
    /// At most `concurrent` run at once, `lanes` of them SQL, and `queue` wait for their turn.
    pub(super) fn new(concurrent: u64, lanes: usize, queue: u64) -> Self {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            permits: Arc::new(Semaphore::new(
                size(concurrent).clamp(1, Semaphore::MAX_PERMITS),
            )),
            lanes: Arc::new(Semaphore::new(lanes.clamp(1, Semaphore::MAX_PERMITS))),
            queue: size(queue),
            waiting: AtomicUsize::new(0),
            running: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
        }
    }

    /// How many run, and how many wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        (self.running.borrow().saturating_sub(waiting), waiting)
    }

    /// Runs `work` on a blocking thread and forwards its messages meanwhile. When nobody waits for it
    /// any more this returns at once, and what runs is interrupted.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        cancel: &Cancel,
        kind: Kind,
        mut inbox: Option<Inbox>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let _running = Running::new(&self.running);
        let mut stopped = self.stopped.subscribe();
        let body = async {
            let permit = self.permit().await?;
            let lane = match kind {
                Kind::Sql => Arc::clone(&self.lanes).acquire_owned().await.ok(),
                Kind::Other => None,
            };
            let mut asked = JoinSet::new();
            let mut result = tokio::task::spawn_blocking(move || {
                let _held = (permit, lane);
                work()
            });
            let result = loop {
                tokio::select! {
                    biased;
                    message = next(&mut inbox) => forward(message, &context.peer, &mut asked).await,
                    result = &mut result => break result,
                }
            };
            // Messages come before the answer.
            while let Some(Ok(message)) = inbox.as_mut().map(Inbox::try_recv) {
                forward(message, &context.peer, &mut asked).await;
            }
            result.map_err(|_| Lost::Crashed)
        };
        let lost = tokio::select! {
            result = body => return result,
            () = context.ct.cancelled() => Lost::Cancelled,
            _ = stopped.wait_for(|stopped| *stopped) => Lost::Stopped,
        };
        cancel.cancel();
        Err(lost)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Lost> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting::new(&self.waiting);
        if waiting.before >= self.queue {
            return Err(Lost::Refused);
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| Lost::Stopped)
    }

    pub(super) fn is_idle(&self) -> bool {
        *self.running.borrow() == 0
    }

    /// Waits until no call runs.
    pub(super) async fn idle(&self) {
        let mut running = self.running.subscribe();
        // The sender lives as long as `self`.
        let _ = running.wait_for(|running| *running == 0).await;
    }

    /// Gives up on the calls in progress.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

async fn next(inbox: &mut Option<Inbox>) -> super::messages::Message {
    if let Some(inbox) = inbox
        && let Some(message) = inbox.recv().await
    {
        return message;
    }
    // Nothing will come any more.
    *inbox = None;
    std::future::pending().await
}

struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        let before = count.fetch_add(1, Ordering::Relaxed);
        Self { count, before }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Running<'a>(&'a watch::Sender<usize>);

impl<'a> Running<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|running| *running += 1);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
