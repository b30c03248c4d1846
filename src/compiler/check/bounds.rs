//! Constraints that exclude every value.

use mxcp_artifact::{TypeDef, TypeKind};
use serde_json::Number;

/// Beyond this a double no longer tells whole numbers apart, so nothing is proved.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) struct Impossible {
    /// The keyword to look at.
    pub(super) key: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

/// Why no value is of this type, if that is certain.
pub(super) fn impossible(ty: &TypeDef) -> Option<Impossible> {
    match ty.kind {
        TypeKind::String => counts(("minLength", ty.min_length), ("maxLength", ty.max_length)),
        TypeKind::Array => counts(("minItems", ty.min_items), ("maxItems", ty.max_items))
            .or_else(|| too_few_different(ty)),
        TypeKind::Number | TypeKind::Integer => range(ty),
        TypeKind::Boolean | TypeKind::Object => None,
    }
}

fn counts(least: (&'static str, Option<u64>), most: (&str, Option<u64>)) -> Option<Impossible> {
    let (low, high) = (least.1?, most.1?);
    (low > high).then(|| Impossible {
        key: least.0,
        message: format!("`{}: {low}` is above `{}: {high}`", least.0, most.0),
        help: "no value satisfies both: correct one of them".into(),
    })
}

// `uniqueItems` with fewer allowed items than `minItems` asks for.
fn too_few_different(ty: &TypeDef) -> Option<Impossible> {
    let items = ty.items.as_deref().filter(|_| ty.unique_items)?;
    let different = match (&items.allowed, items.kind) {
        (Some(allowed), _) => u64::try_from(allowed.len()).ok()?,
        (None, TypeKind::Boolean) => 2,
        _ => return None,
    };
    let least = ty.min_items.filter(|least| *least > different)?;
    Some(Impossible {
        key: "minItems",
        message: format!(
            "`minItems: {least}` asks for more than the {different} different items that there are"
        ),
        help: "lower it, or remove `uniqueItems`".into(),
    })
}

struct Bound<'a> {
    key: &'static str,
    text: &'a Number,
    value: f64,
    exclusive: bool,
}

fn bound<'a>(key: &'static str, number: Option<&'a Number>, exclusive: bool) -> Option<Bound<'a>> {
    let text = number?;
    let value = text.as_f64().filter(|value| value.abs() < EXACT)?;
    Some(Bound {
        key,
        text,
        value,
        exclusive,
    })
}

fn range(ty: &TypeDef) -> Option<Impossible> {
    // Of two bounds on a side the tighter one counts; the exclusive one where they are equal.
    let low = tighter(
        bound("minimum", ty.minimum.as_ref(), false),
        bound("exclusiveMinimum", ty.exclusive_minimum.as_ref(), true),
        |inclusive, exclusive| inclusive > exclusive,
    )?;
    let high = tighter(
        bound("maximum", ty.maximum.as_ref(), false),
        bound("exclusiveMaximum", ty.exclusive_maximum.as_ref(), true),
        |inclusive, exclusive| inclusive < exclusive,
    )?;
    let both = format!(
        "`{}: {}` and `{}: {}`",
        low.key, low.text, high.key, high.text
    );
    if low.value > high.value || (low.value == high.value && (low.exclusive || high.exclusive)) {
        return Some(Impossible {
            key: low.key,
            message: format!("no number satisfies {both}"),
            help: "correct one of them".into(),
        });
    }
    let step = match &ty.multiple_of {
        Some(step) => step.as_f64().filter(|step| *step > 0.0)?,
        None if ty.kind == TypeKind::Integer => 1.0,
        None => return None,
    };
    // A whole number that is a multiple of a fraction: too rare to prove.
    if ty.kind == TypeKind::Integer && step.fract() != 0.0 {
        return None;
    }
    // A slack of a few parts in 10^9 keeps decimal steps such as 0.1 from being called impossible.
    let slack = 1e-9;
    let mut first = (low.value / step - slack).ceil();
    if low.exclusive && (first * step - low.value).abs() <= slack * step {
        first += 1.0;
    }
    let reach = high.value / step + slack;
    let inside = first < reach - 2.0 * slack || (first <= reach && !high.exclusive);
    (!inside).then(|| match &ty.multiple_of {
        Some(step) => Impossible {
            key: "multipleOf",
            message: format!("no multiple of {step} satisfies {both}"),
            help: "widen the range, or correct the step".into(),
        },
        None => Impossible {
            key: low.key,
            message: format!("no whole number satisfies {both}"),
            help: "widen the range, or use `type: number`".into(),
        },
    })
}

fn tighter<'a>(
    inclusive: Option<Bound<'a>>,
    exclusive: Option<Bound<'a>>,
    wins: impl Fn(f64, f64) -> bool,
) -> Option<Bound<'a>> {
    match (inclusive, exclusive) {
        (Some(i), Some(e)) => Some(if wins(i.value, e.value) { i } else { e }),
        (i, e) => i.or(e),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message(ty: Value) -> Option<String> {
        let ty: TypeDef = serde_json::from_value(ty).expect("a type");
        impossible(&ty).map(|found| found.message)
    }

    #[test]
    fn ranges_without_a_number() {
        for ty in [
            json!({"type": "number", "minimum": 2, "maximum": 1}),
            json!({"type": "number", "minimum": 1, "exclusiveMaximum": 1}),
            json!({"type": "number", "minimum": 0, "exclusiveMinimum": 3, "maximum": 3}),
            json!({"type": "integer", "minimum": 1.2, "maximum": 1.8}),
            json!({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}),
            json!({"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5}),
            json!({"type": "number", "minimum": 0.1, "maximum": 0.2, "multipleOf": 0.25}),
            json!({"type": "string", "minLength": 3, "maxLength": 2}),
            json!({"type": "array", "minItems": 1, "maxItems": 0}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "boolean"}}),
        ] {
            assert!(message(ty.clone()).is_some(), "{ty}");
        }
    }

    #[test]
    fn ranges_with_one_number_at_least() {
        for ty in [
            json!({"type": "number", "minimum": 1, "maximum": 1}),
            json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
            json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2}),
            json!({"type": "integer", "minimum": 0, "maximum": 4, "multipleOf": 5}),
            json!({"type": "integer", "minimum": 1, "maximum": 5, "multipleOf": 5}),
            json!({"type": "number", "minimum": 0.3, "maximum": 0.3, "multipleOf": 0.1}),
            json!({"type": "number", "minimum": 0.05, "maximum": 0.1, "multipleOf": 0.1}),
            json!({"type": "number", "minimum": 1e300, "maximum": 1e299}),
            json!({"type": "integer", "minimum": 1}),
            json!({"type": "array", "minItems": 3, "items": {"type": "boolean"}}),
        ] {
            assert_eq!(message(ty.clone()), None, "{ty}");
        }
    }
}
