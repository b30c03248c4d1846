//! Places for errors that the engine reports without one, told from their sentences.

use std::ops::Range;

use crate::errors::RawError;
use crate::mask::{Probe, Target};
use crate::names::unquoted;
use crate::tokens::{Token, TokenKind};

const SET_OPERATIONS: [&str; 3] = ["UNION", "EXCEPT", "INTERSECT"];

/// The part of a statement that a message is about, when its form says which.
pub(crate) fn by_message(sql: &str, tokens: &[Token], error: &RawError) -> Option<Range<usize>> {
    let message = error.message.as_str();
    let range = |token: &Token| token.start..token.end;
    let word = |words: &[&str]| {
        tokens
            .iter()
            .find(|t| words.iter().any(|w| t.is_word(sql, w)))
            .map(range)
    };
    if message.contains("set operations can only apply") {
        return word(&SET_OPERATIONS);
    }
    if message.contains("values were supplied") {
        return word(&["VALUES", "SELECT", "FROM"]);
    }
    if message.contains("term out of range") {
        let by = tokens.iter().position(|t| t.is_word(sql, "BY"))?;
        return tokens
            .iter()
            .skip(by)
            .find(|t| t.kind == TokenKind::Number)
            .map(range);
    }
    if let Some(name) = between(message, "window \"", "\" does not exist") {
        let over = |pair: &&[Token]| {
            pair[0].is_word(sql, "OVER")
                && pair[1]
                    .name(sql)
                    .is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        return tokens.windows(2).find(over).map(|pair| range(&pair[1]));
    }
    if let Some(name) = between(message, "duplicate CTE name \"", "\"") {
        let defined = |pair: &&[Token]| {
            pair[0]
                .name(sql)
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
                && (pair[1].is_word(sql, "AS") || pair[1].is_symbol(sql, "("))
        };
        return tokens
            .windows(2)
            .filter(defined)
            .nth(1)
            .map(|pair| range(&pair[0]));
    }
    if message.contains("not supported in ORDER BY") {
        let by = |pair: &[Token]| pair[0].is_word(sql, "ORDER") && pair[1].is_word(sql, "BY");
        let from = tokens.windows(2).rposition(by)?;
        let what = |t: &&Token| match message.starts_with("parameter") {
            true => t.kind == TokenKind::Parameter,
            false => matches!(t.kind, TokenKind::String | TokenKind::Number),
        };
        return tokens.get(from + 2..)?.iter().find(what).map(range);
    }
    if message.contains("QUALIFY") {
        return word(&["QUALIFY"]);
    }
    // A text constant that the engine quotes: `extract specifier "monthz" not recognized`.
    if let Some(text) = between(message, "specifier \"", "\"") {
        let same = |t: &&Token| {
            t.kind == TokenKind::String
                && unquoted(t, sql).is_some_and(|u| u.eq_ignore_ascii_case(text))
        };
        return tokens.iter().find(same).map(range);
    }
    if message.contains("conflict target") || message.contains("ON CONFLICT") {
        return word(&["CONFLICT"]);
    }
    None
}

fn between<'m>(message: &'m str, before: &str, after: &str) -> Option<&'m str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once(after).map(|(name, _)| name)
}

/// Of several set operations the one whose sides differ: the statement is bound with ever more of
/// them until it fails.
pub(crate) fn set_operation(
    target: &Target<'_>,
    error: &RawError,
    probe: &mut Probe<'_>,
) -> Option<Range<usize>> {
    if error.start.is_some() || !error.message.contains("set operations can only apply") {
        return None;
    }
    let (sql, tokens) = (target.sql, target.tokens);
    let places: Vec<usize> = (0..tokens.len())
        .filter(|i| {
            tokens
                .get(*i)
                .is_some_and(|t| SET_OPERATIONS.iter().any(|w| t.is_word(sql, w)))
        })
        .collect();
    if places.len() < 2 || places.len() > 20 {
        return None;
    }
    for (i, at) in places.iter().enumerate() {
        let operation = tokens.get(*at)?;
        let Some(next) = places.get(i + 1).and_then(|n| tokens.get(*n)) else {
            return Some(operation.start..operation.end);
        };
        // What follows in the same brackets goes away.
        let end = closing(sql, tokens, *at).map_or(target.end, |t| t.start);
        if next.start >= end {
            continue;
        }
        let text = format!(
            "{}{}",
            sql.get(target.start..next.start)?,
            sql.get(end..target.end)?
        );
        if probe(&text).is_err_and(|e| e.message == error.message) {
            return Some(operation.start..operation.end);
        }
    }
    None
}

/// The bracket that closes what a token stands in.
fn closing<'t>(sql: &str, tokens: &'t [Token], from: usize) -> Option<&'t Token> {
    let mut depth = 0usize;
    for token in tokens.get(from..)? {
        if token.is_symbol(sql, "(") {
            depth += 1;
        } else if token.is_symbol(sql, ")") {
            if depth == 0 {
                return Some(token);
            }
            depth -= 1;
        }
    }
    None
}
