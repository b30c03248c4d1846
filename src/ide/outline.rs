//! The shape of files: symbols, folds and ever wider selections.

use mxcp_artifact::EndpointKind;
use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{
    DocumentKind, document_kind, endpoint_def, endpoint_files, parse_yaml, python_module,
};
use mxcp_compiler::ide_support as project;
use mxcp_syntax::yaml::{Kind, Node};

use crate::Place;
use crate::embedded::embedded;
use crate::goto::definitions;
use crate::hover::call;
use crate::names::{all_files, file_sql};
use crate::symbol::Symbol;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Tool,
    Resource,
    Prompt,
    Parameter,
    Property,
    Section,
    Test,
    Model,
    Source,
    Column,
    Cte,
    Macro,
    Function,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub detail: Option<String>,
    pub kind: EntryKind,
    pub range: TextRange,
    /// The name itself.
    pub selection: TextRange,
    pub children: Vec<Entry>,
}

impl Entry {
    fn new(
        name: impl Into<String>,
        kind: EntryKind,
        range: TextRange,
        selection: TextRange,
    ) -> Self {
        let name: String = name.into();
        Self {
            // An entry without a name is none to the protocol.
            name: if name.is_empty() { "…".into() } else { name },
            detail: None,
            kind,
            range: range.cover(selection),
            selection,
            children: Vec::new(),
        }
    }
}

pub fn symbols(db: &dyn Db, file: SourceFile) -> Vec<Entry> {
    match document_kind(db, file) {
        DocumentKind::Endpoint(kind) => of_endpoint(db, file, kind),
        DocumentKind::Eval => {
            let root = parse_yaml(db, file).root();
            named(root.and_then(|r| r.get("tests")), EntryKind::Test)
        }
        DocumentKind::DbtProperties => of_properties(db, file),
        DocumentKind::Site | DocumentKind::DbtProject => {
            let root = parse_yaml(db, file).root();
            let entries = root.into_iter().flat_map(|r| r.entries());
            entries
                .map(|(key, value)| {
                    Entry::new(
                        key.text,
                        EntryKind::Section,
                        key.range.cover(value.range()),
                        key.range,
                    )
                })
                .collect()
        }
        DocumentKind::Python => python_module(db, file)
            .functions
            .iter()
            .map(|f| Entry::new(&f.name, EntryKind::Function, f.range, f.name_range))
            .collect(),
        DocumentKind::DbtMacro => mxcp_syntax::jinja::scan(file.text(db))
            .macros
            .into_iter()
            .map(|m| Entry::new(m.name, EntryKind::Macro, m.range, m.name_range))
            .collect(),
        _ => of_sql(db, file),
    }
}

fn named(list: Option<Node<'_>>, kind: EntryKind) -> Vec<Entry> {
    list.into_iter()
        .flat_map(|n| n.items())
        .filter_map(|item| {
            let name = item.get("name")?;
            Some(Entry::new(
                name.scalar().unwrap_or_default(),
                kind,
                item.range(),
                name.range(),
            ))
        })
        .collect()
}

fn of_endpoint(db: &dyn Db, file: SourceFile, kind: EndpointKind) -> Vec<Entry> {
    let (Some(def), Some(root)) = (endpoint_def(db, file), parse_yaml(db, file).root()) else {
        return Vec::new();
    };
    let Some((key, node)) = root.get_entry(kind.as_str()) else {
        return Vec::new();
    };
    let selection = node.get("name").map_or(key.range, |n| n.range());
    let mut entry = Entry::new(
        def.id().unwrap_or_default(),
        match kind {
            EndpointKind::Tool => EntryKind::Tool,
            EndpointKind::Resource => EntryKind::Resource,
            EndpointKind::Prompt => EntryKind::Prompt,
        },
        key.range.cover(node.range()),
        selection,
    );
    entry.detail = Some(call(def));
    for (key, value) in node.entries() {
        let whole = key.range.cover(value.range());
        let children = match key.text {
            "parameters" => named(Some(value), EntryKind::Parameter),
            "tests" => named(Some(value), EntryKind::Test),
            "return" | "return_" => {
                let mut row = value;
                while let Some(items) = row.get("items") {
                    row = items;
                }
                let properties = row.get("properties");
                properties
                    .into_iter()
                    .flat_map(|p| p.entries())
                    .map(|(key, value)| {
                        let range = key.range.cover(value.range());
                        Entry::new(key.text, EntryKind::Property, range, key.range)
                    })
                    .collect()
            }
            "source" | "policies" | "messages" => Vec::new(),
            _ => continue,
        };
        let mut section = Entry::new(key.text, EntryKind::Section, whole, key.range);
        section.children = children;
        entry.children.push(section);
    }
    vec![entry]
}

