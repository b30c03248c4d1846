//! Checks of the dbt layer, and the bridge from its problems to findings.

use std::collections::HashSet;

use mxcp_base::{Code, Severity, SourceFile, codes};

use super::data_tests::test_problems;
use super::hooks::{check_form, check_hooks, check_run_hooks};
use super::index::{
    dbt_project, find_node, macro_files, model_files, namesakes, node_name, properties, ref_index,
    seed_files, untyped_nodes,
};
use super::node::{
    NodeProperties, is_enabled, is_ephemeral, materialization, node_config, node_properties,
    node_relation, render_model,
};
use super::packages::{package_of, packages};
use super::places::{config_anchor, start};
use super::promises::{check_choices, check_columns, check_config};
use super::readers::readers;
use super::schema::{bind_model, model_schema};
use super::seeds::check_seed;
use super::test_checks::check_tests;
use super::unit_tests::check_unit_tests;
use super::unused::unused_config;
use crate::Db;
use crate::check::documents::{Schema, check_yaml};
use crate::check::sql::sql_errors;
use crate::dbt::keys::{ignored, misspelt_config, misspelt_keys};
use crate::dbt::problem::code;
use crate::dbt::{At, Problem, lower_macros, map_to_template, schema as contract, tests};
use crate::documents::{DocumentKind, parse_yaml};
use crate::finding::{Anchor, Finding, Place, TextOrigin};
use crate::inputs::Settings;
use crate::relations::RelationSchema;
use crate::sql::Bound;

/// A problem of the front end as a finding in `file`.
fn finding(db: &dyn Db, file: SourceFile, problem: &Problem) -> Finding {
    let anchor = match &problem.at {
        At::Pointer(pointer) => Anchor::value(file, pointer.clone()),
        At::Key(pointer) => Anchor::key(file, pointer.clone()),
        At::Range(range) => Anchor::text(file, *range),
        At::Config(key) => config_anchor(db, file, key, None),
        At::File => Anchor::file(file),
    };
    let code = Code::parse(problem.code).unwrap_or(codes::MX0412);
    let mut finding =
        Finding::new(code, problem.message.clone(), anchor).help_if(problem.help.clone());
    finding.severity = problem.severity;
    finding
}

/// How much is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What dbt finds when it reads the project: the engine is not asked.
    Reading,
    All,
}

pub fn check_dbt_file(
    db: &dyn Db,
    file: SourceFile,
    kind: DocumentKind,
    depth: Depth,
    findings: &mut Vec<Finding>,
) {
    // What is wrong with a package is reported where it stops a node of the project.
    if package_of(db, file.path(db)).is_some() {
        return;
    }
    match kind {
        DocumentKind::DbtProject => {
            check_yaml(db, file, Schema::DbtProject, findings);
            if let Some(project) = dbt_project(db) {
                findings.extend(project.problems.iter().map(|p| finding(db, file, p)));
                if depth == Depth::All {
                    findings.extend(unused_config(db).iter().map(|p| finding(db, file, p)));
                    check_run_hooks(db, file, findings);
                }
            }
        }
        DocumentKind::DbtProperties => check_properties(db, file, depth, findings),
        DocumentKind::DbtModel => check_model(db, file, depth, findings),
        DocumentKind::DbtTest if is_enabled(db, file) => {
            check_template(db, file, depth, findings);
        }
        DocumentKind::DbtSeed if depth == Depth::All => {
            check_seed(db, file, findings);
        }
        DocumentKind::DbtMacro => {
            let (_, problems) = lower_macros(file.text(db));
            findings.extend(problems.iter().map(|p| finding(db, file, p)));
        }
        _ => {}
    }
}

