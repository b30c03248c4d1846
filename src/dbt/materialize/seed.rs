//! Seeds: a CSV file becomes a table, with the types chosen when the project was compiled. The
//! engine reads the file; the shape of its rows is checked first, because a row of the wrong length
//! should be named by its line and not by what the engine makes of it.

use std::io;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use duckdb::Connection;
use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use mxcp_artifact::dbt::{Node, SeedSpec};
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_artifact::{RelationKind, SqlType};
use serde_json::Value;

use super::table::{create_all_indexes, take_place};
use super::{beside, hide_temporary_name};
use crate::database::Failure;
use crate::job::{Job, Run};
use crate::result::Outcome;

pub(crate) fn load(
    run: &Run<'_>,
    connection: &Connection,
    node: &Node,
    seed: &SeedSpec,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    let job = Job::new(
        run,
        connection,
        node,
        &hooks(node, "pre-hook"),
        &hooks(node, "post-hook"),
        None,
        facts,
    )?;
    let target = job.target()?;
    let file = run.options.root.join(&node.path);
    check_rows(&file, node, seed).map_err(Failure::new)?;
    let delimiter = node.config.get("delimiter").and_then(Value::as_str);
    if delimiter.is_some_and(|text| text.chars().count() != 1) {
        return Err(Failure::new("`delimiter` must be one character"));
    }
    let built = beside(target);
    let plain = node.config.get("quote_columns") == Some(&Value::Bool(false));
    let columns: Vec<String> = seed
        .columns
        .iter()
        .map(|(name, ty)| match plain {
            true => format!("{name} {ty}"),
            false => format!("{} {ty}", quote_identifier(name)),
        })
        .collect();
    let create = format!("create table {} ({})", built.quoted(), columns.join(", "));
    let copy = copy(&built.quoted(), &file, node, seed).map_err(Failure::new)?;
    let rows = job
        .around(|| {
            run.relations.drop(connection, &built)?;
            connection.execute_batch(&create)?;
            let rows = connection
                .execute(&copy, [])
                .map_err(|error| bad_row(error, node))?;
            take_place(connection, run.relations, &built, target)?;
            create_all_indexes(&job, &seed.indexes, target)?;
            job.persist_docs("table", target)?;
            Ok(rows)
        })
        .map_err(|failure| hide_temporary_name(failure, target))?;
    run.relations.set(target, RelationKind::Table);
    let verb = if facts.full_refresh {
        "CREATE"
    } else {
        "INSERT"
    };
    Ok(Outcome::built(
        format!("{verb} {rows}"),
        Some(u64::try_from(rows).unwrap_or(u64::MAX)),
    ))
}

/// Hooks of a seed stand in its configuration alone; those that are templates are rendered when it
/// is loaded.
fn hooks(node: &Node, key: &str) -> Vec<String> {
    let listed = node.config.get(key).and_then(Value::as_array);
    listed
        .map(|hooks| {
            hooks
                .iter()
                .filter_map(|hook| hook.get("sql").unwrap_or(hook).as_str())
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

/// Every row has as many values as the header, and the header as many as when it was compiled.
fn check_rows(file: &Path, node: &Node, seed: &SeedSpec) -> Result<(), String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", node.path);
    // A delimiter the reader here cannot take is left to the engine.
    let Ok(delimiter) = u8::try_from(seed.delimiter) else {
        return Ok(());
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_path(file)
        .map_err(|error| match error.kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                format!(
                    "the file `{}` does not exist any more; build again",
                    node.path
                )
            }
            _ => unreadable(&error),
        })?;
    let mut record = ByteRecord::new();
    let mut header = true;
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| unreadable(&error))?
    {
        let line = record.position().map_or(0, csv::Position::line);
        let expected = seed.columns.len();
        if header && record.len() != expected {
            return Err(format!(
                "{}:{line}: the header has {}, but {} when it was compiled; build again",
                node.path,
                count(record.len(), "column"),
                expected
            ));
        }
        if record.len() != expected {
            return Err(format!(
                "{}:{line}: the row has {}, the header has {expected}; a value that contains the delimiter `{}` must be quoted",
                node.path,
                count(record.len(), "value"),
                seed.delimiter
            ));
        }
        if let Some(field) = record
            .iter()
            .position(|field| std::str::from_utf8(field).is_err())
        {
            return Err(format!(
                "{}:{line}: value {} is not UTF-8; save the file as UTF-8",
                node.path,
                field + 1
            ));
        }
        header = false;
    }
    Ok(())
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The dialect is fixed, so that no quote, comment or skipped line is ever guessed. Only the format
/// of dates is left to be detected, which needs the engine's detection as a whole.
fn copy(table: &str, file: &Path, node: &Node, seed: &SeedSpec) -> Result<String, String> {
    let file = file.to_str().ok_or_else(|| {
        format!(
            "the path of `{}` is not UTF-8; move the project to another folder",
            node.path
        )
    })?;
    let detect = seed.columns.iter().any(|(_, ty)| {
        matches!(
            ty,
            SqlType::Date
                | SqlType::Timestamp
                | SqlType::TimestampS
                | SqlType::TimestampMs
                | SqlType::TimestampNs
                | SqlType::TimestampTz
        )
    });
    Ok(format!(
        "copy {table} from {} (format csv, header true, delimiter {}, quote '\"', escape '\"', comment '', skip 0, auto_detect {detect})",
        quote_literal(&literal_glob(file)),
        quote_literal(&seed.delimiter.to_string()),
    ))
}

/// The engine takes the file name as a pattern.
fn literal_glob(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        if matches!(c, '[' | '*' | '?') {
            out.extend(['[', c, ']']);
        } else {
            out.push(c);
        }
    }
    out
}

/// Keeps of the engine's report what the author needs: the line, the column and the value.
fn bad_row(error: duckdb::Error, node: &Node) -> Failure {
    let failure = Failure::from(error);
    let Some((_, rest)) = failure.message.split_once("CSV Error on Line: ") else {
        return failure.context(&format!("loading `{}`", node.path));
    };
    let line: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let reason = rest
        .lines()
        .find_map(|text| text.strip_prefix("Error when converting column "))
        .and_then(conversion)
        .or_else(|| {
            let mut after = rest.lines().skip_while(|text| !text.trim().is_empty());
            after
                .find(|text| !text.trim().is_empty())
                .map(str::to_owned)
        })
        .unwrap_or_else(|| rest.lines().skip(1).collect::<Vec<_>>().join(" "));
    Failure::new(format!("{}:{line}: {reason}", node.path))
}

/// From `"<column>". Could not convert string "<value>" to '<type>'`.
fn conversion(text: &str) -> Option<String> {
    let (column, rest) = text.strip_prefix('"')?.split_once("\". ")?;
    let value = rest.strip_prefix("Could not convert string \"")?;
    let (value, ty) = value.rsplit_once("\" to '")?;
    Some(format!(
        "the value `{value}` of the column `{column}` is not of type {}; correct it, or set another type in `column_types`",
        ty.trim_end_matches('\'')
    ))
}
