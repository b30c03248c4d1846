//! A runtime: one manifest with its database, its Python and its policies, ready for calls.
//!
//! Calls block; a server runs them on threads made for that. The order within a call is fixed:
//! arguments are converted and validated, input policies decide, the endpoint runs, the result is
//! shaped and validated, output policies decide and change it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use mxcp_artifact::manifest::Limits;
use mxcp_artifact::{Body, Endpoint, Manifest, TypeKind};
use mxcp_python::{CallRequest, Cell, PythonHost, Reload};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::access::{Access, facts};
use crate::artifact::{Artifact, Compiled};
use crate::call::{Call, CallError, Caller, Cancel, Cut, Decision, Outcome, SQL_ERROR};
use crate::database::SqlError;
use crate::database::execute::Argument;
use crate::database::open;
use crate::options::{InUse, Options, StartError};
use crate::output::{shape_rows, shape_value};
use crate::policy::{Facts, Refusal};
use crate::python;
use crate::reload::Reloads;

/// See the module.
pub struct Runtime {
    artifact: ArcSwap<Artifact>,
    access: Arc<Access>,
    python: Option<Arc<PythonHost>>,
    reloads: Arc<Reloads>,
    replaced: watch::Sender<u64>,
    on_hangup: OnceLock<Box<dyn Fn() + Send + Sync>>,
    options: Options,
}