fn check_model(db: &dyn Db, file: SourceFile, depth: Depth, findings: &mut Vec<Finding>) {
    let (config, problems) = node_config(db, file);
    if !config.enabled {
        return;
    }
    let twin = namesakes(db).get(node_name(db, file)).and_then(|files| {
        files
            .iter()
            .find(|other| **other != file && is_enabled(db, **other))
    });
    if let Some(twin) = twin {
        findings.push(
            Finding::new(
                codes::MX0410,
                format!(
                    "there is another model or seed named `{}`",
                    node_name(db, file)
                ),
                start(file),
            )
            .label(start(*twin), "the other one")
            .help("rename one of the files"),
        );
    }
    findings.extend(problems.iter().map(|p| finding(db, file, p)));
    if let Err(problem) = materialization(db, file) {
        let mut finding = finding(db, file, &problem);
        // dbt builds it; only this command does not.
        if problem.is_accepted() || packages(db).is_some() {
            finding.severity = Some(Severity::Info);
        }
        findings.push(finding);
    }
    check_choices(db, file, findings);
    if depth == Depth::All {
        check_config_keys(db, file, findings);
        check_hooks(db, file, findings);
        check_form(db, file, findings);
        check_config(db, file, findings);
    }
    let before = findings.len();
    check_template(db, file, depth, findings);
    if depth == Depth::Reading {
        return;
    }
    if findings.len() > before {
        let readers = readers(db, file);
        if let Some(first) = findings.get_mut(before).filter(|f| f.is_error()) {
            first.labels.extend(readers);
        }
    } else {
        check_database(db, file, findings);
    }
}

/// Keywords of `config()` that are nearly known ones.
fn check_config_keys(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let template = mxcp_syntax::jinja::scan(file.text(db));
    let calls = template.calls.iter().filter(|call| call.name == "config");
    for (key, argument) in calls.flat_map(|call| &call.kwargs) {
        if let Some(near) = misspelt_config(key) {
            let problem = ignored(At::Range(argument.range), key, near);
            findings.push(finding(db, file, &problem));
        }
    }
}

/// The live relation of a model against what the model yields now.
fn check_database(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let environment = Settings::get(db).environment(db);
    if !environment.live || is_ephemeral(db, file) {
        return;
    }
    let relation = node_relation(db, file);
    let (Some(live), RelationSchema::Known(columns)) =
        (environment.catalog.get(relation), model_schema(db, file))
    else {
        return;
    };
    let known = |list: &[mxcp_artifact::Column], wanted: &mxcp_artifact::Column| {
        list.iter()
            .any(|c| c.name.eq_ignore_ascii_case(&wanted.name) && c.ty == wanted.ty)
    };
    let list = |names: Vec<&str>| format!("`{}`", names.join("`, `"));
    let new: Vec<&str> = columns
        .iter()
        .filter(|c| !known(&live.columns, c))
        .map(|c| c.name.as_str())
        .collect();
    let old: Vec<&str> = live
        .columns
        .iter()
        .filter(|c| !known(columns, c))
        .map(|c| c.name.as_str())
        .collect();
    let difference = match (new.is_empty(), old.is_empty()) {
        (true, true) => return,
        (false, true) => format!("it lacks {}", list(new)),
        (true, false) => format!("it still has {}", list(old)),
        (false, false) => format!("it has {} where the model has {}", list(old), list(new)),
    };
    findings.push(
        Finding::new(
            codes::MX0802,
            format!("the database has another `{relation}` than this model makes: {difference}"),
            Anchor::text(file, mxcp_base::TextRange::empty(0.into())),
        )
        .help("run `mxcp dbt run`"),
    );
}

/// Rendering and binding, with SQL errors mapped back to the template.
fn check_template(db: &dyn Db, file: SourceFile, depth: Depth, findings: &mut Vec<Finding>) {
    let rendered = render_model(db, file);
    // A macro of a file that does not parse is reported there.
    let problems = rendered
        .problems
        .iter()
        .filter(|p| !names_broken_macro(db, p));
    findings.extend(problems.map(|p| finding(db, file, p)));
    if let Some(reason) = rendered
        .dynamic
        .as_ref()
        .filter(|_| rendered.problems.is_empty())
    {
        let mut finding = Finding::new(
            codes::MX0412,
            format!("the SQL is known only at run time, so it is not checked: {reason}"),
            dynamic_anchor(file, file.text(db), reason),
        )
        .help("it is compiled when it runs; what reads it is not checked against its columns");
        finding.severity = Some(Severity::Info);
        findings.push(finding);
    }
    findings.extend(private_references(db, file));
    if depth == Depth::Reading {
        return;
    }
    if let Some(Bound::Failed { errors, missing }) = bind_model(db, file) {
        // Mapping first keeps `sql_errors` unaware of templates.
        let map = |range: &Option<std::ops::Range<u32>>| {
            range
                .as_ref()
                .map(|r| map_to_template(&rendered.spans, r.clone()))
        };
        let mut errors = errors.clone();
        for error in &mut errors {
            error.range = map(&error.range);
        }
        let mut missing = missing.clone();
        for table in &mut missing {
            table.range = map(&table.range);
        }
        let mut found = Vec::new();
        sql_errors(db, &TextOrigin::File(file), &errors, &missing, &mut found);
        for finding in &mut found {
            // A place inside `{{ … }}` is the whole expression: an edit there would be wrong.
            finding.fix = None;
        }
        findings.extend(found);
    }
}

