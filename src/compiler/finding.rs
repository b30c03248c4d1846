//! Findings: what checks return. Their anchors name places by structure, so that a finding stays
//! equal when text moves; only [`crate::diagnostics`] turns anchors into ranges.

use std::ops::Range;

use mxcp_base::{Code, Severity, SourceFile, TextRange};

/// A place, named without byte offsets wherever the file is YAML.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    pub file: SourceFile,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The file as a whole.
    File,
    /// The value at a YAML pointer such as `tool/parameters/0/name`.
    Value(String),
    /// The key that a YAML pointer ends with.
    Key(String),
    /// Bytes of the decoded scalar at a YAML pointer: SQL, CEL or Jinja inside YAML.
    Within(String, Range<u32>),
    /// Bytes of a file that is not YAML.
    Text(TextRange),
}

impl Anchor {
    pub fn file(file: SourceFile) -> Self {
        Self {
            file,
            place: Place::File,
        }
    }

    pub fn value(file: SourceFile, pointer: impl Into<String>) -> Self {
        Self {
            file,
            place: Place::Value(pointer.into()),
        }
    }

    pub fn key(file: SourceFile, pointer: impl Into<String>) -> Self {
        Self {
            file,
            place: Place::Key(pointer.into()),
        }
    }

    pub fn text(file: SourceFile, range: TextRange) -> Self {
        Self {
            file,
            place: Place::Text(range),
        }
    }

    /// A byte range inside a text that is either a scalar of a YAML file or a file of its own.
    pub fn inside(origin: &TextOrigin, range: Range<u32>) -> Self {
        match origin {
            TextOrigin::Scalar(file, pointer) => Self {
                file: *file,
                place: Place::Within(pointer.clone(), range),
            },
            TextOrigin::File(file) => Self::text(
                *file,
                TextRange::new(range.start.into(), range.end.max(range.start).into()),
            ),
        }
    }

    /// The text as a whole.
    pub fn origin(origin: &TextOrigin) -> Self {
        match origin {
            TextOrigin::Scalar(file, pointer) => Self::value(*file, pointer.clone()),
            TextOrigin::File(file) => Self::file(*file),
        }
    }
}

/// Where an embedded text (SQL, a template) was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextOrigin {
    Scalar(SourceFile, String),
    File(SourceFile),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    pub code: Code,
    /// When it differs from the code's own.
    pub severity: Option<Severity>,
    pub message: String,
    pub anchor: Anchor,
    pub labels: Vec<(Anchor, String)>,
    pub help: Option<String>,
    pub fix: Option<FixIdea>,
}

/// Replace what stands at `anchor` by `text`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FixIdea {
    pub title: String,
    pub anchor: Anchor,
    pub text: String,
}

impl Finding {
    pub fn new(code: Code, message: impl Into<String>, anchor: Anchor) -> Self {
        Self {
            code,
            severity: None,
            message: message.into(),
            anchor,
            labels: Vec::new(),
            help: None,
            fix: None,
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn help_if(mut self, help: Option<String>) -> Self {
        if help.is_some() {
            self.help = help;
        }
        self
    }

    #[must_use]
    pub fn label(mut self, anchor: Anchor, message: impl Into<String>) -> Self {
        self.labels.push((anchor, message.into()));
        self
    }

    #[must_use]
    pub fn fix(
        mut self,
        title: impl Into<String>,
        anchor: Anchor,
        text: impl Into<String>,
    ) -> Self {
        self.fix = Some(FixIdea {
            title: title.into(),
            anchor,
            text: text.into(),
        });
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity.unwrap_or(self.code.info().severity) == Severity::Error
    }
}
