//! SQL values as cells, the form in which Python receives rows and user functions their arguments.

use mxcp_artifact::TypeDef;
use mxcp_python::Cell;

use super::decode::Build;
use super::iso;
use super::json::decimal_text;

/// Builds cells. What a cell cannot hold (a time with a zone, an infinite date) becomes its text; of
/// nanoseconds only whole microseconds are kept, as in Python's own types.
pub(crate) struct CellBuild;

impl Build for CellBuild {
    type Out = Cell;

    fn null(&self) -> Cell {
        Cell::Null
    }

    fn bool(&self, value: bool) -> Cell {
        Cell::Bool(value)
    }

    fn int(&self, value: i128, _: Option<&TypeDef>) -> Cell {
        Cell::Int(value)
    }

    fn digits(&self, text: String, _: Option<&TypeDef>) -> Cell {
        Cell::Decimal(text)
    }

    fn decimal(&self, unscaled: i128, scale: u8, _: Option<&TypeDef>) -> Cell {
        Cell::Decimal(decimal_text(unscaled, scale))
    }

    fn float(&self, value: f64) -> Cell {
        Cell::Float(value)
    }

    fn text(&self, text: &str, _: bool, _: Option<&TypeDef>) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn bytes(&self, bytes: &[u8]) -> Cell {
        Cell::Bytes(bytes.to_vec())
    }

    fn date(&self, days: i32) -> Cell {
        if days == i32::MAX || days == -i32::MAX {
            Cell::Text(iso::date(days))
        } else {
            Cell::Date { days }
        }
    }

    fn time(&self, nanos: i64, offset: Option<i32>) -> Cell {
        if offset.is_some() {
            Cell::Text(iso::time(nanos, offset))
        } else {
            Cell::Time {
                micros: nanos / 1000,
            }
        }
    }

    fn timestamp(&self, micros: i64, nanos: u16, utc: bool) -> Cell {
        let tz = utc.then_some(0);
        if micros == i64::MAX || micros == -i64::MAX {
            Cell::Text(iso::timestamp(micros, nanos, tz))
        } else {
            Cell::Timestamp { micros, tz }
        }
    }

    fn interval(&self, months: i32, days: i32, micros: i64) -> Cell {
        Cell::Interval {
            months,
            days,
            micros,
        }
    }

    fn uuid(&self, text: String) -> Cell {
        Cell::Uuid(text)
    }

    fn list(&self, items: Vec<Cell>) -> Cell {
        Cell::List(items)
    }

    fn record(&self, fields: Vec<(String, Cell)>) -> Cell {
        Cell::Struct(fields)
    }

    fn map(&self, entries: Vec<(Cell, Cell)>) -> Cell {
        Cell::Map(entries)
    }
}
