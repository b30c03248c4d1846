//! Starts the interpreter, once per process, and installs what every host needs: the streams, the
//! native module and the finder that serves the `mxcp` modules from memory.

use std::ffi::CString;
use std::sync::{OnceLock, mpsc};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::{PythonError, native};

/// The modules user code imports, by name. A name that others extend is a package.
const SOURCES: &[(&str, &str, &str)] = &[
    ("mxcp", "__init__.py", include_str!("modules/mxcp.py")),
    (
        "mxcp.runtime",
        "runtime.py",
        include_str!("modules/runtime.py"),
    ),
    (
        "mxcp.plugins",
        "plugins.py",
        include_str!("modules/plugins.py"),
    ),
    (
        "mxcp.plugins.base",
        "plugins_base.py",
        include_str!("modules/plugins_base.py"),
    ),
    ("mxcp.sdk", "sdk.py", ""),
    ("mxcp.sdk.auth", "auth.py", include_str!("modules/auth.py")),
    (
        "mxcp.sdk.auth.context",
        "auth_context.py",
        include_str!("modules/auth_context.py"),
    ),
    (
        "mxcp.sdk.auth.models",
        "auth_models.py",
        include_str!("modules/auth_models.py"),
    ),
    (
        "mxcp.sdk.audit",
        "audit.py",
        include_str!("modules/audit.py"),
    ),
    (
        "mxcp.sdk.executor",
        "executor.py",
        include_str!("modules/executor.py"),
    ),
    (
        "mxcp.sdk.executor.context",
        "executor_context.py",
        "from mxcp.sdk.executor import *",
    ),
    (
        "mxcp.sdk.telemetry",
        "telemetry.py",
        include_str!("modules/telemetry.py"),
    ),
    // Where older projects find them.
    ("mxcp.auth", "old_auth.py", "from mxcp.sdk.auth import *"),
    (
        "mxcp.auth.context",
        "old_auth_context.py",
        "from mxcp.sdk.auth.context import *",
    ),
];

/// The modules behind them, each before those that import it.
const INTERNAL: &[(&str, &str, &str)] = &[
    (
        "_mxcp_values",
        "<mxcp>/values.py",
        include_str!("modules/values.py"),
    ),
    (
        "_mxcp_rows",
        "<mxcp>/rows.py",
        include_str!("modules/rows.py"),
    ),
    (
        "_mxcp_errors",
        "<mxcp>/errors.py",
        include_str!("modules/errors.py"),
    ),
    (
        "_mxcp_environment",
        "<mxcp>/environment.py",
        include_str!("modules/environment.py"),
    ),
    (
        "_mxcp_report",
        "<mxcp>/report.py",
        include_str!("modules/report.py"),
    ),
    (
        "_mxcp_streams",
        "<mxcp>/streams.py",
        include_str!("modules/streams.py"),
    ),
    (
        "_mxcp_loops",
        "<mxcp>/loops.py",
        include_str!("modules/loops.py"),
    ),
    (
        "_mxcp_udf_types",
        "<mxcp>/udf_types.py",
        include_str!("modules/udf_types.py"),
    ),
    (
        "_mxcp_host",
        "<mxcp>/host.py",
        include_str!("modules/host.py"),
    ),
];

static STARTED: OnceLock<Result<(), PythonError>> = OnceLock::new();
static HOST_MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Starts the interpreter unless it runs already.
pub(crate) fn ensure() -> Result<(), PythonError> {
    STARTED.get_or_init(start).clone()
}

pub(crate) fn is_running() -> bool {
    matches!(STARTED.get(), Some(Ok(())))
}

// Python calls the thread it starts on the main one, so that thread must never end or run user code.
fn start() -> Result<(), PythonError> {
    let (done, started) = mpsc::channel();
    std::thread::Builder::new()
        .name("python-main".to_owned())
        .spawn(move || {
            Python::initialize();
            let _ = done.send(Python::attach(|py| {
                install(py).map_err(|e| PythonError::host(format!("cannot set Python up: {e}")))
            }));
            loop {
                std::thread::park();
            }
        })
        .map_err(|e| PythonError::host(format!("cannot start a Python thread: {e}")))?;
    started
        .recv()
        .unwrap_or_else(|_| Err(PythonError::host("the Python interpreter did not start")))
}

fn install(py: Python<'_>) -> PyResult<()> {
    py.run(
        cr#"
import os, sys
sys.dont_write_bytecode = True
sys.argv = ["mxcp"]
if hasattr(os, "RTLD_DEEPBIND"):
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
"#,
        Some(&PyDict::new(py)),
        None,
    )?;
    let native = native::module(py)?;
    py.import("sys")?
        .getattr("modules")?
        .set_item("_mxcp_native", native)?;
    for (name, file, source) in INTERNAL {
        let (name, file) = (CString::new(*name)?, CString::new(*file)?);
        PyModule::from_code(py, &CString::new(*source)?, &file, &name)?;
    }
    let module = py.import("_mxcp_host")?;
    module.call_method1("install", (SOURCES.to_vec(),))?;
    let _ = HOST_MODULE.set(py, module.unbind());
    Ok(())
}

/// The module behind all the others, `modules/host.py`.
pub(crate) fn host_module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    match HOST_MODULE.get(py) {
        Some(module) => Ok(module.bind(py).clone()),
        None => py.import("_mxcp_host"),
    }
}

/// What a Python process does at its end.
pub(crate) fn run_exit_functions() {
    Python::attach(|py| {
        if let Ok(module) = py.import("atexit") {
            let _ = module.call_method0("_run_exitfuncs");
        }
    });
}
