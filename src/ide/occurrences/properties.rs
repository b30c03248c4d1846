//! Property files and seeds of the dbt layer.

use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::parse_yaml;
use mxcp_compiler::ide_support as project;
use mxcp_syntax::yaml::{Kind, Node};

use super::Found;
use super::endpoint::content;
use super::sql::within_quotes;
use crate::names::{column_symbol, node_columns};
use crate::symbol::{Role, Symbol};

pub(super) fn read(db: &dyn Db, file: SourceFile, found: &mut Found) {
    let Some(root) = parse_yaml(db, file).root() else {
        return;
    };
    for section in ["models", "seeds"] {
        for entry in root.get(section).into_iter().flat_map(|n| n.items()) {
            let Some(name) = entry.get("name") else {
                continue;
            };
            let node = name
                .scalar()
                .and_then(|n| project::resolve_ref(db, None, n));
            let Some(node) = node else { continue };
            let symbol = Symbol::Node {
                path: node.path(db).to_owned(),
            };
            found.add(content(name), symbol, Role::Declaration);
            columns_of(db, node, entry, found);
        }
    }
    for source in root.get("sources").into_iter().flat_map(|n| n.items()) {
        let Some(source_name) = source.get("name").and_then(|n| n.scalar()) else {
            continue;
        };
        for table in source.get("tables").into_iter().flat_map(|n| n.items()) {
            let Some(name) = table.get("name") else {
                continue;
            };
            let Some(table_name) = name.scalar() else {
                continue;
            };
            let symbol = Symbol::Source {
                source: source_name.to_owned(),
                table: table_name.to_owned(),
            };
            found.add(content(name), symbol, Role::Definition);
            let relation = crate::names::source_relation(db, source_name, table_name);
            let Some(relation) = relation else { continue };
            for column in table.get("columns").into_iter().flat_map(|n| n.items()) {
                if let Some(name) = column.get("name")
                    && let Some(text) = name.scalar()
                {
                    found.add(
                        content(name),
                        column_symbol(&relation, text),
                        Role::Declaration,
                    );
                }
            }
        }
    }
    refs_in(db, root, found);
    unit_tests(db, root, found);
}

/// The names of columns in an entry: `columns`, the tests and constraints over them.
fn columns_of(db: &dyn Db, node: SourceFile, entry: Node<'_>, found: &mut Found) {
    let known = &node_columns(db, node).0;
    let relation = project::node_relation(db, node);
    let symbol_of = |name: &str| {
        known
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map_or_else(
                || column_symbol(&relation, name),
                |(_, symbol)| symbol.clone(),
            )
    };
    for column in entry.get("columns").into_iter().flat_map(|n| n.items()) {
        if let Some(name) = column.get("name")
            && let Some(text) = name.scalar()
        {
            found.add(content(name), symbol_of(text), Role::Declaration);
        }
    }
    let is_column = |name: &str| known.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut todo = vec![(entry, 0u32)];
    while let Some((node, depth)) = todo.pop() {
        if depth > 20 {
            continue;
        }
        for item in node.items() {
            todo.push((item, depth + 1));
        }
        for (key, value) in node.entries() {
            let names = matches!(
                key.text,
                "column_name"
                    | "unique_key"
                    | "columns"
                    | "combination_of_columns"
                    | "partition_by"
            );
            if names {
                let texts = value.items().chain(std::iter::once(value));
                for text in texts.filter(|t| t.kind() == Kind::String) {
                    if let Some(name) = text.as_str().filter(|n| is_column(n)) {
                        found.add(content(text), symbol_of(name), Role::Reference);
                    }
                }
            }
            // `relationships`: a column of the other model.
            if key.text == "field"
                && let Some(name) = value.as_str()
                && let Some(to) = node.get("to").and_then(|n| n.as_str())
                && let Some(target) = ref_target(db, to)
            {
                let symbol = node_columns(db, target)
                    .0
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                    .map(|(_, symbol)| symbol.clone());
                if let Some(symbol) = symbol {
                    found.add(content(value), symbol, Role::Reference);
                }
            }
            todo.push((value, depth + 1));
        }
    }
}

