//! An example of a value that a parameter accepts, for the messages about one that it does not.
//!
//! What the author gives comes first; what we make up from the constraints is shown only if the
//! validator of the parameter itself accepts it.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use serde_json::{Map, Value};

use crate::checked::Checked;
use crate::coerce::without_nulls;
use crate::decimal::Decimal;
use crate::pattern;

/// More than this is not tried: an example is a courtesy.
const ATTEMPTS: usize = 24;
const DEPTH: usize = 6;
/// Arrays and texts that must be longer than this have no readable example.
const LONGEST: usize = 64;

/// An accepted value: of `examples`, of `enum`, the default, else one made up.
pub fn example(ty: &TypeDef) -> Option<Value> {
    nth(ty, 0, DEPTH)
}

// The different examples of a type in turn, for arrays whose items must differ.
fn nth(ty: &TypeDef, turn: usize, depth: usize) -> Option<Value> {
    let checked = Checked::new(ty);
    // The default of a secret may be the secret, and nothing shows little.
    let default = ty
        .default
        .iter()
        .filter(|value| !ty.sensitive && !is_empty(value));
    let given = ty
        .examples
        .iter()
        .chain(ty.allowed.iter().flatten())
        .chain(default)
        .filter(|value| !value.is_null())
        .filter_map(|value| accepted(ty, &checked, value.clone()));
    // Later turns go through what is given, then through what is made up.
    let given: Vec<Value> = if turn == 0 {
        given.take(1).collect()
    } else {
        given.collect()
    };
    if let Some(value) = given.get(turn) {
        return Some(value.clone());
    }
    let turn = turn - given.len();
    made_up(ty, turn, depth.checked_sub(1)?)
        .into_iter()
        .find_map(|value| accepted(ty, &checked, value))
}

