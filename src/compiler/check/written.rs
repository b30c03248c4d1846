//! Values that the author writes down for a type: defaults, examples, allowed values, arguments of
//! tests and evals.

use std::cell::LazyCell;

use mxcp_artifact::{Format, TypeDef, TypeKind};
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
    let before = findings.len();
    let allowed_hold = check_allowed(file, pointer, ty, findings);
    if !allowed_hold {
        return;
    }
    // A validator is costly, and most types have nothing written beside them.
    let checked = LazyCell::new(|| Checked::new(ty));
    if let (Some(default), true) = (&ty.default, node.get("default").is_some()) {
        let place = join_pointer(pointer, "default");
        // A default of null makes a value optional, whatever its type is. But clients read `enum` to the letter.
        let unlisted = ty
            .allowed
            .as_ref()
            .is_some_and(|allowed| !allowed.iter().any(Value::is_null));
        if default.is_null() && unlisted {
            let mut finding = Finding::new(
                codes::MX0112,
                "`default` is null, which `enum` does not list",
                Anchor::value(file, place),
            )
            .help("add `null` to `enum`, or give a default that is listed");
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        } else if !default.is_null()
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
    if findings.len() == before {
        check_kinds(file, node, pointer, ty, findings);
    }
}

/// Values that a call converts, but that are of another type as they are written: clients are told of them as they
/// are. One for each key.
fn check_kinds(
    file: SourceFile,
    node: Node<'_>,
    pointer: &str,
    ty: &TypeDef,
    findings: &mut Vec<Finding>,
) {
    let mut report = |key: &str, subject: &str, value: &Value, steps: &str| {
        let Some((inner, found, wanted)) = other_kind(value, ty) else {
            return false;
        };
        let mut finding = Finding::new(
            codes::MX0112,
            format!("{subject} is {found}, but the type is {wanted}"),
            Anchor::value(
                file,
                format!("{}{steps}{inner}", join_pointer(pointer, key)),
            ),
        )
        .help(match (wanted, found) {
            ("string", _) => "put it in quotes, or change the type",
            ("array" | "object", _) => "write it as YAML, not as a text",
            _ => "write it without quotes, or change the type",
        });
        finding.severity = Some(Severity::Warning);
        findings.push(finding);
        true
    };
    if let Some(default) = node.get("default") {
        report("default", "`default`", &default.to_json(), "");
    }
    for (key, subject) in [
        ("enum", "this value of `enum`"),
        ("examples", "the example"),
    ] {
        let items = node.get(key).into_iter().flat_map(|list| list.items());
        for (i, item) in items.enumerate() {
            // What YAML makes of `yes` is said elsewhere.
            if item.as_bool().is_some() && ty.kind == TypeKind::String {
                continue;
            }
            if report(key, subject, &item.to_json(), &format!("/{i}")) {
                break;
            }
        }
    }
}

/// Where a value is written as one of another type, what it is there, and the type.
fn other_kind(value: &Value, ty: &TypeDef) -> Option<(String, &'static str, &'static str)> {
    let found = match value {
        Value::Null => return None,
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(items) => {
            let inner = ty.items.as_deref().filter(|_| ty.kind == TypeKind::Array)?;
            return items.iter().enumerate().find_map(|(i, item)| {
                let (rest, found, wanted) = other_kind(item, inner)?;
                Some((format!("/{i}{rest}"), found, wanted))
            });
        }
        Value::Object(fields) => {
            return fields.iter().find_map(|(name, field)| {
                let (rest, found, wanted) = other_kind(field, ty.property(name)?)?;
                Some((format!("{}{rest}", join_pointer("", name)), found, wanted))
            });
        }
    };
    let fits = match ty.kind {
        TypeKind::String => value.is_string(),
        TypeKind::Integer | TypeKind::Number => value.is_number(),
        TypeKind::Boolean => value.is_boolean(),
        TypeKind::Array | TypeKind::Object => false,
    };
    // A point in time may be a number of seconds.
    let seconds = ty.format == Some(Format::Timestamp) && value.is_number();
    (!fits && !seconds).then(|| (String::new(), found, ty.kind.as_str()))
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
