//! Finds more than one error per statement: the offending place is replaced by a NULL and the
//! statement bound again.
//!
//! What is found after a replacement could be its consequence, so it counts only when it is about
//! a name, or when it stays the same whatever the type of the NULL is.

use std::collections::BTreeSet;
use std::ops::Range;

use mxcp_artifact::catalog::quote_identifier;

use crate::errors::{Fail, RawError};
use crate::json::Tree;
use crate::names::chain;
use crate::request::{SqlError, SqlErrorKind};
use crate::spots::{Spot, spots};
use crate::tokens::{Token, to_range};

const MOST_ERRORS: usize = 20;

/// NULLs for the place of an expression. The first has no type of its own and is no literal,
/// because a literal is rejected in `ORDER BY`.
const NULLS: [&str; 4] = [
    "coalesce(NULL)",
    "CAST(NULL AS VARCHAR)",
    "CAST(NULL AS DOUBLE)",
    "CAST(NULL AS TIMESTAMP)",
];

/// A statement: `text` is `sql[start..]` up to its end, and errors point into it.
pub(crate) struct Target<'a> {
    pub sql: &'a str,
    pub start: usize,
    pub end: usize,
    pub tokens: &'a [Token],
    pub tree: Option<(&'a Tree, i64)>,
}

#[derive(Clone)]
struct Edit {
    range: Range<usize>,
    with: Replacement,
}

#[derive(Clone)]
enum Replacement {
    /// A NULL, with what follows it.
    Null(String),
    /// A subquery instead of a relation.
    Relation(String),
}

struct Place {
    shown: Range<usize>,
    hidden: Option<Range<usize>>,
}

pub(crate) type Probe<'p> = dyn FnMut(&str) -> Result<(), Fail> + 'p;

/// All errors that can be told apart, the given first one among them, by position.
pub(crate) fn collect(target: &Target<'_>, first: Fail, probe: &mut Probe<'_>) -> Vec<SqlError> {
    let spots = target
        .tree
        .map(|(tree, base)| spots(tree, base))
        .unwrap_or_default();
    let mut edits: Vec<Edit> = Vec::new();
    let mut errors: Vec<SqlError> = Vec::new();
    let mut missing_relations: BTreeSet<String> = BTreeSet::new();
    // What a misspelt column may have been meant to be called: outer queries may ask for that.
    let mut intended: BTreeSet<String> = BTreeSet::new();
    let mut current = first;
    for _ in 0..MOST_ERRORS {
        let Some(start) = original_start(target, &edits, current.start) else {
            break;
        };
        current.start = start;
        let place = match crate::unplaced::set_operation(target, &current, probe) {
            Some(shown) if edits.is_empty() => Some(Place {
                shown,
                hidden: None,
            }),
            _ => target.place(&current, &spots),
        };
        let independent = edits.is_empty()
            || match current.kind() {
                SqlErrorKind::Binder | SqlErrorKind::Other => {
                    missing_relations.is_empty() && target.confirmed(&current, &edits, probe)
                }
                _ => {
                    let name = current.subject().unwrap_or_default().to_lowercase();
                    names_something(&current, &missing_relations) && !intended.contains(&name)
                }
            };
        if current.kind() == SqlErrorKind::UnknownColumn {
            intended.extend(current.candidates.iter().map(|c| c.to_lowercase()));
        }
        let error = current
            .clone()
            .into_error(place.as_ref().map(|p| to_range(p.shown.start, p.shown.end)));
        let repeated = errors.contains(&error);
        if independent && !repeated {
            errors.push(error);
        }
        let Some(hidden) = place.and_then(|p| p.hidden).filter(|_| !repeated) else {
            break;
        };
        let Some(edit) = target.edit(&current, hidden, &spots, &mut missing_relations) else {
            break;
        };
        edits.retain(|e| !(edit.range.start <= e.range.start && e.range.end <= edit.range.end));
        if edits
            .iter()
            .any(|e| e.range.start < edit.range.end && edit.range.start < e.range.end)
        {
            break;
        }
        edits.push(edit);
        edits.sort_by_key(|e| e.range.start);
        match probe(&target.render(&edits, NULLS[0])) {
            Ok(()) => break,
            Err(next) if next.kind() == SqlErrorKind::Syntax || next.is_fatal() => break,
            Err(next) if next.opaque_reason().is_some() => break,
            Err(next) => current = next,
        }
    }
    errors.sort_by_key(|e| e.range.as_ref().map_or(u32::MAX, |r| r.start));
    errors
}

