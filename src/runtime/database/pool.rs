//! Connections to one database, made when they are needed and reused with their prepared statements.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::SqlError;
use super::ffi::{Connection, Engine, Prepared};
use super::free_sql::Reach;
use super::functions::{ConnectionState, Facts, Registry};
use super::snapshot::Snapshot;

const STATEMENTS: usize = 128;

/// One connection with what belongs to it.
#[derive(Debug)]
pub(crate) struct Session {
    // Before the connection: statements go first.
    statements: HashMap<String, Prepared>,
    pub(crate) connection: Connection,
    pub(crate) state: Arc<ConnectionState>,
    registry: Arc<Registry>,
    /// A statement changed the session itself: it is not used again.
    pub(crate) tainted: bool,
    /// Somebody else began a transaction and will end it.
    pub(crate) in_transaction: bool,
}

impl Session {
    /// Runs a statement that takes and gives nothing.
    pub(crate) fn command(&mut self, sql: &str) -> Result<(), SqlError> {
        let extracted = self.connection.extract(sql)?;
        let prepared = self.connection.prepare(&extracted, 0)?;
        prepared.execute(false).map(drop)
    }

    pub(crate) fn take_statement(&mut self, sql: &str) -> Option<Prepared> {
        self.statements.remove(sql)
    }

    pub(crate) fn keep_statement(&mut self, sql: &str, prepared: Prepared) {
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), prepared);
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.registry.remove(self.connection.id());
    }
}

/// The connections of one open database.
#[derive(Debug)]
pub(crate) struct Pool {
    registry: Arc<Registry>,
    inner: Mutex<Inner>,
    freed: Condvar,
    size: usize,
    patience: Duration,
    /// What must be over before the first statement runs; nobody who only starts waits for it.
    opening: Mutex<Option<Opening>>,
    opened: AtomicBool,
    reach: Mutex<Option<Arc<Reach>>>,
}

/// Work on a database that goes on after it was opened.
#[derive(Debug)]
pub(crate) struct Opening {
    thread: JoinHandle<Result<(), SqlError>>,
    /// Dropped when somebody waits.
    hurry: Sender<()>,
}

impl Opening {
    /// Begins after some time, or when somebody waits for it.
    pub(crate) fn later(
        after: Duration,
        work: impl FnOnce() -> Result<(), SqlError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (hurry, wanted) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("mxcp-opening".to_owned())
            .spawn(move || {
                let _ = wanted.recv_timeout(after);
                work()
            })?;
        Ok(Self { thread, hurry })
    }

    fn finish(self) -> std::thread::Result<Result<(), SqlError>> {
        drop(self.hurry);
        self.thread.join()
    }
}

#[derive(Debug)]
struct Inner {
    /// `None` once the pool is closed.
    engine: Option<Arc<Engine>>,
    /// Why it is closed, if that is not simply the end.
    closed_because: Option<String>,
    idle: Vec<Session>,
    open: usize,
    /// What is open is a copy; it goes with the pool.
    snapshot: Option<Snapshot>,
}

