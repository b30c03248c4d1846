//! The methods of `adapter` that ask or change the database.

use std::sync::Arc;

use minijinja::Error;
use minijinja::value::{Tuple, Value};
use mxcp_artifact::catalog::quote_literal;

use super::super::context::MacroFn;
use super::super::functions::Args;
use super::super::relation::{Column, Relation};
use super::super::session::{Session, Stop};
use super::Live;
use super::calls::{query, result};
use super::table::Rows;

pub(super) fn call(
    session: &Arc<Session>,
    live: &Arc<Live>,
    method: &str,
    args: &Args,
) -> Option<Result<Value, Error>> {
    let first = || {
        args.positional.first().cloned().unwrap_or_else(|| {
            args.named
                .first()
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        })
    };
    let done = || Ok(Value::from(""));
    let run = |sql: &str| query(session, live, sql).map(|_| Value::from(""));
    Some(match method {
        "get_relation" => {
            let part = |i: usize, name: &str| args.text(i, name);
            let wanted = asked(session, live, part(0, "database"), part(1, "schema"), part(2, "identifier"));
            existing(session, live, &Value::from_object(wanted))
        }
        "already_exists" => {
            let wanted = asked(session, live, None, args.text(0, "schema"), args.text(1, "name"));
            existing(session, live, &Value::from_object(wanted)).map(|found| Value::from(!found.is_none()))
        }
        "get_columns_in_relation" | "get_columns_in_table" => columns(session, live, &first())
            .map(|columns| Value::from_iter(columns.into_iter().map(Value::from_object))),
        "get_missing_columns" => missing_columns(session, live, args),
        "get_column_schema_from_query" => columns(session, live, &subquery(&first()))
            .map(|columns| Value::from_iter(columns.into_iter().map(Value::from_object))),
        "list_relations_without_caching" | "list_relations" => {
            let (database, schema) = match first().downcast_object_ref::<Relation>() {
                Some(relation) => (relation.database.clone(), relation.schema.clone()),
                None => (args.text(0, "database"), args.text(1, "schema")),
            };
            relations(session, live, database, schema)
        }
        "list_schemas" => query(
            session,
            live,
            &format!(
                "select schema_name from system.information_schema.schemata where lower(catalog_name) = lower({})",
                quote_literal(&args.text(0, "database").unwrap_or_else(|| live.database.clone()))
            ),
        )
        .map(|rows| Value::from_iter(rows.rows().iter().filter_map(|row| row.first().cloned()))),
        "check_schema_exists" => {
            let schema = args.text(1, "schema").unwrap_or_default();
            let database = args.text(0, "database").unwrap_or_else(|| live.database.clone());
            query(
                session,
                live,
                &format!(
                    "select 1 from system.information_schema.schemata where lower(catalog_name) = lower({}) and lower(schema_name) = lower({})",
                    quote_literal(&database),
                    quote_literal(&schema)
                ),
            )
            .map(|rows| Value::from(!rows.rows().is_empty()))
        }
        "create_schema" => match relation_of(&first()) {
            Some(relation) => run(&format!("create schema if not exists {}", schema_of(&relation))),
            None => done(),
        },
        "drop_schema" => match relation_of(&first()) {
            Some(relation) => run(&format!("drop schema if exists {} cascade", schema_of(&relation))),
            None => done(),
        },
        "drop_relation" => match relation_of(&first()) {
            Some(relation) => drop_relation(session, live, &relation),
            None => done(),
        },
        "rename_relation" => rename(session, live, args),
        "truncate_relation" => match relation_of(&first()) {
            Some(relation) => run(&format!("truncate table {}", relation.sql())),
            None => done(),
        },
        "expand_target_column_types" | "cache_added" | "cache_dropped" | "cache_renamed"
        | "add_schema_to_cache" | "add_begin_query" | "add_commit_query" | "verify_database"
        | "release_connection" | "clear_transaction" | "store_relation" | "register_glue_table"
        | "pre_model_hook" | "post_model_hook" => done(),
        "commit" | "commit_if_has_connection" => match live.link.commit() {
            Ok(()) => done(),
            Err(message) => Err(session.stop(Stop::Failed { message })),
        },
        "rollback" | "rollback_if_open" => match live.link.rollback() {
            Ok(()) => done(),
            Err(message) => Err(session.stop(Stop::Failed { message })),
        },
        "warn_once" => {
            live.link.log(args.text(0, "msg").unwrap_or_default());
            done()
        }
        "execute" => {
            let sql = args.text(0, "sql").unwrap_or_default();
            query(session, live, &sql).map(|rows| {
                Value::from(Tuple::from(vec![Value::from("OK"), Value::from_object(rows)]))
            })
        }
        "add_query" | "run_sql_for_tests" => {
            let sql = args.text(0, "sql").unwrap_or_default();
            query(session, live, &sql).map(|rows| result("OK", Value::from_object(rows)))
        }
        "is_cancelable" | "is_motherduck" | "is_ducklake" | "disable_transactions"
        | "is_replaceable" => Ok(Value::from(false)),
        "valid_incremental_strategies" => Ok(Value::from_iter(
            ["append", "delete+insert", "merge", "microbatch"].map(Value::from),
        )),
        "get_incremental_strategy_macro" => strategy(session, args),
        "get_hard_deletes_behavior" => {
            let read = |key: &str| super::super::context::configured(session, key);
            let invalidate = read("invalidate_hard_deletes").is_some_and(|v| v.is_true());
            let word = read("hard_deletes").filter(|value| !value.is_none());
            Ok(word.unwrap_or_else(|| Value::from(if invalidate { "invalidate" } else { "ignore" })))
        }
        "location_exists" => {
            let place = args.text(0, "location").unwrap_or_default();
            query(session, live, &format!("select 1 from glob({})", quote_literal(&place)))
                .map(|rows| Value::from(!rows.rows().is_empty()))
        }
        "external_root" => Ok(Value::from(".")),
        "external_read_location" => {
            let place = args.text(0, "write_location").unwrap_or_default();
            let options = args.get(1, "rendered_options").cloned().unwrap_or_default();
            Ok(Value::from(files_of(&place, &options)))
        }
        _ => return None,
    })
}

