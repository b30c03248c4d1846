//! Reads names and keywords off the tokens of a statement, without knowing its grammar.

use std::collections::BTreeSet;

use crate::request::StatementKind;
use crate::tokens::{Token, TokenKind, tokenize};

pub(crate) fn ends(tokens: &[Token]) -> (usize, usize) {
    let start = tokens.first().map_or(0, |t| t.start);
    (start, tokens.last().map_or(start, |t| t.end))
}

pub(crate) fn has_word(sql: &str, tokens: &[Token], word: &str) -> bool {
    tokens.iter().any(|t| t.is_word(sql, word))
}

pub(crate) fn unquoted(token: &Token, sql: &str) -> Option<String> {
    let text = token.text(sql);
    match token.kind {
        TokenKind::Word => Some(text.to_owned()),
        TokenKind::Quoted | TokenKind::String => {
            let quote = text.get(..1)?;
            let inner = text.get(1..text.len().checked_sub(1)?)?;
            Some(inner.replace(&quote.repeat(2), quote))
        }
        _ => None,
    }
}

/// The dotted name that starts at a token: where it starts, and the index of its last part.
pub(crate) fn chain(sql: &str, tokens: &[Token], first: usize) -> Option<(usize, usize)> {
    let is_name = |i: usize| {
        tokens.get(i).is_some_and(|t| {
            matches!(
                t.kind,
                TokenKind::Word | TokenKind::Quoted | TokenKind::String
            )
        })
    };
    if !is_name(first) {
        return None;
    }
    let mut last = first;
    while tokens.get(last + 1).is_some_and(|t| t.is_symbol(sql, ".")) && is_name(last + 2) {
        last += 2;
    }
    Some((tokens.get(first)?.start, last))
}

/// Dotted names that follow a keyword which takes a relation: where they start, their last token.
pub(crate) fn targets(sql: &str, tokens: &[Token]) -> Vec<(usize, usize)> {
    const BEFORE: [&str; 12] = [
        "FROM",
        "JOIN",
        "INTO",
        "UPDATE",
        "TABLE",
        "USING",
        "PIVOT",
        "UNPIVOT",
        "DESCRIBE",
        "SUMMARIZE",
        "COPY",
        "SHOW",
    ];
    const BETWEEN: [&str; 6] = ["TABLE", "ONLY", "LATERAL", "SELECT", "SET", "VALUES"];
    let call = |last: usize| tokens.get(last + 1).is_some_and(|t| t.is_symbol(sql, "("));
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if !BEFORE.iter().any(|w| token.is_word(sql, w)) {
            continue;
        }
        if tokens
            .get(i + 1)
            .is_some_and(|t| BETWEEN.iter().any(|w| t.is_word(sql, w)))
        {
            continue;
        }
        if let Some((start, last)) = chain(sql, tokens, i + 1)
            && (token.is_word(sql, "INTO") || !call(last))
            && !(token.is_word(sql, "FROM") && is_argument(sql, tokens, i))
        {
            found.push((start, last));
        }
    }
    found
}

/// `FROM` also stands inside calls: `extract(year FROM x)`, `trim(both FROM x)`.
fn is_argument(sql: &str, tokens: &[Token], from: usize) -> bool {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().take(from).rev() {
        if token.is_symbol(sql, ")") {
            depth += 1;
        } else if token.is_symbol(sql, "(") {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return i + 1 < from,
            }
        } else if depth == 0 && ["SELECT", "DELETE"].iter().any(|w| token.is_word(sql, w)) {
            return false;
        }
    }
    false
}

/// The kind of a statement by its first keyword, or behind `WITH` by the first one outside brackets.
pub(crate) fn keyword_kind(sql: &str, tokens: &[Token]) -> StatementKind {
    let words = tokens.iter().filter(|t| t.kind == TokenKind::Word);
    let first = words
        .map(|t| t.text(sql).to_ascii_uppercase())
        .next()
        .unwrap_or_default();
    let word = match first.as_str() {
        "WITH" => main_keyword(sql, tokens),
        _ => first,
    };
    match word.as_str() {
        "SELECT" | "FROM" | "VALUES" | "TABLE" | "PIVOT" | "PIVOT_WIDER" | "UNPIVOT"
        | "PIVOT_LONGER" | "SUMMARIZE" | "DESCRIBE" | "DESC" | "SHOW" => StatementKind::Select,
        "INSERT" => StatementKind::Insert,
        "UPDATE" => StatementKind::Update,
        "DELETE" | "TRUNCATE" => StatementKind::Delete,
        "CREATE" => StatementKind::Create,
        "DROP" => StatementKind::Drop,
        "ALTER" => StatementKind::Alter,
        "COPY" | "EXPORT" | "IMPORT" => StatementKind::Copy,
        "ATTACH" | "DETACH" => StatementKind::Attach,
        "SET" | "RESET" | "USE" => StatementKind::Set,
        "PRAGMA" => StatementKind::Pragma,
        "CALL" => StatementKind::Call,
        "EXPLAIN" => StatementKind::Explain,
        "LOAD" | "INSTALL" | "FORCE" => StatementKind::Load,
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" => StatementKind::Transaction,
        other => StatementKind::Other(other.to_owned()),
    }
}

fn main_keyword(sql: &str, tokens: &[Token]) -> String {
    let mut depth = 0usize;
    for token in tokens {
        if token.is_symbol(sql, "(") {
            depth += 1;
        } else if token.is_symbol(sql, ")") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.kind == TokenKind::Word {
            let word = token.text(sql).to_ascii_uppercase();
            if [
                "SELECT", "FROM", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE", "TABLE", "PIVOT",
            ]
            .contains(&word.as_str())
            {
                return word;
            }
        }
    }
    "SELECT".to_owned()
}

/// The words and names of a text in lower case: all that it can possibly refer to.
pub(crate) fn mentioned(sql: &str) -> BTreeSet<String> {
    tokenize(sql).iter().filter_map(|t| t.name(sql)).collect()
}
