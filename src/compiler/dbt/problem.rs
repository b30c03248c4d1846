//! What the dbt front end has to say about a file, before anybody knows where that file is shown.
//!
//! A problem names a place inside one file (a YAML pointer or a byte range); turning it into a
//! diagnostic with a severity and a source span is the caller's business.

use mxcp_base::Severity;
pub use mxcp_base::suggest::{did_you_mean, nearest};
use text_size::{TextRange, TextSize};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Of the `MX04xx` family.
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
    pub at: At,
    /// If not that of the code.
    pub severity: Option<Severity>,
}

/// Where in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// The value at this YAML pointer.
    Pointer(String),
    /// The key that this YAML pointer ends with.
    Key(String),
    /// Bytes of the template text.
    Range(TextRange),
    /// The configuration of this key, in whichever layer it is written.
    Config(String),
    /// Nowhere in particular.
    File,
}

impl At {
    pub fn bytes(range: std::ops::Range<u32>) -> Self {
        let end = range.end.max(range.start);
        Self::Range(TextRange::new(
            TextSize::new(range.start),
            TextSize::new(end),
        ))
    }
}

impl Problem {
    pub fn new(code: &'static str, at: At, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            at,
            severity: None,
        }
    }

    /// Says whether dbt takes it and only this front end does not: then it is a note, no mistake.
    #[must_use]
    pub fn accepted(mut self, accepted: bool) -> Self {
        if accepted {
            self.severity = Some(Severity::Info);
        }
        self
    }

    pub fn is_accepted(&self) -> bool {
        self.severity == Some(Severity::Info)
    }

    #[must_use]
    pub fn mild(mut self) -> Self {
        self.severity = Some(Severity::Warning);
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// The codes this module reports. Each has a page under `grammar/codes`.
pub mod code {
    pub const UNKNOWN_REF: &str = "MX0401";
    pub const UNKNOWN_SOURCE: &str = "MX0402";
    /// Reported by the graph, not from here.
    pub const CYCLE: &str = "MX0403";
    pub const CONTRACT_COLUMN_MISSING: &str = "MX0404";
    pub const CONTRACT_TYPE: &str = "MX0405";
    /// A note: the column keeps its inferred type.
    pub const CONTRACT_COLUMN_EXTRA: &str = "MX0406";
    pub const TEST_COLUMN: &str = "MX0407";
    pub const JINJA_SYNTAX: &str = "MX0408";
    pub const JINJA_UNDEFINED: &str = "MX0409";
    pub const DUPLICATE_MODEL: &str = "MX0410";
    pub const PROPERTIES_WITHOUT_MODEL: &str = "MX0411";
    pub const UNSUPPORTED: &str = "MX0412";
    /// The template itself raised an error, or evaluating it failed.
    pub const JINJA_FAILED: &str = "MX0413";
    /// A dbt YAML file holds a value that dbt does not understand.
    pub const BAD_VALUE: &str = "MX0414";
    /// A warning: dbt ignores a key that is nearly one it knows.
    pub const IGNORED_KEY: &str = "MX0415";
    /// A warning: a part of the project file that no node has.
    pub const UNUSED_CONFIG: &str = "MX0416";
    pub const DUPLICATE_TEST: &str = "MX0425";
    /// A warning: rows are cast to the declared type here; dbt refuses.
    pub const CONTRACT_CAST: &str = "MX0426";
}
