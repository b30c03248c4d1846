//! A host: one project's Python code with its configuration, plugins and worker threads.
//!
//! The rules of loading and running live in `modules/host.py`; this side owns the threads and turns
//! requests into calls and answers into data. Callers never hold the interpreter.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use mxcp_artifact::SqlType;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde_json::Value;

use crate::clock::Clock;
use crate::config::{CallContext, CallRequest, Database, HostConfig};
use crate::convert::{self, Reader};
use crate::native::{Call, Reply};
use crate::reload::Reload;
use crate::turn::{Ending, Message, Pending, Stopper, Turn};
use crate::worker::Workers;
use crate::{Cell, PythonError, Udf, interpreter, udf};

// A hook that hangs must not keep the process from ending.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

const WORKERS: usize = 64;

pub struct PythonHost {
    state: Arc<State>,
    config: HostConfig,
    udfs: Mutex<Vec<Udf>>,
    clock: Clock,
}

struct State {
    root: PathBuf,
    host: Py<PyAny>,
    database: Arc<dyn Database>,
    workers: Workers,
}

impl PythonHost {
    /// Starts the interpreter if need be, makes the project root the working directory and
    /// instantiates the plugins. No endpoint code runs yet.
    pub fn start(config: HostConfig, database: Arc<dyn Database>) -> Result<Self, PythonError> {
        let root = config.root.canonicalize().map_err(|e| {
            PythonError::host(format!(
                "cannot open the project root `{}`: {e}",
                config.root.display()
            ))
        })?;
        interpreter::ensure()?;
        std::env::set_current_dir(&root)
            .map_err(|e| PythonError::host(format!("cannot work in `{}`: {e}", root.display())))?;
        let workers = Workers::start(match config.workers {
            0 => WORKERS,
            wanted => wanted,
        })?;
        let job_root = root.clone();
        let job_database = Arc::clone(&database);
        let job_config = config.clone();
        let started = run(&workers, move |py| {
            create(py, &job_config, &job_root)
                .and_then(|host| {
                    let udfs = start_plugins(py, &host, &job_config, job_database)?;
                    Ok((host.unbind(), udfs))
                })
                .map_err(|e| PythonError::from_py(py, &e, &job_root))
        });
        let (host, udfs) = match started.and_then(|r| r) {
            Ok(started) => started,
            Err(error) => {
                workers.close();
                return Err(error);
            }
        };
        Ok(Self {
            state: Arc::new(State {
                root,
                host,
                database,
                workers,
            }),
            config,
            udfs: Mutex::new(udfs),
            clock: Clock::default(),
        })
    }

    /// Imports the preload files, then runs the `on_init` hooks, with database access. Everything is
    /// tried; each problem is logged and the first one is returned. Calls work all the same: a
    /// file that failed to import is tried again when it is called.
    pub fn init(&self) -> Result<(), PythonError> {
        self.hooks("init")
    }

    /// Runs the `on_shutdown` hooks and lets the plugins go. Modules keep their state; no call should
    /// run from here to [`Self::resume`].
    pub fn suspend(&self) -> Result<(), PythonError> {
        self.hooks("suspend")
    }

    /// Makes the plugins anew and runs the `on_init` hooks again. `with_plugins` runs in between,
    /// when [`Self::udfs`] are the new ones.
    pub fn resume<E: From<PythonError>>(
        &self,
        with_plugins: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let state = Arc::clone(&self.state);
        let config = self.config.clone();
        let udfs = run(&self.state.workers, move |py| {
            start_plugins(
                py,
                state.host.bind(py),
                &config,
                Arc::clone(&state.database),
            )
            .map_err(|e| PythonError::from_py(py, &e, &state.root))
        })??;
        *self.udfs.lock().unwrap_or_else(PoisonError::into_inner) = udfs;
        with_plugins()?;
        Ok(self.hooks("resume")?)
    }

    /// Runs the function of a reload.
    pub fn run_payload(&self, reload: Reload) -> Result<(), PythonError> {
        let Some(payload) = reload.payload else {
            return Ok(());
        };
        self.several("run_payload", Some(payload))
    }

    fn hooks(&self, which: &'static str) -> Result<(), PythonError> {
        self.several(which, None)
    }

