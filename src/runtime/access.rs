//! SQL for whoever asks: calls, queries, and Python's `db.execute`. The pool and the bounds belong
//! together here; what the SQL is for does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use crate::database::pool::Pool;
use crate::database::watchdog::Watchdog;
use crate::output::column_hint;

#[derive(Debug)]
pub(crate) struct Access {
    pool: Pool,
    watchdog: Watchdog,
    limits: Limits,
    /// Python may read what it likes; only time is bounded.
    python_limits: Limits,
}

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
        }
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
        let mut lease = self.pool.lease(facts)?;
        run(
            &mut lease,
            sql,
            arguments,
            &JsonBuild::default(),
            &|name, columns| column_hint(returns, name, columns),
            &self.bounds(&self.limits, cancel),
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
        let mut lease = self.pool.lease(facts)?;
        run(
            &mut lease,
            sql,
            arguments,
            &JsonBuild::default(),
            &|_, _| None,
            &Bounds {
                all_used: true,
                ..self.bounds(&self.limits, cancel)
            },
        )
    }

    fn bounds<'a>(&'a self, limits: &'a Limits, cancel: &'a Cancel) -> Bounds<'a> {
        Bounds {
            limits,
            watchdog: &self.watchdog,
            cancel,
            all_used: false,
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
        let mut lease = self.pool.lease(facts).map_err(|e| e.to_string())?;
        let table = run(
            &mut lease,
            sql,
            &arguments,
            &CellBuild,
            &|_, _| None,
            &self.bounds(&self.python_limits, &Cancel::default()),
        )
        .map_err(|e| e.to_string())?;
        Ok(Rows {
            columns: table.columns,
            rows: table.rows,
        })
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
