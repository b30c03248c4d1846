//! The integration tests: one binary, one module per subject.

mod cache;
mod cli;
mod compat;
mod completion;
mod dbt;
mod existing;
mod http;
mod in_use;
mod incremental;
mod layering;
mod limits;
mod live;
mod lsp;
mod manifest;
mod mdtest;
mod serve;
mod support;
mod testing;
mod watch;
