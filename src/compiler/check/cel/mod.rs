//! Types in policy conditions: what names have, what operators and functions ask for, what can never match.
//!
//! The language is data, `grammar/cel.yml`. What a type does not settle (`dyn`, a value that may be null) is never
//! reported: a finding here is a condition that fails or is decided whoever calls.

mod decide;
mod infer;
mod names;
mod types;

pub(super) use decide::decide;
pub(super) use infer::{ProblemKind, infer};
pub(super) use names::{Names, declared, response};
pub(super) use types::{FieldLookup, Type};
