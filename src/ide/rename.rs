//! Another name for something, everywhere at once.
//!
//! A rename is refused when it would not leave the project as it was but for the name: the result is
//! checked before it is offered.

use std::collections::{BTreeMap, HashSet};

use mxcp_base::{Content, Diagnostic, Severity, SourceFile, TextRange, TextSize, paths};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{endpoint_def, find_file, python_module};
use mxcp_compiler::ide_support as project;
use mxcp_compiler::models::model_for_relation;
use mxcp_compiler::relations::RelationKey;

use crate::goto::named;
use crate::names::{endpoint, endpoints_of, file_sql, node_columns};
use crate::occurrences::all;
use crate::symbol::{Form, LocalKind, Occurrence, Role, Symbol};
use crate::{Analysis, Cancelled, Change, Place, TextChange};

/// Why a rename is not offered; a sentence for the author.
pub type Refusal = String;

/// The range and the name that would change.
pub fn prepare(
    db: &dyn Db,
    file: SourceFile,
    offset: TextSize,
) -> Result<(TextRange, String), Refusal> {
    let (occurrence, _) = choose(db, file, offset)?;
    Ok((occurrence.range, written(db, file, occurrence.range)))
}

/// A name as it is written, without quotes.
fn written(db: &dyn Db, file: SourceFile, range: TextRange) -> String {
    file.text(db)
        .get(std::ops::Range::<usize>::from(range))
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}

/// The thing at an offset that can have another name.
fn choose(
    db: &dyn Db,
    file: SourceFile,
    offset: TextSize,
) -> Result<(&Occurrence, String), Refusal> {
    let mut refusal = "there is no name here".to_owned();
    let mut first = true;
    for occurrence in named(db, file, offset) {
        match renamable(db, &occurrence.symbol) {
            Ok(old) => return Ok((occurrence, old)),
            Err(why) if first => refusal = why,
            Err(_) => {}
        }
        first = false;
    }
    Err(refusal)
}

/// The present name of what can have another one.
fn renamable(db: &dyn Db, symbol: &Symbol) -> Result<String, Refusal> {
    let defined = |what: &str| {
        let found = all(db, symbol);
        match found.iter().find(|(_, o)| o.role == Role::Definition) {
            Some((file, o)) => Ok(written(db, *file, o.range)),
            None => Err(format!("{what} is not defined in this project")),
        }
    };
    match symbol {
        Symbol::Parameter { name, .. } => Ok(name.clone()),
        Symbol::Endpoint { kind, id } => match kind {
            mxcp_artifact::EndpointKind::Resource => {
                Err("a resource is known to clients by its URI: change the URI itself".into())
            }
            _ if endpoint(db, *kind, id).is_none() => Err(format!("there is no {kind} `{id}`")),
            _ => Ok(id.clone()),
        },
        Symbol::Result { owner, name } => {
            let file = find_file(db, owner).ok_or("its file is gone")?;
            if file_sql(db, file).is_none() {
                return Err(format!(
                    "`{name}` is made by Python code, where its name is a text"
                ));
            }
            defined(&format!("`{name}`"))
        }
        Symbol::Node { path } => {
            let file = find_file(db, path).ok_or("its file is gone")?;
            Ok(project::node_name(db, file))
        }
        Symbol::Column { relation, name } => {
            let key = RelationKey::new(db, relation.clone());
            if model_for_relation(db, key).is_none() {
                return Err(format!(
                    "`{relation}.{name}` is a column of the database, which this project does not define"
                ));
            }
            defined(&format!("`{relation}.{name}`"))
        }
        Symbol::Local { .. } | Symbol::Macro { .. } => defined("it"),
        Symbol::Python { name, path } => {
            let imports = crate::names::all_files(db).into_iter().any(|file| {
                file.path(db) != path
                    && paths::extension(file.path(db)) == "py"
                    && file.text(db).contains(name.as_str())
            });
            match imports {
                true => Err(format!("another Python file names `{name}`")),
                false => Ok(name.clone()),
            }
        }
        Symbol::Source { source, table } => Err(format!(
            "`{source}.{table}` is a table that dbt does not build"
        )),
        Symbol::Relation(relation) => Err(format!("`{relation}` is a table of the database")),
        Symbol::Function { name } => Err(format!("`{name}` is a function of the engine")),
        Symbol::Cel { path } => Err(format!("`{path}` is a name of the policy language")),
        Symbol::File { path } => Err(format!("rename the file `{path}` instead")),
    }
}

