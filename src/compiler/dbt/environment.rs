//! The Jinja environment all dbt templates share: dbt's filters, Python's methods, limits.
//!
//! It holds no context: names come from [`super::context`]. Whitespace is kept as dbt keeps it (no
//! `trim_blocks`, one newline at the very end removed).

use std::sync::Arc;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior};

use super::filters;
use super::modules::datetime;
use super::pycompat::{self, MutableList, MutableMap};
use super::rewrite;

/// Instructions one template or macro may run.
pub(super) const FUEL: u64 = 5_000_000;

pub(super) fn new_environment() -> Environment<'static> {
    let mut env = Environment::new();
    // Errors carry byte ranges only in debug mode.
    env.set_debug(true);
    // As in dbt: an undefined value prints as nothing, and is an error to call or to look into. Unknown
    // names are reported by [`super::render`].
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(pycompat::method);
    for name in ["as_text", "as_bool", "as_native", "as_number"] {
        env.add_filter(name, |value: Value| value);
    }
    env.add_filter("is_list", |value: Value| value.kind() == ValueKind::Seq);
    filters::add(&mut env);
    // What a statement computes is not printed.
    env.add_function(rewrite::DO, |_: Value| Value::from(""));
    env.add_function(rewrite::ITEMS, |items: Value| -> Result<Value, Error> {
        Ok(match items.kind() {
            ValueKind::String | ValueKind::Iterable if !items.is_true() => items,
            ValueKind::String | ValueKind::Iterable => {
                Value::from(items.try_iter()?.collect::<Vec<_>>())
            }
            _ => items,
        })
    });
    env.add_function(rewrite::LIST, |items: Value| -> Result<Value, Error> {
        Ok(Value::from_object(MutableList::new(
            items.try_iter()?.collect(),
        )))
    });
    env.add_function(rewrite::DICT, |map: Value| -> Result<Value, Error> {
        let mut pairs = Vec::new();
        for key in map.try_iter()? {
            pairs.push((key.clone(), map.get_item(&key)?));
        }
        Ok(Value::from_object(MutableMap::new(pairs)))
    });
    env.add_function("dict", |first: Option<Value>, named: Kwargs| {
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        for (map, of_pairs) in [
            (
                first.clone(),
                first.as_ref().is_some_and(|m| m.kind() != ValueKind::Map),
            ),
            (Some(named.into()), false),
        ] {
            let Some(map) = map.filter(|map| !map.is_undefined()) else {
                continue;
            };
            for item in map.try_iter()? {
                let (key, value) = match of_pairs {
                    true => (item.get_item_by_index(0)?, item.get_item_by_index(1)?),
                    false => (item.clone(), map.get_item(&item)?),
                };
                pairs.retain(|(known, _)| *known != key);
                pairs.push((key, value));
            }
        }
        Ok::<_, Error>(Value::from_object(MutableMap::new(pairs)))
    });
    env.add_function(rewrite::FORMAT, |template: String, values: Value| {
        pycompat::percent(&template, &values)
    });
    env.add_function(
        rewrite::SUM,
        |state: &mut State<'_, '_>, left: Value, right: Value| {
            arithmetic(state, &left, &right, false)
        },
    );
    env.add_function(
        rewrite::DIFFERENCE,
        |state: &mut State<'_, '_>, left: Value, right: Value| {
            arithmetic(state, &left, &right, true)
        },
    );
    env
}

// Sums and differences in which dates may take part.
fn arithmetic(
    state: &State<'_, '_>,
    left: &Value,
    right: &Value,
    minus: bool,
) -> Result<Value, Error> {
    if let Some(result) = datetime::arithmetic(left, right, minus) {
        return result;
    }
    let sum = if minus { "a - b" } else { "a + b" };
    let values = Value::from_pairs([("a", left.clone()), ("b", right.clone())]);
    state.env().compile_expression(sum)?.eval(values)
}

/// A function that ignores the template's state.
pub(super) fn constant(value: Value) -> Value {
    let value = Arc::new(value);
    Value::from_function(move || (*value).clone())
}
