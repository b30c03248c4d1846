//! One atom of a selector, e.g. `2+tag:nightly+1`.

use serde_json::{Map, Value};

use super::Indirect;
use crate::RunError;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Criterion {
    /// With what follows it, e.g. `config.meta.owner`.
    pub(super) method: String,
    pub(super) value: String,
    /// `@`: the descendants and everything they need.
    pub(super) family: bool,
    pub(super) parents: Option<Depth>,
    pub(super) children: Option<Depth>,
    /// Unlike the command line's.
    pub(super) indirect: Option<Indirect>,
}

/// How far to follow; `None` for all the way.
pub(super) type Depth = Option<usize>;

impl Criterion {
    pub(super) fn parse(text: &str) -> Result<Self, RunError> {
        let (family, rest) = match text.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (parents, rest) = match rest.split_once('+') {
            Some((digits, after)) if all_digits(digits) => (Some(depth(text, digits)?), after),
            _ => (None, rest),
        };
        let (rest, children) = match rest.rsplit_once('+') {
            Some((before, digits)) if all_digits(digits) => (before, Some(depth(text, digits)?)),
            _ => (rest, None),
        };
        if family && children.is_some() {
            return Err(RunError::selector(
                text,
                "the prefix `@` and the suffix `+` exclude each other; drop one of them",
            ));
        }
        let is_method = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_.".contains(c))
        };
        let (method, value) = match rest.split_once(':') {
            Some((method, value)) if is_method(method) => (method.to_owned(), value),
            _ => (method_of_bare(rest).to_owned(), rest),
        };
        let criterion = Self {
            method,
            value: value.to_owned(),
            family,
            parents,
            children,
            indirect: None,
        };
        if value.is_empty() {
            return Err(RunError::selector(text, "it names nothing to select"));
        }
        super::methods::check(text, &criterion)?;
        Ok(criterion)
    }

    /// A definition of `selectors.yml`: one `method: value`, or both named, with the operators.
    pub(super) fn of_definition(shown: &str, map: &Map<String, Value>) -> Result<Self, RunError> {
        let text = |value: &Value| crate::resource::plain(value);
        let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
        let depth = |key: &str| -> Depth {
            map.get(key)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
        };
        let (method, value) = match (map.get("method"), map.get("value")) {
            (Some(method), Some(value)) => (text(method), text(value)),
            _ => match map.iter().next() {
                Some((method, value)) if map.len() == 1 => (method.clone(), text(value)),
                _ => {
                    return Err(RunError::selector(
                        shown,
                        "expected either one `method: value`, or the keys `method` and `value`",
                    ));
                }
            },
        };
        let indirect = match map.get("indirect_selection").and_then(Value::as_str) {
            None => None,
            Some(name) => Some(Indirect::from_name(name).ok_or_else(|| {
                RunError::selector(
                    shown,
                    format!("`{name}` is none of `eager`, `cautious`, `buildable`, `empty`"),
                )
            })?),
        };
        let criterion = Self {
            method,
            value,
            family: flag("childrens_parents"),
            parents: flag("parents").then(|| depth("parents_depth")),
            children: flag("children").then(|| depth("children_depth")),
            indirect,
        };
        super::methods::check(shown, &criterion)?;
        Ok(criterion)
    }
}

/// dbt's rule for a value without a method.
fn method_of_bare(value: &str) -> &'static str {
    let lower = value.to_lowercase();
    if value.contains('/') {
        "path"
    } else if [".sql", ".py", ".csv"].iter().any(|e| lower.ends_with(e)) {
        "file"
    } else {
        "fqn"
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn depth(selector: &str, digits: &str) -> Result<Depth, RunError> {
    if digits.is_empty() {
        return Ok(None);
    }
    digits
        .parse()
        .map(Some)
        .map_err(|_| RunError::selector(selector, format!("`{digits}` is too deep")))
}