/// The files that a statement with these options writes below a place, as a pattern.
fn files_of(place: &str, options: &Value) -> String {
    let option = |key: &str| options.get_attr(key).ok().filter(Value::is_true);
    let parts = option("partition_by").map(|by| by.to_string().split(',').count());
    if parts.is_none() && option("per_thread_output").is_none() {
        return place.to_owned();
    }
    let format = option("format").map_or_else(|| "parquet".to_owned(), |f| f.to_string());
    format!("{place}/*{}.{format}", "/*".repeat(parts.unwrap_or(0)))
}

fn relation_of(value: &Value) -> Option<Relation> {
    value.downcast_object_ref::<Relation>().cloned()
}

// A relation by its parts; those that are not given are the target's.
fn asked(
    session: &Session,
    live: &Live,
    database: Option<String>,
    schema: Option<String>,
    identifier: Option<String>,
) -> Relation {
    Relation {
        catalog: database.clone().filter(|d| *d != live.database),
        database: Some(database.unwrap_or_else(|| live.database.clone())),
        own: Some(live.database.clone()),
        shows_own: true,
        schema: Some(schema.unwrap_or_else(|| session.facts.target.schema.clone())),
        identifier,
        ..Relation::default()
    }
}

fn subquery(sql: &Value) -> Value {
    Value::from_object(Relation::default().written_as(format!("({sql})")))
}

fn schema_of(relation: &Relation) -> String {
    let schema = Relation {
        identifier: None,
        text: None,
        ..relation.clone()
    };
    schema.sql()
}

/// What kind of relation there is of this name, if any.
pub(in crate::dbt) fn find(
    session: &Session,
    live: &Live,
    catalog: Option<&str>,
    schema: &str,
    name: &str,
) -> Result<Option<String>, Error> {
    let sql = format!(
        "select case table_type when 'VIEW' then 'view' else 'table' end from system.information_schema.tables \
         where lower(table_catalog) = lower({}) and lower(table_schema) = lower({}) and lower(table_name) = lower({})",
        quote_literal(catalog.unwrap_or(&live.database)),
        quote_literal(schema),
        quote_literal(name)
    );
    let rows = query(session, live, &sql)?;
    Ok(rows
        .rows()
        .first()
        .and_then(|row| Some(row.first()?.as_str()?.to_owned())))
}

/// The relation as the database has it, or none.
pub(super) fn existing(session: &Session, live: &Live, wanted: &Value) -> Result<Value, Error> {
    let Some(wanted) = relation_of(wanted) else {
        return Ok(Value::from(()));
    };
    let (Some(schema), Some(name)) = (&wanted.schema, &wanted.identifier) else {
        return Ok(Value::from(()));
    };
    Ok(
        match find(session, live, wanted.catalog.as_deref(), schema, name)? {
            Some(kind) => Value::from_object(Relation {
                kind: Some(kind),
                text: None,
                ..wanted
            }),
            None => Value::from(()),
        },
    )
}

