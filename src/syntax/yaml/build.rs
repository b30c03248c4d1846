//! Parser events to the tree. Everything that bounds a document (size, depth, expansion) is decided here.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, Span, Tag};
use text_size::TextRange;

use super::offsets::Offsets;
use super::{
    Entry, Kind, MAX_BYTES, MAX_DEPTH, MAX_EXPANSION, NodeData, NodeId, Style, Value, YamlFile,
    message,
};
use crate::{SyntaxError, SyntaxErrorKind, text_range};

mod entries;
mod scalars;

pub(crate) fn build(text: &str) -> YamlFile {
    if text.len() > MAX_BYTES {
        let mut builder = Builder::new(text, &[]);
        let error = SyntaxError::new(
            SyntaxErrorKind::TooLarge,
            text_range(0, 0),
            format!("the document is larger than {} MiB", MAX_BYTES >> 20),
        );
        builder.stop(
            0,
            error.with_help("keep data in files that SQL reads, and only definitions in YAML"),
        );
        return builder.file;
    }
    let mut joined = Repaired::default();
    let mut file = loop {
        let mut builder = Builder::new(text, &joined.repairs);
        let Some(repair) = builder.run(joined.text.as_deref().unwrap_or(text)) else {
            break builder.file;
        };
        joined.apply(text, repair);
    };
    file.errors.sort_by_key(|error| error.range.start());
    file
}

/// How many repairs are made: each costs another pass.
const MAX_REPAIRS: usize = 32;
/// Larger documents are not repaired.
const MAX_REPAIRED_BYTES: usize = 1 << 20;

/// The text without what PyYAML takes and the event parser does not.
///
/// Blanks, one for one, keep all offsets.
#[derive(Default)]
struct Repaired {
    text: Option<String>,
    repairs: Vec<Repair>,
}

#[derive(Clone, Copy)]
enum Repair {
    /// A quoted scalar that goes on at a lower indentation: its lines are joined, and it is decoded from the text.
    Quoted { start: usize, end: usize },
    /// A comment right after a quote or bracket.
    Comment { start: usize, end: usize },
}

impl Repaired {
    fn apply(&mut self, original: &str, repair: Repair) {
        self.repairs.push(repair);
        self.repairs.sort_by_key(Repair::start);
        let mut text = String::with_capacity(original.len());
        let mut at = 0;
        for repair in &self.repairs {
            let (start, end) = (repair.start(), repair.end());
            let blank = |c: char| match repair {
                Repair::Quoted { .. } if !matches!(c, '\n' | '\r') => c,
                _ => ' ',
            };
            text.push_str(original.get(at..start).unwrap_or_default());
            // The parser counts characters, so every character becomes one blank.
            text.extend(original[start..end].chars().map(blank));
            at = end;
        }
        text.push_str(&original[at..]);
        self.text = Some(text);
    }
}

impl Repair {
    fn start(&self) -> usize {
        match *self {
            Repair::Quoted { start, .. } | Repair::Comment { start, .. } => start,
        }
    }

    fn end(&self) -> usize {
        match *self {
            Repair::Quoted { end, .. } | Repair::Comment { end, .. } => end,
        }
    }
}

/// What a finished node costs to walk.
#[derive(Clone, Copy)]
struct Shape {
    /// Levels below and including the node.
    height: u32,
    /// Nodes below and including the node, aliases expanded; long scalars count more than once.
    size: u64,
}

struct Open {
    range: TextRange,
    anchor: usize,
    flow: bool,
    tag: Option<Tag>,
    content: Content,
}

enum Content {
    Seq(Vec<NodeId>),
    Map {
        entries: Vec<Entry>,
        key: Option<NodeId>,
    },
}

struct Builder<'t> {
    text: &'t str,
    /// How the text that the event parser reads differs.
    repairs: &'t [Repair],
    offsets: Offsets<'t>,
    file: YamlFile,
    /// Parallel to `file.nodes`.
    shapes: Vec<Shape>,
    anchors: HashMap<usize, NodeId>,
    open: Vec<Open>,
    expansion: u64,
}

/// The document cannot be read any further.
struct Stop;

