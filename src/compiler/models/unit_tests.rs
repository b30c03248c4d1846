//! Unit tests of models: the models, inputs and columns they name.

use mxcp_base::{SourceFile, codes, suggest};
use mxcp_syntax::jinja;
use mxcp_syntax::yaml::{Node, join_pointer};

use super::check::Depth;
use super::index::{ref_index, untyped_nodes};
use super::node::render_model;
use super::schema::model_schema;
use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding};
use crate::relations::RelationSchema;

pub(super) fn check_unit_tests(
    db: &dyn Db,
    file: SourceFile,
    depth: Depth,
    findings: &mut Vec<Finding>,
) {
    let yaml = parse_yaml(db, file);
    let tests = yaml
        .lookup("unit_tests")
        .into_iter()
        .flat_map(|l| l.items());
    for (i, test) in tests.enumerate() {
        let pointer = format!("unit_tests/{i}");
        let Some(model) = test.get("model").and_then(|m| m.as_str()) else {
            continue;
        };
        let known = node(db, file, model, &format!("{pointer}/model"), findings);
        let given = test.get("given").into_iter().flat_map(|g| g.items());
        for (j, input) in given.enumerate() {
            let pointer = format!("{pointer}/given/{j}");
            let Some(text) = input.get("input").and_then(|n| n.as_str()) else {
                continue;
            };
            let template = jinja::scan(&format!("{{{{ {text} }}}}"));
            let call = template.calls.first().filter(|call| call.name == "ref");
            let name = call.and_then(|c| c.str_arg(c.args.len().saturating_sub(1)));
            if let Some(name) = name
                && let Some(node) = node(db, file, name, &format!("{pointer}/input"), findings)
                && depth == Depth::All
            {
                if let Some(finding) = unread(db, file, known, node, (model, name), &pointer) {
                    findings.push(finding);
                    continue;
                }
                rows(db, file, input, &pointer, (name, node), findings);
            }
        }
        if let (Some(expect), Some(node), Depth::All) = (test.get("expect"), known, depth) {
            rows(
                db,
                file,
                expect,
                &format!("{pointer}/expect"),
                (model, node),
                findings,
            );
        }
    }
}

/// An input that the model does not read.
fn unread(
    db: &dyn Db,
    file: SourceFile,
    model: Option<SourceFile>,
    input: SourceFile,
    (model_name, name): (&str, &str),
    pointer: &str,
) -> Option<Finding> {
    let rendered = render_model(db, model?);
    if !rendered.problems.is_empty() || rendered.dynamic.is_some() || model? == input {
        return None;
    }
    // Every branch counts: the test may set what decides.
    let calls = jinja::scan(model?.text(db)).calls;
    let mut read: Vec<&str> = rendered.refs.iter().map(|r| r.name.as_str()).collect();
    let written: Vec<_> = calls.iter().filter(|call| call.name == "ref").collect();
    for call in &written {
        // A name that is computed may be any.
        read.push(call.str_arg(call.args.len().saturating_sub(1))?);
    }
    if written.is_empty() || read.contains(&name) {
        return None;
    }
    Some(
        Finding::new(
            codes::MX0424,
            format!("`{model_name}` does not read `{name}`"),
            Anchor::value(file, format!("{pointer}/input")),
        )
        .help_if(
            suggest::did_you_mean(name, read.iter().copied()).or_else(|| {
                let read: Vec<String> = read.iter().map(|r| format!("`{r}`")).collect();
                Some(format!("it reads {}", read.join(", ")))
            }),
        ),
    )
}

fn node(
    db: &dyn Db,
    file: SourceFile,
    name: &str,
    pointer: &str,
    findings: &mut Vec<Finding>,
) -> Option<SourceFile> {
    let index = ref_index(db);
    let found = index.get(name).copied();
    if found.is_none() && !untyped_nodes(db).contains_key(name) {
        findings.push(
            Finding::new(
                codes::MX0431,
                format!("there is no model or seed `{name}`"),
                Anchor::value(file, pointer),
            )
            .help_if(suggest::did_you_mean(
                name,
                index.keys().map(String::as_str),
            )),
        );
    }
    found
}

fn rows(
    db: &dyn Db,
    file: SourceFile,
    holder: Node<'_>,
    pointer: &str,
    (name, node): (&str, SourceFile),
    findings: &mut Vec<Finding>,
) {
    let RelationSchema::Known(columns) = model_schema(db, node) else {
        return;
    };
    let known = || columns.iter().map(|c| c.name.as_str());
    let rows = holder.get("rows").into_iter().flat_map(|r| r.items());
    let mut seen = Vec::new();
    for (i, row) in rows.enumerate() {
        for (key, _) in row.entries() {
            let exists = known().any(|c| c.eq_ignore_ascii_case(key.text));
            if exists || seen.contains(&key.text) {
                continue;
            }
            seen.push(key.text);
            let at = join_pointer(&format!("{pointer}/rows/{i}"), key.text);
            findings.push(
                Finding::new(
                    codes::MX0424,
                    format!("`{name}` has no column `{}`", key.text),
                    Anchor::key(file, at),
                )
                .help_if(suggest::did_you_mean(key.text, known())),
            );
        }
    }
}
