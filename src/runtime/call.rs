//! What goes into a call of an endpoint and what comes out: plain data, shared by the server, the
//! command line and the test runner.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mxcp_artifact::EndpointKind;
use mxcp_python::{LogLevel, Question, Unanswered};
use serde_json::{Map, Value};

pub use crate::database::execute::Cut;
pub use crate::database::watchdog::Cancel;

/// One call of one endpoint.
#[derive(Clone, Debug)]
pub struct Call {
    pub kind: EndpointKind,
    /// A name; for a resource its template, its name or a concrete URI.
    pub id: String,
    pub arguments: Map<String, Value>,
    pub caller: Caller,
    pub skip_output_validation: bool,
    /// Every argument arrives as text, as on a command line: `null` then means null for every type
    /// but strings.
    pub lenient_strings: bool,
    /// The caller is unspecified (a test without `user_context`): policy conditions that need an
    /// attribute of the user which nobody gave are skipped with a note instead of denying. Never set
    /// it for a real client.
    pub lenient_policies: bool,
    /// A list that is longer than the limits ends there, and [`Outcome::cut`] says so; otherwise it is
    /// an error.
    pub cut: bool,
    pub cancel: Cancel,
}

impl Call {
    pub fn new(kind: EndpointKind, id: impl Into<String>, arguments: Map<String, Value>) -> Self {
        Self {
            kind,
            id: id.into(),
            arguments,
            caller: Caller::default(),
            skip_output_validation: false,
            lenient_strings: false,
            lenient_policies: false,
            cut: false,
            cancel: Cancel::default(),
        }
    }
}

/// Receives what Python endpoints tell their caller while they run.
pub trait Messages: Send + Sync {
    fn log(&self, level: LogLevel, message: &str);
    fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>);

    /// Asks the caller and waits; one answer per question.
    fn ask(&self, questions: Vec<Question>) -> Result<Vec<Value>, Unanswered> {
        let _ = questions;
        Err(Unanswered::Refused("there is no client to ask".to_owned()))
    }
}