impl<'t> Builder<'t> {
    fn new(text: &'t str, repairs: &'t [Repair]) -> Builder<'t> {
        Builder {
            text,
            repairs,
            offsets: Offsets::new(text),
            file: YamlFile {
                errors: Vec::new(),
                text: text.into(),
                nodes: Vec::new(),
                root: None,
                read_to: u32::try_from(text.len()).unwrap_or(u32::MAX),
            },
            shapes: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            expansion: 0,
        }
    }

    /// Reads the whole text through `source`; returns what to repair when another pass is needed.
    fn run(&mut self, source: &str) -> Option<Repair> {
        let mut parser = Parser::new_from_str(source);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let step = match event {
                Ok((Event::DocumentStart(_), span)) => {
                    documents += 1;
                    if documents == 1 {
                        Ok(())
                    } else {
                        self.second_document(span);
                        Err(Stop)
                    }
                }
                Ok((event, span)) => self.event(event, span),
                Err(error) => {
                    let at = self.offsets.byte(error.marker().index());
                    if let Some(repair) = self.repair(error.info(), at) {
                        return Some(repair);
                    }
                    let bracket = self.open.last().filter(|open| open.flow);
                    let bracket = bracket.map(|open| open.range.start().into());
                    let error = match self.ends_before(at) {
                        Some(quote) => message::unclosed_quote(self.text, quote),
                        None => message::reword(self.text, at, error.info(), bracket),
                    };
                    self.stop(error.range.start().into(), error);
                    Err(Stop)
                }
            };
            if step.is_err() {
                self.close_all();
                return None;
            }
        }
        None
    }

    fn second_document(&mut self, span: Span) {
        let at = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index()).max(at);
        let error = SyntaxError::new(
            SyntaxErrorKind::MultipleDocuments,
            text_range(at, end),
            "the file holds more than one YAML document",
        );
        self.stop(
            at,
            error.with_help("move what follows the `---` line into a file of its own"),
        );
    }

    fn repair(&self, info: &str, at: usize) -> Option<Repair> {
        if self.repairs.len() >= MAX_REPAIRS || self.text.len() > MAX_REPAIRED_BYTES {
            return None;
        }
        if info.contains("comments must be separated") {
            let hash = at + self.text[at..].find(|c: char| !c.is_whitespace())?;
            let rest = &self.text[hash..];
            let end = hash + rest.find(['\n', '\r']).unwrap_or(rest.len());
            let repair = Repair::Comment { start: hash, end };
            return rest.starts_with('#').then_some(repair);
        }
        if !(info.contains("quoted scalar") && info.contains("indentation")) {
            return None;
        }
        let end = scalars::quoted_end(self.text, at)?;
        let ends_document = |line: &str| line.starts_with("---") || line.starts_with("...");
        let fits = !self.text[at..end].lines().skip(1).any(ends_document);
        fits.then_some(Repair::Quoted { start: at, end })
    }

    /// The joined scalar that ends on the line of `at`: its quote most likely belongs to another value.
    fn ends_before(&self, at: usize) -> Option<usize> {
        self.repairs.iter().find_map(|repair| match *repair {
            Repair::Quoted { start, end } => {
                (end <= at && !self.text[end..at].contains('\n')).then_some(start)
            }
            Repair::Comment { .. } => None,
        })
    }

    fn stop(&mut self, at: usize, error: SyntaxError) {
        self.file.read_to = u32::try_from(at).unwrap_or(u32::MAX);
        self.file.errors.push(error);
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(decoded, style, anchor, tag) => {
                let range = self.scalar_range(span, style, &decoded);
                let id = self.scalar(&decoded, style, range, tag.as_deref());
                if anchor > 0 {
                    self.anchors.insert(anchor, id);
                }
                self.finish(id);
                Ok(())
            }
            Event::Alias(anchor) => {
                let id = self.alias(anchor, span);
                self.finish(id);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(Content::Seq(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => self.start(
                Content::Map {
                    entries: Vec::new(),
                    key: None,
                },
                anchor,
                tag.as_deref(),
                span,
            ),
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(Some(span));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Stop> {
        let at = self.skip_properties(self.offsets.byte(span.start.index()));
        if self.open.len() as u32 >= MAX_DEPTH - 1 {
            let error = SyntaxError::new(
                SyntaxErrorKind::TooDeep,
                self.char_at(at),
                format!("values are nested more than {MAX_DEPTH} levels deep"),
            );
            self.stop(at, error);
            return Err(Stop);
        }
        self.open.push(Open {
            range: text_range(at, at),
            anchor,
            flow: self.text[at..].starts_with(['[', '{']),
            tag: tag.cloned(),
            content,
        });
        Ok(())
    }

    /// Ends the innermost container; `end` is the end event's span, absent after an error.
    fn close(&mut self, end: Option<Span>) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let start = usize::from(open.range.start());
        let mut shape = Shape { height: 1, size: 1 };
        let mut range_end = start;
        let value = match open.content {
            Content::Seq(items) => {
                for id in &items {
                    self.grow(&mut shape, *id);
                    range_end = range_end.max(self.end_of(*id));
                }
                Value::Seq {
                    items,
                    flow: open.flow,
                }
            }
            Content::Map { mut entries, key } => {
                if let Some(key) = key {
                    let at = self.end_of(key);
                    let value = self.push_null(at);
                    entries.push(Entry { key, value });
                }
                for entry in &entries {
                    range_end = range_end
                        .max(self.end_of(entry.key))
                        .max(self.end_of(entry.value));
                }
                let entries = self.merge(entries);
                let entries = self.without_duplicates(entries);
                for entry in &entries {
                    shape.size += 1;
                    self.grow(&mut shape, entry.value);
                }
                Value::Map {
                    entries,
                    flow: open.flow,
                }
            }
        };
        let mut flow_end = None;
        if let (true, Some(span)) = (open.flow, end) {
            // The end event's own end may lie behind the blanks and the comment after the bracket, and the mapping that
            // starts with a bracket may be a block whose first key is one.
            let at = self.offsets.byte(span.start.index());
            flow_end = self.text[at..].starts_with([']', '}']).then_some(at + 1);
        }
        let range = text_range(start, flow_end.unwrap_or(range_end));
        if let Some(tag) = &open.tag {
            self.check_tag(tag, range, &["seq", "map", "omap", "pairs", "set"]);
        }
        let id = self.push(range, value, shape);
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, id);
        }
        self.finish(id);
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close(None);
        }
    }

    fn grow(&self, shape: &mut Shape, child: NodeId) {
        let child = self.shapes[child.0 as usize];
        shape.height = shape.height.max(child.height + 1);
        shape.size = shape.size.saturating_add(child.size);
    }

    /// Hands a finished node to its parent.
    fn finish(&mut self, id: NodeId) {
        let range = self.file.data(id).range;
        let Some(open) = self.open.last_mut() else {
            if self.file.root.is_none() {
                self.file.root = Some(id);
            }
            return;
        };
        match &mut open.content {
            Content::Seq(items) => items.push(id),
            Content::Map { entries, key } => match key.take() {
                Some(key) => entries.push(Entry { key, value: id }),
                None => {
                    *key = Some(id);
                    let is_scalar = matches!(
                        self.file.nodes[id.0 as usize].value,
                        Value::Scalar { .. } | Value::Alias(_)
                    );
                    if !is_scalar {
                        self.invalid_key(range);
                    }
                }
            },
        }
    }

    fn invalid_key(&mut self, range: TextRange) {
        let templated = self.text[range].starts_with('{')
            && self.text[..usize::from(range.start())].ends_with('{');
        let error = SyntaxError::new(
            SyntaxErrorKind::InvalidKey,
            range,
            "a list or mapping cannot be a mapping key",
        );
        let error = if templated {
            error.with_help("put the template in quotes: `\"{{ … }}\"`")
        } else {
            error.with_help("put the value in quotes if it is meant as text")
        };
        self.file.errors.push(error);
    }

    fn push(&mut self, range: TextRange, value: Value, shape: Shape) -> NodeId {
        // Every node takes at least one byte of a text of at most `MAX_BYTES`, or stands beside one that does.
        let id = NodeId(u32::try_from(self.file.nodes.len()).unwrap_or(u32::MAX));
        self.file.nodes.push(NodeData { range, value });
        self.shapes.push(shape);
        id
    }

    fn push_null(&mut self, at: usize) -> NodeId {
        let value = Value::Scalar {
            kind: Kind::Null,
            style: Style::Plain,
            text: None,
        };
        self.push(text_range(at, at), value, Shape { height: 1, size: 1 })
    }

    fn end_of(&self, id: NodeId) -> usize {
        self.file.data(id).range.end().into()
    }

    fn char_at(&self, at: usize) -> TextRange {
        let len = self.text[at..].chars().next().map_or(0, char::len_utf8);
        text_range(at, at + len)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> NodeId {
        let start = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index()).max(start);
        let range = text_range(start, end);
        let name = self.text[range].trim_start_matches('*').to_owned();
        let Some(&target) = self.anchors.get(&anchor) else {
            self.file.errors.push(
                SyntaxError::new(
                    SyntaxErrorKind::AliasCycle,
                    range,
                    format!("`*{name}` stands inside the value of its own anchor `&{name}`"),
                )
                .with_help("an alias can only repeat a value that is complete"),
            );
            return self.push_null(start);
        };
        let target = match self.file.data(target).value {
            Value::Alias(inner) => inner,
            _ => target,
        };
        let shape = self.shapes[target.0 as usize];
        self.expansion = self.expansion.saturating_add(shape.size);
        if self.expansion > MAX_EXPANSION {
            self.over_budget(range);
            return self.push_null(start);
        }
        if self.open.len() as u32 + shape.height > MAX_DEPTH {
            self.file.errors.push(SyntaxError::new(
                SyntaxErrorKind::TooDeep,
                range,
                format!("with `*{name}`, values are nested more than {MAX_DEPTH} levels deep"),
            ));
            return self.push_null(start);
        }
        self.push(range, Value::Alias(target), shape)
    }

    fn over_budget(&mut self, range: TextRange) {
        let reported = |error: &SyntaxError| error.kind == SyntaxErrorKind::AliasBudget;
        if self.file.errors.iter().any(reported) {
            return;
        }
        self.file.errors.push(
            SyntaxError::new(
                SyntaxErrorKind::AliasBudget,
                range,
                format!("aliases expand to more than {MAX_EXPANSION} values"),
            )
            .with_help("repeat fewer values through anchors; this and later aliases are ignored"),
        );
    }
}
