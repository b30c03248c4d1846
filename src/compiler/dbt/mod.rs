//! The dbt front end: project file, property files, configuration, templates and tests as pure
//! functions over plain data.
//!
//! Nothing here reads files or the environment, asks a database or knows the query graph. Each
//! function returns what it could read together with [`Problem`]s.

pub mod config;
pub mod ephemeral;
pub mod keys;
pub(crate) mod live;
pub mod macros;
pub(crate) mod manifest;
pub mod problem;
pub mod profiles;
pub mod project;
pub mod properties;
pub mod render;
pub mod schema;
pub mod statics;
pub mod tests;
pub(crate) mod unit_test;
pub mod values;

mod builtin;
mod context;
mod environment;
mod filters;
mod functions;
mod global;
mod md5;
mod merge;
mod modules;
mod own_database;
mod printed;
mod pycompat;
mod pyfmt;
mod relation;
#[cfg(test)]
mod render_cases;
mod rewrite;
mod session;
#[cfg(test)]
mod test_cases;
mod yaml_read;

pub use config::{ModelConfig, Resource, resolve};
pub use macros::{MacroDef, MacroFile, MacroKind, MacroSet, lower_macros};
pub use printed::printed;
pub use problem::{At, Problem};
pub use project::{ProjectDef, lower_project};
pub use properties::{ModelProps, PropertyFile, SourceProps, lower_properties, merge_model};
pub use render::{
    OutputSpan, RenderInput, Rendered, Resolved, Resolver, Target, map_to_template, render,
};
pub use statics::{RefUse, SourceUse, StaticRefs, static_refs};

/// For names that dbt makes of digests.
pub(crate) fn md5_hex(text: &str) -> String {
    md5::hex(text)
}
