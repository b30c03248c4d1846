//! `parse`, `compile`, `run-operation`, `docs generate` and `debug`.

use std::collections::{BTreeMap, HashMap};

use mxcp_artifact::dbt::{Node, NodeKind};
use mxcp_dbt::{Asking, Options};
use serde_json::{Map, Value, json};

use super::artifacts::Writer;
use super::cli::{Args, Compiling, Generating, Operation, Running};
use super::nodes::selected;
use super::open::{Opened, yaml_mapping};
use super::progress::Log;
use super::{run_error, usage};
use crate::commands::output::{self, Failure};
use crate::commands::{CLEAN, FAILED, USAGE};

/// How the templates say that a macro to call is not there.
const NO_MACRO: &str = "there is no macro";

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
    let mut options = match opened.running(args, "compile", &flags.running) {
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
    options.facts.selected = ids(&selected);
    let compiled = match compile_nodes(opened, &options, &nodes, &log) {
        Ok(compiled) => compiled,
        Err(message) => {
            failed(args, &message);
            return USAGE;
        }
    };
    for (node, sql) in nodes.iter().zip(&compiled) {
        writer.sql(node, sql, false);
    }
    let hooks = match compiled_hooks(opened, &options, &log) {
        Ok(hooks) => hooks,
        Err(message) => {
            failed(args, &message);
            return USAGE;
        }
    };
    write_compiled(&writer, &options, &selected, &nodes, &compiled, hooks);
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

fn ids(selected: &mxcp_dbt::select::Selected<'_>) -> Vec<String> {
    let ids = selected.resources.iter().map(|r| r.unique_id().to_owned());
    ids.collect()
}

/// dbt counts what was compiled among its results, seeds too.
fn write_compiled(
    writer: &Writer<'_>,
    options: &Options,
    selected: &mxcp_dbt::select::Selected<'_>,
    nodes: &[&Node],
    compiled: &[String],
    hooks: Vec<mxcp_dbt::NodeResult>,
) {
    let texts: HashMap<&str, &str> = nodes
        .iter()
        .zip(compiled)
        .map(|(node, sql)| (node.unique_id.as_str(), sql.as_str()))
        .collect();
    let mut results: Vec<mxcp_dbt::NodeResult> = selected
        .resources
        .iter()
        .filter(|resource| {
            matches!(
                resource.kind(),
                "model" | "seed" | "snapshot" | "test" | "analysis"
            ) && resource.materialized() != "ephemeral"
        })
        .map(|resource| {
            let sql = texts.get(resource.unique_id()).copied();
            mxcp_dbt::NodeResult::compiled(*resource, sql)
        })
        .collect();
    results.extend(hooks);
    let summary = mxcp_dbt::Summary {
        results,
        ..mxcp_dbt::Summary::default()
    };
    writer.results(&summary, options);
}

/// The statements around a run, which dbt compiles too where nothing is selected.
fn compiled_hooks(
    opened: &Opened,
    options: &Options,
    log: &Log,
) -> Result<Vec<mxcp_dbt::NodeResult>, String> {
    let asked = &options.selection;
    if !asked.select.is_empty() || asked.selector.is_some() {
        return Ok(Vec::new());
    }
    let hooks = opened.graph().hooks().into_iter();
    hooks
        .map(|hook| {
            let sql = rendered(opened, options, &hook.sql, log)?;
            let name = format!("{}-{}-{}", hook.package, hook.when(), hook.index);
            let id = format!("operation.{}.{name}", hook.package);
            let started = mxcp_dbt::Moment::now();
            let result = mxcp_dbt::NodeResult::operation(&id, &name, None, started);
            Ok(mxcp_dbt::NodeResult {
                compiled_sql: sql.trim().to_owned(),
                failures: None,
                ..result
            })
        })
        .collect()
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
pub(super) fn compile_nodes(
    opened: &Opened,
    options: &Options,
    nodes: &[&Node],
    log: &Log,
) -> Result<Vec<String>, String> {
    let facts = &options.facts;
    let narrowed = options.empty || facts.sample.is_some() || !facts.deferred.is_empty();
    let needs = nodes.iter().any(|node| node.live) || narrowed;
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

pub(super) fn rendered(
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
    let started = mxcp_dbt::Moment::now();
    let outcome = asking.operation(&flags.name, &arguments, &options, opened.helpers(), &note);
    let project = &opened.project;
    let (package, name) = match flags.name.split_once('.') {
        Some((package, name)) => (package, name),
        None => {
            let macros = &opened.ecosystem().macros;
            let own = |package: &str| {
                let mut all = macros.iter();
                all.any(|m| m.package == package && m.name == flags.name)
            };
            let found = macros.iter().find(|m| m.name == flags.name);
            let package = match found {
                Some(found) if !own(project) => found.package.as_str(),
                _ => project.as_str(),
            };
            (package, flags.name.as_str())
        }
    };
    let known = |e: &String| !e.starts_with(NO_MACRO);
    if outcome.as_ref().err().is_none_or(known) {
        let error = outcome.as_ref().err().cloned();
        let id = format!("macro.{package}.{name}");
        let summary = mxcp_dbt::Summary {
            results: vec![mxcp_dbt::NodeResult::operation(&id, name, error, started)],
            ..mxcp_dbt::Summary::default()
        };
        Writer::new(args, opened).results(&summary, &options);
    }
    match outcome {
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
    let mut options = match opened.running(args, "generate", &flags.running) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    let log = Log::new(args);
    let writer = Writer::new(args, opened);
    writer.manifest();
    match selected(opened, &options) {
        Ok(selected) => {
            let nodes: Vec<&Node> = selected
                .resources
                .iter()
                .filter_map(|resource| resource.node())
                .filter(|node| !matches!(node.kind(), NodeKind::Seed | NodeKind::UnitTest))
                .collect();
            options.facts.selected = ids(&selected);
            match compile_nodes(opened, &options, &nodes, &log) {
                Ok(compiled) => {
                    for (node, sql) in nodes.iter().zip(&compiled) {
                        writer.sql(node, sql, false);
                    }
                    let hooks = match compiled_hooks(opened, &options, &log) {
                        Ok(hooks) => hooks,
                        Err(message) => {
                            failed(args, &message);
                            return USAGE;
                        }
                    };
                    write_compiled(&writer, &options, &selected, &nodes, &compiled, hooks);
                }
                Err(message) => {
                    failed(args, &message);
                    return USAGE;
                }
            }
        }
        Err(error) => return run_error(args, &error),
    }
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

pub(super) fn failed(args: &Args, message: &str) -> u8 {
    let code = if message.starts_with(NO_MACRO) {
        USAGE
    } else {
        FAILED
    };
    output::fail(args.json_output, &Failure::new(message));
    code
}
