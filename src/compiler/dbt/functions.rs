//! What the functions of dbt's context do.

use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{Error, ErrorKind, State};
use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;
use serde_json::{Map, Value as Json};

use super::context::{Anything, DYNAMIC, MacroFn, Path, all_config, configured};
use super::modules::{self, Given};
use super::pycompat::{MutableList, split};
use super::relation::{Column, Relation};
use super::render::Resolved;
use super::session::{Assumed, Session, Stop};
use super::statics::json_of;
use super::values::{to_changeable, to_value};
use super::{live, md5, pyfmt};

pub(super) use super::builtin;

/// Macros of dbt that are functions here, beside the cross-database ones.
const DBT_MACROS: [&str; 9] = [
    "is_incremental",
    "run_query",
    "statement",
    "should_full_refresh",
    "should_store_failures",
    "load_relation",
    "load_cached_relation",
    "get_columns_in_query",
    "get_intervals_between",
];

/// Members that exist, by full path.
const MEMBERS: [&str; 37] = [
    "config.get",
    "config.require",
    "config.persist_relation_docs",
    "config.persist_column_docs",
    "var.has_var",
    "exceptions.raise_compiler_error",
    "exceptions.raise_not_implemented",
    "exceptions.raise_parsing_error",
    "exceptions.raise_database_error",
    "exceptions.raise_dependency_error",
    "exceptions.raise_fail_fast_error",
    "exceptions.warn",
    "exceptions.missing_config",
    "adapter.dispatch",
    "adapter.quote",
    "adapter.type",
    "adapter.quote_as_configured",
    "adapter.quote_seed_column",
    "api.Relation",
    "api.Relation.create",
    "api.Column",
    "api.Column.translate_type",
    "api.Column.string_type",
    "api.Column.numeric_type",
    "api.Column.create",
    "builtins.source",
    "builtins.ref",
    "builtins.source",
    "builtins.config",
    "builtins.var",
    "builtins.env_var",
    "builtins.return",
    "builtins.log",
    "builtins.print",
    "builtins.is_incremental",
    "builtins.tojson",
    "builtins.fromjson",
];

pub(super) fn is_member(path: &str) -> bool {
    MEMBERS.contains(&path)
        || path
            .strip_prefix("dbt.")
            .is_some_and(|name| builtin::is_known(name) || DYNAMIC.contains(&name))
}

pub(super) fn is_unknown(path: &str) -> bool {
    !MEMBERS.contains(&path)
}

pub(super) fn why_dynamic(path: &str) -> String {
    match path {
        "graph" | "selected_resources" => format!("`{path}` depends on the whole project"),
        "run_started_at"
        | "invocation_id"
        | "invocation_args_dict"
        | "results"
        | "thread_id"
        | "dbt_metadata_envs" => {
            format!("`{path}` is known only during a run")
        }
        _ => format!("`{path}` asks the database while compiling"),
    }
}

/// The name a piece of template text starts with.
pub(super) fn leading_name(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(text.len());
    text.get(..end)
        .filter(|name| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))
}

#[derive(Clone, Debug)]
pub(super) struct Args {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
}

impl Args {
    pub(super) fn get(&self, index: usize, name: &str) -> Option<&Value> {
        self.positional.get(index).or_else(|| {
            self.named
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value)
        })
    }

    pub(super) fn text(&self, index: usize, name: &str) -> Option<String> {
        self.get(index, name)
            .filter(|value| !value.is_none() && !value.is_undefined())
            .map(ToString::to_string)
    }

    pub(super) fn need(&self, index: usize, name: &str, function: &str) -> Result<String, Error> {
        self.text(index, name).ok_or_else(|| {
            Error::new(
                ErrorKind::MissingArgument,
                format!("`{function}` needs the argument `{name}`"),
            )
        })
    }
}