/// Models that only their group may read, and this is none of it.
fn private_references(db: &dyn Db, file: SourceFile) -> Vec<Finding> {
    let setting = |file: SourceFile, key: &str| {
        let value = node_config(db, file).0.raw.get(key);
        value.and_then(serde_json::Value::as_str).map(str::to_owned)
    };
    let own = setting(file, "group");
    let refs = &render_model(db, file).refs;
    refs.iter()
        .filter_map(|used| {
            let target = find_node(db, used.package.as_deref(), &used.name)?;
            let group = setting(target, "group");
            let private = setting(target, "access").as_deref() == Some("private");
            if !private || (group.is_some() && group == own) {
                return None;
            }
            let range = mxcp_base::TextRange::new(used.range.start.into(), used.range.end.into());
            let group = group.map_or_else(String::new, |group| format!(" of the group `{group}`"));
            let finding = Finding::new(
                codes::MX0432,
                format!("the model `{}` is private{group}", used.name),
                Anchor::text(file, range),
            );
            Some(
                finding.help(
                    "put this node into the same group, or make the model `access: protected`",
                ),
            )
        })
        .collect()
}

fn names_broken_macro(db: &dyn Db, problem: &Problem) -> bool {
    let Some(name) = problem.message.split('`').nth(1) else {
        return false;
    };
    let opening = format!("macro {name}(");
    matches!(problem.code, code::JINJA_UNDEFINED | code::JINJA_FAILED)
        && macro_files(db).iter().any(|file| {
            file.text(db).contains(&opening) && !lower_macros(file.text(db)).1.is_empty()
        })
}

// The reason names the function in backticks; its first mention in the template is the place.
fn dynamic_anchor(file: SourceFile, text: &str, reason: &str) -> Anchor {
    let name = reason
        .split('`')
        .nth(1)
        .map(|n| n.trim_end_matches("()"))
        .filter(|n| !n.is_empty());
    match name.and_then(|n| Some((text.find(n)?, n))) {
        Some((at, name)) => {
            let start = u32::try_from(at).unwrap_or(0);
            let len = u32::try_from(name.len()).unwrap_or(0);
            Anchor::text(file, mxcp_base::TextRange::at(start.into(), len.into()))
        }
        None => Anchor::file(file),
    }
}

fn check_properties(db: &dyn Db, file: SourceFile, depth: Depth, findings: &mut Vec<Finding>) {
    check_yaml(db, file, Schema::DbtProperties, findings);
    let (entries, problems) = properties(db, file);
    findings.extend(problems.iter().map(|p| finding(db, file, p)));
    let misspelt = misspelt_keys(parse_yaml(db, file));
    findings.extend(misspelt.iter().map(|p| finding(db, file, p)));
    check_unit_tests(db, file, depth, findings);
    let index = ref_index(db);
    let is_there = |name: &str| {
        let mut files = model_files(db).iter().chain(seed_files(db));
        files.any(|file| node_name(db, *file) == name)
    };
    let mut nodes = Vec::new();
    let mut seen = HashSet::new();
    for (word, list) in [("model", &entries.models), ("seed", &entries.seeds)] {
        for entry in list {
            if let Some(node) = index.get(&entry.name) {
                if seen.insert(*node) {
                    nodes.push(*node);
                }
                if let Some(all) = node_properties(db, *node) {
                    check_node_properties(db, file, *node, all, depth, findings);
                }
            } else if !is_there(&entry.name) && !untyped_nodes(db).contains_key(&entry.name) {
                findings.push(
                    Finding::new(
                        codes::MX0411,
                        format!("there is no {word} `{}`", entry.name),
                        Anchor::value(file, format!("{}/name", entry.place.pointer)),
                    )
                    .help_if(mxcp_base::suggest::did_you_mean(
                        &entry.name,
                        index.keys().map(String::as_str),
                    )),
                );
            }
        }
    }
    findings.extend(
        test_problems(db, file, &nodes)
            .iter()
            .map(|problem| finding(db, file, problem)),
    );
    // Where something is wrong already, and how many findings that is from.
    let mut wrong: Vec<String> = Vec::new();
    let mut read = 0;
    for node in nodes {
        for found in findings.iter().skip(read) {
            if found.is_error()
                && found.anchor.file == file
                && let Place::Value(at) | Place::Key(at) = &found.anchor.place
            {
                wrong.push(at.clone());
            }
        }
        read = findings.len();
        let broken = |pointer: &str| {
            wrong.iter().any(|at| {
                at.starts_with(pointer) || pointer.starts_with(at.trim_end_matches("/name"))
            })
        };
        check_tests(db, file, node, depth, &broken, findings);
    }
}

