//! The macros every dbt project has: the package `dbt`, as far as it is written in Jinja.

use super::macros::{DBT, MacroFile};

const FILES: [(&str, &str); 4] = [
    ("duckdb.sql", include_str!("global/duckdb.sql")),
    ("relations.sql", include_str!("global/relations.sql")),
    ("materialize.sql", include_str!("global/materialize.sql")),
    ("names.sql", include_str!("global/names.sql")),
];

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
