//! Diagnostics: values that queries return, free of presentation.

use serde::{Deserialize, Serialize};
use text_size::TextRange;

use crate::Code;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Info,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "error" => Self::Error,
            "warning" => Self::Warning,
            "info" => Self::Info,
            _ => return None,
        })
    }
}

/// A place in a source file; the whole file when there is no range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Relative to the project root, with `/`. Empty for the project as a whole.
    pub file: String,
    pub range: Option<OrdRange>,
}

impl Location {
    pub fn file(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            range: None,
        }
    }

    pub fn new(file: impl Into<String>, range: TextRange) -> Self {
        Self {
            file: file.into(),
            range: Some(OrdRange(range)),
        }
    }

    pub fn range(&self) -> Option<TextRange> {
        self.range.map(|r| r.0)
    }
}

/// A text range with an order, by start and then end, so that reports can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrdRange(pub TextRange);

impl PartialOrd for OrdRange {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrdRange {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.start(), self.0.end()).cmp(&(other.0.start(), other.0.end()))
    }
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    pub location: Location,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edit {
    pub location: Location,
    pub text: String,
}

/// A machine-applicable change that removes the diagnostic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fix {
    pub title: String,
    pub edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// Starts lower case, no final period, user code in backticks.
    pub message: String,
    pub primary: Location,
    pub labels: Vec<Label>,
    pub help: Option<String>,
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A diagnostic with the code's default severity.
    pub fn new(code: Code, message: impl Into<String>, primary: Location) -> Self {
        Self {
            code,
            severity: code.info().severity,
            message: message.into(),
            primary,
            labels: Vec::new(),
            help: None,
            fix: None,
        }
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Reports are ordered by file and position; severity and code only break ties.
    pub fn sort_key(&self) -> (&Location, Severity, Code, &str) {
        (&self.primary, self.severity, self.code, &self.message)
    }
}
