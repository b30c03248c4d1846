//! The Rust objects that the Python side sees: the call it serves, the reply it owes, the log.
//!
//! Nothing here decides anything about projects; it converts and hands over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use serde_json::Value;

use crate::config::{CallContext, Database, LogLevel, Question, Unanswered};
use crate::convert::{self, Reader};
use crate::reload::Reload;
use crate::{Cell, PythonError, Rows, interpreter, result};

pub(crate) fn module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let module = PyModule::new(py, "_mxcp_native")?;
    module.add_function(wrap_pyfunction!(emit, &module)?)?;
    module.add_function(wrap_pyfunction!(interrupt, &module)?)?;
    module.add_class::<Call>()?;
    module.add_class::<Reply>()?;
    Ok(module)
}

/// Writes one line to the log, with a level number of Python's `logging`.
#[pyfunction]
fn emit(level: u32, text: &str) {
    match level {
        40.. => tracing::error!(target: "mxcp::python", "{text}"),
        30.. => tracing::warn!(target: "mxcp::python", "{text}"),
        20.. => tracing::info!(target: "mxcp::python", "{text}"),
        _ => tracing::debug!(target: "mxcp::python", "{text}"),
    }
}

/// Raises an exception of the given class in a thread, when that next runs Python code.
#[pyfunction]
pub(crate) fn interrupt(thread: u64, exception: &Bound<'_, PyAny>) {
    let Ok(thread) = thread.try_into() else {
        return;
    };
    // SAFETY: the interpreter is held and the class outlives the call; an unknown thread is no error.
    unsafe {
        pyo3::ffi::PyThreadState_SetAsyncExc(thread, exception.as_ptr());
    }
}

/// One call from outside, as its code sees it.
#[pyclass(frozen, module = "_mxcp_native")]
pub(crate) struct Call {
    pub(crate) database: Option<Arc<dyn Database>>,
    pub(crate) context: CallContext,
}

#[pymethods]
impl Call {
    /// Runs a statement and gives its rows as dicts. Other Python threads go on meanwhile.
    #[pyo3(signature = (query, params=None))]
    fn execute<'py>(
        &self,
        py: Python<'py>,
        query: &str,
        params: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let Some(database) = &self.database else {
            return Err(PyRuntimeError::new_err(
                "there is no database here: `db.execute` works in endpoints and hooks, not in plugin functions",
            ));
        };
        let parameters = parameters(params)?;
        let outcome = py.detach(|| {
            catch_unwind(AssertUnwindSafe(|| {
                database.execute(query, parameters, &self.context)
            }))
            .unwrap_or_else(|_| Err("the database layer failed unexpectedly".to_owned()))
        });
        match outcome {
            Ok(rows) => rows_to_python(py, rows),
            Err(message) => Err(database_error(py, &message)),
        }
    }

    /// Asks for a reload.
    fn reload(
        &self,
        py: Python<'_>,
        payload: Option<Py<PyAny>>,
        description: String,
    ) -> PyResult<()> {
        let Some(database) = &self.database else {
            return Err(PyRuntimeError::new_err(
                "`reload_duckdb` works in endpoints and hooks, not in plugin functions",
            ));
        };
        let reload = Reload::new(payload, description);
        py.detach(|| database.reload(reload))
            .map_err(PyRuntimeError::new_err)
    }

    fn log(&self, py: Python<'_>, level: &str, message: &str) {
        let level = match level {
            "debug" => LogLevel::Debug,
            "warning" => LogLevel::Warning,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        };
        match &self.context.log {
            Some(log) => py.detach(|| log(level, message)),
            None => emit(level.python_level(), message),
        }
    }

    #[pyo3(signature = (progress, total=None, message=None))]
    fn progress(&self, py: Python<'_>, progress: f64, total: Option<f64>, message: Option<&str>) {
        if let Some(report) = &self.context.progress {
            py.detach(|| report(progress, total, message));
        }
    }

    /// The client's answers to `(name, method, params)`; None when it is asked after this call.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        questions: Vec<(String, String, Bound<'py, PyAny>)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some(ask) = &self.context.ask else {
            return Err(PyRuntimeError::new_err(
                "there is no client to ask: this works in endpoints that a client calls",
            ));
        };
        let questions = questions
            .into_iter()
            .map(|(name, method, params)| {
                Ok(Question {
                    name,
                    method,
                    params: result::to_json(&params)?,
                })
            })
            .collect::<PyResult<Vec<_>>>()?;
        match py.detach(|| ask(questions)) {
            Ok(answers) => {
                let list = PyList::empty(py);
                for answer in &answers {
                    list.append(convert::json_to_python(py, answer)?)?;
                }
                Ok(Some(list))
            }
            Err(Unanswered::Refused(why)) => Err(PyRuntimeError::new_err(why)),
            Err(Unanswered::Later) => Ok(None),
        }
    }

    #[getter]
    fn user<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.context.user {
            Some(user) => convert::json_to_python(py, user),
            None => Ok(py.None().into_bound(py)),
        }
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        for (name, value) in &self.context.headers {
            headers.set_item(name, value)?;
        }
        Ok(headers)
    }

    #[getter]
    fn transport(&self) -> &str {
        &self.context.transport
    }
}

