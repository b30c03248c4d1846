//! Prompts: their messages as templates over the parameters.

mod choices;
pub(super) mod known;

use std::collections::BTreeSet;

use mxcp_artifact::{PromptMessage, TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, TextRange, codes, suggest};
use mxcp_syntax::jinja::Template;

use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_messages(file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    if def.messages.is_empty() {
        findings.push(
            Finding::new(
                codes::MX0708,
                "this prompt has no messages",
                Anchor::key(file, def.pointer("messages")),
            )
            .help("add at least one entry with `prompt:`"),
        );
        return;
    }
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut readable = true;
    for (i, message) in def.messages.iter().enumerate() {
        let place = def.pointer(&format!("messages/{i}"));
        check_role(file, &place, message.role.as_deref(), findings);
        check_kind(file, &place, message, findings);
        // An image is no template: its letters mean nothing.
        let data = message.mime_type.is_some()
            && matches!(message.kind.as_deref(), Some("image" | "audio"));
        let texts = [
            ("prompt", Some(&message.prompt)),
            ("uri", message.uri.as_ref()),
        ];
        for (key, text) in texts {
            let Some(text) = text.filter(|_| !data) else {
                continue;
            };
            let origin = TextOrigin::Scalar(file, format!("{place}/{key}"));
            let template = mxcp_syntax::jinja::scan(text);
            readable &= template.errors.is_empty();
            for error in &template.errors {
                findings.push(Finding::new(
                    codes::MX0705,
                    error.message.clone(),
                    inside(&origin, error.range),
                ));
            }
            check_names(def, &origin, text, &template, findings);
            check_filters(&origin, &template, findings);
            if template.errors.is_empty() {
                choices::check_choices(def, &origin, text, findings);
            }
            check_attributes(def, &origin, &template, findings);
            used.extend(template.undeclared.into_iter().map(|(name, _)| name));
        }
    }
    // What could not be read may use anything.
    if !readable {
        return;
    }
    for parameter in &def.parameters {
        // A misspelled use is one mistake, not also a missing one.
        let misspelled = used
            .iter()
            .filter(|name| !def.parameters.iter().any(|p| p.name == **name))
            .any(|name| suggest::nearest(name, [parameter.name.as_str()]).is_some());
        if !used.contains(&parameter.name) && !misspelled {
            findings.push(
                Finding::new(
                    codes::MX0718,
                    format!("no message uses the parameter `{}`", parameter.name),
                    Anchor::value(
                        file,
                        def.pointer(&format!("parameters/{}/name", parameter.index)),
                    ),
                )
                .help(format!(
                    "write `{{{{ {} }}}}` in a message, or remove the parameter",
                    parameter.name
                )),
            );
        }
    }
}

fn inside(origin: &TextOrigin, range: TextRange) -> Anchor {
    Anchor::inside(origin, u32::from(range.start())..u32::from(range.end()))
}

fn check_role(file: SourceFile, place: &str, role: Option<&str>, findings: &mut Vec<Finding>) {
    const ROLES: [&str; 3] = ["user", "assistant", "system"];
    let Some(role) = role.filter(|role| !ROLES.contains(role)) else {
        return;
    };
    let anchor = Anchor::value(file, format!("{place}/role"));
    let finding = Finding::new(
        codes::MX0719,
        format!("`{role}` is no role: clients get this message from the user"),
        anchor.clone(),
    );
    findings.push(match suggest::nearest(role, ROLES) {
        Some(near) => finding.help(format!("did you mean `{near}`?")).fix(
            format!("change to `{near}`"),
            anchor,
            near,
        ),
        None => finding.help("use `user`, `assistant` or `system`"),
    });
}

fn check_kind(file: SourceFile, place: &str, message: &PromptMessage, findings: &mut Vec<Finding>) {
    let missing = match message.kind.as_deref() {
        None | Some("text") => return,
        Some("image" | "audio") if message.mime_type.is_some() => return,
        Some("resource") if message.uri.is_some() => return,
        Some("image" | "audio") => Some("mime_type"),
        Some("resource") => Some("uri"),
        Some(_) => None,
    };
    let kind = message.kind.as_deref().unwrap_or_default();
    let anchor = Anchor::value(file, format!("{place}/type"));
    let finding = match missing {
        Some(key) => Finding::new(
            codes::MX0719,
            format!("a message of type `{kind}` without `{key}` is sent as text"),
            anchor.clone(),
        )
        .help(format!("add `{key}`, or write `type: text`")),
        None => Finding::new(
            codes::MX0719,
            format!("a message of type `{kind}` is sent as text"),
            anchor.clone(),
        )
        .help("the types are `text`, `image`, `audio` and `resource`; leave it out for text"),
    };
    findings.push(finding.fix("change to `text`", anchor, "text"));
}

