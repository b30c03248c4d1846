//! Splits SQL text into tokens by the rules of DuckDB's own tokenizer, so that statements can be
//! told apart and positions refined without a C++ parse.
//!
//! Tokens only help: whether a text is valid SQL is never decided here.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"x"` or `` `x` ``.
    Quoted,
    String,
    Number,
    /// `$name` or `$1`.
    Parameter,
    /// Everything else; brackets, commas and dots are one token each.
    Symbol,
    Semicolon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub(crate) fn text<'a>(&self, sql: &'a str) -> &'a str {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn is_word(&self, sql: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_symbol(&self, sql: &str, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text(sql) == symbol
    }

    /// The name the token stands for when it is read as an identifier, in lower case.
    pub(crate) fn name(&self, sql: &str) -> Option<String> {
        let text = self.text(sql);
        match self.kind {
            TokenKind::Word => Some(text.to_lowercase()),
            TokenKind::Quoted => {
                let quote = text.get(..1)?;
                let inner = text.get(1..text.len().checked_sub(1)?)?;
                Some(inner.replace(&quote.repeat(2), quote).to_lowercase())
            }
            TokenKind::String => {
                let inner = text.get(1..text.len().checked_sub(1)?)?;
                Some(inner.replace("''", "'").to_lowercase())
            }
            _ => None,
        }
    }

    pub(crate) fn range(&self) -> Range<u32> {
        to_range(self.start, self.end)
    }
}

pub(crate) fn to_range(start: usize, end: usize) -> Range<u32> {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    cut(start)..cut(end)
}

/// DuckDB turns some Unicode spaces into one byte each, which would shift every later position.
/// This turns them into as many plain spaces as they have bytes instead.
pub(crate) fn plain_spaces(sql: &str) -> String {
    if sql.is_ascii() {
        return sql.to_owned();
    }
    let mut out = String::with_capacity(sql.len());
    let mut at = 0;
    for token in tokenize(sql) {
        push_plain(&mut out, sql.get(at..token.start).unwrap_or_default());
        out.push_str(token.text(sql));
        at = token.end;
    }
    push_plain(&mut out, sql.get(at..).unwrap_or_default());
    out
}

fn push_plain(out: &mut String, gap: &str) {
    for c in gap.chars() {
        if is_unicode_space(c) {
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        } else {
            out.push(c);
        }
    }
}

fn is_unicode_space(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{2000}'
            ..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}'
    )
}

/// The tokens of each statement; empty statements are left out.
pub(crate) fn statements(sql: &str) -> Vec<Vec<Token>> {
    tokenize(sql)
        .split(|t| t.kind == TokenKind::Semicolon)
        .filter(|tokens| !tokens.is_empty())
        .map(<[Token]>::to_vec)
        .collect()
}

