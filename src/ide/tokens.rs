//! Colours for the languages inside YAML and templates: what each word is.

use mxcp_base::{SourceFile, TextRange};
use mxcp_compiler::Db;
use mxcp_syntax::sql::TokenKind as SqlToken;

use crate::embedded::{Embedded, Language, embedded};
use crate::occurrences::occurrences;
use crate::sql::keywords::is_keyword;
use crate::symbol::{LocalKind, Occurrence, Symbol};
use crate::template::{TagKind, tags};

/// In the order of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Keyword,
    Function,
    String,
    Number,
    Parameter,
    Property,
    Class,
    Comment,
    Operator,
    Variable,
    Macro,
}

pub const LEGEND: [&str; 11] = [
    "keyword",
    "function",
    "string",
    "number",
    "parameter",
    "property",
    "class",
    "comment",
    "operator",
    "variable",
    "macro",
];

/// Tokens by position; none overlaps another.
pub fn tokens(db: &dyn Db, file: SourceFile) -> Vec<(TextRange, Colour)> {
    let names = occurrences(db, file);
    let mut found: Vec<(TextRange, Colour)> = Vec::new();
    for part in embedded(db, file) {
        match part.language {
            Language::Sql => sql(&part, &part.text, &[], names, &mut found),
            Language::Template => {
                let list = tags(&part.text);
                let covered = crate::template::covered(&part.text, &list);
                let ranges: Vec<std::ops::Range<usize>> =
                    list.iter().map(|t| t.range.clone()).collect();
                sql(&part, &covered, &ranges, names, &mut found);
                for tag in list {
                    jinja(&part, tag.kind, tag.range, names, &mut found);
                }
            }
            Language::Prompt => {
                for tag in tags(&part.text) {
                    jinja(&part, tag.kind, tag.range, names, &mut found);
                }
            }
            Language::Cel => words(
                &part,
                0..part.text.len(),
                &["true", "false", "null", "in"],
                names,
                &mut found,
            ),
        }
    }
    found.sort_by_key(|(range, _)| (range.start(), range.end()));
    let mut last = TextRange::default();
    found.retain(|(range, _)| {
        let free = range.start() >= last.end() && !range.is_empty();
        if free {
            last = *range;
        }
        free
    });
    found
}

fn named(names: &[Occurrence], range: TextRange) -> Option<Colour> {
    let first = names.partition_point(|o| o.range.start() < range.start());
    let found = names.get(first..)?.iter().find(|o| o.range == range)?;
    Some(match &found.symbol {
        Symbol::Parameter { .. } => Colour::Parameter,
        Symbol::Result { .. } | Symbol::Column { .. } => Colour::Property,
        Symbol::Node { .. } | Symbol::Source { .. } | Symbol::Relation(_) => Colour::Class,
        Symbol::Local { kind, .. } => match kind {
            LocalKind::Cte => Colour::Class,
            LocalKind::Alias => Colour::Variable,
            LocalKind::Column => Colour::Property,
        },
        Symbol::Macro { .. } => Colour::Macro,
        Symbol::Function { .. } | Symbol::Python { .. } | Symbol::Endpoint { .. } => {
            Colour::Function
        }
        Symbol::Cel { .. } => Colour::Variable,
        Symbol::File { .. } => Colour::String,
    })
}

fn sql(
    part: &Embedded,
    text: &str,
    skip: &[std::ops::Range<usize>],
    names: &[Occurrence],
    found: &mut Vec<(TextRange, Colour)>,
) {
    for token in mxcp_syntax::sql::tokens(text) {
        if skip
            .iter()
            .any(|s| s.contains(&usize::from(token.range.start())))
        {
            continue;
        }
        let (start, end) = (u32::from(token.range.start()), u32::from(token.range.end()));
        let range = part.to_file(start..end);
        let colour = match token.kind {
            SqlToken::Comment => Some(Colour::Comment),
            SqlToken::String => Some(Colour::String),
            SqlToken::Number => Some(Colour::Number),
            SqlToken::Parameter => Some(Colour::Parameter),
            SqlToken::Symbol => {
                let word = &text[token.range];
                (!matches!(word, "(" | ")" | "," | "." | ";" | "[" | "]" | "{" | "}"))
                    .then_some(Colour::Operator)
            }
            SqlToken::Word | SqlToken::QuotedIdentifier => named(names, range)
                .or_else(|| is_keyword(&text[token.range]).then_some(Colour::Keyword)),
        };
        found.extend(colour.map(|c| (range, c)));
    }
}

fn jinja(
    part: &Embedded,
    kind: TagKind,
    range: std::ops::Range<usize>,
    names: &[Occurrence],
    found: &mut Vec<(TextRange, Colour)>,
) {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    if kind == TagKind::Comment {
        let text = part.text.get(range.clone()).unwrap_or_default();
        // A token stays on its line.
        let mut at = range.start;
        for line in text.split_inclusive('\n') {
            let end = at + line.trim_end().len();
            found.push((part.to_file(cut(at)..cut(end)), Colour::Comment));
            at += line.len();
        }
        return;
    }
    const WORDS: [&str; 20] = [
        "if", "elif", "else", "endif", "for", "endfor", "in", "set", "endset", "macro", "endmacro",
        "is", "not", "and", "or", "do", "call", "endcall", "true", "false",
    ];
    words(part, range, &WORDS, names, found);
}

/// A language of words, texts and numbers.
fn words(
    part: &Embedded,
    range: std::ops::Range<usize>,
    keywords: &[&str],
    names: &[Occurrence],
    found: &mut Vec<(TextRange, Colour)>,
) {
    let Some(text) = part.text.get(range.clone()) else {
        return;
    };
    let cut = |n: usize| u32::try_from(n + range.start).unwrap_or(u32::MAX);
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let mut end = start + c.len_utf8();
        let colour = if c == '\'' || c == '"' {
            for (i, next) in chars.by_ref() {
                end = i + next.len_utf8();
                if next == c || next == '\n' {
                    break;
                }
            }
            let inner = part.to_file(cut(start + 1)..cut(end.saturating_sub(1).max(start + 1)));
            // The name of a model inside the quotes.
            Some(named(names, inner).unwrap_or(Colour::String))
        } else if c.is_alphabetic() || c == '_' {
            while let Some((i, next)) = chars.peek().copied() {
                if !(next.is_alphanumeric() || next == '_') {
                    break;
                }
                end = i + next.len_utf8();
                chars.next();
            }
            let word = text.get(start..end).unwrap_or_default();
            let here = part.to_file(cut(start)..cut(end));
            let calls = text.get(end..).is_some_and(|rest| rest.starts_with('('));
            named(names, here).or(match word {
                word if keywords.contains(&word) => Some(Colour::Keyword),
                _ if calls => Some(Colour::Function),
                _ => Some(Colour::Variable),
            })
        } else if c.is_ascii_digit() {
            while let Some((i, next)) = chars.peek().copied() {
                if !(next.is_ascii_alphanumeric() || next == '.') {
                    break;
                }
                end = i + 1;
                chars.next();
            }
            Some(Colour::Number)
        } else if "=!<>&|+-*/%?:".contains(c) {
            Some(Colour::Operator)
        } else {
            None
        };
        found.extend(colour.map(|colour| (part.to_file(cut(start)..cut(end)), colour)));
    }
}
