//! The extensions that a project asks for.

use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::manifest::Extension;

use super::ffi::Connection;

/// Loads them in order; what is neither built in nor installed yet is installed first.
pub(crate) fn load(connection: &mut Connection, extensions: &[Extension]) -> Result<(), String> {
    for extension in extensions {
        load_one(connection, extension)?;
    }
    Ok(())
}

fn load_one(connection: &mut Connection, extension: &Extension) -> Result<(), String> {
    let name = quote_identifier(&extension.name);
    // Installing always asks the repository, even for what is part of the library.
    if connection.batch(&format!("LOAD {name}")).is_ok() {
        return Ok(());
    }
    let from = extension
        .repository
        .as_ref()
        .map(|r| format!(" FROM {}", quote_identifier(r)))
        .unwrap_or_default();
    connection
        .batch(&format!("INSTALL {name}{from}"))
        .and_then(|()| connection.batch(&format!("LOAD {name}")))
        .map_err(|error| explain(extension, &error.to_string()))
}

fn explain(extension: &Extension, message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let remedy = if message.contains("Failed to download") && message.contains("existing extension")
    {
        "the repository cannot be reached; install it on this machine before, or remove it from `extensions:`"
    } else {
        "check its name and `repo` under `extensions:` in mxcp-site.yml"
    };
    format!(
        "extension `{}` cannot be loaded: {first}; {remedy}",
        extension.name
    )
}
