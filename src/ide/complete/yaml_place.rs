//! Where in a YAML text a place is, read from indentation: while a line is being typed the text seldom
//! parses.

/// A place in a mapping or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlPlace {
    /// The value being written, or the mapping that gets a key: `tool/parameters/0`.
    pub pointer: String,
    pub what: What,
    /// Bytes that are typed already.
    pub start: usize,
    /// The column at which a nested mapping would go on.
    pub indent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Key,
    /// A value after `key: `.
    Value,
    /// An item of a list, which may be a value or begin a mapping.
    Item,
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// The place of an offset; `None` inside a comment or a block scalar.
pub fn place(text: &str, offset: usize) -> Option<YamlPlace> {
    let before = text.get(..offset)?;
    let mut stack: Vec<(usize, Step)> = Vec::new();
    let mut block: Option<usize> = None;
    let mut start = 0;
    let lines: Vec<&str> = before.split('\n').collect();
    let last = lines.len() - 1;
    for (number, line) in lines.iter().enumerate() {
        let here = start;
        start += line.len() + 1;
        let indent = line.len() - line.trim_start_matches(' ').len();
        if let Some(limit) = block {
            if line.trim().is_empty() && number != last {
                continue;
            }
            if indent > limit {
                if number == last {
                    return None;
                }
                continue;
            }
            block = None;
        }
        let content = line.trim_start_matches(' ');
        if number != last && (content.is_empty() || content.starts_with('#') || content == "---") {
            continue;
        }
        if number == last && content.contains(" #") || content.starts_with('#') {
            return None;
        }
        let (column, rest) = dashes(indent, content, &mut stack);
        if number == last {
            return Some(at_cursor(
                &mut stack,
                column,
                rest,
                here + (line.len() - rest.len()),
                offset,
            ));
        }
        if let Some((key, value)) = split_key(rest) {
            pop(&mut stack, column);
            stack.push((column, Step::Key(key.to_owned())));
            let value = value.trim();
            if value.starts_with(['|', '>']) {
                block = Some(column);
            }
        }
    }
    None
}

/// Takes the `- ` from the start of a line; returns the column of what follows, and that.
fn dashes<'l>(
    mut column: usize,
    mut content: &'l str,
    stack: &mut Vec<(usize, Step)>,
) -> (usize, &'l str) {
    while content == "-" || content.starts_with("- ") {
        while stack.last().is_some_and(|(c, _)| *c > column) {
            stack.pop();
        }
        match stack.last_mut() {
            Some((c, Step::Index(n))) if *c == column => *n += 1,
            _ => stack.push((column, Step::Index(0))),
        }
        let rest = content.get(1..).unwrap_or_default();
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        column += 1 + blanks;
        content = rest.trim_start_matches(' ');
    }
    (column, content)
}

fn pop(stack: &mut Vec<(usize, Step)>, column: usize) {
    while stack.last().is_some_and(|(c, _)| *c >= column) {
        stack.pop();
    }
}

/// `key: value` with its key unquoted.
fn split_key(content: &str) -> Option<(&str, &str)> {
    let at = content
        .find(": ")
        .or_else(|| content.strip_suffix(':').map(str::len))?;
    let key = content.get(..at)?;
    if key.starts_with(['{', '[']) {
        return None;
    }
    Some((key.trim().trim_matches(['\'', '"']), content.get(at + 1..)?))
}

fn at_cursor(
    stack: &mut Vec<(usize, Step)>,
    column: usize,
    rest: &str,
    rest_start: usize,
    offset: usize,
) -> YamlPlace {
    let in_item = matches!(stack.last(), Some((c, Step::Index(_))) if *c < column)
        && stack.last().is_some_and(|(c, _)| column <= c + 8)
        && rest_start > 0;
    if let Some((key, value)) = split_key(rest) {
        pop(stack, column);
        stack.push((column, Step::Key(key.to_owned())));
        return in_flow(stack, value, column, offset);
    }
    if rest.starts_with(['{', '[']) {
        return in_flow(stack, rest, column, offset);
    }
    let fresh_item = in_item && stack.last().is_some_and(|(c, _)| *c < column);
    // A key further left ends what is deeper.
    let is_item = fresh_item && matches!(stack.last(), Some((_, Step::Index(_))));
    pop(stack, column);
    YamlPlace {
        pointer: pointer(stack),
        what: if is_item { What::Item } else { What::Key },
        start: rest_start,
        indent: column,
    }
}

