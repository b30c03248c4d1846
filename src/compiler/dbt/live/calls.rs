//! What the functions of dbt's context do during a run, where that differs from compiling.

use std::sync::Arc;

use minijinja::value::{Tuple, Value};
use minijinja::{Error, State};
use serde_json::Value as Json;

use super::super::context::configured;
use super::super::functions::Args;
use super::super::modules::datetime;
use super::super::session::{Session, Stop};
use super::super::values::to_value;
use super::table::Rows;
use super::{Live, adapter};

/// A name of the context that holds a plain value.
pub(in crate::dbt) fn plain(live: &Live, name: &str) -> Option<Value> {
    let run = &live.run;
    Some(match name {
        "database" => Value::from(live.database.as_str()),
        "flags" => Value::from_pairs([
            ("FULL_REFRESH", Value::from(run.full_refresh)),
            ("STORE_FAILURES", Value::from(run.store_failures)),
            ("EMPTY", Value::from(false)),
            ("FAIL_FAST", Value::from(false)),
            ("WHICH", Value::from(run.which.as_str())),
        ]),
        "invocation_id" => Value::from(run.invocation_id.as_str()),
        "run_started_at" => datetime::of_rfc3339(&run.started_at)
            .unwrap_or_else(|| Value::from(run.started_at.as_str())),
        "results" => results(live),
        "schemas" if !run.results.is_empty() => schemas(live),
        "selected_resources" => {
            Value::from_iter(run.selected.iter().map(|id| Value::from(id.as_str())))
        }
        "invocation_args_dict" => Value::from_pairs([
            ("which", Value::from(run.which.as_str())),
            ("full_refresh", Value::from(run.full_refresh)),
        ]),
        "graph" => to_value(live.world.graph.get().unwrap_or(&Json::Null)),
        "thread_id" => Value::from("Thread-1"),
        "dbt_metadata_envs" => Value::from_pairs::<_, &str, Value>([]),
        _ => return None,
    })
}

/// What the nodes came to, each with its node as in dbt.
fn results(live: &Live) -> Value {
    let results = live.run.results.iter().map(|result| {
        let mut result = result.clone();
        if let Json::Object(map) = &mut result {
            let own = map
                .get("unique_id")
                .and_then(|id| node_of(live, id.as_str()?));
            let node = own.cloned().unwrap_or_else(|| {
                let text = |key: &str| map.get(key).cloned().unwrap_or_default();
                serde_json::json!({
                    "unique_id": text("unique_id"), "name": text("name"),
                    "resource_type": text("kind"), "original_file_path": text("path"),
                })
            });
            map.insert("node".to_owned(), node);
        }
        to_value(&result)
    });
    Value::from(results.collect::<Vec<_>>())
}

fn node_of<'l>(live: &'l Live, unique_id: &str) -> Option<&'l Json> {
    live.world.graph.get()?.get("nodes")?.get(unique_id)
}

/// The schemas that relations were built in.
fn schemas(live: &Live) -> Value {
    let built = live.run.results.iter().filter_map(|result| {
        let status = result["status"].as_str()?;
        let node = node_of(live, result["unique_id"].as_str()?)?;
        let relational = matches!(
            node["resource_type"].as_str()?,
            "model" | "seed" | "snapshot"
        );
        let failed = matches!(status, "error" | "fail" | "skipped");
        node["schema"]
            .as_str()
            .filter(|_| relational && !failed)
            .map(str::to_owned)
    });
    let names: std::collections::BTreeSet<String> = built.collect();
    Value::from(names.into_iter().collect::<Vec<_>>())
}

/// Calls a function; `None` when it does the same as while compiling.
pub(in crate::dbt) fn call(
    session: &Arc<Session>,
    live: &Arc<Live>,
    state: &mut State<'_, '_>,
    path: &str,
    args: &Args,
) -> Option<Result<Value, Error>> {
    if let Some(method) = path.strip_prefix("adapter.") {
        return adapter::call(session, live, method, args);
    }
    Some(match path.strip_prefix("dbt.").unwrap_or(path) {
        "is_incremental" => is_incremental(session, live),
        "should_full_refresh" => Ok(Value::from(full_refresh(session, live))),
        "should_store_failures" => {
            let own = configured(session, "store_failures").filter(|value| !value.is_none());
            Ok(own.unwrap_or_else(|| Value::from(live.run.store_failures)))
        }
        "run_query" => run_query(session, live, args),
        "statement" => statement(session, live, state, args),
        "load_result" => {
            let name = args.text(0, "name").unwrap_or_default();
            Ok(live
                .results()
                .get(&name)
                .cloned()
                .unwrap_or(Value::from(())))
        }
        "store_result" | "store_raw_result" => {
            let name = args.text(0, "name").unwrap_or_default();
            let table = match path {
                "store_result" => args.get(2, "agate_table"),
                _ => args.get(4, "agate_table"),
            };
            let table = table.cloned().filter(|table| !table.is_none());
            let response = args.get(1, "response").or_else(|| args.get(1, "message"));
            let response = response.cloned().unwrap_or(Value::from("OK"));
            let result = result(
                &response.to_string(),
                table.unwrap_or_else(|| Value::from_object(Rows::empty())),
            );
            live.results().insert(name, result);
            Ok(Value::from(""))
        }
        "load_relation" | "load_cached_relation" => {
            let relation = args.get(0, "relation").cloned().unwrap_or_default();
            adapter::existing(session, live, &relation)
        }
        "get_columns_in_query" => columns_in_query(session, live, args, false),
        "get_column_schema_from_query" => columns_in_query(session, live, args, true),
        "log" => {
            let info = args.get(1, "info").is_some_and(Value::is_true);
            if info {
                live.link.log(args.text(0, "msg").unwrap_or_default());
            }
            Ok(Value::from(""))
        }
        "print" | "exceptions.warn" => {
            live.link.log(args.text(0, "msg").unwrap_or_default());
            Ok(Value::from(""))
        }
        "env_var" => env_var(session, live, args),
        "render" => {
            let text = args.text(0, "value").unwrap_or_default();
            super::render::nested(session, &text)
        }
        "write" => Ok(Value::from("")),
        "doc" => {
            let name = args
                .text(args.positional.len().saturating_sub(1), "name")
                .unwrap_or_default();
            Ok(Value::from(
                live.world.docs.get(&name).cloned().unwrap_or_default(),
            ))
        }
        "try_or_compiler_error" => {
            let (Some(message), Some(function)) =
                (args.text(0, "message_if_exception"), args.positional.get(1))
            else {
                return Some(Ok(Value::from(())));
            };
            let rest = args.positional.get(2..).unwrap_or(&[]).to_vec();
            function.call(state, &rest).map_err(|_| {
                session.log().stop = Some(Stop::Raised { message });
                Error::new(minijinja::ErrorKind::InvalidOperation, "stopped")
            })
        }
        path if super::super::modules::reads_clock(path) => return None,
        _ => return None,
    })
}

