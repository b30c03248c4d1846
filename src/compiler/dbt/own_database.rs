//! The name of the run's own database in front of relations, taken out of SQL again.
//!
//! Templates see relations as dbt writes them, with all three parts. In the SQL itself the name says nothing, and
//! it differs from one machine to the next, so it is left out; texts keep it.

use std::ops::Range;

use mxcp_artifact::catalog::quote_identifier;

/// SQL without the name, and where it stood in the text given: `None` when it stands nowhere.
pub(super) fn leave_out(sql: &str, database: &str) -> Option<(String, Vec<Range<usize>>)> {
    let name = format!("{}.\"", quote_identifier(database));
    if database.is_empty() || !sql.contains(&name) {
        return None;
    }
    let mut cut = Cut {
        sql,
        // The quote of the next part stays.
        length: name.len() - 1,
        out: String::with_capacity(sql.len()),
        gone: Vec::new(),
        kept: 0,
    };
    let bytes = sql.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = sql.get(at..).unwrap_or_default();
        at += match byte {
            b'"' if rest.starts_with(&name) && !follows_a_dot(bytes, at) => {
                cut.at(at);
                // The part behind it may be the name once more.
                cut.length + closing(rest.get(cut.length..).unwrap_or_default(), b'"')
            }
            b'"' | b'\'' => closing(rest, byte),
            // An apostrophe in a comment opens no text.
            b'-' if rest.starts_with("--") => cut.comment(at, &name, "\n"),
            b'/' if rest.starts_with("/*") => cut.comment(at, &name, "*/"),
            b'$' => dollars(rest),
            _ => 1,
        };
    }
    Some(cut.done())
}

struct Cut<'s> {
    sql: &'s str,
    length: usize,
    out: String,
    gone: Vec<Range<usize>>,
    /// Up to here the text is in `out`.
    kept: usize,
}

impl Cut<'_> {
    fn at(&mut self, at: usize) {
        let before = self.sql.get(self.kept..at).unwrap_or_default();
        self.out.push_str(before);
        self.kept = at + self.length;
        self.gone.push(at..self.kept);
    }

    /// The length of the comment that begins here.
    fn comment(&mut self, start: usize, name: &str, end: &str) -> usize {
        let rest = self.sql.get(start..).unwrap_or_default();
        let length = rest.find(end).map_or(rest.len(), |at| at + end.len());
        for (at, _) in rest.get(..length).unwrap_or_default().match_indices(name) {
            self.at(start + at);
        }
        length
    }

    fn done(mut self) -> (String, Vec<Range<usize>>) {
        let rest = self.sql.get(self.kept..).unwrap_or_default();
        self.out.push_str(rest);
        (self.out, self.gone)
    }
}

fn follows_a_dot(bytes: &[u8], at: usize) -> bool {
    at > 0 && bytes.get(at - 1) == Some(&b'.')
}

/// The length of a quoted text that begins here. A doubled quote is part of it.
fn closing(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    text.len()
}

/// The length of `$tag$…$tag$`, or of the sign alone.
fn dollars(text: &str) -> usize {
    let is_tag = |tag: &str| tag.chars().all(|c| c == '_' || c.is_alphanumeric());
    let Some(end) = text.get(1..).and_then(|rest| rest.find('$')) else {
        return 1;
    };
    let tag = text.get(..end + 2).unwrap_or_default();
    if !is_tag(tag.trim_matches('$')) {
        return 1;
    }
    match text.get(tag.len()..).and_then(|rest| rest.find(tag)) {
        Some(at) => tag.len() + at + tag.len(),
        None => 1,
    }
}

/// Where a place is after these parts are gone.
pub(super) fn moved(at: u32, gone: &[Range<usize>]) -> u32 {
    let place = at as usize;
    let before: usize = gone
        .iter()
        .map(|range| place.min(range.end).saturating_sub(range.start))
        .sum();
    u32::try_from(place - before).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_the_name() {
        let left = |sql: &str| leave_out(sql, "db").map_or_else(|| sql.to_owned(), |found| found.0);
        for (sql, expected) in [
            ("from \"db\".\"main\".\"t\"", "from \"main\".\"t\""),
            (
                "select '\"db\".\"main\".\"t\"' from \"db\".\"s\".\"t\"",
                "select '\"db\".\"main\".\"t\"' from \"s\".\"t\"",
            ),
            (
                "-- isn't \"db\".\"m\".\"t\"\nfrom \"db\".\"m\".\"t\"",
                "-- isn't \"m\".\"t\"\nfrom \"m\".\"t\"",
            ),
            ("/* ' */ \"db\".\"db\".\"db\"", "/* ' */ \"db\".\"db\""),
            (
                "select 'it''s \"db\".\"a\"', \"db\".\"a\"",
                "select 'it''s \"db\".\"a\"', \"a\"",
            ),
            (
                "$$ \"db\".\"a\" $$ \"db\".\"a\"",
                "$$ \"db\".\"a\" $$ \"a\"",
            ),
            ("\"other\".\"db\".\"t\"", "\"other\".\"db\".\"t\""),
            (
                "\"a \"\"db\"\".\"\"\" \"db\".\"t\"",
                "\"a \"\"db\"\".\"\"\" \"t\"",
            ),
        ] {
            assert_eq!(left(sql), expected);
        }
    }

    #[test]
    fn places_move() {
        let gone = [5..10, 20..25];
        assert_eq!(
            [3, 5, 7, 10, 30].map(|at| moved(at, &gone)),
            [3, 5, 5, 5, 20]
        );
    }
}
