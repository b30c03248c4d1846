//! Mapping entries: merge keys and repeated keys.

use std::collections::HashMap;

use super::Builder;
use crate::yaml::MAX_EXPANSION;
use crate::yaml::{Entry, NodeId, Style, Value};
use crate::{SyntaxError, SyntaxErrorKind};

/// Repeated keys are not reported past this many errors: naming the first one's line costs a scan.
const MAX_ERRORS: usize = 200;

impl Builder<'_> {
    /// Applies `<<` entries: what they bring comes first, and the mapping's own keys win.
    pub(super) fn merge(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        if !entries.iter().any(|entry| self.is_merge(entry.key)) {
            return entries;
        }
        let mut merged: Vec<Entry> = Vec::new();
        let mut own = Vec::with_capacity(entries.len());
        for entry in entries {
            if !self.is_merge(entry.key) {
                own.push(entry);
                continue;
            }
            let mut brought = Vec::new();
            match &self.value_of(entry.value) {
                Value::Map { entries, .. } => brought.extend_from_slice(entries),
                Value::Seq { items, .. } => {
                    // The first mapping of the list has the last word.
                    let mut valid = true;
                    for item in items.iter().rev() {
                        match self.value_of(*item) {
                            Value::Map { entries, .. } => brought.extend_from_slice(entries),
                            _ => valid = false,
                        }
                    }
                    if !valid {
                        self.bad_merge(entry);
                    }
                }
                _ => self.bad_merge(entry),
            }
            let cost: u64 = brought
                .iter()
                .map(|entry| 1 + self.shapes[entry.value.0 as usize].size)
                .sum();
            self.expansion = self.expansion.saturating_add(cost);
            if self.expansion > MAX_EXPANSION {
                self.over_budget(self.file.data(entry.value).range);
                continue;
            }
            merged.extend(brought);
        }
        let mut all = Merged::default();
        for entry in merged.into_iter().chain(own.iter().copied()) {
            all.set(self, entry);
        }
        let all = all.entries;
        // Duplicates among the mapping's own keys are still mistakes.
        self.without_duplicates(own);
        all
    }

    fn bad_merge(&mut self, entry: Entry) {
        let range = self.file.data(entry.value).range;
        let range = if range.is_empty() {
            self.file.data(entry.key).range
        } else {
            range
        };
        self.file.errors.push(
            SyntaxError::new(
                SyntaxErrorKind::InvalidValue,
                range,
                "`<<` merges mappings, and this is not one",
            )
            .with_help("write `<<: *name`, where `&name` marks a mapping"),
        );
    }

    fn value_of(&self, id: NodeId) -> &Value {
        match &self.file.data(id).value {
            Value::Alias(target) => &self.file.data(*target).value,
            value => value,
        }
    }

    fn is_merge(&self, key: NodeId) -> bool {
        matches!(
            self.file.data(key).value,
            Value::Scalar {
                style: Style::Plain,
                ..
            }
        ) && self.key_text(key) == "<<"
    }

    fn key_text(&self, key: NodeId) -> &str {
        let (id, data) = match self.file.data(key).value {
            Value::Alias(target) => (target, self.file.data(target)),
            _ => (key, self.file.data(key)),
        };
        match &data.value {
            Value::Scalar {
                text: Some(text), ..
            } => text,
            Value::Scalar { text: None, .. } => &self.text[self.file.data(id).range],
            _ => "",
        }
    }

    /// Reports and drops repeated keys: the first keeps its place, the last its value.
    pub(super) fn without_duplicates(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut kept = Merged::default();
        let mut repeated = Vec::new();
        for entry in entries {
            if let Some(first) = kept.set(self, entry) {
                repeated.push((first, entry.key));
            }
        }
        for (first, second) in repeated {
            let (first, second) = (self.file.data(first), self.file.data(second));
            // `1:` and `\"1\":` are two keys for a YAML loader, and an error was reported for keys that are no scalars.
            let kinds = (&first.value, &second.value);
            let same = match kinds {
                (Value::Scalar { kind: a, .. }, Value::Scalar { kind: b, .. }) => a == b,
                (_, Value::Alias(_)) | (Value::Alias(_), _) => true,
                _ => false,
            };
            if !same {
                continue;
            }
            if self.file.errors.len() >= MAX_ERRORS {
                break;
            }
            let range = second.range;
            let line = self.text[..usize::from(first.range.start())]
                .bytes()
                .filter(|b| *b == b'\n')
                .count()
                + 1;
            let name = self.text[range].to_owned();
            self.file.errors.push(
                SyntaxError::new(
                    SyntaxErrorKind::DuplicateKey,
                    range,
                    format!("duplicate key `{name}`: it is already on line {line}"),
                )
                .with_help("remove one of them; this last one wins"),
            );
        }
        kept.entries
    }
}

/// Entries under construction, where a later key replaces the value of an earlier one in its place.
#[derive(Default)]
struct Merged {
    entries: Vec<Entry>,
    /// Only used once there are many entries.
    index: Option<HashMap<Box<str>, usize>>,
}

/// Up to this many entries a scan beats hashing.
const SCAN: usize = 16;

impl Merged {
    /// Returns the key that was there before.
    fn set(&mut self, builder: &Builder<'_>, entry: Entry) -> Option<NodeId> {
        let text = builder.key_text(entry.key);
        let at = match &self.index {
            Some(index) => index.get(text).copied(),
            None => self
                .entries
                .iter()
                .position(|known| builder.key_text(known.key) == text),
        };
        if let Some(at) = at {
            return Some(std::mem::replace(&mut self.entries[at], entry).key);
        }
        if let Some(index) = &mut self.index {
            index.insert(text.into(), self.entries.len());
        }
        self.entries.push(entry);
        if self.entries.len() == SCAN {
            self.index = Some(
                self.entries
                    .iter()
                    .enumerate()
                    .map(|(at, entry)| (builder.key_text(entry.key).into(), at))
                    .collect(),
            );
        }
        None
    }
}
