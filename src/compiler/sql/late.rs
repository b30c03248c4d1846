//! Names that nothing knows while the project is checked, and that may exist at run time.

use mxcp_base::suggest;
use mxcp_catalog::{Analysis, SqlError, SqlErrorKind, StatementKind};

use super::Bound;
use crate::Db;
use crate::documents::site;
use crate::inputs::Settings;
use crate::plugins::unread_plugins;
use crate::startup::{Origin, function_origin, relation_origin};

/// Unknown functions and types that may be there at run time are no errors; what the query returns is then
/// unknown.
pub(super) fn without_late_names(db: &dyn Db, bound: Bound, analysis: &Analysis) -> Bound {
    let Bound::Failed { errors, missing } = bound else {
        return bound;
    };
    let mut reason = None;
    let errors: Vec<SqlError> = errors
        .into_iter()
        .filter(|error| {
            let late = match error.kind {
                SqlErrorKind::UnknownType => late_type(db, error, analysis),
                _ => late_function(db, error, analysis),
            };
            let keep = late.is_none();
            reason = reason.take().or(late);
            keep
        })
        .collect();
    match reason {
        Some(reason) if errors.is_empty() => Bound::Opaque(reason),
        _ => Bound::Failed { errors, missing },
    }
}

/// Where an unknown function may come from.
fn late_function(db: &dyn Db, error: &SqlError, analysis: &Analysis) -> Option<String> {
    let name = error.name.as_deref()?;
    if error.kind != SqlErrorKind::UnknownFunction {
        return None;
    }
    let folded = name.to_lowercase();
    let plugin = unread_plugins(db)
        .iter()
        .find(|plugin| folded.ends_with(&format!("_{}", plugin.to_lowercase())));
    if let Some(plugin) = plugin {
        return Some(format!("`{name}` belongs to the plugin `{plugin}`"));
    }
    let origin = function_origin(db, name);
    if let Some(Origin::Written(file)) = origin {
        return Some(format!(
            "`{name}` is made by `{file}` when the server starts"
        ));
    }
    // Whatever else may be loaded, a name so near to a known one is a slip.
    let candidates = error.candidates.iter().map(String::as_str);
    if suggest::nearest(name, candidates).is_some() {
        return None;
    }
    if let Some(origin) = origin {
        return Some(format!("`{}` registers functions", origin.file()));
    }
    foreign_extension(db, name, analysis)
}

/// Where an unknown type may come from. Types are made by `CREATE TYPE` and by extensions.
fn late_type(db: &dyn Db, error: &SqlError, analysis: &Analysis) -> Option<String> {
    let name = error.name.as_deref()?;
    let name = name.rsplit('.').next().unwrap_or(name);
    let collation = error.message.starts_with("collation");
    let near = BUILTIN_TYPES.iter().copied();
    if !collation && suggest::nearest(&name.to_uppercase(), near).is_some() {
        return None;
    }
    // Of types in a database file nothing is known.
    let environment = Settings::get(db).environment(db);
    if !collation && (environment.live || !environment.catalog.relations.is_empty()) {
        return Some(format!("the type `{name}` may be one of the database"));
    }
    if let Some(origin) = relation_origin(db, None, name).or_else(|| function_origin(db, name)) {
        return Some(format!("`{}` may make the type `{name}`", origin.file()));
    }
    foreign_extension(db, name, analysis)
}

/// An extension that the engine does not know by name may bring anything.
fn foreign_extension(db: &dyn Db, name: &str, analysis: &Analysis) -> Option<String> {
    let declared = site(db)
        .into_iter()
        .flat_map(|site| &site.extensions)
        .find(|e| e.repository.is_some() || !CORE_EXTENSIONS.contains(&e.name.as_str()));
    if let Some(extension) = declared {
        return Some(format!(
            "`{name}` may belong to the DuckDB extension `{}`",
            extension.name
        ));
    }
    analysis
        .statements
        .iter()
        .any(|s| s.kind == StatementKind::Load)
        .then(|| format!("`{name}` may belong to an extension that is loaded here"))
}

/// The names that a misspelt type may have been meant to be.
const BUILTIN_TYPES: [&str; 38] = [
    "BIGINT",
    "BIT",
    "BLOB",
    "BOOLEAN",
    "BOOL",
    "BYTEA",
    "CHAR",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "HUGEINT",
    "INT",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "LONG",
    "NUMERIC",
    "REAL",
    "SHORT",
    "SMALLINT",
    "STRING",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TIMETZ",
    "TINYINT",
    "UBIGINT",
    "UHUGEINT",
    "UINTEGER",
    "USMALLINT",
    "UTINYINT",
    "UUID",
    "VARBINARY",
    "VARCHAR",
    "BIGNUM",
];

/// Extensions whose functions the engine knows by name without loading them.
pub(crate) const CORE_EXTENSIONS: [&str; 25] = [
    "autocomplete",
    "avro",
    "aws",
    "azure",
    "core_functions",
    "delta",
    "ducklake",
    "encodings",
    "excel",
    "fts",
    "httpfs",
    "iceberg",
    "icu",
    "inet",
    "jemalloc",
    "json",
    "motherduck",
    "mysql",
    "parquet",
    "postgres",
    "spatial",
    "sqlite",
    "tpcds",
    "tpch",
    "vss",
];
