//! SQL values as JSON: the one place that decides how each type is written.
//!
//! | type | JSON |
//! |---|---|
//! | integers of any width, DECIMAL | a number with all its digits |
//! | FLOAT, DOUBLE | a number; NaN and the infinities are null |
//! | DATE, TIME, TIMESTAMP, INTERVAL | ISO 8601 text; an instant (TIMESTAMPTZ) is shown in UTC, with `+00:00` |
//! | UUID, ENUM, BIT, JSON | text |
//! | BLOB, GEOMETRY | base64 |
//! | LIST, ARRAY | an array |
//! | STRUCT, MAP | an object; a map's keys become text, and a map in which two keys would become the same text is a list of `{"key": …, "value": …}` |
//! | TUPLE | an array |
//! | UNION, VARIANT | the value it holds |
//!
//! A declared type refines two of them: where a `string` is declared, a decimal and an integer beyond
//! 64 bits are text, for clients whose numbers are doubles; where an `object` or `array` is declared,
//! JSON text is parsed.
//!
//! Exact numbers need the `arbitrary_precision` feature of `serde_json`. With it a `Number` written by
//! another serializer than `serde_json`'s is an object: convert values by hand for those.

use std::cell::Cell as Counter;
use std::collections::HashSet;

use mxcp_artifact::{TypeDef, TypeKind};
use serde_json::{Map, Number, Value};

use super::decode::Build;
use super::iso;

/// Builds JSON and counts roughly how many bytes it holds.
pub(crate) struct JsonBuild {
    bytes: Counter<u64>,
    most: u64,
}

impl Default for JsonBuild {
    fn default() -> Self {
        Self::up_to(u64::MAX)
    }
}

impl JsonBuild {
    /// Stops in the middle of a value beyond this many bytes: who reads it must look at the size.
    pub(crate) fn up_to(most: u64) -> Self {
        Self {
            bytes: Counter::default(),
            most,
        }
    }

