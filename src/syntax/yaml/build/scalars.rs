//! Scalars and empty values: their kind, their tag and the exact range they are written in.

use saphyr_parser::{ScalarStyle, Span, Tag};
use text_size::TextRange;

use super::{Builder, Content, Repair, Shape};
use crate::yaml::resolve::{self, Timestamp};
use crate::yaml::{Kind, NodeId, Style, Value, scalar_map};
use crate::{SyntaxError, SyntaxErrorKind, text_range};

impl Builder<'_> {
    pub(super) fn scalar(
        &mut self,
        decoded: &str,
        style: ScalarStyle,
        range: TextRange,
        tag: Option<&Tag>,
    ) -> NodeId {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let open_ended =
            matches!(style, Style::Literal | Style::Folded) && self.is_open_ended(range);
        let decoded = match decoded.strip_suffix('\n') {
            Some(stripped) if open_ended => stripped,
            _ => decoded,
        };
        let joined = self.repairs.iter().any(|repair| {
            matches!(repair, Repair::Quoted { start, .. } if *start == usize::from(range.start()))
        });
        let redecoded = joined.then(|| scalar_map::decode_quoted(self.text, range, style));
        let decoded = redecoded.as_deref().unwrap_or(decoded);
        let kind = self.scalar_kind(decoded, style, range, tag);
        let text = (&self.text[range] != decoded).then(|| decoded.into());
        let size = 1 + decoded.len() as u64 / 64;
        self.push(
            range,
            Value::Scalar { kind, style, text },
            Shape { height: 1, size },
        )
    }

    /// Whether the text ends inside this block scalar without a final line break: there is none to keep then, but the
    /// event parser adds one.
    fn is_open_ended(&self, range: TextRange) -> bool {
        let tail = &self.text[range.end().into()..];
        if self.text.ends_with(['\n', '\r']) || !tail.trim().is_empty() {
            return false;
        }
        // A last line of blanks only counts when it reaches the indentation of the content.
        let Some((_, last)) = tail.rsplit_once(['\n', '\r']) else {
            return true;
        };
        let content = self.text[range].lines().skip(1);
        let first = content.into_iter().find(|line| !line.trim().is_empty());
        first.is_none_or(|line| line.len() - line.trim_start_matches(' ').len() <= last.len())
    }

    fn scalar_kind(
        &mut self,
        decoded: &str,
        style: Style,
        range: TextRange,
        tag: Option<&Tag>,
    ) -> Kind {
        let implied = match style {
            Style::Plain => resolve::plain(decoded),
            _ => Kind::String,
        };
        let Some(tag) = tag else {
            if matches!(implied, Kind::Date | Kind::Timestamp)
                && !Timestamp::parse(decoded).is_some_and(|stamp| stamp.is_valid())
            {
                self.file.errors.push(
                    SyntaxError::new(
                        SyntaxErrorKind::InvalidValue,
                        range,
                        format!("`{decoded}` reads as a date, but there is no such date"),
                    )
                    .with_help("put the value in quotes if it is meant as text"),
                );
                return Kind::String;
            }
            return implied;
        };
        // The non-specific tag `!` changes nothing for PyYAML.
        if tag.handle.len() + tag.suffix.len() == 1 {
            return implied;
        }
        let known = ["str", "int", "float", "bool", "null", "timestamp", "binary"];
        if !self.check_tag(tag, range, &known) {
            return implied;
        }
        let wanted = match tag.suffix.as_str() {
            "int" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Bool,
            "null" => Kind::Null,
            "timestamp" => Kind::Timestamp,
            _ => return Kind::String,
        };
        let found = resolve::plain(decoded);
        let fits = match wanted {
            Kind::Null => true,
            Kind::Float => matches!(found, Kind::Float | Kind::Int),
            Kind::Timestamp => {
                matches!(found, Kind::Date | Kind::Timestamp)
                    && Timestamp::parse(decoded).is_some_and(|stamp| stamp.is_valid())
            }
            wanted => found == wanted,
        };
        if !fits {
            self.file.errors.push(SyntaxError::new(
                SyntaxErrorKind::InvalidValue,
                range,
                format!("`{decoded}` cannot be read as `!!{}`", tag.suffix),
            ));
            return Kind::String;
        }
        if wanted == Kind::Timestamp {
            found
        } else {
            wanted
        }
    }

    pub(super) fn check_tag(&mut self, tag: &Tag, range: TextRange, known: &[&str]) -> bool {
        if tag.is_yaml_core_schema() && known.contains(&tag.suffix.as_str()) {
            return true;
        }
        let shown = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        };
        self.file.errors.push(
            SyntaxError::new(
                SyntaxErrorKind::UnknownTag,
                range,
                format!("unknown tag `{shown}`"),
            )
            .with_help("remove the tag, or quote the value if the `!` belongs to it"),
        );
        false
    }

    /// The range of a scalar without its anchor and tag, and without the blanks and line breaks after it.
    pub(super) fn scalar_range(&self, span: Span, style: ScalarStyle, decoded: &str) -> TextRange {
        let start = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index()).max(start);
        let header = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
            .then(|| self.block_header(start))
            .flatten();
        let start = header.unwrap_or_else(|| self.skip_properties(start).min(end));
        if style == ScalarStyle::Plain && decoded.is_empty() {
            return self.empty_range(start);
        }
        if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted)
            && let Some(end) = quoted_end(self.text, start)
        {
            return text_range(start, end);
        }
        let trimmed = self.text[start..end].trim_end_matches([' ', '\t', '\r', '\n']);
        text_range(start, start + trimmed.len())
    }

    /// The `|` or `>` that announces the block scalar whose content starts at `content`: the parser's span leaves it out.
    fn block_header(&self, content: usize) -> Option<usize> {
        let before = self.text[..content].trim_end();
        let line_start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let line = &before[line_start..];
        let mut previous = ' ';
        for (at, c) in line.char_indices() {
            if matches!(c, '|' | '>') && matches!(previous, ' ' | '\t' | '\u{feff}') {
                let rest =
                    line[at + 1..].trim_start_matches(|c: char| matches!(c, '+' | '-' | '1'..='9'));
                let comment = rest.trim_start_matches([' ', '\t']);
                if comment.is_empty() || comment.starts_with('#') && comment.len() < rest.len() {
                    return Some(line_start + at);
                }
            }
            previous = c;
        }
        None
    }

    /// Where to point for a value that is not written: right after the `:` or `-` that announces it.
    fn empty_range(&self, start: usize) -> TextRange {
        let from = match self.open.last().map(|open| &open.content) {
            Some(Content::Map { key: Some(key), .. }) => self.end_of(*key),
            _ => return text_range(start, start),
        };
        let rest = &self.text[from..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let at = if rest[blanks..].starts_with(':') {
            from + blanks + 1
        } else {
            from
        };
        text_range(at, at)
    }

    /// The offset after any anchor and tag at `start`, and the blanks, comments and line breaks that follow them.
    pub(super) fn skip_properties(&self, start: usize) -> usize {
        let mut at = start;
        while self.text[at..].starts_with(['&', '!']) {
            let rest = &self.text[at..];
            at += rest.find([' ', '\t', '\r', '\n']).unwrap_or(rest.len());
            loop {
                let rest = &self.text[at..];
                at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
                if !self.text[at..].starts_with('#') {
                    break;
                }
                let rest = &self.text[at..];
                at += rest.find(['\r', '\n']).unwrap_or(rest.len());
            }
        }
        at
    }
}

/// The end of the quoted scalar at `start`; `None` when it is not closed or not quoted.
pub(super) fn quoted_end(text: &str, start: usize) -> Option<usize> {
    let quote = text[start..].chars().next()?;
    let special: &[char] = match quote {
        '\'' => &['\''],
        '"' => &['"', '\\'],
        _ => return None,
    };
    let mut at = start + 1;
    loop {
        at += text[at..].find(special)?;
        if text[at..].starts_with('\\') {
            at += 1 + text[at + 1..].chars().next()?.len_utf8();
        } else if quote == '\'' && text[at + 1..].starts_with('\'') {
            at += 2;
        } else {
            return Some(at + 1);
        }
    }
}
