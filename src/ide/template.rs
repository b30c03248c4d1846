//! SQL templates with their Jinja covered: every byte stays where it is, and what stands for a relation
//! becomes one word.
//!
//! A half-typed template is no template, so each tag is read by itself.

use std::ops::Range;

use mxcp_syntax::jinja::{Call, scan};

/// One `{{ … }}`, `{% … %}` or `{# … #}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: TagKind,
    pub range: Range<usize>,
    /// Whether its end is there.
    pub closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    Expression,
    Statement,
    Comment,
}

pub fn tags(text: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('{')) {
        let start = at + open;
        let (kind, end) = match text.as_bytes().get(start + 1) {
            Some(b'{') => (TagKind::Expression, "}}"),
            Some(b'%') => (TagKind::Statement, "%}"),
            Some(b'#') => (TagKind::Comment, "#}"),
            _ => {
                at = start + 1;
                continue;
            }
        };
        let rest = text.get(start + 2..).unwrap_or("");
        let close = rest.find(end);
        // An unfinished tag must not swallow the next one.
        let next = rest.find("{{").into_iter().chain(rest.find("{%")).min();
        let stop = match (close, next) {
            (Some(close), next) if next.is_none_or(|n| close < n) || kind == TagKind::Comment => {
                found.push(Tag {
                    kind,
                    range: start..start + 2 + close + 2,
                    closed: true,
                });
                start + 2 + close + 2
            }
            (_, next) => {
                let line = rest.find('\n').unwrap_or(rest.len());
                let stop = start + 2 + next.map_or(line, |n| n.min(line));
                found.push(Tag {
                    kind,
                    range: start..stop,
                    closed: false,
                });
                stop
            }
        };
        at = stop;
    }
    found
}

/// The calls in one tag, with offsets of the whole text.
pub fn calls(text: &str, tag: &Tag) -> Vec<(Call, usize)> {
    let Some(part) = text.get(tag.range.clone()) else {
        return Vec::new();
    };
    let inner = part
        .trim_start_matches(['{', '%', '-', '#'])
        .trim_end_matches(['}', '%', '-', '#']);
    let shift = match tag.kind {
        TagKind::Expression if tag.closed => {
            return scan(part)
                .calls
                .into_iter()
                .map(|c| (c, tag.range.start))
                .collect();
        }
        TagKind::Comment => return Vec::new(),
        // A block without its end does not parse: what is called in the tag is read as an expression.
        TagKind::Statement | TagKind::Expression => {
            let lead = part.len() - part.trim_start_matches(['{', '%', '-']).len();
            let trimmed = inner.trim_start();
            let word = trimmed
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or("");
            let skip = match word {
                "if" | "elif" | "do" | "call" => word.len(),
                "set" | "for" => {
                    let mark = if word == "set" { "=" } else { " in " };
                    trimmed.find(mark).map_or(word.len(), |i| i + mark.len())
                }
                "ref" | "source" | "config" => 0,
                _ if tag.kind == TagKind::Expression => 0,
                _ => return Vec::new(),
            };
            lead + (inner.len() - trimmed.len()) + skip
        }
    };
    let end = part.len() - (part.len() - part.trim_end_matches(['}', '%', '-']).len());
    let Some(expression) = part.get(shift..end.max(shift)) else {
        return Vec::new();
    };
    let wrapped = format!("{{{{{expression}}}}}");
    scan(&wrapped)
        .calls
        .into_iter()
        .filter_map(|mut call| {
            // The offsets count from the two braces that were put before it.
            call.range = call.range.checked_sub(2.into())?;
            call.name_range = call.name_range.checked_sub(2.into())?;
            for arg in call
                .args
                .iter_mut()
                .chain(call.kwargs.iter_mut().map(|(_, arg)| arg))
            {
                arg.range = arg.range.checked_sub(2.into())?;
            }
            Some((call, tag.range.start + shift))
        })
        .collect()
}

/// The text without its tags: expressions become a word of the same length, the rest blanks.
pub fn covered(text: &str, tags: &[Tag]) -> String {
    let mut out = text.as_bytes().to_vec();
    for tag in tags {
        let fill = match tag.kind {
            // An expression that is all of its line is a statement in disguise, such as `{{ config(…) }}`.
            TagKind::Expression if !is_config(text, tag) => b'm',
            _ => b' ',
        };
        for byte in out.get_mut(tag.range.clone()).into_iter().flatten() {
            if *byte != b'\n' || fill == b'm' {
                *byte = fill;
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

fn is_config(text: &str, tag: &Tag) -> bool {
    let inner = text.get(tag.range.clone()).unwrap_or("");
    let inner = inner.trim_start_matches(['{', '-', ' ', '\n', '\t', '\r']);
    inner.starts_with("config") || (!tag.closed && inner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_keeps_its_place() {
        let text = "{{ config(x=1) }}\nSELECT é, {% if a %}b{% endif %} FROM {{ ref('orders') }} o {{ half";
        let tags = tags(text);
        let covered = covered(text, &tags);
        assert_eq!(covered.len(), text.len());
        assert!(covered.contains("SELECT é, "), "{covered}");
        assert!(
            covered.contains(&format!("FROM {} o", "m".repeat(19))),
            "{covered}"
        );
        let (call, base) = calls(text, &tags[3]).remove(0);
        let arg = call.args[0].range;
        assert_eq!(
            &text[base + usize::from(arg.start())..base + usize::from(arg.end())],
            "'orders'"
        );
        let condition = super::tags("{% if var('x') %}");
        let (call, base) = calls("{% if var('x') %}", &condition[0]).remove(0);
        let name = call.name_range;
        assert_eq!((base + usize::from(name.start()), &*call.name), (6, "var"));
    }
}
