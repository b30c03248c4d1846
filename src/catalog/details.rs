//! What a syntax tree tells beyond types: where parameters stand, which constants a result can
//! hold, how many rows it can have, what a data change does. Nothing here is bound; in doubt a
//! thing is left out.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::analyze::is_change_word;
use crate::facts::Facts;
use crate::json::{Id, Node, Tree};
use crate::request::StatementKind;
use crate::returning::conflict;
use crate::rows;
use crate::tokens::{Token, to_range};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Details {
    pub uses: Vec<ParameterUse>,
    /// Texts that are compared with a column for equality or order, or cast to a type.
    pub texts: Vec<TextUse>,
    /// The select list of a query, in order.
    pub items: Vec<Item>,
    pub rows: Rows,
    /// What the outermost `LIMIT` says: a number, or a parameter with its `$`.
    #[serde(default)]
    pub limit: Option<String>,
    /// Common table expressions that nothing reads: the engine never binds them.
    pub unused: Vec<UnusedCte>,
    pub changes: Vec<Change>,
    /// What an `INSERT` says to do about rows that are already there.
    pub conflict: Option<Conflict>,
    /// Lower-case names that the statement itself gives to columns; they may hide those of relations.
    pub aliases: BTreeSet<String>,
}

/// Where a parameter stands by itself, not inside a larger expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ParameterUse {
    pub name: String,
    pub range: Option<Range<u32>>,
    pub place: UsePlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UsePlace {
    /// Compared with a column.
    Column(Vec<String>),
    /// Put into a column.
    Assigned(Vec<String>),
    /// Put into the column of a relation at this position.
    Position(String, usize),
    /// A list that a column is looked up in.
    ListOf(Vec<String>),
    /// `LIMIT` or `OFFSET`.
    Limit,
    /// An argument of this function that names a file or an address.
    File(String),
    /// An argument of this function that names a relation or is a query.
    Relation(String),
}

/// A text constant that must be read as something else, or be one of some values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextUse {
    pub text: String,
    pub range: Option<Range<u32>>,
    pub place: TextPlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextPlace {
    Column(Vec<String>),
    /// The type of a cast that has to succeed, as written.
    Cast(String),
    /// Compared with this parameter for equality.
    Parameter(String),
}

/// `ON CONFLICT (columns)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conflict {
    /// The target as written, with its schema if it has one.
    pub relation: String,
    /// In lower case.
    pub columns: BTreeSet<String>,
    pub range: Range<u32>,
}

