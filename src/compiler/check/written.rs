//! Values that the author writes down for a type: defaults, examples, allowed values, arguments of
//! tests and evals.

use mxcp_artifact::TypeDef;
use mxcp_base::{Code, Severity, SourceFile, codes};
use mxcp_syntax::yaml::{Node, join_pointer};
use mxcp_values::fault::Step;
use mxcp_values::{Checked, Fault};
use serde_json::Value;

use crate::finding::{Anchor, Finding};

/// `default`, `examples` and `enum` of one type.
pub(super) fn check_written(
    file: SourceFile,
    node: Node<'_>,
    pointer: &str,
    ty: &TypeDef,
    findings: &mut Vec<Finding>,
) {
    let allowed_hold = check_allowed(file, pointer, ty, findings);
    if !allowed_hold {
        return;
    }
    let checked = Checked::new(ty);
    if let (Some(default), true) = (&ty.default, node.get("default").is_some()) {
        let place = join_pointer(pointer, "default");
        // A default of null makes a value optional, whatever its type is.
        if !default.is_null()
            && let Err(fault) = checked.accept(default.clone())
        {
            findings.push(
                violation(file, codes::MX0112, "`default`", &place, ty, &fault).help(
                    "a call without the value would be refused: correct the default or the type",
                ),
            );
        }
    }
    for (i, example) in ty.examples.iter().enumerate() {
        if !example.is_null()
            && let Err(fault) = checked.accept(example.clone())
        {
            let place = format!("{}/{i}", join_pointer(pointer, "examples"));
            let mut finding = violation(file, codes::MX0112, "the example", &place, ty, &fault)
                .help("clients learn from examples: give values that a call accepts");
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
    }
}

// Whether a value of `enum` can be sent at all.
fn check_allowed(
    file: SourceFile,
    pointer: &str,
    ty: &TypeDef,
    findings: &mut Vec<Finding>,
) -> bool {
    let Some(allowed) = &ty.allowed else {
        return true;
    };
    let mut free = ty.clone();
    free.allowed = None;
    let checked = Checked::new(&free);
    let faults: Vec<(usize, Fault)> = allowed
        .iter()
        .enumerate()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(i, value)| Some((i, checked.accept(value.clone()).err()?)))
        .collect();
    let nothing_left = faults.len() == allowed.len();
    for (i, fault) in &faults {
        let place = format!("{}/{i}", join_pointer(pointer, "enum"));
        let mut finding = violation(
            file,
            codes::MX0112,
            "this value of `enum`",
            &place,
            ty,
            fault,
        )
        .help("no call can send it: correct the value, or the type around it");
        if !nothing_left {
            finding.severity = Some(Severity::Warning);
        }
        findings.push(finding);
    }
    !nothing_left
}

/// An argument that a call with it would refuse.
pub(super) fn check_argument(
    file: SourceFile,
    code: Code,
    name: &str,
    place: &str,
    ty: &TypeDef,
    value: &Value,
    help: &str,
) -> Option<Finding> {
    let subject = format!("the value of `{name}`");
    let fault = if value.is_null() {
        if ty.default.is_some() {
            return None;
        }
        mxcp_values::coerce::null(ty.kind).expecting("the parameter is required")
    } else {
        Checked::new(ty).accept(value.clone()).err()?
    };
    Some(violation(file, code, &subject, place, ty, &fault).help(help))
}

fn violation(
    file: SourceFile,
    code: Code,
    subject: &str,
    place: &str,
    ty: &TypeDef,
    fault: &Fault,
) -> Finding {
    let inner = fault.path.iter().fold(place.to_owned(), |pointer, step| {
        let segment = match step {
            Step::Property(name) => name.clone(),
            Step::Item(index) => index.to_string(),
        };
        join_pointer(&pointer, &segment)
    });
    let text = fault.explain(ty, None);
    let mut letters = text.chars();
    let text: String = letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default();
    Finding::new(
        code,
        format!("{subject} does not fit its type: {text}"),
        Anchor::value(file, inner),
    )
}
