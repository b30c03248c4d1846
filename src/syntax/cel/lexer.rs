//! CEL tokens with byte ranges.

use crate::{SyntaxError, text_range};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Ident,
    Int,
    UInt,
    Double,
    String,
    Bytes,
    Symbol,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::syntax(text_range(self.start, self.end()), message)
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == symbol
    }
}

/// Longest first, so that a prefix never wins.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "<", ">",
    "!", "+", "-", "*", "/", "%",
];

/// What people write, and what CEL calls it.
const MISTAKES: &[(&str, &str)] = &[
    ("===", "=="),
    ("!==", "!="),
    ("<>", "!="),
    ("=", "=="),
    ("&", "&&"),
    ("|", "||"),
];

/// All tokens of `text`, ending with one of kind `End`, or every lexical error.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, Vec<SyntaxError>> {
    let mut tokens = Vec::new();
    let mut errors = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            at += 1;
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        match token(rest, at) {
            Ok((kind, len)) => {
                tokens.push(Token {
                    kind,
                    text: &rest[..len],
                    start: at,
                });
                at += len;
            }
            Err((error, len)) => {
                errors.push(error);
                at += len.max(c.len_utf8());
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    tokens.push(Token {
        kind: TokenKind::End,
        text: "",
        start: text.trim_end().len(),
    });
    Ok(tokens)
}

fn token(rest: &str, at: usize) -> Result<(TokenKind, usize), (SyntaxError, usize)> {
    if let Some(string) = string_len(rest) {
        let kind = if string.bytes {
            TokenKind::Bytes
        } else {
            TokenKind::String
        };
        return match string.len {
            Some(len) => Ok((kind, len)),
            None => {
                let line = rest.find('\n').unwrap_or(rest.len());
                let error = SyntaxError::syntax(
                    text_range(at, at + line),
                    "the string opened here is not closed",
                );
                Err((error, rest.len()))
            }
        };
    }
    let first = rest.as_bytes()[0];
    if first.is_ascii_alphabetic() || first == b'_' {
        let len = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        return Ok((TokenKind::Ident, len));
    }
    let digit_after_dot = first == b'.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || digit_after_dot {
        return Ok(number(rest));
    }
    let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
    for (mistake, right) in MISTAKES {
        if rest.starts_with(mistake) && symbol.is_none_or(|s| s.len() < mistake.len()) {
            let error = SyntaxError::syntax(
                text_range(at, at + mistake.len()),
                format!("`{mistake}` is not a CEL operator"),
            )
            .with_help(format!("write `{right}`"));
            return Err((error, mistake.len()));
        }
    }
    if let Some(symbol) = symbol {
        return Ok((TokenKind::Symbol, symbol.len()));
    }
    let c = rest.chars().next().unwrap_or(' ');
    let error = SyntaxError::syntax(
        text_range(at, at + c.len_utf8()),
        format!("`{c}` is not part of CEL"),
    );
    let error = match c {
        '$' => error.with_help("name inputs without `$`"),
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
            error.with_help("use straight quotes: `'` or `\"`")
        }
        _ => error,
    };
    Err((error, c.len_utf8()))
}

struct StringLen {
    bytes: bool,
    /// `None` when the string is not closed.
    len: Option<usize>,
}

/// The string literal at the start of `rest`, prefixes and triple quotes included.
fn string_len(rest: &str) -> Option<StringLen> {
    let prefix = rest
        .bytes()
        .take(2)
        .take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B'))
        .count();
    let prefix_text = rest[..prefix].to_ascii_lowercase();
    if !matches!(prefix_text.as_str(), "" | "r" | "b" | "br") {
        return None;
    }
    let body = &rest[prefix..];
    let quote = body.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let raw = prefix_text.contains('r');
    let triple = if quote == '"' { "\"\"\"" } else { "'''" };
    let close = if body.starts_with(triple) {
        triple
    } else {
        &triple[..1]
    };
    let mut at = close.len();
    let len = loop {
        let Some(c) = body[at..].chars().next() else {
            break None;
        };
        if body[at..].starts_with(close) {
            break Some(prefix + at + close.len());
        }
        if close.len() == 1 && matches!(c, '\n' | '\r') {
            break None;
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += body[at..].chars().next().map_or(0, char::len_utf8);
        }
    };
    Some(StringLen {
        bytes: prefix_text.contains('b'),
        len,
    })
}

fn number(rest: &str) -> (TokenKind, usize) {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let suffix = |len: usize| {
        if matches!(bytes.get(len), Some(b'u' | b'U')) {
            (TokenKind::UInt, len + 1)
        } else {
            (TokenKind::Int, len)
        }
    };
    if rest.starts_with("0x") && bytes.get(2).is_some_and(u8::is_ascii_hexdigit) {
        let len = 2 + bytes[2..]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        return suffix(len);
    }
    let mut len = digits(0);
    let mut double = false;
    if bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
        double = true;
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = if len + 1 + sign <= bytes.len() {
            digits(len + 1 + sign)
        } else {
            0
        };
        if exponent > 0 {
            len += 1 + sign + exponent;
            double = true;
        }
    }
    if double {
        (TokenKind::Double, len)
    } else {
        suffix(len)
    }
}
