//! The event parser's errors, reworded for authors and moved to where the mistake is.

use text_size::TextRange;

use crate::{SyntaxError, SyntaxErrorKind, text_range};

/// `at` is where the parser stopped, `open_bracket` the offset of the innermost `[` or `{` still open there.
pub(crate) fn reword(
    text: &str,
    at: usize,
    info: &str,
    open_bracket: Option<usize>,
) -> SyntaxError {
    let place = Place { text, at };
    let has = |part: &str| info.contains(part);
    if has("tab") && (has("indentation") || has("context") || has("found a tab") || has("start")) {
        return SyntaxError::syntax(place.tab(), "a tab is used as indentation")
            .with_help("indent with spaces");
    }
    if has("quoted scalar") && (has("invalid indentation") || has("end of stream")) {
        return unclosed_quote(text, at);
    }
    if has("quoted scalar") && has("document indicator") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "the quote opened here is not closed before the next `---` or `...` line",
        );
    }
    if has("quoted scalar") && (has("escape") || has("hexadecimal")) {
        return place.bad_escape();
    }
    if let Some(bracket) = open_bracket
        && [
            "flow",
            "illegal placement of ':'",
            "simple key",
            "indentation",
            "did not find expected key",
            "sequence entries are not allowed",
            "is only valid inside a block",
        ]
        .into_iter()
        .any(has)
    {
        return place.unclosed(bracket);
    }
    if has("mapping values are not allowed") || has("illegal placement of ':'") {
        return place.unexpected_colon();
    }
    if has("did not find expected key") {
        return place.misplaced_line();
    }
    if has("did not find expected '-'") {
        return SyntaxError::syntax(place.rest_of_line(), "expected a list item here")
            .with_help("start it with `- `, or indent the line like the key it belongs to");
    }
    if has("unexpected character") {
        let (range, c) = place.character();
        let shown = match c {
            '`' => "a backtick".to_owned(),
            c => format!("`{c}`"),
        };
        return SyntaxError::syntax(range, format!("a value cannot start with {shown}"))
            .with_help("put the value in quotes");
    }
    if has("unknown anchor") {
        let range = place.word();
        let name = text[range].trim_start_matches('*');
        return SyntaxError::syntax(
            range,
            format!("`*{name}` refers to an anchor that is not defined above it"),
        )
        .with_help(format!(
            "mark the value to repeat with `&{name}`, or put the text in quotes"
        ));
    }
    if has("anchor or alias") || has("duplicated anchor") {
        let (range, c) = place.character();
        return SyntaxError::syntax(range, format!("`{c}` must be followed by a name"))
            .with_help("put the value in quotes if it is meant as text");
    }
    if has("block scalar") && has("line break") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "text cannot stand on the same line as the `|` or `>` that announces it",
        )
        .with_help("start the text on the next line, indented deeper than the key");
    }
    if has("block scalar") && has("equal to 0") {
        return SyntaxError::syntax(place.word(), "the indentation indicator cannot be 0");
    }
    if has("wrongly indented line in block scalar") || has("block scalar content") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "this line is indented less than the first line of its text",
        )
        .with_help("indent all lines of the text at least as deep as its first line");
    }
    if has("simple key") {
        return place.missing_colon();
    }
    if has("sequence entries are not allowed") || has("is only valid inside a block") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "a list item cannot start in the middle of a line",
        )
        .with_help("start the list on the next line, or write it as `[a, b]`");
    }
    if has("misplaced bracket") {
        let (range, c) = place.character();
        return SyntaxError::syntax(range, format!("`{c}` closes nothing"))
            .with_help("put the value in quotes if it is meant as text");
    }
    if has("trailing content") {
        return SyntaxError::syntax(place.rest_of_line(), "unexpected text after the closing quote")
            .with_help("put the whole value inside the quotes; a quote within them is doubled in '…' and written `\\\"` in \"…\"");
    }
    if has("comment intercepting") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "a comment stands inside a value of several lines",
        )
        .with_help("move the comment above the value, or check the indentation of the next line");
    }
    if has("mapping keys are not allowed") {
        let (range, c) = place.character();
        return SyntaxError::syntax(range, format!("`{c}` cannot start a value here"))
            .with_help("put the value in quotes");
    }
    if has("node content") {
        let (range, c) = place.character();
        return SyntaxError::syntax(range, format!("expected a value before `{c}`"));
    }
    if has("recursion limit") {
        return SyntaxError::new(
            SyntaxErrorKind::TooDeep,
            place.character().0,
            "brackets are nested too deep",
        );
    }
    if has("byte order mark") || has("unprintable") {
        let (range, c) = place.character();
        return SyntaxError::syntax(
            range,
            format!("character U+{:04X} is not allowed in YAML", u32::from(c)),
        )
        .with_help("remove the character, or write it as an escape in a \"…\" string");
    }
    if has("directive") || has("<document") || has("version") || has("TAG") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "a line that starts with `%` is a YAML directive, and this one cannot be read",
        )
        .with_help("remove the line, or put the value in quotes");
    }
    if has("a tag") || has("handle") || has("global tag") {
        return SyntaxError::syntax(place.word(), "this tag cannot be read")
            .with_help("put the value in quotes if the `!` belongs to it");
    }
    if has("document end marker") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "unexpected text after the `...` that ends the document",
        );
    }
    if has("indentation") {
        return SyntaxError::syntax(
            place.rest_of_line(),
            "the indentation of this line fits nothing above it",
        )
        .with_help("indent it like the keys it belongs to");
    }
    SyntaxError::syntax(
        place.word(),
        format!("cannot read this as YAML: {}", info.replace('\'', "`")),
    )
}

