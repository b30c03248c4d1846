//! A text that matches a regular expression, for examples. It may fail to find one: whoever asks
//! checks the answer.

use regex_syntax::hir::{Class, Hir, HirKind};

// A pattern that needs more is no help to a reader.
const LONGEST: usize = 200;

/// A short text with a match; `more` asks for that many extra rounds of what repeats without limit,
/// `turn` for another choice of characters.
pub(crate) fn matching(pattern: &str, more: u32, turn: usize) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut out = String::new();
    write(&hir, more, turn, &mut out).then_some(out)
}

// False when nothing matches, or only something too long.
fn write(hir: &Hir, more: u32, turn: usize, out: &mut String) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => {
                out.push_str(text);
                true
            }
            Err(_) => false,
        },
        HirKind::Class(class) => match pick(class, turn) {
            Some(c) => {
                out.push(c);
                true
            }
            None => false,
        },
        HirKind::Repetition(repetition) => {
            let rounds = match repetition.max {
                Some(max) => max.min(repetition.min.saturating_add(more)),
                None => repetition.min.saturating_add(more),
            };
            (0..rounds).all(|_| out.len() < LONGEST && write(&repetition.sub, more, turn, out))
        }
        HirKind::Capture(capture) => write(&capture.sub, more, turn, out),
        HirKind::Concat(parts) => parts.iter().all(|part| write(part, more, turn, out)),
        HirKind::Alternation(parts) => {
            let count = parts.len();
            (0..count).any(|i| {
                let before = out.len();
                let fits = write(&parts[(i + turn) % count], more, turn, out);
                if !fits {
                    out.truncate(before);
                }
                fits
            })
        }
    }
}

fn pick(class: &Class, turn: usize) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let contains = |c: char| class.iter().any(|r| r.start() <= c && c <= r.end());
    let friendly: Vec<char> = ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .filter(|c| contains(*c))
        .collect();
    match friendly.as_slice() {
        [] => class.iter().next().map(|range| range.start()),
        some => some.get(turn % some.len()).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::matching;

    #[test]
    fn texts_match_what_they_were_made_from() {
        for (pattern, text) in [
            ("^[A-Z]{2}-[0-9]{1,4}$", "AA-0"),
            ("^(red|green)$", "red"),
            ("^\\+\\d+$", "+0"),
            ("b+", "b"),
            ("^(?i)abc$", "aAbBcC"),
        ] {
            let found = matching(pattern, 0, 0);
            let regex = regex::Regex::new(pattern).unwrap();
            assert!(
                found.as_deref().is_some_and(|f| regex.is_match(f)),
                "{pattern}: {found:?}, e.g. {text}"
            );
        }
        assert_eq!(matching("^[a-z]+$", 2, 0).as_deref(), Some("aaa"));
        assert_eq!(matching("(?=x)y", 0, 0), None);
        assert_eq!(matching("a{100000}", 0, 0), None);
    }
}
