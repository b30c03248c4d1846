//! SQL for whoever asks: calls, queries, and Python's `db.execute`. The pool and the bounds belong
//! together here; what the SQL is for does not matter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mxcp_artifact::TypeDef;
use mxcp_artifact::manifest::Limits;
use mxcp_python::{CallContext, Cell, Database, Reload, Rows};
use serde_json::Value;

use crate::call::{Cancel, User};
use crate::database::SqlError;
use crate::database::cells::CellBuild;
use crate::database::execute::{Argument, Bounds, Table, run};
use crate::database::free_sql::{self, Ask, Reach, Relation};
use crate::database::functions::Facts;
use crate::database::json::JsonBuild;
use crate::database::memory;
use crate::database::pool::{Lease, Pool, Session};
use crate::database::rollback;
use crate::database::watchdog::Watchdog;
use crate::output::column_hint;
use crate::reload::Reloads;

#[derive(Debug)]
pub(crate) struct Access {
    pool: ArcSwap<Pool>,
    watchdog: Watchdog,
    limits: Limits,
    /// Python may read what it likes; only time is bounded.
    python_limits: Limits,
    /// The one connection that everything uses while [`Access::roll_back`] holds.
    shared: Mutex<Option<Session>>,
    /// The engine said that it can do nothing more until it is opened again.
    broken: AtomicBool,
}

// Who waits longer than this for the shared connection waits for itself: a function that SQL calls.
const PATIENCE: Duration = Duration::from_secs(10);

impl Access {
    pub(crate) fn new(pool: Pool, limits: Limits) -> Self {
        Self {
            pool: ArcSwap::from_pointee(pool),
            watchdog: Watchdog::default(),
            python_limits: Limits {
                rows: u64::MAX,
                bytes: u64::MAX,
                ..limits.clone()
            },
            limits,
            shared: Mutex::new(None),
            broken: AtomicBool::new(false),
        }
    }

    /// Stops statements with which the process grows beyond all that the engine may hold.
    pub(crate) fn bound_memory(&self) {
        if let Some(engine) = memory::of_engine(self.limits.memory_mb) {
            self.watchdog.bound_memory(engine);
        }
    }

    /// Whether the database must be opened again; says so once.
    pub(crate) fn take_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) && self.broken.swap(false, Ordering::Relaxed)
    }

    fn look_at<T>(&self, outcome: &Result<T, SqlError>) {
        if let Err(SqlError::Engine(text)) = outcome
            && (text.starts_with("FATAL Error") || text.contains("database has been invalidated"))
        {
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn pool(&self) -> Arc<Pool> {
        self.pool.load_full()
    }

    /// What runs from now on runs on this pool.
    pub(crate) fn replace_pool(&self, pool: Pool) {
        self.pool.store(Arc::new(pool));
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Until the guard is dropped, all SQL runs in one transaction, which is then rolled back. The
    /// caller sees to it that nobody else uses the database meanwhile.
    pub(crate) fn roll_back(&self) -> Result<RollBack<'_>, SqlError> {
        let mut session = self.pool().detached()?;
        session.command("BEGIN TRANSACTION")?;
        session.in_transaction = true;
        *self.shared() = Some(session);
        Ok(RollBack { access: self })
    }

    fn shared(&self) -> MutexGuard<'_, Option<Session>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection for one piece of SQL.
    fn entry<'a>(&'a self, pool: &'a Pool, facts: Arc<Facts>) -> Result<Entry<'a>, SqlError> {
        let deadline = Instant::now() + PATIENCE;
        let shared = loop {
            match self.shared.try_lock() {
                Ok(guard) => break guard,
                Err(TryLockError::Poisoned(error)) => break error.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(SqlError::Engine(
                        "a function that SQL calls cannot use the database inside a test that is rolled back; run it with `mxcp test --no-isolated`".into(),
                    ));
                }
            }
        };
        if let Some(session) = shared.as_ref() {
            session.state.set_facts(facts);
            return Ok(Entry::Shared(shared));
        }
        drop(shared);
        Ok(Entry::Own(pool.lease(facts)?))
    }

    /// Runs SQL and gives JSON values; `returns` refines how some types are written. With `cut`, a
    /// result that is too large ends early.
    pub(crate) fn json(
        &self,
        sql: &str,
        arguments: &[Argument],
        returns: Option<&TypeDef>,
        facts: Arc<Facts>,
        cancel: &Cancel,
        cut: bool,
    ) -> Result<Table<Value>, SqlError> {
        let pool = self.pool();
        let mut entry = self.entry(&pool, facts)?;
        let sql = entry.sql(sql)?;
        let outcome = run(
            &mut entry,
            &sql,
            arguments,
            &JsonBuild::up_to(self.limits.bytes),
            &|name, columns| column_hint(returns, name, columns),
            &Bounds {
                cut,
                ..self.bounds(&self.limits, cancel, false)
            },
        );
        self.look_at(&outcome);
        outcome.map_err(|error| entry.explain(error))
    }

    /// Like [`Self::json`] for SQL that its caller wrote: an argument it does not use is a mistake.
    pub(crate) fn query(
        &self,
        sql: &str,
        arguments: &[Argument],
        limits: &Limits,
        facts: Arc<Facts>,
        cancel: &Cancel,
    ) -> Result<Table<Value>, SqlError> {
        let pool = self.pool();
        let mut lease = pool.lease(facts)?;
        let outcome = run(
            &mut lease,
            sql,
            arguments,
            &JsonBuild::up_to(limits.bytes),
            &|_, _| None,
            &self.bounds(limits, cancel, true),
        );
        self.look_at(&outcome);
        outcome
    }

    /// SQL that a client wrote, which must not leave the database. Its result may end early.
    pub(crate) fn free_query(
        &self,
        sql: &str,
        limits: &Limits,
        facts: Arc<Facts>,
        cancel: &Cancel,
    ) -> Result<Table<Value>, SqlError> {
        let pool = self.pool();
        let mut lease = pool.lease(facts)?;
        let bounds = Bounds {
            cut: true,
            ..self.bounds(limits, cancel, true)
        };
        let mut asking = Asking {
            pool: &pool,
            session: &mut lease,
            // The catalogue may have more functions than a result may have rows.
            bounds: self.bounds(&self.python_limits, cancel, true),
        };
        free_sql::check(sql, &mut asking)?;
        let outcome = run(
            &mut lease,
            sql,
            &[],
            &JsonBuild::up_to(limits.bytes),
            &|_, _| None,
            &bounds,
        );
        self.look_at(&outcome);
        outcome
    }

    fn bounds<'a>(&'a self, limits: &'a Limits, cancel: &'a Cancel, exact: bool) -> Bounds<'a> {
        Bounds {
            limits,
            watchdog: &self.watchdog,
            cancel,
            exact,
            cut: false,
        }
    }
}