// How long a reload waits for statements that are still being interrupted.
const CLOSING: Duration = Duration::from_secs(5);

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("python", &self.python.is_some())
            .field("transport", &self.options.transport)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Opens the database of the profile, loads extensions, secrets and plugins, and runs the
    /// `on_init` hooks of Python code.
    pub fn start(manifest: Arc<Manifest>, options: Options) -> Result<Self, StartError> {
        Self::start_beside(manifest, options, InUse::default())
    }

    /// Like [`Self::start`], told what to do when another process holds the database.
    pub fn start_beside(
        manifest: Arc<Manifest>,
        options: Options,
        in_use: InUse,
    ) -> Result<Self, StartError> {
        let pool = open::open(&manifest, &options, in_use)?;
        let access = Arc::new(Access::new(pool, manifest.project.limits.clone()));
        let reloads = Arc::new(Reloads::default());
        let python = python::start(&manifest, &options, &access, &reloads)?;
        // Python may take what it needs.
        if options.serves() && python.is_none() {
            access.bound_memory();
        }
        Ok(Self {
            artifact: ArcSwap::from_pointee(Artifact::new(manifest)),
            access,
            python,
            reloads,
            replaced: watch::Sender::new(0),
            on_hangup: OnceLock::new(),
            options,
        })
    }

    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.artifact.load().manifest)
    }

    /// Serves another manifest from now on; calls in progress end with the one they began with. The
    /// database, its limits and Python stay as they were started.
    pub fn replace(&self, manifest: Arc<Manifest>) {
        self.artifact.store(Arc::new(Artifact::new(manifest)));
        self.replaced.send_modify(|count| *count += 1);
    }

    /// What a server does when SIGHUP arrives. The first call counts.
    pub fn on_hangup(&self, reload: impl Fn() + Send + Sync + 'static) {
        let _ = self.on_hangup.set(Box::new(reload));
    }

    pub(crate) fn hang_up(&self) {
        if let Some(reload) = self.on_hangup.get() {
            reload();
        }
    }

    /// Changes each time [`Self::replace`] was called.
    pub(crate) fn replacements(&self) -> watch::Receiver<u64> {
        self.replaced.subscribe()
    }

    /// Lets Python code reload this runtime with `reload_duckdb`, and [`Self::request_reload`] too.
    pub fn serve_reloads(self: &Arc<Self>) -> Result<(), String> {
        self.reloads.serve(self)
    }

    /// Asks for a reload of the database, the plugins and the hooks, and returns at once.
    pub fn request_reload(&self, why: &str) -> Result<(), String> {
        self.reloads.request(Reload::plain(why))
    }

    pub(crate) fn reload_now(&self, reload: Reload) -> Result<(), StartError> {
        let Some(_drained) = self.reloads.drain() else {
            return Ok(());
        };
        tracing::info!("reloading: {}", reload.description());
        if let Some(python) = &self.python {
            // A hook that fails was logged.
            let _ = python.suspend();
        }
        if !self.access.pool().close_all(CLOSING) {
            tracing::warn!("a statement does not end; the database file is still open");
        }
        if let Some(python) = &self.python
            && let Err(error) = python.run_payload(reload)
        {
            tracing::error!("the function of the reload failed: {error}");
        }
        let manifest = self.manifest();
        match open::open(&manifest, &self.options, InUse::default()) {
            Ok(pool) => self.access.replace_pool(pool),
            Err(error) => {
                let why = format!("it could not be opened after a reload: {error}");
                self.access.pool().explain_closing(why);
                return Err(error);
            }
        }
        if let Some(python) = &self.python {
            python.resume(|| python::register_functions(python, &self.access))?;
        }
        tracing::info!("reloaded");
        Ok(())
    }

    /// Calls an endpoint and waits for its result.
    pub fn call(&self, call: &Call) -> Result<Outcome, CallError> {
        let _running = self.reloads.enter(&call.cancel)?;
        let artifact = self.artifact.load_full();
        let not_found = || CallError::NotFound {
            kind: call.kind,
            id: call.id.clone(),
        };
        let (endpoint, compiled, mut arguments) =
            artifact.find(call.kind, &call.id).ok_or_else(not_found)?;
        arguments.extend(call.arguments.clone());
        let values = compiled
            .inputs
            .process(arguments, call.lenient_strings)
            .map_err(CallError::InvalidInput)?;

        let mut decision = Decision::default();
        let facts = (!compiled.policies.is_empty()).then(|| {
            Facts::new(
                call.caller.user.as_ref(),
                &values,
                |name| compiled.inputs.get(name),
                call.lenient_policies,
            )
        });
        if let Some(facts) = &facts {
            compiled
                .policies
                .check_input(facts, &mut decision)
                .map_err(|refusal| denied(refusal, &decision))?;
        }

        let (value, rows, cut) = self.execute(endpoint, compiled, &values, call)?;
        let output = compiled
            .output
            .as_ref()
            .filter(|_| !call.skip_output_validation);
        let value = match output {
            Some(output) => output.accept(value).map_err(CallError::InvalidOutput)?,
            None => value,
        };

        let value = match &facts {
            Some(facts) => compiled
                .policies
                .apply_output(facts, value, endpoint.returns.as_ref(), &mut decision)
                .map_err(|refusal| denied(refusal, &decision))?,
            None => value,
        };
        Ok(Outcome {
            value,
            decision,
            rows,
            cut,
        })
    }

    /// Like [`Self::call`], in a transaction that is rolled back: the database stays as it is. Files
    /// and whatever else the endpoint reaches do not. No other call may run meanwhile.
    pub(crate) fn call_and_roll_back(&self, call: &Call) -> Result<Outcome, CallError> {
        let _until_done = self.access.roll_back().map_err(sql_failure)?;
        self.call(call)
    }

    fn execute(
        &self,
        endpoint: &Endpoint,
        compiled: &Compiled,
        values: &Map<String, Value>,
        call: &Call,
    ) -> Result<(Value, Option<usize>, Option<Cut>), CallError> {
        let returns = compiled.output.as_ref().map(|output| &output.returns);
        match (&endpoint.body, &compiled.prompt) {
            (Body::Prompt(_), Some(prompt)) => {
                let messages = prompt.render(values).map_err(CallError::failed)?;
                Ok((messages, None, None))
            }
            (Body::Prompt(_), None) => Err(CallError::failed("the prompt was not compiled")),
            (Body::Sql(body), _) => {
                let table = self
                    .access
                    .json(
                        &body.sql,
                        &compiled.inputs.arguments(values),
                        returns,
                        Arc::new(facts(call.caller.user.as_ref(), &call.caller.headers)),
                        &call.cancel,
                        call.cut && returns.is_none_or(|r| r.kind == TypeKind::Array),
                    )
                    .map_err(|error| self.sql_failure(error))?;
                let (rows, cut) = (table.rows.len(), table.cut);
                let value = shape_rows(table, returns).map_err(CallError::failed)?;
                Ok((value, Some(rows), cut))
            }
            (Body::Python(body), _) => {
                let host = self.python.as_ref().ok_or_else(|| {
                    CallError::failed("Python was not started; restart to serve Python endpoints")
                })?;
                let request = CallRequest {
                    file: body.file.clone(),
                    function: body.function.clone(),
                    arguments: compiled.inputs.cells(values),
                    context: python::context(&call.caller, self.options.transport),
                };
                let limit = self.access.limits().timeout_ms;
                let value = python::call(host, request, limit, &call.cancel)?;
                let value = shape_value(value, returns).map_err(CallError::failed)?;
                Ok((value, None, None))
            }
        }
    }

    /// Runs SQL with parameters typed by their values; the result is a list of row objects.
    pub fn query(&self, sql: &str, parameters: &Map<String, Value>) -> Result<Value, CallError> {
        self.query_as(sql, parameters, &Caller::default(), &Cancel::default())
    }

    /// Like [`Self::query`], for a caller that SQL can see.
    pub fn query_as(
        &self,
        sql: &str,
        parameters: &Map<String, Value>,
        caller: &Caller,
        cancel: &Cancel,
    ) -> Result<Value, CallError> {
        let limits = self.access.limits();
        let _running = self.reloads.enter(cancel)?;
        self.rows(sql, parameters, limits, caller, cancel)
    }

    fn rows(
        &self,
        sql: &str,
        parameters: &Map<String, Value>,
        limits: &Limits,
        caller: &Caller,
        cancel: &Cancel,
    ) -> Result<Value, CallError> {
        let arguments: Vec<Argument> = parameters
            .iter()
            .map(|(name, value)| Argument {
                name: name.clone(),
                value: Cell::from_json(value),
                ty: None,
            })
            .collect();
        let facts = Arc::new(facts(caller.user.as_ref(), &caller.headers));
        let table = self
            .access
            .query(sql, &arguments, limits, facts, cancel)
            .map_err(|error| self.sql_failure(error))?;
        shape_rows(table, None).map_err(CallError::failed)
    }

    /// Runs a built-in tool: SQL that a client wrote, which may not leave the database, or, with `fixed`,
    /// SQL of ours about the arguments. The result is a list of row objects, and says whether it was cut.
    pub(crate) fn sql_tool(
        &self,
        name: &str,
        arguments: &Map<String, Value>,
        fixed: Option<&str>,
        caller: &Caller,
        cancel: &Cancel,
    ) -> Result<(Value, Option<Cut>), CallError> {
        let _running = self.reloads.enter(cancel)?;
        let artifact = self.artifact.load_full();
        if let Some(policies) = artifact.sql_tool_policies(name) {
            let mut decision = Decision::default();
            let facts = Facts::new(caller.user.as_ref(), arguments, |_| None, false);
            policies
                .check_input(&facts, &mut decision)
                .map_err(|refusal| denied(refusal, &decision))?;
        }
        let all = self.access.limits();
        let limits = match artifact.manifest.project.sql_tools.tools.get(name) {
            Some(tool) => tool.limits(all),
            None => all.clone(),
        };
        if let Some(sql) = fixed {
            let rows = self.rows(sql, arguments, &limits, caller, cancel)?;
            return Ok((rows, None));
        }
        let sql = arguments.values().next().and_then(Value::as_str);
        let facts = Arc::new(facts(caller.user.as_ref(), &caller.headers));
        let table = self
            .access
            .free_query(sql.unwrap_or_default(), &limits, facts, cancel)
            .map_err(|error| self.sql_failure(error))?;
        let cut = table.cut;
        let rows = shape_rows(table, None).map_err(CallError::failed)?;
        Ok((rows, cut))
    }

    /// Counts as a call in progress until it is dropped.
    pub(crate) fn enter(&self, cancel: &Cancel) -> Result<crate::reload::Running<'_>, CallError> {
        self.reloads.enter(cancel)
    }

    pub(crate) fn artifact(&self) -> Arc<Artifact> {
        self.artifact.load_full()
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// How many pieces of SQL can run at once.
    pub(crate) fn width(&self) -> usize {
        self.access.pool().size()
    }

    pub(crate) fn sql_failure(&self, error: SqlError) -> CallError {
        if self.access.take_broken() {
            tracing::error!("the database engine gave up and is started again: {error}");
            // Without a server there is nobody to start it for.
            let _ = self.reloads.request(Reload::plain("the engine gave up"));
        }
        sql_failure(error)
    }

    /// Runs the shutdown hooks and closes the database. Later calls fail.
    pub fn shutdown(&self) {
        self.reloads.close();
        if let Some(python) = &self.python {
            python.shutdown();
        }
        self.access.pool().close();
    }
}

fn denied(refusal: Refusal, decision: &Decision) -> CallError {
    CallError::Denied {
        phase: refusal.phase,
        reason: refusal.reason,
        decision: decision.clone(),
    }
}

fn sql_failure(error: SqlError) -> CallError {
    match error {
        SqlError::Cancelled => CallError::Cancelled,
        error => CallError::failed(format!("{SQL_ERROR}{error}")),
    }
}
