//! Jinja: `ref`, `source`, macros and dbt's names in templates; parameters and filters in prompts.

use mxcp_compiler::ide_support as project;

use super::{Item, ItemKind, Spot};
use crate::template::{TagKind, tags};

/// What dbt offers in every template.
const DBT: [(&str, &str); 22] = [
    ("ref", "the relation of a model or seed"),
    ("source", "the relation of a declared source"),
    ("config", "the configuration of this model"),
    ("var", "a variable of the project"),
    ("env_var", "an environment variable"),
    ("this", "the relation that this model builds"),
    ("target", "the target of the run"),
    ("is_incremental", "whether only new rows are wanted"),
    ("model", "this node"),
    ("execute", "whether queries can be run"),
    ("run_query", "runs a query"),
    ("log", "writes to the log"),
    ("return", "returns a value of a macro"),
    ("adapter", "the adapter of the database"),
    ("exceptions", "errors and warnings"),
    ("modules", "Python modules"),
    ("tojson", "a value as JSON"),
    ("fromjson", "a value of JSON"),
    ("doc", "a docs block"),
    ("graph", "the nodes of the project"),
    ("invocation_id", "the name of this run"),
    ("run_started_at", "when this run started"),
];

const STATEMENTS: [&str; 12] = [
    "if", "elif", "else", "endif", "for", "endfor", "set", "macro", "endmacro", "do", "call", "raw",
];

/// The tag around a place, if there is one.
fn open_tag(text: &str, at: usize) -> Option<(TagKind, &str)> {
    let tag = tags(text).into_iter().find(|t| {
        t.range.start + 2 <= at && (at < t.range.end || (!t.closed && at <= t.range.end))
    })?;
    let lead = text.get(tag.range.start + 2..at)?;
    Some((tag.kind, lead))
}

/// Inside a tag of an SQL template; `None` outside of one.
pub(super) fn complete_template(spot: &Spot<'_>) -> Option<Vec<Item>> {
    let (kind, lead) = open_tag(&spot.part.text, spot.start)?;
    if kind == TagKind::Comment {
        return Some(Vec::new());
    }
    if let Some((call, index)) = open_call(lead) {
        let mut items = Vec::new();
        match (call.name.as_str(), index) {
            ("ref", _) if call.in_text => {
                for (name, file) in project::refs(spot.db) {
                    if file != spot.file {
                        items.push(
                            Item::new(name, ItemKind::Model, spot.replace)
                                .detail(project::materialized(spot.db, file))
                                .docs(project::node_description(spot.db, file))
                                .rank(0),
                        );
                    }
                }
            }
            ("source", 0) if call.in_text => {
                let mut seen = Vec::new();
                for table in project::source_tables(spot.db) {
                    if !seen.contains(&table.source) {
                        items
                            .push(Item::new(&table.source, ItemKind::Source, spot.replace).rank(0));
                        seen.push(table.source);
                    }
                }
            }
            ("source", 1) if call.in_text => {
                for table in project::source_tables(spot.db) {
                    if Some(&table.source) == call.first.as_ref() {
                        items.push(
                            Item::new(table.table, ItemKind::Source, spot.replace)
                                .docs(table.description)
                                .rank(0),
                        );
                    }
                }
            }
            _ if call.in_text => {}
            _ => names(spot, kind, lead, &mut items),
        }
        return Some(items);
    }
    let mut items = Vec::new();
    names(spot, kind, lead, &mut items);
    Some(items)
}

/// A call that is being written.
struct OpenCall {
    name: String,
    in_text: bool,
    /// The first argument, when it is a text.
    first: Option<String>,
}

/// The innermost call that is not closed, and which argument is being written.
fn open_call(lead: &str) -> Option<(OpenCall, usize)> {
    let mut stack: Vec<(usize, usize)> = Vec::new();
    let mut quote = None;
    for (i, c) in lead.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' => quote = Some(c),
                '(' => stack.push((i, 0)),
                ')' => {
                    stack.pop();
                }
                ',' => {
                    if let Some((_, index)) = stack.last_mut() {
                        *index += 1;
                    }
                }
                _ => {}
            },
        }
    }
    let (open, index) = stack.pop()?;
    let head = lead.get(..open)?.trim_end();
    let start = head
        .rfind(|c: char| !super::is_name(c) && c != '.')
        .map_or(0, |i| i + 1);
    let first = lead
        .get(open + 1..)?
        .split(',')
        .next()
        .map(|a| a.trim().trim_matches(['\'', '"']).to_owned());
    Some((
        OpenCall {
            name: head.get(start..)?.to_owned(),
            in_text: quote.is_some(),
            first,
        },
        index,
    ))
}

fn names(spot: &Spot<'_>, kind: TagKind, lead: &str, items: &mut Vec<Item>) {
    let trimmed = lead.trim_start_matches('-').trim();
    if kind == TagKind::Statement && trimmed.is_empty() {
        for word in STATEMENTS {
            items.push(Item::new(word, ItemKind::Keyword, spot.replace).rank(0));
        }
        return;
    }
    if lead.trim_end().ends_with('|') {
        filters(spot, items);
        return;
    }
    for (name, text) in DBT {
        items.push(
            Item::new(name, ItemKind::Variable, spot.replace)
                .docs(Some(text.to_owned()))
                .rank(2),
        );
    }
    for file in project::macro_files(spot.db) {
        for found in mxcp_syntax::jinja::scan(file.text(spot.db)).macros {
            let params: Vec<&str> = found.params.iter().map(|p| p.name.as_str()).collect();
            items.push(
                Item::new(&found.name, ItemKind::Macro, spot.replace)
                    .detail(format!("{}({})", found.name, params.join(", ")))
                    .docs(Some(format!("`{}`", file.path(spot.db))))
                    .rank(1),
            );
        }
    }
}

fn filters(spot: &Spot<'_>, items: &mut Vec<Item>) {
    for name in project::prompt_filters() {
        items.push(Item::new(*name, ItemKind::Filter, spot.replace).rank(1));
    }
}

/// Messages of prompts.
pub(super) fn complete_prompt(spot: &Spot<'_>) -> Vec<Item> {
    let Some((kind, lead)) = open_tag(&spot.part.text, spot.start) else {
        return Vec::new();
    };
    let mut items = Vec::new();
    if kind == TagKind::Comment {
        return items;
    }
    let trimmed = lead.trim_end();
    if trimmed.ends_with('|') {
        filters(spot, &mut items);
        return items;
    }
    if trimmed.ends_with(" is") || trimmed.ends_with(" is not") {
        for name in project::prompt_tests() {
            items.push(Item::new(*name, ItemKind::Filter, spot.replace).rank(1));
        }
        return items;
    }
    if kind == TagKind::Statement && trimmed.trim_start_matches('-').trim().is_empty() {
        for word in ["if", "elif", "else", "endif", "for", "endfor", "set"] {
            items.push(Item::new(word, ItemKind::Keyword, spot.replace).rank(0));
        }
        return items;
    }
    items.extend(spot.parameters());
    for name in project::prompt_globals() {
        items.push(Item::new(*name, ItemKind::Variable, spot.replace).rank(6));
    }
    items
}
