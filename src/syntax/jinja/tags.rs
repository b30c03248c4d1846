//! The outer level of a template: tags, expressions, comments, and the blocks that dbt cuts out.

use super::{Block, BlockKind};
use crate::{SyntaxError, SyntaxErrorKind, limits, text_range};

pub(super) struct Tags {
    pub(super) errors: Vec<SyntaxError>,
    pub(super) blocks: Vec<Block>,
    pub(super) is_dynamic: bool,
    /// The text with dbt's own tags turned into comments of the same length.
    pub(super) masked: String,
}

/// An opening tag that waits for its closing one.
struct Open<'t> {
    kind: BlockKind,
    word: &'t str,
    tag: Tag<'t>,
}

#[derive(Clone, Copy)]
struct Tag<'t> {
    start: usize,
    end: usize,
    /// The first word.
    word: &'t str,
    word_end: usize,
    /// Where the content ends: before `-%}`.
    content_end: usize,
}

pub(super) fn read(text: &str) -> Tags {
    let mut reader = Reader {
        text,
        masked: text.as_bytes().to_vec(),
        open: Vec::new(),
        tags: Tags {
            errors: Vec::new(),
            blocks: Vec::new(),
            is_dynamic: false,
            masked: String::new(),
        },
    };
    reader.run();
    let mut tags = reader.tags;
    for open in &reader.open {
        tags.errors.push(unclosed(open.word, &open.tag));
    }
    tags.blocks.sort_by_key(|block| block.range.start());
    // Only ASCII bytes were replaced, or whole runs with spaces.
    tags.masked = String::from_utf8(reader.masked).unwrap_or_else(|_| text.to_owned());
    tags
}

fn unclosed(word: &str, tag: &Tag<'_>) -> SyntaxError {
    SyntaxError::syntax(
        text_range(tag.start, tag.end),
        format!("the `{{% {word} %}}` block is not closed"),
    )
    .with_help(format!("add `{{% end{word} %}}`"))
}

/// The innermost block that a template opens and never closes: its tag and its word.
pub(super) fn left_open(text: &str) -> Option<(std::ops::Range<usize>, &str)> {
    let mut open: Vec<(std::ops::Range<usize>, &str)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('{') {
        let start = at + found;
        let rest = &text[start..];
        let len = if rest.starts_with("{#") {
            rest.find("#}")? + 2
        } else if let Some(content) = rest.strip_prefix("{{") {
            content_len(content, "}}")? + 4
        } else if let Some(content) = rest.strip_prefix("{%") {
            content_len(content, "%}")? + 4
        } else {
            at = start + 1;
            continue;
        };
        at = start + len;
        if !rest.starts_with("{%") {
            continue;
        }
        let content = rest[2..len - 2].trim_matches(['-', '+']).trim();
        let word = &content[..word_len(content)];
        match word {
            "if" | "for" | "macro" | "call" | "filter" | "with" | "autoescape" | "block" => {
                open.push((start..at, word));
            }
            "set" if !content.contains('=') => open.push((start..at, word)),
            _ => {
                if let Some(closed) = word.strip_prefix("end")
                    && open.last().is_some_and(|(_, word)| *word == closed)
                {
                    open.pop();
                }
            }
        }
    }
    open.pop()
}

/// `name.name(…)` and nothing behind it.
fn is_call(text: &str) -> bool {
    let Some(open) = text.find('(') else {
        return false;
    };
    let name = |c: char| c == '_' || c == '.' || c.is_alphanumeric();
    let called = text[..open].trim_end();
    if called.is_empty() || !called.chars().all(name) {
        return false;
    }
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text[open..].char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return open + at + 1 == text.len();
                }
            }
            _ => {}
        }
    }
    // What does not end is for the parser to complain about.
    true
}

struct Reader<'t> {
    text: &'t str,
    masked: Vec<u8>,
    open: Vec<Open<'t>>,
    tags: Tags,
}

fn kind(word: &str) -> Option<BlockKind> {
    Some(match word {
        "macro" => BlockKind::Macro,
        "snapshot" => BlockKind::Snapshot,
        "test" | "data_test" => BlockKind::Test,
        "materialization" => BlockKind::Materialization,
        "docs" => BlockKind::Docs,
        "raw" => BlockKind::Raw,
        _ => return None,
    })
}

