//! What the functions of a database reach, read from its catalogue.

use std::collections::HashSet;

use super::super::confine::OUTSIDE;

#[derive(Debug, Default)]
pub(crate) struct Reach {
    known: HashSet<String>,
    /// Functions of the engine that give rows.
    rows: HashSet<String>,
    /// Macros whose text leaves the database.
    outside: HashSet<String>,
}

impl Reach {
    /// One row per function: its name, its kind, whether it is the engine's own, and a macro's text.
    pub(crate) const QUERY: &str = "\
        SELECT DISTINCT lower(function_name) AS name, function_type AS kind, internal, \
               coalesce(CASE WHEN NOT internal THEN lower(macro_definition) END, '') AS text \
        FROM duckdb_functions()";

    pub(crate) fn add(&mut self, name: &str, kind: &str, internal: bool, text: &str) {
        self.known.insert(name.to_owned());
        if internal && !matches!(kind, "scalar" | "aggregate" | "macro" | "window") {
            self.rows.insert(name.to_owned());
        }
        if OUTSIDE.iter().any(|word| text.contains(word)) {
            self.outside.insert(name.to_owned());
        }
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    pub(super) fn gives_rows(&self, name: &str) -> bool {
        self.rows.contains(name)
    }

    pub(super) fn leaves(&self, name: &str) -> bool {
        self.outside.contains(name)
    }

    #[cfg(test)]
    pub(super) fn of(known: &[&str], rows: &[&str], outside: &[&str]) -> Self {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            known: set(known),
            rows: set(rows),
            outside: set(outside),
        }
    }
}
