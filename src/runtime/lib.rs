//! A manifest at work: calls of its endpoints with validation, policies, SQL on DuckDB and Python.
//!
//! It serves a manifest and knows nothing of the sources it came from: the compiler, its catalogue
//! and its query graph must never be a dependency. Whatever the compiler proved is checked again
//! here on the values of each call.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod artifact;
mod call;
mod completing;
mod database;
mod input;
pub mod memory;
mod options;
mod output;
mod policy;
mod prompts;
mod python;
mod reload;
pub mod resources;
mod runtime;
pub mod server;
pub mod testing;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod python_tests;
#[cfg(test)]
mod tests;

pub use call::{
    Call, CallError, Caller, Cancel, Cut, Decision, Messages, Outcome, Phase, User, Verdict,
};
pub use database::open::Opened;
pub use database::snapshot::Snapshot;
pub use mxcp_python::{LogLevel, Question, Unanswered};
pub use options::{InUse, Options, Secret, StartError, UserConfig};
pub use runtime::Runtime;
