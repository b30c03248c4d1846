//! Comments: `#` at the start of a line or after a blank, outside scalars.

use text_size::TextRange;

use super::{Style, Value, YamlFile};
use crate::text_range;

pub(crate) fn comments(file: &YamlFile) -> Vec<(TextRange, &str)> {
    let text = &*file.text;
    let mut found = Vec::new();
    if !text.contains('#') {
        return found;
    }
    let mut at = 0;
    // Nodes are stored in the order in which they end, scalars therefore in document order.
    for node in &file.nodes {
        let Value::Scalar { style, .. } = node.value else {
            continue;
        };
        let start = u32::from(node.range.start()) as usize;
        scan(text, at, start, &mut found);
        // The header of a block scalar may carry a comment of its own.
        if matches!(style, Style::Literal | Style::Folded) {
            let header = text[start..].find('\n').map_or(text.len(), |n| start + n);
            scan(text, start, header, &mut found);
        }
        at = at.max(u32::from(node.range.end()) as usize);
    }
    scan(text, at, file.read_to as usize, &mut found);
    found
}

fn scan<'t>(text: &'t str, mut at: usize, end: usize, found: &mut Vec<(TextRange, &'t str)>) {
    while at < end {
        let Some(hash) = text[at..end].find('#').map(|n| at + n) else {
            return;
        };
        let opens = text[..hash]
            .chars()
            .next_back()
            .is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{feff}'));
        if !opens {
            at = hash + 1;
            continue;
        }
        let line_end = text[hash..]
            .find(['\n', '\r'])
            .map_or(text.len(), |n| hash + n);
        found.push((text_range(hash, line_end), &text[hash..line_end]));
        at = line_end;
    }
}
