//! Which columns a query's result is made of, read from the engine's syntax tree.
//!
//! Nothing is bound here: names are resolved by scopes, and stars by the columns the caller knows.
//! What cannot be told is left out; no text is ever judged.

mod expression;
mod query;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use mxcp_artifact::RelationName;
use serde::{Deserialize, Serialize};

use crate::analyze::Parsed;
use crate::json::{Id, Tree};

/// How a column came from another one, from the closest to the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum How {
    /// It is that column, perhaps under another name.
    Direct,
    /// It is computed from it.
    Expression,
    /// It is computed from the values of several rows.
    Aggregate,
}

/// A column of a stored relation, both names folded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceColumn {
    pub relation: RelationName,
    pub column: String,
}

pub type Sources = BTreeMap<SourceColumn, How>;

/// One column of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OutputColumn {
    /// As written; empty where the engine makes a name up.
    pub name: String,
    /// The columns whose values it can show. What only counts or compares them shows none.
    #[serde(with = "pairs")]
    pub from: Sources,
    /// Where it is written, in bytes of the text.
    pub range: Option<Range<u32>>,
}

/// The columns of a text's last statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lineage {
    pub columns: Vec<OutputColumn>,
    /// Every column is there, in the order of the result.
    pub complete: bool,
}

// JSON has texts for keys, and a column is none.
mod pairs {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{How, SourceColumn, Sources};

    pub(super) fn serialize<S: Serializer>(map: &Sources, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Sources, D::Error> {
        let pairs = Vec::<(SourceColumn, How)>::deserialize(from)?;
        Ok(pairs.into_iter().collect())
    }
}

/// Columns of a relation by its name; `None` when they are not known.
pub(crate) type Known<'a> = dyn Fn(&RelationName) -> Option<Vec<String>> + 'a;

pub(crate) fn lineage(statements: &[Parsed], known: &Known<'_>) -> Lineage {
    let Some((tree, base)) = statements.last().and_then(|s| s.tree.as_ref()) else {
        return Lineage::default();
    };
    let reader = Reader {
        tree,
        base: *base,
        known,
    };
    let root = reader.root();
    match root {
        Some(root) => {
            let outputs = reader.query(root, &Scope::default(), 0);
            Lineage {
                columns: outputs.columns,
                complete: outputs.complete,
            }
        }
        None => Lineage::default(),
    }
}

/// Deeper trees are not followed: the stack is finite.
const MAX_DEPTH: usize = 150;

struct Reader<'a> {
    tree: &'a Tree,
    /// Where the parsed text starts in the whole one.
    base: i64,
    known: &'a Known<'a>,
}

/// What a query yields.
#[derive(Clone, Debug, Default)]
struct Outputs {
    columns: Vec<OutputColumn>,
    complete: bool,
}

/// A relation in `FROM`.
#[derive(Clone, Debug, Default)]
struct Table {
    alias: String,
    columns: Vec<(String, Sources)>,
    /// Columns that are not listed come from here.
    others: Sources,
    /// There may be columns that are not listed.
    open: bool,
    /// Columns of the right side of `USING`, which a star does not repeat.
    hidden: Vec<String>,
}

/// The names visible at one place.
#[derive(Default)]
struct Scope<'s> {
    outer: Option<&'s Scope<'s>>,
    tables: Vec<Table>,
    with: Vec<(String, Outputs)>,
    /// Columns of the select list so far, which later ones may name.
    selected: Vec<(String, Sources)>,
    /// Parameters of lambdas.
    shadows: Vec<String>,
}

impl<'s> Scope<'s> {
    fn inside(outer: &'s Scope<'s>) -> Self {
        Self {
            outer: Some(outer),
            ..Self::default()
        }
    }
}

impl Reader<'_> {
    /// The query itself, without what was wrapped around a data change to get its tree.
    fn root(&self) -> Option<Id> {
        let tree = self.tree;
        let statement = tree.list(tree.root(), "statements").first();
        let node = match statement {
            Some(statement) => tree.field(*statement, "node")?,
            None => tree.field(tree.root(), "node").unwrap_or(tree.root()),
        };
        let wrapped = tree.field(node, "cte_map").and_then(|map| {
            let entry = *tree.list(map, "map").first()?;
            (tree.text(entry, "key") == Some("__mxcp"))
                .then(|| tree.field(tree.field(entry, "value")?, "query_node"))
                .flatten()
        });
        Some(wrapped.unwrap_or(node))
    }

    fn range(&self, id: Id) -> Option<Range<u32>> {
        let start = self.tree.number(id, "query_location")?;
        let len = self.tree.number(id, "query_location_length")?;
        let start = u32::try_from(i64::try_from(start).ok()? + self.base).ok()?;
        let end = start.checked_add(u32::try_from(len).ok()?)?;
        (start < end).then_some(start..end)
    }
}

/// Adds sources, the closest way to each column winning.
fn add(into: &mut Sources, from: Sources) {
    for (column, how) in from {
        let known = into.entry(column).or_insert(how);
        *known = (*known).min(how);
    }
}

/// The same sources at least as far away as `how`.
fn at_least(sources: Sources, how: How) -> Sources {
    sources
        .into_iter()
        .map(|(column, known)| (column, known.max(how)))
        .collect()
}
