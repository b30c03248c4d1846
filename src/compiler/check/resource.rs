//! Resources: their URI, its variables against the parameters, and the media type.

use std::ops::Range;

use mxcp_artifact::EndpointKind;
use mxcp_base::{Severity, SourceFile, codes, suggest};

use crate::Db;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::index::endpoint_index;
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_resource(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    check_media_type(file, def, findings);
    let Some(uri) = def.uri.as_deref().filter(|uri| !uri.is_empty()) else {
        return;
    };
    let template = Template::read(uri);
    let origin = TextOrigin::Scalar(file, def.pointer("uri"));
    check_scheme(file, def, uri, findings);
    for (range, message, help) in &template.problems {
        findings.push(
            Finding::new(
                codes::MX0721,
                message.clone(),
                Anchor::inside(&origin, to_u32(range.start)..to_u32(range.end)),
            )
            .help(help.clone()),
        );
    }
    check_variables(file, def, uri, &template, findings);
    if template.problems.is_empty() {
        check_overlap(db, file, def, uri, findings);
    }
}

/// A variable of a URI template: its name and where that stands.
type Variable = (String, Range<usize>);

const MOST_PROBLEMS: usize = 20;

#[derive(Debug, Default)]
struct Template {
    variables: Vec<Variable>,
    /// What keeps a URI from being matched: where, what, and what to do.
    problems: Vec<(Range<usize>, String, String)>,
    /// Whether a brace is not closed, so that the variables are not all known.
    broken: bool,
}

impl Template {
    fn read(uri: &str) -> Self {
        let mut template = Self::default();
        let mut at = 0;
        while let Some(brace) = uri[at..].find(['{', '}']).map(|i| at + i) {
            if uri[brace..].starts_with('}') {
                template.problem(
                    brace..brace + 1,
                    "this `}` closes nothing",
                    "write a variable as `{name}`",
                );
                template.broken = true;
                at = brace + 1;
                continue;
            }
            let end = uri[brace + 1..].find(['{', '}']).map(|i| brace + 1 + i);
            match end.filter(|end| uri[*end..].starts_with('}')) {
                Some(close) => {
                    template.expression(uri, brace, close);
                    at = close + 1;
                }
                None => {
                    template.problem(
                        brace..brace + 1,
                        "this `{` is not closed",
                        "close the variable with `}`",
                    );
                    template.broken = true;
                    at = brace + 1;
                }
            }
        }
        template
    }

    fn expression(&mut self, uri: &str, open: usize, close: usize) {
        let inner = &uri[open + 1..close];
        let whole = open..close + 1;
        let names = inner.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']);
        let operator = &inner[..inner.len() - names.len()];
        let modified = names.contains([',', '*', ':']);
        if !matches!(operator, "" | "+") || modified {
            self.problem(
                whole.clone(),
                &format!("URIs cannot be matched with `{}`", &uri[whole.clone()]),
                "a variable is `{name}`, or `{+name}` where the value may contain `/`",
            );
        }
        let mut start = close - names.len();
        for part in names.split(',') {
            let name = part.split(':').next().unwrap_or(part).trim_end_matches('*');
            let spaces = name.len() - name.trim_start().len();
            let range = start + spaces..start + spaces + name.trim().len();
            start += part.len() + 1;
            let name = name.trim();
            if name.is_empty() {
                self.problem(
                    whole.clone(),
                    "this variable has no name",
                    "write the name of a parameter between the braces",
                );
                continue;
            }
            if self.variables.iter().any(|(known, _)| known == name) {
                self.problem(
                    range,
                    &format!("the variable `{name}` occurs twice"),
                    "one value cannot be read from two places; give the second a name of its own",
                );
                continue;
            }
            self.variables.push((name.to_owned(), range));
        }
    }

    fn problem(&mut self, range: Range<usize>, message: &str, help: &str) {
        // What is so wrong is no template, and the first few say so.
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push((range, message.into(), help.into()));
        }
    }
}

