//! Reading access to the tree. Aliases are followed everywhere except in [`Node::range`].

use std::ops::Range;

use serde_json::{Map, Value as Json};
use text_size::TextRange;

use super::resolve::{self, Timestamp};
use super::{Entry, Kind, NodeData, NodeId, ScalarMap, Style, Value, YamlFile};
use crate::text_range;

/// A value in the tree.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    file: &'a YamlFile,
    id: NodeId,
}

/// A mapping key: its decoded text and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    pub text: &'a str,
    pub range: TextRange,
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("kind", &self.kind())
            .field("range", &self.range())
            .finish()
    }
}

impl<'a> Node<'a> {
    pub(crate) fn new(file: &'a YamlFile, id: NodeId) -> Node<'a> {
        Node { file, id }
    }

    /// The tree this node belongs to.
    #[must_use]
    pub fn file(&self) -> &'a YamlFile {
        self.file
    }

    fn written(&self) -> &'a NodeData {
        self.file.data(self.id)
    }

    /// The node behind an alias, or the node itself.
    fn target(&self) -> (NodeId, &'a NodeData) {
        match self.written().value {
            // An alias never points to another alias.
            Value::Alias(target) => (target, self.file.data(target)),
            _ => (self.id, self.written()),
        }
    }

    pub(crate) fn target_id(&self) -> NodeId {
        self.target().0
    }

    /// Where the value is written: for an alias the `*name` itself, for an empty value an empty range.
    #[must_use]
    pub fn range(&self) -> TextRange {
        self.written().range
    }

    /// Where the value's content is written: for an alias the anchored value.
    #[must_use]
    pub fn content_range(&self) -> TextRange {
        self.target().1.range
    }

    #[must_use]
    pub fn is_alias(&self) -> bool {
        matches!(self.written().value, Value::Alias(_))
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.target().1.value {
            Value::Scalar { kind, .. } => kind,
            Value::Seq { .. } => Kind::Seq,
            Value::Map { .. } => Kind::Map,
            Value::Alias(_) => Kind::Null,
        }
    }

    #[must_use]
    pub fn style(&self) -> Style {
        match self.target().1.value {
            Value::Scalar { style, .. } => style,
            Value::Seq { flow: true, .. } | Value::Map { flow: true, .. } => Style::Flow,
            Value::Seq { .. } | Value::Map { .. } => Style::Block,
            Value::Alias(_) => Style::Plain,
        }
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The decoded text of a scalar of any kind.
    #[must_use]
    pub fn scalar(&self) -> Option<&'a str> {
        let data = self.target().1;
        match &data.value {
            Value::Scalar {
                text: Some(text), ..
            } => Some(text),
            Value::Scalar { text: None, .. } => Some(&self.file.text[data.range]),
            _ => None,
        }
    }

    /// The text of a string; `None` for other kinds, dates included.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.scalar().filter(|_| self.kind() == Kind::String)
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool)
            .then(|| self.scalar().and_then(resolve::bool_value))
            .flatten()
    }

    /// An integer that fits; see [`Node::to_json`] for larger ones.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        (self.kind() == Kind::Int)
            .then(|| self.scalar().and_then(resolve::i64_value))
            .flatten()
    }

    /// An integer or a float, infinities and NaN included.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        let text = self.scalar()?;
        match self.kind() {
            Kind::Float => resolve::f64_value(text),
            Kind::Int => match resolve::int_json(text) {
                Json::Number(number) => number.as_f64(),
                Json::String(digits) => digits.parse().ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The entries of a mapping, merged ones first as in PyYAML; nothing for other kinds.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            file: self.file,
            entries: self.raw_entries().iter(),
        }
    }

    /// The items of a sequence; nothing for other kinds.
    #[must_use]
    pub fn items(&self) -> Items<'a> {
        let items: &[NodeId] = match &self.target().1.value {
            Value::Seq { items, .. } => items,
            _ => &[],
        };
        Items {
            file: self.file,
            items: items.iter(),
        }
    }

    pub(crate) fn raw_entries(&self) -> &'a [Entry] {
        match &self.target().1.value {
            Value::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// How many entries or items there are; 0 for scalars.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.target().1.value {
            Value::Seq { items, .. } => items.len(),
            Value::Map { entries, .. } => entries.len(),
            _ => 0,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.get_entry(key).map(|(_, value)| value)
    }

    #[must_use]
    pub fn get_entry(&self, key: &str) -> Option<(Key<'a>, Node<'a>)> {
        self.entries().find(|(candidate, _)| candidate.text == key)
    }

    #[must_use]
    pub fn item(&self, index: usize) -> Option<Node<'a>> {
        self.items().nth(index)
    }

    /// One pointer segment down: a key of a mapping or an index of a sequence.
    #[must_use]
    pub fn child(&self, segment: &str) -> Option<(Option<Key<'a>>, Node<'a>)> {
        match self.kind() {
            Kind::Map => self
                .get_entry(segment)
                .map(|(key, value)| (Some(key), value)),
            Kind::Seq => {
                let canonical =
                    segment == "0" || !segment.starts_with(['0', '+']) && !segment.is_empty();
                let index = canonical.then(|| segment.parse().ok()).flatten()?;
                self.item(index).map(|item| (None, item))
            }
            _ => None,
        }
    }

    /// A short range at the head of the value: the first key of a mapping, else the value's first line.
    #[must_use]
    pub fn head_range(&self) -> TextRange {
        let own = self.range();
        if let Some((key, _)) = self
            .entries()
            .find(|(key, _)| own.contains_range(key.range))
        {
            return key.range;
        }
        let text = &self.file.text[own];
        let line = text.find(['\n', '\r']).unwrap_or(text.len());
        let start = u32::from(own.start()) as usize;
        text_range(start, start + line)
    }

    /// The value as JSON: PyYAML's values, dates as ISO text, integers that fit no JSON number as digits, NaN and the
    /// infinities as null.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self.kind() {
            Kind::Seq => Json::Array(self.items().map(|item| item.to_json()).collect()),
            Kind::Map => Json::Object(
                self.entries()
                    .map(|(key, value)| (key.text.to_owned(), value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
            kind => {
                let text = self.scalar().unwrap_or_default();
                match kind {
                    Kind::Null => Json::Null,
                    Kind::Bool => resolve::bool_value(text).map_or(Json::Null, Json::Bool),
                    Kind::Int => resolve::int_json(text),
                    Kind::Float => resolve::float_json(text),
                    Kind::Date | Kind::Timestamp => Json::String(
                        Timestamp::parse(text).map_or_else(|| text.to_owned(), |t| t.iso()),
                    ),
                    _ => Json::String(text.to_owned()),
                }
            }
        }
    }

    /// The map between the decoded text of this scalar and the source. Build it once when mapping several ranges.
    #[must_use]
    pub fn scalar_map(&self) -> ScalarMap {
        ScalarMap::new(
            &self.file.text,
            self.content_range(),
            self.style(),
            self.scalar().unwrap_or_default(),
        )
    }

    /// The source range of a byte range of the decoded scalar text.
    #[must_use]
    pub fn map_range(&self, decoded: Range<u32>) -> TextRange {
        self.scalar_map().map_range(decoded)
    }

    /// The decoded offset of a source offset; `None` outside the scalar's content.
    #[must_use]
    pub fn unmap_offset(&self, source: u32) -> Option<u32> {
        self.scalar_map().unmap_offset(source)
    }
}

/// See [`Node::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    file: &'a YamlFile,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Key<'a>, Node<'a>);

    fn next(&mut self) -> Option<(Key<'a>, Node<'a>)> {
        let entry = self.entries.next()?;
        let key = Node::new(self.file, entry.key);
        let key = Key {
            text: key.scalar().unwrap_or_default(),
            range: key.range(),
        };
        Some((key, Node::new(self.file, entry.value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}

/// See [`Node::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    file: &'a YamlFile,
    items: std::slice::Iter<'a, NodeId>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        self.items.next().map(|id| Node::new(self.file, *id))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl ExactSizeIterator for Items<'_> {}
