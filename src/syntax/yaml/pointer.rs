//! JSON pointers as the tree uses them. Only text: no lookups here.

/// The unescaped segments of `pointer`; a leading slash is optional and the empty pointer has no segments.
pub fn segments(pointer: &str) -> impl Iterator<Item = String> + '_ {
    let body = pointer.strip_prefix('/').unwrap_or(pointer);
    (!body.is_empty())
        .then(|| body.split('/'))
        .into_iter()
        .flatten()
        .map(unescape)
}

/// `segment` with `~` and `/` escaped.
#[must_use]
pub fn escape(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    push_escaped(&mut out, segment);
    out
}

/// `pointer` extended by one unescaped `segment`.
#[must_use]
pub fn join(pointer: &str, segment: &str) -> String {
    let mut out = pointer.to_owned();
    push(&mut out, segment);
    out
}

pub(crate) fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    push_escaped(pointer, segment);
}

fn push_escaped(out: &mut String, segment: &str) {
    for c in segment.chars() {
        match c {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            c => out.push(c),
        }
    }
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