    fn count(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    // Digits that no double keeps.
    fn number(&self, text: String, hint: Option<&TypeDef>) -> Value {
        if !wants(hint, TypeKind::String)
            && let Ok(number) = text.parse()
        {
            self.count(text.len());
            return Value::Number(number);
        }
        self.string(text)
    }

    fn string(&self, text: impl Into<String>) -> Value {
        let text = text.into();
        self.count(text.len() + 2);
        Value::String(text)
    }
}

fn wants(hint: Option<&TypeDef>, kind: TypeKind) -> bool {
    hint.is_some_and(|h| h.kind == kind)
}

fn double(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

impl Build for JsonBuild {
    type Out = Value;

    fn size(&self) -> u64 {
        self.bytes.get()
    }

    fn full(&self) -> bool {
        self.bytes.get() > self.most
    }

    fn null(&self) -> Value {
        self.count(4);
        Value::Null
    }

    fn bool(&self, value: bool) -> Value {
        self.count(5);
        Value::Bool(value)
    }

    fn int(&self, value: i128, hint: Option<&TypeDef>) -> Value {
        self.count(8);
        if let Ok(value) = i64::try_from(value) {
            value.into()
        } else if let Ok(value) = u64::try_from(value) {
            value.into()
        } else {
            self.digits(value.to_string(), hint)
        }
    }

    fn digits(&self, text: String, hint: Option<&TypeDef>) -> Value {
        self.number(text, hint)
    }

    fn decimal(&self, unscaled: i128, scale: u8, hint: Option<&TypeDef>) -> Value {
        if scale == 0 {
            return self.int(unscaled, hint);
        }
        let text = decimal_text(unscaled, scale);
        match text.parse::<f64>() {
            // As short as a double prints: `10.5`, not `10.50`.
            Ok(value) if !wants(hint, TypeKind::String) && keeps_digits(unscaled, &text, value) => {
                self.count(8);
                double(value)
            }
            _ => self.number(text, hint),
        }
    }

    fn float(&self, value: f64) -> Value {
        self.count(8);
        double(value)
    }

    // As a key it has a text even where it is no JSON number.
    fn float_key(&self, value: f64) -> Value {
        if value.is_finite() {
            return self.float(value);
        }
        self.string(match (value.is_nan(), value < 0.0) {
            (true, _) => "NaN",
            (false, true) => "-Infinity",
            (false, false) => "Infinity",
        })
    }

    fn text(&self, text: &str, json: bool, hint: Option<&TypeDef>) -> Value {
        if json
            && (wants(hint, TypeKind::Object) || wants(hint, TypeKind::Array))
            && let Ok(value) = serde_json::from_str(text)
        {
            self.count(text.len());
            return value;
        }
        self.string(text)
    }

    fn bytes(&self, bytes: &[u8]) -> Value {
        self.string(base64(bytes))
    }

    fn date(&self, days: i32) -> Value {
        self.string(iso::date(days))
    }

    fn time(&self, nanos: i64, offset: Option<i32>) -> Value {
        self.string(iso::time(nanos, offset))
    }

    fn timestamp(&self, micros: i64, nanos: u16, utc: bool) -> Value {
        self.string(iso::timestamp(micros, nanos, utc.then_some(0)))
    }

    fn interval(&self, months: i32, days: i32, micros: i64) -> Value {
        self.string(iso::interval(months, days, micros))
    }

    fn uuid(&self, text: String) -> Value {
        self.string(text)
    }

    fn list(&self, items: Vec<Value>) -> Value {
        self.count(2);
        Value::Array(items)
    }

    fn record(&self, fields: Vec<(String, Value)>) -> Value {
        self.count(fields.iter().map(|(name, _)| name.len() + 4).sum());
        Value::Object(fields.into_iter().collect())
    }

    fn map(&self, entries: Vec<(Value, Value)>) -> Value {
        let names: HashSet<String> = entries.iter().map(|(key, _)| key_text(key)).collect();
        if names.len() < entries.len() {
            self.count(entries.len() * 20);
            return entries
                .into_iter()
                .map(|(key, value)| serde_json::json!({ "key": key, "value": value }))
                .collect();
        }
        self.count(names.iter().map(|name| name.len() + 4).sum());
        let object: Map<String, Value> = entries
            .into_iter()
            .map(|(key, value)| (key_text(&key), value))
            .collect();
        Value::Object(object)
    }
}

fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The digits as SQL prints them, e.g. `-0.050`.
pub(crate) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let digits = format!(
        "{:0>width$}",
        unscaled.unsigned_abs(),
        width = usize::from(scale) + 1
    );
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if unscaled < 0 { "-" } else { "" };
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

// Fifteen digits always survive; beyond that, compare what the double prints.
fn keeps_digits(unscaled: i128, text: &str, value: f64) -> bool {
    if unscaled.unsigned_abs() < 1_000_000_000_000_000 {
        return true;
    }
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    trim(text) == trim(&value.to_string())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .chain([0u8; 2].iter())
            .take(3)
            .fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        for i in 0..4 {
            if i <= group.len() {
                let index = (word >> (18 - 6 * i)) & 63;
                out.push(char::from(ALPHABET[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        let build = JsonBuild::default();
        assert_eq!(build.decimal(1050, 2, None), serde_json::json!(10.5));
        assert_eq!(build.decimal(-5, 3, None), serde_json::json!(-0.005));
        let long = 12_345_678_901_234_567_890_123_i128;
        let number = TypeDef::new(TypeKind::Number);
        for hint in [None, Some(&number)] {
            let value = build.decimal(long, 3, hint);
            assert_eq!(value.to_string(), "12345678901234567890.123");
        }
        let string = TypeDef::new(TypeKind::String);
        assert_eq!(
            build.decimal(1050, 2, Some(&string)),
            serde_json::json!("10.50")
        );
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"abc"), "YWJj");
    }
}
