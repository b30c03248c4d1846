//! `.dbtignore`: files below the project's paths that dbt does not read, as patterns of Git.

use crate::Db;
use crate::documents::find_file;

pub(crate) const IGNORE_FILE: &str = ".dbtignore";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// What a slash separates.
    parts: Vec<String>,
    anchored: bool,
    folders_only: bool,
    /// `!`: takes back what an earlier rule said.
    kept: bool,
}

#[salsa::tracked(returns(ref))]
fn rules(db: &dyn Db) -> Vec<Rule> {
    let Some(file) = find_file(db, IGNORE_FILE) else {
        return Vec::new();
    };
    file.text(db).lines().filter_map(rule).collect()
}

fn rule(line: &str) -> Option<Rule> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (kept, line) = match line.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let folders_only = line.ends_with('/');
    let line = line.trim_end_matches('/');
    let anchored = line.contains('/');
    let parts = line.trim_start_matches('/').split('/');
    Some(Rule {
        parts: parts.map(str::to_owned).collect(),
        anchored,
        folders_only,
        kept,
    })
}

/// Whether dbt leaves this file of the project out.
pub(crate) fn is_ignored(db: &dyn Db, path: &str) -> bool {
    decided(rules(db), path)
}

fn decided(rules: &[Rule], path: &str) -> bool {
    if rules.is_empty() {
        return false;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let mut ignored = false;
    for rule in rules {
        // A folder that matches takes everything below it along.
        let last = parts.len() - usize::from(rule.folders_only);
        let found = (1..=last).any(|end| match rule.anchored {
            true => matches_parts(&rule.parts, &parts[..end]),
            false => matches_parts(&rule.parts, &parts[end - 1..end]),
        });
        if found {
            ignored = !rule.kept;
        }
    }
    ignored
}

fn matches_parts(pattern: &[String], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            matches_parts(rest, parts)
                || parts
                    .split_first()
                    .is_some_and(|(_, below)| matches_parts(pattern, below))
        }
        (Some((first, rest)), Some((part, below))) => {
            let (first, part): (Vec<char>, Vec<char>) =
                (first.chars().collect(), part.chars().collect());
            matches(&first, &part) && matches_parts(rest, below)
        }
        _ => false,
    }
}

fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            matches(rest, text) || !text.is_empty() && matches(pattern, &text[1..])
        }
        (Some(('?', rest)), Some((_, below))) => matches(rest, below),
        (Some(('[', rest)), Some((c, below))) => match rest.iter().position(|c| *c == ']') {
            Some(end) => in_class(&rest[..end], *c) && matches(&rest[end + 1..], below),
            None => *c == '[' && matches(rest, below),
        },
        (Some(('\\', rest)), Some((c, below))) if !rest.is_empty() => {
            rest[0] == *c && matches(&rest[1..], below)
        }
        (Some((wanted, rest)), Some((c, below))) => wanted == c && matches(rest, below),
        _ => false,
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (class, negated) = match class.first() {
        Some('!' | '^') => (&class[1..], true),
        _ => (class, false),
    };
    let mut at = 0;
    let mut found = false;
    while at < class.len() {
        if class.get(at + 1) == Some(&'-') && at + 2 < class.len() {
            found |= class[at] <= c && c <= class[at + 2];
            at += 3;
        } else {
            found |= class[at] == c;
            at += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_git() {
        let ignored = |text: &str, path: &str| {
            let rules: Vec<Rule> = text.lines().filter_map(rule).collect();
            decided(&rules, path)
        };
        for (text, path, expected) in [
            ("*.draft.sql", "models/a/b.draft.sql", true),
            ("*.draft.sql", "models/a/b.sql", false),
            ("models/old/", "models/old/a.sql", true),
            ("models/old/", "more/models/old/a.sql", false),
            ("old/", "models/old/a.sql", true),
            ("old/", "models/old", false),
            ("/a.sql", "models/a.sql", false),
            ("models/**/x.sql", "models/a/b/x.sql", true),
            ("# a\n*.sql\n!keep.sql", "models/keep.sql", false),
            ("m?[a-c].sql", "models/m1b.sql", true),
            ("m[!a].sql", "models/ma.sql", false),
            ("", "models/a.sql", false),
        ] {
            assert_eq!(ignored(text, path), expected, "{text} {path}");
        }
    }
}
