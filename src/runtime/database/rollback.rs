//! SQL inside a transaction that somebody else rolls back.
//!
//! The text may hold transaction statements of its own. `BEGIN` and `COMMIT` have nothing to do here:
//! what they bracket is inside a transaction already, and committing would make the work permanent. A
//! `ROLLBACK` in the middle cannot be had, so it is refused.

use std::borrow::Cow;
use std::ops::Range;

use super::SqlError;

/// How to go on when SQL cannot live with the transaction around it.
const WAY_OUT: &str =
    "the test runs in a transaction that is rolled back; run it with `mxcp test --no-isolated`";

// In the place of a last COMMIT, whose result is no rows.
const NOTHING: &str = "SELECT NULL::BOOLEAN AS \"Success\" WHERE false";

/// The text without its own transaction statements.
pub(crate) fn without_transactions(sql: &str) -> Result<Cow<'_, str>, SqlError> {
    let statements = split(sql);
    let found: Vec<(&Range<usize>, Control)> = statements
        .iter()
        .filter_map(|range| Some((range, control(sql.get(range.clone())?)?)))
        .collect();
    if found.is_empty() {
        return Ok(Cow::Borrowed(sql));
    }
    if found.iter().any(|(_, control)| *control == Control::Undo) {
        return Err(SqlError::Engine(format!(
            "ROLLBACK has no effect of its own here: {WAY_OUT}"
        )));
    }
    let last = statements.last();
    let mut out = String::with_capacity(sql.len());
    let mut kept = 0;
    for (range, _) in found {
        out.push_str(sql.get(kept..range.start).unwrap_or_default());
        if last == Some(range) {
            out.push_str(NOTHING);
            kept = range.end;
        } else {
            // The semicolon goes with it.
            kept = range.end + 1;
        }
    }
    out.push_str(sql.get(kept..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// Adds what to do to an error that the surrounding transaction caused.
pub(crate) fn explain(error: SqlError) -> SqlError {
    match error {
        SqlError::Engine(text) if text.starts_with("TransactionContext Error") => {
            SqlError::Engine(format!("{text}\n{WAY_OUT}"))
        }
        error => error,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Start,
    Commit,
    Undo,
}

fn control(statement: &str) -> Option<Control> {
    let word: String = skip_blank(statement)
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    match word.to_ascii_uppercase().as_str() {
        "BEGIN" | "START" => Some(Control::Start),
        "COMMIT" | "END" => Some(Control::Commit),
        "ROLLBACK" | "ABORT" => Some(Control::Undo),
        _ => None,
    }
}

fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let end = blank_end(text);
        if end == 0 {
            return text;
        }
        text = text.get(end..).unwrap_or_default();
    }
}

// The length of a comment at the beginning; 0 when there is none.
pub(super) fn blank_end(text: &str) -> usize {
    if text.starts_with("--") {
        return text.find('\n').map_or(text.len(), |at| at + 1);
    }
    if !text.starts_with("/*") {
        return 0;
    }
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(two) = bytes.get(at..at + 2) {
        match two {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// The statements of a text, without their semicolons; parts with nothing but blanks are none.
pub(super) fn split(sql: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = blank_end(rest).max(quoted_end(rest));
        if skipped > 0 {
            at += skipped;
            continue;
        }
        if rest.starts_with(';') {
            out.push(start..at);
            start = at + 1;
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    out.push(start..sql.len());
    out.retain(|range| {
        sql.get(range.clone())
            .is_some_and(|text| !skip_blank(text).is_empty())
    });
    out
}

// The length of a quoted text or name at the beginning; 0 when there is none.
pub(super) fn quoted_end(text: &str) -> usize {
    let close = |open: usize, mark: &str| {
        text.get(open..)
            .and_then(|rest| rest.find(mark))
            .map_or(text.len(), |at| open + at + mark.len())
    };
    match text.as_bytes() {
        // A doubled quote ends one piece and begins the next, which comes to the same.
        [b'\'', ..] => close(1, "'"),
        [b'"', ..] => close(1, "\""),
        [b'e' | b'E', b'\'', ..] => escaped_end(text),
        [b'$', ..] => {
            let tag = text
                .char_indices()
                .skip(1)
                .find(|(_, c)| !(c.is_alphanumeric() || *c == '_'));
            match tag {
                Some((end, '$')) => text.get(..=end).map_or(0, |mark| close(mark.len(), mark)),
                _ => 0,
            }
        }
        // A word is passed over whole: its last letter may look like the beginning of something.
        [first, ..] if first.is_ascii_alphanumeric() || *first == b'_' => text
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .unwrap_or(text.len()),
        _ => 0,
    }
}

fn escaped_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(2) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(sql: &str) -> String {
        without_transactions(sql).unwrap().into_owned()
    }

    #[test]
    fn brackets_go_and_the_rest_stays() {
        assert_eq!(
            stripped("BEGIN; INSERT INTO t VALUES (1); commit; SELECT 1"),
            " INSERT INTO t VALUES (1); SELECT 1"
        );
        assert_eq!(
            stripped("begin transaction;\nDELETE FROM t;\nEND;\n"),
            format!("\nDELETE FROM t;{NOTHING};\n")
        );
        assert_eq!(stripped("/* a; */ -- b;\n START TRANSACTION"), NOTHING);
        assert!(without_transactions("INSERT INTO t VALUES (1); ROLLBACK").is_err());
    }

    #[test]
    fn words_inside_other_things_are_no_statements() {
        for sql in [
            "SELECT 'a; COMMIT; b', \"x;COMMIT;\" FROM t -- ; ROLLBACK",
            "SELECT $$; COMMIT;$$, $tag$; ROLLBACK; $tag$",
            "SELECT e'it\\'s; COMMIT', 'it''s; COMMIT'",
            "SELECT CASE WHEN $a THEN 1 END",
            "SELECT 1 AS begin; SELECT type'x; COMMIT'",
            "/* a /* nested; */ ; COMMIT */ SELECT 1",
            "",
            "SELECT 'open; COMMIT",
        ] {
            assert!(
                matches!(without_transactions(sql), Ok(Cow::Borrowed(_))),
                "{sql}"
            );
        }
    }
}
