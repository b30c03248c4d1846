//! Arguments of a call: defaults, coercion, validation, and their form for SQL and Python.
//!
//! Policies are no part of it: they see what this gives back.

mod moments;
mod typed;
mod validate;

pub(crate) use validate::Inputs;
