//! The names that the `mxcp` package offers to Python code.

/// Modules that can be imported.
pub(super) const MODULES: [&str; 14] = [
    "mxcp",
    "mxcp.runtime",
    "mxcp.plugins",
    "mxcp.plugins.base",
    "mxcp.sdk",
    "mxcp.sdk.auth",
    "mxcp.sdk.auth.context",
    "mxcp.sdk.auth.models",
    "mxcp.sdk.audit",
    "mxcp.sdk.executor",
    "mxcp.sdk.executor.context",
    "mxcp.sdk.telemetry",
    "mxcp.auth",
    "mxcp.auth.context",
];

const RUNTIME: &[&str] = &[
    "db",
    "config",
    "plugins",
    "mcp",
    "content",
    "on_init",
    "on_shutdown",
    "reload_duckdb",
];
const PLUGINS: &[&str] = &["MXCPBasePlugin", "udf", "on_shutdown", "base"];

/// What can be imported from a module; `None` for one whose names are not listed.
pub(super) fn of_module(module: &str) -> Option<&'static [&'static str]> {
    Some(match module {
        "mxcp" => &["runtime", "plugins", "sdk"],
        "mxcp.runtime" => RUNTIME,
        "mxcp.plugins" => PLUGINS,
        "mxcp.plugins.base" => &["MXCPBasePlugin", "udf", "on_shutdown"],
        _ => return None,
    })
}

/// The attributes of what is imported.
pub(super) fn of_object(object: &str) -> Option<&'static [&'static str]> {
    Some(match object {
        "mxcp.runtime" => RUNTIME,
        "mxcp.plugins" => PLUGINS,
        "mxcp.runtime.db" => &["execute"],
        "mxcp.runtime.config" => &["get_secret", "get_setting", "user_config", "site_config"],
        "mxcp.runtime.plugins" => &["get", "list"],
        "mxcp.runtime.mcp" => &[
            "debug", "info", "warning", "error", "progress", "elicit", "sample", "roots", "ask",
        ],
        "mxcp.runtime.content" => &["text", "image", "audio", "resource", "link"],
        _ => return None,
    })
}

/// Calls whose results are values.
/// Functions that only run when they are awaited.
pub(super) const COROUTINES: [&str; 6] = [
    "mxcp.runtime.mcp.debug",
    "mxcp.runtime.mcp.info",
    "mxcp.runtime.mcp.warning",
    "mxcp.runtime.mcp.error",
    "mxcp.runtime.mcp.progress",
    "asyncio.sleep",
];

pub(super) const PLAIN_CALLS: [&str; 16] = [
    "mxcp.runtime.db.execute",
    "mxcp.runtime.config.get_secret",
    "mxcp.runtime.config.get_setting",
    "mxcp.runtime.plugins.list",
    "mxcp.runtime.reload_duckdb",
    "time.sleep",
    "json.loads",
    "json.dumps",
    "str",
    "int",
    "float",
    "len",
    "list",
    "dict",
    "print",
    "sorted",
];
