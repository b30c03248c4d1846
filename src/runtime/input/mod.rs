//! Arguments of a call: defaults, conversion, validation, and their form for SQL and Python.
//!
//! Policies are no part of it: they see what this gives back.

mod convert;
mod typed;
mod validate;

pub(crate) use convert::equal;
pub(crate) use typed::typed;
pub(crate) use validate::Inputs;
