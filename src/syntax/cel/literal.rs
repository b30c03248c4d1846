//! The values of CEL literals.

use super::Literal;
use super::lexer::{Token, TokenKind};
use crate::{SyntaxError, text_range};

pub(super) fn value(token: &Token<'_>, negative: bool) -> Result<Literal, Box<SyntaxError>> {
    match token.kind {
        TokenKind::Int => int(token, negative),
        TokenKind::UInt => uint(token),
        TokenKind::Double => token
            .text
            .parse::<f64>()
            .map(|value| Literal::Double(if negative { -value } else { value }))
            .map_err(|_| Box::new(token.error("this number cannot be read"))),
        TokenKind::Bytes => Ok(Literal::Bytes(decode(token, &token.text[1..], 1, true)?)),
        _ => {
            let bytes = decode(token, token.text, 0, false)?;
            String::from_utf8(bytes)
                .map(Literal::String)
                .map_err(|_| Box::new(token.error("this string cannot be read")))
        }
    }
}

fn int(token: &Token<'_>, negative: bool) -> Result<Literal, Box<SyntaxError>> {
    let (digits, radix) = match token.text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (token.text, 10),
    };
    let sign = if negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), radix)
        .map(Literal::Int)
        .map_err(|_| {
            Box::new(
                token
                    .error("the number does not fit a 64-bit integer")
                    .with_help("write it as a double, with `.0` at the end"),
            )
        })
}

fn uint(token: &Token<'_>) -> Result<Literal, Box<SyntaxError>> {
    let text = &token.text[..token.text.len() - 1];
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix)
        .map(Literal::UInt)
        .map_err(|_| Box::new(token.error("the number does not fit a 64-bit unsigned integer")))
}

/// The content of `literal`, which stands `offset` bytes into `token`.
fn decode(
    token: &Token<'_>,
    literal: &str,
    offset: usize,
    bytes: bool,
) -> Result<Vec<u8>, Box<SyntaxError>> {
    let raw = literal.starts_with(['r', 'R']);
    let quoted = &literal[usize::from(raw)..];
    let triple = quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\""));
    let width = if triple { 3 } else { 1 };
    let body = &quoted[width..quoted.len() - width];
    let base = token.start + offset + usize::from(raw) + width;
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        let rest = &body[at..];
        if c == '\r' {
            at += if rest.starts_with("\r\n") { 2 } else { 1 };
            out.push(b'\n');
        } else if c == '\\' && !raw {
            at += escape(rest, base + at, bytes, &mut out)?;
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            at += c.len_utf8();
        }
    }
    Ok(out)
}

/// Decodes the escape at the start of `rest` and returns its length.
fn escape(
    rest: &str,
    at: usize,
    bytes: bool,
    out: &mut Vec<u8>,
) -> Result<usize, Box<SyntaxError>> {
    let code = rest[1..].chars().next().unwrap_or(' ');
    let unknown = |len: usize| {
        let len = (0..=len).rev().find(|len| rest.is_char_boundary(*len));
        let len = len.unwrap_or(0).min(rest.len());
        Box::new(
            SyntaxError::syntax(
                text_range(at, at + len),
                format!("unknown escape `{}` in a string", &rest[..len]),
            )
            .with_help("write `\\\\` for a backslash, or put an `r` before the quotes"),
        )
    };
    let (digits, radix) = match code {
        'x' | 'X' => (rest.get(2..4), 16),
        'u' if !bytes => (rest.get(2..6), 16),
        'U' if !bytes => (rest.get(2..10), 16),
        '0'..='3' => (rest.get(1..4), 8),
        _ => {
            let byte = match code {
                'a' => 0x07,
                'b' => 0x08,
                'f' => 0x0c,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 0x0b,
                '\\' | '\'' | '"' | '`' | '?' => code as u8,
                _ => return Err(unknown(1 + code.len_utf8())),
            };
            out.push(byte);
            return Ok(2);
        }
    };
    let digits = digits.ok_or_else(|| unknown(rest.len().min(4)))?;
    let start = if radix == 8 { 1 } else { 2 };
    let len = start + digits.len();
    let value = digits
        .bytes()
        .all(|b| b.is_ascii_alphanumeric())
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
        .ok_or_else(|| unknown(len))?;
    if bytes {
        out.push(u8::try_from(value).map_err(|_| unknown(len))?);
    } else {
        let c = char::from_u32(value).ok_or_else(|| unknown(len))?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(len)
}