/// Where a position of the edited text was before: `None` when it lies inside a replacement.
/// Positions are kept relative to the whole text from here on.
fn original_start(
    target: &Target<'_>,
    edits: &[Edit],
    start: Option<usize>,
) -> Option<Option<usize>> {
    let Some(at) = start else {
        return Some(None);
    };
    let mut original = target.start;
    let mut rendered = 0;
    for edit in edits {
        let kept = edit.range.start - original;
        if at < rendered + kept {
            return Some(Some(original + at - rendered));
        }
        rendered += kept;
        let len = edit.text(NULLS[0]).len();
        if at < rendered + len {
            return None;
        }
        rendered += len;
        original = edit.range.end;
    }
    Some(Some((original + at - rendered).min(target.sql.len())))
}

/// Errors about a name do not follow from a NULL elsewhere. After a relation went missing, its
/// columns do.
fn names_something(error: &RawError, missing: &BTreeSet<String>) -> bool {
    match error.kind() {
        SqlErrorKind::UnknownTable | SqlErrorKind::UnknownFunction => true,
        SqlErrorKind::UnknownColumn if missing.is_empty() => true,
        SqlErrorKind::UnknownColumn => error
            .message
            .split_once("table \"")
            .filter(|(_, rest)| rest.contains("does not have a column"))
            .and_then(|(_, rest)| rest.split_once('"'))
            .is_some_and(|(name, _)| !missing.contains(&name.to_lowercase())),
        SqlErrorKind::Ambiguous => missing.is_empty(),
        _ => false,
    }
}

impl Edit {
    fn text(&self, null: &str) -> String {
        match &self.with {
            Replacement::Null(after) => format!("{null}{after}"),
            Replacement::Relation(text) => text.clone(),
        }
    }
}