/// Who calls, and over what.
#[derive(Clone, Default)]
pub struct Caller {
    pub user: Option<User>,
    /// HTTP request headers; names in any case.
    pub headers: BTreeMap<String, String>,
    /// The transport of this call; the runtime's own when empty.
    pub transport: String,
    /// Without a receiver, messages go to the program's log.
    pub messages: Option<Arc<dyn Messages>>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("authenticated", &self.user.is_some())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// An authenticated user, or one that a command line or a test plays.
#[derive(Clone, Default, PartialEq)]
pub struct User {
    pub provider: String,
    pub user_id: String,
    pub username: String,
    pub email: Option<String>,
    pub name: Option<String>,
    pub avatar_url: Option<String>,
    pub capabilities: Vec<String>,
    /// Everything known about the user: policies reach each field as `user.<field>`.
    pub profile: Map<String, Value>,
    /// The token of the identity provider, for `get_user_external_token()`.
    pub external_token: Option<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl User {
    /// The user that `--user-context` describes.
    pub fn from_cli_context(context: &Map<String, Value>) -> Self {
        Self::played("cli", "cli_user", context)
    }

    /// The user that a test's `user_context` describes.
    pub fn from_test_context(context: &Map<String, Value>) -> Self {
        Self::played("test", "test_user", context)
    }

    fn played(provider: &str, default: &str, context: &Map<String, Value>) -> Self {
        let text = |key: &str| match context.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            None | Some(Value::Null) => None,
            Some(other) => Some(other.to_string()),
        };
        let capabilities = match context.get("capabilities") {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        Self {
            provider: text("provider").unwrap_or_else(|| provider.to_owned()),
            user_id: text("user_id").unwrap_or_else(|| default.to_owned()),
            username: text("username").unwrap_or_else(|| default.to_owned()),
            email: text("email"),
            name: text("name"),
            avatar_url: text("avatar_url"),
            capabilities,
            profile: context.clone(),
            external_token: text("external_token"),
        }
    }

    /// The `user` object of policies: the profile, with the known fields on top.
    pub fn to_policy_value(&self) -> Map<String, Value> {
        let mut user = self.profile.clone();
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
        user.insert("provider".into(), self.provider.clone().into());
        user.insert("user_id".into(), self.user_id.clone().into());
        user.insert("username".into(), self.username.clone().into());
        user.insert("email".into(), text(&self.email));
        user.insert("name".into(), text(&self.name));
        user.insert("capabilities".into(), self.capabilities.clone().into());
        for (field, default) in [
            ("role", Value::from("user")),
            ("permissions", Value::Array(Vec::new())),
        ] {
            if user.get(field).is_none_or(Value::is_null) {
                user.insert(field.into(), default);
            }
        }
        user
    }

    /// The `user` object of policies when nobody is authenticated.
    pub fn anonymous_policy_value() -> Map<String, Value> {
        let mut user = Map::new();
        user.insert("role".into(), "anonymous".into());
        user.insert("permissions".into(), Value::Array(Vec::new()));
        user.insert("capabilities".into(), Value::Array(Vec::new()));
        for field in ["user_id", "username", "email", "name", "provider"] {
            user.insert(field.into(), Value::Null);
        }
        user
    }

    pub(crate) fn to_python_value(&self) -> Value {
        serde_json::json!({
            "provider": self.provider,
            "user_id": self.user_id,
            "username": self.username,
            "email": self.email,
            "name": self.name,
            "avatar_url": self.avatar_url,
            "raw_profile": self.profile,
            "external_token": self.external_token,
            "capabilities": self.capabilities,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Input,
    Output,
}

/// What the policies of an endpoint decided about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny,
    /// Allowed with a changed result.
    Warn,
}

impl Verdict {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// The record of a decision, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub reason: Option<String>,
    /// The policies that were evaluated, as `input[0]: <condition>`.
    pub evaluated: Vec<String>,
    /// What the author should know, without data of the call.
    pub notes: Vec<String>,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            verdict: Verdict::Allow,
            reason: None,
            evaluated: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// The result of a call that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub value: Value,
    pub decision: Decision,
    /// How many rows the SQL gave, for SQL endpoints.
    pub rows: Option<usize>,
    /// Which limit ended the result early.
    pub cut: Option<Cut>,
}

/// How a message begins that is about the value of one parameter; its name and `': ` follow.
pub(crate) const PARAMETER_ERROR: &str = "Error validating parameter '";

/// How a message begins that comes from DuckDB.
pub(crate) const SQL_ERROR: &str = "Failed to execute SQL: ";

/// Why a call gave no result. The text is what the caller sees.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    NotFound {
        kind: EndpointKind,
        id: String,
    },
    Denied {
        phase: Phase,
        reason: String,
        decision: Decision,
    },
    InvalidInput(String),
    /// The SQL, the Python function or the template failed.
    Failed {
        message: String,
        /// The frames of the project's own Python code, if it was Python.
        traceback: Option<String>,
    },
    InvalidOutput(String),
    Cancelled,
}

impl CallError {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            traceback: None,
        }
    }

    /// The text without what names the stage of the call: the reason of a denial, what is wrong with
    /// the value of a parameter or of a result, or DuckDB's own words.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Denied { reason, .. } => Some(reason),
            Self::InvalidInput(text) => text
                .strip_prefix(PARAMETER_ERROR)
                .and_then(|rest| rest.split_once("': "))
                .map(|(_, cause)| cause),
            Self::Failed { message, .. } => message.strip_prefix(SQL_ERROR),
            Self::InvalidOutput(text) => Some(text),
            Self::NotFound { .. } | Self::Cancelled => None,
        }
    }

    /// The kind of error, under the names that scripts know: of Python code the class of its exception.
    pub fn type_name(&self) -> &str {
        match self {
            Self::NotFound { .. } => "FileNotFoundError",
            Self::InvalidInput(_) | Self::InvalidOutput(_) => "ValidationError",
            Self::Denied { .. } => "ValueError",
            Self::Failed {
                message,
                traceback: Some(_),
            } => message.split(':').next().unwrap_or("Exception"),
            Self::Failed { .. } => "RuntimeError",
            Self::Cancelled => "CancelledError",
        }
    }

    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Denied { decision, .. } => Some(decision),
            _ => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { kind, id } => {
                write!(f, "Endpoint '{id}' not found in {}", kind.directory())
            }
            Self::Denied {
                phase: Phase::Input,
                reason,
                ..
            } => write!(f, "Policy enforcement failed: {reason}"),
            Self::Denied {
                phase: Phase::Output,
                reason,
                ..
            } => write!(f, "Output policy enforcement failed: {reason}"),
            Self::InvalidInput(text) => f.write_str(text),
            Self::Failed { message, .. } => f.write_str(message),
            Self::InvalidOutput(text) => write!(f, "Output validation failed: {text}"),
            Self::Cancelled => f.write_str("the call was cancelled"),
        }
    }
}

impl std::error::Error for CallError {}
