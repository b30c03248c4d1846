//! A reload that Python code asked for: what to run while the database is closed. The embedding
//! program decides when, with [`crate::PythonHost::suspend`], [`crate::PythonHost::run_payload`] and
//! [`crate::PythonHost::resume`].

use pyo3::prelude::*;

/// A request for a reload.
pub struct Reload {
    pub(crate) payload: Option<Py<PyAny>>,
    description: String,
}

impl Reload {
    pub(crate) fn new(payload: Option<Py<PyAny>>, description: String) -> Self {
        Self {
            payload,
            description,
        }
    }

    /// A reload that nobody's code belongs to.
    pub fn plain(description: impl Into<String>) -> Self {
        Self::new(None, description.into())
    }

    /// Why, for the log.
    pub fn description(&self) -> &str {
        &self.description
    }
}