/// Calls the context function at `path`.
pub(super) fn call(
    session: &Arc<Session>,
    state: &mut State<'_, '_>,
    (package, path): (&str, &str),
    raw: &[Value],
) -> Result<Value, Error> {
    let (positional, named) = split(raw);
    let args = Args { positional, named };
    let none = || Value::from(());
    let path = match path.strip_prefix("builtins.") {
        Some(name) => name,
        None => path,
    };
    let own = path.strip_prefix("dbt.").unwrap_or(path);
    if DBT_MACROS.contains(&own) || builtin::is_known(own) {
        session.calls("dbt", own);
    }
    if let Some(running) = &session.live {
        let name = path.strip_prefix("dbt.").unwrap_or(path);
        if let Some(value) = running.replaced.macros.get(name) {
            return Ok(to_value(value));
        }
        if let Some(result) = live::call(session, running, state, path, &args) {
            return result;
        }
    }
    Ok(match path {
        "ref" => reference(session, package, &args)?,
        "source" => source(session, &args)?,
        "config" => configure(session, &args)?,
        "config.get" => {
            let key = args.need(0, "name", path)?;
            match configured(session, &key).filter(|value| !value.is_none()) {
                Some(value) => value,
                None => args.get(1, "default").cloned().unwrap_or_else(none),
            }
        }
        "config.require" => {
            let key = args.need(0, "name", path)?;
            configured(session, &key).ok_or_else(|| {
                session.stop(Stop::Failed {
                    message: format!("the config `{key}` is required here and not set"),
                })
            })?
        }
        "config.persist_relation_docs" | "config.persist_column_docs" => Value::from(false),
        "var" => variable(session, &args)?,
        "var.has_var" => {
            let name = args.need(0, "name", path)?;
            Value::from(session.facts.vars.contains_key(&name))
        }
        "env_var" => {
            let name = args.need(0, "name", path)?;
            session.changes();
            if let Some(value) = session.facts.env.get(&name) {
                return Ok(Value::from(value.as_str()));
            }
            match args.text(1, "default") {
                Some(default) => Value::from(default),
                None if session.assumes(&Assumed::Env(name.clone())) => Value::from(""),
                None => return Err(session.stop(Stop::MissingEnv(name))),
            }
        }
        "is_incremental"
        | "dbt.is_incremental"
        | "should_full_refresh"
        | "dbt.should_full_refresh" => {
            session.changes();
            Value::from(false)
        }
        "should_store_failures" | "dbt.should_store_failures" => {
            let own = super::context::configured(session, "store_failures");
            Value::from(own.is_some_and(|value| value.is_true()))
        }
        "fromyaml" => {
            let text = args.need(0, "value", path)?;
            match serde_yaml::from_str::<Json>(&text) {
                Ok(json) => to_changeable(&json),
                Err(_) => args.get(1, "default").cloned().unwrap_or_else(none),
            }
        }
        "toyaml" => {
            let value = args.get(0, "value").cloned().unwrap_or_else(none);
            let text = json_of(&value).and_then(|json| serde_yaml::to_string(&json).ok());
            match text {
                Some(text) => Value::from(text),
                None => args.get(1, "default").cloned().unwrap_or_else(none),
            }
        }
        "doc" | "write" => Value::from(""),
        "diff_of_two_dicts" | "dbt.diff_of_two_dicts" => difference(&args)?,
        // A run says it, not a check.
        "print" | "exceptions.warn" => {
            session.changes();
            Value::from("")
        }
        "log" => {
            if args.get(1, "info").is_some_and(Value::is_true) {
                session.changes();
            }
            Value::from("")
        }
        "return" => {
            let value = args.get(0, "data").cloned().unwrap_or_else(none);
            let mut log = session.log();
            if log.depth == 0 {
                drop(log);
                return Err(session.unsupported("return", "`return` works in macros only"));
            }
            log.returned = Some(value);
            return Err(Error::new(ErrorKind::InvalidOperation, "return"));
        }
        "exceptions.raise_not_implemented"
        | "exceptions.raise_compiler_error"
        | "exceptions.raise_parsing_error"
        | "exceptions.raise_database_error"
        | "exceptions.raise_dependency_error"
        | "exceptions.raise_fail_fast_error"
        | "exceptions.missing_config" => {
            let message = args.text(0, "msg").unwrap_or_default();
            return Err(session.stop(Stop::Raised { message }));
        }
        "tojson" => {
            let value = args.get(0, "value").cloned().unwrap_or_else(none);
            let sort = args.get(2, "sort_keys").is_some_and(Value::is_true);
            match json_of(&value) {
                Some(json) => Value::from(pyfmt::json_dumps(&json, sort)),
                None => args.get(1, "default").cloned().unwrap_or_else(none),
            }
        }
        "fromjson" => {
            let text = args.need(0, "string", path)?;
            match serde_json::from_str::<Json>(&text) {
                Ok(json) => to_changeable(&json),
                Err(_) => args.get(1, "default").cloned().unwrap_or_else(none),
            }
        }
        "set" | "set_strict" => {
            let items = args.get(0, "value").cloned().unwrap_or_else(none);
            let mut out: Vec<Value> = Vec::new();
            for item in items.try_iter()? {
                if !out.contains(&item) {
                    out.push(item);
                }
            }
            Value::from_object(MutableList::new(out))
        }
        "zip" | "zip_strict" => {
            let lists: Result<Vec<Vec<Value>>, Error> = args
                .positional
                .iter()
                .map(|list| Ok(list.try_iter()?.collect()))
                .collect();
            let lists = lists?;
            let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
            let rows = (0..shortest).map(|row| {
                let items: Vec<Value> = lists
                    .iter()
                    .filter_map(|list| list.get(row).cloned())
                    .collect();
                Value::from(minijinja::value::Tuple::from(items))
            });
            Value::from_iter(rows)
        }
        "local_md5" => Value::from(md5::hex(&args.need(0, "value", path)?)),
        "adapter.dispatch" => dispatch(session, package, &args)?,
        "adapter.quote" | "adapter.quote_as_configured" | "adapter.quote_seed_column" => {
            Value::from(quote_identifier(&args.need(0, "identifier", path)?))
        }
        "adapter.type" => Value::from("duckdb"),
        "api.Relation.create" => {
            let part = |name: &str| args.text(usize::MAX, name);
            let name = RelationName {
                catalog: None,
                schema: part("schema").unwrap_or_else(|| session.facts.target.schema.clone()),
                name: part("identifier").unwrap_or_default(),
            };
            let mut relation = session.relation(name);
            relation.shows_own = false;
            if let Some(database) = part("database") {
                relation.set_path(
                    &[("database".to_owned(), Value::from(database))],
                    &session.facts.target.database,
                );
            }
            if args.get(usize::MAX, "schema").is_some_and(Value::is_none) {
                relation.schema = None;
            }
            relation.kind = part("type");
            Value::from_object(relation)
        }
        "api.Column" => {
            let mut column = Column::new(
                &args.need(0, "column", path)?,
                &args.text(1, "dtype").unwrap_or_default(),
            );
            let number = |i: usize, name: &str| args.get(i, name).and_then(Value::as_i64);
            column.char_size = number(2, "char_size");
            column.precision = number(3, "numeric_precision");
            column.scale = number(4, "numeric_scale");
            Value::from_object(column)
        }
        "api.Column.create" => Value::from_object(Column::new(
            &args.need(0, "name", path)?,
            &args.need(1, "label_or_dtype", path)?,
        )),
        "api.Column.translate_type" => {
            let ty = args.need(0, "dtype", path)?;
            Value::from(if ty.eq_ignore_ascii_case("string") {
                "TEXT".to_owned()
            } else {
                ty
            })
        }
        "api.Column.string_type" => Value::from(format!(
            "character varying({})",
            args.need(0, "size", path)?
        )),
        "api.Column.numeric_type" => match (args.text(1, "precision"), args.text(2, "scale")) {
            (Some(precision), Some(scale)) => {
                let ty = args.need(0, "dtype", path)?;
                Value::from(format!("{ty}({precision},{scale})"))
            }
            _ => Value::from(args.need(0, "dtype", path)?),
        },
        path if modules::reads_clock(path) && session.live.is_none() => {
            session.dynamic(format!("`{path}` reads the clock"));
            Value::from_object(Anything)
        }
        path if path.starts_with("modules.") => {
            let given = Given {
                positional: &args.positional,
                named: &args.named,
            };
            match modules::call(path, &given) {
                Some(result) => result?,
                None => return other(session, state, (package, path), &args),
            }
        }
        _ => return other(session, state, (package, path), &args),
    })
}

