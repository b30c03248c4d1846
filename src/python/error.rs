//! What went wrong in Python, as data that outlives the interpreter's objects.

use std::fmt;
use std::path::Path;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use crate::interpreter;

/// A Python exception, or a fault of the host described in the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonError {
    /// The class name, e.g. `KeyError`; `HostError` when no Python code is to blame.
    pub type_name: String,
    /// `str(exception)`.
    pub message: String,
    /// Python's own format with the frames of the project's files only, paths relative to the
    /// project root; empty for a `HostError`.
    pub traceback: String,
}

impl PythonError {
    pub(crate) fn host(message: impl Into<String>) -> Self {
        Self {
            type_name: "HostError".to_owned(),
            message: message.into(),
            traceback: String::new(),
        }
    }

    pub(crate) fn from_py(py: Python<'_>, error: &PyErr, root: &Path) -> Self {
        Self::from_exception(error.value(py), root)
    }

    pub(crate) fn from_exception(exception: &Bound<'_, PyBaseException>, root: &Path) -> Self {
        let described = interpreter::host_module(exception.py())
            .and_then(|module| module.call_method1("describe", (exception, root)))
            .and_then(|parts| parts.extract::<(String, String, String)>());
        match described {
            Ok((type_name, message, traceback)) => Self {
                type_name,
                message,
                traceback,
            },
            Err(_) => Self::host(exception.to_string()),
        }
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.traceback.is_empty() {
            f.write_str(&self.message)
        } else if self.message.is_empty() {
            f.write_str(&self.type_name)
        } else {
            write!(f, "{}: {}", self.type_name, self.message)
        }
    }
}

impl std::error::Error for PythonError {}
