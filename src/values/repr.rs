//! Values as Python writes them, for the messages that existing projects and their tests know.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// `repr(value)`
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// `str(value)`
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `[repr(a), repr(b)]`
pub fn list(values: &[Value]) -> String {
    let mut out = String::new();
    items(&mut out, values);
    out
}

/// The name of the Python type, as in `Expected integer, got str`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn items(out: &mut String, values: &[Value]) {
    out.push('[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(out, value);
    }
    out.push(']');
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => {
            out.push_str(&digits(number));
        }
        Value::String(text) => quoted(out, text),
        Value::Array(values) => items(out, values),
        Value::Object(fields) => {
            out.push('{');
            for (i, (key, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                quoted(out, key);
                out.push_str(": ");
                write(out, value);
            }
            out.push('}');
        }
    }
}

/// `repr(number)`. A number with more digits than a double can hold keeps them.
fn digits(number: &Number) -> String {
    let written = number.to_string();
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else {
        return written;
    };
    let short = format!("{value:e}");
    let (mantissa, exponent) = short.split_once('e').unwrap_or((&short, "0"));
    if significant(&written) != significant(mantissa) {
        return written;
    }
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..16) => {
            let plain = format!("{value}");
            if exponent >= 0 && !plain.contains('.') {
                format!("{plain}.0")
            } else {
                plain
            }
        }
        Ok(exponent) => format!(
            "{mantissa}e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        ),
        Err(_) => written,
    }
}

// The digits that count, without the exponent.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

fn quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::repr;

    #[test]
    fn values_print_like_python() {
        assert_eq!(
            repr(&json!([{"a": "it's", "b": null}, true, 1.0, "x\n"])),
            r#"[{'a': "it's", 'b': None}, True, 1.0, 'x\n']"#
        );
    }

    #[test]
    fn numbers_print_like_python() {
        for (json, python) in [
            ("5", "5"),
            ("5.0", "5.0"),
            ("10.50", "10.5"),
            ("0.1", "0.1"),
            ("-0.00001", "-1e-05"),
            ("0.0001", "0.0001"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.5e300", "1.5e+300"),
            ("0.0", "0.0"),
            ("12345678901234567890123.25", "12345678901234567890123.25"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(repr(&value), python);
        }
    }
}