fn other(
    session: &Arc<Session>,
    state: &mut State<'_, '_>,
    (package, path): (&str, &str),
    args: &Args,
) -> Result<Value, Error> {
    let name = path.strip_prefix("dbt.").unwrap_or(path);
    if session.facts.parsing && (DYNAMIC.contains(&name) || path.starts_with("adapter.")) {
        // dbt's first reading asks nothing: there is no result.
        return Ok(match name {
            "statement" | "store_result" | "store_raw_result" => Value::from(""),
            _ => Value::from(()),
        });
    }
    if session.live.is_some() {
        // Everything a run can tell has been asked already.
    } else if DYNAMIC.contains(&name) || path.starts_with("adapter.") || path.starts_with("graph.")
    {
        session.dynamic(why_dynamic(path));
        return Ok(Value::from_object(Anything));
    }
    // dbt prefers the project's own implementation of its macros.
    if let Some((package, implementation)) =
        session.facts.macros.dispatched(package, name, Some("dbt"))
        && builtin::is_known(name)
    {
        let function = Value::from_object(MacroFn {
            session: Arc::clone(session),
            package,
            name: implementation,
        });
        let mut all = args.positional.clone();
        if !args.named.is_empty() {
            all.push(minijinja::value::Kwargs::from_iter(args.named.clone()).into());
        }
        // It is dbt's macro that calls this one.
        session.log().depth += 1;
        let result = function.call(state, &all);
        let mut log = session.log();
        log.depth = log.depth.saturating_sub(1);
        return result;
    }
    if builtin::is_known(name) {
        let text = builtin::call(name, &args.positional, &args.named)?;
        return Ok(Value::from(text));
    }
    if session.assumes(&Assumed::Path(path.to_owned())) {
        return Ok(Value::from_object(Anything));
    }
    let (owner, member) = path.split_once('.').unwrap_or(("", path));
    let macros = &session.facts.macros;
    if (macros.has_package(owner) && owner != "dbt") || owner == macros.root_package() {
        return Err(session.stop(Stop::Undefined {
            name: path.to_owned(),
            via: None,
        }));
    }
    let _ = member;
    Err(session.unsupported(path, ""))
}

