//! Jinja: `ref`, `source`, macros and dbt's names in templates; parameters and filters in prompts.

use mxcp_compiler::check::documents::Schema;
use mxcp_compiler::ide_support as project;

use super::{Item, ItemKind, Spot};
use crate::schema;
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
            ("ref", index) if call.in_text || index == 0 => {
                for (name, file) in project::refs(spot.db) {
                    if file != spot.file {
                        let text = match call.in_text {
                            true => name.clone(),
                            false => format!("'{name}'"),
                        };
                        items.push(
                            Item::new(name, ItemKind::Model, spot.replace)
                                .insert(text)
                                .detail(project::materialized(spot.db, file))
                                .docs(project::node_description(spot.db, file))
                                .rank(0),
                        );
                    }
                }
            }
            ("source", 0) => {
                let mut seen = Vec::new();
                for table in project::source_tables(spot.db) {
                    if !seen.contains(&table.source) {
                        let text = match call.in_text {
                            true => table.source.clone(),
                            false => format!("'{}'", table.source),
                        };
                        items.push(
                            Item::new(&table.source, ItemKind::Source, spot.replace)
                                .insert(text)
                                .rank(0),
                        );
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
            ("config", _) => configuration(spot, lead, call.in_text, &mut items),
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

/// The keys of `config(…)`, and what the grammar says of their values.
fn configuration(spot: &Spot<'_>, lead: &str, in_text: bool, items: &mut Vec<Item>) {
    const CONFIG: &str = "models/0/config";
    let written = lead.trim_end_matches(['\'', '"']).trim_end();
    let value = written.strip_suffix('=').map(|before| {
        let before = before.trim_end();
        let start = before
            .rfind(|c: char| !super::is_name(c))
            .map_or(0, |i| i + 1);
        format!("{CONFIG}/{}", before.get(start..).unwrap_or_default())
    });
    if let Some(pointer) = value {
        let known = schema::values(Schema::DbtProperties, &pointer);
        let examples = schema::examples(Schema::DbtProperties, &pointer);
        let texts = examples.iter().map(|text| (*text).to_owned());
        for value in known.into_iter().chain(texts) {
            let text = match in_text || matches!(value.as_str(), "true" | "false") {
                true => value.clone(),
                false => format!("'{value}'"),
            };
            items.push(
                Item::new(value, ItemKind::Value, spot.replace)
                    .insert(text)
                    .rank(0),
            );
        }
    } else if !in_text {
        for key in schema::keys(Schema::DbtProperties, CONFIG) {
            items.push(
                Item::new(&key.name, ItemKind::Key, spot.replace)
                    .insert(format!("{}=", key.name))
                    .docs(key.description)
                    .rank(0),
            );
        }
    }
}

/// What a template names by itself before a place: the variables of its loops, and what it sets.
fn own_names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tag in tags(text) {
        let inner = text.get(tag.range.start + 2..tag.range.end);
        let inner = inner.unwrap_or_default().trim_start_matches('-').trim();
        let list = match inner.split_once(' ') {
            Some(("for", rest)) => rest.split(" in ").next(),
            Some(("set", rest)) => rest.split('=').next(),
            _ => None,
        };
        for name in list.unwrap_or_default().split(',') {
            let name = name.trim();
            if crate::rename::is_name(name) && !found.iter().any(|f| f == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// What a loop says of itself.
const LOOP: [&str; 9] = [
    "index",
    "index0",
    "first",
    "last",
    "length",
    "revindex",
    "revindex0",
    "previtem",
    "nextitem",
];

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
    if let Some(before) = lead.strip_suffix('.') {
        if before.ends_with("loop") {
            for name in LOOP {
                items.push(Item::new(name, ItemKind::Variable, spot.replace).rank(0));
            }
        }
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
    for name in own_names(spot.before()) {
        items.push(Item::new(name, ItemKind::Variable, spot.replace).rank(0));
    }
    for name in project::prompt_globals() {
        items.push(Item::new(*name, ItemKind::Variable, spot.replace).rank(6));
    }
    items
}