impl Pool {
    pub(crate) fn new(
        engine: Arc<Engine>,
        registry: Arc<Registry>,
        patience: Duration,
        snapshot: Option<Snapshot>,
        opening: Option<Opening>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            registry,
            inner: Mutex::new(Inner {
                engine: Some(engine),
                closed_because: None,
                idle: Vec::new(),
                open: 0,
                snapshot,
            }),
            freed: Condvar::new(),
            // More than can run at once: a few slow statements must not keep the quick ones waiting.
            size: (processors * 2).max(8),
            patience,
            opened: AtomicBool::new(opening.is_none()),
            opening: Mutex::new(opening),
            reach: Mutex::default(),
        }
    }

    /// How many statements can run at once.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// What the functions of this database reach, read again when `fresh`.
    pub(crate) fn reach(
        &self,
        fresh: bool,
        read: impl FnOnce() -> Result<Reach, SqlError>,
    ) -> Result<Arc<Reach>, SqlError> {
        let mut known = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reach) = known.as_ref().filter(|_| !fresh) {
            return Ok(Arc::clone(reach));
        }
        let reach = Arc::new(read()?);
        *known = Some(Arc::clone(&reach));
        Ok(reach)
    }

    // A database whose opening failed is closed: what should protect it is not in place.
    fn finish_opening(&self) {
        if self.opened.load(Ordering::Acquire) {
            return;
        }
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opening) = opening.take() {
            let failed = match opening.finish() {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("its opening crashed".to_owned()),
            };
            if let Some(why) = failed {
                tracing::error!("the database is closed: {why}");
                let mut inner = self.lock();
                inner.closed_because = Some(why);
                inner.engine = None;
            }
        }
        self.opened.store(true, Ordering::Release);
    }

    /// A connection of one's own, waiting for it when all are in use. SQL sees the given caller.
    pub(crate) fn lease(&self, facts: Arc<Facts>) -> Result<Lease<'_>, SqlError> {
        self.finish_opening();
        let deadline = Instant::now() + self.patience;
        let mut inner = self.lock();
        let session = loop {
            let Some(engine) = inner.engine.clone() else {
                let why = inner.closed_because.as_ref();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                return Err(SqlError::Engine(format!("the database is closed{why}")));
            };
            if let Some(session) = inner.idle.pop() {
                break session;
            }
            if inner.open < self.size {
                inner.open += 1;
                drop(inner);
                match self.connect(&engine) {
                    Ok(session) => break session,
                    Err(error) => {
                        self.lock().open -= 1;
                        self.freed.notify_one();
                        return Err(error);
                    }
                }
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(SqlError::Busy(self.size));
            }
            inner = self
                .freed
                .wait_timeout(inner, deadline - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        };
        session.state.set_facts(facts);
        Ok(Lease {
            pool: self,
            session: Some(session),
        })
    }

    /// A connection outside the pool, for work that no other call may share. It closes when dropped.
    pub(crate) fn detached(&self) -> Result<Session, SqlError> {
        self.finish_opening();
        let engine = self.lock().engine.clone();
        match engine {
            Some(engine) => self.connect(&engine),
            None => Err(SqlError::Engine("the database is closed".into())),
        }
    }

    fn connect(&self, engine: &Arc<Engine>) -> Result<Session, SqlError> {
        let connection = engine.connect()?;
        let state = self.registry.add(connection.id());
        Ok(Session {
            statements: HashMap::new(),
            connection,
            state,
            registry: Arc::clone(&self.registry),
            tainted: false,
            in_transaction: false,
        })
    }

    /// Closes the idle connections and refuses new leases; leased ones close when they come back.
    pub(crate) fn close(&self) {
        self.finish_opening();
        let (engine, idle, snapshot) = {
            let mut inner = self.lock();
            let idle = std::mem::take(&mut inner.idle);
            inner.open -= idle.len();
            (inner.engine.take(), idle, inner.snapshot.take())
        };
        drop(idle);
        drop(engine);
        drop(snapshot);
        self.freed.notify_all();
    }

    /// What later leases are told.
    pub(crate) fn explain_closing(&self, why: String) {
        self.lock().closed_because = Some(why);
    }

    /// Closes the pool and waits for the leased connections. Says whether all of them came back.
    pub(crate) fn close_all(&self, patience: Duration) -> bool {
        self.close();
        let deadline = Instant::now() + patience;
        let mut inner = self.lock();
        while inner.open > 0 {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            inner = self
                .freed
                .wait_timeout(inner, deadline - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A leased connection. It goes back to the pool when dropped.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Deref for Lease<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        // Only `drop` takes it out.
        #[expect(
            clippy::expect_used,
            reason = "a lease holds its session until it is dropped"
        )]
        self.session.as_ref().expect("a lease holds a session")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        #[expect(
            clippy::expect_used,
            reason = "a lease holds its session until it is dropped"
        )]
        self.session.as_mut().expect("a lease holds a session")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        // The next caller must not inherit this one.
        session.state.set_facts(Arc::default());
        let mut inner = self.pool.lock();
        if session.tainted || inner.engine.is_none() {
            drop(inner);
            drop(session);
            // Counted out when it is really closed: the file is free then.
            self.pool.lock().open -= 1;
        } else {
            inner.idle.push(session);
            drop(inner);
        }
        self.pool.freed.notify_one();
    }
}
