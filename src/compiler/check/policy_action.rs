//! What the action of a policy does, and whether the result has what it names.

use mxcp_artifact::{Action, TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, codes, suggest};

use super::cel::{FieldLookup, Type};
use super::grammar::Position;
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::{EndpointDef, PolicyDef};

/// Where one policy stands.
pub(super) struct Place<'a> {
    pub(super) file: SourceFile,
    pub(super) pointer: &'a str,
    pub(super) phase: &'a str,
}

impl Place<'_> {
    fn value(&self, key: &str) -> Anchor {
        Anchor::value(self.file, format!("{}/{key}", self.pointer))
    }
}

pub(super) fn check_action(
    place: &Place<'_>,
    position: &Position,
    def: &EndpointDef,
    response: &Type,
    policy: &PolicyDef,
    findings: &mut Vec<Finding>,
) {
    let Some(action) = policy.action else {
        return;
    };
    if !position.actions.contains(&action) {
        findings.push(
            Finding::new(
                codes::MX0605,
                format!("`{}` does nothing under `{}`", action.as_str(), place.phase),
                place.value("action"),
            )
            .help("move the policy to `output`, or use `deny`"),
        );
        return;
    }
    match action {
        Action::FilterFields | Action::MaskFields => {
            check_fields(place, action, def, response, policy, findings);
        }
        Action::FilterSensitiveFields => check_sensitive(place, def, findings),
        Action::Deny => {
            if policy.reason.is_none() {
                findings.push(
                    Finding::new(
                        codes::MX0611,
                        "this `deny` gives no reason",
                        place.value("action"),
                    )
                    .help("add `reason:`, so that the caller learns what is missing"),
                );
            }
        }
    }
    let ignores_fields = matches!(action, Action::Deny | Action::FilterSensitiveFields);
    if ignores_fields && policy.fields.is_some() {
        findings.push(
            Finding::new(
                codes::MX0609,
                format!("`{}` does not look at `fields`", action.as_str()),
                Anchor::key(place.file, format!("{}/fields", place.pointer)),
            )
            .help("remove it, or use `filter_fields`"),
        );
    }
}

fn check_fields(
    place: &Place<'_>,
    action: Action,
    def: &EndpointDef,
    response: &Type,
    policy: &PolicyDef,
    findings: &mut Vec<Finding>,
) {
    let fields = match &policy.fields {
        Some(fields) if !fields.is_empty() => fields,
        found => {
            let at = if found.is_some() { "fields" } else { "action" };
            findings.push(
                Finding::new(
                    codes::MX0604,
                    format!("`{}` needs `fields`", action.as_str()),
                    place.value(at),
                )
                .help("list the fields under `fields:`"),
            );
            return;
        }
    };
    for (i, field) in fields.iter().enumerate() {
        let anchor = place.value(&format!("fields/{i}"));
        match response.lookup(field) {
            FieldLookup::Found | FieldLookup::Possible => {}
            FieldLookup::Missing(names) if names.is_empty() => findings.push(
                Finding::new(
                    codes::MX0608,
                    format!("the result is a {response} and has no fields"),
                    anchor.clone(),
                )
                .help("return an object or a list of objects, or use `deny`"),
            ),
            FieldLookup::Missing(names) => {
                let help = suggest::did_you_mean(field, names.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("its fields are `{}`", names.join("`, `")));
                findings.push(
                    Finding::new(
                        codes::MX0608,
                        format!("the result has no field `{field}`"),
                        anchor.clone(),
                    )
                    .help(help),
                );
            }
            FieldLookup::Scalar(parent) => findings.push(
                Finding::new(
                    codes::MX0608,
                    format!("`{field}` leads into `{parent}`, which has no fields"),
                    anchor.clone(),
                )
                .help(format!("name `{parent}` itself")),
            ),
        }
        if action == Action::FilterFields && is_required(def.returns.as_ref(), field) {
            findings.push(
                Finding::new(
                    codes::MX0610,
                    format!("`{field}` is required in `return` and removed here"),
                    anchor,
                )
                .help("take it out of `required`, or use `mask_fields`"),
            );
        }
    }
}

fn is_required(returns: Option<&TypeDef>, path: &str) -> bool {
    let Some(ty) = returns else {
        return false;
    };
    if ty.kind == TypeKind::Array {
        return is_required(ty.items.as_deref(), path);
    }
    if ty.required.iter().any(|name| name == path) {
        return true;
    }
    path.split_once('.')
        .is_some_and(|(head, rest)| is_required(ty.property(head), rest))
}

fn check_sensitive(place: &Place<'_>, def: &EndpointDef, findings: &mut Vec<Finding>) {
    let anchor = place.value("action");
    match &def.returns {
        Some(returns) if returns.has_sensitive() => {}
        Some(_) => findings.push(
            Finding::new(
                codes::MX0609,
                "nothing in `return` is marked `sensitive`",
                anchor,
            )
            .help("mark what must not be seen with `sensitive: true`"),
        ),
        None if def.has_return => {}
        None => {
            let mut finding = Finding::new(
                codes::MX0609,
                "without `return` nothing says what is sensitive, so every call is denied",
                anchor,
            )
            .help("declare `return` and mark properties with `sensitive: true`");
            finding.severity = Some(Severity::Error);
            findings.push(finding);
        }
    }
}
