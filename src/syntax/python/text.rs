//! String constants with the place of each byte: SQL in Python is reported where it is written.

use ruff_python_ast::{Expr, Operator};
use text_size::TextRange;

use crate::text_range;

/// A constant text and how its bytes lie in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constant {
    pub value: String,
    /// Where runs of bytes that are written as they are begin: in the value, and in the file. An escape starts a run.
    runs: Vec<(u32, u32)>,
    /// The whole expression.
    pub range: TextRange,
}

impl Constant {
    /// Bytes of the value as bytes of the file.
    #[must_use]
    pub fn place(&self, start: u32, end: u32) -> TextRange {
        let at = |offset: u32| -> u32 {
            let run = self.runs.partition_point(|(value, _)| *value <= offset);
            match run.checked_sub(1).and_then(|i| self.runs.get(i)) {
                Some((value, file)) => file + (offset - value),
                None => self.range.start().into(),
            }
        };
        let start_in_file = at(start);
        // The end belongs to the byte before it, so that an end of a part does not reach the next part.
        let end_in_file = if end > start {
            at(end - 1) + 1
        } else {
            start_in_file
        };
        text_range(
            start_in_file as usize,
            end_in_file.max(start_in_file) as usize,
        )
    }

    /// Whether these bytes are written as they are.
    #[must_use]
    pub fn is_verbatim(&self, source: &str, start: u32, end: u32) -> bool {
        let written = source.get(std::ops::Range::<usize>::from(self.place(start, end)));
        written.is_some() && written == self.value.get(start as usize..end as usize)
    }
}

/// The text of a literal, of adjacent literals, or of literals that are added.
pub(super) fn constant(source: &str, expr: &Expr) -> Option<Constant> {
    let mut made = Constant::default();
    add(source, expr, &mut made, 0)?;
    Some(made)
}

fn add(source: &str, expr: &Expr, made: &mut Constant, depth: u32) -> Option<()> {
    match expr {
        Expr::StringLiteral(literal) => {
            let range = super::range(literal.range);
            made.range = if made.value.is_empty() && made.runs.is_empty() {
                range
            } else {
                made.range.cover(range)
            };
            for part in &literal.value {
                read(source, super::range(part.range), &part.value, made)?;
            }
            Some(())
        }
        Expr::BinOp(sum) if sum.op == Operator::Add && depth < 64 => {
            add(source, &sum.left, made, depth + 1)?;
            add(source, &sum.right, made, depth + 1)
        }
        _ => None,
    }
}

/// Adds one literal as it is written; `None` when it is not understood.
fn read(source: &str, range: TextRange, value: &str, made: &mut Constant) -> Option<()> {
    let start = usize::from(range.start());
    let written = source.get(std::ops::Range::<usize>::from(range))?;
    let quote = written.find(['"', '\''])?;
    let raw = written[..quote].contains(['r', 'R']);
    let mark = written[quote..].chars().next()?;
    let triple = written[quote..].starts_with(&mark.to_string().repeat(3));
    let open = quote + if triple { 3 } else { 1 };
    let close = written.len().checked_sub(if triple { 3 } else { 1 })?;
    let body = written.get(open..close)?;
    let from = made.value.len();
    let run = |made: &mut Constant, at: usize| {
        let place = u32::try_from(start + open + at).unwrap_or(u32::MAX);
        let offset = u32::try_from(made.value.len()).unwrap_or(u32::MAX);
        made.runs.push((offset, place));
    };
    run(made, 0);
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let c = rest.chars().next()?;
        if c == '\r' {
            // Line ends are one character to Python.
            made.value.push('\n');
            at += if rest.starts_with("\r\n") { 2 } else { 1 };
            run(made, at);
        } else if c == '\\' && !raw {
            let (text, len) = escape(rest)?;
            made.value.push_str(&text);
            at += len;
            run(made, at);
        } else {
            made.value.push(c);
            at += c.len_utf8();
        }
    }
    (made.value.get(from..) == Some(value)).then_some(())
}

/// What an escape stands for, and its length.
fn escape(rest: &str) -> Option<(String, usize)> {
    let next = rest[1..].chars().next()?;
    let simple = |c: char| Some((c.to_string(), 2));
    let hex = |digits: usize| {
        let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some((char::from_u32(code)?.to_string(), 2 + digits))
    };
    match next {
        '\n' => Some((String::new(), 2)),
        '\r' => Some((
            String::new(),
            if rest[1..].starts_with("\r\n") { 3 } else { 2 },
        )),
        '\\' | '\'' | '"' => simple(next),
        'n' => simple('\n'),
        't' => simple('\t'),
        'r' => simple('\r'),
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'v' => simple('\u{b}'),
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        'N' | '0'..='7' => None,
        // An unknown escape stays as it is.
        other => Some((format!("\\{other}"), 1 + other.len_utf8())),
    }
}