/// Answers what the rules for a client's SQL ask, on the connection that will run it.
struct Asking<'a> {
    pool: &'a Pool,
    session: &'a mut Session,
    bounds: Bounds<'a>,
}

impl Asking<'_> {
    fn rows(&mut self, sql: &str, arguments: &[(&str, &str)]) -> Result<Vec<Vec<Value>>, SqlError> {
        rows(self.session, &self.bounds, sql, arguments)
    }
}

fn rows(
    session: &mut Session,
    bounds: &Bounds<'_>,
    sql: &str,
    arguments: &[(&str, &str)],
) -> Result<Vec<Vec<Value>>, SqlError> {
    let arguments: Vec<Argument> = arguments
        .iter()
        .map(|(name, value)| Argument {
            name: (*name).to_owned(),
            value: Cell::from_json(&Value::from(*value)),
            ty: None,
        })
        .collect();
    let build = JsonBuild::default();
    run(session, sql, &arguments, &build, &|_, _| None, bounds).map(|table| table.rows)
}

impl Ask for Asking<'_> {
    fn tree(&mut self, sql: &str) -> Result<Value, SqlError> {
        let found = self.rows("SELECT json_serialize_sql($sql)", &[("sql", sql)])?;
        let text = found.first().and_then(|row| row.first());
        // What nests too deeply to be read is judged without it.
        Ok(text
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null))
    }

    fn reach(&mut self, fresh: bool) -> Result<Arc<Reach>, SqlError> {
        let Self {
            pool,
            session,
            bounds,
        } = self;
        pool.reach(fresh, || {
            let mut reach = Reach::default();
            for row in rows(session, bounds, Reach::QUERY, &[])? {
                let text = |i: usize| row.get(i).and_then(Value::as_str).unwrap_or_default();
                let internal = row.get(2) == Some(&Value::Bool(true));
                reach.add(text(0), text(1), internal, text(3));
            }
            Ok(reach)
        })
    }

    fn has_relation(&mut self, relation: &Relation) -> Result<bool, SqlError> {
        // `a.b` may be a schema's table or a database's.
        let found = self.rows(
            "SELECT 1 FROM (\
                 SELECT database_name AS d, schema_name AS s, table_name AS t FROM duckdb_tables() \
                 UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()) \
             WHERE lower(t) = lower($name) \
               AND ($schema = '' OR lower(s) = lower($schema) OR ($database = '' AND lower(d) = lower($schema))) \
               AND ($database = '' OR lower(d) = lower($database)) \
             LIMIT 1",
            &[
                ("name", &relation.name),
                ("schema", &relation.schema),
                ("database", &relation.database),
            ],
        )?;
        Ok(!found.is_empty())
    }
}

/// The way from Python to the database. The Python host holds it for ever, so it holds nothing itself:
/// the database must still close when the runtime shuts down.
#[derive(Debug)]
pub(crate) struct Door {
    access: Weak<Access>,
    reloads: Weak<Reloads>,
}

