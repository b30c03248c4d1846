//! Shell-style patterns as dbt's selectors use them: `*`, `?`, `[a-z]`, `[!a-z]`, matched with case.

/// Matches a whole text; `*` crosses every character, dots and slashes included.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to resume when what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => match class(&pattern, p, text[t]) {
                Some((true, next)) => Some(next),
                Some((false, _)) => None,
                None => (text[t] == '[').then_some(p + 1),
            },
            Some(&c) => (c == text[t]).then_some(p + 1),
            None => None,
        };
        match (step, retry) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after_star, from))) => {
                retry = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Reads the class that opens at `open`: whether `c` is in it, and where the pattern goes on.
/// `None` when it is never closed, and the bracket then stands for itself.
fn class(pattern: &[char], open: usize, c: char) -> Option<(bool, usize)> {
    let mut i = open + 1;
    let negated = pattern.get(i) == Some(&'!');
    if negated {
        i += 1;
    }
    let first = i;
    let mut found = false;
    loop {
        let low = *pattern.get(i)?;
        if low == ']' && i > first {
            return Some((found != negated, i + 1));
        }
        match (pattern.get(i + 1), pattern.get(i + 2)) {
            (Some('-'), Some(&high)) if high != ']' => {
                found |= low <= c && c <= high;
                i += 3;
            }
            _ => {
                found |= low == c;
                i += 1;
            }
        }
    }
}

/// Matches a path and everything below it: `*` stays within one folder, `**` spans any number.
pub(crate) fn matches_path(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = segments(pattern);
    let path: Vec<&str> = segments(path);
    (0..=path.len()).any(|end| path_segments(&pattern, &path[..end]))
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|s| !s.is_empty() && *s != ".")
        .collect()
}

fn path_segments(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            path_segments(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(_, below)| path_segments(pattern, below))
        }
        (Some((first, rest)), Some((name, below))) => {
            matches(first, name) && path_segments(rest, below)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_patterns() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("stg_*", "stg_orders", true),
            ("*_orders*x", "stg_orders_y", false),
            ("a*b*c", "a.b.b.c", true),
            ("raw_?", "raw_ab", false),
            ("raw_[a-c]", "raw_b", true),
            ("raw_[!a-c]", "raw_b", false),
            ("raw_[", "raw_[", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn path_patterns() {
        let path = "models/staging/shop/orders.sql";
        for (pattern, want) in [
            ("models/staging", true),
            ("models/staging/", true),
            ("./models", true),
            ("models/*/shop", true),
            ("models/*.sql", false),
            ("models/**/*.sql", true),
            ("models/stag", false),
            ("staging", false),
        ] {
            assert_eq!(matches_path(pattern, path), want, "{pattern}");
        }
    }
}
