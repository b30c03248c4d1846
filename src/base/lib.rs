//! What every compiler layer stands on: source files as salsa inputs, the only door to the
//! operating system, diagnostics as plain values, and their renderers.
//!
//! This crate must not know what an endpoint, a model or DuckDB is. miette is used in
//! [`render`] and nowhere else in the workspace.

pub mod codes;
pub mod diagnostic;
pub mod files;
pub mod line_index;
pub mod overlay;
pub mod paths;
pub mod render;
pub mod suggest;
pub mod system;

pub use codes::{Code, CodeInfo};
pub use diagnostic::{Diagnostic, Edit, Fix, Label, Location, Severity};
pub use files::{Content, FileSet, Shelf, SourceFile};
pub use line_index::{LineColumn, LineIndex};
pub use overlay::OverlaySystem;
pub use system::{Look, MemorySystem, OsSystem, Stamp, System};
pub use text_size::{TextRange, TextSize};
