//! `mxcp: ignore[MX0302]` in a comment: findings that the author has looked at.
//!
//! A comment behind something speaks of its line, a comment alone on its line of the next one, and
//! `mxcp: ignore-file[MX0302]` of the whole file. A comment that names no code, an unknown one or one
//! that is not found there is reported: it would hide the next mistake.

use std::collections::BTreeMap;

use mxcp_base::{
    Code, Diagnostic, FileSet, Location, Shelf, SourceFile, TextRange, TextSize, codes, paths,
    suggest,
};

use crate::Db;
use crate::documents::find_file;
use crate::finding::Finding;

/// One comment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suppression {
    /// `mxcp: ignore[...]` without the marker of the comment.
    range: TextRange,
    /// The line that it speaks of, as a range of its text; the whole file when `None`.
    line: Option<TextRange>,
    /// What it names, with the place of each name.
    names: Vec<(String, TextRange)>,
}

impl Suppression {
    fn covers(&self, location: &Location) -> bool {
        match (self.line, location.range()) {
            (None, _) => true,
            (Some(line), Some(range)) => line.contains_inclusive(range.start()),
            (Some(line), None) => line.start() == TextSize::new(0),
        }
    }

    fn names(&self, code: Code) -> bool {
        self.names
            .iter()
            .any(|(name, _)| Code::parse(name) == Some(code))
    }
}

#[salsa::tracked(returns(ref))]
fn suppressions(db: &dyn Db, file: SourceFile) -> Vec<Suppression> {
    match paths::extension(file.path(db)) {
        "yml" | "yaml" | "sql" | "py" | "md" => scan(file.text(db)),
        _ => Vec::new(),
    }
}

/// The files with such comments.
#[salsa::tracked(returns(ref))]
fn commented_files(db: &dyn Db, shelf: Shelf) -> Vec<SourceFile> {
    let is_commented = |file: &SourceFile| !suppressions(db, *file).is_empty();
    let files = shelf.files(db).iter().copied();
    files.filter(is_commented).collect()
}

fn scan(text: &str) -> Vec<Suppression> {
    // Most files have none, and this runs after each keystroke.
    if !text.contains(MARK) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        lines.push((start, line.trim_end_matches(['\n', '\r'])));
        start += line.len();
    }
    let mut found = Vec::new();
    for (i, (start, line)) in lines.iter().enumerate() {
        let Some((opened, at)) = comment(line) else {
            continue;
        };
        let Some(parsed) = parse(&line[at..]) else {
            continue;
        };
        let place = |from: usize, to: usize| range(start + at + from, start + at + to);
        let alone = line[..opened].trim().is_empty();
        let target = if alone {
            lines[i + 1..]
                .iter()
                .find(|(_, line)| !is_comment(line))
                .copied()
        } else {
            Some((*start, *line))
        };
        found.push(Suppression {
            range: place(0, parsed.len),
            line: (!parsed.file).then(|| {
                target.map_or(range(text.len(), text.len()), |(start, line)| {
                    range(start, start + line.len())
                })
            }),
            names: parsed
                .names
                .into_iter()
                .map(|(name, from)| (name.to_owned(), place(from, from + name.len())))
                .collect(),
        });
    }
    found
}

const MARK: &str = "mxcp:";
const OPENERS: [&str; 3] = ["#", "--", "{#"];

fn range(from: usize, to: usize) -> TextRange {
    let size = |at: usize| TextSize::try_from(at).unwrap_or_default();
    TextRange::new(size(from), size(to.max(from)))
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || OPENERS.iter().any(|opener| line.starts_with(opener))
}

// Where the comment starts, and where `mxcp:` does.
fn comment(line: &str) -> Option<(usize, usize)> {
    let at = line.rfind(MARK)?;
    let before = line[..at].trim_end();
    let opener = OPENERS
        .iter()
        .rev()
        .find(|opener| before.ends_with(**opener))?;
    Some((before.len() - opener.len(), at))
}

struct Parsed<'a> {
    file: bool,
    names: Vec<(&'a str, usize)>,
    len: usize,
}

fn parse(text: &str) -> Option<Parsed<'_>> {
    let spaces = |at: usize| at + text[at..].len() - text[at..].trim_start().len();
    let mut at = spaces(MARK.len());
    let file = text[at..].starts_with("ignore-file");
    at += if file { "ignore-file" } else { "ignore" }.len();
    if !file && !text[spaces(MARK.len())..].starts_with("ignore") {
        return None;
    }
    let rest = &text[at..];
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_') {
        return None;
    }
    let open = spaces(at);
    let list = match text[open..].strip_prefix('[') {
        Some(inside) => {
            let len = inside.find(']').unwrap_or(inside.len());
            open + 1..open + 1 + len
        }
        // Without brackets: what looks like codes.
        None => {
            let words = text[open..]
                .split_inclusive([' ', ','])
                .take_while(|word| {
                    word.trim_matches([' ', ',']).is_empty() || looks_like_code(word)
                })
                .map(str::len)
                .sum::<usize>();
            open..open + words
        }
    };
    let mut names = Vec::new();
    let mut from = list.start;
    for word in text[list.clone()].split_inclusive([' ', ',']) {
        let name = word.trim_matches([' ', ',']);
        if !name.is_empty() {
            names.push((name, from));
        }
        from += word.len();
    }
    let closed = usize::from(text[list.end..].starts_with(']'));
    let len = text[..list.end + closed].trim_end().len();
    Some(Parsed { file, names, len })
}

