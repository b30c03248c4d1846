//! What a process decides about a runtime before it starts: where the project is, which profile
//! runs, and the resolved part of the user configuration. It must not read files or the
//! environment: the caller did that.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::database::open::Opened;
use crate::database::snapshot::Snapshot;

/// How a runtime is to be started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The project root; relative paths of the manifest start here.
    pub root: PathBuf,
    pub profile: String,
    /// Open the database read-only even when the profile does not ask for it.
    pub readonly: bool,
    /// Replaces the database file of the profile.
    pub database: Option<PathBuf>,
    /// With every reference (`${VAR}`, `file://`, …) already resolved.
    pub user_config: UserConfig,
    pub venv: Option<PathBuf>,
    /// What Python sees as the transport when no call says otherwise, e.g. `stdio` or `cli`.
    pub transport: &'static str,
}

impl Options {
    /// Whether clients call, and not whoever started the process.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.transport, "stdio" | "streamable-http" | "sse")
    }
}

/// What to do when another process holds the database for writing.
#[derive(Debug, Default)]
pub struct InUse {
    /// Nothing that this runtime is started for writes: then a copy can be read instead. A runtime
    /// that is read-only anyway reads one too.
    pub only_reads: bool,
    /// A copy that was made already.
    pub snapshot: Option<Snapshot>,
    /// The database, where it was opened while something else was still looked at.
    pub opened: Option<Opened>,
}

/// The active profile's part of the user configuration. Printing one never shows a value.
#[derive(Clone, Default)]
pub struct UserConfig {
    pub secrets: Vec<Secret>,
    /// Entries of `plugin.config` by name.
    pub plugin_config: BTreeMap<String, BTreeMap<String, String>>,
    /// The whole document, for `config.user_config` of Python endpoints.
    pub raw: Value,
}

impl fmt::Debug for UserConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserConfig")
            .field("secrets", &self.secrets)
            .field(
                "plugin_config",
                &self.plugin_config.keys().collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// A named credential. Printing one never shows a parameter's value.
#[derive(Clone)]
pub struct Secret {
    pub name: String,
    /// Its DuckDB type, e.g. `s3`, or any other word for secrets that only Python uses.
    pub kind: String,
    pub parameters: Map<String, Value>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Why a runtime did not start. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The database cannot be opened.
    Database(String),
    /// An extension cannot be installed or loaded.
    Extension(String),
    /// A plugin cannot be configured or created.
    Plugin(String),
    /// The Python interpreter cannot be started.
    Python(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(text)
            | Self::Extension(text)
            | Self::Plugin(text)
            | Self::Python(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}

impl From<mxcp_python::PythonError> for StartError {
    fn from(error: mxcp_python::PythonError) -> Self {
        Self::Python(error.to_string())
    }
}
