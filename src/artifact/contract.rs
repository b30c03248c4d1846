//! The contract of an endpoint: what a client may rely on, as short reviewable text.

use std::fmt::Write as _;

use crate::{Endpoint, EndpointKind, TypeDef, TypeKind};

/// One line per promise: signature, result, policies. Stable under descriptions and formatting.
pub fn contract_text(endpoint: &Endpoint) -> String {
    let mut out = String::new();
    let _ = write!(out, "{} {}(", endpoint.kind, endpoint.id());
    for (i, parameter) in endpoint.parameters.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let _ = write!(out, "{}: {}", parameter.name, type_text(&parameter.ty));
        if let Some(default) = &parameter.ty.default {
            let _ = write!(out, " = {default}");
        }
    }
    out.push(')');
    if endpoint.kind != EndpointKind::Prompt {
        match &endpoint.returns {
            Some(ty) => {
                let _ = write!(out, " -> {}", type_text(ty));
            }
            None => out.push_str(" -> any"),
        }
    }
    for (phase, policies) in [
        ("input", &endpoint.policies.input),
        ("output", &endpoint.policies.output),
    ] {
        for policy in policies {
            let _ = write!(
                out,
                "\n{phase} {} when {}",
                policy.action.as_str(),
                one_line(&policy.condition)
            );
            if !policy.fields.is_empty() {
                let _ = write!(out, " on {}", policy.fields.join(", "));
            }
        }
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A declared type in one line, e.g. `{id: string, total: number(0..)}`.
pub fn type_text(ty: &TypeDef) -> String {
    let mut out = match ty.kind {
        TypeKind::Array => match &ty.items {
            Some(items) => format!("[{}]", type_text(items)),
            None => "[any]".to_owned(),
        },
        TypeKind::Object => match &ty.properties {
            Some(properties) => {
                let fields: Vec<String> = properties
                    .iter()
                    .map(|p| {
                        let mark = if ty.required.contains(&p.name) {
                            ""
                        } else {
                            "?"
                        };
                        format!("{}{mark}: {}", p.name, type_text(&p.ty))
                    })
                    .collect();
                let rest = if ty.allows_additional() { "" } else { " only" };
                format!("{{{}}}{rest}", fields.join(", "))
            }
            None => "object".to_owned(),
        },
        kind => kind.as_str().to_owned(),
    };
    if let Some(format) = ty.format {
        let _ = write!(out, "<{}>", format.as_str());
    }
    let mut bounds = Vec::new();
    for (name, value) in [
        ("minimum", &ty.minimum),
        ("maximum", &ty.maximum),
        ("exclusiveMinimum", &ty.exclusive_minimum),
        ("exclusiveMaximum", &ty.exclusive_maximum),
        ("multipleOf", &ty.multiple_of),
    ] {
        if let Some(value) = value {
            bounds.push(format!("{name} {value}"));
        }
    }
    for (name, value) in [
        ("minLength", ty.min_length),
        ("maxLength", ty.max_length),
        ("minItems", ty.min_items),
        ("maxItems", ty.max_items),
    ] {
        if let Some(value) = value {
            bounds.push(format!("{name} {value}"));
        }
    }
    if let Some(pattern) = &ty.pattern {
        bounds.push(format!("pattern {pattern}"));
    }
    if ty.unique_items {
        bounds.push("uniqueItems".into());
    }
    if let Some(values) = &ty.allowed {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        bounds.push(format!("one of {}", values.join(" | ")));
    }
    if ty.sensitive {
        bounds.push("sensitive".into());
    }
    if !bounds.is_empty() {
        let _ = write!(out, " ({})", bounds.join(", "));
    }
    out
}
