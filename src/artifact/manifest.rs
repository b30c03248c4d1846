//! The locked manifest: everything the runtime needs to serve a project, and nothing that differs
//! between two machines that build the same sources.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dbt::DbtGraph;
use crate::type_def::is_false;
use crate::{CatalogSnapshot, Digest, Endpoint, EndpointKind, Lock, Policies};

/// A reader refuses a manifest whose format it does not know.
pub const FORMAT_VERSION: u32 = 1;

/// Where `mxcp build` puts the manifest, relative to the project root.
pub const MANIFEST_PATH: &str = "target/mxcp/manifest.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// Version of mxcp itself.
    pub compiler: String,
    /// Version of the DuckDB library that bound the SQL, e.g. `v2.0.0`.
    pub engine: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSettings {
    pub enabled: bool,
    pub path: String,
    pub max_file_size: u64,
}

/// One profile with every default filled in. Paths are as configured: relative ones are relative to
/// the project root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSettings {
    pub database: String,
    pub readonly: bool,
    pub drift_path: String,
    pub audit: AuditSettings,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub name: String,
    /// `community` or `core_nightly`; the core repository when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    pub name: String,
    pub module: String,
    /// Name of its entry under `plugin.config` of the user configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlTools {
    pub enabled: bool,
    /// Tool name to replaced description.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub descriptions: BTreeMap<String, String>,
    /// Of the tools for which anything but the description is set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, SqlTool>,
}

/// One built-in SQL tool. Its limits hold where they are narrower than those of every call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlTool {
    /// Not offered, although the others are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Its argument is a name in the conditions; only input can be denied.
    #[serde(default, skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
}

impl SqlTool {
    pub fn limits(&self, all: &Limits) -> Limits {
        let narrower = |own: Option<u64>, all: u64| own.map_or(all, |own| own.min(all));
        Limits {
            rows: narrower(self.rows, all.rows),
            bytes: narrower(self.bytes, all.bytes),
            timeout_ms: narrower(self.timeout_ms, all.timeout_ms),
            ..all.clone()
        }
    }
}

/// What a client sees of the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Value>,
}

/// Bounds on what one call, and all of them together, may cost. Units: rows, bytes, milliseconds, calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub rows: u64,
    pub bytes: u64,
    pub timeout_ms: u64,
    /// Calls that run at once.
    pub concurrent_calls: u64,
    /// Calls that wait for their turn; one more is refused.
    pub queue: u64,
    /// Of an HTTP request.
    pub body_bytes: u64,
    /// Open at once, of clients that use sessions.
    pub sessions: u64,
    /// What the database of a server may hold in memory, in MiB; a part of the machine's without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 100_000,
            bytes: 64 << 20,
            timeout_ms: 300_000,
            concurrent_calls: 64,
            queue: 256,
            body_bytes: 4 << 20,
            sessions: 1000,
            memory_mb: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub name: String,
    /// The profile that is active unless another is chosen.
    pub profile: String,
    pub profiles: BTreeMap<String, ProfileSettings>,
    /// Directory of Python code that is put on the module path, relative to the root.
    pub python_path: String,
    pub plugin_path: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Plugin>,
    /// Names only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    #[serde(default)]
    pub sql_tools: SqlTools,
    #[serde(default)]
    pub server: ServerInfo,
    #[serde(default)]
    pub limits: Limits,
    /// The site file as data, for `config.get_setting` of Python endpoints.
    pub site: Value,
}

impl Project {
    /// Settings of a profile; one that is declared nowhere gets the documented defaults.
    pub fn profile_settings(&self, profile: &str) -> ProfileSettings {
        self.profiles
            .get(profile)
            .cloned()
            .unwrap_or_else(|| ProfileSettings::with_defaults(profile, "data", "drift", "audit"))
    }
}

