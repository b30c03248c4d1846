//! Keeping a server's database from files and the network, where nothing it serves needs them.
//!
//! The engine's own switch does it: once external access is off, nothing can turn it on again while
//! the database is open, whatever text a client or an argument brings.

use mxcp_artifact::{Body, Manifest};

use super::SqlError;
use super::ffi::Connection;

/// Words of definitions that may reach outside. A view that merely mentions one keeps the door open:
/// a project that worked must go on working.
pub(super) const OUTSIDE: [&str; 12] = [
    "read_",
    "_scan",
    "glob",
    "sniff_csv",
    "attach",
    "http",
    "s3:",
    "gcs:",
    ".csv",
    ".parquet",
    ".json",
    "getenv",
];

/// Whether something that is served may need files or the network. Python may do anything, and so
/// may plugins, which register functions of their own.
pub(super) fn may_reach_out(manifest: &Manifest) -> bool {
    let project = &manifest.project;
    !manifest.python.is_empty()
        || !project.plugins.is_empty()
        || !project.extensions.is_empty()
        || manifest
            .endpoints
            .iter()
            .any(|endpoint| match &endpoint.body {
                Body::Sql(body) => body.effects.external,
                Body::Python(_) => true,
                Body::Prompt(_) => false,
            })
}

/// Turns external access off, unless a view or macro of the database may need it. Returns whether
/// it is off now.
pub(super) fn confine(connection: &mut Connection) -> Result<bool, SqlError> {
    let words = OUTSIDE.map(regex::escape).join("|");
    let asks = format!(
        "SELECT CASE WHEN count(*) > 0 THEN error('outside') END FROM (\
             SELECT sql AS text FROM duckdb_views() WHERE NOT internal \
             UNION ALL \
             SELECT macro_definition FROM duckdb_functions() WHERE NOT internal) \
         WHERE regexp_matches(lower(text), '{words}')"
    );
    if connection.batch(&asks).is_err() {
        return Ok(false);
    }
    connection.batch("SET GLOBAL enable_external_access = false")?;
    Ok(true)
}