fn of_properties(db: &dyn Db, file: SourceFile) -> Vec<Entry> {
    let Some(root) = parse_yaml(db, file).root() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for section in ["models", "seeds", "snapshots"] {
        for item in root.get(section).into_iter().flat_map(|n| n.items()) {
            if let Some(name) = item.get("name") {
                let text = name.scalar().unwrap_or_default();
                let mut entry = Entry::new(text, EntryKind::Model, item.range(), name.range());
                entry.children = named(item.get("columns"), EntryKind::Column);
                found.push(entry);
            }
        }
    }
    for item in root.get("sources").into_iter().flat_map(|n| n.items()) {
        if let Some(name) = item.get("name") {
            let text = name.scalar().unwrap_or_default();
            let mut entry = Entry::new(text, EntryKind::Source, item.range(), name.range());
            entry.children = named(item.get("tables"), EntryKind::Model);
            found.push(entry);
        }
    }
    found
}

fn of_sql(db: &dyn Db, file: SourceFile) -> Vec<Entry> {
    let Some(sql) = file_sql(db, file) else {
        return Vec::new();
    };
    let place = |range: &std::ops::Range<u32>| sql.embedded.to_file(range.clone());
    let mut found: Vec<Entry> = sql
        .resolved
        .ctes
        .iter()
        .map(|cte| {
            let at = place(&cte.range);
            let end = cte.body.as_ref().map_or(at, place);
            Entry::new(&cte.name, EntryKind::Cte, at.cover(end), at)
        })
        .collect();
    found.extend(
        sql.resolved
            .outputs
            .iter()
            .filter(|o| o.is_result)
            .map(|o| {
                let at = place(&o.range);
                Entry::new(&o.name, EntryKind::Column, at, at)
            }),
    );
    found
}

/// Names of the whole project that contain the letters of a query in order.
pub fn workspace(db: &dyn Db, query: &str) -> Vec<(Entry, Place)> {
    let mut found = Vec::new();
    let mut add = |name: String, kind: EntryKind, detail: Option<String>, symbol: Symbol| {
        if !matches(&name, query) {
            return;
        }
        if let Some(place) = definitions(db, &symbol).into_iter().next() {
            let mut entry = Entry::new(name, kind, place.range.0, place.range.0);
            entry.detail = detail;
            found.push((entry, place));
        }
    };
    for file in endpoint_files(db) {
        let Some(def) = endpoint_def(db, *file) else {
            continue;
        };
        let Some(id) = def.id() else { continue };
        let kind = match def.kind {
            EndpointKind::Tool => EntryKind::Tool,
            EndpointKind::Resource => EntryKind::Resource,
            EndpointKind::Prompt => EntryKind::Prompt,
        };
        let symbol = Symbol::Endpoint {
            kind: def.kind,
            id: id.to_owned(),
        };
        add(id.to_owned(), kind, def.description.clone(), symbol);
    }
    for (name, file) in project::refs(db) {
        let symbol = Symbol::Node {
            path: file.path(db).to_owned(),
        };
        add(
            name,
            EntryKind::Model,
            Some(project::materialized(db, file)),
            symbol,
        );
    }
    for table in project::source_tables(db) {
        let name = format!("{}.{}", table.source, table.table);
        let symbol = Symbol::Source {
            source: table.source,
            table: table.table,
        };
        add(name, EntryKind::Source, None, symbol);
    }
    for file in project::macro_files(db) {
        for found in mxcp_syntax::jinja::scan(file.text(db)).macros {
            let name = found.name.clone();
            add(
                name,
                EntryKind::Macro,
                None,
                Symbol::Macro { name: found.name },
            );
        }
    }
    for file in all_files(db) {
        if document_kind(db, file) == DocumentKind::Python {
            for function in &python_module(db, file).functions {
                let symbol = Symbol::Python {
                    path: file.path(db).to_owned(),
                    name: function.name.clone(),
                };
                add(function.name.clone(), EntryKind::Function, None, symbol);
            }
        }
    }
    found
}

fn matches(name: &str, query: &str) -> bool {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    query
        .chars()
        .flat_map(char::to_lowercase)
        .all(|wanted| letters.any(|c| c == wanted))
}