/// What the merged properties of a node promise, reported for the parts that stand in `file`.
fn check_node_properties(
    db: &dyn Db,
    file: SourceFile,
    node: SourceFile,
    all: &NodeProperties,
    depth: Depth,
    findings: &mut Vec<Finding>,
) {
    let here = |part: usize| all.parts.get(part) == Some(&file);
    let mut found: Vec<Finding> = all
        .problems
        .iter()
        .filter(|(part, _)| here(*part))
        .map(|(_, problem)| finding(db, file, problem))
        .collect();
    if depth == Depth::Reading {
        findings.extend(found);
        return;
    }
    if let RelationSchema::Known(columns) = model_schema(db, node) {
        if let Some(Bound::Columns { columns, .. }) = bind_model_if_model(db, node) {
            found.extend(
                contract::check_model_contract(&all.props, columns)
                    .iter()
                    .filter(|(part, _)| here(*part))
                    .map(|(_, problem)| finding(db, file, problem)),
            );
        }
        found.extend(
            unknown_columns(db, node, all, columns)
                .iter()
                .filter(|(part, _)| here(*part))
                .map(|(_, problem)| finding(db, file, problem)),
        );
    }
    let schema = match model_schema(db, node) {
        RelationSchema::Known(columns) => Some(&**columns),
        _ => None,
    };
    found.extend(
        check_columns(db, node, all, schema)
            .iter()
            .filter(|(part, _)| here(*part))
            .map(|(_, problem)| finding(db, file, problem)),
    );
    // One file may hold several entries of one node; each is reported once.
    for finding in found {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

/// Tests on columns that do not exist, with the part they are declared in. A column is reported once,
/// however many tests it has.
fn unknown_columns(
    db: &dyn Db,
    node: SourceFile,
    all: &NodeProperties,
    columns: &[mxcp_artifact::Column],
) -> Vec<(usize, Problem)> {
    let name = node_name(db, node);
    let mut found = Vec::new();
    for test in &all.props.tests {
        if let Some(problem) = tests::unknown_column(test, name, columns) {
            found.push((test.place.part, problem));
        }
    }
    for column in &all.props.columns {
        let problem = column
            .tests
            .iter()
            .find_map(|test| tests::unknown_column(test, name, columns));
        if let Some(mut problem) = problem {
            problem.at = At::Pointer(format!("{}/name", column.place.pointer));
            found.push((column.place.part, problem));
        }
    }
    for test in all.props.all_tests() {
        let Some((tests::Reference::Node { name: target, .. }, _)) = tests::relationship(test)
        else {
            continue;
        };
        if let Some(target_file) = ref_index(db).get(&target)
            && let RelationSchema::Known(columns) = model_schema(db, *target_file)
            && let Some(problem) = tests::unknown_field(test, &target, columns)
        {
            found.push((test.place.part, problem));
        }
    }
    found
}

fn bind_model_if_model(db: &dyn Db, node: SourceFile) -> Option<&Bound> {
    let kind = crate::documents::document_kind(db, node);
    (kind == DocumentKind::DbtModel)
        .then(|| bind_model(db, node))
        .flatten()
}
