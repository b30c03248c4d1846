//! Byte offsets to lines and columns, and back. Columns count characters and start at 1, as lines do.

use text_size::TextSize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineColumn {
    pub line: u32,
    pub column: u32,
}

/// The starts of all lines of one text.
#[derive(Clone, Debug)]
pub struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    pub fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| to_u32(i + 1)),
        );
        Self { starts }
    }

    /// An offset past the end gives the position after the last character.
    pub fn line_column(&self, text: &str, offset: TextSize) -> LineColumn {
        let mut offset = u32::from(offset).min(to_u32(text.len())) as usize;
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self
            .starts
            .partition_point(|s| *s as usize <= offset)
            .max(1);
        let start = self.starts.get(line - 1).map_or(0, |s| *s as usize);
        let column = text.get(start..offset).map_or(0, |t| t.chars().count());
        LineColumn {
            line: to_u32(line),
            column: to_u32(column + 1),
        }
    }

    /// The text of a line, counted from 1, without its line ending.
    pub fn line<'a>(&self, text: &'a str, line: u32) -> Option<&'a str> {
        let start = *self.starts.get(line.checked_sub(1)? as usize)? as usize;
        let end = self
            .starts
            .get(line as usize)
            .map_or(text.len(), |s| *s as usize);
        text.get(start..end)
            .map(|l| l.trim_end_matches(['\n', '\r']))
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{LineColumn, LineIndex};

    #[test]
    fn columns_count_characters() {
        let text = "a\nüb: x\n";
        let index = LineIndex::new(text);
        let at = text.find('x').expect("x is there");
        assert_eq!(
            index.line_column(text, u32::try_from(at).expect("small").into()),
            LineColumn { line: 2, column: 5 }
        );
        assert_eq!(index.line(text, 2), Some("üb: x"));
        assert_eq!(
            index.line_column(text, 1000.into()),
            LineColumn { line: 3, column: 1 }
        );
    }
}
