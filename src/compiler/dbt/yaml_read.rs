//! Small readers over the YAML tree that report a value of the wrong kind and go on.

use mxcp_syntax::yaml::{Kind, Node, join_pointer};
use serde_json::{Map, Value as Json};

use super::problem::{At, Problem, code};

/// A node together with its pointer from the document's root.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) node: Node<'a>,
    pub(super) pointer: String,
}

pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            problems: Vec::new(),
        }
    }

    pub(super) fn wrong(&mut self, at: &Cursor<'_>, name: &str, wanted: &str) {
        let found = at.node.kind().describe();
        self.problems.push(Problem::new(
            code::BAD_VALUE,
            At::Pointer(at.pointer.clone()),
            format!("`{name}` must be {wanted}, found {found}"),
        ));
    }

    /// A text; numbers, booleans and dates are taken as written.
    pub(super) fn text(&mut self, at: &Cursor<'_>, name: &str) -> Option<String> {
        match at.node.kind() {
            Kind::Null => None,
            Kind::Seq | Kind::Map => {
                self.wrong(at, name, "a string");
                None
            }
            _ => at.node.scalar().map(str::to_owned),
        }
    }

    /// A list of texts; one text stands for a list of one.
    pub(super) fn texts(&mut self, at: &Cursor<'_>, name: &str) -> Vec<String> {
        match at.node.kind() {
            Kind::Null => Vec::new(),
            Kind::Seq => at
                .items()
                .iter()
                .filter_map(|item| self.text(item, name))
                .collect(),
            Kind::Map => {
                self.wrong(at, name, "a list of strings");
                Vec::new()
            }
            _ => self.text(at, name).into_iter().collect(),
        }
    }

    pub(super) fn flag(&mut self, at: &Cursor<'_>, name: &str) -> Option<bool> {
        match at.node.kind() {
            Kind::Null => None,
            Kind::Bool => at.node.as_bool(),
            // Jinja decides later.
            Kind::String if at.node.as_str().is_some_and(|text| text.contains("{{")) => None,
            _ => {
                self.wrong(at, name, "`true` or `false`");
                None
            }
        }
    }

    pub(super) fn map(&mut self, at: &Cursor<'_>, name: &str) -> Map<String, Json> {
        match at.node.to_json() {
            Json::Object(map) => map,
            Json::Null => Map::new(),
            _ => {
                self.wrong(at, name, "a mapping");
                Map::new()
            }
        }
    }

    /// The items of a list of mappings, each with its `name`; others are reported and left out.
    pub(super) fn named<'a>(&mut self, at: &Cursor<'a>, what: &str) -> Vec<(String, Cursor<'a>)> {
        self.named_among(at, at.items().into_iter(), what)
    }

    /// The same for some of the list's items.
    pub(super) fn named_among<'a>(
        &mut self,
        at: &Cursor<'a>,
        items: impl Iterator<Item = Cursor<'a>>,
        what: &str,
    ) -> Vec<(String, Cursor<'a>)> {
        match at.node.kind() {
            Kind::Seq => {}
            Kind::Null => return Vec::new(),
            _ => {
                self.wrong(at, what, "a list");
                return Vec::new();
            }
        }
        let mut out = Vec::new();
        for item in items {
            if item.node.kind() != Kind::Map {
                self.wrong(&item, what, "a list of mappings with a `name`");
                continue;
            }
            match item.get("name").and_then(|name| self.text(&name, "name")) {
                Some(name) => out.push((name, item)),
                None => self.problems.push(Problem::new(
                    code::BAD_VALUE,
                    At::Pointer(item.pointer.clone()),
                    format!("this entry of `{what}` has no `name`"),
                )),
            }
        }
        out
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn root(node: Node<'a>) -> Self {
        Self {
            node,
            pointer: String::new(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Cursor<'a>> {
        self.node.get(key).map(|node| Cursor {
            node,
            pointer: join_pointer(&self.pointer, key),
        })
    }

    pub(super) fn items(&self) -> Vec<Cursor<'a>> {
        self.node
            .items()
            .enumerate()
            .map(|(index, node)| Cursor {
                node,
                pointer: join_pointer(&self.pointer, &index.to_string()),
            })
            .collect()
    }

    pub(super) fn entries(&self) -> Vec<(&'a str, Cursor<'a>)> {
        self.node
            .entries()
            .map(|(key, node)| {
                let pointer = join_pointer(&self.pointer, key.text);
                (key.text, Cursor { node, pointer })
            })
            .collect()
    }
}