fn check_names(
    def: &EndpointDef,
    origin: &TextOrigin,
    text: &str,
    template: &Template,
    findings: &mut Vec<Finding>,
) {
    let guarded = crate::dbt::statics::guarded_names(text, template);
    for (name, range) in &template.undeclared {
        if def.parameters.iter().any(|p| p.name == *name) || known::GLOBALS.contains(&&**name) {
            continue;
        }
        let names = def.parameters.iter().map(|p| p.name.as_str());
        let mut finding = Finding::new(
            codes::MX0704,
            format!("`{name}` is not a parameter of this prompt"),
            inside(origin, *range),
        )
        .help(
            suggest::did_you_mean(name, names)
                .unwrap_or_else(|| format!("declare `{name}` under `parameters:`")),
        );
        if guarded.contains(name.as_str()) {
            finding.severity = Some(Severity::Warning);
        }
        findings.push(finding);
    }
}

fn check_filters(origin: &TextOrigin, template: &Template, findings: &mut Vec<Finding>) {
    let mut unknown = |what: &str, name: &str, known: &[&'static str], range: TextRange| {
        let help = suggest::did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("remove it; only Jinja's own {what}s exist"));
        findings.push(
            Finding::new(
                codes::MX0717,
                format!("there is no {what} `{name}`"),
                inside(origin, range),
            )
            .help(help),
        );
    };
    for (name, range) in &template.filters {
        if !known::FILTERS.contains(&&**name) {
            unknown("filter", name, &known::FILTERS, *range);
        }
    }
    for (name, range) in &template.tests {
        if !known::TESTS.contains(&&**name) {
            unknown("test", name, &known::TESTS, *range);
        }
    }
}

/// `{{ parameter.field }}` and `{{ parameter.method() }}` against the declared type of the parameter.
fn check_attributes(
    def: &EndpointDef,
    origin: &TextOrigin,
    template: &Template,
    findings: &mut Vec<Finding>,
) {
    let type_of = |name: &str| -> Option<&TypeDef> {
        def.parameters
            .iter()
            .find(|p| p.name == name)
            .and_then(|p| p.ty.as_ref())
    };
    for (base, attribute, range) in &template.attributes {
        let Some(ty) = type_of(base) else {
            continue;
        };
        let message = match ty.kind {
            TypeKind::Object => {
                let Some(properties) = ty.properties.as_deref().filter(|p| !p.is_empty()) else {
                    continue;
                };
                let near = suggest::nearest(attribute, properties.iter().map(|p| p.name.as_str()));
                if ty.property(attribute).is_some() || (ty.allows_additional() && near.is_none()) {
                    continue;
                }
                format!("`{base}` has no property `{attribute}`")
            }
            // Of an array it may be an index.
            TypeKind::Array => continue,
            kind => format!(
                "`{base}` is declared as {}, which has no `{attribute}`",
                kind.as_str()
            ),
        };
        let names = ty.properties.iter().flatten().map(|p| p.name.as_str());
        findings.push(
            Finding::new(codes::MX0724, message, inside(origin, *range)).help(
                suggest::did_you_mean(attribute, names)
                    .unwrap_or_else(|| "this is always empty; write the parameter itself".into()),
            ),
        );
    }
    for call in &template.calls {
        let Some((base, method)) = call.name.split_once('.') else {
            continue;
        };
        let is_text = type_of(base).is_some_and(|ty| ty.kind == TypeKind::String);
        if is_text && !method.contains('.') && !known::TEXT_METHODS.contains(&method) {
            findings.push(
                Finding::new(
                    codes::MX0717,
                    format!("a text has no method `{method}`"),
                    inside(origin, call.name_range),
                )
                .help(
                    suggest::did_you_mean(method, known::TEXT_METHODS)
                        .unwrap_or_else(|| "use a filter instead, e.g. `| upper`".into()),
                ),
            );
        }
    }
}
