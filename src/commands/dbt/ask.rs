//! `parse`, `compile`, `show`, `run-operation`, `docs generate` and `debug`.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::{Node, NodeKind};
use mxcp_artifact::dbt_live::Table;
use mxcp_dbt::{Asking, Options};
use serde_json::{Map, Value, json};

use super::artifacts::Writer;
use super::cli::{Args, Compiling, Generating, Operation, Running, Showing};
use super::nodes::selected;
use super::open::{Opened, yaml_mapping};
use super::progress::Log;
use super::{run_error, usage};
use crate::commands::output::{self, Failure};
use crate::commands::{CLEAN, FAILED, USAGE};

pub(super) fn parse(args: &Args, opened: &Opened, _running: &Running) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    Writer::new(args, opened).manifest();
    if args.json_output {
        output::print_ok(&json!({ "nodes": opened.graph().nodes.len() }));
    } else {
        Log::new(args).line(&format!(
            "Performance info: {}",
            opened.target_dir.join("manifest.json").display()
        ));
    }
    CLEAN
}

pub(super) fn compile(args: &Args, opened: &Opened, flags: &Compiling) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let options = match opened.running(args, "compile", &flags.running) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    let log = Log::new(args);
    let writer = Writer::new(args, opened);
    writer.manifest();
    if let Some(inline) = &flags.inline {
        return match rendered(opened, &options, inline, &log) {
            Ok(sql) => print_compiled(args, &log, &[("inline_query".into(), sql)], flags),
            Err(message) => failed(args, &message),
        };
    }
    let selected = match selected(opened, &options) {
        Ok(selected) => selected,
        Err(error) => return run_error(args, &error),
    };
    for warning in &selected.warnings {
        log.line(warning);
    }
    let nodes: Vec<&Node> = selected
        .resources
        .iter()
        .filter_map(|resource| resource.node())
        .filter(|node| !matches!(node.kind(), NodeKind::Seed | NodeKind::UnitTest))
        .collect();
    let compiled = match compile_nodes(opened, &options, &nodes, &log) {
        Ok(compiled) => compiled,
        Err(message) => return failed(args, &message),
    };
    for (node, sql) in nodes.iter().zip(&compiled) {
        writer.sql(node, sql, false);
    }
    let named: Vec<(String, String)> = nodes
        .iter()
        .zip(compiled)
        .map(|(node, sql)| (node.name.clone(), sql))
        .collect();
    let asked = &flags.running.selection;
    if asked.select.is_empty() && asked.models.is_empty() && asked.selector.is_none() {
        if args.json_output {
            output::print_ok(&json!({ "compiled": named.len() }));
        } else {
            log.line(&format!(
                "Compiled {} nodes to {}",
                named.len(),
                opened.target_dir.join("compiled").display()
            ));
        }
        return CLEAN;
    }
    // All that is selected is compiled; printed is what was asked for by name.
    let words: Vec<&str> = asked
        .select
        .iter()
        .chain(&asked.models)
        .flat_map(|word| word.split_whitespace())
        .collect();
    let by_name: Vec<(String, String)> = named
        .iter()
        .filter(|(name, _)| words.iter().any(|word| word.contains(name.as_str())))
        .cloned()
        .collect();
    let shown = if by_name.is_empty() { named } else { by_name };
    print_compiled(args, &log, &shown, flags)
}

fn print_compiled(args: &Args, log: &Log, compiled: &[(String, String)], flags: &Compiling) -> u8 {
    if args.json_output {
        let nodes: Vec<Value> = compiled
            .iter()
            .map(|(name, sql)| json!({ "node": name, "compiled": sql }))
            .collect();
        output::print_ok(&json!(nodes));
        return CLEAN;
    }
    for (name, sql) in compiled {
        if flags.output == "json" {
            let shown = if flags.inline.is_some() {
                json!({ "compiled": sql })
            } else {
                json!({ "node": name, "compiled": sql })
            };
            output::print(&format!(
                "{}\n",
                serde_json::to_string_pretty(&shown).unwrap_or_default()
            ));
        } else if flags.inline.is_some() {
            output::print(&format!("Compiled inline node is:\n{sql}\n\n"));
        } else {
            output::print(&format!("Compiled node '{name}' is:\n{sql}\n\n"));
        }
    }
    if compiled.is_empty() {
        log.line("Nothing to do. Try checking your model configs and model specification args");
    }
    CLEAN
}