fn reference(session: &Arc<Session>, package: &str, args: &Args) -> Result<Value, Error> {
    let mut names = Vec::new();
    for value in &args.positional {
        match value.as_str() {
            Some(name) => names.push(name.to_owned()),
            None => {
                return Err(session.stop(Stop::Failed {
                    message: format!("`ref` takes names of models, found {value:?}"),
                }));
            }
        }
    }
    let version = args
        .named
        .iter()
        .find(|(name, value)| (name == "version" || name == "v") && !value.is_none());
    if let (Some((_, version)), Some(name)) = (version, names.last_mut()) {
        *name = super::statics::version_name(name, &version.to_string());
    }
    let key = match names.as_slice() {
        [name] => (None, name.clone()),
        [package, name] => (Some(package.clone()), name.clone()),
        _ => {
            return Err(session.stop(Stop::Failed {
                message: format!("`ref` takes one or two arguments, found {}", names.len()),
            }));
        }
    };
    if let Some(running) = &session.live {
        return live_reference(session, running, package, key);
    }
    session.log().refs.insert(key.clone());
    match session.known.refs.get(&key) {
        None => Err(session.stop(Stop::Ref(key))),
        Some(found) => Ok(relation(session, found, &key.1)),
    }
}

fn source(session: &Arc<Session>, args: &Args) -> Result<Value, Error> {
    let key = match (args.text(0, "source_name"), args.text(1, "table_name")) {
        (Some(source), Some(table)) if args.positional.len() <= 2 => (source, table),
        _ => {
            return Err(session.stop(Stop::Failed {
                message: "`source` takes two arguments, the source and its table".to_owned(),
            }));
        }
    };
    if let Some(running) = &session.live {
        if let Some(name) = running.replaced.sources.get(&key) {
            return Ok(Value::from_object(Relation::cte(name.clone())));
        }
        return match running.world.sources.get(&key) {
            Some(found) => {
                let relation = session.relation(found.relation.clone());
                let relation = match &found.location {
                    Some(text) => relation.written_as(text.clone()),
                    None => relation,
                };
                let relation = narrowed(running, relation, found.event_time.as_deref());
                Ok(Value::from_object(relation))
            }
            None => Err(session.stop(Stop::Source(key))),
        };
    }
    session.log().sources.insert(key.clone());
    match session.known.sources.get(&key) {
        None => Err(session.stop(Stop::Source(key))),
        Some(found) => Ok(relation(session, found, &key.1)),
    }
}