fn parameters(params: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, Cell)>> {
    let Some(params) = params.filter(|p| !p.is_none()) else {
        return Ok(Vec::new());
    };
    let bind = |name: String, value: &Bound<'_, PyAny>| {
        let cell = convert::from_python(value).map_err(|e| named(value.py(), &name, e))?;
        Ok((name, cell))
    };
    if let Ok(params) = params.cast::<PyDict>() {
        return params
            .iter()
            .map(|(name, value)| bind(name.str()?.to_string(), &value))
            .collect();
    }
    if params.is_instance_of::<PyList>() || params.is_instance_of::<PyTuple>() {
        // What `?` and `$1` are called.
        return (1..)
            .zip(params.try_iter()?)
            .map(|(position, value)| bind(position.to_string(), &value?))
            .collect();
    }
    Err(database_error(
        params.py(),
        "Invalid Input Error: Prepared parameters can only be passed as a list or a dictionary",
    ))
}

fn database_error(py: Python<'_>, message: &str) -> PyErr {
    let made =
        interpreter::host_module(py).and_then(|m| m.call_method1("database_error", (message,)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

// Says which parameter cannot be bound; any other exception is the user's own and stays as it is.
fn named(py: Python<'_>, parameter: &str, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(format!("parameter `{parameter}`: {}", error.value(py)))
    } else {
        error
    }
}

fn rows_to_python<'py>(py: Python<'py>, rows: Rows) -> PyResult<Bound<'py, PyList>> {
    let columns: Vec<Bound<'py, PyString>> = distinct(rows.columns)
        .iter()
        .map(|name| PyString::new(py, name))
        .collect();
    let list = PyList::empty(py);
    for row in rows.rows {
        let dict = PyDict::new(py);
        for (name, cell) in columns.iter().zip(&row) {
            dict.set_item(name, convert::to_python(py, cell, Reader::Row)?)?;
        }
        list.append(dict)?;
    }
    Ok(list)
}

// A dict cannot hold a name twice: the second `id` becomes `id_1`.
fn distinct(columns: Vec<String>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::with_capacity(columns.len());
    for name in columns {
        let mut unique = name.clone();
        let mut number = 0;
        while taken.contains(&unique) {
            number += 1;
            unique = format!("{name}_{number}");
        }
        taken.push(unique);
    }
    taken
}

type Answer = Box<dyn FnOnce(Result<Value, PythonError>) + Send>;

/// The answer somebody waits for; it is given exactly once, at the latest when this is dropped.
#[pyclass(frozen, module = "_mxcp_native")]
pub(crate) struct Reply {
    answer: Mutex<Option<Answer>>,
    root: PathBuf,
}

impl Reply {
    pub(crate) fn new(root: PathBuf, answer: Answer) -> Self {
        Self {
            answer: Mutex::new(Some(answer)),
            root,
        }
    }

    fn give(&self, outcome: Result<Value, PythonError>) {
        let answer = self.answer.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(answer) = answer {
            answer(outcome);
        }
    }
}

#[pymethods]
impl Reply {
    /// Raises when the value cannot become JSON; the caller then passes that error on.
    fn value(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = result::to_json(value)?;
        py.detach(|| self.give(Ok(value)));
        Ok(())
    }

    fn error(&self, py: Python<'_>, exception: &Bound<'_, PyBaseException>) {
        let error = PythonError::from_exception(exception, &self.root);
        py.detach(|| self.give(Err(error)));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.give(Err(PythonError::host(
            "the call ended without a result: Python was shut down",
        )));
    }
}
