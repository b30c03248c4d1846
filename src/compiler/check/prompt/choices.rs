//! `{% if tone == 'x' %}` where `x` is none of the values that `tone` can have.

use mxcp_artifact::TypeKind;
use mxcp_base::{codes, suggest};

use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'t> {
    Name(&'t str),
    Text(&'t str),
    Sign(&'t str),
}

pub(super) fn check_choices(
    def: &EndpointDef,
    origin: &TextOrigin,
    text: &str,
    findings: &mut Vec<Finding>,
) {
    for (start, content) in tags(text) {
        let parts = parts(content);
        for (name, value, at) in comparisons(&parts) {
            let declared = def.parameters.iter().find(|p| p.name == name);
            let Some(allowed) = declared
                .and_then(|p| p.ty.as_ref())
                .filter(|ty| ty.kind == TypeKind::String)
                .and_then(|ty| ty.allowed.as_ref())
            else {
                continue;
            };
            let values: Vec<&str> = allowed.iter().filter_map(|v| v.as_str()).collect();
            let rebound = [
                format!("set {name} "),
                format!("set {name}="),
                format!("for {name} "),
            ];
            if values.is_empty()
                || value.is_empty()
                || value.contains('\\')
                || values.contains(&value)
                || rebound.iter().any(|r| text.contains(r.as_str()))
            {
                continue;
            }
            let (Ok(from), Ok(len)) = (u32::try_from(start + at), u32::try_from(value.len() + 2))
            else {
                continue;
            };
            let list: Vec<String> = values.iter().map(|v| format!("`{v}`")).collect();
            findings.push(
                Finding::new(
                    codes::MX0725,
                    format!("`{name}` is never `{value}`"),
                    Anchor::inside(origin, from..from + len),
                )
                .help(
                    suggest::did_you_mean(value, values.iter().copied())
                        .unwrap_or_else(|| format!("its `enum` has {}", list.join(", "))),
                ),
            );
        }
    }
}

/// The insides of the tags, with where they start.
fn tags(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|t| t.find('{')) {
        let start = at + open;
        let rest = text.get(start..).unwrap_or_default();
        let close = match rest.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            Some("{#") => "#}",
            _ => {
                at = start + 1;
                continue;
            }
        };
        let Some(len) = rest.get(2..).and_then(|r| r.find(close)) else {
            break;
        };
        let content = rest.get(2..2 + len).unwrap_or_default();
        at = start + 2 + len + 2;
        if content.trim_matches(['-', '+', ' ']) == "raw" {
            match text.get(at..).and_then(|t| t.find("endraw")) {
                Some(end) => at += end,
                None => break,
            }
        } else if close != "#}" {
            found.push((start + 2, content));
        }
    }
    found
}

fn parts(content: &str) -> Vec<(Part<'_>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = content.get(at..).filter(|r| !r.is_empty()) {
        let Some(c) = rest.chars().next() else {
            break;
        };
        let len = if c == '\'' || c == '"' {
            let Some(end) = rest.get(1..).and_then(|r| r.find(c)) else {
                break;
            };
            found.push((Part::Text(rest.get(1..=end).unwrap_or_default()), at));
            end + 2
        } else if c.is_alphanumeric() || c == '_' {
            let len = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            found.push((Part::Name(rest.get(..len).unwrap_or_default()), at));
            len
        } else if c.is_whitespace() {
            c.len_utf8()
        } else {
            let len = match rest.get(..2) {
                Some("==" | "!=") => 2,
                _ => c.len_utf8(),
            };
            found.push((Part::Sign(rest.get(..len).unwrap_or_default()), at));
            len
        };
        at += len;
    }
    found
}

/// A name and the text that it is compared with, as nothing else than themselves.
fn comparisons<'t>(parts: &[(Part<'t>, usize)]) -> Vec<(&'t str, &'t str, usize)> {
    let mut found = Vec::new();
    let ends = |part: Option<&(Part<'t>, usize)>| {
        !matches!(
            part,
            Some((Part::Sign("." | "|" | "~" | "[" | "(" | "+" | "%" | "*"), _))
        )
    };
    for (i, (part, _)) in parts.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|b| parts.get(b));
        let starts = !matches!(before, Some((Part::Sign("." | "~" | "|" | "+" | "%"), _)));
        let next = |n: usize| parts.get(i + n).map(|(p, at)| (*p, *at));
        match (*part, next(1), next(2)) {
            (
                Part::Name(name),
                Some((Part::Sign("==" | "!="), _)),
                Some((Part::Text(text), at)),
            ) if starts && ends(parts.get(i + 3)) => {
                found.push((name, text, at));
            }
            (Part::Text(text), Some((Part::Sign("==" | "!="), _)), Some((Part::Name(name), _)))
                if starts && ends(parts.get(i + 3)) =>
            {
                found.push((name, text, parts.get(i).map_or(0, |p| p.1)));
            }
            (Part::Name(name), Some((Part::Name("in"), _)), Some((Part::Sign("[" | "("), _)))
                if starts =>
            {
                for (part, at) in parts.iter().skip(i + 3) {
                    match part {
                        Part::Text(text) => found.push((name, *text, *at)),
                        Part::Sign(",") => {}
                        _ => break,
                    }
                }
            }
            _ => {}
        }
    }
    found
}
