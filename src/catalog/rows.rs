//! Proves of a query that it returns one row at most.

use crate::facts::Facts;
use crate::json::{Id, Node, Tree};

/// Whether a query returns one row at most, whatever the data.
pub(crate) fn single_row(tree: &Tree, facts: &Facts) -> bool {
    let Some(node) = tree
        .list(tree.root(), "statements")
        .first()
        .and_then(|s| tree.field(*s, "node"))
    else {
        return false;
    };
    let limited = tree.list(node, "modifiers").iter().any(|m| {
        tree.text(*m, "type") == Some("LIMIT_MODIFIER")
            && tree.text(*m, "limit_type").is_none_or(|t| t == "LITERAL")
            && tree
                .field(*m, "limit")
                .and_then(|l| tree.field(l, "literal"))
                .is_some_and(|l| matches!(tree.text(l, "text"), Some("0" | "1")))
    });
    if limited {
        return true;
    }
    let ungrouped = tree.list(node, "group_expressions").is_empty()
        && tree.list(node, "group_sets").is_empty()
        && tree
            .text(node, "aggregate_handling")
            .is_none_or(|h| h == "STANDARD_HANDLING");
    if tree.text(node, "type") != Some("SELECT_NODE") || !ungrouped {
        return false;
    }
    let mut aggregates = false;
    let mut todo: Vec<Id> = tree.list(node, "select_list").to_vec();
    while let Some(id) = todo.pop() {
        match tree.node(id) {
            Node::List(items) => todo.extend(items),
            Node::Object(fields) => {
                let class = tree.text(id, "class").unwrap_or_default();
                let name = tree
                    .text(id, "function_name")
                    .unwrap_or_default()
                    .to_lowercase();
                if matches!(name.as_str(), "unnest" | "unlist" | "generate_subscripts") {
                    return false;
                }
                if matches!(class, "WINDOW" | "SUBQUERY" | "LAMBDA") {
                    continue;
                }
                aggregates |=
                    class == "FUNCTION" && (name == "count_star" || facts.is_aggregate(&name));
                todo.extend(fields.iter().map(|f| f.1));
            }
            _ => {}
        }
    }
    let from = tree.field(node, "from_table");
    let one_source_row = from.is_some_and(|f| match tree.text(f, "type") {
        Some("EMPTY") => true,
        Some("EXPRESSION_LIST") => tree.list(f, "values").len() == 1,
        _ => false,
    });
    aggregates || one_source_row
}