fn looks_like_code(word: &str) -> bool {
    let word = word.trim_matches([' ', ',']);
    word.len() >= 2
        && word[..2].eq_ignore_ascii_case("mx")
        && word[2..].bytes().all(|b| b.is_ascii_digit())
}

/// Whether a comment at its place hides a finding.
pub(crate) fn hides(db: &dyn Db, finding: &Finding) -> bool {
    let list = suppressions(db, finding.anchor.file);
    if list.iter().all(|s| !s.names(finding.code)) {
        return false;
    }
    let location = crate::diagnostics::location(db, &finding.anchor);
    list.iter()
        .any(|s| s.names(finding.code) && s.covers(&location))
}

/// The diagnostics that no comment hides, and those about comments that hide nothing.
pub(crate) fn apply(db: &dyn Db, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let commented: BTreeMap<&str, &Vec<Suppression>> = FileSet::get(db)
        .shelves(db)
        .iter()
        .flat_map(|shelf| commented_files(db, *shelf))
        .map(|file| (file.path(db), suppressions(db, *file)))
        .collect();
    if commented.is_empty() {
        return diagnostics;
    }
    let mut used: BTreeMap<(&str, usize), Vec<Code>> = BTreeMap::new();
    let mut kept = Vec::with_capacity(diagnostics.len());
    for diagnostic in diagnostics {
        let mut hidden = false;
        if let Some((path, list)) = commented.get_key_value(diagnostic.primary.file.as_str()) {
            for (i, suppression) in list.iter().enumerate() {
                if suppression.names(diagnostic.code) && suppression.covers(&diagnostic.primary) {
                    used.entry((path, i)).or_default().push(diagnostic.code);
                    hidden = true;
                }
            }
        }
        if !hidden {
            kept.push(diagnostic);
        }
    }
    for (path, list) in commented {
        for (i, suppression) in list.iter().enumerate() {
            let used = used.get(&(path, i)).map_or(&[][..], Vec::as_slice);
            kept.extend(useless(db, path, suppression, used));
        }
    }
    kept
}

fn useless(db: &dyn Db, path: &str, suppression: &Suppression, used: &[Code]) -> Vec<Diagnostic> {
    let at = |range: TextRange| Location::new(path, range);
    let whole = suppression.line.is_none();
    let mut found = Vec::new();
    if suppression.names.is_empty() {
        let diagnostic = Diagnostic::new(
            codes::MX0009,
            "this comment names no code, so it hides nothing",
            at(suppression.range),
        );
        found.push(diagnostic.with_help("name what it is about: `mxcp: ignore[MX0302]`"));
    }
    for (name, range) in &suppression.names {
        let diagnostic = match Code::parse(name) {
            None => {
                let names: Vec<String> =
                    codes::REGISTRY.iter().map(|i| i.code.to_string()).collect();
                let near = suggest::did_you_mean(name, names.iter().map(String::as_str));
                Diagnostic::new(
                    codes::MX0009,
                    format!("`{name}` is not a diagnostic code"),
                    at(*range),
                )
                .with_help(near.unwrap_or_else(|| "codes look like `MX0302`".into()))
            }
            Some(code) if used.contains(&code) => continue,
            Some(code) => Diagnostic::new(
                codes::MX0009,
                format!(
                    "there is no {code} {} to ignore",
                    if whole {
                        "in this file"
                    } else {
                        "on this line"
                    }
                ),
                at(*range),
            )
            .with_help("remove it: it would hide the next mistake"),
        };
        found.push(diagnostic);
    }
    // A file that is not the project's is nobody's business.
    found.retain(|_| find_file(db, path).is_some());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, bool, Vec<String>)> {
        scan(text)
            .into_iter()
            .map(|s| {
                let line = s.line.map_or(String::new(), |line| text[line].to_owned());
                let names = s.names.into_iter().map(|(name, range)| {
                    assert_eq!(text[range], name);
                    name
                });
                (line, s.line.is_none(), names.collect())
            })
            .collect()
    }

    #[test]
    fn comments_speak_of_their_line_or_the_next() {
        let one = |line: &str, names: &[&str]| {
            (
                line.to_owned(),
                false,
                names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            names("a: 1 # mxcp: ignore[MX0302, MX0303] why\n# mxcp:ignore MX0001\n# and\n\nb: 2\n"),
            [
                one(
                    "a: 1 # mxcp: ignore[MX0302, MX0303] why",
                    &["MX0302", "MX0303"]
                ),
                one("b: 2", &["MX0001"])
            ]
        );
        assert_eq!(
            names("SELECT x -- mxcp: ignore mx0203 because\n"),
            [one("SELECT x -- mxcp: ignore mx0203 because", &["mx0203"])]
        );
        assert_eq!(
            names("{# mxcp: ignore[MX0409] #}\r\nselect {{ y }}\r\n"),
            [one("select {{ y }}", &["MX0409"])]
        );
        assert_eq!(
            names("# mxcp: ignore-file[MX0302]\n"),
            [(String::new(), true, vec!["MX0302".to_owned()])]
        );
        assert_eq!(names("# mxcp: ignore\n"), [one("", &[])]);
        for text in ["mxcp: ignore[MX0302]\n", "# mxcp: ignored\n", "# mxcp: 1\n"] {
            assert_eq!(names(text), [], "{text}");
        }
    }
}
