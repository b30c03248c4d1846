//! Trees to span-free definitions. Lowering never fails and reports nothing: what is malformed is
//! left out here and reported by the schema check.

pub mod endpoint;
pub mod evals;
pub mod types;