/// `{a: b, |` and `[a, |` on the line of the cursor.
fn in_flow(stack: &mut Vec<(usize, Step)>, value: &str, column: usize, offset: usize) -> YamlPlace {
    let mut depth: Vec<(char, usize)> = Vec::new();
    let mut part = 0;
    let mut keys: Vec<Option<String>> = Vec::new();
    let mut quote = None;
    for (i, c) in value.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' => quote = Some(c),
                '{' | '[' => {
                    if let Some(key) = keys.last_mut()
                        && let Some((name, _)) = split_key(value.get(part..i).unwrap_or("").trim())
                    {
                        *key = Some(name.to_owned());
                    }
                    depth.push((c, 0));
                    keys.push(None);
                    part = i + 1;
                }
                '}' | ']' => {
                    depth.pop();
                    keys.pop();
                    part = i + 1;
                }
                ',' => {
                    if let Some((_, n)) = depth.last_mut() {
                        *n += 1;
                    }
                    part = i + 1;
                }
                _ => {}
            },
        }
    }
    if depth.is_empty() {
        let trimmed = value.trim_start();
        return YamlPlace {
            pointer: pointer(stack),
            what: What::Value,
            start: offset - trimmed.len(),
            indent: column,
        };
    }
    for (i, (c, n)) in depth.iter().enumerate() {
        if *c == '[' {
            stack.push((column, Step::Index(*n)));
        }
        if i + 1 < depth.len()
            && let Some(Some(key)) = keys.get(i)
        {
            stack.push((column, Step::Key(key.clone())));
        }
    }
    let typed = value.get(part..).unwrap_or_default();
    let trimmed = typed.trim_start();
    let inner = depth.last().map(|(c, _)| *c);
    if inner == Some('{')
        && let Some((key, rest)) = split_key(trimmed)
    {
        stack.push((column, Step::Key(key.to_owned())));
        return YamlPlace {
            pointer: pointer(stack),
            what: What::Value,
            start: offset - rest.trim_start().len(),
            indent: column,
        };
    }
    YamlPlace {
        pointer: pointer(stack),
        what: if inner == Some('{') {
            What::Key
        } else {
            What::Item
        },
        start: offset - trimmed.len(),
        indent: column,
    }
}

fn pointer(stack: &[(usize, Step)]) -> String {
    let mut out = String::new();
    for (_, step) in stack {
        match step {
            Step::Key(key) => out = mxcp_syntax::yaml::join_pointer(&out, key),
            Step::Index(n) => out = mxcp_syntax::yaml::join_pointer(&out, &n.to_string()),
        }
    }
    out.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(marked: &str, pointer: &str, what: What, typed: &str) {
        let at = marked.find('|').expect("marked");
        let text = marked.replacen('|', "", 1);
        let found = place(&text, at).expect("a place");
        assert_eq!(
            (found.pointer.as_str(), found.what),
            (pointer, what),
            "{marked}"
        );
        assert_eq!(&text[found.start..at], typed, "{marked}");
    }

    #[test]
    fn places_of_a_text_that_is_being_typed() {
        is("to|", "", What::Key, "to");
        is("tool:\n  na|", "tool", What::Key, "na");
        is("tool:\n  language: py|", "tool/language", What::Value, "py");
        is(
            "tool:\n  parameters:\n    - name: a\n      ty|",
            "tool/parameters/0",
            What::Key,
            "ty",
        );
        is(
            "tool:\n  parameters:\n    - name: a\n    - |",
            "tool/parameters/1",
            What::Item,
            "",
        );
        is(
            "tool:\n  parameters:\n  - name: a\n    type: |",
            "tool/parameters/0/type",
            What::Value,
            "",
        );
        is("tool:\n  tags: [a, |", "tool/tags/1", What::Item, "");
        is(
            "tool:\n  return:\n    x: { type: st|",
            "tool/return/x/type",
            What::Value,
            "st",
        );
        is(
            "tool:\n  return:\n    x: { type: string, de|",
            "tool/return/x",
            What::Key,
            "de",
        );
        is(
            "tool:\n  source:\n    code: >\n      SELECT\n      x: y\n  ta|",
            "tool",
            What::Key,
            "ta",
        );
        is("a:\n  b: 1\n  c:\n    d: 2\n  |", "a", What::Key, "");
        is("a:\n  - b:\n      c: 1\n    d|", "a/0", What::Key, "d");
    }
}
