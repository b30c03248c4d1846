//! Whether a text is nested so deep that walking or dropping its tree could exhaust the stack.
//!
//! A rough scan of Python and Jinja expressions, made before parsing: it may refuse what nobody writes, and never
//! refuses ordinary code. It does not parse and reports nothing but a place.

/// Open brackets around one place.
const MAX_BRACKETS: usize = 200;
/// CPython's own limit.
const MAX_INDENTS: usize = 100;

/// What ends an expression, and how long one may be.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Whether lines end expressions and indentation makes blocks.
    lines: bool,
    /// Operators and words that one expression chains, counting those of the expressions around it.
    chain: usize,
}

/// A Python module, whose expressions are only built and dropped.
pub(crate) const PYTHON: Limits = Limits {
    lines: true,
    chain: 4_000,
};

/// The inside of a Jinja tag, whose expressions are also walked.
pub(crate) const JINJA: Limits = Limits {
    lines: false,
    chain: 500,
};

/// The offset where the text becomes too deep.
pub(crate) fn too_deep(text: &str, limits: Limits) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut indents: Vec<usize> = vec![0];
    // Per open bracket, the length of the chain it stands in.
    let mut chains: Vec<usize> = vec![0];
    let mut total = 0;
    let mut at = 0;
    let mut line_start = limits.lines;
    while at < bytes.len() {
        if line_start && chains.len() == 1 {
            let width = bytes[at..]
                .iter()
                .take_while(|b| matches!(b, b' ' | b'\t' | b'\x0c'))
                .count();
            at += width;
            let blank = matches!(bytes.get(at), None | Some(b'\n' | b'\r' | b'#'));
            if !blank {
                while indents.last().is_some_and(|last| *last > width) {
                    indents.pop();
                }
                if indents.last().is_none_or(|last| *last < width) {
                    indents.push(width);
                }
                if indents.len() > MAX_INDENTS {
                    return Some(at);
                }
            }
            line_start = false;
            continue;
        }
        line_start = false;
        let mut reset = false;
        match bytes[at] {
            b'\n' => {
                line_start = limits.lines;
                reset = limits.lines && chains.len() == 1;
                at += 1;
            }
            b'#' if limits.lines => at += find(&bytes[at..], b'\n'),
            b'\\' => at += 2,
            b'\'' | b'"' => at += string(&bytes[at..]),
            b'(' | b'[' | b'{' => {
                chains.push(0);
                if chains.len() > MAX_BRACKETS {
                    return Some(at);
                }
                at += 1;
            }
            b')' | b']' | b'}' => {
                if chains.len() > 1 {
                    total -= chains.pop().unwrap_or(0);
                }
                at += 1;
            }
            b',' | b';' => {
                reset = true;
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\x0c' => at += 1,
            b if is_word(b) => {
                at += bytes[at..].iter().take_while(|b| is_word(**b)).count();
                total += 1;
                if let Some(chain) = chains.last_mut() {
                    *chain += 1;
                }
            }
            _ => {
                at += 1;
                total += 1;
                if let Some(chain) = chains.last_mut() {
                    *chain += 1;
                }
            }
        }
        if reset && let Some(chain) = chains.last_mut() {
            total -= *chain;
            *chain = 0;
        }
        if total > limits.chain {
            return (0..=at.min(text.len()))
                .rev()
                .find(|at| text.is_char_boundary(*at));
        }
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn find(bytes: &[u8], wanted: u8) -> usize {
    bytes
        .iter()
        .position(|b| *b == wanted)
        .unwrap_or(bytes.len())
}

/// The length of the string literal at the start of `bytes`.
fn string(bytes: &[u8]) -> usize {
    let quote = bytes[0];
    let triple = bytes.len() >= 3 && bytes[1] == quote && bytes[2] == quote;
    let mut at = if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\n' if !triple => return at,
            b if b == quote => {
                if !triple {
                    return at + 1;
                }
                if bytes[at..].starts_with(&[quote, quote, quote]) {
                    return at + 3;
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    bytes.len()
}
