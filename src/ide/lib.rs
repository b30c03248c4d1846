//! What an editor can ask of a project, as plain data: paths, byte ranges and texts.
//!
//! [`AnalysisHost`] owns the compiler's database and takes edits; [`Analysis`] is a snapshot that
//! answers. Nothing here knows a protocol, reads a file or runs a statement. No answer is an error:
//! what cannot be told of a broken text is left out.

pub mod analysis;

pub use analysis::{Analysis, AnalysisHost, CancelHandle, Cancelled, ProjectDiagnostics};