impl Door {
    pub(crate) fn new(access: &Arc<Access>, reloads: &Arc<Reloads>) -> Self {
        Self {
            access: Arc::downgrade(access),
            reloads: Arc::downgrade(reloads),
        }
    }
}

impl Database for Door {
    fn execute(
        &self,
        sql: &str,
        parameters: Vec<(String, Cell)>,
        context: &CallContext,
    ) -> Result<Rows, String> {
        let Some(access) = self.access.upgrade() else {
            return Err("the database is closed".into());
        };
        let arguments: Vec<Argument> = parameters
            .into_iter()
            .map(|(name, value)| Argument {
                name,
                value,
                ty: None,
            })
            .collect();
        let facts = Arc::new(python_facts(context));
        let pool = access.pool();
        let mut entry = access.entry(&pool, facts).map_err(|e| e.to_string())?;
        let sql = entry.sql(sql).map_err(|e| e.to_string())?;
        let table = run(
            &mut entry,
            &sql,
            &arguments,
            &CellBuild,
            &|_, _| None,
            &access.bounds(&access.python_limits, &cancel_of(context), true),
        );
        access.look_at(&table);
        let table = table.map_err(|error| entry.explain(error).to_string())?;
        Ok(Rows {
            columns: table.columns,
            rows: table.rows,
        })
    }

    fn reload(&self, reload: Reload) -> Result<(), String> {
        match self.reloads.upgrade() {
            Some(reloads) => reloads.request(reload),
            None => Err("the server is shut down".into()),
        }
    }
}

/// Lets SQL that Python runs end with the call it belongs to.
pub(crate) fn baggage(cancel: &Cancel) -> Arc<dyn std::any::Any + Send + Sync> {
    Arc::new(cancel.clone())
}

fn cancel_of(context: &CallContext) -> Cancel {
    let cancel = context.baggage.as_ref().and_then(|b| b.downcast_ref());
    cancel.cloned().unwrap_or_default()
}

/// A connection of one's own, or the one that is rolled back.
enum Entry<'a> {
    Own(Lease<'a>),
    Shared(MutexGuard<'a, Option<Session>>),
}

impl Entry<'_> {
    fn sql<'s>(&self, sql: &'s str) -> Result<Cow<'s, str>, SqlError> {
        match self {
            Self::Own(_) => Ok(Cow::Borrowed(sql)),
            Self::Shared(_) => rollback::without_transactions(sql),
        }
    }

    fn explain(&self, error: SqlError) -> SqlError {
        match self {
            Self::Own(_) => error,
            Self::Shared(_) => rollback::explain(error),
        }
    }
}

impl Deref for Entry<'_> {
    type Target = Session;

    #[expect(
        clippy::expect_used,
        reason = "`Access::entry` makes it from a lock that holds a session, and only the guard takes it out"
    )]
    fn deref(&self) -> &Session {
        match self {
            Self::Own(lease) => lease,
            Self::Shared(session) => session.as_ref().expect("the shared session is there"),
        }
    }
}

impl DerefMut for Entry<'_> {
    #[expect(
        clippy::expect_used,
        reason = "`Access::entry` makes it from a lock that holds a session, and only the guard takes it out"
    )]
    fn deref_mut(&mut self) -> &mut Session {
        match self {
            Self::Own(lease) => lease,
            Self::Shared(session) => session.as_mut().expect("the shared session is there"),
        }
    }
}

/// See [`Access::roll_back`].
pub(crate) struct RollBack<'a> {
    access: &'a Access,
}

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        if let Some(mut session) = self.access.shared().take()
            && let Err(error) = session.command("ROLLBACK")
        {
            // Closing the connection, which follows, gives the transaction up as well.
            tracing::debug!("a test's transaction was already over: {error}");
        }
    }
}

/// What SQL sees of a caller.
pub(crate) fn facts(user: Option<&User>, headers: &BTreeMap<String, String>) -> Facts {
    Facts {
        username: user.map(|u| u.username.clone()),
        email: user.and_then(|u| u.email.clone()),
        provider: user.map(|u| u.provider.clone()),
        external_token: user.and_then(|u| u.external_token.clone()),
        headers: (!headers.is_empty()).then(|| {
            headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.clone()))
                .collect()
        }),
        user: user.map(User::to_python_value),
    }
}

// Python carries the caller as the object that `User::to_python_value` makes.
fn python_facts(context: &CallContext) -> Facts {
    let text = |key: &str| {
        let value = context.user.as_ref()?.get(key)?;
        value.as_str().map(str::to_owned)
    };
    Facts {
        username: text("username"),
        email: text("email"),
        provider: text("provider"),
        external_token: text("external_token"),
        user: context.user.clone(),
        ..facts(None, &context.headers)
    }
}
