//! What is wrong with a value, where inside it, and how that reads.
//!
//! The first half of a message is the text that existing projects and their tests know; what
//! follows its semicolon is ours: the value, what is expected, an example. Values go into a message
//! only through here, so that one rule decides what may be shown.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};

use mxcp_artifact::TypeDef;
use serde_json::Value;

use crate::repr;

/// Longer values are cut: a message is read by people and by models.
const SHOWN: usize = 60;

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Property(String),
    Item(usize),
}

/// A violation of a declared type; small, because it travels in every result.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault(Box<Details>);

/// What there is to say about a violation.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub path: Vec<Step>,
    pub text: String,
    /// A value that belongs to the text itself, behind a colon.
    pub named: Option<String>,
    /// What is expected, where the text does not say it.
    pub expected: Option<String>,
    /// The offending value; `None` where there is none to show.
    pub value: Option<Value>,
}

impl Deref for Fault {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Fault {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl Fault {
    pub fn new(text: impl Into<String>, value: &Value) -> Self {
        Self(Box::new(Details {
            path: Vec::new(),
            text: text.into(),
            named: None,
            expected: None,
            value: Some(value.clone()),
        }))
    }

    /// The same, one level further out.
    #[must_use]
    pub fn inside(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }

    #[must_use]
    pub fn named(mut self, value: impl Into<String>) -> Self {
        self.named = Some(value.into());
        self
    }

    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    #[must_use]
    pub fn without_value(mut self) -> Self {
        self.value = None;
        self
    }

    /// The declared type at the place of the violation, and whether what is there may be shown.
    pub fn place<'a>(&self, root: &'a TypeDef) -> (Option<&'a TypeDef>, bool) {
        let mut ty = Some(root);
        let mut open = !root.sensitive;
        for step in &self.path {
            ty = ty.and_then(|ty| match step {
                Step::Property(name) => ty.property(name),
                Step::Item(_) => ty.items.as_deref(),
            });
            open &= ty.is_none_or(|ty| !ty.sensitive);
        }
        (ty, open && ty.is_none_or(|ty| !ty.has_sensitive()))
    }

    /// The violation alone: where it is and what it is.
    pub fn sentence(&self, root: &TypeDef) -> String {
        let (_, open) = self.place(root);
        let mut out = String::new();
        for step in &self.path {
            let _ = match step {
                Step::Property(name) => write!(out, "Property '{name}': "),
                Step::Item(index) => write!(out, "Array item {index}: "),
            };
        }
        out.push_str(&self.text);
        if let Some(named) = self.named.as_ref().filter(|_| open) {
            let _ = write!(out, ": {}", cut(named));
        }
        out
    }

    /// The violation, then the value, what is expected and an example.
    pub fn explain(&self, root: &TypeDef, example: Option<&Value>) -> String {
        let (_, open) = self.place(root);
        let mut parts = Vec::new();
        if let Some(value) = &self.value
            && self.named.is_none()
            && open
        {
            parts.push(format!("got {}", shown(value)));
        }
        parts.extend(self.expected.clone());
        parts.extend(example.and_then(as_example));
        let mut out = self.sentence(root);
        if !parts.is_empty() {
            let _ = write!(out, "; {}", parts.join(", "));
        }
        out
    }
}

/// `e.g. 7`; a value too long to be shown whole is no example.
pub fn as_example(value: &Value) -> Option<String> {
    let text = plain(value);
    (text.chars().count() <= 2 * SHOWN).then(|| format!("e.g. {text}"))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => repr::repr(&cut(text).into()),
        other => cut(&plain(other)),
    }
}

// As a client writes it, save that a text is quoted like the texts of the message around it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(_) => repr::repr(value),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ty(value: Value) -> TypeDef {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_message_names_place_value_expectation_and_example() {
        let order = ty(json!({"type": "object", "properties": [
            {"name": "lines", "type": {"type": "array", "items": {"type": "integer"}}}
        ]}));
        let fault = Fault::new("Expected integer, got str", &json!("x"))
            .inside(Step::Item(1))
            .inside(Step::Property("lines".into()));
        assert_eq!(
            fault.explain(&order, Some(&json!(7))),
            "Property 'lines': Array item 1: Expected integer, got str; got 'x', e.g. 7"
        );
        let fault = Fault::new("Invalid date format", &json!("soon"))
            .named("soon")
            .expecting("expected YYYY-MM-DD");
        assert_eq!(
            fault.explain(&ty(json!({"type": "string"})), None),
            "Invalid date format: soon; expected YYYY-MM-DD"
        );
    }

    #[test]
    fn long_values_are_cut_and_long_examples_left_out() {
        let long = "é".repeat(200);
        let fault = Fault::new("Bad", &json!(long));
        let text = fault.explain(&ty(json!({"type": "string"})), Some(&json!(long)));
        assert_eq!(text, format!("Bad; got '{}…'", "é".repeat(60)));
    }

    #[test]
    fn what_is_sensitive_is_never_shown() {
        let secret = ty(json!({"type": "string", "sensitive": true}));
        let fault = Fault::new("Invalid email format", &json!("hunter2")).named("hunter2");
        assert_eq!(fault.explain(&secret, None), "Invalid email format");
        let outer = ty(json!({"type": "object", "properties": [
            {"name": "login", "type": {"type": "object", "properties": [
                {"name": "password", "type": {"type": "string", "sensitive": true}},
                {"name": "name", "type": {"type": "string"}}
            ]}}
        ]}));
        let at = |path: &[&str]| {
            path.iter()
                .rev()
                .fold(Fault::new("Bad", &json!("hunter2")), |fault, name| {
                    fault.inside(Step::Property((*name).to_owned()))
                })
                .explain(&outer, None)
        };
        assert_eq!(at(&[]), "Bad");
        assert_eq!(at(&["login"]), "Property 'login': Bad");
        assert_eq!(
            at(&["login", "password"]),
            "Property 'login': Property 'password': Bad"
        );
        assert_eq!(
            at(&["login", "name"]),
            "Property 'login': Property 'name': Bad; got 'hunter2'"
        );
    }
}