pub(super) fn columns(
    session: &Session,
    live: &Live,
    relation: &Value,
) -> Result<Vec<Column>, Error> {
    let rows = match live.link.query(&format!("describe {relation}")) {
        Ok(table) => Rows::of(&table),
        // Macros ask this way whether a relation is there.
        Err(message) if message.to_lowercase().contains("does not exist") => return Ok(Vec::new()),
        Err(message) => return Err(session.stop(Stop::Failed { message })),
    };
    Ok(rows
        .rows()
        .iter()
        .filter_map(|row| {
            Some(Column::new(
                row.first()?.as_str()?,
                &row.get(1)?.to_string(),
            ))
        })
        .collect())
}

fn missing_columns(session: &Session, live: &Live, args: &Args) -> Result<Value, Error> {
    let relation = |i: usize, name: &str| args.get(i, name).cloned().unwrap_or_default();
    let from = columns(session, live, &relation(0, "from_relation"))?;
    let to = columns(session, live, &relation(1, "to_relation"))?;
    let missing = from.into_iter().filter(|column| {
        !to.iter()
            .any(|known| known.name.eq_ignore_ascii_case(&column.name))
    });
    Ok(Value::from_iter(missing.map(Value::from_object)))
}

fn relations(
    session: &Session,
    live: &Live,
    database: Option<String>,
    schema: Option<String>,
) -> Result<Value, Error> {
    let database = database.unwrap_or_else(|| live.database.clone());
    let schema = schema.unwrap_or_else(|| session.facts.target.schema.clone());
    let rows = query(
        session,
        live,
        &format!(
            "select table_schema, table_name, case table_type when 'VIEW' then 'view' else 'table' end \
             from system.information_schema.tables where lower(table_catalog) = lower({}) and lower(table_schema) = lower({})",
            quote_literal(&database),
            quote_literal(&schema)
        ),
    )?;
    let text = |row: &[Value], i: usize| row.get(i).map(ToString::to_string);
    Ok(Value::from_iter(rows.rows().iter().map(|row| {
        Value::from_object(Relation {
            kind: text(row, 2),
            ..asked(
                session,
                live,
                Some(database.clone()),
                text(row, 0),
                text(row, 1),
            )
        })
    })))
}

fn drop_relation(session: &Session, live: &Live, relation: &Relation) -> Result<Value, Error> {
    let (Some(schema), Some(name)) = (&relation.schema, &relation.identifier) else {
        let sql = format!("drop table if exists {}", relation.sql());
        return query(session, live, &sql).map(|_| Value::from(""));
    };
    let kind = match &relation.kind {
        Some(kind) => Some(kind.clone()),
        None => find(session, live, relation.catalog.as_deref(), schema, name)?,
    };
    if let Some(kind) = kind {
        let kind = if kind == "external" {
            "view"
        } else {
            kind.as_str()
        };
        query(
            session,
            live,
            &format!("drop {kind} if exists {} cascade", relation.sql()),
        )?;
    }
    Ok(Value::from(""))
}

fn rename(session: &Session, live: &Live, args: &Args) -> Result<Value, Error> {
    let relation = |i: usize, name: &str| args.get(i, name).and_then(relation_of);
    let (Some(from), Some(to)) = (relation(0, "from_relation"), relation(1, "to_relation")) else {
        return Ok(Value::from(""));
    };
    let kind = to.kind.clone().or_else(|| from.kind.clone());
    let kind = match kind {
        Some(kind) => kind,
        None => {
            let name = from.name();
            find(
                session,
                live,
                from.catalog.as_deref(),
                &name.schema,
                &name.name,
            )?
            .unwrap_or_else(|| "table".to_owned())
        }
    };
    let new = mxcp_artifact::catalog::quote_identifier(&to.identifier.unwrap_or_default());
    query(
        session,
        live,
        &format!("alter {kind} {} rename to {new}", from.sql()),
    )?;
    Ok(Value::from(""))
}

// The macro that writes the statement of an incremental strategy.
fn strategy(session: &Arc<Session>, args: &Args) -> Result<Value, Error> {
    let word = args
        .text(1, "model_strategy")
        .unwrap_or_else(|| "default".to_owned());
    let name = format!("get_incremental_{}_sql", word.replace('+', "_"));
    let macros = &session.facts.macros;
    match macros.visible(&session.facts.package, &name) {
        Some(package) => Ok(Value::from_object(MacroFn {
            session: Arc::clone(session),
            package: package.to_owned(),
            name,
        })),
        None => Err(session.stop(Stop::Failed {
            message: format!(
                "there is no incremental strategy `{word}`: no macro is called `{name}`"
            ),
        })),
    }
}
