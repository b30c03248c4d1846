//! What a request is answered from: all open projects at one moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gen_lsp_types as lsp;
use mxcp_base::TextSize;
use mxcp_ide::Analysis;

use crate::capabilities::Client;
use crate::position::{Encoding, Positions};
use crate::uri;

/// One project at one moment.
pub(crate) struct ProjectView {
    pub(crate) root: PathBuf,
    pub(crate) analysis: Analysis,
    pub(crate) encoding: Encoding,
    /// The open documents by project-relative path.
    pub(crate) open: BTreeMap<String, Open>,
}

/// An open document: its address as the client writes it, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) uri: String,
    pub(crate) version: i32,
}

impl ProjectView {
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.analysis.text(path)
    }

    /// The address of a file; as the client spelt it when the client opened it.
    pub(crate) fn uri(&self, path: &str) -> lsp::Uri {
        match self.open.get(path) {
            Some(open) => lsp::Uri(open.uri.clone()),
            None => uri::from_path(&self.root.join(path)),
        }
    }

    pub(crate) fn version(&self, path: &str) -> Option<i32> {
        self.open.get(path).map(|open| open.version)
    }

    pub(crate) fn positions(&self, path: &str) -> Option<Positions<'_>> {
        Some(Positions::new(self.text(path)?, self.encoding))
    }

    pub(crate) fn offset(&self, path: &str, position: lsp::Position) -> Option<TextSize> {
        Some(self.positions(path)?.offset(position))
    }
}

/// Everything there is to a request beside its parameters.
pub(crate) struct Snapshot {
    pub(crate) client: Client,
    pub(crate) projects: Vec<ProjectView>,
}

impl Snapshot {
    /// The project of a document and its path in there; the innermost of nested ones.
    pub(crate) fn find(&self, uri: &lsp::Uri) -> Option<(&ProjectView, String)> {
        for view in &self.projects {
            if let Some((path, _)) = view.open.iter().find(|(_, open)| open.uri == uri.0) {
                return Some((view, path.clone()));
            }
        }
        let file = uri::to_path(&uri.0)?;
        self.projects
            .iter()
            .filter_map(|view| Some((view, relative(&view.root, &file)?)))
            .max_by_key(|(view, _)| view.root.components().count())
    }
}

/// A path below a root in the form the compiler uses.
pub(crate) fn relative(root: &Path, file: &Path) -> Option<String> {
    let rest = file.strip_prefix(root).ok()?;
    let parts: Option<Vec<&str>> = rest
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    Some(parts?.join("/"))
}
