//! Values and their declared types: conversion, validation, examples, and what a violation says.
//!
//! The runtime judges the arguments and results of calls with it, the compiler the values that a
//! project writes down (defaults, examples, tests), so that both say the same. Nothing here knows
//! SQL, Python or a protocol.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod checked;
pub mod coerce;
mod decimal;
mod equal;
mod example;
pub mod fault;
pub mod formats;
mod pattern;
pub mod repr;
pub mod schema;
pub mod text;

pub use checked::{Checked, accept};
pub use equal::equal;
pub use example::example;
pub use fault::Fault;
pub use schema::Validator;
