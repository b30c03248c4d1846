//! SQL text to tokens, parameters and statements, by DuckDB's lexical rules.
//!
//! DuckDB is the authority on SQL: nothing here judges a text, and nothing here fails. An unclosed string or comment
//! simply runs to the end of the text. Tokens come with byte ranges, which no parser crate offers.

use std::borrow::Cow;

use text_size::TextRange;

use crate::text_range;

mod choices;
mod projection;
mod scan;

#[cfg(test)]
mod tests;

pub use choices::choices;
pub use projection::{Projected, projection};

/// A token of any kind but white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub range: TextRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A keyword or an identifier without quotes.
    Word,
    QuotedIdentifier,
    /// `'…'`, `E'…'` and dollar quotes.
    String,
    Number,
    /// `$name`, `$1`, `?`.
    Parameter,
    /// An operator or punctuation.
    Symbol,
    Comment,
}

/// A parameter as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name without `$`; the number of a numbered parameter; for `?` its position, from 1.
    pub name: String,
    pub kind: ParameterKind,
    pub range: TextRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// `$name`.
    Named,
    /// `$1` and `?1`.
    Numbered,
    /// `?`.
    Positional,
}

/// All tokens of `text`, comments included.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    scan::Scanner::new(text).collect()
}

/// Every parameter in order, those outside strings, comments, dollar quotes and quoted identifiers.
#[must_use]
pub fn parameters(text: &str) -> Vec<Parameter> {
    let mut positional = 0;
    scan::Scanner::new(text)
        .filter(|token| token.kind == TokenKind::Parameter)
        .map(|token| {
            let source = &text[token.range];
            let body = &source[1..];
            let kind = if body.is_empty() {
                positional += 1;
                ParameterKind::Positional
            } else if body.starts_with(|c: char| c.is_ascii_digit()) {
                ParameterKind::Numbered
            } else {
                ParameterKind::Named
            };
            let name = match kind {
                ParameterKind::Positional => positional.to_string(),
                _ => body.to_owned(),
            };
            Parameter {
                name,
                kind,
                range: token.range,
            }
        })
        .collect()
}

/// The statements between semicolons, without the comments around them; parts that hold only comments are dropped.
#[must_use]
pub fn statements(text: &str) -> Vec<TextRange> {
    let mut found = Vec::new();
    let mut current: Option<TextRange> = None;
    for token in scan::Scanner::new(text) {
        if token.kind == TokenKind::Comment {
            continue;
        }
        if token.kind == TokenKind::Symbol && &text[token.range] == ";" {
            found.extend(current.take());
        } else {
            current = Some(current.map_or(token.range, |range| range.cover(token.range)));
        }
    }
    found.extend(current);
    found
}

/// Every identifier equal to `name`, quoted or not; case does not matter, as in DuckDB.
#[must_use]
pub fn find_identifier(text: &str, name: &str) -> Vec<TextRange> {
    let wanted = name.to_lowercase();
    scan::Scanner::new(text)
        .filter(|token| {
            identifier(text, *token).is_some_and(|found| found.to_lowercase() == wanted)
        })
        .map(|token| token.range)
        .collect()
}

/// The name an identifier token stands for, quotes removed; keywords are words too.
#[must_use]
pub fn identifier(text: &str, token: Token) -> Option<Cow<'_, str>> {
    let source = &text[token.range];
    match token.kind {
        TokenKind::Word => Some(Cow::Borrowed(source)),
        TokenKind::QuotedIdentifier => {
            let body = source.strip_prefix('"').unwrap_or(source);
            let body = body.strip_suffix('"').unwrap_or(body);
            Some(if body.contains("\"\"") {
                Cow::Owned(body.replace("\"\"", "\""))
            } else {
                Cow::Borrowed(body)
            })
        }
        _ => None,
    }
}

fn token(kind: TokenKind, start: usize, end: usize) -> Token {
    Token {
        kind,
        range: text_range(start, end),
    }
}
