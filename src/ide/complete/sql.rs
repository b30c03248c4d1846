//! SQL: columns, relations, functions and parameters by position, in a text that need not be whole.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_base::SourceFile;
use mxcp_compiler::documents::endpoint_def;
use mxcp_compiler::ide_support as project;
use mxcp_compiler::relations::{RelationKey, known_relations};
use mxcp_compiler::sql::bound_type;
use mxcp_syntax::sql::{Token, TokenKind, tokens};

use super::{Item, ItemKind, Spot};
use crate::functions;
use crate::names::{Names, endpoints_of, file_sql, stored_columns};
use crate::sql::keywords::PHRASES;
use crate::sql::{Column, Resolved, Scope, Table, resolve};
use crate::symbol::Symbol;
use crate::template;
use crate::typing::local_column;

/// Stands where the author is typing: a text with a name there has its clauses where they belong.
const CURSOR: &str = "mxcp_cursor";

pub(super) fn complete(spot: &Spot<'_>) -> Vec<Item> {
    let sql = covered(spot);
    let before: Vec<Token> = tokens(sql.get(..spot.start).unwrap_or_default());
    if inside_text(&sql, spot, &before) {
        return Vec::new();
    }
    let lead = sql.get(..spot.start).unwrap_or_default();
    if lead.ends_with('$') {
        return parameters(spot);
    }
    let resolved = with_cursor(spot, &sql);
    let at = u32::try_from(spot.start).unwrap_or(u32::MAX);
    let scope = resolved
        .scopes
        .iter()
        .filter(|s| s.range.start <= at && at <= s.range.end)
        .min_by_key(|s| s.range.end - s.range.start);
    if lead.ends_with('.') {
        return qualified(spot, &sql, &resolved, scope);
    }
    let mut items = Vec::new();
    if reads(&sql, &before) {
        relations(spot, scope, &mut items);
        return items;
    }
    if let Some(scope) = scope {
        for table in &scope.tables {
            columns(spot, &resolved, table, &mut items);
        }
        for table in scope.tables.iter().filter(|t| !t.name.is_empty()) {
            let item = Item::new(&table.name, ItemKind::Table, spot.replace).rank(4);
            if !items.iter().any(|i| i.label == item.label) {
                items.push(item);
            }
        }
    }
    functions(spot, &mut items);
    for word in PHRASES {
        items.push(Item::new(word, ItemKind::Keyword, spot.replace).rank(8));
    }
    items
}

fn covered(spot: &Spot<'_>) -> String {
    match spot.part.language {
        crate::embedded::Language::Template => {
            template::covered(&spot.part.text, &template::tags(&spot.part.text))
        }
        _ => spot.part.text.clone(),
    }
}

/// Names in strings and comments are none.
fn inside_text(sql: &str, spot: &Spot<'_>, before: &[Token]) -> bool {
    before.last().is_some_and(|t| {
        let text = &sql[t.range];
        let ends_here = usize::from(t.range.end()) == spot.start;
        match t.kind {
            TokenKind::String => ends_here && (text.len() == 1 || !text.ends_with('\'')),
            TokenKind::Comment => ends_here && !text.ends_with("*/"),
            _ => false,
        }
    })
}

fn with_cursor(spot: &Spot<'_>, sql: &str) -> Resolved {
    let mut text = sql.to_owned();
    text.replace_range(spot.start..spot.at, CURSOR);
    let masks = file_sql(spot.db, spot.file).map_or(&[][..], |s| s.masks.as_slice());
    // What stands behind the cursor has moved.
    let shift = CURSOR.len() as i64 - (spot.at - spot.start) as i64;
    let moved: Vec<crate::names::Mask> = masks
        .iter()
        .map(|m| {
            let mut m = m.clone();
            if m.range.start >= spot.at {
                let by = |n: usize| usize::try_from(n as i64 + shift).unwrap_or(n);
                m.range = by(m.range.start)..by(m.range.end);
            }
            m
        })
        .collect();
    resolve(
        &text,
        &Names {
            db: spot.db,
            masks: &moved,
        },
    )
}

/// Whether the name of a relation comes next.
fn reads(sql: &str, before: &[Token]) -> bool {
    let significant: Vec<&Token> = before
        .iter()
        .filter(|t| t.kind != TokenKind::Comment)
        .collect();
    let Some(last) = significant.last() else {
        return false;
    };
    let word = sql[last.range].to_uppercase();
    if matches!(
        word.as_str(),
        "FROM" | "JOIN" | "INTO" | "UPDATE" | "TABLE" | "DESCRIBE" | "SUMMARIZE"
    ) {
        return true;
    }
    // `FROM a, |`.
    word == ","
        && significant
            .iter()
            .rev()
            .map(|t| sql[t.range].to_uppercase())
            .find(|w| {
                matches!(
                    w.as_str(),
                    "SELECT" | "FROM" | "WHERE" | "BY" | "(" | ")" | "VALUES" | "SET" | "ON"
                )
            })
            .is_some_and(|w| w == "FROM")
}

fn parameters(spot: &Spot<'_>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for endpoint in endpoints_of(spot.db, spot.file) {
        let Some(def) = endpoint_def(spot.db, *endpoint) else {
            continue;
        };
        for parameter in &def.parameters {
            if items.iter().any(|i| i.label == parameter.name) {
                continue;
            }
            let mut item = Item::new(&parameter.name, ItemKind::Parameter, spot.replace).rank(0);
            if let Some(ty) = &parameter.ty {
                let sql = bound_type(ty).map_or_else(String::new, |t| t.to_string());
                item = item.detail(sql).docs(ty.description.clone());
            }
            items.push(item);
        }
    }
    items
}

