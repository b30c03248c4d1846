//! Eval suites: the tools and arguments they speak of, and what they expect of a conversation.

mod answers;

use mxcp_artifact::EndpointKind;
use mxcp_base::{Severity, SourceFile, codes, suggest};
use mxcp_syntax::yaml::join_pointer;

use super::documents;
use crate::Db;
use crate::documents::{endpoint_def, eval_suite};
use crate::finding::{Anchor, Finding};
use crate::index::endpoint_index;
use crate::lower::evals::{EvalSuite, EvalTest};

/// Tools that the server itself provides when `sql_tools` is on, with their arguments.
const SQL_TOOLS: [(&str, &[&str]); 3] = [
    ("execute_sql_query", &["sql"]),
    ("list_tables", &[]),
    ("get_table_schema", &["table_name"]),
];

/// The models that can be asked without more configuration than a key.
const MODELS: [&str; 4] = ["claude-4-opus", "claude-4-sonnet", "gpt-4o", "gpt-4.1"];

pub(super) fn check_evals(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    documents::check_yaml(db, file, documents::Schema::Evals, findings);
    let suite = eval_suite(db, file);
    check_suite(file, suite, findings);
    for (i, test) in suite.tests.iter().enumerate() {
        let place = format!("tests/{i}");
        let first = suite.tests[..i].iter().position(|t| t.name == test.name);
        if let (Some(name), Some(first)) = (&test.name, first) {
            let mut finding = Finding::new(
                codes::MX0005,
                format!("two tests are called `{name}`"),
                Anchor::value(file, format!("{place}/name")),
            )
            .label(
                Anchor::value(file, format!("tests/{first}/name")),
                "first here",
            )
            .help("give each of them a name of its own");
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
        check_calls(db, file, test, &format!("{place}/assertions"), findings);
        answers::check(file, test, &place, findings);
    }
}

fn check_suite(file: SourceFile, suite: &EvalSuite, findings: &mut Vec<Finding>) {
    if suite.has_tests && suite.tests.is_empty() {
        findings.push(
            Finding::new(
                codes::MX0715,
                "this suite has no tests",
                Anchor::key(file, "tests"),
            )
            .help("add a test, or remove the file"),
        );
    }
    if let Some(model) = suite.model.as_deref()
        && !MODELS.contains(&model)
    {
        findings.push(
            Finding::new(
                codes::MX0716,
                format!("`{model}` is not a model that evals know"),
                Anchor::value(file, "model"),
            )
            .help(
                suggest::did_you_mean(model, MODELS)
                    .unwrap_or_else(|| format!("use one of {}", listed(MODELS))),
            ),
        );
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    names.join(", ")
}

fn check_calls(
    db: &dyn Db,
    file: SourceFile,
    test: &EvalTest,
    place: &str,
    findings: &mut Vec<Finding>,
) {
    for (j, (tool, arguments)) in test.must_call.iter().enumerate() {
        let Some(tool) = tool.as_deref() else {
            continue;
        };
        let here = format!("{place}/must_call/{j}");
        let Some(known) = parameters(db, tool) else {
            findings.push(unknown_tool(db, file, tool, format!("{here}/tool")));
            continue;
        };
        for argument in arguments {
            if known.iter().any(|name| name == argument) {
                continue;
            }
            let anchor = Anchor::key(file, join_pointer(&format!("{here}/args"), argument));
            let finding = Finding::new(
                codes::MX0714,
                format!("`{tool}` has no parameter `{argument}`"),
                anchor.clone(),
            );
            let near = suggest::nearest(argument, known.iter().map(String::as_str));
            findings.push(match near {
                Some(near) => finding.help(format!("did you mean `{near}`?")).fix(
                    format!("change to `{near}`"),
                    anchor,
                    near,
                ),
                None if known.is_empty() => finding.help("it takes none: write `args: {}`"),
                None => finding.help(format!(
                    "its parameters are {}",
                    listed(known.iter().map(String::as_str))
                )),
            });
        }
    }
    for (j, tool) in test.must_not_call.iter().enumerate() {
        let Some(tool) = tool.as_deref() else {
            continue;
        };
        let here = format!("{place}/must_not_call/{j}");
        let called = test
            .must_call
            .iter()
            .position(|(name, _)| name.as_deref() == Some(tool));
        if let Some(called) = called {
            findings.push(
                Finding::new(
                    codes::MX0711,
                    format!("`{tool}` must be called and must not be called"),
                    Anchor::value(file, here),
                )
                .label(
                    Anchor::value(file, format!("{place}/must_call/{called}/tool")),
                    "against this",
                )
                .help("keep the one that is meant"),
            );
        } else if parameters(db, tool).is_none() {
            findings.push(unknown_tool(db, file, tool, here));
        }
    }
}

/// The parameters of a tool or resource; `None` when there is none of this name.
fn parameters(db: &dyn Db, name: &str) -> Option<Vec<String>> {
    let index = endpoint_index(db);
    for kind in [EndpointKind::Tool, EndpointKind::Resource] {
        if let Some(files) = index.by_id.get(&(kind, name.to_owned())) {
            // Of two with one name it is not known which is meant.
            let names = files
                .iter()
                .filter_map(|file| endpoint_def(db, *file))
                .flat_map(|def| def.parameters.iter().map(|p| p.name.clone()))
                .collect();
            return Some(names);
        }
    }
    SQL_TOOLS
        .iter()
        .find(|(tool, _)| *tool == name)
        .map(|(_, names)| names.iter().map(|n| (*n).to_owned()).collect())
}

fn unknown_tool(db: &dyn Db, file: SourceFile, name: &str, pointer: String) -> Finding {
    let index = endpoint_index(db);
    let is_prompt = index.names(EndpointKind::Prompt).any(|p| p == name);
    let help = if is_prompt {
        "it is a prompt, which a model cannot call".to_owned()
    } else {
        let known = index.tools().chain(SQL_TOOLS.map(|(tool, _)| tool));
        suggest::did_you_mean(name, known)
            .unwrap_or_else(|| "define it under `tools/`, or correct the name".into())
    };
    Finding::new(
        codes::MX0703,
        format!("there is no tool `{name}`"),
        Anchor::value(file, pointer),
    )
    .help(help)
}