fn live_reference(
    session: &Session,
    running: &live::Live,
    package: &str,
    key: super::session::RefKey,
) -> Result<Value, Error> {
    let replaced = &running.replaced.refs;
    let cte = replaced
        .get(&key)
        .or_else(|| replaced.get(&(None, key.1.clone())));
    if let Some(name) = cte {
        return Ok(Value::from_object(Relation::cte(name.clone())));
    }
    let Some(found) = running.world.resolve(package, &key) else {
        return Err(session.stop(Stop::Ref(key)));
    };
    Ok(match &found.resolved {
        Resolved::Relation(name) => {
            let name = match running.run.deferred.get(&found.unique_id) {
                Some(other) if is_deferred(session, running, &found.unique_id, name)? => other,
                _ => name,
            };
            let relation = session.relation(name.clone());
            Value::from_object(narrowed(running, relation, found.event_time.as_deref()))
        }
        Resolved::Ephemeral(name) => {
            let mut log = session.log();
            if !log.inlined.contains(&found.unique_id) {
                log.inlined.push(found.unique_id.clone());
            }
            Value::from_object(Relation::ephemeral(name))
        }
        Resolved::External { relation, text } => {
            Value::from_object(session.relation(relation.clone()).written_as(text.clone()))
        }
        Resolved::Unknown { .. } => return Err(session.stop(Stop::Ref(key))),
    })
}

/// Whether a node is read where an earlier run left it.
fn is_deferred(
    session: &Session,
    running: &live::Live,
    id: &str,
    name: &RelationName,
) -> Result<bool, Error> {
    let selected = running.run.selected.iter().any(|selected| selected == id);
    if running.run.favor_state && !selected {
        return Ok(true);
    }
    let catalog = name.catalog.as_deref();
    Ok(live::find(session, running, catalog, &name.schema, &name.name)?.is_none())
}

/// A relation of which a run reads no rows, or those of a period: a microbatch, or a sample.
fn narrowed(running: &live::Live, relation: Relation, event_time: Option<&str>) -> Relation {
    let mut text = None;
    if running.run.empty {
        text = Some(format!(
            "(select * from {} where false limit 0)",
            relation.sql()
        ));
    }
    let sample = running.run.sample.as_ref();
    let period = match (&running.batch, sample) {
        // Texts of one form, so their order is that of the moments.
        (Some(batch), Some(sample)) => Some((
            (&batch.start).max(&sample.start),
            (&batch.end).min(&sample.end),
        )),
        (Some(batch), None) => Some((&batch.start, &batch.end)),
        (None, Some(sample)) => Some((&sample.start, &sample.end)),
        (None, None) => None,
    };
    if let (Some((start, end)), Some(column)) = (period, event_time) {
        let read = text.unwrap_or_else(|| relation.sql());
        let (start, end) = (
            modules::datetime::sql_text(start),
            modules::datetime::sql_text(end),
        );
        text = Some(format!(
            "(select * from {read} where {column} >= '{start}' and {column} < '{end}')"
        ));
    }
    match text {
        Some(text) => relation.written_as(text),
        None => relation,
    }
}

