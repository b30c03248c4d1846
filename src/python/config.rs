//! What a host is told: about its project, its database, its callers.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::reload::Reload;
use crate::{Cell, Rows};

/// The database as `db.execute` sees it. Called on a Python thread that has let go of the interpreter.
pub trait Database: Send + Sync {
    fn execute(
        &self,
        sql: &str,
        parameters: Vec<(String, Cell)>,
        context: &CallContext,
    ) -> Result<Rows, String>;

    /// Takes a request of `reload_duckdb`, which only a server can fulfil.
    fn reload(&self, reload: Reload) -> Result<(), String> {
        drop(reload);
        Err("Server reference not available in context. This function can only be called from within MXCP server endpoints.".to_owned())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

impl LogLevel {
    pub(crate) fn python_level(self) -> u32 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warning => 30,
            Self::Error => 40,
        }
    }
}

/// Receives what `mcp.debug` and its siblings say.
pub type LogSink = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;
/// Receives progress, total and message of `mcp.progress`.
pub type ProgressSink = Arc<dyn Fn(f64, Option<f64>, Option<&str>) + Send + Sync>;

/// Something a call wants to know from its client: a request of the protocol under a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub name: String,
    pub method: String,
    pub params: Value,
}

/// Why there are no answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody can be asked, or it went wrong. The text is for the code that asked.
    Refused(String),
    /// The client is asked when this call is over, and calls again with the answers.
    Later,
}

/// Asks the client and waits; one answer per question.
pub type AskSink = Arc<dyn Fn(Vec<Question>) -> Result<Vec<Value>, Unanswered> + Send + Sync>;

/// Who calls, and where messages to the caller go.
#[derive(Clone, Default)]
pub struct CallContext {
    pub user: Option<Value>,
    pub headers: BTreeMap<String, String>,
    pub transport: String,
    /// Without a sink, messages go to the program's log.
    pub log: Option<LogSink>,
    pub progress: Option<ProgressSink>,
    /// Without one, nobody can be asked.
    pub ask: Option<AskSink>,
    /// What the database wants to know about the call. Nothing here looks into it.
    pub baggage: Option<Arc<dyn Any + Send + Sync>>,
}

impl CallContext {
    pub(crate) fn for_hooks() -> Self {
        Self {
            transport: "hook".to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    pub name: String,
    pub module: String,
    pub config: BTreeMap<String, String>,
}

/// Everything a host needs to know about its project.
#[derive(Clone, Default)]
pub struct HostConfig {
    pub root: PathBuf,
    /// The directory of endpoint code, relative to the root.
    pub python_path: String,
    /// The directory of plugin modules, relative to the root.
    pub plugin_path: String,
    /// A virtual environment whose packages the code may import.
    pub venv: Option<PathBuf>,
    /// Files to import before the `on_init` hooks run, relative to the root.
    pub preload: Vec<String>,
    pub site: Value,
    pub user_config: Value,
    /// Name and parameters of each secret.
    pub secrets: Vec<(String, Value)>,
    pub plugins: Vec<PluginConfig>,
    /// How many calls may run at once; 0 is a number that is large enough for a server.
    pub workers: usize,
}

pub struct CallRequest {
    /// Relative to the project root.
    pub file: String,
    pub function: String,
    pub arguments: Vec<(String, Cell)>,
    pub context: CallContext,
}