// As a client may send it: without the nulls of optional properties.
fn accepted(ty: &TypeDef, checked: &Checked<'_>, value: Value) -> Option<Value> {
    let value = checked.accept(value).ok()?;
    Some(without_nulls(ty, &value))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn made_up(ty: &TypeDef, turn: usize, depth: usize) -> Vec<Value> {
    match ty.kind {
        TypeKind::Boolean => vec![Value::Bool(turn.is_multiple_of(2))],
        TypeKind::Integer | TypeKind::Number => numbers(ty, turn),
        TypeKind::String => texts(ty, turn),
        TypeKind::Array => array(ty, turn, depth).into_iter().collect(),
        TypeKind::Object => object(ty, turn, depth).into_iter().collect(),
    }
}

fn array(ty: &TypeDef, turn: usize, depth: usize) -> Option<Value> {
    let least = usize::try_from(ty.min_items.unwrap_or(0)).ok()?;
    let most = ty
        .max_items
        .map_or(usize::MAX, |n| n.try_into().unwrap_or(usize::MAX));
    let count = least.max(1).min(most);
    if count > LONGEST {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for attempt in turn..turn + count + ATTEMPTS {
        if items.len() == count {
            break;
        }
        let item = match &ty.items {
            Some(item) => match nth(item, attempt, depth) {
                Some(value) => value,
                None => break,
            },
            None => attempt.into(),
        };
        if !ty.unique_items || !items.contains(&item) {
            items.push(item);
        }
    }
    // An empty array, where nothing can be an item, may still do.
    (items.len() >= least).then(|| items.into())
}

fn object(ty: &TypeDef, turn: usize, depth: usize) -> Option<Value> {
    let mut out = Map::new();
    for name in &ty.required {
        let value = match ty.property(name) {
            Some(ty) => nth(ty, turn, depth)?,
            None => "example".into(),
        };
        out.insert(name.clone(), value);
    }
    // An object that need have nothing is shown with what it may have.
    if out.is_empty() {
        for property in ty.properties.iter().flatten() {
            if let Some(value) = nth(&property.ty, turn, depth) {
                out.insert(property.name.clone(), value);
            }
        }
    }
    Some(out.into())
}

fn texts(ty: &TypeDef, turn: usize) -> Vec<Value> {
    let least = usize::try_from(ty.min_length.unwrap_or(0)).unwrap_or(usize::MAX);
    let most = ty
        .max_length
        .map_or(usize::MAX, |n| n.try_into().unwrap_or(usize::MAX));
    if least > LONGEST || least > most {
        return Vec::new();
    }
    let pad = |text: &str, with: char, at: usize| {
        let missing = least.saturating_sub(text.chars().count());
        let mut text = text.to_owned();
        text.insert_str(at, &with.to_string().repeat(missing));
        text
    };
    let number = turn + 1;
    let mut out = match ty.format {
        Some(Format::Email) => {
            let name = if turn == 0 {
                "ada".to_owned()
            } else {
                format!("ada{number}")
            };
            vec![
                pad(&format!("{name}@example.com"), 'a', 0),
                format!("{name}@b.co"),
                format!(
                    "{}@b.co",
                    char::from(b'a' + u8::try_from(turn % 26).unwrap_or(0))
                ),
            ]
        }
        Some(Format::Uri) => {
            let page = if turn == 0 {
                String::new()
            } else {
                number.to_string()
            };
            let long = format!("https://example.com/{page}");
            vec![
                pad(&long, 'a', long.len()),
                format!("urn:a:{number}"),
                format!("a:{number}"),
            ]
        }
        Some(Format::Date) => vec![format!("2024-01-{:02}", turn % 28 + 1)],
        Some(Format::Time) => vec![
            format!("10:{:02}:00", turn % 60),
            format!("10:{:02}:00Z", turn % 60),
        ],
        Some(Format::DateTime) => vec![
            format!("2024-01-{:02}T10:30:00Z", turn % 28 + 1),
            format!("2024-01-{:02}T10:30:00", turn % 28 + 1),
            format!("2024-01-{:02}T10:30:00+00:00", turn % 28 + 1),
        ],
        Some(Format::Duration) => vec![format!("P{number}D"), format!("P{number}DT2H")],
        Some(Format::Timestamp) => vec![format!("{}", 1_706_695_872 + turn), turn.to_string()],
        None => {
            let word: String = "example"
                .chars()
                .cycle()
                .take(least.max(7).min(most))
                .collect();
            let mut other = word.clone();
            if turn > 0 {
                // The end tells one from the next.
                let mark = number.to_string();
                let keep = word.len().saturating_sub(mark.len());
                other.truncate(keep);
                other.push_str(&mark);
            }
            vec![other]
        }
    };
    if let Some(pattern) = &ty.pattern {
        let rounds = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
        out.extend(
            rounds
                .iter()
                .filter_map(|more| pattern::matching(pattern, *more, turn)),
        );
    }
    out.into_iter().map(Value::from).collect()
}

// The multiples of the step that lie within the bounds, from the lower one upwards.
fn numbers(ty: &TypeDef, turn: usize) -> Vec<Value> {
    let mut out = Vec::new();
    // Whole numbers read best; a narrow range needs finer steps.
    for finer in 0..3 {
        out.extend(multiples(ty, turn, finer).unwrap_or_default());
    }
    out
}

fn multiples(ty: &TypeDef, turn: usize, finer: u32) -> Option<Vec<Value>> {
    let turn = i128::try_from(turn).ok()?;
    let read = |number: &Option<serde_json::Number>| match number {
        Some(number) => Decimal::of(number).map(Some),
        None => Some(None),
    };
    let (low, above) = (read(&ty.minimum)?, read(&ty.exclusive_minimum)?);
    let (high, below) = (read(&ty.maximum)?, read(&ty.exclusive_maximum)?);
    let multiple = read(&ty.multiple_of)?.filter(|m| m.mantissa > 0);
    let all = [low, above, high, below, multiple];
    let scale = all.iter().flatten().map(|d| d.scale).max().unwrap_or(0) + finer;
    let at = |decimal: Decimal| decimal.at(scale);
    let unit = 10_i128.checked_pow(scale)?;
    let step = match (ty.kind, multiple) {
        (TypeKind::Integer, Some(m)) => {
            let m = at(m)?;
            (m / gcd(m, unit)).checked_mul(unit)?
        }
        (_, Some(m)) => at(m)?,
        (TypeKind::Number, None) if finer > 0 => 1,
        (_, None) => unit,
    };
    // Both bounds included.
    let least = [
        low.map(at),
        above.map(|d| at(d).and_then(|d| d.checked_add(1))),
    ];
    let most = [
        high.map(at),
        below.map(|d| at(d).and_then(|d| d.checked_sub(1))),
    ];
    let least = least.into_iter().flatten().collect::<Option<Vec<_>>>()?;
    let most = most.into_iter().flatten().collect::<Option<Vec<_>>>()?;
    let (least, most) = (least.into_iter().max(), most.into_iter().min());
    let up = |from: i128| {
        let start = from.div_euclid(step) + i128::from(from.rem_euclid(step) != 0);
        start.checked_add(turn)?.checked_mul(step)
    };
    let down = |from: i128| from.div_euclid(step).checked_sub(turn)?.checked_mul(step);
    let first = match (least, most) {
        // One reads better than nought.
        (Some(least), _) if least <= step => vec![up(step), up(least)],
        (Some(least), _) => vec![up(least)],
        (None, Some(most)) if most >= step => vec![up(step), down(most)],
        (None, Some(most)) => vec![down(most)],
        (None, None) => vec![up(step)],
    };
    let mut found: Vec<Value> = Vec::new();
    for mantissa in first.into_iter().flatten() {
        if least.is_none_or(|l| mantissa >= l) && most.is_none_or(|m| mantissa <= m) {
            found.push(Decimal { mantissa, scale }.lowest().to_json());
        }
    }
    Some(found)
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn shown(ty: Value) -> Value {
        let ty: TypeDef = serde_json::from_value(ty).unwrap();
        example(&ty).unwrap_or(Value::Null)
    }

    #[test]
    fn what_the_author_gives_comes_first_if_it_is_valid() {
        assert_eq!(
            shown(json!({"type": "integer", "minimum": 5, "examples": [7]})),
            7
        );
        assert_eq!(shown(json!({"type": "integer", "examples": ["8"]})), 8);
        assert_eq!(
            shown(json!({"type": "string", "enum": ["x", "y"], "examples": ["z"]})),
            "x"
        );
        assert_eq!(
            shown(json!({"type": "integer", "default": 3, "minimum": 4})),
            4
        );
        assert_eq!(shown(json!({"type": "integer", "default": 3})), 3);
        assert_eq!(
            shown(json!({"type": "string", "sensitive": true, "default": "hunter2"})),
            "example"
        );
    }

    #[test]
    fn numbers_respect_bounds_and_steps() {
        for (constraints, value) in [
            (json!({}), json!(1)),
            (json!({"minimum": 5}), json!(5)),
            (json!({"exclusiveMinimum": 5}), json!(6)),
            (json!({"maximum": -3}), json!(-3)),
            (json!({"minimum": 7, "multipleOf": 5}), json!(10)),
            (json!({"multipleOf": 1.5}), json!(3)),
            (json!({"minimum": 2, "maximum": 1}), Value::Null),
            (json!({"minimum": 1.2, "maximum": 1.8}), Value::Null),
        ] {
            let mut ty = constraints;
            ty["type"] = "integer".into();
            assert_eq!(shown(ty.clone()), value, "{ty}");
        }
        for (constraints, value) in [
            (json!({"exclusiveMinimum": 0, "exclusiveMaximum": 1}), "0.1"),
            (json!({"minimum": 0.25, "multipleOf": 0.1}), "0.3"),
            (
                json!({"exclusiveMinimum": 0.5, "exclusiveMaximum": 0.51}),
                "0.501",
            ),
        ] {
            let mut ty = constraints;
            ty["type"] = "number".into();
            assert_eq!(shown(ty).to_string(), value);
        }
    }

    #[test]
    fn texts_respect_lengths_formats_and_patterns() {
        for (ty, value) in [
            (json!({}), json!("example")),
            (json!({"maxLength": 3}), json!("exa")),
            (json!({"minLength": 9}), json!("exampleex")),
            (json!({"pattern": "^[A-Z]{2}-[0-9]+$"}), json!("AA-0")),
            (
                json!({"pattern": "^[a-z]+$", "minLength": 9}),
                json!("exampleex"),
            ),
            (
                json!({"pattern": "^[0-9]+$", "minLength": 4}),
                json!("0000"),
            ),
            (json!({"pattern": "^(?=x)y"}), Value::Null),
            (
                json!({"format": "email", "minLength": 20}),
                json!("aaaaada@example.com"),
            ),
            (json!({"format": "date"}), json!("2024-01-01")),
        ] {
            let mut ty = ty;
            ty["type"] = "string".into();
            let found = shown(ty.clone());
            if ty.get("format").is_some_and(|f| f == "email") {
                assert_eq!(found.as_str().map(str::len), Some(20));
            } else {
                assert_eq!(found, value, "{ty}");
            }
        }
    }

    #[test]
    fn arrays_and_objects_are_filled() {
        assert_eq!(
            shown(json!({"type": "array", "minItems": 3, "uniqueItems": true,
                         "items": {"type": "string", "enum": ["a", "b", "c"]}})),
            json!(["a", "b", "c"])
        );
        assert_eq!(
            shown(json!({"type": "array", "minItems": 3, "uniqueItems": true,
                         "items": {"type": "boolean"}})),
            Value::Null
        );
        assert_eq!(
            shown(json!({"type": "object", "required": ["id"], "properties": [
                {"name": "id", "type": {"type": "integer", "minimum": 3}},
                {"name": "note", "type": {"type": "string"}}
            ]})),
            json!({"id": 3})
        );
    }
}
