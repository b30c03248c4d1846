//! One SQL value, and rows of them, as plain data: what passes between DuckDB and Python.
//!
//! This module must not know Python or DuckDB. It keeps the digits: an integer is never a float, a
//! decimal is its text.

use serde_json::Value;

/// One value of a relation, an argument or a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// The digits as SQL prints them, e.g. `-12.340`; also an integer beyond `i128`.
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date {
        days: i32,
    },
    /// Microseconds since midnight.
    Time {
        micros: i64,
    },
    /// Microseconds since 1970-01-01 00:00. With `tz` (an offset in seconds, `Some(0)` is UTC) they
    /// count the instant in UTC and the offset is only how to show it; without, they are wall-clock time.
    Timestamp {
        micros: i64,
        tz: Option<i32>,
    },
    Interval {
        months: i32,
        days: i32,
        micros: i64,
    },
    /// The canonical lower-case text with hyphens.
    Uuid(String),
    List(Vec<Cell>),
    Struct(Vec<(String, Cell)>),
    Map(Vec<(Cell, Cell)>),
}

impl Cell {
    /// The value of a JSON document: objects are structs, a whole number within 64 bits is an integer.
    pub fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_i64() {
                    Self::Int(value.into())
                } else if let Some(value) = number.as_u64() {
                    Self::Int(value.into())
                } else {
                    number.as_f64().map_or(Self::Null, Self::Float)
                }
            }
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Value::Object(fields) => Self::Struct(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "float",
            Self::Decimal(_) => "decimal",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Date { .. } => "date",
            Self::Time { .. } => "time",
            Self::Timestamp { .. } => "timestamp",
            Self::Interval { .. } => "interval",
            Self::Uuid(_) => "uuid",
            Self::List(_) => "list",
            Self::Struct(_) => "struct",
            Self::Map(_) => "map",
        }
    }
}

/// The result of a query. Every row has one cell per column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Cell;

    #[test]
    fn json_keeps_integers_apart_from_floats() {
        let cell = Cell::from_json(&json!({"a": [1, 1.0, u64::MAX, null], "b": "x"}));
        assert_eq!(
            cell,
            Cell::Struct(vec![
                (
                    "a".into(),
                    Cell::List(vec![
                        Cell::Int(1),
                        Cell::Float(1.0),
                        Cell::Int(u64::MAX.into()),
                        Cell::Null
                    ])
                ),
                ("b".into(), Cell::Text("x".into())),
            ])
        );
    }
}
