//! The macros every dbt project has: the package `dbt`, as far as it is written in Jinja.

use super::macros::{DBT, MacroFile};

const FILES: [(&str, &str); 4] = [
    ("duckdb.sql", include_str!("global/duckdb.sql")),
    ("relations.sql", include_str!("global/relations.sql")),
    ("materialize.sql", include_str!("global/materialize.sql")),
    ("names.sql", include_str!("global/names.sql")),
];

/// Macros that belong to the adapter and not to dbt.
const OF_ADAPTER: [&str; 3] = [
    "external_location",
    "register_upstream_external_models",
    "render_write_options",
];

/// The unique id of a macro.
pub(super) fn macro_id(package: &str, name: &str) -> String {
    let package = match package {
        DBT if OF_ADAPTER.contains(&name) => "dbt_duckdb",
        other => other,
    };
    format!("macro.{package}.{name}")
}

pub(super) fn files() -> Vec<MacroFile> {
    FILES
        .iter()
        .map(|(path, text)| MacroFile {
            package: DBT.to_owned(),
            path: format!("dbt/{path}"),
            text: (*text).to_owned(),
        })
        .collect()
}
