//! A host: one project's Python code with its configuration, plugins and worker threads.
//!
//! The rules of loading and running live in `modules/host.py`; this side owns the threads and turns
//! requests into calls and answers into data. Callers never hold the interpreter.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mxcp_artifact::SqlType;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde_json::Value;

use crate::convert::{self, Decimals};
use crate::native::{Call, Reply};
use crate::worker::Workers;
use crate::{Cell, PythonError, Rows, Udf, interpreter, udf};

// A hook that hangs must not keep the process from ending.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// The database as `db.execute` sees it. Called on a Python thread that has let go of the interpreter.
pub trait Database: Send + Sync {
    fn execute(
        &self,
        sql: &str,
        parameters: Vec<(String, Cell)>,
        context: &CallContext,
    ) -> Result<Rows, String>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

impl LogLevel {
    pub(crate) fn python_level(self) -> u32 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warning => 30,
            Self::Error => 40,
        }
    }
}

/// Receives what `mcp.debug` and its siblings say.
pub type LogSink = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;
/// Receives progress, total and message of `mcp.progress`.
pub type ProgressSink = Arc<dyn Fn(f64, Option<f64>, Option<&str>) + Send + Sync>;

/// Who calls, and where messages to the caller go.
#[derive(Clone, Default)]
pub struct CallContext {
    pub user: Option<Value>,
    pub headers: BTreeMap<String, String>,
    pub transport: String,
    /// Without a sink, messages go to the program's log.
    pub log: Option<LogSink>,
    pub progress: Option<ProgressSink>,
}

#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    pub name: String,
    pub module: String,
    pub config: BTreeMap<String, String>,
}

/// Everything a host needs to know about its project.
#[derive(Clone, Default)]
pub struct HostConfig {
    pub root: PathBuf,
    /// The directory of endpoint code, relative to the root.
    pub python_path: String,
    /// The directory of plugin modules, relative to the root.
    pub plugin_path: String,
    /// A virtual environment whose packages the code may import.
    pub venv: Option<PathBuf>,
    /// Files to import before the `on_init` hooks run, relative to the root.
    pub preload: Vec<String>,
    pub site: Value,
    pub user_config: Value,
    /// Name and parameters of each secret.
    pub secrets: Vec<(String, Value)>,
    pub plugins: Vec<PluginConfig>,
    /// How many calls may run at once; 0 chooses by the number of processors.
    pub workers: usize,
}

pub struct CallRequest {
    /// Relative to the project root.
    pub file: String,
    pub function: String,
    pub arguments: Vec<(String, Cell)>,
    pub context: CallContext,
}

pub struct PythonHost {
    state: Arc<State>,
    udfs: Vec<Udf>,
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
        let workers = Workers::start(worker_count(config.workers))?;
        let job_root = root.clone();
        let job_database = Arc::clone(&database);
        let started = run(&workers, move |py| {
            create(py, &config, &job_root, job_database)
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
            udfs,
        })
    }

    /// Imports the preload files, then runs the `on_init` hooks, with database access. Everything is
    /// tried; each problem is logged and the first one is returned. Calls work all the same: a
    /// file that failed to import is tried again when it is called.
    pub fn init(&self) -> Result<(), PythonError> {
        let state = Arc::clone(&self.state);
        let problems = run(&self.state.workers, move |py| {
            let call = state.call_object(py, CallContext::for_hooks())?;
            let problems = state.host.call_method1(py, "init", (call,))?;
            state.describe_all(problems.bind(py))
        })?;
        let problems = problems.map_err(|e: PyErr| self.state.foreign(&e))?;
        for problem in &problems {
            tracing::error!(target: "mxcp::python", "{}", problem.traceback);
        }
        problems.into_iter().next().map_or(Ok(()), Err)
    }

    /// Calls a function and waits for its result. Blocks the calling thread; see [`Self::submit`].
    pub fn call(&self, request: CallRequest) -> Result<Value, PythonError> {
        let (answer, result) = mpsc::sync_channel(1);
        self.submit(request, move |outcome| {
            let _ = answer.send(outcome);
        });
        result.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Calls a function and hands its result to `answer`, on a Python thread and exactly once. An
    /// `async def` does not occupy a worker while it waits.
    pub fn submit(
        &self,
        request: CallRequest,
        answer: impl FnOnce(Result<Value, PythonError>) + Send + 'static,
    ) {
        let reply = Reply::new(self.state.root.clone(), Box::new(answer));
        let state = Arc::clone(&self.state);
        // A refused or lost job drops the reply, which then answers for itself.
        let _ = self.state.workers.submit(Box::new(move |py| {
            if let Err(error) = state.invoke(py, request, reply) {
                let error = PythonError::from_py(py, &error, &state.root);
                tracing::error!(target: "mxcp::python", "cannot run a call: {error}");
            }
        }));
    }

    /// The SQL functions of the plugins, sorted by name; the position is the index of
    /// [`Self::call_udf`].
    pub fn udfs(&self) -> Vec<Udf> {
        self.udfs.clone()
    }

    /// Runs a plugin function over rows of arguments, on the calling thread: a worker could be the one
    /// that waits for the query this belongs to.
    pub fn call_udf(&self, index: usize, rows: Vec<Vec<Cell>>) -> Result<Vec<Cell>, PythonError> {
        let declared = self
            .udfs
            .get(index)
            .ok_or_else(|| PythonError::host(format!("there is no plugin function {index}")))?;
        let results = Python::attach(|py| {
            self.state
                .run_udf(py, index, &rows)
                .map_err(|e| PythonError::from_py(py, &e, &self.state.root))
        })?;
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
        }));
        self.state.workers.close();
        if queued.is_ok() && finished.recv_timeout(SHUTDOWN_LIMIT).is_err() {
            tracing::warn!(target: "mxcp::python", "a shutdown hook did not end in time");
        }
    }
}