/// One item of a select list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// The alias, or the name of the column; nothing for other expressions.
    pub name: Option<String>,
    pub is_star: bool,
    pub range: Option<Range<u32>>,
    /// The column it is, qualifiers first, when it is nothing else.
    pub column: Vec<String>,
    /// Constants that its value can be, branches of `CASE` included.
    pub constants: Vec<Constant>,
    /// The fields of a struct that is written here.
    pub fields: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constant {
    pub kind: ConstantKind,
    pub text: String,
    pub range: Option<Range<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConstantKind {
    Null,
    Boolean,
    Number,
    Text,
}

/// How many rows a query can have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rows {
    #[default]
    Unknown,
    /// All rows of these relations, or those in a range.
    Many(Vec<String>),
    /// The rows of one relation where all these columns equal something.
    Equal(String, Vec<String>),
    /// As many as a `LIMIT` says, which allows more than one.
    UpTo(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnusedCte {
    pub name: String,
    pub range: Range<u32>,
    /// Where its definition ends: the text up to there can be bound with a query of its own.
    pub until: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    pub kind: ChangeKind,
    pub range: Range<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChangeKind {
    /// New rows in each call.
    Insert,
    /// A column gets a value made of its old one.
    UpdateByOld,
    /// Rows, columns or relations disappear.
    Delete,
    Other,
}

pub(crate) struct Reader<'a> {
    pub tree: &'a Tree,
    pub sql: &'a str,
    pub tokens: &'a [Token],
    /// Where the text of the tree starts in `sql`.
    pub base: i64,
    pub facts: &'a Facts,
}

impl Reader<'_> {
    pub(crate) fn range(&self, id: Id) -> Option<Range<u32>> {
        let location = i64::try_from(self.tree.number(id, "query_location")?).ok()?;
        let start = usize::try_from(location.checked_add(self.base)?).ok()?;
        let len = self.tree.number(id, "query_location_length").unwrap_or(0);
        let end = start + usize::try_from(len).ok()?;
        (end <= self.sql.len()).then(|| to_range(start, end))
    }

    /// Every object of the tree, in no particular order.
    pub(crate) fn objects(&self) -> Vec<Id> {
        let mut found = Vec::new();
        let mut todo = vec![self.tree.root()];
        while let Some(id) = todo.pop() {
            match self.tree.node(id) {
                Node::List(items) => todo.extend(items),
                Node::Object(fields) => {
                    found.push(id);
                    todo.extend(fields.iter().map(|f| f.1));
                }
                _ => {}
            }
        }
        found
    }

    fn node(&self) -> Option<Id> {
        let statement = self.tree.list(self.tree.root(), "statements").first()?;
        self.tree.field(*statement, "node")
    }

    pub(crate) fn details(&self, kind: &StatementKind) -> Details {
        let objects = self.objects();
        let mut details = Details {
            uses: self.uses(&objects),
            texts: self.texts(&objects),
            aliases: self.aliases(&objects),
            changes: self.changes(&objects),
            conflict: conflict(self.sql, self.tokens),
            ..Details::default()
        };
        if let (StatementKind::Select, Some(node)) = (kind, self.node()) {
            details.items = self.items(node);
            details.rows = rows::possible(self.tree, node, self.facts);
            details.limit = rows::limit(self.tree, node);
            details.unused = self.unused(node, &objects);
        } else if let StatementKind::Insert | StatementKind::Update | StatementKind::Delete = kind {
            let mut returning = objects
                .iter()
                .filter(|id| !self.tree.list(**id, "returning_list").is_empty());
            if let (Some(node), None) = (returning.next(), returning.next()) {
                details.items = self.returned(*node);
            }
        }
        details
    }

    fn aliases(&self, objects: &[Id]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for id in objects {
            for list in ["select_list", "returning_list"] {
                let items = self.tree.list(*id, list);
                names.extend(
                    items
                        .iter()
                        .filter_map(|i| self.tree.text(*i, "alias"))
                        .map(str::to_lowercase),
                );
            }
            for list in ["column_name_alias", "aliases"] {
                names.extend(self.tree.texts(*id, list).iter().map(|n| n.to_lowercase()));
            }
        }
        names
    }

    /// `WITH x AS (…)` at the start of a query where nothing names `x`.
    fn unused(&self, node: Id, objects: &[Id]) -> Vec<UnusedCte> {
        let tree = self.tree;
        let Some(map) = tree.field(node, "cte_map") else {
            return Vec::new();
        };
        let read: BTreeSet<String> = objects
            .iter()
            .filter_map(|id| tree.text(*id, "table_name"))
            .map(str::to_lowercase)
            .collect();
        tree.list(map, "map")
            .iter()
            .filter_map(|entry| {
                let name = tree.text(*entry, "key")?;
                let folded = name.to_lowercase();
                if read.contains(&folded) {
                    return None;
                }
                self.definition(&folded).map(|(range, until)| UnusedCte {
                    name: name.to_owned(),
                    range,
                    until,
                })
            })
            .collect()
    }

    /// `name AS (`: where the name stands and where the bracket closes.
    fn definition(&self, name: &str) -> Option<(Range<u32>, u32)> {
        let (sql, tokens) = (self.sql, self.tokens);
        let at = (0..tokens.len()).find(|i| {
            tokens.get(*i).and_then(|t| t.name(sql)).as_deref() == Some(name)
                && tokens.get(i + 1).is_some_and(|t| t.is_word(sql, "AS"))
        })?;
        let open = (at + 2..tokens.len().min(at + 5))
            .find(|i| tokens.get(*i).is_some_and(|t| t.is_symbol(sql, "(")))?;
        if tokens.get(open + 1).is_some_and(|t| is_change_word(sql, t)) {
            return None;
        }
        let mut depth = 0usize;
        for token in tokens.get(open..)? {
            if token.is_symbol(sql, "(") {
                depth += 1;
            } else if token.is_symbol(sql, ")") {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((tokens.get(at)?.range(), token.range().end));
                }
            }
        }
        None
    }

    fn changes(&self, objects: &[Id]) -> Vec<Change> {
        let tree = self.tree;
        let mut kinds: Vec<(ChangeKind, &str)> = Vec::new();
        for id in objects {
            match tree.text(*id, "type").unwrap_or_default() {
                "INSERT_QUERY_NODE" => {
                    let values = tree
                        .field(*id, "select_statement")
                        .and_then(|s| tree.field(s, "node"))
                        .and_then(|n| tree.field(n, "from_table"))
                        .is_some_and(|f| tree.text(f, "type") == Some("EXPRESSION_LIST"));
                    let plain = tree.field(*id, "on_conflict_info").is_none();
                    kinds.push(match values && plain {
                        true => (ChangeKind::Insert, "INSERT"),
                        false => (ChangeKind::Other, "INSERT"),
                    });
                }
                "UPDATE_QUERY_NODE" => {
                    let by_old = tree.field(*id, "set_info").is_some_and(|set| {
                        let columns = tree.texts(set, "columns");
                        columns
                            .iter()
                            .zip(tree.list(set, "expressions"))
                            .any(|(column, value)| self.adds_to(column, *value))
                    });
                    kinds.push(match by_old {
                        true => (ChangeKind::UpdateByOld, "UPDATE"),
                        false => (ChangeKind::Other, "UPDATE"),
                    });
                }
                "DELETE_QUERY_NODE" => kinds.push((ChangeKind::Delete, "DELETE")),
                "MERGE_QUERY_NODE" | "COPY_QUERY_NODE" => kinds.push((ChangeKind::Other, "")),
                _ => {}
            }
        }
        kinds
            .into_iter()
            .filter_map(|(kind, word)| {
                let token = self
                    .tokens
                    .iter()
                    .find(|t| word.is_empty() || t.is_word(self.sql, word))
                    .or(self.tokens.first())?;
                Some(Change {
                    kind,
                    range: token.range(),
                })
            })
            .collect()
    }

    /// `n = n + 1`, `text = text || 'x'`.
    fn adds_to(&self, column: &str, value: Id) -> bool {
        let tree = self.tree;
        let name = tree.text(value, "function_name").unwrap_or_default();
        matches!(name, "+" | "-" | "*" | "/" | "||")
            && tree
                .list(value, "arguments")
                .iter()
                .filter_map(|a| tree.field(*a, "expression"))
                .any(|e| {
                    tree.texts(e, "column_names")
                        .last()
                        .is_some_and(|n| n.eq_ignore_ascii_case(column))
                })
    }
}

/// The details of a statement that has a tree.
pub(crate) fn details(
    tree: &Tree,
    at: i64,
    sql: &str,
    tokens: &[Token],
    facts: &Facts,
    kind: &StatementKind,
) -> Details {
    let reader = Reader {
        tree,
        sql,
        tokens,
        base: at,
        facts,
    };
    reader.details(kind)
}

/// The details of a statement without one.
pub(crate) fn by_kind(tokens: &[Token], kind: &StatementKind) -> Details {
    let change = match kind {
        StatementKind::Drop | StatementKind::Delete => ChangeKind::Delete,
        _ => ChangeKind::Other,
    };
    let range = tokens.first().map_or(0..0, Token::range);
    Details {
        changes: vec![Change {
            kind: change,
            range,
        }],
        ..Details::default()
    }
}
