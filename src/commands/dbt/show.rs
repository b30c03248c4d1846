//! `show`: rows of a node or of inline SQL.

use mxcp_artifact::dbt::NodeKind;
use mxcp_artifact::dbt_live::Table;
use mxcp_dbt::Asking;
use serde_json::{Map, Value, json};

use super::ask::{compile_nodes, failed, rendered};
use super::cli::{Args, Showing};
use super::nodes::selected;
use super::open::Opened;
use super::progress::Log;
use super::{run_error, usage};
use crate::commands::CLEAN;
use crate::commands::output::{self, Failure};

pub(super) fn show(args: &Args, opened: &Opened, flags: &Showing) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let mut options = match opened.running(args, "show", &flags.running) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    options.selection.indirect = mxcp_dbt::Indirect::Empty;
    let log = Log::new(args);
    let queries: Vec<(Option<String>, String)> = if let Some(sql) = &flags.inline_direct {
        vec![(None, sql.clone())]
    } else if let Some(inline) = &flags.inline {
        match rendered(opened, &options, inline, &log) {
            Ok(sql) => vec![(None, sql)],
            Err(message) => return failed(args, &message),
        }
    } else {
        let asked = &options.selection;
        if asked.select.is_empty() && asked.selector.is_none() {
            return usage(
                args,
                &Failure::new("either `--select` or `--inline` must be passed to show"),
            );
        }
        let selected = match selected(opened, &options) {
            Ok(selected) => selected,
            Err(error) => return run_error(args, &error),
        };
        for warning in &selected.warnings {
            log.line(warning);
        }
        let mut queries = Vec::new();
        for node in selected.resources.iter().filter_map(|r| r.node()) {
            let sql = match (node.kind(), &node.relation) {
                (NodeKind::Seed, Some(relation)) => format!("select * from {}", relation.quoted()),
                (NodeKind::UnitTest, _) => continue,
                _ => match compile_nodes(opened, &options, &[node], &log) {
                    Ok(mut compiled) => {
                        let sql = compiled.pop().unwrap_or_default();
                        let header = node.config.get("sql_header").and_then(Value::as_str);
                        header.map_or_else(|| sql.clone(), |header| format!("{header}\n{sql}"))
                    }
                    Err(message) => return failed(args, &message),
                },
            };
            queries.push((Some(node.name.clone()), sql));
        }
        queries
    };
    let limit = u64::try_from(flags.limit).ok();
    let asking = match Asking::open(&options) {
        Ok(asking) => asking,
        Err(error) => return run_error(args, &error),
    };
    for (name, sql) in &queries {
        match asking.query(sql, limit) {
            Ok(table) => print_rows(args, name.as_deref(), &table, &flags.output),
            Err(message) => return failed(args, &message),
        }
    }
    CLEAN
}

fn print_rows(args: &Args, name: Option<&str>, table: &Table, form: &str) {
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            let cells = table.columns.iter().zip(row);
            Value::Object(Map::from_iter(
                cells.map(|(column, cell)| (column.name.clone(), cell.clone())),
            ))
        })
        .collect();
    if args.json_output || form == "json" {
        let shown = match name {
            Some(name) => json!({ "node": name, "show": rows }),
            None => json!({ "show": rows }),
        };
        if args.json_output {
            output::print_ok(&shown);
        } else {
            output::print(&format!(
                "{}\n",
                serde_json::to_string_pretty(&shown).unwrap_or_default()
            ));
        }
        return;
    }
    let title = match name {
        Some(name) => format!("Previewing node '{name}':"),
        None => "Previewing inline node:".to_owned(),
    };
    output::print(&format!("{title}\n{}\n", grid(table)));
}

/// Columns as wide as their longest value; numbers to the right.
fn grid(table: &Table) -> String {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => other.to_string(),
    };
    let cells: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(text).collect())
        .collect();
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let longest = cells
                .iter()
                .filter_map(|row| row.get(i))
                .map(|c| c.chars().count());
            longest.max().unwrap_or(0).max(column.name.chars().count())
        })
        .collect();
    let right: Vec<bool> = (0..widths.len())
        .map(|i| {
            table
                .rows
                .iter()
                .any(|row| row.get(i).is_some_and(Value::is_number))
        })
        .collect();
    let line = |cells: &[String]| -> String {
        let padded: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(i, cell)| {
                let width = widths.get(i).copied().unwrap_or(0);
                if right.get(i).copied().unwrap_or(false) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            })
            .collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let names: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut out = line(&names);
    out.push_str(&format!("| {} |\n", rule.join(" | ")));
    for row in &cells {
        out.push_str(&line(row));
    }
    out
}
