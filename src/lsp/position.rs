//! Byte offsets to the protocol's lines and characters, and back, in the encoding of the client.

use gen_lsp_types as lsp;
use mxcp_base::{TextRange, TextSize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16,
    Utf32,
}

impl Encoding {
    pub(crate) fn kind(self) -> lsp::PositionEncodingKind {
        match self {
            Self::Utf8 => lsp::PositionEncodingKind::UTF8,
            Self::Utf16 => lsp::PositionEncodingKind::UTF16,
            Self::Utf32 => lsp::PositionEncodingKind::UTF32,
        }
    }

    pub(crate) fn len(self, text: &str) -> u32 {
        to_u32(match self {
            Self::Utf8 => text.len(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
            Self::Utf32 => text.chars().count(),
        })
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The lines of one text.
#[derive(Clone, Debug)]
pub(crate) struct Positions<'t> {
    text: &'t str,
    starts: Vec<u32>,
    encoding: Encoding,
}

impl<'t> Positions<'t> {
    pub(crate) fn new(text: &'t str, encoding: Encoding) -> Self {
        let mut starts = vec![0];
        let bytes = text.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            // A lone carriage return ends a line too.
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(i + 1) != Some(&b'\n')) {
                starts.push(to_u32(i + 1));
            }
        }
        Self {
            text,
            starts,
            encoding,
        }
    }

    pub(crate) fn position(&self, offset: TextSize) -> lsp::Position {
        let mut offset = u32::from(offset).min(to_u32(self.text.len())) as usize;
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|s| *s as usize <= offset) - 1;
        let start = self.starts.get(line).map_or(0, |s| *s as usize);
        lsp::Position {
            line: to_u32(line),
            character: self
                .encoding
                .len(self.text.get(start..offset).unwrap_or_default()),
        }
    }

    pub(crate) fn range(&self, range: TextRange) -> lsp::Range {
        lsp::Range {
            start: self.position(range.start()),
            end: self.position(range.end()),
        }
    }

    /// A position past the end of its line, or of the text, is the end of it.
    pub(crate) fn offset(&self, position: lsp::Position) -> TextSize {
        let Some(start) = self.starts.get(position.line as usize) else {
            return TextSize::of(self.text);
        };
        let start = *start as usize;
        let end = self
            .starts
            .get(position.line as usize + 1)
            .map_or(self.text.len(), |s| *s as usize);
        let line = self
            .text
            .get(start..end)
            .unwrap_or_default()
            .trim_end_matches(['\n', '\r']);
        let mut left = position.character;
        let mut at = start;
        for c in line.chars() {
            let width = match self.encoding {
                Encoding::Utf8 => to_u32(c.len_utf8()),
                Encoding::Utf16 => to_u32(c.len_utf16()),
                Encoding::Utf32 => 1,
            };
            if left < width {
                break;
            }
            left -= width;
            at += c.len_utf8();
        }
        to_u32(at).into()
    }

    pub(crate) fn text_range(&self, range: lsp::Range) -> TextRange {
        let start = self.offset(range.start);
        TextRange::new(start, self.offset(range.end).max(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_goes_there_and_back() {
        let text = "a: ü\r\nb: 😀x\rc\n";
        for (encoding, character) in [
            (Encoding::Utf8, 7),
            (Encoding::Utf16, 5),
            (Encoding::Utf32, 4),
        ] {
            let positions = Positions::new(text, encoding);
            let x = to_u32(text.find('x').expect("there"));
            let position = positions.position(x.into());
            assert_eq!((position.line, position.character), (1, character));
            assert_eq!(positions.offset(position), x.into());
            for (at, _) in text.char_indices() {
                let at = TextSize::from(to_u32(at));
                // The two bytes of a line end are one place.
                if !text[usize::from(at)..].starts_with('\n') {
                    assert_eq!(positions.offset(positions.position(at)), at);
                }
            }
        }
        let positions = Positions::new(text, Encoding::Utf16);
        let far = lsp::Position {
            line: 1,
            character: 99,
        };
        assert_eq!(
            &text[..usize::from(positions.offset(far))],
            "a: ü\r\nb: 😀x"
        );
    }
}
