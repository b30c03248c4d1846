//! Results of a call: from rows to the declared shape, and the check that it is what was declared.

mod shape;
mod validate;

pub(crate) use shape::{column_hint, shape_rows, shape_value};
pub(crate) use validate::Output;
