//! Days, moments and times as cells.

use chrono::{FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use mxcp_python::Cell;

pub(super) fn date_cell(date: NaiveDate) -> Cell {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_or(Cell::Null, |days| Cell::Date { days })
}

/// A moment with an offset counts in UTC.
pub(super) fn date_time_cell(moment: NaiveDateTime, offset: Option<i32>) -> Cell {
    let micros = moment.and_utc().timestamp_micros();
    match offset.and_then(FixedOffset::east_opt) {
        Some(offset) => Cell::Timestamp {
            micros: micros - i64::from(offset.local_minus_utc()) * 1_000_000,
            tz: Some(offset.local_minus_utc()),
        },
        None => Cell::Timestamp { micros, tz: None },
    }
}

pub(super) fn time_cell(time: NaiveTime) -> Cell {
    let micros = i64::from(time.num_seconds_from_midnight()) * 1_000_000
        + i64::from(time.nanosecond() / 1000);
    Cell::Time { micros }
}

#[cfg(test)]
mod tests {
    use mxcp_values::formats::date_time;

    use super::*;

    #[test]
    fn an_offset_counts_in_utc() {
        let (moment, offset) = date_time("1970-01-01T02:00:00+02:00").unwrap();
        assert_eq!(
            date_time_cell(moment, offset),
            Cell::Timestamp {
                micros: 0,
                tz: Some(7200)
            }
        );
    }
}
