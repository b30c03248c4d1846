//! How many rows a query can return.

use crate::details::Rows;
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
    one_row_of(tree, node, facts)
}

fn one_row_of(tree: &Tree, node: Id, facts: &Facts) -> bool {
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

/// How many rows a query can have, as far as its own text tells: what it reads may still be small.
pub(crate) fn possible(tree: &Tree, node: Id, facts: &Facts) -> Rows {
    let mut ctes: Vec<(String, Id)> = Vec::new();
    match possible_node(tree, node, facts, &mut ctes, 0) {
        Some(rows) => rows,
        None if one_row_of(tree, node, facts) => Rows::Unknown,
        None => several(tree, node).map_or(Rows::Unknown, Rows::UpTo),
    }
}

/// What a `LIMIT` says that lets several rows through.
fn several(tree: &Tree, node: Id) -> Option<String> {
    limit(tree, node).filter(|limit| limit.parse::<u64>().map_or(true, |n| n > 1))
}

/// What the `LIMIT` of a query says: a number, or a parameter.
pub(crate) fn limit(tree: &Tree, node: Id) -> Option<String> {
    let modifier = tree
        .list(node, "modifiers")
        .iter()
        .find(|m| tree.text(**m, "type") == Some("LIMIT_MODIFIER"))?;
    let value = tree.field(*modifier, "limit")?;
    if let Some(literal) = tree.field(value, "literal") {
        let text = tree.text(literal, "text")?;
        return text.parse::<u64>().is_ok().then(|| text.to_owned());
    }
    let name = tree.text(value, "identifier")?;
    (tree.text(value, "class") == Some("PARAMETER")).then(|| format!("${name}"))
}

fn possible_node(
    tree: &Tree,
    node: Id,
    facts: &Facts,
    ctes: &mut Vec<(String, Id)>,
    depth: usize,
) -> Option<Rows> {
    if tree.text(node, "type") != Some("SELECT_NODE") || depth > 20 {
        return None;
    }
    if let Some(map) = tree.field(node, "cte_map") {
        for entry in tree.list(map, "map") {
            let body = tree
                .field(*entry, "value")
                .and_then(|v| tree.field(v, "query_node"))?;
            ctes.push((tree.text(*entry, "key")?.to_lowercase(), body));
        }
    }
    let limited = tree
        .list(node, "modifiers")
        .iter()
        .any(|m| tree.text(*m, "type") == Some("LIMIT_MODIFIER"))
        && (depth > 0 || several(tree, node).is_none());
    let filtered_later = ["qualify", "having", "sample"]
        .iter()
        .any(|f| tree.field(node, f).is_some());
    if limited || filtered_later || one_row_of(tree, node, facts) {
        return None;
    }
    let mut equal = Vec::new();
    if let Some(filter) = tree.field(node, "where_clause") {
        conditions(tree, filter, &mut equal)?;
    }
    let from = tree.field(node, "from_table")?;
    let grouped = !tree.list(node, "group_expressions").is_empty();
    let mut relations = Vec::new();
    let plain = reads(tree, from, &mut relations);
    if !plain || relations.is_empty() {
        return None;
    }
    for name in &relations {
        if let Some((_, body)) = ctes.iter().rev().find(|(n, _)| n == name).cloned() {
            // Its rows are those of its definition, if nothing here chooses among them.
            return match (relations.len(), equal.is_empty()) {
                (1, true) => possible_node(tree, body, facts, &mut ctes.clone(), depth + 1),
                _ => None,
            };
        }
    }
    match (equal.is_empty(), relations.as_slice()) {
        (true, _) => Some(Rows::Many(relations)),
        (false, [one]) if !grouped => Some(Rows::Equal(one.clone(), equal)),
        _ => None,
    }
}

/// Collects the columns that must equal something; `None` when a condition may choose one row in
/// another way.
fn conditions(tree: &Tree, filter: Id, equal: &mut Vec<String>) -> Option<()> {
    let mut todo = vec![filter];
    while let Some(filter) = todo.pop() {
        if tree.text(filter, "type") == Some("CONJUNCTION_AND") {
            todo.extend(tree.list(filter, "children"));
        } else {
            condition(tree, filter, equal)?;
        }
    }
    Some(())
}

fn condition(tree: &Tree, filter: Id, equal: &mut Vec<String>) -> Option<()> {
    match (
        tree.text(filter, "class").unwrap_or_default(),
        tree.text(filter, "type").unwrap_or_default(),
    ) {
        ("COMPARISON", "COMPARE_EQUAL") => {
            let side = |name: &str| {
                let id = tree.field(filter, name)?;
                let class = tree.text(id, "class").unwrap_or_default();
                Some((
                    class.to_owned(),
                    tree.texts(id, "column_names")
                        .last()
                        .map(|n| (*n).to_lowercase()),
                ))
            };
            match (side("left")?, side("right")?) {
                ((left, Some(column)), (right, None)) | ((right, None), (left, Some(column)))
                    if left == "COLUMN_REF" && matches!(right.as_str(), "PARAMETER" | "CAST") =>
                {
                    equal.push(column);
                    Some(())
                }
                _ => None,
            }
        }
        (
            "COMPARISON",
            "COMPARE_GREATERTHAN"
            | "COMPARE_GREATERTHANOREQUALTO"
            | "COMPARE_LESSTHAN"
            | "COMPARE_LESSTHANOREQUALTO"
            | "COMPARE_NOTEQUAL",
        ) => {
            // Compared with the result of a query it may well be one row.
            let simple = ["left", "right"].iter().all(|side| {
                tree.field(filter, side)
                    .and_then(|s| tree.text(s, "class"))
                    .is_some_and(|c| matches!(c, "COLUMN_REF" | "PARAMETER" | "CONSTANT" | "CAST"))
            });
            simple.then_some(())
        }
        ("BETWEEN", _) | ("OPERATOR", "OPERATOR_IS_NOT_NULL") => Some(()),
        ("FUNCTION", _) => matches!(
            tree.text(filter, "function_name").unwrap_or_default(),
            "~~" | "~~*" | "!~~" | "!~~*"
        )
        .then_some(()),
        _ => None,
    }
}

/// The relations of a `FROM`, in lower case; whether it is made of nothing else.
fn reads(tree: &Tree, from: Id, relations: &mut Vec<String>) -> bool {
    let mut todo = vec![from];
    while let Some(from) = todo.pop() {
        match tree.text(from, "type").unwrap_or_default() {
            "BASE_TABLE" if tree.field(from, "sample").is_none() => {
                let name = tree.text(from, "table_name").unwrap_or_default();
                relations.push(name.to_lowercase());
            }
            "TABLE_FUNCTION" if tree.field(from, "sample").is_none() => {
                let function = tree.field(from, "function");
                let name = function.and_then(|f| tree.text(f, "function_name"));
                let Some(name) = name
                    .map(str::to_lowercase)
                    .filter(|n| Facts::reads_files(n))
                else {
                    return false;
                };
                relations.push(name);
            }
            "JOIN" => todo.extend(["right", "left"].iter().filter_map(|s| tree.field(from, s))),
            _ => return false,
        }
    }
    true
}
