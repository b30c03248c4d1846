//! Arguments of a call: defaults, coercion, validation, and their form for SQL and Python.
//!
//! Policies are no part of it: they see what this gives back.

mod checked;
mod coerce;
mod decimal;
mod equal;
mod example;
mod pattern;
mod typed;
mod validate;

pub(crate) use equal::equal;
#[cfg(test)]
pub(crate) use example::example;
pub(crate) use validate::Inputs;
