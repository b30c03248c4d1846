//! SQL for whoever asks: calls, queries, and Python's `db.execute`. The pool and the bounds belong
//! together here; what the SQL is for does not matter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use mxcp_artifact::TypeDef;
use mxcp_artifact::manifest::Limits;
use mxcp_python::{CallContext, Cell, Database, Rows};
use serde_json::Value;

use crate::call::{Cancel, User};
use crate::database::SqlError;
use crate::database::cells::CellBuild;
use crate::database::execute::{Argument, Bounds, Table, run};
use crate::database::functions::Facts;
use crate::database::json::JsonBuild;
use crate::database::pool::{Lease, Pool, Session};
use crate::database::rollback;
use crate::database::watchdog::Watchdog;
use crate::output::column_hint;

#[derive(Debug)]
pub(crate) struct Access {
    pool: Pool,
    watchdog: Watchdog,
    limits: Limits,
    /// Python may read what it likes; only time is bounded.
    python_limits: Limits,
    /// The one connection that everything uses while [`Access::roll_back`] holds.
    shared: Mutex<Option<Session>>,
}

// Who waits longer than this for the shared connection waits for itself: a function that SQL calls.
const PATIENCE: Duration = Duration::from_secs(10);

impl Access {
    pub(crate) fn new(pool: Pool, limits: Limits) -> Self {
        Self {
            pool,
            watchdog: Watchdog::default(),
            python_limits: Limits {
                rows: u64::MAX,
                bytes: u64::MAX,
                ..limits.clone()
            },
            limits,
            shared: Mutex::new(None),
        }
    }

    /// Until the guard is dropped, all SQL runs in one transaction, which is then rolled back. The
    /// caller sees to it that nobody else uses the database meanwhile.
    pub(crate) fn roll_back(&self) -> Result<RollBack<'_>, SqlError> {
        let mut session = self.pool.detached()?;
        session.command("BEGIN TRANSACTION")?;
        *self.shared() = Some(session);
        Ok(RollBack { access: self })
    }

    fn shared(&self) -> MutexGuard<'_, Option<Session>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection for one piece of SQL.
    fn door(&self, facts: Arc<Facts>) -> Result<Door<'_>, SqlError> {
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
            return Ok(Door::Shared(shared));
        }
        drop(shared);
        Ok(Door::Own(self.pool.lease(facts)?))
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs SQL and gives JSON values; `returns` refines how some types are written.
    pub(crate) fn json(
        &self,
        sql: &str,
        arguments: &[Argument],
        returns: Option<&TypeDef>,
        facts: Arc<Facts>,
        cancel: &Cancel,
    ) -> Result<Table<Value>, SqlError> {
        let mut door = self.door(facts)?;
        let sql = door.sql(sql)?;
        let outcome = run(
            &mut door,
            &sql,
            arguments,
            &JsonBuild::default(),
            &|name, columns| column_hint(returns, name, columns),
            &self.bounds(&self.limits, cancel),
        );
        outcome.map_err(|error| door.explain(error))
    }

    fn bounds<'a>(&'a self, limits: &'a Limits, cancel: &'a Cancel) -> Bounds<'a> {
        Bounds {
            limits,
            watchdog: &self.watchdog,
            cancel,
        }
    }
}

impl Database for Access {
    fn execute(
        &self,
        sql: &str,
        parameters: Vec<(String, Cell)>,
        context: &CallContext,
    ) -> Result<Rows, String> {
        let arguments: Vec<Argument> = parameters
            .into_iter()
            .map(|(name, value)| Argument {
                name,
                value,
                ty: None,
            })
            .collect();
        let facts = Arc::new(python_facts(context));
        let mut door = self.door(facts).map_err(|e| e.to_string())?;
        let sql = door.sql(sql).map_err(|e| e.to_string())?;
        let table = run(
            &mut door,
            &sql,
            &arguments,
            &CellBuild,
            &|_, _| None,
            &self.bounds(&self.python_limits, &Cancel::default()),
        )
        .map_err(|error| door.explain(error).to_string())?;
        Ok(Rows {
            columns: table.columns,
            rows: table.rows,
        })
    }
}

/// A connection of one's own, or the one that is rolled back.
enum Door<'a> {
    Own(Lease<'a>),
    Shared(MutexGuard<'a, Option<Session>>),
}

impl Door<'_> {
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

impl Deref for Door<'_> {
    type Target = Session;

    #[expect(
        clippy::expect_used,
        reason = "`Access::door` makes it from a lock that holds a session, and only the guard takes it out"
    )]
    fn deref(&self) -> &Session {
        match self {
            Self::Own(lease) => lease,
            Self::Shared(session) => session.as_ref().expect("the shared session is there"),
        }
    }
}

impl DerefMut for Door<'_> {
    #[expect(
        clippy::expect_used,
        reason = "`Access::door` makes it from a lock that holds a session, and only the guard takes it out"
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
        ..facts(None, &context.headers)
    }
}
