//! What an endpoint's function returns, as far as its text says, against `return`.

use mxcp_artifact::{TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, codes};
use mxcp_syntax::python::{Function, Module, Value};

use super::annotations;
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check(
    file: SourceFile,
    source: SourceFile,
    def: &EndpointDef,
    module: &Module,
    function: &Function,
    findings: &mut Vec<Finding>,
) {
    let Some(returns) = &def.returns else {
        return;
    };
    let declared_here = || Anchor::value(file, def.pointer(&format!("{}/type", def.return_key)));
    let before = findings.len();
    if let (Some(text), Some(range)) = (&function.returns, function.returns_range) {
        let ty = annotations::read(text, module);
        if let Some(problem) = annotations::result_problem(&ty, returns) {
            findings.push(
                Finding::new(
                    codes::MX0506,
                    format!("the annotation of the result {problem}"),
                    Anchor::text(source, range),
                )
                .label(declared_here(), "declared here")
                .help("correct the annotation, or what is declared under `return`"),
            );
        }
    }
    let annotated = findings.len() > before;
    let Some(body) = module
        .facts
        .bodies
        .get(&u32::from(function.name_range.start()))
    else {
        return;
    };
    if body.is_generator {
        if returns.kind != TypeKind::Array && !annotated {
            let mut finding = Finding::new(
                codes::MX0509,
                format!(
                    "`{}` yields, so its result is a list, but `return` is {}",
                    function.name,
                    returns.kind.as_str()
                ),
                Anchor::text(source, function.name_range),
            )
            .label(declared_here(), "declared here")
            .help("write `return` instead of `yield`, or declare an array");
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
        return;
    }
    if body.returns.iter().all(|(value, _)| *value == Value::None) {
        if body.falls_through || !body.returns.is_empty() {
            let mut finding = Finding::new(
                codes::MX0509,
                format!(
                    "`{}` returns nothing, but `return` is declared",
                    function.name
                ),
                Anchor::text(source, function.name_range),
            )
            .label(declared_here(), "declared here")
            .help("return the result, or remove `return` from the endpoint");
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
        return;
    }
    let all = body
        .returns
        .iter()
        .all(|(value, _)| problem(value, returns).is_some());
    for (value, range) in &body.returns {
        let Some(problem) = problem(value, returns) else {
            continue;
        };
        // What is told of a failure has a form of its own.
        if !all && is_failure(value) {
            continue;
        }
        let mut finding = Finding::new(
            codes::MX0509,
            format!("this returns {problem}"),
            Anchor::text(source, *range),
        )
        .label(declared_here(), "declared here")
        .help("return what is declared, or correct `return`");
        if !all {
            finding.severity = Some(Severity::Warning);
        }
        findings.push(finding);
    }
}

fn is_failure(value: &Value) -> bool {
    matches!(value, Value::Object { fields, .. }
        if fields.iter().any(|(name, _)| matches!(name.as_str(), "error" | "errors" | "status" | "message")))
}

/// What is wrong with a returned value; `None` when it may be right.
fn problem(value: &Value, declared: &TypeDef) -> Option<String> {
    use TypeKind as K;
    let found = match value {
        Value::Unknown | Value::None => return None,
        Value::Text(_) => "a text",
        Value::Integer => "a whole number",
        Value::Float => "a number",
        Value::Bool => "a boolean",
        Value::List(_) => "a list",
        Value::Object { .. } => "an object",
    };
    let fits = match (value, declared.kind) {
        (Value::Text(texts), K::String) => return not_allowed(texts, declared),
        (Value::Integer, K::Integer | K::Number)
        | (Value::Bool, K::Boolean)
        | (Value::List(_), K::Array)
        // `3.0` is a whole number.
        | (Value::Float, K::Number | K::Integer)
        // A list of one item stands for the item.
        | (Value::List(None | Some(1)), _) => true,
        (Value::Object { fields, closed }, K::Object) => {
            return object_problem(fields, *closed, declared);
        }
        _ => false,
    };
    (!fits).then(|| format!("{found}, but `return` is {}", declared.kind.as_str()))
}

// The texts an expression can be, one of which `enum` does not list.
fn not_allowed(texts: &[String], declared: &TypeDef) -> Option<String> {
    let allowed = declared.allowed.as_ref()?;
    let wrong = texts
        .iter()
        .find(|text| !allowed.iter().any(|a| a.as_str() == Some(text)))?;
    Some(format!("`{wrong}`, which its `enum` does not list"))
}

fn object_problem(fields: &[(String, Value)], closed: bool, declared: &TypeDef) -> Option<String> {
    for (name, value) in fields {
        let Some(property) = declared.property(name) else {
            if !declared.allows_additional() {
                return Some(format!("`{name}`, which is not among the properties"));
            }
            continue;
        };
        if let Some(problem) = problem(value, property) {
            return Some(format!(
                "a wrong `{name}`: {}",
                problem.replace("`return` is", "it is declared as")
            ));
        }
    }
    let missing = |name: &&String| !fields.iter().any(|(field, _)| field == *name);
    if closed && let Some(name) = declared.required.iter().find(missing) {
        return Some(format!("an object without `{name}`, which is required"));
    }
    None
}
