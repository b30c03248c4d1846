//! Access policies: CEL conditions compiled when a manifest is loaded, evaluated on every call, and
//! applied to its result. They fail closed.

mod apply;
mod compile;
#[cfg(test)]
mod conformance;
mod evaluate;

pub(crate) use compile::PolicySet;
pub(crate) use evaluate::{Facts, Refusal};
