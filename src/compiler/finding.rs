//! Findings: what checks return. Their anchors name places by structure, so that a finding stays
//! equal when text moves; only [`crate::diagnostics`] turns anchors into ranges.

use std::ops::Range;

use mxcp_base::{Code, Severity, SourceFile, TextRange, codes};

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

    /// What becomes of the endpoint whose file has this finding.
    pub fn consequence(&self) -> Consequence {
        if !self.is_error() {
            return Consequence::None;
        }
        match self.code {
            // The database has the last word, and it may have changed since it was read.
            codes::MX0201
            | codes::MX0202
            | codes::MX0203
            | codes::MX0204
            | codes::MX0205
            | codes::MX0207
            | codes::MX0208
            | codes::MX0212
            | codes::MX0213
            | codes::MX0216
            | codes::MX0704
            | codes::MX0706
            | codes::MX0707
            | codes::MX0708
            | codes::MX0717
            | codes::MX0720
            | codes::MX0721 => Consequence::NotServed,
            // Checked again in each call: the result, the policies, what Python defines. Tests fail
            // by themselves.
            codes::MX0301
            | codes::MX0302
            | codes::MX0303
            | codes::MX0304
            | codes::MX0501
            | codes::MX0502
            | codes::MX0504
            | codes::MX0505
            | codes::MX0506
            | codes::MX0507
            | codes::MX0508
            | codes::MX0509
            | codes::MX0510
            | codes::MX0511
            | codes::MX0512
            | codes::MX0513
            | codes::MX0514
            | codes::MX0515
            | codes::MX0516
            | codes::MX0517
            | codes::MX0518
            | codes::MX0601
            | codes::MX0602
            | codes::MX0603
            | codes::MX0604
            | codes::MX0605
            | codes::MX0701
            | codes::MX0702
            | codes::MX0111
            | codes::MX0112
            | codes::MX0116
            | codes::MX0730
            | codes::MX0709
            | codes::MX0710
            | codes::MX0711
            | codes::MX0712 => Consequence::None,
            _ => Consequence::NotRun,
        }
    }
}

/// What an error does to its endpoint, from harmless to worst. An error is reported whatever it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// It is served; calls say what is wrong when it matters.
    None,
    /// Clients do not get it, but `run` and `test` may try.
    NotServed,
    /// There is nothing to run.
    NotRun,
}