// What the second mapping has not, by key.
fn difference(args: &Args) -> Result<Value, Error> {
    let (Some(first), Some(second)) = (args.get(0, "dict_a"), args.get(1, "dict_b")) else {
        return Err(Error::from(ErrorKind::MissingArgument));
    };
    let mut out = Vec::new();
    for key in first.try_iter()? {
        let other = second.get_item(&key)?;
        let known: Vec<Value> = match other.is_undefined() {
            true => Vec::new(),
            false => other.try_iter()?.collect(),
        };
        let rest: Vec<Value> = first
            .get_item(&key)?
            .try_iter()?
            .filter(|item| !known.contains(item))
            .collect();
        if !rest.is_empty() {
            out.push((key, Value::from(rest)));
        }
    }
    Ok(Value::from_pairs(out))
}

fn relation(session: &Session, found: &Resolved, name: &str) -> Value {
    match found {
        Resolved::Relation(relation) => Value::from_object(session.relation(relation.clone())),
        Resolved::Ephemeral(model) => Value::from_object(Relation::ephemeral(model)),
        Resolved::External { relation, text } => {
            Value::from_object(session.relation(relation.clone()).written_as(text.clone()))
        }
        // A harmless name, so that the rest of the template still reads as SQL.
        Resolved::Unknown { .. } => {
            let name = RelationName::in_schema(session.facts.target.schema.as_str(), name);
            Value::from_object(session.relation(name))
        }
    }
}

fn configure(session: &Arc<Session>, args: &Args) -> Result<Value, Error> {
    if args.positional.is_empty() && args.named.is_empty() {
        return Ok(all_config(session));
    }
    let mut layer = Map::new();
    for value in &args.positional {
        match json_of(value) {
            Some(Json::Object(map)) => layer.extend(map),
            _ => {
                return Err(session.stop(Stop::Failed {
                    message: "`config` takes keyword arguments or one mapping".to_owned(),
                }));
            }
        }
    }
    for (name, value) in &args.named {
        layer.insert(name.clone(), json_of(value).unwrap_or(Json::Null));
    }
    super::config::merge(&mut session.log().config, layer);
    Ok(Value::from(""))
}

fn variable(session: &Arc<Session>, args: &Args) -> Result<Value, Error> {
    let name = args.need(0, "name", "var")?;
    if let Some(value) = session.facts.vars.get(&name) {
        return Ok(to_changeable(value));
    }
    if let Some(default) = args.get(1, "default") {
        return Ok(default.clone());
    }
    if session.assumes(&Assumed::Var(name.clone())) {
        return Ok(Value::from_object(Anything));
    }
    if session.facts.parsing {
        return Ok(Value::from(()));
    }
    Err(session.stop(Stop::MissingVar(name)))
}

fn dispatch(session: &Arc<Session>, current: &str, args: &Args) -> Result<Value, Error> {
    let name = args.need(0, "macro_name", "adapter.dispatch")?;
    let namespace = args.text(1, "macro_namespace");
    let macros = &session.facts.macros;
    if let Some((package, name)) = macros.dispatched(current, &name, namespace.as_deref()) {
        return Ok(Value::from_object(MacroFn {
            session: Arc::clone(session),
            package,
            name,
        }));
    }
    if builtin::is_known(&name) && namespace.as_deref().is_none_or(|n| n == "dbt") {
        return Ok(Path::value(session, current, format!("dbt.{name}")));
    }
    Err(session.stop(Stop::Undefined {
        name: format!("default__{name}"),
        via: None,
    }))
}