/// The model or seed that the text `ref('…')` names.
pub(crate) fn ref_target(db: &dyn Db, text: &str) -> Option<SourceFile> {
    let wrapped = wrap(text);
    let call = mxcp_syntax::jinja::scan(&wrapped)
        .calls
        .into_iter()
        .next()?;
    let last = call.args.len().checked_sub(1)?;
    (call.name == "ref")
        .then(|| call.str_arg(last))
        .flatten()
        .and_then(|name| project::resolve_ref(db, None, name))
}

fn wrap(text: &str) -> String {
    format!("{{{{{text}}}}}")
}

/// `ref('…')` and `source('…', '…')` in any scalar, with braces or without.
fn refs_in(db: &dyn Db, root: Node<'_>, found: &mut Found) {
    let mut todo = vec![root];
    let mut seen = 0usize;
    while let Some(node) = todo.pop() {
        seen += 1;
        // Aliases may repeat a part without end.
        if seen > 100_000 {
            return;
        }
        todo.extend(node.items());
        todo.extend(node.entries().map(|(_, value)| value));
        let Some(text) = node.as_str() else { continue };
        if !(text.contains("ref(") || text.contains("source(")) {
            continue;
        }
        let (template, shift) = match text.contains("{{") {
            true => (text.to_owned(), 0),
            false => (wrap(text), 2),
        };
        for call in mxcp_syntax::jinja::scan(&template).calls {
            let last = call.args.len().saturating_sub(1);
            let Some(arg) = call.args.get(last) else {
                continue;
            };
            let symbol = match (call.name.as_str(), call.str_arg(last)) {
                ("ref", Some(name)) => {
                    project::resolve_ref(db, None, name).map(|node| Symbol::Node {
                        path: node.path(db).to_owned(),
                    })
                }
                ("source", Some(table)) => call.str_arg(0).map(|source| Symbol::Source {
                    source: source.to_owned(),
                    table: table.to_owned(),
                }),
                _ => None,
            };
            let Some(symbol) = symbol else { continue };
            let range = within_quotes(&template, arg.range);
            let back = |at: TextSize| u32::from(at).saturating_sub(shift);
            let range = node.map_range(back(range.start())..back(range.end()));
            found.add(range, symbol, Role::Reference);
        }
    }
}

fn unit_tests(db: &dyn Db, root: Node<'_>, found: &mut Found) {
    for test in root.get("unit_tests").into_iter().flat_map(|n| n.items()) {
        let Some(model) = test.get("model") else {
            continue;
        };
        let node = model
            .scalar()
            .and_then(|n| project::resolve_ref(db, None, n));
        let Some(node) = node else { continue };
        let symbol = Symbol::Node {
            path: node.path(db).to_owned(),
        };
        found.add(content(model), symbol, Role::Reference);
        let rows = |rows: Option<Node<'_>>, of: SourceFile, found: &mut Found| {
            let known = &node_columns(db, of).0;
            for row in rows.into_iter().flat_map(|n| n.items()) {
                for (key, _) in row.entries() {
                    let symbol = known.iter().find(|(n, _)| n.eq_ignore_ascii_case(key.text));
                    if let Some((_, symbol)) = symbol {
                        found.add(key.range, symbol.clone(), Role::Reference);
                    }
                }
            }
        };
        rows(test.get("expect").and_then(|e| e.get("rows")), node, found);
        for given in test.get("given").into_iter().flat_map(|n| n.items()) {
            let target = given
                .get("input")
                .and_then(|i| i.as_str())
                .and_then(|text| ref_target(db, text));
            if let Some(target) = target {
                rows(given.get("rows"), target, found);
            }
        }
    }
}

/// The header of a seed defines its columns.
pub(super) fn read_seed(db: &dyn Db, file: SourceFile, found: &mut Found) {
    let text = file.text(db);
    let line = text.lines().next().unwrap_or_default();
    let symbol = |name: &str| column_symbol(&project::node_relation(db, file), name);
    let Some(columns) = project::node_columns(db, file) else {
        return;
    };
    let mut at = 0;
    for column in columns.iter() {
        let Some(start) = line
            .get(at..)
            .and_then(|rest| rest.find(column.name.as_str()))
        else {
            continue;
        };
        let start = at + start;
        let end = start + column.name.len();
        at = end;
        let range = |n: usize| TextSize::from(u32::try_from(n).unwrap_or(u32::MAX));
        found.add(
            TextRange::new(range(start), range(end)),
            symbol(&column.name),
            Role::Definition,
        );
    }
}