impl CallContext {
    fn for_hooks() -> Self {
        Self {
            transport: "hook".to_owned(),
            ..Self::default()
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

    fn invoke(&self, py: Python<'_>, request: CallRequest, reply: Reply) -> PyResult<()> {
        let reply = Py::new(py, reply)?;
        let arguments = PyDict::new(py);
        for (name, cell) in &request.arguments {
            arguments.set_item(name, convert::to_python(py, cell, Decimals::Float)?)?;
        }
        let call = self.call_object(py, request.context)?;
        self.host.call_method1(
            py,
            "invoke",
            (call, request.file, request.function, arguments, reply),
        )?;
        Ok(())
    }

    fn run_udf(&self, py: Python<'_>, index: usize, rows: &[Vec<Cell>]) -> PyResult<Vec<Cell>> {
        let arguments = PyList::empty(py);
        for row in rows {
            let row = row
                .iter()
                .map(|cell| convert::to_python(py, cell, Decimals::Exact))
                .collect::<PyResult<Vec<_>>>()?;
            arguments.append(PyTuple::new(py, row)?)?;
        }
        let call = Call {
            database: None,
            context: CallContext::default(),
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

fn create(
    py: Python<'_>,
    config: &HostConfig,
    root: &std::path::Path,
    database: Arc<dyn Database>,
) -> PyResult<(Py<PyAny>, Vec<Udf>)> {
    let secrets = PyDict::new(py);
    for (name, parameters) in &config.secrets {
        secrets.set_item(name, convert::json_to_python(py, parameters)?)?;
    }
    let plugins: Vec<_> = config
        .plugins
        .iter()
        .map(|p| (&p.name, &p.module, &p.config))
        .collect();
    let call = Call {
        database: Some(database),
        context: CallContext::for_hooks(),
    };
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
    let host = interpreter::host_module(py)?.call_method("Host", (), Some(&settings))?;
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
    Ok((host.unbind(), udfs))
}

/// Runs a job on a worker and waits for its value.
fn run<T: Send + 'static>(
    workers: &Workers,
    job: impl for<'py> FnOnce(Python<'py>) -> T + Send + 'static,
) -> Result<T, PythonError> {
    let (done, value) = mpsc::sync_channel(1);
    let _ = workers.submit(Box::new(move |py| {
        let _ = done.send(job(py));
    }));
    value.recv().map_err(|_| closed())
}

fn closed() -> PythonError {
    PythonError::host("Python is shut down")
}

fn worker_count(wanted: usize) -> usize {
    match wanted {
        0 => (std::thread::available_parallelism().map_or(1, usize::from) + 4).min(32),
        wanted => wanted,
    }
}
