//! Large numbers among the arguments of functions whose value grows with them.
//!
//! The engine computes some constants while it binds, so `length(repeat('x', 2000000000))` would
//! take gigabytes to be typed. The number never decides the type: a small one of the same length
//! stands in for it, and every position stays what it was.

use std::borrow::Cow;

use crate::tokens::{TokenKind, tokenize};

const GROWING: [&str; 11] = [
    "array_resize",
    "generate_series",
    "list_resize",
    "lpad",
    "range",
    "repeat",
    "rpad",
    "left_pad",
    "right_pad",
    "list_repeat",
    "space",
];
/// Numbers of fewer digits cost little.
const DIGITS: usize = 6;

pub(crate) fn tame(sql: &str) -> Cow<'_, str> {
    let suspicious = sql
        .as_bytes()
        .windows(DIGITS)
        .any(|w| w.iter().all(u8::is_ascii_digit));
    if !suspicious {
        return Cow::Borrowed(sql);
    }
    let tokens = tokenize(sql);
    let mut out = None;
    // Whether each open bracket belongs to a growing function, or is inside of one.
    let mut open: Vec<bool> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let text = token.text(sql);
        if text == "(" {
            let before = i.checked_sub(1).and_then(|i| tokens.get(i));
            let growing = before
                .and_then(|t| t.name(sql))
                .is_some_and(|name| GROWING.contains(&name.as_str()));
            open.push(growing || open.last() == Some(&true));
        } else if text == ")" {
            open.pop();
        } else if token.kind == TokenKind::Number
            && open.last() == Some(&true)
            && text.len() >= DIGITS
            && text.bytes().all(|b| b.is_ascii_digit())
        {
            let small = format!("{:0>width$}", 10, width = text.len());
            out.get_or_insert_with(|| sql.to_owned())
                .replace_range(token.start..token.end, &small);
        }
    }
    out.map_or(Cow::Borrowed(sql), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn only_arguments_of_growing_functions_shrink() {
        for (sql, tamed) in [
            (
                "SELECT repeat('x', 2000000000) AS n",
                "SELECT repeat('x', 0000000010) AS n",
            ),
            (
                "SELECT Range(abs(1000000), 5)",
                "SELECT Range(abs(0000010), 5)",
            ),
            (
                "SELECT 1000000, range(99999), '1000000'",
                "SELECT 1000000, range(99999), '1000000'",
            ),
            (
                "SELECT rpad('1000000', 2) || (1000000)",
                "SELECT rpad('1000000', 2) || (1000000)",
            ),
        ] {
            assert_eq!(tame(sql), tamed);
        }
    }
}
