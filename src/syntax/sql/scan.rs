//! The scanner: one pass, no look-back, no failure.

use super::{Token, TokenKind, token};

/// Longest first.
const SYMBOLS: &[&str] = &[
    "->>", "<=>", "::", "->", ":=", "=>", "<=", ">=", "<>", "!=", "==", "||", "**", "//", "..",
    "<<", ">>", "~~",
];

pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Scanner<'t> {
        Scanner { text, at: 0 }
    }
}

impl Iterator for Scanner<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let start = self.text.len() - rest.len();
        if rest.is_empty() {
            self.at = start;
            return None;
        }
        let (kind, len) = next(rest);
        self.at = start + len;
        Some(token(kind, start, self.at))
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() && !c.is_whitespace()
}

fn is_word(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

fn len_while(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !accept(c)).unwrap_or(text.len())
}

fn next(rest: &str) -> (TokenKind, usize) {
    let mut chars = rest.chars();
    let first = chars.next().unwrap_or(' ');
    let second = chars.next().unwrap_or('\0');
    match first {
        '-' if second == '-' => (
            TokenKind::Comment,
            rest.find(['\n', '\r']).unwrap_or(rest.len()),
        ),
        '/' if second == '*' => (TokenKind::Comment, block_comment(rest)),
        '\'' => (TokenKind::String, quoted(rest, 0, '\'', false)),
        '"' => (TokenKind::QuotedIdentifier, quoted(rest, 0, '"', false)),
        'e' | 'E' if second == '\'' => (TokenKind::String, quoted(rest, 1, '\'', true)),
        'b' | 'B' | 'x' | 'X' if second == '\'' => {
            (TokenKind::String, quoted(rest, 1, '\'', false))
        }
        '$' => dollar(rest),
        '?' => (
            TokenKind::Parameter,
            1 + len_while(&rest[1..], |c| c.is_ascii_digit()),
        ),
        c if is_word_start(c) => (TokenKind::Word, len_while(rest, is_word)),
        c if c.is_ascii_digit() || c == '.' && second.is_ascii_digit() => {
            (TokenKind::Number, number(rest))
        }
        c => {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            // A comment may start inside a run of operators: `a /` and `/* b */`.
            let symbol = symbol.filter(|symbol| **symbol != "//" || !rest.starts_with("//*"));
            (
                TokenKind::Symbol,
                symbol.map_or(c.len_utf8(), |symbol| symbol.len()),
            )
        }
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            // Jump to the next character that can matter.
            let first = tail.chars().next().map_or(1, char::len_utf8);
            at += first + tail[first..].find(['/', '*']).unwrap_or(tail.len() - first);
        }
    }
    rest.len()
}

/// The length of a quoted token whose quote stands `prefix` bytes in; doubled quotes belong to it.
fn quoted(rest: &str, prefix: usize, quote: char, backslash: bool) -> usize {
    let mut at = prefix + 1;
    while let Some(found) = rest[at..].find(|c| c == quote || backslash && c == '\\') {
        at += found;
        if rest[at..].starts_with('\\') {
            at += 1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8);
        } else if rest[at + 1..].starts_with(quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    rest.len()
}

/// A dollar quote, a parameter or a lone `$`.
fn dollar(rest: &str) -> (TokenKind, usize) {
    let body = &rest[1..];
    let word = |c: char| is_word_start(c) || c.is_ascii_digit();
    let name = len_while(body, word);
    let starts_with_digit = body.starts_with(|c: char| c.is_ascii_digit());
    if body[name..].starts_with('$') && !starts_with_digit {
        let tag = &rest[..name + 2];
        let inner = &rest[tag.len()..];
        let len = inner.find(tag).map_or(rest.len(), |at| tag.len() * 2 + at);
        return (TokenKind::String, len);
    }
    let len = if starts_with_digit {
        len_while(body, |c| c.is_ascii_digit())
    } else {
        name
    };
    match len {
        0 => (TokenKind::Symbol, 1),
        len => (TokenKind::Parameter, 1 + len),
    }
}

fn number(rest: &str) -> usize {
    let digits = |text: &str| len_while(text, |c| c.is_ascii_digit() || c == '_');
    if rest.starts_with("0x") || rest.starts_with("0X") {
        let hex = len_while(&rest[2..], |c| c.is_ascii_hexdigit() || c == '_');
        if hex > 0 {
            return 2 + hex;
        }
    }
    let mut len = digits(rest);
    // `1..2` is a range of slices, not a number with a dot.
    if rest[len..].starts_with('.') && !rest[len..].starts_with("..") {
        len += 1 + digits(&rest[len + 1..]);
    }
    if rest[len..].starts_with(['e', 'E']) {
        let exponent = &rest[len + 1..];
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let count = len_while(&exponent[sign..], |c| c.is_ascii_digit());
        if count > 0 {
            len += 1 + sign + count;
        }
    }
    len
}