/// What changes when the name at an offset becomes another one.
pub fn rename(
    analysis: &Analysis,
    path: &str,
    offset: TextSize,
    new: &str,
) -> Result<Result<Change, Refusal>, Cancelled> {
    let planned = analysis.with(|db| {
        let file = find_file(db, path).ok_or("this file is not part of a project")?;
        let (occurrence, old) = choose(db, file, offset)?;
        plan(db, &occurrence.symbol, &old, new)
    })?;
    let change = match planned {
        Ok(change) => change,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let before = analysis.diagnostics()?;
    let after = analysis.rehearse(applied(analysis, &change))?;
    let known: Vec<&Diagnostic> = before.by_file.values().flatten().collect();
    if let Some(broken) = new_error(&known, &after) {
        let file = &broken.primary.file;
        return Ok(Err(format!(
            "this name would break `{file}`: {}",
            broken.message
        )));
    }
    Ok(Ok(change))
}

/// An error that was not there before. There are more of its code than there were.
fn new_error<'a>(before: &[&Diagnostic], after: &'a [Diagnostic]) -> Option<&'a Diagnostic> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for d in before.iter().filter(|d| d.severity != Severity::Info) {
        *counts.entry(d.code.to_string()).or_default() += 1;
    }
    after
        .iter()
        .filter(|d| d.severity != Severity::Info)
        .find(|d| match counts.get_mut(&d.code.to_string()) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
}

/// The contents of the project after a change.
pub fn applied(analysis: &Analysis, change: &Change) -> BTreeMap<String, Content> {
    let mut files = analysis.contents();
    let mut edits: Vec<&TextChange> = change.edits.iter().collect();
    // From the end, so that the places before stay where they are.
    edits.sort_by(|a, b| b.place.cmp(&a.place));
    for edit in edits {
        if let Some(Content::Text(text)) = files.get(&edit.place.path) {
            let mut text = text.to_string();
            let range = std::ops::Range::<usize>::from(edit.place.range.0);
            if text.get(range.clone()).is_some() {
                text.replace_range(range, &edit.text);
                files.insert(edit.place.path.clone(), Content::Text(text.into()));
            }
        }
    }
    for (from, to) in &change.moves {
        if let Some(content) = files.remove(from) {
            files.insert(to.clone(), content);
        }
    }
    files
}

fn plan(db: &dyn Db, symbol: &Symbol, old: &str, new: &str) -> Result<Change, Refusal> {
    if !is_name(new) {
        return Err(format!(
            "`{new}` is no name: use letters, digits and `_`, and no digit first"
        ));
    }
    if new == old {
        return Ok(Change::default());
    }
    taken(db, symbol, new)?;
    let mut change = Change::default();
    let places = all(db, symbol);
    for (file, occurrence) in &places {
        let text = written(db, *file, occurrence.range);
        // A relation may have a name of its own, which stays.
        if !text.eq_ignore_ascii_case(old) {
            continue;
        }
        let replacement = match (occurrence.form, occurrence.role) {
            (Form::Shared, _) => {
                return Err(format!(
                    "`{}` joins two relations by the one name `{old}`: write the condition with `ON` first",
                    file.path(db)
                ));
            }
            (Form::Other, _) => continue,
            (Form::Plain, _) => new.to_owned(),
            // The item keeps giving the result its name.
            (Form::Item, Role::Reference) => {
                if names_too(db, symbol, *file, occurrence) {
                    // The result's column changes with it, by its own occurrence.
                    new.to_owned()
                } else {
                    format!("{new} AS {text}")
                }
            }
            (Form::Item, _) => format!("{text} AS {new}"),
        };
        change.edits.push(TextChange {
            place: Place::new(file.path(db), occurrence.range),
            text: replacement,
        });
    }
    if let Symbol::Node { path } = symbol {
        move_node(db, path, old, new, &mut change)?;
    }
    change.edits.sort();
    change.edits.dedup_by(|a, b| a.place == b.place);
    Ok(change)
}

/// Whether an item is a reference to a symbol and a definition of the same one.
fn names_too(db: &dyn Db, symbol: &Symbol, file: SourceFile, at: &Occurrence) -> bool {
    crate::occurrences::occurrences(db, file)
        .iter()
        .any(|o| o.range == at.range && o.symbol == *symbol && o.role == Role::Definition)
}

