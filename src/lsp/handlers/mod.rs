//! One file per family of requests: positions in, the answer of [`mxcp_ide`] out.

pub(crate) mod actions;
pub(crate) mod colours;
pub(crate) mod completion;
pub(crate) mod diagnostics;
pub(crate) mod hierarchy;
pub(crate) mod hover;
pub(crate) mod navigation;
pub(crate) mod outline;
pub(crate) mod rename;

use gen_lsp_types as lsp;
use mxcp_base::{SourceFile, TextSize};
use mxcp_compiler::Db;
use mxcp_ide::Cancelled;

use crate::snapshot::{ProjectView, Snapshot};

/// A place that a request is about.
pub(crate) struct Spot<'s> {
    pub(crate) view: &'s ProjectView,
    pub(crate) path: String,
    pub(crate) file: SourceFile,
    pub(crate) offset: TextSize,
}

impl Spot<'_> {
    /// What the project answers about the place.
    pub(crate) fn ask<T>(
        &self,
        answer: impl FnOnce(&dyn Db, SourceFile, TextSize) -> T,
    ) -> Result<T, Cancelled> {
        let (file, offset) = (self.file, self.offset);
        self.view.analysis.with(|db| answer(db, file, offset))
    }
}

/// `None` for documents that belong to no project.
pub(crate) fn spot<'s>(
    snapshot: &'s Snapshot,
    params: &lsp::TextDocumentPositionParams,
) -> Option<Spot<'s>> {
    let (view, path) = snapshot.find(&params.text_document.uri)?;
    let file = view.analysis.file(&path)?;
    let offset = view.offset(&path, params.position)?;
    Some(Spot {
        view,
        path,
        file,
        offset,
    })
}

/// A document that a request is about.
pub(crate) fn document<'s>(
    snapshot: &'s Snapshot,
    document: &lsp::TextDocumentIdentifier,
) -> Option<(&'s ProjectView, String, SourceFile)> {
    let (view, path) = snapshot.find(&document.uri)?;
    let file = view.analysis.file(&path)?;
    Some((view, path, file))
}
