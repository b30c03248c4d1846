//! From offsets in a scalar's decoded text to offsets in the source, and back.
//!
//! The source is decoded a second time, keeping pieces. A map whose decoded text differs from the parser's is thrown
//! away and the whole scalar becomes one piece, so a mistake here can make a range coarse but never wrong.

use std::ops::Range;

use text_size::TextRange;

use super::Style;
use crate::text_range;

/// A run of decoded text and the source it comes from. Equal lengths map byte by byte; others (an escape, a folded
/// line break) map as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    decoded: u32,
    decoded_len: u32,
    source: u32,
    source_len: u32,
}

/// The map of one scalar; see [`super::Node::scalar_map`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarMap {
    pieces: Vec<Piece>,
    /// The scalar's range in the source.
    range: TextRange,
    decoded_len: u32,
}

impl ScalarMap {
    pub(crate) fn new(source: &str, range: TextRange, style: Style, decoded: &str) -> ScalarMap {
        let start = u32::from(range.start()) as usize;
        let end = u32::from(range.end()) as usize;
        let decoded_len = u32::try_from(decoded.len()).unwrap_or(u32::MAX);
        let builder = match style {
            Style::Plain => flow(source, start, end, None),
            Style::SingleQuoted => flow(source, start + 1, end.saturating_sub(1), Some('\'')),
            Style::DoubleQuoted => flow(source, start + 1, end.saturating_sub(1), Some('"')),
            Style::Literal | Style::Folded => block(source, start, style, decoded),
            Style::Flow | Style::Block => Builder::default(),
        };
        let pieces = if builder.out == decoded {
            builder.pieces
        } else {
            vec![Piece {
                decoded: 0,
                decoded_len,
                source: range.start().into(),
                source_len: range.len().into(),
            }]
        };
        ScalarMap {
            pieces,
            range,
            decoded_len,
        }
    }

    /// The source range of a byte range of the decoded text; ranges past its end are clamped.
    #[must_use]
    pub fn map_range(&self, decoded: Range<u32>) -> TextRange {
        let start = self.start(decoded.start.min(self.decoded_len));
        let end = if decoded.end <= decoded.start {
            start
        } else {
            self.end(decoded.end.min(self.decoded_len)).max(start)
        };
        text_range(start as usize, end as usize)
    }

    /// The decoded offset of a source offset; `None` outside the content (indentation, quotes, the block header).
    #[must_use]
    pub fn unmap_offset(&self, source: u32) -> Option<u32> {
        let index = self.pieces.partition_point(|p| p.source <= source);
        let piece = self.pieces.get(index.checked_sub(1)?)?;
        let within = source - piece.source;
        if within < piece.source_len {
            Some(piece.decoded + if piece.is_verbatim() { within } else { 0 })
        } else if within == piece.source_len {
            Some(piece.decoded + piece.decoded_len)
        } else {
            None
        }
    }

    fn start(&self, decoded: u32) -> u32 {
        let index = self
            .pieces
            .partition_point(|p| p.decoded + p.decoded_len <= decoded);
        match self.pieces.get(index) {
            Some(piece) if piece.is_verbatim() => {
                piece.source + decoded.saturating_sub(piece.decoded)
            }
            Some(piece) => piece.source,
            // One past the last piece: the end of the content.
            None => self
                .pieces
                .last()
                .map_or(self.range.start().into(), |p| p.source + p.source_len),
        }
    }

    fn end(&self, decoded: u32) -> u32 {
        let index = self
            .pieces
            .partition_point(|p| p.decoded + p.decoded_len < decoded);
        match self.pieces.get(index) {
            Some(piece) if piece.is_verbatim() => {
                piece.source + decoded.saturating_sub(piece.decoded)
            }
            Some(piece) => piece.source + piece.source_len,
            None => self.range.end().into(),
        }
    }
}

impl Piece {
    fn is_verbatim(&self) -> bool {
        self.decoded_len == self.source_len
    }
}

#[derive(Default)]
struct Builder {
    out: String,
    pieces: Vec<Piece>,
}

impl Builder {
    /// `text` replaces `source_len` bytes at `source`; verbatim runs are merged.
    fn push(&mut self, text: &str, source: usize, source_len: usize) {
        if text.is_empty() {
            return;
        }
        let as_u32 = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let piece = Piece {
            decoded: as_u32(self.out.len()),
            decoded_len: as_u32(text.len()),
            source: as_u32(source),
            source_len: as_u32(source_len),
        };
        self.out.push_str(text);
        if let Some(last) = self.pieces.last_mut()
            && piece.is_verbatim()
            && last.is_verbatim()
            && last.source + last.source_len == piece.source
        {
            last.decoded_len += piece.decoded_len;
            last.source_len += piece.source_len;
            return;
        }
        self.pieces.push(piece);
    }

