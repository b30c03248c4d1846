//! The compiler: every semantic query, from source files to diagnostics and the manifest.
//!
//! Queries are pure functions of the inputs. Nothing here reads a file, opens a live database,
//! imports Python or prints; the SQL engine is asked through [`mxcp_catalog::Binder`] alone.

pub mod check;
pub mod column_facts;
mod completion;
pub mod db;
pub mod dbt;
pub mod diagnostics;
pub mod documents;
pub mod finding;
pub mod ide_support;
pub mod index;
pub mod inputs;
pub mod ir;
pub mod lineage;
pub mod lower;
pub mod manifest;
pub mod models;
pub mod plugins;
pub mod relations;
pub mod site;
pub mod sql;
pub mod startup;
mod suppress;
mod surface;

pub use db::{CompilerDatabase, Db, Reruns};

/// Whether a file can matter to a project, by its name: what discovery should read.
pub fn is_source_file(path: &str) -> bool {
    let extension = mxcp_base::paths::extension(path);
    matches!(extension, "yml" | "yaml" | "sql" | "py" | "csv" | "md")
        // Not read, but worth a word.
        || is_yaml_like(extension)
        || path == models::IGNORE_FILE
}

/// `.YML` and `.YAML`, which look like project files and are not.
pub(crate) fn is_yaml_like(extension: &str) -> bool {
    ["yml", "yaml"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}