pub(crate) fn unclosed_quote(text: &str, at: usize) -> SyntaxError {
    let place = Place { text, at };
    SyntaxError::syntax(place.rest_of_line(), "the quote opened here is not closed")
        .with_help("close the quote, or double it if it belongs to a '…' text")
}

struct Place<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Place<'t> {
    fn line_start(&self) -> usize {
        self.text[..self.at].rfind('\n').map_or(0, |n| n + 1)
    }

    fn line_end(&self) -> usize {
        let rest = &self.text[self.at..];
        self.at + rest.find(['\n', '\r']).unwrap_or(rest.len())
    }

    /// From the place to the end of its line without trailing blanks; at least one character where there is one.
    fn rest_of_line(&self) -> TextRange {
        let line = self.text[self.at..self.line_end()].trim_end();
        if line.is_empty() {
            // The parser reports the end of the text; the line before is what the author has to look at.
            return self.last_line_before();
        }
        text_range(self.at, self.at + line.len())
    }

    fn last_line_before(&self) -> TextRange {
        let before = self.text[..self.at].trim_end();
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        let indent = before[start..].len() - before[start..].trim_start().len();
        text_range(start + indent, before.len())
    }

    fn word(&self) -> TextRange {
        let line = &self.text[self.at..self.line_end()];
        let len = line.find([' ', '\t', ',', ']', '}']).unwrap_or(line.len());
        if len == 0 {
            self.rest_of_line()
        } else {
            text_range(self.at, self.at + len)
        }
    }

    fn character(&self) -> (TextRange, char) {
        let c = self.text[self.at..].chars().next().unwrap_or(' ');
        let end = (self.at + c.len_utf8()).min(self.text.len());
        (text_range(self.at, end), c)
    }

    /// The first tab in the indentation of this line or of a later one.
    fn tab(&self) -> TextRange {
        let mut start = self.line_start();
        for line in self.text[start..].split_inclusive('\n') {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            if let Some(tab) = line[..indent].find('\t') {
                return text_range(start + tab, start + tab + 1);
            }
            start += line.len();
        }
        self.rest_of_line()
    }

    fn bad_escape(&self) -> SyntaxError {
        let body = &self.text[self.at..];
        let mut chars = body.char_indices().skip(1);
        while let Some((start, c)) = chars.next() {
            if c != '\\' {
                continue;
            }
            let Some((next, code)) = chars.next() else {
                break;
            };
            let digits = match code {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                c if "0abt\tnvfre \"/\\N_LP\n\r".contains(c) => continue,
                c => {
                    let end = next + c.len_utf8();
                    return SyntaxError::syntax(
                        text_range(self.at + start, self.at + end),
                        format!("unknown escape `\\{c}` in a \"…\" string"),
                    )
                    .with_help(format!(
                        "write `\\\\{c}`, or use '…', where a backslash is just a backslash"
                    ));
                }
            };
            let hex = body[next + 1..]
                .bytes()
                .take(digits)
                .take_while(u8::is_ascii_hexdigit)
                .count();
            let value = u32::from_str_radix(&body[next + 1..next + 1 + hex], 16);
            if hex < digits || value.ok().and_then(char::from_u32).is_none() {
                return SyntaxError::syntax(
                    text_range(self.at + start, self.at + next + 1 + hex),
                    format!(
                        "`\\{code}` must be followed by {digits} hexadecimal digits of a character"
                    ),
                );
            }
        }
        SyntaxError::syntax(
            self.rest_of_line(),
            "an escape in this string cannot be read",
        )
    }

    fn unclosed(&self, bracket: usize) -> SyntaxError {
        let open = &self.text[bracket..=bracket];
        let close = if open == "[" { ']' } else { '}' };
        let between = &self.text[bracket..self.at.max(bracket)];
        let help = format!("add the `{close}`, or put the value in quotes if it is meant as text");
        if between.contains('\n') || self.at >= self.text.trim_end().len() {
            return SyntaxError::syntax(
                text_range(bracket, bracket + 1),
                format!("the `{open}` opened here is not closed"),
            )
            .with_help(help);
        }
        SyntaxError::syntax(self.word(), format!("expected `,` or `{close}` here"))
            .with_help("put the value in quotes if it is meant as text")
    }

    fn unexpected_colon(&self) -> SyntaxError {
        let start = self.line_start();
        let before = &self.text[start..self.at];
        let key = before.trim_start().trim_start_matches("- ").trim_start();
        let quoted = key.contains('"') || key.contains('\'');
        if quoted || key.contains(": ") || key.is_empty() {
            return SyntaxError::syntax(
                text_range(self.at, (self.at + 1).min(self.text.len())),
                "a value cannot hold a second `: ` on the same line",
            )
            .with_help("put the value in quotes if the `:` belongs to it");
        }
        if let Some(range) = self.glued_colon(before.len() - key.len()) {
            return SyntaxError::syntax(range, "a `:` without a space behind it ends no key")
                .with_help("write `key: value`, with a space after the colon");
        }
        let key_start = self.at - key.len();
        SyntaxError::syntax(
            text_range(key_start, self.at),
            format!("`{}` continues the value above it", key.trim_end()),
        )
        .with_help("indent it like the key above to make it a key beside it; a key with a value of its own cannot hold others")
    }

    // `name:x` on the line above, in the column of this key: a text where a key was meant.
    fn glued_colon(&self, column: usize) -> Option<TextRange> {
        let before = self.text[..self.line_start()].trim_end();
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before[begin..].trim_start();
        let start = before.len() - line.len();
        let key = line.strip_prefix("- ").unwrap_or(line);
        let (name, rest) = key.split_once(':')?;
        let word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let glued = word && !rest.is_empty() && !rest.starts_with([' ', '\t', '/']);
        (glued && start + (line.len() - key.len()) - begin == column)
            .then(|| text_range(start, before.len()))
    }

    fn misplaced_line(&self) -> SyntaxError {
        let line = &self.text[self.line_start()..self.line_end()];
        if line.trim_start().starts_with("- ") {
            let indent = line.len() - line.trim_start().len();
            let range = text_range(self.line_start() + indent, self.line_end());
            return SyntaxError::syntax(range, "a list item stands among mapping keys")
                .with_help("indent the list deeper than its key, and give the key no other value");
        }
        let range = self.rest_of_line();
        SyntaxError::syntax(range, "the indentation of this line fits nothing above it")
            .with_help("indent it like the keys it belongs to")
    }

    fn missing_colon(&self) -> SyntaxError {
        let range = self.last_line_before();
        let line = self.text[range].trim_start_matches("- ");
        let shown: String = line.chars().take(40).collect();
        SyntaxError::syntax(range, format!("expected `:` after `{shown}`"))
            .with_help("write `key: value`, with a space after the colon")
    }
}