    fn verbatim(&mut self, source: &str, range: Range<usize>) {
        self.push(&source[range.clone()], range.start, range.len());
    }

    fn truncate(&mut self, len: usize) {
        if len >= self.out.len() || !self.out.is_char_boundary(len) {
            return;
        }
        self.out.truncate(len);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.pieces.retain(|p| p.decoded < len);
        if let Some(last) = self.pieces.last_mut() {
            let keep = len - last.decoded;
            if last.is_verbatim() {
                last.source_len = keep;
            }
            last.decoded_len = keep;
        }
    }
}

/// The text of the quoted scalar at `range`.
pub(crate) fn decode_quoted(source: &str, range: TextRange, style: Style) -> String {
    let quote = if style == Style::SingleQuoted {
        '\''
    } else {
        '"'
    };
    let start = usize::from(range.start()) + 1;
    let end = usize::from(range.end()).saturating_sub(1);
    flow(source, start, end, Some(quote)).out
}

/// Length of the line break at the start of `text`, 0 when there is none.
fn break_len(text: &str) -> usize {
    if text.starts_with("\r\n") {
        2
    } else {
        usize::from(text.starts_with(['\n', '\r']))
    }
}

/// Plain and quoted scalars: line folding, plus `''` or backslash escapes depending on the quote.
fn flow(source: &str, start: usize, end: usize, quote: Option<char>) -> Builder {
    let mut out = Builder::default();
    let Some(body) = source.get(..end) else {
        return out;
    };
    let mut at = start;
    while at < end {
        let rest = &body[at..];
        if rest.starts_with([' ', '\t']) {
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            // Blanks before a line break are part of the fold.
            if break_len(&rest[blanks..]) > 0 {
                at = fold(&mut out, body, at);
            } else {
                out.verbatim(source, at..at + blanks);
                at += blanks;
            }
        } else if break_len(rest) > 0 {
            at = fold(&mut out, body, at);
        } else if quote == Some('\'') && rest.starts_with("''") {
            out.push("'", at, 2);
            at += 2;
        } else if quote == Some('"') && rest.starts_with('\\') {
            match escape(&mut out, body, at) {
                Some(next) => at = next,
                None => return out,
            }
        } else {
            let special = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | '\'' | '\\');
            // The first character is content even when it looks special, as a quote in a plain scalar does.
            let first = rest.chars().next().map_or(1, char::len_utf8);
            let len = rest[first..]
                .find(special)
                .map_or(rest.len(), |len| first + len);
            out.verbatim(source, at..at + len);
            at += len;
        }
    }
    out
}

