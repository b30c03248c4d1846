//! What the engine knows about its own functions and system views: names, volatility, reach.

use std::collections::BTreeSet;

use duckdb::Connection;

use crate::tokens::{TokenKind, tokenize};

#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Every built-in function that is called by name, in lower case.
    pub functions: BTreeSet<String>,
    volatile: BTreeSet<String>,
    aggregates: BTreeSet<String>,
    system_views: BTreeSet<(String, String)>,
}

/// Names without parentheses that DuckDB reads as function calls.
const VALUE_FUNCTIONS: [&str; 11] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// Table functions that read files or the network, beyond those with a telling prefix.
const READERS: [&str; 8] = [
    "glob",
    "sniff_csv",
    "shapefile_meta",
    "sqlite_attach",
    "postgres_attach",
    "unity_catalog",
    "load_aws_credentials",
    "open_prompt",
];

const READER_PREFIXES: [&str; 14] = [
    "read_",
    "parquet_",
    "http_",
    "iceberg_",
    "delta_",
    "postgres_",
    "mysql_",
    "sqlite_",
    "st_read",
    "st_drivers",
    "excel_",
    "gsheet",
    "azure_",
    "bigquery_",
];

const WRITERS: [&str; 15] = [
    "checkpoint",
    "create_external_resource",
    "deregister_external_resource",
    "destroy_external_resource",
    "disable_logging",
    "disable_profiling",
    "enable_logging",
    "enable_profiling",
    "force_checkpoint",
    "nextval",
    "postgres_execute",
    "register_external_resource",
    "setval",
    "truncate_duckdb_logs",
    "write_log",
];

impl Facts {
    pub(crate) fn load(conn: &Connection) -> duckdb::Result<Self> {
        let mut facts = Self::default();
        let mut macros = Vec::new();
        let mut statement = conn.prepare(
            "SELECT lower(function_name), function_type, coalesce(stability, ''), coalesce(macro_definition, '') \
             FROM duckdb_functions() WHERE internal",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, kind, stability, body): (String, String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if kind == "pragma" || !name.starts_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            if kind == "aggregate" {
                facts.aggregates.insert(name.clone());
            }
            // "Within query" means another answer in the next call, which is what matters here.
            if matches!(stability.as_str(), "VOLATILE" | "CONSISTENT_WITHIN_QUERY") {
                facts.volatile.insert(name.clone());
            }
            if !body.is_empty() {
                macros.push((name.clone(), body));
            }
            facts.functions.insert(name);
        }
        for (name, body) in macros {
            let varies = tokenize(&body).iter().any(|t| {
                t.kind == TokenKind::Word
                    && t.name(&body)
                        .is_some_and(|n| facts.is_volatile(&n) && n != name)
            });
            if varies {
                facts.volatile.insert(name);
            }
        }
        let mut statement = conn
            .prepare("SELECT schema_name, lower(view_name) FROM duckdb_views() WHERE internal")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            facts.system_views.insert((row.get(0)?, row.get(1)?));
        }
        Ok(facts)
    }

    pub(crate) fn is_volatile(&self, name: &str) -> bool {
        self.volatile.contains(name) || VALUE_FUNCTIONS.contains(&name)
    }

    pub(crate) fn is_value_function(name: &str) -> bool {
        VALUE_FUNCTIONS.contains(&name)
    }

    pub(crate) fn is_aggregate(&self, name: &str) -> bool {
        self.aggregates.contains(name)
    }

    pub(crate) fn is_system_view(&self, schema: Option<&str>, name: &str) -> bool {
        let schema = schema.unwrap_or("main").to_lowercase();
        let name = name.to_lowercase();
        if schema == "main" && name.starts_with("pg_") {
            return self.system_views.contains(&("pg_catalog".to_owned(), name));
        }
        self.system_views.contains(&(schema, name))
    }

    /// Table functions that reach outside the database; one we do not know may do anything.
    pub(crate) fn reads_outside(&self, table_function: &str) -> bool {
        Self::reads_files(table_function)
            || !(self.functions.contains(table_function) || table_function == "unnest")
    }

    pub(crate) fn reads_files(name: &str) -> bool {
        READERS.contains(&name) || READER_PREFIXES.iter().any(|p| name.starts_with(p))
    }

    pub(crate) fn changes_state(name: &str) -> bool {
        WRITERS.contains(&name)
    }

    /// A table name that DuckDB would open as a file when no such relation exists.
    pub(crate) fn is_file_name(name: &str) -> bool {
        const ENDINGS: [&str; 14] = [
            ".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".ndjson", ".gz", ".zst",
            ".xlsx", ".avro", ".db", ".duckdb", ".vortex",
        ];
        let lower = name.to_lowercase();
        lower.contains("://")
            || lower.contains(['/', '*'])
            || ENDINGS.iter().any(|e| lower.ends_with(e))
    }
}