impl ProfileSettings {
    /// The defaults of a profile named `profile` in a project with these directories.
    pub fn with_defaults(profile: &str, data: &str, drift: &str, audit: &str) -> Self {
        Self {
            database: format!("{data}/db-{profile}.duckdb"),
            readonly: false,
            drift_path: format!("{drift}/drift-{profile}.json"),
            audit: AuditSettings {
                enabled: false,
                path: format!("{audit}/logs-{profile}.jsonl"),
                max_file_size: 52_428_800,
            },
        }
    }
}

/// A Python file that endpoints come from or that is preloaded for its hooks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PythonFile {
    pub path: String,
    pub digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    pub toolchain: Toolchain,
    pub project: Project,
    /// Sorted by kind and id.
    pub endpoints: Vec<Endpoint>,
    /// Sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub python: Vec<PythonFile>,
    #[serde(default)]
    pub dbt: DbtGraph,
    /// Relations that endpoints read, as they were when the SQL was bound.
    #[serde(default)]
    pub catalog: CatalogSnapshot,
    /// Every source file that went in: path to digest.
    pub sources: BTreeMap<String, Digest>,
}

impl Manifest {
    pub fn endpoint(&self, kind: EndpointKind, id: &str) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|e| e.kind == kind && (e.id() == id || e.name.as_deref() == Some(id)))
    }

    /// The canonical text: two equal manifests have equal bytes.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    pub fn lock(&self) -> Lock {
        Lock::of(self)
    }

    /// Reads a manifest and refuses a format it does not know.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = std::fs::read(path).map_err(ReadError::Io)?;
        // Read once: only what is no manifest of this format is looked at again, to say why.
        match serde_json::from_slice::<Self>(&text) {
            Ok(manifest) if manifest.format_version == FORMAT_VERSION => Ok(manifest),
            Ok(manifest) => Err(ReadError::Version(manifest.format_version)),
            Err(error) => match serde_json::from_slice::<Probe>(&text) {
                Ok(probe) if probe.format_version != FORMAT_VERSION => {
                    Err(ReadError::Version(probe.format_version))
                }
                _ => Err(ReadError::Json(error)),
            },
        }
    }
}

#[derive(Deserialize)]
struct Probe {
    format_version: u32,
}

#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    Json(serde_json::Error),
    Version(u32),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(e) if e.kind() == io::ErrorKind::NotFound => {
                write!(f, "there is no manifest; run `mxcp build`")
            }
            Self::Io(e) => write!(f, "the manifest cannot be read: {e}"),
            Self::Json(e) => write!(f, "the manifest is damaged ({e}); run `mxcp build`"),
            Self::Version(v) => write!(
                f,
                "the manifest has format {v}, this mxcp reads format {FORMAT_VERSION}; run `mxcp build`"
            ),
        }
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Manifest;

    #[test]
    fn reads_back_every_number_it_writes() {
        let text = json!({
            "format_version": 1,
            "toolchain": { "compiler": "0", "engine": "e" },
            "project": {
                "name": "p", "profile": "d", "profiles": {}, "python_path": "python",
                "plugin_path": "plugins", "site": { "mxcp": 1 },
            },
            "endpoints": [{
                "kind": "tool", "name": "t", "path": "tools/t.yml", "input_schema": {},
                "parameters": [{
                    "name": "a",
                    "type": {
                        "type": "string", "minLength": 2, "minimum": 1.5, "default": 3,
                        "properties": [{ "name": "b", "type": { "type": "array", "maxItems": 4 } }],
                    },
                }],
                "body": { "prompt": { "messages": [] } },
            }],
            "sources": {},
        })
        .to_string();
        let manifest: Manifest = serde_json::from_str(&text).expect("it is a manifest");
        let again: Manifest = serde_json::from_str(&manifest.to_json().expect("it can be written"))
            .expect("it reads its own text");
        assert_eq!(manifest, again);
        assert_eq!(again.endpoints[0].parameters[0].ty.min_length, Some(2));
    }
}
