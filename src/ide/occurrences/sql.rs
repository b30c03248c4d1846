//! Names in SQL and in the Jinja around it.

use mxcp_base::{SourceFile, TextRange};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind};
use mxcp_compiler::ide_support as project;

use super::Found;
use crate::names::{FileSql, column_symbol, file_sql, node_columns, shifted, symbol};
use crate::symbol::{Form, Role, Symbol};
use crate::template::{self, tags};

pub(super) fn read(db: &dyn Db, file: SourceFile, found: &mut Found) {
    if let Some(sql) = file_sql(db, file) {
        read_sql(db, file, sql, found);
    }
    if !matches!(document_kind(db, file), DocumentKind::Sql) {
        read_template(db, file, file.text(db), found);
    }
}

/// The names of an SQL text, at their places in the file.
pub(super) fn read_sql(db: &dyn Db, file: SourceFile, sql: &FileSql, found: &mut Found) {
    for used in &sql.resolved.uses {
        // What a tag covers is no text of the author.
        if sql
            .tags
            .iter()
            .any(|t| t.range.contains(&(used.range.start as usize)))
        {
            continue;
        }
        if let Some(symbol) = symbol(db, file, sql, &used.target) {
            let range = sql.embedded.to_file(used.range.clone());
            found.add_as(range, symbol, used.role, used.form);
        }
    }
}

/// The calls of a template: `ref`, `source`, macros, and the columns that `config` names.
pub(super) fn read_template(db: &dyn Db, file: SourceFile, text: &str, found: &mut Found) {
    let macros = macro_names(db);
    for tag in tags(text) {
        for (call, base) in template::calls(text, &tag) {
            let literal = |range: TextRange| within_quotes(text, shifted(base, range));
            match call.name.as_str() {
                "ref" => {
                    let last = call.args.len().saturating_sub(1);
                    let package = (last > 0).then(|| call.str_arg(0)).flatten();
                    if let Some(name) = call.str_arg(last)
                        && let Some(node) = project::resolve_ref(db, package, name)
                        && let Some(arg) = call.args.get(last)
                    {
                        let symbol = Symbol::Node {
                            path: node.path(db).to_owned(),
                        };
                        found.add(literal(arg.range), symbol, Role::Reference);
                    }
                }
                "source" => {
                    if let (Some(source), Some(table)) = (call.str_arg(0), call.str_arg(1))
                        && let Some(arg) = call.args.get(1)
                    {
                        let symbol = Symbol::Source {
                            source: source.to_owned(),
                            table: table.to_owned(),
                        };
                        found.add(literal(arg.range), symbol, Role::Reference);
                    }
                }
                "config" => columns_in_config(db, file, text, shifted(base, call.range), found),
                name => {
                    let bare = name.rsplit('.').next().unwrap_or(name);
                    if macros.iter().any(|m| m == bare) {
                        let range = shifted(base, call.name_range);
                        let start = range.end() - mxcp_base::TextSize::of(bare);
                        let symbol = Symbol::Macro {
                            name: bare.to_owned(),
                        };
                        found.add(TextRange::new(start, range.end()), symbol, Role::Reference);
                    }
                }
            }
        }
    }
    if document_kind(db, file) == DocumentKind::DbtMacro {
        for def in mxcp_syntax::jinja::scan(text).macros {
            found.add(
                def.name_range,
                Symbol::Macro { name: def.name },
                Role::Definition,
            );
        }
    }
}

#[salsa::tracked(returns(ref))]
fn macro_names(db: &dyn Db) -> Vec<String> {
    project::macro_files(db)
        .iter()
        .flat_map(|file| mxcp_syntax::jinja::scan(file.text(db)).macros)
        .map(|m| m.name)
        .collect()
}

/// `indexes`, `unique_key` and their kin name columns of the model as texts.
fn columns_in_config(
    db: &dyn Db,
    file: SourceFile,
    text: &str,
    call: TextRange,
    found: &mut Found,
) {
    if document_kind(db, file) != DocumentKind::DbtModel {
        return;
    }
    let relation = project::node_relation(db, file);
    let columns = &node_columns(db, file).0;
    let Some(part) = text.get(std::ops::Range::<usize>::from(call)) else {
        return;
    };
    let mut at = 0;
    while let Some(open) = part.get(at..).and_then(|rest| rest.find(['\'', '"'])) {
        let start = at + open;
        let quote = part.as_bytes()[start] as char;
        let Some(len) = part.get(start + 1..).and_then(|rest| rest.find(quote)) else {
            return;
        };
        let name = &part[start + 1..start + 1 + len];
        at = start + len + 2;
        // A key of a dictionary is none.
        let is_key = part
            .get(at..)
            .is_some_and(|rest| rest.trim_start().starts_with(':'));
        if let Some((_, symbol)) = columns.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))
            && !is_key
        {
            let range = shifted(
                usize::from(call.start()) + start + 1,
                TextRange::up_to(mxcp_base::TextSize::of(name)),
            );
            let symbol = match symbol {
                Symbol::Column { .. } => symbol.clone(),
                _ => column_symbol(&relation, name),
            };
            found.add_as(range, symbol, Role::Reference, Form::Plain);
        }
    }
}

/// A literal's range without its quotes.
pub(super) fn within_quotes(text: &str, range: TextRange) -> TextRange {
    let part = &text[range];
    match part.starts_with(['\'', '"']) && part.ends_with(['\'', '"']) && part.len() > 1 {
        true => TextRange::new(
            range.start() + mxcp_base::TextSize::from(1),
            range.end() - mxcp_base::TextSize::from(1),
        ),
        false => range,
    }
}
