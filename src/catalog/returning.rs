//! Turns data changes into queries with the same columns, so that they can be described.
//!
//! `INSERT INTO t … RETURNING x` yields the columns of `SELECT x FROM t`; other relations of the
//! statement are not visible there. Works on tokens; where a
//! form is not recognised the answer is `None`, never a guess.

use std::collections::BTreeSet;

use crate::details::Conflict;
use crate::names::chain;
use crate::tokens::{Token, TokenKind, to_range};

/// The query whose columns the statement returns.
pub(crate) fn as_query(sql: &str, tokens: &[Token]) -> Option<String> {
    let first = tokens.first()?;
    let last = tokens.last()?;
    let mut out = String::new();
    let mut at = first.start;
    let mut from = 0;
    if first.is_word(sql, "WITH") {
        // Bodies in brackets that change data are replaced, the rest is kept as it is.
        let mut i = 1;
        while let Some(token) = tokens.get(i) {
            if !token.is_symbol(sql, "(") {
                if is_change(sql, token) {
                    break;
                }
                i += 1;
                continue;
            }
            let close = closing(sql, tokens, i)?;
            let body = tokens.get(i + 1..close)?;
            if body
                .first()
                .is_some_and(|t| is_change(sql, t) || t.is_word(sql, "COPY"))
            {
                out.push_str(sql.get(at..token.end)?);
                out.push_str(&change_as_query(sql, body)?);
                at = tokens.get(close)?.start;
            }
            i = close + 1;
        }
        if i >= tokens.len() {
            out.push_str(sql.get(at..last.end)?);
            return Some(out);
        }
        out.push_str(sql.get(at..tokens.get(i)?.start)?);
        from = i;
    }
    out.push_str(&change_as_query(sql, tokens.get(from..)?)?);
    Some(out)
}

fn is_change(sql: &str, token: &Token) -> bool {
    ["INSERT", "UPDATE", "DELETE"]
        .iter()
        .any(|w| token.is_word(sql, w))
}

fn change_as_query(sql: &str, tokens: &[Token]) -> Option<String> {
    let Some(returning) = outer_word(sql, tokens, 0, &["RETURNING"]) else {
        return Some("SELECT 1 AS \"Count\"".to_owned());
    };
    let list = tokens.get(returning + 1..)?;
    let list = sql.get(list.first()?.start..list.last()?.end)?;
    let first = tokens.first()?;
    let lead = match () {
        () if first.is_word(sql, "INSERT") => "INTO",
        () if first.is_word(sql, "UPDATE") => "UPDATE",
        () => "FROM",
    };
    let target = outer_word(sql, tokens, 0, &[lead])? + 1;
    let (start, last) = chain(sql, tokens, target)?;
    let mut relations = sql.get(start..tokens.get(last)?.end)?.to_owned();
    let next = tokens.get(last + 1)?;
    let alias = match next.is_word(sql, "AS") {
        true => tokens.get(last + 2),
        false => Some(next).filter(|t| {
            let keywords = [
                "SET",
                "USING",
                "WHERE",
                "RETURNING",
                "VALUES",
                "SELECT",
                "DEFAULT",
                "FROM",
                "WITH",
                "BY",
            ];
            matches!(t.kind, TokenKind::Word | TokenKind::Quoted)
                && !keywords.iter().any(|w| t.is_word(sql, w))
        }),
    };
    if let Some(alias) = alias {
        relations.push_str(" AS ");
        relations.push_str(alias.text(sql));
    }
    Some(format!("SELECT {list} FROM {relations}"))
}

/// The first of some words outside brackets.
fn outer_word(sql: &str, tokens: &[Token], from: usize, words: &[&str]) -> Option<usize> {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        if token.is_symbol(sql, "(") {
            depth += 1;
        } else if token.is_symbol(sql, ")") {
            depth = depth.checked_sub(1)?;
        } else if depth == 0 && words.iter().any(|w| token.is_word(sql, w)) {
            return Some(i);
        }
    }
    None
}

fn closing(sql: &str, tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        if token.is_symbol(sql, "(") {
            depth += 1;
        } else if token.is_symbol(sql, ")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// `INSERT INTO t … ON CONFLICT (a, b)` with plain columns.
pub(crate) fn conflict(sql: &str, tokens: &[Token]) -> Option<Conflict> {
    let into = outer_word(sql, tokens, 0, &["INTO"])?;
    let (start, last) = chain(sql, tokens, into + 1)?;
    let relation = sql.get(start..tokens.get(last)?.end)?.to_owned();
    let on = outer_word(sql, tokens, last, &["CONFLICT"])?;
    if !tokens.get(on + 1)?.is_symbol(sql, "(") {
        return None;
    }
    let close = closing(sql, tokens, on + 1)?;
    let mut columns = BTreeSet::new();
    for (i, token) in tokens.get(on + 2..close)?.iter().enumerate() {
        match i % 2 {
            0 => columns.insert(token.name(sql)?),
            _ if token.is_symbol(sql, ",") => false,
            _ => return None,
        };
    }
    (!columns.is_empty()).then(|| Conflict {
        relation,
        columns,
        range: to_range(
            tokens.get(on).map_or(start, |t| t.start),
            tokens.get(close).map_or(start, |t| t.end),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::as_query;
    use crate::tokens::tokenize;

    #[test]
    fn returning_becomes_a_select() {
        let cases = [
            (
                "insert into s.t as x (a) values (1) returning a, (b)",
                "SELECT a, (b) FROM s.t AS x",
            ),
            (
                "update t set a = 1 from u where t.a = u.a returning *",
                "SELECT * FROM t",
            ),
            (
                "delete from t using u where t.a = u.a returning t.a",
                "SELECT t.a FROM t",
            ),
            (
                "with q as (insert into t values (1) returning *) select * from q",
                "with q as (SELECT * FROM t) select * from q",
            ),
            (
                "with q as (select 1) insert into t select * from q returning a",
                "with q as (select 1) SELECT a FROM t",
            ),
        ];
        for (sql, wanted) in cases {
            assert_eq!(
                as_query(sql, &tokenize(sql)).as_deref(),
                Some(wanted),
                "{sql}"
            );
        }
    }
}
