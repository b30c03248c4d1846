//! The names of the grammar for editors: what a condition and a prompt may use.

use super::grammar::GRAMMAR;
use super::prompt::known;

/// A name or function of CEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CelName {
    /// `user.role`, `size`, `has`.
    pub name: String,
    /// Its type, or the forms it is called in.
    pub detail: String,
    pub is_function: bool,
    /// Called on a value: `text.contains(…)`.
    pub is_method: bool,
}

/// Everything a condition may use beside its parameters and the result; `position` is `input` or `output`.
pub fn cel_names(position: &str) -> Vec<CelName> {
    let mut found = Vec::new();
    let name = |name: String, detail: String| CelName {
        name,
        detail,
        is_function: false,
        is_method: false,
    };
    let visible = GRAMMAR.positions.get(position);
    for visible in visible.into_iter().flat_map(|p| &p.names) {
        match visible.as_str() {
            "user" => {
                found.push(name("user".into(), "the caller".into()));
                for (field, ty) in &GRAMMAR.user.fields {
                    found.push(name(format!("user.{field}"), ty.clone()));
                }
            }
            "response" => found.push(name("response".into(), "the result".into())),
            _ => {}
        }
    }
    for (function, overloads) in &GRAMMAR.functions {
        let forms: Vec<String> = overloads
            .iter()
            .map(|o| {
                let args: Vec<String> = o.args.iter().map(|a| a.join("|")).collect();
                let call = format!("{function}({}) -> {}", args.join(", "), o.returns);
                match &o.receiver {
                    Some(receiver) => format!("{}.{call}", receiver.join("|")),
                    None => call,
                }
            })
            .collect();
        found.push(CelName {
            name: function.clone(),
            detail: forms.join("\n"),
            is_function: true,
            is_method: overloads.iter().any(|o| o.receiver.is_some()),
        });
    }
    for name in GRAMMAR.macros.keys() {
        found.push(CelName {
            name: name.clone(),
            detail: "a macro".into(),
            is_function: true,
            is_method: name != "has",
        });
    }
    found
}

pub fn prompt_globals() -> &'static [&'static str] {
    &known::GLOBALS
}

pub fn prompt_filters() -> &'static [&'static str] {
    &known::FILTERS
}

pub fn prompt_tests() -> &'static [&'static str] {
    &known::TESTS
}
