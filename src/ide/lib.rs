//! What an editor can ask of a project, as plain data: paths, byte ranges and texts.
//!
//! [`AnalysisHost`] owns the compiler's database and takes edits; [`Analysis`] is a snapshot that
//! answers. Nothing here knows a protocol, reads a file or runs a statement. No answer is an error:
//! what cannot be told of a broken text is left out.

pub mod actions;
pub mod analysis;
pub mod complete;
pub mod embedded;
pub mod functions;
pub mod goto;
pub mod hierarchy;
pub mod hints;
pub mod hover;
pub mod lenses;
pub mod names;
pub mod occurrences;
pub mod outline;
pub mod rename;
pub mod schema;
pub mod signature;
pub mod sql;
pub mod suggestion;
pub mod symbol;
pub mod template;
pub mod tokens;
pub mod typing;

pub use analysis::{Analysis, AnalysisHost, CancelHandle, Cancelled, ProjectDiagnostics};

use mxcp_base::TextRange;

/// A range of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub path: String,
    pub range: mxcp_base::diagnostic::OrdRange,
}

impl Place {
    pub fn new(path: impl Into<String>, range: TextRange) -> Self {
        Self {
            path: path.into(),
            range: mxcp_base::diagnostic::OrdRange(range),
        }
    }
}

/// Another text for a range of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextChange {
    pub place: Place,
    pub text: String,
}

/// Changes that belong together: texts first, then files to new paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub edits: Vec<TextChange>,
    pub moves: Vec<(String, String)>,
}
