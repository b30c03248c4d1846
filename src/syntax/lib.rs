//! Text to tree: the parsers of every language a project is written in.
//!
//! Each module turns text into a tree and a list of errors. A parser here never fails, never panics, and is bounded on
//! hostile input. Nothing here reads files, knows about the query graph or imports another crate of the workspace, and
//! every range is a byte range of the text that was passed in.

use text_size::{TextRange, TextSize};

pub mod cel;
pub mod jinja;
mod limits;
pub mod python;
pub mod seed;
pub mod sql;
pub mod yaml;

/// One thing wrong with a text, worded for its author.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyntaxError {
    pub range: TextRange,
    pub message: String,
    pub help: Option<String>,
    pub kind: SyntaxErrorKind,
}

/// What sort of mistake a [`SyntaxError`] is; callers map it to diagnostic codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SyntaxErrorKind {
    /// The text does not follow the grammar.
    Syntax,
    /// A mapping has the same key twice; the last value wins.
    DuplicateKey,
    /// The text holds more than one YAML document; only the first is read.
    MultipleDocuments,
    /// A mapping key is itself a mapping or a sequence.
    InvalidKey,
    /// A value looks like a date (or carries a tag) but cannot be one.
    InvalidValue,
    /// A YAML tag that no safe loader knows.
    UnknownTag,
    /// An anchor contains an alias to itself.
    AliasCycle,
    /// Aliases expand to more than the budget allows.
    AliasBudget,
    /// Nesting deeper than we follow.
    TooDeep,
    /// The text is larger than we read.
    TooLarge,
}

impl SyntaxError {
    pub(crate) fn new(
        kind: SyntaxErrorKind,
        range: TextRange,
        message: impl Into<String>,
    ) -> SyntaxError {
        SyntaxError {
            range,
            message: message.into(),
            help: None,
            kind,
        }
    }

    pub(crate) fn syntax(range: TextRange, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(SyntaxErrorKind::Syntax, range, message)
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> SyntaxError {
        self.help = Some(help.into());
        self
    }
}

/// A range from byte offsets; offsets past 4 GiB saturate, and an inverted pair becomes empty.
pub(crate) fn text_range(start: usize, end: usize) -> TextRange {
    let start = u32::try_from(start).unwrap_or(u32::MAX);
    let end = u32::try_from(end).unwrap_or(u32::MAX).max(start);
    TextRange::new(TextSize::new(start), TextSize::new(end))
}
