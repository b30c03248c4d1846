//! The expressions of a syntax tree by the part of the text that each covers.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::json::{Id, Node, Tree};

/// An expression of the tree by its extent in the text.
pub(crate) struct Spot {
    pub location: usize,
    pub extent: Range<usize>,
    pub class: String,
    pub names: Vec<String>,
    /// An item of a select list without an alias: its column takes its name.
    pub unnamed_item: bool,
}

/// Every expression with a position, and the part of the text that it and its children cover.
pub(crate) fn spots(tree: &Tree, base: i64) -> Vec<Spot> {
    let mut unnamed = BTreeSet::new();
    let mut spots: Vec<Spot> = Vec::new();
    // A node and the spots around it, so that an operator covers its operands.
    let mut todo: Vec<(Id, Vec<usize>)> = vec![(tree.root(), Vec::new())];
    while let Some((id, around)) = todo.pop() {
        match tree.node(id) {
            Node::List(items) => todo.extend(items.iter().map(|i| (*i, around.clone()))),
            Node::Object(fields) => {
                for list in ["select_list", "returning_list"] {
                    unnamed.extend(
                        tree.list(id, list)
                            .iter()
                            .filter(|i| tree.text(**i, "alias").is_none())
                            .map(|i| i.index()),
                    );
                }
                let mut around = around;
                let class = tree.text(id, "class").unwrap_or_default();
                if class.is_empty() {
                    // A query inside an expression is covered by its own brackets.
                    if tree.text(id, "type").is_some_and(|t| t.ends_with("_NODE")) {
                        around.clear();
                    }
                } else if let Some(range) = extent(tree, id, base) {
                    for outer in &around {
                        if let Some(spot) = spots.get_mut(*outer) {
                            spot.extent.start = spot.extent.start.min(range.start);
                            spot.extent.end = spot.extent.end.max(range.end);
                        }
                    }
                    spots.push(Spot {
                        location: range.start,
                        extent: range,
                        class: class.to_owned(),
                        names: tree
                            .texts(id, "column_names")
                            .iter()
                            .map(|n| (*n).to_owned())
                            .collect(),
                        unnamed_item: unnamed.contains(&id.index()),
                    });
                    around.push(spots.len() - 1);
                }
                todo.extend(fields.iter().map(|f| (f.1, around.clone())));
            }
            _ => {}
        }
    }
    spots
}

fn extent(tree: &Tree, id: Id, base: i64) -> Option<Range<usize>> {
    let location = i64::try_from(tree.number(id, "query_location")?).ok()?;
    let start = usize::try_from(location.checked_add(base)?).ok()?;
    let len = usize::try_from(tree.number(id, "query_location_length").unwrap_or(0)).ok()?;
    Some(start..start.checked_add(len)?)
}
