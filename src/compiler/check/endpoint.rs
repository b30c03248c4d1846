//! One endpoint file: shape, name, and then whatever its kind and language ask for.

use mxcp_artifact::EndpointKind;
use mxcp_base::{Severity, SourceFile, codes};

use super::{
    arguments, completion, documents, flow, policy, prompt, python, resource, shape_findings, sql,
    stale, tests, types,
};
use crate::Db;
use crate::documents::{endpoint_def, parse_yaml};
use crate::finding::{Anchor, Finding};
use crate::index::{name_clashes, same_name_of_another_kind};
use crate::lower::endpoint::{EndpointDef, Language, ParameterDef};
use crate::sql::{SourceProblem, endpoint_source};

/// Whether the file is an endpoint: of the folder's kind, in the language's form, with a name of its own.
pub(super) fn check_shape(
    db: &dyn Db,
    file: SourceFile,
    kind: EndpointKind,
    findings: &mut Vec<Finding>,
) {
    if let Some(other) = other_kind(db, file, kind) {
        findings.push(
            Finding::new(
                codes::MX0003,
                format!("this file defines a {other}, but its folder is for {kind}s"),
                Anchor::key(file, other.as_str()),
            )
            .help(format!("move it to `{}/`", other.directory())),
        );
        return;
    }
    documents::check_yaml(db, file, documents::Schema::Endpoint, findings);
    if let Some(def) = endpoint_def(db, file).filter(|def| def.enabled) {
        check_names(db, file, def, findings);
    }
}

pub(super) fn check_endpoint(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    findings.extend(shape_findings(db, file).iter().cloned());
    let Some(def) = endpoint_def(db, file).filter(|def| def.enabled) else {
        return;
    };
    match def.kind {
        EndpointKind::Prompt => prompt::check_messages(file, def, findings),
        EndpointKind::Tool | EndpointKind::Resource => {
            check_source(db, file, def, findings);
            let other_language = python::check_other_language(db, file, def, findings);
            match def.language {
                _ if other_language => {}
                Language::Sql => {
                    sql::check_sql(db, file, def, findings);
                    flow::check_flow(db, file, def, findings);
                    stale::check_stale(db, file, findings);
                }
                Language::Python => python::check_python(db, file, def, findings),
            }
        }
    }
    if def.kind == EndpointKind::Resource {
        resource::check_resource(db, file, def, findings);
    }
    types::check_types(db, file, def, findings);
    completion::check_completions(db, file, def, findings);
    policy::check_policies(db, file, def, findings);
    arguments::check_test_arguments(file, def, findings);
    tests::check_tests(db, file, def, findings);
}

// A well-formed file of another kind: the folder decides what is expected.
fn other_kind(db: &dyn Db, file: SourceFile, kind: EndpointKind) -> Option<EndpointKind> {
    let root = parse_yaml(db, file).root()?;
    if root.get(kind.as_str()).is_some() {
        return None;
    }
    EndpointKind::ALL
        .into_iter()
        .find(|other| *other != kind && root.get(other.as_str()).is_some())
}

fn check_names(db: &dyn Db, file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    let key = match def.kind {
        EndpointKind::Resource => "uri",
        EndpointKind::Tool | EndpointKind::Prompt => "name",
    };
    let clashes = name_clashes(db, file);
    if let (Some(id), false) = (def.id(), clashes.is_empty()) {
        let mut finding = Finding::new(
            codes::MX0005,
            format!("the {} name `{id}` is used more than once", def.kind),
            Anchor::value(file, def.pointer(key)),
        )
        .help("give each of them a name of its own");
        for other in clashes {
            finding = finding.label(Anchor::value(*other, def.pointer(key)), "also defined here");
        }
        findings.push(finding);
    }
    if let (Some(id), Some((kind, other))) = (def.id(), same_name_of_another_kind(db, file)) {
        let mut finding = Finding::new(
            codes::MX0005,
            format!("a {kind} is called `{id}` too"),
            Anchor::value(file, def.pointer(key)),
        )
        .label(Anchor::file(*other), "defined here")
        .help("give each of them a name of its own: other servers refuse both");
        // Clients ask for tools and for prompts separately.
        finding.severity = Some(Severity::Warning);
        findings.push(finding);
    }
    if let (Some(name), true) = (def.id(), def.kind != EndpointKind::Resource) {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let problem = match name.chars().find(|c| !letter(*c)) {
            Some(odd) => Some(format!("clients refuse a name with {odd:?} in it")),
            None if name.len() > 64 => Some(format!(
                "several clients refuse a name of more than 64 letters, and this one has {}",
                name.len()
            )),
            None => None,
        };
        findings.extend(problem.map(|problem| {
            Finding::new(
                codes::MX0117,
                problem,
                Anchor::value(file, def.pointer("name")),
            )
            .help("use at most 64 letters, digits, `_`, `-` and `.`")
        }));
    }
    for (i, parameter) in def.parameters.iter().enumerate() {
        if let Some(first) = def.parameters[..i]
            .iter()
            .find(|p| p.name == parameter.name)
        {
            let place = |p: &ParameterDef| {
                Anchor::value(file, def.pointer(&format!("parameters/{}/name", p.index)))
            };
            let mut finding = Finding::new(
                codes::MX0005,
                format!("parameter `{}` is declared twice", parameter.name),
                place(parameter),
            )
            .label(place(first), "first declared here");
            // It runs, with the last declaration.
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
    }
}

fn check_source(db: &dyn Db, file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    let Some(Err(problem)) = endpoint_source(db, file) else {
        return;
    };
    let anchor = Anchor::value(file, def.pointer("source/file"));
    findings.push(match problem {
        SourceProblem::Outside(path) => Finding::new(
            codes::MX0007,
            format!("`{path}` leaves the project"),
            anchor,
        )
        .help("keep source files below the directory of `mxcp-site.yml`"),
        SourceProblem::NotFound(path) => {
            let candidates: Vec<String> = mxcp_base::FileSet::get(db)
                .files(db)
                .keys()
                .filter(|p| mxcp_base::paths::extension(p) == mxcp_base::paths::extension(path))
                .cloned()
                .collect();
            Finding::new(codes::MX0008, format!("there is no file `{path}`"), anchor).help_if(
                mxcp_base::suggest::did_you_mean(path, candidates.iter().map(String::as_str)),
            )
        }
        SourceProblem::Unreadable(reason) => Finding::new(
            codes::MX0002,
            format!("the source file cannot be read: {reason}"),
            anchor,
        ),
    });
}