/// The columns of what stands before the dot, or the relations of a schema.
fn qualified(spot: &Spot<'_>, sql: &str, resolved: &Resolved, scope: Option<&Scope>) -> Vec<Item> {
    let lead = sql
        .get(..spot.start)
        .unwrap_or_default()
        .trim_end_matches('.');
    let start = lead
        .char_indices()
        .rev()
        .take_while(|(_, c)| super::is_name(*c) || *c == '"')
        .last()
        .map_or(lead.len(), |(i, _)| i);
    let qualifier = lead
        .get(start..)
        .unwrap_or_default()
        .trim_matches('"')
        .to_lowercase();
    let mut items = Vec::new();
    let tables = scope.into_iter().flat_map(|s| &s.tables);
    for table in tables.filter(|t| t.name == qualifier) {
        columns(spot, resolved, table, &mut items);
    }
    if items.is_empty() {
        for name in known_relations(spot.db) {
            if let Some((schema, table)) = name.split_once('.')
                && schema.eq_ignore_ascii_case(&qualifier)
            {
                items.push(Item::new(table, ItemKind::Table, spot.replace).rank(1));
            }
        }
    }
    items
}

fn columns(spot: &Spot<'_>, resolved: &Resolved, table: &Table, items: &mut Vec<Item>) {
    for (name, column) in &table.columns {
        if name == CURSOR || items.iter().any(|i| i.label == *name) {
            continue;
        }
        let mut item = Item::new(name, ItemKind::Column, spot.replace).rank(1);
        item.insert = quoted(name);
        if let Column::Known(Symbol::Column { relation, name }) = column {
            if let Some(ty) = column_type(spot, relation, name) {
                item.detail = Some(ty);
            }
            item.docs = docs(spot, relation, name);
        } else if let Column::Output(i) = column
            && let Some(column) = local_column(spot.db, spot.file, resolved, *i)
        {
            item.detail = Some(column.ty.to_string());
        }
        items.push(item);
    }
}

fn column_type(spot: &Spot<'_>, relation: &RelationName, name: &str) -> Option<String> {
    let columns = stored_columns(spot.db, relation);
    let column = columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))?;
    let null = if column.nullable { "" } else { " NOT NULL" };
    Some(format!("{}{null}", column.ty))
}

fn docs(spot: &Spot<'_>, relation: &RelationName, name: &str) -> Option<String> {
    let key = RelationKey::new(spot.db, relation.clone());
    let file = mxcp_compiler::models::model_for_relation(spot.db, key)?;
    let text = project::column_description(spot.db, file, name).and_then(|d| d.0);
    Some(match text {
        Some(text) => format!("{text}\n\ncolumn of `{relation}`"),
        None => format!("column of `{relation}`"),
    })
}

/// A name that DuckDB reads as itself.
fn quoted(name: &str) -> String {
    match crate::rename::is_name(name) {
        true => name.to_owned(),
        false => mxcp_artifact::catalog::quote_identifier(name),
    }
}

fn relations(spot: &Spot<'_>, scope: Option<&Scope>, items: &mut Vec<Item>) {
    for name in scope.into_iter().flat_map(|s| &s.ctes) {
        items.push(
            Item::new(name, ItemKind::Table, spot.replace)
                .detail("common table expression")
                .rank(0),
        );
    }
    // A model is read through `ref`, which orders the builds.
    if spot.part.language == crate::embedded::Language::Template {
        for (name, file) in project::refs(spot.db) {
            if file == spot.file {
                continue;
            }
            items.push(
                Item::new(format!("ref('{name}')"), ItemKind::Model, spot.replace)
                    .insert(format!("{{{{ ref('{name}') }}}}"))
                    .detail(project::materialized(spot.db, file))
                    .docs(project::node_description(spot.db, file))
                    .rank(1),
            );
        }
        for table in project::source_tables(spot.db) {
            let call = format!("source('{}', '{}')", table.source, table.table);
            items.push(
                Item::new(&call, ItemKind::Source, spot.replace)
                    .insert(format!("{{{{ {call} }}}}"))
                    .docs(table.description)
                    .rank(2),
            );
        }
        return;
    }
    let nodes: BTreeMap<String, SourceFile> = project::refs(spot.db).into_iter().collect();
    for name in known_relations(spot.db) {
        let file = nodes.get(&name).copied();
        let mut item = Item::new(&name, ItemKind::Table, spot.replace).rank(1);
        if let Some(file) = file {
            item = item
                .detail(project::materialized(spot.db, file))
                .docs(project::node_description(spot.db, file));
        }
        items.push(item);
    }
}

fn functions(spot: &Spot<'_>, items: &mut Vec<Item>) {
    let typed = spot
        .part
        .text
        .get(spot.start..spot.at)
        .unwrap_or_default()
        .to_lowercase();
    // There are over a thousand: the first letter chooses among them.
    if typed.is_empty() {
        return;
    }
    let mut last = "";
    for signature in functions::all(spot.db) {
        if signature.name == last || !signature.name.starts_with(typed.get(..1).unwrap_or("")) {
            continue;
        }
        last = &signature.name;
        items.push(
            Item::new(&signature.name, ItemKind::Function, spot.replace)
                .detail(signature.label().0)
                .docs(signature.description.clone())
                .rank(6),
        );
    }
}
