//! YAML text to a spanned tree, read the way PyYAML reads it.
//!
//! The tree keeps a byte range for every key and value, resolves scalars with the YAML 1.1 rules of PyYAML, applies
//! aliases and merge keys, and keeps what was read before an error. It never validates the meaning of a document:
//! that is what [`schema`] and the callers are for.

use std::fmt::Write as _;
use std::sync::Arc;

use text_size::TextRange;

use crate::{SyntaxError, text_range};

mod build;
mod comments;
mod message;
mod node;
mod offsets;
mod pointer;
mod resolve;
mod scalar_map;
pub mod schema;

#[cfg(test)]
mod tests;

pub use node::{Entries, Items, Key, Node};
pub use pointer::{escape as escape_segment, join as join_pointer, segments as pointer_segments};
pub use scalar_map::ScalarMap;

/// Documents larger than this are refused unread.
pub const MAX_BYTES: usize = 16 << 20;
/// Nesting deeper than this is cut, so that every walk over the tree may recurse.
pub const MAX_DEPTH: u32 = 128;
/// How many nodes aliases and merge keys may add to a document.
pub const MAX_EXPANSION: u64 = 1_000_000;

/// Parses `text`. The result always has a tree of what could be read; `errors` is sorted by position.
#[must_use]
pub fn parse(text: &str) -> YamlFile {
    build::build(text)
}

/// A parsed YAML text: the first document's tree and the errors found on the way.
#[derive(Clone)]
pub struct YamlFile {
    pub errors: Vec<SyntaxError>,
    pub(crate) text: Arc<str>,
    pub(crate) nodes: Vec<NodeData>,
    pub(crate) root: Option<NodeId>,
    /// Offset up to which the text was understood; the text's length unless there was a syntax error.
    pub(crate) read_to: u32,
}

/// The tree is a function of the text, so comparing texts compares trees.
impl PartialEq for YamlFile {
    fn eq(&self, other: &YamlFile) -> bool {
        self.text == other.text
    }
}

impl Eq for YamlFile {}

impl std::fmt::Debug for YamlFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("YamlFile")
            .field("errors", &self.errors)
            .field("bytes", &self.text.len())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct NodeId(pub(crate) u32);

#[derive(Clone, Debug)]
pub(crate) struct NodeData {
    pub(crate) range: TextRange,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar {
        kind: Kind,
        style: Style,
        /// `None` when the decoded text is the source text of the node's range.
        text: Option<Box<str>>,
    },
    Seq {
        items: Vec<NodeId>,
        flow: bool,
    },
    Map {
        entries: Vec<Entry>,
        flow: bool,
    },
    Alias(NodeId),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: NodeId,
    pub(crate) value: NodeId,
}

/// What a value is after PyYAML's implicit resolution.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Kind {
    Null,
    Bool,
    Int,
    Float,
    String,
    /// `2024-01-31`: PyYAML makes a `datetime.date` of it.
    Date,
    /// `2024-01-31 10:00:00`: PyYAML makes a `datetime.datetime` of it.
    Timestamp,
    Seq,
    Map,
}

impl Kind {
    /// The word to use in messages, with its article.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Kind::Null => "an empty value",
            Kind::Bool => "a boolean",
            Kind::Int => "an integer",
            Kind::Float => "a number",
            Kind::String => "a string",
            Kind::Date => "a date",
            Kind::Timestamp => "a timestamp",
            Kind::Seq => "a list",
            Kind::Map => "a mapping",
        }
    }
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// A `|` block scalar.
    Literal,
    /// A `>` block scalar.
    Folded,
    /// A sequence or mapping in brackets.
    Flow,
    /// A sequence or mapping by indentation.
    Block,
}

impl YamlFile {
    /// The text this tree was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first document's value; `None` when the text holds no document.
    #[must_use]
    pub fn root(&self) -> Option<Node<'_>> {
        self.root.map(|id| Node::new(self, id))
    }

    /// The document as JSON; an empty text is `null`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.root()
            .map_or(serde_json::Value::Null, |root| root.to_json())
    }

    /// The node at `pointer` (`tool/parameters/0/name`, with or without a leading slash, `~0` and `~1` escaped).
    #[must_use]
    pub fn lookup(&self, pointer: &str) -> Option<Node<'_>> {
        let mut node = self.root()?;
        for segment in pointer::segments(pointer) {
            node = node.child(&segment)?.1;
        }
        Some(node)
    }

    /// The range of the key that `pointer` ends with; `None` for the root and for list items.
    #[must_use]
    pub fn key_range(&self, pointer: &str) -> Option<TextRange> {
        let mut node = self.root()?;
        let mut key = None;
        for segment in pointer::segments(pointer) {
            let (child_key, child) = node.child(&segment)?;
            key = child_key;
            node = child;
        }
        key.map(|key: Key<'_>| key.range)
    }

    /// The range of the value at `pointer`.
    #[must_use]
    pub fn value_range(&self, pointer: &str) -> Option<TextRange> {
        self.lookup(pointer).map(|node| node.range())
    }

    /// Where to report that something at `pointer` is missing: the key of the deepest ancestor that exists, the first
    /// key of a list item or of the document, and the start of the text when there is no document.
    #[must_use]
    pub fn closest_range(&self, pointer: &str) -> TextRange {
        let Some(mut node) = self.root() else {
            return text_range(0, 0);
        };
        let mut key: Option<Key<'_>> = None;
        for segment in pointer::segments(pointer) {
            let Some((child_key, child)) = node.child(&segment) else {
                break;
            };
            key = child_key;
            node = child;
        }
        match key {
            Some(key) => key.range,
            None => node.head_range(),
        }
    }

    /// The innermost node whose key or value covers `offset`, as a pointer; `on_key` tells which of the two it is.
    #[must_use]
    pub fn pointer_at(&self, offset: u32) -> Option<PointerAt> {
        let mut node = self.root()?;
        let mut pointer = String::new();
        let touches = |range: TextRange| range.contains_inclusive(offset.into());
        'descend: loop {
            // An alias covers its own text only; what it points to lies elsewhere.
            if node.is_alias() {
                break;
            }
            for (key, value) in node.entries() {
                let on_key = touches(key.range);
                if on_key || touches(value.range()) {
                    pointer::push(&mut pointer, key.text);
                    if on_key {
                        return Some(PointerAt {
                            pointer,
                            on_key: true,
                        });
                    }
                    node = value;
                    continue 'descend;
                }
            }
            for (index, item) in node.items().enumerate() {
                if touches(item.range()) {
                    let _ = write!(pointer, "/{index}");
                    node = item;
                    continue 'descend;
                }
            }
            break;
        }
        touches(node.range()).then_some(PointerAt {
            pointer,
            on_key: false,
        })
    }

    /// Every comment with its range, from the `#` to the end of the line.
    #[must_use]
    pub fn comments(&self) -> Vec<(TextRange, &str)> {
        comments::comments(self)
    }

    pub(crate) fn data(&self, id: NodeId) -> &NodeData {
        &self.nodes[id.0 as usize]
    }
}

/// A position in the tree, as found by [`YamlFile::pointer_at`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerAt {
    pub pointer: String,
    pub on_key: bool,
}
