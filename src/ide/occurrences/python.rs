//! Python files: the functions that endpoints call, and their parameters.

use mxcp_base::{SourceFile, paths};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{endpoint_def, endpoint_files, python_module};
use mxcp_compiler::lower::endpoint::Language;
use mxcp_syntax::python::{Module, name_uses};

use super::Found;
use crate::names::Names;
use crate::sql::{Column, Target, resolve};
use crate::symbol::{Form, LocalKind, Role, Symbol};

/// The endpoints that a file's functions answer, with the function's name.
#[salsa::tracked(returns(ref))]
pub fn callers(db: &dyn Db, file: SourceFile) -> Vec<(String, SourceFile)> {
    endpoint_files(db)
        .iter()
        .filter_map(|endpoint| {
            let def = endpoint_def(db, *endpoint)?;
            let path = paths::resolve(endpoint.path(db), def.file.as_deref()?)?;
            (def.language == Language::Python && path == file.path(db))
                .then(|| Some((def.name.clone()?, *endpoint)))
                .flatten()
        })
        .collect()
}

pub(super) fn read(db: &dyn Db, file: SourceFile, found: &mut Found) {
    let module = python_module(db, file);
    queries(db, file, module, found);
    if module.functions.is_empty() {
        return;
    }
    let uses = name_uses(file.text(db));
    let callers = callers(db, file);
    for function in &module.functions {
        let caller = callers.iter().find(|(name, _)| *name == function.name);
        let def = caller.and_then(|(_, endpoint)| endpoint_def(db, *endpoint));
        let symbol = match def.and_then(|def| Some((def.kind, def.id()?))) {
            Some((kind, id)) => Symbol::Endpoint {
                kind,
                id: id.to_owned(),
            },
            None => Symbol::Python {
                path: file.path(db).to_owned(),
                name: function.name.clone(),
            },
        };
        found.add(function.name_range, symbol.clone(), Role::Definition);
        for (name, range) in &uses {
            if *name == function.name {
                found.add(*range, symbol.clone(), Role::Reference);
            }
        }
        let Some((_, endpoint)) = caller else {
            continue;
        };
        for param in &function.params {
            if !def.is_some_and(|d| d.parameters.iter().any(|p| p.name == param.name)) {
                continue;
            }
            let symbol = Symbol::Parameter {
                owner: crate::names::owner(db, *endpoint),
                name: param.name.clone(),
            };
            found.add(param.range, symbol.clone(), Role::Declaration);
            for (name, range) in &uses {
                if *name == param.name
                    && function.range.contains_range(*range)
                    && !param.whole.contains_range(*range)
                {
                    found.add(*range, symbol.clone(), Role::Reference);
                }
            }
        }
    }
}

/// The SQL of `db.execute("…")`, and the columns that the code reads of its rows.
fn queries(db: &dyn Db, file: SourceFile, module: &Module, found: &mut Found) {
    let path = file.path(db);
    for (index, execute) in module.facts.executes.iter().enumerate() {
        let sql = &execute.sql;
        let resolved = resolve(&sql.value, &Names { db, masks: &[] });
        let symbol = |target: &Target| match target {
            Target::Symbol(symbol) | Target::Column(Column::Known(symbol)) => Some(symbol.clone()),
            Target::Parameter(_) => None,
            other => {
                let (kind, range): (LocalKind, _) = resolved.local(other)?;
                Some(Symbol::Local {
                    path: path.to_owned(),
                    at: sql.place(range.start, range.end).start().into(),
                    kind,
                })
            }
        };
        for used in &resolved.uses {
            // What an escape is part of is not written as it reads.
            if !sql.is_verbatim(file.text(db), used.range.start, used.range.end) {
                continue;
            }
            if let Some(symbol) = symbol(&used.target) {
                let place = sql.place(used.range.start, used.range.end);
                found.add_as(place, symbol, used.role, used.form);
            }
        }
        for read in module
            .facts
            .columns
            .iter()
            .filter(|read| read.execute == index)
        {
            let column = resolved
                .result
                .iter()
                .find(|(name, _)| *name == read.name)
                .and_then(|(_, column)| symbol(&Target::Column(column.clone())));
            if let Some(symbol) = column {
                let range = super::sql::within_quotes(file.text(db), read.range);
                found.add_as(range, symbol, Role::Reference, Form::Plain);
            }
        }
    }
}
