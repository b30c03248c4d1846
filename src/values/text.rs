//! Texts as the filters of Jinja2 shape them, for every template that a project may hold.

/// The five characters of HTML, under the names that Python's `markupsafe` gives them.
#[must_use]
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// How many words a text has.
#[must_use]
pub fn words(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .count()
}

/// The text in the middle of `width` places.
#[must_use]
pub fn center(text: &str, width: usize) -> String {
    let space = width.min(10_000).saturating_sub(text.chars().count());
    // Where the space is odd, Python puts the larger half in front only for an odd width.
    let left = space / 2 + (space & width & 1);
    let (left, right) = (" ".repeat(left), " ".repeat(space - left));
    format!("{left}{text}{right}")
}

/// At most `length` characters, `end` included; up to `leeway` more are left alone.
#[must_use]
pub fn truncate(text: &str, length: usize, kill_words: bool, end: &str, leeway: usize) -> String {
    if text.chars().count() <= length.saturating_add(leeway) {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .take(length.saturating_sub(end.chars().count()))
        .collect();
    if kill_words {
        return kept + end;
    }
    let whole = kept
        .rsplit_once(' ')
        .map_or(kept.as_str(), |(head, _)| head);
    format!("{whole}{end}")
}

/// Breaks each line at spaces; a word longer than a line is cut.
#[must_use]
pub fn word_wrap(text: &str, width: usize) -> String {
    let width = width.max(1);
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            let used = current.chars().count();
            let needed = used + usize::from(used > 0) + word.len();
            if needed <= width {
                if used > 0 {
                    current.push(' ');
                }
            } else {
                // A word that no line could hold fills what is left of this one.
                if word.len() > width && used > 0 && width > used + 1 {
                    let head: String = word.drain(..width - used - 1).collect();
                    current.push(' ');
                    current.push_str(&head);
                }
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                while word.len() > width {
                    out.push(word.drain(..width).collect());
                }
            }
            current.extend(word);
        }
        out.push(current);
    }
    out.join("\n")
}

/// A number of bytes for people.
#[must_use]
pub fn file_size(bytes: f64, binary: bool) -> String {
    let base = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc());
    }
    let mut unit = base;
    let mut chosen = "";
    for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
        unit *= base;
        chosen = prefix;
        if bytes < unit {
            break;
        }
    }
    let unit_name = match (binary, chosen) {
        (true, "k") => "KiB".to_owned(),
        (true, prefix) => format!("{prefix}iB"),
        (false, prefix) => format!("{prefix}B"),
    };
    format!("{:.1} {unit_name}", base * bytes / unit)
}

/// The text between the tags of HTML, on one line.
#[must_use]
pub fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let tag = &rest[open..];
        let end = match tag.strip_prefix("<!--") {
            Some(comment) => comment.find("-->").map(|at| at + 7),
            None => tag.find('>').map(|at| at + 1),
        };
        let Some(end) = end else {
            rest = tag;
            break;
        };
        rest = &tag[end..];
    }
    out.push_str(rest);
    let text: Vec<&str> = out.split_whitespace().collect();
    text.join(" ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// A text as part of a path of a URL, or, with `query`, of what follows its question mark.
#[must_use]
pub fn percent(text: &str, query: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (c == '/' && !query) {
            out.push(c);
        } else if c == ' ' && query {
            out.push('+');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