/// All tokens, comments left out. An unterminated string or identifier runs to the end.
pub(crate) fn tokenize(sql: &str) -> Vec<Token> {
    let mut lexer = Lexer { sql, at: 0 };
    std::iter::from_fn(|| lexer.next()).collect()
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let start = self.at;
        let byte = self.peek(0)?;
        let kind = match byte {
            b'\'' => self.string(b'\'', false),
            b'"' | b'`' => {
                self.string(byte, false);
                TokenKind::Quoted
            }
            b';' => self.one(TokenKind::Semicolon),
            b'$' => self.dollar(),
            b'n' | b'N' | b'x' | b'X' | b'e' | b'E' | b'b' | b'B'
                if self.peek(1) == Some(b'\'') =>
            {
                self.at += 1;
                self.string(b'\'', byte.eq_ignore_ascii_case(&b'e'))
            }
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number(),
            _ if is_punctuation(byte) => self.one(TokenKind::Symbol),
            _ if is_operator(byte) => self.operator(),
            _ => self.word(),
        };
        Some(Token {
            kind,
            start,
            end: self.at,
        })
    }

    fn skip_blank(&mut self) {
        while let Some(byte) = self.peek(0) {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            if byte.is_ascii_whitespace() || byte == 0x0b {
                self.at += 1;
            } else if rest.starts_with("--") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += comment_end(rest);
            } else if let Some(space) = rest.chars().next().filter(|c| is_unicode_space(*c)) {
                self.at += space.len_utf8();
            } else {
                return;
            }
        }
    }

    fn one(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }

    fn string(&mut self, quote: u8, escapes: bool) -> TokenKind {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at += 1;
            } else if byte == quote {
                if self.peek(0) != Some(quote) {
                    return TokenKind::String;
                }
                self.at += 1;
            }
        }
        self.at = self.sql.len();
        TokenKind::String
    }

    fn dollar(&mut self) -> TokenKind {
        self.at += 1;
        let rest = self.sql.get(self.at..).unwrap_or_default();
        let tag = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80)
            .count();
        let numbered = rest.starts_with(|c: char| c.is_ascii_digit());
        if !numbered && rest.as_bytes().get(tag) == Some(&b'$') {
            let marker = format!("${}$", rest.get(..tag).unwrap_or_default());
            let body = self.at + tag + 1;
            self.at = self
                .sql
                .get(body..)
                .and_then(|text| text.find(&marker))
                .map_or(self.sql.len(), |found| body + found + marker.len());
            return TokenKind::String;
        }
        if tag == 0 {
            return TokenKind::Symbol;
        }
        self.at += tag;
        TokenKind::Parameter
    }

    fn number(&mut self) -> TokenKind {
        while let Some(byte) = self.peek(0) {
            let exponent_sign = matches!(byte, b'+' | b'-')
                && self.at > 0
                && matches!(self.sql.as_bytes().get(self.at - 1), Some(b'e' | b'E'));
            if byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'e' | b'E') || exponent_sign {
                self.at += 1;
            } else {
                break;
            }
        }
        TokenKind::Number
    }

    fn operator(&mut self) -> TokenKind {
        while let Some(byte) = self.peek(0) {
            let rest = self.sql.get(self.at..).unwrap_or_default();
            if !is_operator(byte) || rest.starts_with("--") || rest.starts_with("/*") {
                break;
            }
            self.at += 1;
        }
        TokenKind::Symbol
    }

    fn word(&mut self) -> TokenKind {
        while let Some(c) = self.sql.get(self.at..).and_then(|rest| rest.chars().next()) {
            let ends = match u8::try_from(c) {
                Ok(b'$') => false,
                Ok(byte) if c.is_ascii() => {
                    byte.is_ascii_whitespace()
                        || byte == 0x0b
                        || is_punctuation(byte)
                        || is_operator(byte)
                        || matches!(byte, b'\'' | b'"' | b';')
                }
                _ => is_unicode_space(c),
            };
            if ends {
                break;
            }
            self.at += c.len_utf8();
        }
        TokenKind::Word
    }
}

fn comment_end(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn is_punctuation(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b'?' | b'$' | b'#' | b'.'
    )
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'^'
            | b'<'
            | b'>'
            | b'='
            | b'~'
            | b'!'
            | b'@'
            | b'&'
            | b'|'
    )
}

#[cfg(test)]
mod tests {
    use super::{TokenKind, plain_spaces, statements, tokenize};

    fn texts(sql: &str) -> Vec<&str> {
        tokenize(sql).iter().map(|t| t.text(sql)).collect()
    }

    #[test]
    fn semicolons_inside_text_do_not_split() {
        let sql =
            "select ';' , $$;$$, $a$ ; $a$, \";\" -- ;\n /* ; /* ; */ ; */ ; select E'\\';' ;; ";
        let found: Vec<usize> = statements(sql).iter().map(Vec::len).collect();
        assert_eq!(found, [8, 2]);
    }

    #[test]
    fn parameters_and_dollar_quotes_are_told_apart() {
        let sql = "$x + $1, a$b";
        let kinds: Vec<TokenKind> = tokenize(sql).iter().map(|t| t.kind).collect();
        use TokenKind::{Parameter, Symbol, Word};
        assert_eq!(kinds, [Parameter, Symbol, Parameter, Symbol, Word]);
        assert_eq!(texts("a.b->>'$.x'"), ["a", ".", "b", "->>", "'$.x'"]);
        assert_eq!(texts("1.5e-3-x"), ["1.5e-3", "-", "x"]);
        assert_eq!(texts("a<--c\nb"), ["a", "<", "b"]);
    }

    #[test]
    fn unicode_spaces_keep_their_width() {
        let sql = "select\u{a0}'\u{a0}'\u{3000}+é";
        assert_eq!(plain_spaces(sql), "select  '\u{a0}'   +é");
        assert_eq!(tokenize(sql).last().map(|t| t.text(sql)), Some("é"));
    }

    #[test]
    fn names_lose_their_quotes() {
        let sql = "\"A\"\"b\" `C` Dd";
        let names: Vec<_> = tokenize(sql).iter().filter_map(|t| t.name(sql)).collect();
        assert_eq!(names, ["a\"b", "c", "dd"]);
    }
}