/// Folds the blanks and line breaks at `at`; returns where the next content starts.
fn fold(out: &mut Builder, body: &str, at: usize) -> usize {
    let mut next = at;
    let mut breaks: Vec<(usize, usize)> = Vec::new();
    loop {
        let rest = &body[next..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let line_break = break_len(&rest[blanks..]);
        next += blanks;
        if line_break == 0 {
            break;
        }
        breaks.push((next, line_break));
        next += line_break;
    }
    if breaks.len() == 1 {
        out.push(" ", at, next - at);
    }
    for (at, len) in breaks.into_iter().skip(1) {
        out.push("\n", at, len);
    }
    next
}

/// Decodes the escape at `at`; returns the offset after it, or `None` when there is no such escape.
fn escape(out: &mut Builder, body: &str, at: usize) -> Option<usize> {
    let rest = &body[at + 1..];
    let line_break = break_len(rest);
    if line_break > 0 {
        // An escaped line break joins the lines; blank lines after it still count.
        let mut next = at + 1 + line_break;
        loop {
            let rest = &body[next..];
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let line_break = break_len(&rest[blanks..]);
            next += blanks;
            if line_break == 0 {
                return Some(next);
            }
            out.push("\n", next, line_break);
            next += line_break;
        }
    }
    let code = rest.chars().next()?;
    let width = match code {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if width > 0 {
        let digits = rest.get(1..1 + width)?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        let c = char::from_u32(value)?;
        out.push(c.encode_utf8(&mut [0; 4]), at, 2 + width);
        return Some(at + 2 + width);
    }
    let text = match code {
        '0' => "\0",
        'a' => "\x07",
        'b' => "\x08",
        't' | '\t' => "\t",
        'n' => "\n",
        'v' => "\x0b",
        'f' => "\x0c",
        'r' => "\r",
        'e' => "\x1b",
        ' ' => " ",
        '"' => "\"",
        '/' => "/",
        '\\' => "\\",
        'N' => "\u{85}",
        '_' => "\u{a0}",
        'L' => "\u{2028}",
        'P' => "\u{2029}",
        _ => return None,
    };
    out.push(text, at, 2);
    Some(at + 2)
}

/// One line of a block scalar's body.
struct Line<'t> {
    start: usize,
    /// Without the line break.
    text: &'t str,
    line_break: usize,
}

/// Literal and folded block scalars.
fn block(source: &str, start: usize, style: Style, decoded: &str) -> Builder {
    let header_len = source[start..]
        .find(['\n', '\r'])
        .unwrap_or(source.len() - start);
    let body = start + header_len + break_len(&source[start + header_len..]);
    let lines = Lines { source, at: body };
    let first_content = lines.clone().find(|line| !line.text.trim().is_empty());
    let detected = first_content.map_or(0, |line| {
        line.text.len() - line.text.trim_start_matches(' ').len()
    });
    let explicit = source[start..start + header_len]
        .bytes()
        .take(3)
        .any(|b| b.is_ascii_digit());
    // An explicit indicator counts from the parent's indentation, which is not known here: try the few there are.
    let lowest = if explicit { 0 } else { detected };
    for indent in (lowest..=detected).rev().take(64) {
        let mut out = if style == Style::Literal {
            literal(lines.clone(), indent, decoded.len())
        } else {
            folded(lines.clone(), indent, decoded.len())
        };
        // The decoder runs on over the chomped line breaks and whatever follows the scalar.
        out.truncate(decoded.len());
        if out.out == decoded {
            return out;
        }
    }
    Builder::default()
}

#[derive(Clone)]
struct Lines<'t> {
    source: &'t str,
    at: usize,
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        let rest = &self.source[self.at..];
        if rest.is_empty() {
            return None;
        }
        let len = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let line = Line {
            start: self.at,
            text: &rest[..len],
            line_break: break_len(&rest[len..]),
        };
        self.at += len + line.line_break;
        Some(line)
    }
}

impl<'t> Line<'t> {
    /// Whether the line is indented less than the block's content, and is no blank line.
    fn ends_block(&self, indent: usize) -> bool {
        let text = self.text.trim_start_matches(' ');
        !text.is_empty() && self.text.len() - text.len() < indent
    }

    /// The content after `indent` blanks, and where it starts.
    fn content(&self, indent: usize) -> (&'t str, usize) {
        let blanks = self.text.len() - self.text.trim_start_matches(' ').len();
        let skip = blanks.min(indent);
        (&self.text[skip..], self.start + skip)
    }
}

fn literal(lines: Lines<'_>, indent: usize, enough: usize) -> Builder {
    let mut out = Builder::default();
    for line in lines {
        if out.out.len() >= enough || line.ends_block(indent) {
            break;
        }
        let (content, at) = line.content(indent);
        out.push(content, at, content.len());
        out.push("\n", line.start + line.text.len(), line.line_break);
    }
    out
}

fn folded(lines: Lines<'_>, indent: usize, enough: usize) -> Builder {
    let mut out = Builder::default();
    // The line breaks since the last content line, not yet written.
    let mut breaks: Vec<(usize, usize)> = Vec::new();
    let mut previous_indented = false;
    let mut seen_content = false;
    for line in lines {
        if out.out.len() >= enough || line.ends_block(indent) {
            break;
        }
        let (content, at) = line.content(indent);
        if !content.is_empty() {
            let indented = content.starts_with([' ', '\t']);
            if !seen_content || indented || previous_indented {
                for (at, len) in breaks.drain(..) {
                    out.push("\n", at, len);
                }
            } else if let [(at, len)] = breaks[..] {
                out.push(" ", at, len);
                breaks.clear();
            } else {
                for (at, len) in breaks.drain(..).skip(1) {
                    out.push("\n", at, len);
                }
            }
            out.push(content, at, content.len());
            previous_indented = indented;
            seen_content = true;
        }
        breaks.push((line.start + line.text.len(), line.line_break));
    }
    for (at, len) in breaks {
        out.push("\n", at, len);
    }
    out
}
