//! The integration tests: one binary, one module per subject.

mod cli;
mod compat;
mod existing;
mod in_use;
mod incremental;
mod layering;
mod live;
mod manifest;
mod mdtest;
mod serve;
mod support;
mod testing;