/// Runs a statement; what the database says against it stops the template.
pub(super) fn query(session: &Session, live: &Live, sql: &str) -> Result<Rows, Error> {
    match live.link.query(sql) {
        Ok(table) => Ok(Rows::of(&table)),
        Err(message) => Err(session.stop(Stop::Failed { message })),
    }
}

fn run_query(session: &Session, live: &Live, args: &Args) -> Result<Value, Error> {
    let sql = args.need(0, "sql", "run_query")?;
    if sql.trim().is_empty() {
        return Ok(Value::from_object(Rows::empty()));
    }
    Ok(Value::from_object(query(session, live, &sql)?))
}

fn statement(
    session: &Session,
    live: &Live,
    state: &mut State<'_, '_>,
    args: &Args,
) -> Result<Value, Error> {
    let caller = args.named.iter().find(|(name, _)| name == "caller");
    let sql = match caller {
        // A macro has rendered the block already, see `context`.
        Some((_, caller)) => caller.call(state, &[])?.to_string(),
        None => String::new(),
    };
    let name = args.text(0, "name");
    let fetch = args.get(1, "fetch_result").is_some_and(Value::is_true);
    if args.get(2, "auto_begin").is_none_or(Value::is_true)
        && let Err(message) = live.link.begin()
    {
        return Err(session.stop(Stop::Failed { message }));
    }
    let table = match live.link.query(&sql) {
        Ok(table) => table,
        Err(message) => return Err(session.stop(Stop::Failed { message })),
    };
    if name.as_deref() == Some("main") {
        *live.changed() = table.changed;
    }
    if let Some(name) = name {
        let rows = if fetch {
            Rows::of(&table)
        } else {
            Rows::empty()
        };
        live.results()
            .insert(name, result("OK", Value::from_object(rows)));
    }
    Ok(Value::from(""))
}

/// What `load_result` gives.
pub(super) fn result(response: &str, table: Value) -> Value {
    let data: Vec<Value> = match table.downcast_object_ref::<Rows>() {
        Some(rows) => rows
            .rows()
            .iter()
            .map(|row| Value::from(Tuple::from(row.clone())))
            .collect(),
        None => Vec::new(),
    };
    Value::from_pairs([
        ("response", Value::from(response)),
        ("data", Value::from(data)),
        ("table", table),
    ])
}

pub(super) fn full_refresh(session: &Session, live: &Live) -> bool {
    match configured(session, "full_refresh").filter(|value| !value.is_none()) {
        Some(value) => value.is_true(),
        None => live.run.full_refresh,
    }
}

fn is_incremental(session: &Session, live: &Live) -> Result<Value, Error> {
    let incremental =
        configured(session, "materialized").is_some_and(|m| m.as_str() == Some("incremental"));
    // A unit test says so itself where it matters.
    if !incremental || live.replaced.on || full_refresh(session, live) {
        return Ok(Value::from(false));
    }
    let Some(this) = &session.facts.this else {
        return Ok(Value::from(false));
    };
    let found = adapter::find(
        session,
        live,
        this.catalog.as_deref(),
        &this.schema,
        &this.name,
    )?;
    Ok(Value::from(found.as_deref() == Some("table")))
}

fn env_var(session: &Session, live: &Live, args: &Args) -> Result<Value, Error> {
    let name = args.need(0, "name", "env_var")?;
    if let Some(value) = live.replaced.env_vars.get(&name) {
        return Ok(Value::from(value.as_str()));
    }
    if let Ok(value) = std::env::var(&name) {
        return Ok(Value::from(value));
    }
    match args.text(1, "default") {
        Some(default) => Ok(Value::from(default)),
        None => Err(session.stop(Stop::Failed {
            message: format!("the environment variable `{name}` is not set and has no default"),
        })),
    }
}

fn columns_in_query(
    session: &Session,
    live: &Live,
    args: &Args,
    whole: bool,
) -> Result<Value, Error> {
    let sql = args.need(0, "select_sql", "get_columns_in_query")?;
    let rows = query(session, live, &format!("describe {sql}"))?;
    let columns = rows.rows().iter().filter_map(|row| {
        let name = row.first()?.as_str()?.to_owned();
        Some(match whole {
            true => Value::from_object(super::super::relation::Column::new(
                &name,
                &row.get(1)?.to_string(),
            )),
            false => Value::from(name),
        })
    });
    Ok(Value::from(columns.collect::<Vec<_>>()))
}