    // Each problem is logged; the first one is returned.
    fn several(&self, which: &'static str, argument: Option<Py<PyAny>>) -> Result<(), PythonError> {
        let state = Arc::clone(&self.state);
        let problems = run(&self.state.workers, move |py| {
            let call = state.call_object(py, CallContext::for_hooks())?;
            let problems = match argument {
                Some(argument) => state.host.call_method1(py, which, (call, argument))?,
                None => state.host.call_method1(py, which, (call,))?,
            };
            state.describe_all(problems.bind(py))
        })?;
        let problems = problems.map_err(|e: PyErr| self.state.foreign(&e))?;
        for problem in &problems {
            tracing::error!(target: "mxcp::python", "{}", problem.traceback);
        }
        problems.into_iter().next().map_or(Ok(()), Err)
    }

    /// Calls a function and waits for its result, however long that takes.
    pub fn call(&self, request: CallRequest) -> Result<Value, PythonError> {
        self.begin(request)
            .wait(None)
            .map_err(|ending| match ending {
                Ending::Raised(error) => error,
                Ending::TimedOut | Ending::Stopped => PythonError::host("the call was stopped"),
            })
    }

    /// Calls a function without waiting for its result.
    pub fn begin(&self, request: CallRequest) -> Pending {
        // The second place is for whoever stops the wait.
        let (answer, answers) = mpsc::sync_channel(2);
        let stopper = Stopper(answer.clone());
        let turn = self.submit(request, move |outcome| {
            let _ = answer.try_send(Message::Answer(outcome));
        });
        Pending {
            turn,
            answers,
            stopper,
        }
    }

    // Hands the result to `answer`, on a Python thread and exactly once. An `async def` does not
    // occupy a worker while it waits.
    fn submit(
        &self,
        request: CallRequest,
        answer: impl FnOnce(Result<Value, PythonError>) + Send + 'static,
    ) -> Arc<Turn> {
        let reply = Reply::new(self.state.root.clone(), Box::new(answer));
        let state = Arc::clone(&self.state);
        let workers = self.state.workers.clone();
        let name = format!("`{}` of `{}`", request.function, request.file);
        let turn = Arc::new(Turn::new(name, move || workers.give_one_up()));
        let running = Arc::clone(&turn);
        // A refused or lost job drops the reply, which then answers for itself.
        let _ = self.state.workers.submit(Box::new(move |py| {
            if let Err(error) = running.run(py, || state.invoke(py, request, reply)) {
                let error = PythonError::from_py(py, &error, &state.root);
                tracing::debug!(target: "mxcp::python", "a call ended otherwise: {error}");
            }
            !running.is_left_behind()
        }));
        turn
    }

    /// The SQL functions of the plugins, sorted by name; the position is the index of
    /// [`Self::call_udf`].
    pub fn udfs(&self) -> Vec<Udf> {
        self.udfs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Runs a plugin function over rows of arguments, on the calling thread: a worker could be the one
    /// that waits for the query this belongs to. The user is the one of that
    /// query. When its time is over it is stopped like a call.
    pub fn call_udf(
        &self,
        index: usize,
        rows: Vec<Vec<Cell>>,
        context: CallContext,
        limit: Option<Duration>,
    ) -> Result<Vec<Cell>, PythonError> {
        let declared = self
            .udfs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(index)
            .cloned()
            .ok_or_else(|| PythonError::host(format!("there is no plugin function {index}")))?;
        let name = format!("plugin function `{}`", declared.name);
        let turn = Arc::new(Turn::new(name, || {}));
        let _alarm = limit.and_then(|limit| self.clock.stop_after(limit, &turn));
        let results = Python::attach(|py| {
            turn.run_whole(py, || self.state.run_udf(py, index, &rows, context))
                .map_err(|e| PythonError::from_py(py, &e, &self.state.root))
        })?
        .unwrap_or_default();
        results
            .into_iter()
            .map(|cell| {
                udf::coerce(cell, &declared.returns).map_err(|reason| {
                    PythonError::host(format!("plugin function `{}`: {reason}", declared.name))
                })
            })
            .collect()
    }

    /// Runs the shutdown hooks, waiting a limited time, forgets the project's modules and ends the
    /// worker threads. Later calls are refused.
    pub fn shutdown(&self) {
        let state = Arc::clone(&self.state);
        let (done, finished) = mpsc::channel();
        let queued = self.state.workers.submit(Box::new(move |py| {
            let hooks = state
                .call_object(py, CallContext::for_hooks())
                .and_then(|call| state.host.call_method1(py, "shutdown", (call,)))
                .and_then(|problems| state.describe_all(problems.bind(py)));
            match hooks {
                Ok(problems) => {
                    for problem in problems {
                        tracing::error!(target: "mxcp::python", "{}", problem.traceback);
                    }
                }
                Err(error) => tracing::error!(target: "mxcp::python", "{error}"),
            }
            let _ = done.send(());
            true
        }));
        self.state.workers.close();
        if queued.is_ok() && finished.recv_timeout(SHUTDOWN_LIMIT).is_err() {
            tracing::warn!(target: "mxcp::python", "a shutdown hook did not end in time");
        }
    }
}

impl State {
    fn call_object(&self, py: Python<'_>, context: CallContext) -> PyResult<Py<Call>> {
        Py::new(
            py,
            Call {
                database: Some(Arc::clone(&self.database)),
                context,
            },
        )
    }