impl<'t> Reader<'t> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(found) = self.text[at..].find('{') {
            let start = at + found;
            let rest = &self.text[start..];
            if rest.starts_with("{#") {
                self.tags.is_dynamic = true;
                match rest.find("#}") {
                    Some(len) => at = start + len + 2,
                    None => {
                        let error = SyntaxError::syntax(
                            text_range(start, start + 2),
                            "the comment opened here is not closed",
                        );
                        self.tags.errors.push(error.with_help("add `#}`"));
                        return;
                    }
                }
            } else if rest.starts_with("{{") || rest.starts_with("{%") {
                self.tags.is_dynamic = true;
                let close = if rest.starts_with("{{") { "}}" } else { "%}" };
                let Some(len) = content_len(&rest[2..], close) else {
                    let open = &rest[..2];
                    let error = SyntaxError::syntax(
                        text_range(start, start + 2),
                        format!("the `{open}` opened here is not closed"),
                    );
                    self.tags
                        .errors
                        .push(error.with_help(format!("add `{close}`")));
                    return;
                };
                let end = start + 2 + len + 2;
                at = end;
                let content = &self.text[start + 2..start + 2 + len];
                if let Some(deep) = limits::too_deep(content, limits::JINJA) {
                    let place = start + 2 + deep;
                    self.tags.errors.push(SyntaxError::new(
                        SyntaxErrorKind::TooDeep,
                        text_range(place, place),
                        "the expression is nested too deep",
                    ));
                    return;
                }
                for plus in unary_plus(content) {
                    self.masked[start + 2 + plus] = b' ';
                }
                if close == "%}" {
                    let tag = self.tag(start, end);
                    match self.handle(tag) {
                        Some(next) => at = next,
                        None => return,
                    }
                }
            } else {
                at = start + 1;
            }
        }
    }

    fn tag(&self, start: usize, end: usize) -> Tag<'t> {
        // `{%}` closes itself with its own sign: there is nothing inside.
        let content = self.text.get(start + 2..end - 2).unwrap_or_default();
        let content = content.strip_suffix(['-', '+']).unwrap_or(content);
        let content_end = start + 2 + content.len();
        let trimmed = content.strip_prefix(['-', '+']).unwrap_or(content);
        let trimmed = trimmed.trim_start();
        let word_start = content_end - trimmed.len();
        let len = word_len(trimmed);
        Tag {
            start,
            end,
            word: &trimmed[..len],
            word_end: word_start + len,
            content_end,
        }
    }

    /// Jinja takes a colon at the end of a block tag, as in Python; the parser does not.
    fn mask_colon(&mut self, tag: &Tag<'t>) {
        let start = tag.word_end.min(tag.content_end);
        let content = self.text[start..tag.content_end].trim_end();
        if content.ends_with(':') {
            self.masked[start + content.len() - 1] = b' ';
        }
    }

    /// `{% do x if y %}`: the parser takes calls alone, and any expression where one is printed.
    fn mask_do(&mut self, tag: &Tag<'t>) {
        let content = &self.text[tag.word_end..tag.content_end];
        if content.trim().is_empty() || is_call(content.trim()) {
            return;
        }
        self.masked[tag.start + 1] = b'{';
        self.masked[tag.end - 2] = b'}';
        for at in tag.word_end - tag.word.len()..tag.word_end {
            self.masked[at] = b' ';
        }
        for at in [tag.start + 2, tag.end - 3] {
            if self.masked[at] == b'+' {
                self.masked[at] = b' ';
            }
        }
    }

    /// Where to read on; `None` when the rest of the text belongs to an unclosed block.
    fn handle(&mut self, tag: Tag<'t>) -> Option<usize> {
        self.mask_colon(&tag);
        if tag.word == "do" {
            self.mask_do(&tag);
        }
        if let Some(kind) = kind(tag.word) {
            if matches!(kind, BlockKind::Raw | BlockKind::Docs) {
                return self.verbatim(kind, tag);
            }
            self.open.push(Open {
                kind,
                word: tag.word,
                tag,
            });
            self.mask_tag(kind, &tag);
        } else if let Some(kind) = tag.word.strip_prefix("end").and_then(kind) {
            let word = &tag.word[3..];
            let Some(index) = self.open.iter().rposition(|open| open.word == word) else {
                self.tags.errors.push(SyntaxError::syntax(
                    text_range(tag.start, tag.end),
                    format!("`{{% end{word} %}}` closes nothing"),
                ));
                self.mask_tag(kind, &tag);
                return Some(tag.end);
            };
            while self.open.len() > index + 1 {
                if let Some(open) = self.open.pop() {
                    self.tags.errors.push(unclosed(open.word, &open.tag));
                }
            }
            if let Some(open) = self.open.pop() {
                let block = self.block(open.kind, &open.tag, tag.start, tag.end);
                self.tags.blocks.push(block);
            }
            self.mask_tag(kind, &tag);
        } else if let Some(word) = self.misspelt_end(tag.word) {
            self.tags.errors.push(
                SyntaxError::syntax(
                    text_range(tag.start, tag.end),
                    format!("`{{% {} %}}` closes nothing", tag.word),
                )
                .with_help(format!("did you mean `{{% end{word} %}}`?")),
            );
            self.open.pop();
        }
        Some(tag.end)
    }

    /// The innermost open block, when a tag is nearly the one that would close it.
    fn misspelt_end(&self, word: &str) -> Option<&'t str> {
        const JINJA: [&str; 10] = [
            "endif",
            "endfor",
            "endset",
            "endcall",
            "endfilter",
            "endwith",
            "endblock",
            "endtrans",
            "endautoescape",
            "endspaceless",
        ];
        if !word.starts_with("en") || JINJA.contains(&word) {
            return None;
        }
        let open = self.open.last()?.word;
        is_near(word, &format!("end{open}")).then_some(open)
    }

    /// A block whose body is not Jinja.
    fn verbatim(&mut self, kind: BlockKind, tag: Tag<'t>) -> Option<usize> {
        let wanted = format!("end{}", tag.word);
        let mut at = tag.end;
        let close = loop {
            let Some(found) = self.text[at..].find("{%") else {
                break None;
            };
            let start = at + found;
            let Some(len) = self.text[start..].find("%}") else {
                break None;
            };
            let candidate = self.tag(start, start + len + 2);
            if candidate.word == wanted {
                break Some(candidate);
            }
            at = start + 2;
        };
        let Some(close) = close else {
            self.tags.errors.push(unclosed(tag.word, &tag));
            return None;
        };
        let block = self.block(kind, &tag, close.start, close.end);
        self.tags.blocks.push(block);
        if kind == BlockKind::Docs {
            self.blank(tag.start, close.end);
        }
        Some(close.end)
    }

    fn block(&self, kind: BlockKind, tag: &Tag<'t>, body_end: usize, end: usize) -> Block {
        let rest = &self.text[tag.word_end.min(tag.content_end)..tag.content_end];
        let name_start = tag.content_end - rest.trim_start().len();
        let name_end = name_start + word_len(rest.trim_start());
        let args = self.text[name_end..tag.content_end].trim();
        let args_start = name_end
            + (self.text[name_end..tag.content_end].len()
                - self.text[name_end..tag.content_end].trim_start().len());
        Block {
            kind,
            name: self.text[name_start..name_end].to_owned(),
            name_range: text_range(name_start, name_end),
            args: args.to_owned(),
            args_range: text_range(args_start, args_start + args.len()),
            body_range: text_range(tag.end, body_end),
            range: text_range(tag.start, end),
        }
    }

    /// Turns a tag that only dbt knows into a comment.
    fn mask_tag(&mut self, kind: BlockKind, tag: &Tag<'t>) {
        if kind == BlockKind::Macro {
            return;
        }
        self.blank(tag.start + 3, tag.end - 3);
        self.masked[tag.start + 1] = b'#';
        self.masked[tag.end - 2] = b'#';
        for at in [tag.start + 2, tag.end - 3] {
            if !matches!(self.masked[at], b'-' | b'+') {
                self.masked[at] = b' ';
            }
        }
    }

    /// Spaces instead of everything but line breaks.
    fn blank(&mut self, start: usize, end: usize) {
        for byte in self.masked.get_mut(start..end).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
}