fn check_scheme(file: SourceFile, def: &EndpointDef, uri: &str, findings: &mut Vec<Finding>) {
    let anchor = Anchor::value(file, def.pointer("uri"));
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    let fits = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let help = "write e.g. `orders://…`: letters, digits, `+`, `-` and `.` before the colon";
    match scheme {
        Some(scheme) if fits(scheme) => {
            if let Some(at) = uri.find(char::is_whitespace) {
                let mut finding = Finding::new(
                    codes::MX0720,
                    "a URI has no spaces",
                    Anchor::inside(
                        &TextOrigin::Scalar(file, def.pointer("uri")),
                        to_u32(at)..to_u32(at + 1),
                    ),
                )
                .help("write `%20`, or leave it out");
                finding.severity = Some(Severity::Warning);
                findings.push(finding);
            }
        }
        // Some clients take it all the same.
        Some(scheme) if fits(&scheme.replace('_', "-")) && !scheme.contains(['{', '/']) => {
            let mut finding = Finding::new(
                codes::MX0720,
                format!("`{scheme}` is no scheme of a URI: it has no `_`"),
                anchor,
            )
            .help(help);
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
        _ => findings.push(
            Finding::new(
                codes::MX0720,
                format!("`{uri}` is not a URI: it has no scheme"),
                anchor,
            )
            .help(help),
        ),
    }
}

fn check_variables(
    file: SourceFile,
    def: &EndpointDef,
    uri: &str,
    template: &Template,
    findings: &mut Vec<Finding>,
) {
    for parameter in &def.parameters {
        // In a template that is broken it may be there.
        if template.broken && uri.contains(&parameter.name) {
            continue;
        }
        if !template
            .variables
            .iter()
            .any(|(name, _)| *name == parameter.name)
        {
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
    let origin = TextOrigin::Scalar(file, def.pointer("uri"));
    for (name, range) in &template.variables {
        if def.parameters.iter().any(|p| p.name == *name) {
            continue;
        }
        let range = to_u32(range.start)..to_u32(range.end);
        findings.push(
            Finding::new(
                codes::MX0707,
                format!("the URI variable `{name}` is not a declared parameter"),
                Anchor::inside(&origin, range),
            )
            .help(
                suggest::did_you_mean(name, def.parameters.iter().map(|p| p.name.as_str()))
                    .unwrap_or_else(|| format!("declare `{name}` under `parameters:`")),
            ),
        );
    }
}

/// Two templates that differ in the names of their variables match the same URIs, and only one is read.
fn check_overlap(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    uri: &str,
    findings: &mut Vec<Finding>,
) {
    if !uri.contains('{') {
        return;
    }
    let ours = anonymous(uri);
    for ((kind, other), files) in &endpoint_index(db).by_id {
        if *kind != EndpointKind::Resource || other == uri || anonymous(other) != ours {
            continue;
        }
        let Some(place) = files.iter().find(|f| **f != file) else {
            continue;
        };
        findings.push(
            Finding::new(
                codes::MX0722,
                format!("`{other}` matches the same URIs"),
                Anchor::value(file, def.pointer("uri")),
            )
            .label(
                Anchor::value(*place, def.pointer("uri")),
                "also defined here",
            )
            .help("give one of them another path"),
        );
    }
}

/// The template with its variables nameless.
fn anonymous(uri: &str) -> String {
    let mut out = String::with_capacity(uri.len());
    let mut inside = false;
    for c in uri.chars() {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            _ if inside && c != '+' => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

fn check_media_type(file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    let Some(text) = def.mime_type.as_deref() else {
        return;
    };
    let essence = text.split(';').next().unwrap_or(text).trim();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    let fits = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if fits {
        return;
    }
    let known = match essence
        .trim_start_matches('.')
        .to_ascii_lowercase()
        .as_str()
    {
        "json" => Some("application/json"),
        "text" | "txt" | "plain" => Some("text/plain"),
        "csv" => Some("text/csv"),
        "html" => Some("text/html"),
        "xml" => Some("application/xml"),
        "markdown" | "md" => Some("text/markdown"),
        _ => None,
    };
    let anchor = Anchor::value(file, def.pointer("mime_type"));
    let finding = Finding::new(
        codes::MX0723,
        format!("`{text}` is not a media type"),
        anchor.clone(),
    );
    findings.push(match known {
        Some(known) => finding.help(format!("write `{known}`")).fix(
            format!("change to `{known}`"),
            anchor,
            known,
        ),
        None => finding.help("write `type/subtype`, such as `application/json`"),
    });
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Template, anonymous};

    fn read(uri: &str) -> (Vec<&str>, Vec<String>) {
        let template = Template::read(uri);
        let names = template.variables.iter().map(|(_, r)| &uri[r.clone()]);
        (
            names.collect(),
            template.problems.into_iter().map(|(_, m, _)| m).collect(),
        )
    }

    #[test]
    fn finds_every_variable_with_its_place() {
        let (names, problems) = read("db://{schema}/t{?a,b*}");
        assert_eq!(names, ["schema", "a", "b"]);
        assert_eq!(problems, ["URIs cannot be matched with `{?a,b*}`"]);
        assert_eq!(read("x://{a}/{+b}"), (vec!["a", "b"], vec![]));
        assert_eq!(read("x://{a}/{a}").1.len(), 1);
        assert_eq!(
            read("x://{a/{b}"),
            (vec!["b"], vec!["this `{` is not closed".into()])
        );
        assert_eq!(read("x://a}").1, ["this `}` closes nothing"]);
        assert_eq!(read("x://{}").1, ["this variable has no name"]);
    }

    #[test]
    fn names_do_not_matter() {
        assert_eq!(anonymous("x://{a}/{+b}"), "x://{}/{+}");
    }
}