    fn invoke<'py>(
        &self,
        py: Python<'py>,
        request: CallRequest,
        reply: Reply,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reply = Py::new(py, reply)?;
        let arguments = PyDict::new(py);
        for (name, cell) in &request.arguments {
            arguments.set_item(name, convert::to_python(py, cell, Reader::Argument)?)?;
        }
        let call = self.call_object(py, request.context)?;
        self.host.bind(py).call_method1(
            "invoke",
            (call, request.file, request.function, arguments, reply),
        )
    }

    fn run_udf(
        &self,
        py: Python<'_>,
        index: usize,
        rows: &[Vec<Cell>],
        context: CallContext,
    ) -> PyResult<Vec<Cell>> {
        let arguments = PyList::empty(py);
        for row in rows {
            let row = row
                .iter()
                .map(|cell| convert::to_python(py, cell, Reader::Plugin))
                .collect::<PyResult<Vec<_>>>()?;
            arguments.append(PyTuple::new(py, row)?)?;
        }
        let call = Call {
            database: None,
            context,
        };
        let results =
            self.host
                .call_method1(py, "call_udf", (Py::new(py, call)?, index, arguments))?;
        let results = results.bind(py).cast::<PyList>()?;
        results.iter().map(|v| convert::from_python(&v)).collect()
    }

    fn describe_all(&self, problems: &Bound<'_, PyAny>) -> PyResult<Vec<PythonError>> {
        problems
            .try_iter()?
            .map(|problem| {
                let problem = problem?;
                let exception = problem.cast::<PyBaseException>()?;
                Ok(PythonError::from_exception(exception, &self.root))
            })
            .collect()
    }

    fn foreign(&self, error: &PyErr) -> PythonError {
        Python::attach(|py| PythonError::from_py(py, error, &self.root))
    }
}

fn create<'py>(
    py: Python<'py>,
    config: &HostConfig,
    root: &std::path::Path,
) -> PyResult<Bound<'py, PyAny>> {
    let secrets = PyDict::new(py);
    for (name, parameters) in &config.secrets {
        secrets.set_item(name, convert::json_to_python(py, parameters)?)?;
    }
    let settings = PyDict::new(py);
    settings.set_item("root", root)?;
    settings.set_item("python_path", &config.python_path)?;
    settings.set_item("plugin_path", &config.plugin_path)?;
    settings.set_item("venv", &config.venv)?;
    settings.set_item("preload", &config.preload)?;
    settings.set_item("site", convert::json_to_python(py, &config.site)?)?;
    settings.set_item(
        "user_config",
        convert::json_to_python(py, &config.user_config)?,
    )?;
    settings.set_item("secrets", secrets)?;
    interpreter::host_module(py)?.call_method("Host", (), Some(&settings))
}

fn start_plugins(
    py: Python<'_>,
    host: &Bound<'_, PyAny>,
    config: &HostConfig,
    database: Arc<dyn Database>,
) -> PyResult<Vec<Udf>> {
    let plugins: Vec<_> = config
        .plugins
        .iter()
        .map(|p| (&p.name, &p.module, &p.config))
        .collect();
    let call = Call {
        database: Some(database),
        context: CallContext::for_hooks(),
    };
    let declared = host.call_method1("start_plugins", (Py::new(py, call)?, plugins))?;
    let udfs = declared
        .extract::<Vec<(String, Vec<String>, String)>>()?
        .into_iter()
        .map(|(name, parameters, returns)| Udf {
            name,
            parameters: parameters.iter().map(|t| SqlType::parse(t)).collect(),
            returns: SqlType::parse(&returns),
        })
        .collect();
    Ok(udfs)
}

/// Runs a job on a worker and waits for its value.
fn run<T: Send + 'static>(
    workers: &Workers,
    job: impl for<'py> FnOnce(Python<'py>) -> T + Send + 'static,
) -> Result<T, PythonError> {
    let (done, value) = mpsc::sync_channel(1);
    let _ = workers.submit(Box::new(move |py| {
        let _ = done.send(job(py));
        true
    }));
    value.recv().map_err(|_| closed())
}

fn closed() -> PythonError {
    PythonError::host("Python is shut down")
}
