//! Dates, times and intervals as ISO 8601 text, over the whole range of DuckDB. No JSON, no time
//! zone database.

use std::fmt::Write as _;

use mxcp_values::formats;

const DAY: i64 = 86_400_000_000;

/// `2024-01-31`; years before 1 count down from `0000`, the extremes are infinities.
pub(crate) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        days if days == -i32::MAX => "-infinity".into(),
        days => civil(i64::from(days)),
    }
}

// Howard Hinnant's days-to-civil; chrono's range is a tenth of DuckDB's.
fn civil(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}", year.abs())
}

/// `10:11:12`, with as many digits of the second as it has (six, or nine for nanoseconds).
pub(crate) fn time(nanos: i64, offset: Option<i32>) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let rest = nanos.rem_euclid(1_000_000_000);
    let mut text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if rest % 1000 != 0 {
        let _ = write!(text, ".{rest:09}");
    } else if rest != 0 {
        let _ = write!(text, ".{:06}", rest / 1000);
    }
    if let Some(seconds) = offset {
        text.push_str(&formats::offset_text(seconds));
    }
    text
}

/// `2024-01-31T10:11:12`; instants get their offset, shown in it.
pub(crate) fn timestamp(micros: i64, nanos: u16, offset: Option<i32>) -> String {
    if micros == i64::MAX {
        return "infinity".into();
    }
    if micros == -i64::MAX {
        return "-infinity".into();
    }
    let local = i128::from(micros) + i128::from(offset.unwrap_or(0)) * 1_000_000;
    let days = i64::try_from(local.div_euclid(DAY.into())).unwrap_or_default();
    let rest = i64::try_from(local.rem_euclid(DAY.into())).unwrap_or_default();
    format!(
        "{}T{}",
        civil(days),
        time(rest * 1000 + i64::from(nanos), offset)
    )
}

/// `P1Y2M3DT4H5M6.5S`; the empty interval is `PT0S`.
pub(crate) fn interval(months: i32, days: i32, micros: i64) -> String {
    let mut text = String::from("P");
    for (value, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if value != 0 {
            let _ = write!(text, "{value}{unit}");
        }
    }
    if micros != 0 {
        text.push('T');
        let seconds = micros / 1_000_000;
        for (value, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
            if value != 0 {
                let _ = write!(text, "{value}{unit}");
            }
        }
        let fraction = (micros % 1_000_000).abs();
        if seconds % 60 != 0 || fraction != 0 {
            let sign = if micros < 0 { "-" } else { "" };
            let _ = write!(text, "{sign}{}", (seconds % 60).abs());
            if fraction != 0 {
                let digits = format!("{fraction:06}");
                let _ = write!(text, ".{}", digits.trim_end_matches('0'));
            }
            text.push('S');
        }
    }
    if text.len() == 1 {
        text.push_str("T0S");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_iso_8601() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_753), "2024-01-31");
        assert_eq!(date(-719_529), "-0001-12-31");
        assert_eq!(date(i32::MAX), "infinity");
        assert_eq!(timestamp(-1, 0, None), "1969-12-31T23:59:59.999999");
        assert_eq!(timestamp(0, 0, Some(7200)), "1970-01-01T02:00:00+02:00");
        assert_eq!(timestamp(0, 7, None), "1970-01-01T00:00:00.000000007");
        assert_eq!(
            time(37_815_500_000_000, Some(-5400)),
            "10:30:15.500000-01:30"
        );
    }

    #[test]
    fn intervals_show_only_what_they_have() {
        assert_eq!(interval(0, 0, 0), "PT0S");
        assert_eq!(interval(14, 3, 5_400_000_000), "P1Y2M3DT1H30M");
        assert_eq!(interval(0, 0, -1_500_000), "PT-1.5S");
        assert_eq!(interval(0, -1, 250_000), "P-1DT0.25S");
    }
}
