//! Equality of JSON values by value.

use serde_json::Value;

/// `5` equals `5.0`, `-0` equals `0`, everything else structurally.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || a.as_i64().is_some_and(|a| b.as_i64() == Some(a))
                || ((a.is_f64() || b.is_f64()) && a.as_f64().is_some_and(|a| b.as_f64() == Some(a)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => left == right,
    }
}
