//! SQL for whoever asks: calls, queries, and Python's `db.execute`. The pool and the bounds belong
//! together here; what the SQL is for does not matter.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use mxcp_artifact::TypeDef;
use mxcp_artifact::manifest::Limits;
use mxcp_python::{CallContext, Cell, Database, Reload, Rows};
use serde_json::Value;

use crate::call::{Cancel, User};
use crate::database::SqlError;
use crate::database::cells::CellBuild;
use crate::database::execute::{Argument, Bounds, Table, run};
use crate::database::functions::Facts;
use crate::database::json::JsonBuild;
use crate::database::pool::Pool;
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
}

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

    /// Runs SQL and gives JSON values; `returns` refines how some types are written.
    pub(crate) fn json(
        &self,
        sql: &str,
        arguments: &[Argument],
        returns: Option<&TypeDef>,
        facts: Arc<Facts>,
        cancel: &Cancel,
    ) -> Result<Table<Value>, SqlError> {
        let pool = self.pool();
        let mut lease = pool.lease(facts)?;
        run(
            &mut lease,
            sql,
            arguments,
            &JsonBuild::default(),
            &|name, columns| column_hint(returns, name, columns),
            &self.bounds(&self.limits, cancel, false),
        )
    }

    /// Like [`Self::json`] for SQL that its caller wrote: an argument it does not use is a mistake.
    pub(crate) fn query(
        &self,
        sql: &str,
        arguments: &[Argument],
        facts: Arc<Facts>,
        cancel: &Cancel,
    ) -> Result<Table<Value>, SqlError> {
        let pool = self.pool();
        let mut lease = pool.lease(facts)?;
        run(
            &mut lease,
            sql,
            arguments,
            &JsonBuild::default(),
            &|_, _| None,
            &self.bounds(&self.limits, cancel, true),
        )
    }

    fn bounds<'a>(&'a self, limits: &'a Limits, cancel: &'a Cancel, exact: bool) -> Bounds<'a> {
        Bounds {
            limits,
            watchdog: &self.watchdog,
            cancel,
            exact,
        }
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
        let mut lease = pool.lease(facts).map_err(|e| e.to_string())?;
        let table = run(
            &mut lease,
            sql,
            &arguments,
            &CellBuild,
            &|_, _| None,
            &access.bounds(&access.python_limits, &cancel_of(context), true),
        )
        .map_err(|e| e.to_string())?;
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