/// Whether one word is the other but for two letters at one place.
fn is_near(word: &str, wanted: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (word.chars().collect(), wanted.chars().collect());
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let shorter = a.len().min(b.len());
    let longer = a.len().max(b.len());
    longer - (head + tail).min(shorter) <= 2
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

/// The length of the content before `close`, which does not count inside strings.
fn content_len(text: &str, close: &str) -> Option<usize> {
    let mut at = 0;
    // Braces of map literals: `{{ {'a': {}} }}`.
    let mut braces = 0_usize;
    loop {
        let rest = &text[at..];
        if rest.starts_with(close) && (close == "%}" || braces == 0) {
            return Some(at);
        }
        let c = rest.chars().next()?;
        match c {
            '\'' | '"' => at += string_len(rest, c)?,
            '{' => {
                braces += 1;
                at += 1;
            }
            '}' => {
                braces = braces.saturating_sub(1);
                at += 1;
            }
            c => at += c.len_utf8(),
        }
    }
}

/// Where a `+` has nothing on its left to add to: it changes nothing, and the parser does not know it.
fn unary_plus(content: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    // Whether an operand can stand here.
    let mut open = true;
    while let Some(c) = content[at..].chars().next() {
        let rest = &content[at..];
        let len = match c {
            '\'' | '"' => {
                open = false;
                string_len(rest, c).unwrap_or(rest.len())
            }
            c if c.is_alphanumeric() || c == '_' => {
                let len = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                open = matches!(
                    &rest[..len],
                    "in" | "not" | "and" | "or" | "if" | "else" | "is"
                );
                len
            }
            '+' => {
                let operand =
                    rest[1..].starts_with(|c: char| c.is_alphanumeric() || "_(".contains(c));
                // At the edge of a tag it is about whitespace.
                if open && at > 0 && operand {
                    found.push(at);
                }
                open = true;
                1
            }
            ')' | ']' | '}' => {
                open = false;
                1
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                open = true;
                c.len_utf8()
            }
        };
        at += len;
    }
    found
}

fn string_len(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}
