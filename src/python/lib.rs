//! Embedded CPython: runs the functions of a project's Python files on threads of its own and gives
//! them the modules `mxcp.runtime` and `mxcp.plugins`.
//!
//! This crate must not know DuckDB, MCP or the compiler: it reaches the database through the
//! [`Database`] trait and gets resolved file and function names. Nothing a project's code does,
//! short of killing the process, is more than a [`PythonError`] here.
//!
//! What holds for the whole process, from the first [`PythonHost::start`] on:
//! - The interpreter starts once and is never finalised. Leave with [`exit_process`].
//! - The working directory is the root of the host started last, so that relative paths in user
//!   code mean the same wherever the program was started.
//! - `print`, `sys.stderr` and `logging` of Python go to `tracing` (target `mxcp::python`), never to
//!   the process's standard output. A server that speaks on standard output should also call
//!   [`take_stdout`], which covers native code and child processes.
//! - Shared libraries that Python loads resolve symbols against themselves first (`RTLD_DEEPBIND`),
//!   so a project's own `duckdb` does not meet the library this process is linked with.

mod calendar;
mod cell;
mod clock;
mod config;
mod convert;
mod error;
mod host;
mod interpreter;
mod native;
mod process;
mod reload;
mod result;
mod turn;
mod udf;
mod worker;

#[cfg(test)]
mod host_tests;

pub use cell::{Cell, Rows};
pub use config::{
    AskSink, CallContext, CallRequest, Database, HostConfig, LogLevel, LogSink, PluginConfig,
    ProgressSink, Question, Unanswered,
};
pub use error::PythonError;
pub use host::PythonHost;
pub use process::{exit_process, take_stdin, take_stdout};
pub use reload::Reload;
pub use turn::{Ending, Pending, Stopper};
pub use udf::Udf;