impl Target<'_> {
    fn render(&self, edits: &[Edit], null: &str) -> String {
        let mut out = String::new();
        let mut at = self.start;
        for edit in edits {
            out.push_str(self.sql.get(at..edit.range.start).unwrap_or_default());
            out.push_str(&edit.text(null));
            at = edit.range.end;
        }
        out.push_str(self.sql.get(at..self.end).unwrap_or_default());
        out
    }

    /// Whether the same error appears under NULLs of other types too.
    fn confirmed(&self, error: &RawError, edits: &[Edit], probe: &mut Probe<'_>) -> bool {
        // A replaced grouping key takes these with it, and what has no place cannot be told apart.
        let of_grouping = ["must appear in the GROUP BY", "GROUPING child"];
        if error.start.is_none() || of_grouping.iter().any(|m| error.message.contains(m)) {
            return false;
        }
        NULLS[1..].iter().all(|null| {
            probe(&self.render(edits, null)).is_err_and(|other| other.message == error.message)
        })
    }

    fn edit(
        &self,
        error: &RawError,
        hidden: Range<usize>,
        spots: &[Spot],
        missing: &mut BTreeSet<String>,
    ) -> Option<Edit> {
        if error.kind() == SqlErrorKind::UnknownTable {
            let last = self.tokens.iter().position(|t| t.end == hidden.end)?;
            let name = self.tokens.get(last)?.name(self.sql)?;
            missing.insert(name.clone());
            let mut text = "(SELECT 1 AS __mxcp)".to_owned();
            if !self.has_alias(last) {
                text.push_str(&format!(" AS {}", quote_identifier(&name)));
            } else if let Some(alias) = self.alias(last) {
                missing.insert(alias);
            }
            return Some(Edit {
                range: hidden,
                with: Replacement::Relation(text),
            });
        }
        let named = spots
            .iter()
            .find(|s| s.extent == hidden && s.unnamed_item && s.class == "COLUMN_REF")
            .and_then(|s| s.names.last());
        let after = named.map_or_else(String::new, |n| format!(" AS {}", quote_identifier(n)));
        Some(Edit {
            range: hidden,
            with: Replacement::Null(after),
        })
    }

    fn alias(&self, last: usize) -> Option<String> {
        let next = self.tokens.get(last + 1)?;
        let token = match next.is_word(self.sql, "AS") {
            true => self.tokens.get(last + 2)?,
            false => next,
        };
        token.name(self.sql)
    }

    fn has_alias(&self, last: usize) -> bool {
        const NO_ALIAS: [&str; 30] = [
            "where",
            "join",
            "on",
            "group",
            "order",
            "limit",
            "left",
            "right",
            "inner",
            "full",
            "cross",
            "natural",
            "using",
            "union",
            "except",
            "intersect",
            "having",
            "qualify",
            "window",
            "asof",
            "positional",
            "semi",
            "anti",
            "select",
            "offset",
            "tablesample",
            "outer",
            "fetch",
            "pivot",
            "unpivot",
        ];
        self.tokens.get(last + 1).is_some_and(|t| {
            t.is_word(self.sql, "AS")
                || (t
                    .name(self.sql)
                    .is_some_and(|n| !NO_ALIAS.contains(&n.as_str()))
                    && t.kind != crate::tokens::TokenKind::String)
        })
    }

    /// Where to point, and what to replace.
    fn place(&self, error: &RawError, spots: &[Spot]) -> Option<Place> {
        let name = error.subject().map(|n| n.to_lowercase());
        let Some(start) = error.start else {
            let shown = |range: Range<usize>| Place {
                shown: range,
                hidden: None,
            };
            return crate::unplaced::by_message(self.sql, self.tokens, error)
                .map(shown)
                .or_else(|| self.place_by_name(error, name.as_deref()?, spots))
                .or_else(|| self.tokens.first().map(|t| shown(t.start..t.end)));
        };
        let here = || spots.iter().filter(|s| s.location == start);
        let column =
            here().find(|s| s.class == "COLUMN_REF" && error.kind() == SqlErrorKind::UnknownColumn);
        let widest = column
            .or_else(|| here().max_by_key(|s| s.extent.len()))
            .map(|s| s.extent.clone());
        let named = self.named(start, name.as_deref());
        if error.kind() == SqlErrorKind::UnknownTable {
            let (range, shown) = named?;
            return Some(Place {
                shown,
                hidden: Some(range),
            });
        }
        let hidden = widest
            .or_else(|| (error.len > 0).then(|| start..start + error.len))
            .map(|range| self.balanced(range));
        let precise = matches!(
            error.kind(),
            SqlErrorKind::UnknownColumn | SqlErrorKind::UnknownFunction
        );
        let shown = match named {
            Some((_, shown)) if precise => shown,
            _ if error.len > 0 => start..(start + error.len).min(self.end),
            _ => self
                .tokens
                .iter()
                .find(|t| t.start <= start && start < t.end)
                .map_or(start..start, |t| start..t.end),
        };
        Some(Place { shown, hidden })
    }

    /// The dotted name at a position, and the part of it that the error names.
    fn named(&self, start: usize, name: Option<&str>) -> Option<(Range<usize>, Range<usize>)> {
        let first = self.tokens.iter().position(|t| t.start == start)?;
        let (start, last) = chain(self.sql, self.tokens, first)?;
        let parts = self.tokens.get(first..=last)?;
        let end = parts.last()?.end;
        let part = parts
            .iter()
            .rev()
            .find(|t| name.is_some() && t.name(self.sql).as_deref() == name)
            .or(parts.last())?;
        Some((start..end, part.start..part.end))
    }

    /// Some errors carry no position: a struct field or a name that occurs only once.
    fn place_by_name(&self, error: &RawError, name: &str, spots: &[Spot]) -> Option<Place> {
        if error.message.starts_with("could not find key")
            || error.message.starts_with("cannot extract field")
        {
            let spot = spots.iter().find(|s| {
                s.class == "COLUMN_REF" && s.names.iter().skip(1).any(|n| n.to_lowercase() == name)
            });
            if let Some(spot) = spot {
                let shown = self
                    .named(spot.location, Some(name))
                    .map_or(spot.extent.clone(), |n| n.1);
                return Some(Place {
                    shown,
                    hidden: Some(spot.extent.clone()),
                });
            }
        }
        let mut same = self
            .tokens
            .iter()
            .filter(|t| t.name(self.sql).as_deref() == Some(name));
        let first = same.next()?;
        Some(Place {
            shown: first.start..first.end,
            hidden: None,
        })
    }

    /// Widens a range until its brackets match.
    fn balanced(&self, range: Range<usize>) -> Range<usize> {
        let opens = |t: &Token| ["(", "[", "{"].iter().any(|b| t.is_symbol(self.sql, b));
        let closes = |t: &Token| [")", "]", "}"].iter().any(|b| t.is_symbol(self.sql, b));
        let (mut depth, mut missing) = (0usize, 0usize);
        for token in self
            .tokens
            .iter()
            .filter(|t| t.start >= range.start && t.end <= range.end)
        {
            if opens(token) {
                depth += 1;
            } else if closes(token) {
                match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => missing += 1,
                }
            }
        }
        let (mut start, mut end) = (range.start, range.end);
        for token in self.tokens.iter().rev().filter(|t| t.end <= range.start) {
            if missing == 0 {
                break;
            }
            start = token.start;
            missing -= usize::from(opens(token));
        }
        for token in self.tokens.iter().filter(|t| t.start >= range.end) {
            if depth == 0 {
                break;
            }
            end = token.end;
            depth -= usize::from(closes(token));
        }
        start..end
    }
}