/// Ranges that can be folded: blocks of YAML, brackets of SQL, comments.
pub fn folds(db: &dyn Db, file: SourceFile) -> Vec<(TextRange, bool)> {
    let text = file.text(db);
    let mut found = Vec::new();
    if let Some(root) = crate::schema::of_file(db, file).and_then(|_| parse_yaml(db, file).root()) {
        let mut open = vec![(root, 0u32)];
        while let Some((node, depth)) = open.pop() {
            if depth > 60 || node.is_alias() {
                continue;
            }
            for (key, value) in node.entries() {
                found.push((key.range.cover(value.range()), false));
                open.push((value, depth + 1));
            }
            for item in node.items() {
                if matches!(item.kind(), Kind::Map | Kind::Seq) {
                    found.push((item.range(), false));
                }
                open.push((item, depth + 1));
            }
        }
    }
    if let Some(sql) = file_sql(db, file) {
        let mut brackets = Vec::new();
        for token in mxcp_syntax::sql::tokens(&sql.sql) {
            match &sql.sql[token.range] {
                "(" | "[" | "{" => brackets.push(token.range.start()),
                ")" | "]" | "}" => {
                    if let Some(start) = brackets.pop() {
                        let range = u32::from(start)..u32::from(token.range.end());
                        found.push((sql.embedded.to_file(range), false));
                    }
                }
                _ => {}
            }
        }
    }
    // Runs of comment lines.
    let mut run: Option<TextRange> = None;
    let mut at = 0usize;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let comment = trimmed.starts_with('#') || trimmed.starts_with("--");
        let range = range_of(at, at + line.trim_end().len());
        at += line.len();
        run = match (run, comment) {
            (Some(run), true) => Some(run.cover(range)),
            (None, true) => Some(range),
            (Some(run), false) => {
                found.push((run, true));
                None
            }
            (None, false) => None,
        };
    }
    found.extend(run.map(|run| (run, true)));
    found.retain(|(range, _)| {
        text.get(std::ops::Range::<usize>::from(*range))
            .is_some_and(|t| t.trim_end().contains('\n'))
    });
    found.sort_by_key(|(range, _)| (range.start(), std::cmp::Reverse(range.end())));
    found.dedup_by_key(|(range, _)| range.start());
    found
}

fn range_of(start: usize, end: usize) -> TextRange {
    let cut = |n: usize| TextSize::from(u32::try_from(n).unwrap_or(u32::MAX));
    TextRange::new(cut(start), cut(end).max(cut(start)))
}

/// Ever wider ranges around an offset: the word, its brackets, the text it stands in, the YAML around.
pub fn selections(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<TextRange> {
    let text = file.text(db);
    let mut found = Vec::new();
    let at = usize::from(offset);
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let start = text
        .get(..at)
        .unwrap_or_default()
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_name(*c))
        .last()
        .map_or(at, |(i, _)| i);
    let rest = text.get(at..).unwrap_or_default();
    let end = at + rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    found.push(range_of(start, end));
    if let Some(sql) = file_sql(db, file)
        && let Some(inner) = sql.embedded.offset(text, offset)
        && sql.embedded.range.contains_inclusive(offset)
    {
        let mut brackets = Vec::new();
        for token in mxcp_syntax::sql::tokens(&sql.sql) {
            match &sql.sql[token.range] {
                "(" | "[" | "{" => brackets.push(u32::from(token.range.start())),
                ")" | "]" | "}" => {
                    if let Some(start) = brackets.pop()
                        && start <= inner
                        && inner <= u32::from(token.range.end())
                    {
                        found.push(sql.embedded.to_file(start..token.range.end().into()));
                    }
                }
                _ => {}
            }
        }
        for statement in mxcp_syntax::sql::statements(&sql.sql) {
            if statement.contains_inclusive(inner.into()) {
                let range = u32::from(statement.start())..u32::from(statement.end());
                found.push(sql.embedded.to_file(range));
            }
        }
    }
    for part in embedded(db, file) {
        if part.range.contains_inclusive(offset) {
            found.push(part.range);
        }
    }
    if crate::schema::of_file(db, file).is_some() {
        let mut node = parse_yaml(db, file).root();
        while let Some(here) = node {
            found.push(here.range());
            node = None;
            for (key, value) in here.entries() {
                let whole = key.range.cover(value.range());
                if whole.contains_inclusive(offset) {
                    found.push(whole);
                    if key.range.contains_inclusive(offset) {
                        found.push(key.range);
                    } else {
                        node = Some(value);
                    }
                    break;
                }
            }
            if node.is_none() {
                node = here.items().find(|i| i.range().contains_inclusive(offset));
            }
        }
    }
    found.push(TextRange::up_to(TextSize::of(text)));
    found.retain(|r| r.contains_inclusive(offset));
    found.sort_by_key(|r| r.len());
    // Each has to lie within the next one.
    let mut nested: Vec<TextRange> = Vec::new();
    for range in found {
        match nested.last() {
            Some(last) if *last == range || !range.contains_range(*last) => {}
            _ => nested.push(range),
        }
    }
    nested
}
