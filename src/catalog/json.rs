//! A JSON reader without recursion. The engine's syntax trees nest as deep as the user's
//! expressions do, deeper than `serde_json` accepts and than a thread's stack may hold.

/// Where a node lives in its [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(usize);

impl Id {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// Kept as text: the engine writes 64-bit positions.
    Number(String),
    Text(String),
    List(Vec<Id>),
    Object(Vec<(String, Id)>),
}

#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

enum Open {
    List(Vec<Id>),
    Object(Vec<(String, Id)>, Option<String>),
}

impl Tree {
    /// Reads one JSON value; `None` when the text is not JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut nodes = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            at += bytes
                .get(at..)?
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            let Some(&byte) = bytes.get(at) else { break };
            let done = match byte {
                b'{' => {
                    open.push(Open::Object(Vec::new(), None));
                    at += 1;
                    continue;
                }
                b'[' => {
                    open.push(Open::List(Vec::new()));
                    at += 1;
                    continue;
                }
                b',' | b':' => {
                    at += 1;
                    continue;
                }
                b'}' | b']' => {
                    at += 1;
                    match open.pop()? {
                        Open::List(items) => Node::List(items),
                        Open::Object(fields, None) => Node::Object(fields),
                        Open::Object(_, Some(_)) => return None,
                    }
                }
                b'"' => {
                    let end = string_end(bytes, at)?;
                    let value = serde_json::from_str::<String>(text.get(at..end)?).ok()?;
                    at = end;
                    if let Some(Open::Object(_, key @ None)) = open.last_mut() {
                        *key = Some(value);
                        continue;
                    }
                    Node::Text(value)
                }
                _ => {
                    let len = bytes
                        .get(at..)?
                        .iter()
                        .take_while(|b| {
                            !matches!(b, b',' | b'}' | b']') && !b.is_ascii_whitespace()
                        })
                        .count();
                    let word = text.get(at..at + len)?;
                    at += len;
                    match word {
                        "null" => Node::Null,
                        "true" => Node::Bool(true),
                        "false" => Node::Bool(false),
                        number => Node::Number(number.to_owned()),
                    }
                }
            };
            nodes.push(done);
            let id = Id(nodes.len() - 1);
            match open.last_mut() {
                Some(Open::List(items)) => items.push(id),
                Some(Open::Object(fields, key)) => fields.push((key.take()?, id)),
                None => break,
            }
        }
        (open.is_empty() && !nodes.is_empty()).then_some(Self { nodes })
    }

    pub(crate) fn root(&self) -> Id {
        Id(self.nodes.len().saturating_sub(1))
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id.0).unwrap_or(&Node::Null)
    }

    pub(crate) fn field(&self, id: Id, name: &str) -> Option<Id> {
        match self.node(id) {
            Node::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|f| f.1),
            _ => None,
        }
    }

    /// A text field; the empty text counts as absent, as the engine leaves it out or empty.
    pub(crate) fn text(&self, id: Id, name: &str) -> Option<&str> {
        match self.node(self.field(id, name)?) {
            Node::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, id: Id, name: &str) -> bool {
        self.field(id, name)
            .is_some_and(|f| matches!(self.node(f), Node::Bool(true)))
    }

    pub(crate) fn number(&self, id: Id, name: &str) -> Option<u64> {
        match self.node(self.field(id, name)?) {
            Node::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn list(&self, id: Id, name: &str) -> &[Id] {
        match self.field(id, name).map(|f| self.node(f)) {
            Some(Node::List(items)) => items,
            _ => &[],
        }
    }

    pub(crate) fn texts(&self, id: Id, name: &str) -> Vec<&str> {
        self.list(id, name)
            .iter()
            .filter_map(|item| match self.node(*item) {
                Node::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, Tree};

    #[test]
    fn reads_fields_and_any_depth() {
        let tree =
            Tree::parse(r#" {"a":[1,"x\"y",true,null],"b":{"c":18446744073709551615}} "#).unwrap();
        let b = tree.field(tree.root(), "b").unwrap();
        assert_eq!(tree.number(b, "c"), Some(u64::MAX));
        assert_eq!(tree.texts(tree.root(), "a"), ["x\"y"]);
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(matches!(
            Tree::parse(&deep).map(|t| matches!(t.node(t.root()), Node::List(_))),
            Some(true)
        ));
        assert!(Tree::parse("{\"a\":").is_none());
        assert!(Tree::parse("").is_none());
    }
}
