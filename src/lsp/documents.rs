//! Open documents: the texts as the client has them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gen_lsp_types as lsp;

use crate::position::{Encoding, Positions};

#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) version: i32,
    pub(crate) text: String,
    /// `None` for what is not on a disk.
    pub(crate) path: Option<PathBuf>,
}

pub(crate) type Documents = BTreeMap<String, Document>;

/// Applies the changes of one notification, in order.
pub(crate) fn apply(
    text: &mut String,
    changes: Vec<lsp::TextDocumentContentChangeEvent>,
    encoding: Encoding,
) {
    for change in changes {
        match change {
            lsp::TextDocumentContentChangeEvent::TextDocumentContentChangePartial(part) => {
                let range = Positions::new(text, encoding).text_range(part.range);
                text.replace_range(
                    usize::from(range.start())..usize::from(range.end()),
                    &part.text,
                );
            }
            lsp::TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(whole) => {
                *text = whole.text;
            }
        }
    }
}
