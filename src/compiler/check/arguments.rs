//! Argument values of tests and evals against the types of the parameters they are for.

use mxcp_artifact::{EndpointKind, TypeDef, TypeKind};
use mxcp_base::{SourceFile, codes};
use mxcp_syntax::yaml::join_pointer;

use super::written::check_argument;
use crate::Db;
use crate::documents::{endpoint_def, eval_suite, parse_yaml};
use crate::finding::Finding;
use crate::index::endpoint_index;
use crate::lower::endpoint::{EndpointDef, ParameterDef};
use crate::lower::types::lower_value;

fn type_of<'a>(parameters: &'a [ParameterDef], name: &str) -> Option<&'a TypeDef> {
    parameters.iter().rfind(|p| p.name == name)?.ty.as_ref()
}

pub(super) fn check_test_arguments(
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    for (i, test) in def.tests.iter().enumerate() {
        // A test of a failing call gives wrong arguments on purpose.
        if test.expect_error.is_some() {
            continue;
        }
        for (j, (name, value)) in test.arguments.iter().enumerate() {
            let Some(ty) = type_of(&def.parameters, name) else {
                continue;
            };
            let place = def.pointer(&format!("tests/{i}/arguments/{j}/value"));
            findings.extend(check_argument(
                file,
                codes::MX0730,
                name,
                &place,
                ty,
                value,
                "the call would be refused: correct the value, or expect it with `expect_error:`",
            ));
        }
    }
}

pub(super) fn check_eval_arguments(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let tree = parse_yaml(db, file);
    for (i, test) in eval_suite(db, file).tests.iter().enumerate() {
        for (j, (tool, _)) in test.must_call.iter().enumerate() {
            let Some(def) = tool.as_deref().and_then(|tool| called(db, tool)) else {
                continue;
            };
            let pointer = format!("tests/{i}/assertions/must_call/{j}/args");
            let node = tree.lookup(&pointer).into_iter();
            for (key, value) in node.flat_map(|n| n.entries()) {
                let Some(ty) = type_of(&def.parameters, key.text) else {
                    continue;
                };
                let value = match ty.kind {
                    TypeKind::String => lower_value(ty.kind, value),
                    _ => value.to_json(),
                };
                findings.extend(check_argument(
                    file,
                    codes::MX0731,
                    key.text,
                    &join_pointer(&pointer, key.text),
                    ty,
                    &value,
                    "no call can have this argument: correct the value",
                ));
            }
        }
    }
}

fn called<'db>(db: &'db dyn Db, tool: &str) -> Option<&'db EndpointDef> {
    let index = endpoint_index(db);
    let files = index.by_id.get(&(EndpointKind::Tool, tool.to_owned()))?;
    let [file] = files.as_slice() else {
        return None;
    };
    endpoint_def(db, *file)
}
