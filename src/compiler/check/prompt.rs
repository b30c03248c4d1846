//! Prompts (their templates) and resource URIs (their variables).

use mxcp_base::{SourceFile, codes, suggest};

use crate::Db;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_messages(
    _db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    if def.messages.is_empty() {
        findings.push(
            Finding::new(
                codes::MX0708,
                "this prompt has no messages",
                Anchor::key(file, def.pointer("messages")),
            )
            .help("add at least one entry with `prompt:`"),
        );
    }
    for (i, message) in def.messages.iter().enumerate() {
        let origin = TextOrigin::Scalar(file, def.pointer(&format!("messages/{i}/prompt")));
        let template = mxcp_syntax::jinja::scan(&message.prompt);
        for error in &template.errors {
            let range = u32::from(error.range.start())..u32::from(error.range.end());
            findings.push(Finding::new(
                codes::MX0705,
                error.message.clone(),
                Anchor::inside(&origin, range),
            ));
        }
        for (name, range) in &template.undeclared {
            if def.parameters.iter().any(|p| p.name == *name) || is_jinja_global(name) {
                continue;
            }
            let names = def.parameters.iter().map(|p| p.name.as_str());
            findings.push(
                Finding::new(
                    codes::MX0704,
                    format!("`{name}` is not a parameter of this prompt"),
                    Anchor::inside(&origin, u32::from(range.start())..u32::from(range.end())),
                )
                .help(
                    suggest::did_you_mean(name, names)
                        .unwrap_or_else(|| format!("declare `{name}` under `parameters:`")),
                ),
            );
        }
    }
}

// Functions that every Jinja environment has.
fn is_jinja_global(name: &str) -> bool {
    matches!(
        name,
        "range"
            | "dict"
            | "lipsum"
            | "cycler"
            | "joiner"
            | "namespace"
            | "loop"
            | "self"
            | "super"
            | "caller"
            | "varargs"
            | "kwargs"
            | "true"
            | "false"
            | "none"
            | "debug"
    )
}

/// The variables of a URI template with their byte ranges, braces excluded.
pub(crate) fn uri_variables(uri: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let mut variables = Vec::new();
    let mut at = 0;
    while let Some(open) = uri[at..].find('{').map(|i| at + i) {
        let Some(close) = uri[open..].find('}').map(|i| open + i) else {
            break;
        };
        let inner = &uri[open + 1..close];
        // RFC 6570: an operator may come first, modifiers last, several names with commas.
        let names = inner.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']);
        let mut start = close - names.len();
        for part in names.split(',') {
            let name = part.split(':').next().unwrap_or(part).trim_end_matches('*');
            variables.push((name.to_owned(), start..start + name.len()));
            start += part.len() + 1;
        }
        at = close + 1;
    }
    variables
}

pub(super) fn check_uri(file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    let Some(uri) = def.uri.as_deref() else {
        return;
    };
    let variables = uri_variables(uri);
    for parameter in &def.parameters {
        if !variables.iter().any(|(name, _)| *name == parameter.name) {
            findings.push(
                Finding::new(
                    codes::MX0706,
                    format!(
                        "parameter `{}` does not occur in the URI `{uri}`",
                        parameter.name
                    ),
                    Anchor::value(
                        file,
                        def.pointer(&format!("parameters/{}/name", parameter.index)),
                    ),
                )
                .help(format!(
                    "put `{{{}}}` into the URI, or make this a tool",
                    parameter.name
                )),
            );
        }
    }
    for (name, range) in &variables {
        if def.parameters.iter().any(|p| p.name == *name) {
            continue;
        }
        let range = to_u32(range.start)..to_u32(range.end);
        findings.push(
            Finding::new(
                codes::MX0707,
                format!("the URI variable `{name}` is not a declared parameter"),
                Anchor::inside(&TextOrigin::Scalar(file, def.pointer("uri")), range),
            )
            .help(
                suggest::did_you_mean(name, def.parameters.iter().map(|p| p.name.as_str()))
                    .unwrap_or_else(|| format!("declare `{name}` under `parameters:`")),
            ),
        );
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::uri_variables;

    #[test]
    fn finds_every_variable_with_its_place() {
        let uri = "db://{schema}/t{?a,b*}";
        let found: Vec<(String, &str)> = uri_variables(uri)
            .into_iter()
            .map(|(name, range)| (name, &uri[range]))
            .collect();
        assert_eq!(
            found,
            [
                ("schema".into(), "schema"),
                ("a".into(), "a"),
                ("b".into(), "b")
            ]
        );
    }
}
