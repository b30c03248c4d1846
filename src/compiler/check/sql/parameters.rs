//! Parameters both ways: those that are used and those that are declared.

use mxcp_base::{SourceFile, codes, suggest};
use mxcp_syntax::sql::TokenKind;

use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_parameters(
    file: SourceFile,
    def: &EndpointDef,
    text: &str,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let used = mxcp_syntax::sql::parameters(text);
    let mut seen: Vec<&str> = Vec::new();
    for parameter in &used {
        let name = parameter.name.as_str();
        if seen.contains(&name) || def.parameters.iter().any(|p| p.name == name) {
            continue;
        }
        seen.push(name);
        let range = u32::from(parameter.range.start())..u32::from(parameter.range.end());
        let anchor = Anchor::inside(origin, range);
        let cased = def
            .parameters
            .iter()
            .find(|p| p.name.eq_ignore_ascii_case(name));
        findings.push(match cased {
            Some(declared) => Finding::new(
                codes::MX0209,
                format!(
                    "`${name}` differs from the parameter `{}` only by case",
                    declared.name
                ),
                anchor.clone(),
            )
            .help(format!("write `${}`", declared.name))
            .fix(
                "spell it as declared",
                anchor,
                format!("${}", declared.name),
            ),
            None if name.is_empty() || name.chars().all(|c| c.is_ascii_digit()) => Finding::new(
                codes::MX0207,
                "positional parameters cannot be bound: parameters have names",
                anchor,
            )
            .help("write `$name` with the name of a declared parameter"),
            None => Finding::new(
                codes::MX0207,
                format!("parameter `${name}` is used but not declared"),
                anchor,
            )
            .help(
                suggest::did_you_mean(name, def.parameters.iter().map(|p| p.name.as_str()))
                    .unwrap_or_else(|| format!("declare `{name}` under `parameters:`")),
            ),
        });
    }
    for parameter in &def.parameters {
        let is_used = used
            .iter()
            .any(|u| u.name.eq_ignore_ascii_case(&parameter.name));
        if !is_used {
            let hidden = hidden_place(text, &parameter.name);
            let help = match &hidden {
                Some((_, what)) => format!(
                    "`${}` stands in {what} of the SQL, where it is not replaced",
                    parameter.name
                ),
                None => format!("use `${}` in the SQL or remove it", parameter.name),
            };
            let mut finding = Finding::new(
                codes::MX0208,
                format!(
                    "parameter `{}` is declared but the SQL does not use it",
                    parameter.name
                ),
                Anchor::value(
                    file,
                    def.pointer(&format!("parameters/{}/name", parameter.index)),
                ),
            )
            .help(help);
            if let Some((range, _)) = hidden {
                finding = finding.label(Anchor::inside(origin, range), "not read as a parameter");
            }
            findings.push(finding);
        }
    }
}

/// Where a parameter is written although DuckDB does not see one there.
fn hidden_place(text: &str, name: &str) -> Option<(std::ops::Range<u32>, &'static str)> {
    mxcp_syntax::sql::tokens(text)
        .into_iter()
        .find_map(|token| {
            let what = match token.kind {
                TokenKind::String => "a text in quotes",
                TokenKind::Comment => "a comment",
                _ => return None,
            };
            let start = usize::from(token.range.start());
            let inside = text.get(std::ops::Range::<usize>::from(token.range))?;
            let at = ["$", ":", "{", "{{ "].iter().find_map(|sign| {
                let at = inside.find(&format!("{sign}{name}"))?;
                let after = inside.get(at + sign.len() + name.len()..)?;
                (!after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                    .then_some((at, sign.len()))
            })?;
            let from = u32::try_from(start + at.0).ok()?;
            let len = u32::try_from(at.1 + name.len()).ok()?;
            Some((from..from + len, what))
        })
}
