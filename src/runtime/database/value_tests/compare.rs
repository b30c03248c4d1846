//! What a value is to look like as JSON, and whether it does.

use serde_json::Value;

#[derive(Clone, Debug)]
pub(super) enum Expect {
    Null,
    Bool(bool),
    /// A whole number, to the digit.
    Whole(String),
    /// A number with a fraction; trailing zeros do not count.
    Exact(String),
    Double(f64),
    Single(f32),
    Text(String),
    List(Vec<Expect>),
    Object(Vec<(String, Expect)>),
}

impl Expect {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The same with the keys of objects in order, as they are in a VARIANT.
    pub(super) fn sorted(self) -> Self {
        match self {
            Self::List(items) => Self::List(items.into_iter().map(Self::sorted).collect()),
            Self::Object(fields) => {
                let sorted = fields
                    .into_iter()
                    .map(|(name, value)| (name, value.sorted()));
                let mut fields: Vec<_> = sorted.collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Object(fields)
            }
            other => other,
        }
    }

    pub(super) fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(wanted), Value::Bool(got)) => wanted == got,
            (Self::Whole(wanted), Value::Number(got)) => *wanted == got.to_string(),
            (Self::Exact(wanted), Value::Number(got)) => normal(wanted) == normal(&got.to_string()),
            (Self::Double(wanted), Value::Number(got)) => {
                got.to_string().parse::<f64>().map(f64::to_bits) == Ok(wanted.to_bits())
            }
            (Self::Single(wanted), Value::Number(got)) => {
                let text = got.to_string();
                // As short as the float, not the double of the same value.
                text.parse::<f32>().map(f32::to_bits) == Ok(wanted.to_bits())
                    && normal(&text) == normal(&wanted.to_string())
            }
            (Self::Text(wanted), Value::String(got)) => wanted == got,
            (Self::List(wanted), Value::Array(got)) => {
                wanted.len() == got.len() && wanted.iter().zip(got).all(|(w, g)| w.matches(g))
            }
            (Self::Object(wanted), Value::Object(got)) => {
                wanted.len() == got.len()
                    && wanted
                        .iter()
                        .zip(got)
                        .all(|((name, w), (key, g))| name == key && w.matches(g))
            }
            _ => false,
        }
    }
}

/// Sign, digits without zeros at either end, and the power of ten of the last one.
fn normal(number: &str) -> (bool, String, i64) {
    let (number, exponent) = match number.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse().unwrap()),
        None => (number, 0),
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let power = exponent - i64::try_from(fraction.len()).unwrap()
        + i64::try_from(all.len() - kept.len()).unwrap();
    let digits = kept.trim_start_matches('0').to_owned();
    match digits.is_empty() {
        true => (false, digits, 0),
        false => (negative, digits, power),
    }
}

#[test]
fn numbers_are_compared_by_value() {
    assert_eq!(normal("10.50"), normal("1.05e1"));
    assert_eq!(normal("-0.0"), normal("0"));
    assert_ne!(normal("10.5"), normal("10.05"));
}