/// A model's name is that of its file.
fn move_node(
    db: &dyn Db,
    path: &str,
    old: &str,
    new: &str,
    change: &mut Change,
) -> Result<(), Refusal> {
    let folder = path.rfind('/').map_or("", |i| &path[..=i]);
    let name = paths::file_name(path);
    let rest = name
        .strip_prefix(old)
        .ok_or_else(|| format!("`{path}` does not bear the name `{old}`"))?;
    let to = format!("{folder}{new}{rest}");
    if find_file(db, &to).is_some() {
        return Err(format!("`{to}` is there already"));
    }
    if let Some(file) = find_file(db, "dbt_project.yml") {
        let key = format!("{old}:");
        if file
            .text(db)
            .lines()
            .any(|l| l.trim_start().starts_with(&key))
        {
            return Err(format!("dbt_project.yml configures `{old}` by its name"));
        }
    }
    change.moves.push((path.to_owned(), to));
    Ok(())
}

pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.len() <= 120
}

/// Whether the new name belongs to something else already.
fn taken(db: &dyn Db, symbol: &Symbol, new: &str) -> Result<(), Refusal> {
    let same = |name: &str| name.eq_ignore_ascii_case(new);
    match symbol {
        Symbol::Parameter { owner, .. } => {
            let Some(file) = find_file(db, owner) else {
                return Ok(());
            };
            for endpoint in endpoints_of(db, file) {
                let Some(def) = endpoint_def(db, *endpoint) else {
                    continue;
                };
                if def.parameters.iter().any(|p| same(&p.name)) {
                    return Err(format!("there is a parameter `{new}` already"));
                }
                // The function of a Python endpoint must not lose a name of its own.
                let source = def.file.as_deref();
                let module = source
                    .and_then(|f| paths::resolve(endpoint.path(db), f))
                    .filter(|p| paths::extension(p) == "py")
                    .and_then(|p| find_file(db, &p));
                if let Some(module) = module {
                    let uses = mxcp_syntax::python::name_uses(module.text(db));
                    if uses.iter().any(|(name, _)| name == new)
                        || python_module(db, module).may_define(new)
                    {
                        return Err(format!("`{}` uses the name `{new}`", module.path(db)));
                    }
                }
            }
            if matches!(new, "user" | "response") {
                return Err(format!("`{new}` means something else in policies"));
            }
            Ok(())
        }
        Symbol::Endpoint { kind, id } => {
            if endpoint(db, *kind, new).is_some() {
                return Err(format!("there is a {kind} `{new}` already"));
            }
            let module = endpoint(db, *kind, id)
                .and_then(|file| {
                    let reference = endpoint_def(db, file)?.file.as_deref()?;
                    find_file(db, &paths::resolve(file.path(db), reference)?)
                })
                .filter(|m| paths::extension(m.path(db)) == "py");
            match module {
                Some(module) if python_module(db, module).may_define(new) => {
                    Err(format!("`{}` defines `{new}` already", module.path(db)))
                }
                _ => Ok(()),
            }
        }
        Symbol::Node { .. } => match project::resolve_ref(db, None, new) {
            Some(_) => Err(format!("there is a model or seed `{new}` already")),
            None => no_identifier(db, symbol, new),
        },
        Symbol::Column { relation, .. } => {
            let key = RelationKey::new(db, relation.clone());
            if let Some(file) = model_for_relation(db, key) {
                let columns = &node_columns(db, file).0;
                if columns.iter().any(|(n, _)| same(n)) {
                    return Err(format!("`{relation}` has a column `{new}` already"));
                }
            }
            // A name that is in use where the column is read could be taken for it.
            no_identifier(db, symbol, new)
        }
        Symbol::Result { .. }
        | Symbol::Local {
            kind: LocalKind::Cte | LocalKind::Alias | LocalKind::Column,
            ..
        } => no_identifier(db, symbol, new),
        _ => Ok(()),
    }
}

/// Refuses a name that the SQL around the symbol's places uses for something.
fn no_identifier(db: &dyn Db, symbol: &Symbol, new: &str) -> Result<(), Refusal> {
    let files: HashSet<SourceFile> = all(db, symbol).into_iter().map(|(file, _)| file).collect();
    for file in files {
        if let Some(sql) = file_sql(db, file)
            && !mxcp_syntax::sql::find_identifier(&sql.sql, new).is_empty()
        {
            return Err(format!(
                "the SQL of `{}` uses the name `{new}`",
                file.path(db)
            ));
        }
    }
    Ok(())
}