/// Only live templates need the database.
fn compile_nodes(
    opened: &Opened,
    options: &Options,
    nodes: &[&Node],
    log: &Log,
) -> Result<Vec<String>, String> {
    let needs = nodes.iter().any(|node| node.live) || options.empty;
    let asking = match needs {
        true => Some(Asking::open(options).map_err(|error| error.to_string())?),
        false => None,
    };
    nodes
        .iter()
        .map(|node| match &asking {
            Some(asking) => asking
                .compile(node, options, opened.helpers(), &|line| log.line(&line))
                .map_err(|message| {
                    format!(
                        "Compilation Error in {} {} ({})\n  {message}",
                        node.kind().as_str(),
                        node.name,
                        node.path
                    )
                }),
            None => Ok(node.compiled_sql.clone()),
        })
        .collect()
}

fn rendered(
    opened: &Opened,
    options: &Options,
    template: &str,
    log: &Log,
) -> Result<String, String> {
    if !template.contains("{{") && !template.contains("{%") {
        return Ok(template.to_owned());
    }
    let asking = Asking::open(options).map_err(|error| error.to_string())?;
    if opened.helpers().templates.is_none() {
        return Err("inline SQL with Jinja cannot be rendered by this command".into());
    }
    asking.render(template, options, opened.helpers(), &|line| log.line(&line))
}

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
                    Ok(mut compiled) => compiled.pop().unwrap_or_default(),
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

pub(super) fn operation(args: &Args, opened: &Opened, flags: &Operation) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let arguments: BTreeMap<String, Value> = match yaml_mapping("--args", &flags.args) {
        Ok(map) => map.into_iter().collect(),
        Err(failure) => return usage(args, &failure),
    };
    let options = Options {
        root: opened.root().to_path_buf(),
        ..match opened.bare(args, "run-operation") {
            Ok(options) => options,
            Err(failure) => return usage(args, &failure),
        }
    };
    let log = Log::new(args);
    let asking = match Asking::open(&options) {
        Ok(asking) => asking,
        Err(error) => return run_error(args, &error),
    };
    let note = |line: String| log.line(&line);
    match asking.operation(&flags.name, &arguments, &options, opened.helpers(), &note) {
        Ok(value) => {
            if args.json_output {
                output::print_ok(&value);
            }
            CLEAN
        }
        Err(message) => failed(args, &message),
    }
}

pub(super) fn docs(args: &Args, opened: &Opened, flags: &Generating) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let options = match opened.running(args, "generate", &flags.running) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    let log = Log::new(args);
    let writer = Writer::new(args, opened);
    writer.manifest();
    let (nodes, sources) = if flags.empty_catalog {
        (Map::new(), Map::new())
    } else {
        log.line("Building catalog");
        let found = Asking::open(&options)
            .map_err(|error| error.to_string())
            .and_then(|asking| asking.catalog(opened.graph()));
        match found {
            Ok(found) => found,
            Err(message) => return failed(args, &message),
        }
    };
    writer.catalog(nodes, sources);
    let path = opened.target_dir.join("catalog.json");
    if args.json_output {
        output::print_ok(&json!({ "catalog": path.display().to_string() }));
    } else {
        log.line(&format!("Catalog written to {}", path.display()));
    }
    CLEAN
}

pub(super) fn debug(args: &Args, opened: &Opened) -> u8 {
    let log = Log::new(args);
    let mut sound = true;
    let mut check = |what: &str, outcome: Result<String, String>| match outcome {
        Ok(detail) => log.line(&format!("  {what}: OK {detail}")),
        Err(message) => {
            sound = false;
            log.error(&format!("  {what}: ERROR {message}"));
        }
    };
    check(
        "dbt_project.yml",
        Ok(format!("[{}]", opened.root().display())),
    );
    match &opened.target {
        Some(target) => check(
            "profiles.yml",
            Ok(format!(
                "[{}, target {}]",
                target.file.display(),
                target.name
            )),
        ),
        None => check(
            "profile",
            Ok(format!("[{} of mxcp-site.yml]", opened.session.profile)),
        ),
    }
    let broken = opened
        .session
        .diagnostics()
        .iter()
        .filter(|d| d.severity == mxcp_base::Severity::Error)
        .count();
    check(
        "project",
        match broken {
            0 => Ok(String::new()),
            n => Err(format!("{n} errors; run `mxcp validate` to see them")),
        },
    );
    let database = opened.session.database();
    let opens = opened
        .bare(args, "debug")
        .map_err(|failure| failure.message)
        .and_then(|options| Asking::open(&options).map_err(|error| error.to_string()));
    check(
        "connection",
        opens.map(|_| format!("[{}]", database.display())),
    );
    if sound {
        log.line("All checks passed!");
        CLEAN
    } else {
        FAILED
    }
}

fn failed(args: &Args, message: &str) -> u8 {
    let code = if message.contains("could not find a macro") {
        USAGE
    } else {
        FAILED
    };
    output::fail(args.json_output, &Failure::new(message));
    code
}
