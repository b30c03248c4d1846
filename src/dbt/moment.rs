//! Points in time: reading what people and the engine write, days and months of the calendar, and
//! the forms in which dbt prints them. Always UTC, in microseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// How long a batch of a microbatch model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Hour,
    Day,
    Month,
    Year,
}

impl Period {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }
}

impl Moment {
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    pub(crate) fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub(crate) fn micros(self) -> i64 {
        self.0
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    pub(crate) fn of(year: i64, month: i64, day: i64) -> Self {
        Self(days_from_civil(year, month, day) * DAY)
    }

    pub(crate) fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.0.div_euclid(DAY))
    }

    /// Reads `2024-01-31`, with or without a time of day and a zone.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = text.split_at_checked(10)?;
        let mut parts = date.split('-');
        let year: i64 = parts.next()?.parse().ok()?;
        let month: i64 = parts.next()?.parse().ok()?;
        let day: i64 = parts.next()?.parse().ok()?;
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let start = Self::of(year, month, day);
        // The thirty-first of a shorter month.
        if start.civil() != (year, month, day) {
            return None;
        }
        let Some(time) = rest.strip_prefix(['T', ' ']) else {
            return rest.is_empty().then_some(start);
        };
        let (time, offset) = zone(time)?;
        let mut parts = time.splitn(3, ':');
        let hours: i64 = parts.next()?.parse().ok()?;
        let minutes: i64 = parts.next().map_or(Some(0), |m| m.parse().ok())?;
        let (seconds, fraction) = match parts.next() {
            None => (0, 0),
            Some(text) => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
                (whole.parse::<i64>().ok()?, digits.parse::<i64>().ok()?)
            }
        };
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        let of_day = ((hours * 60 + minutes) * 60 + seconds - offset) * SECOND + fraction;
        Some(Self(start.0 + of_day))
    }

    fn time_of_day(self) -> (i64, i64, i64, i64) {
        let micros = self.0.rem_euclid(DAY);
        let seconds = micros / SECOND;
        (
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            micros % SECOND,
        )
    }

    fn date(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `2024-01-31T10:11:12.000013Z`, as artifacts have it.
    pub fn stamp(self) -> String {
        let (h, m, s, micros) = self.time_of_day();
        format!("{}T{h:02}:{m:02}:{s:02}.{micros:06}Z", self.date())
    }

    /// `2024-01-31T10:11:12+00:00`, with a fraction where there is one.
    /// This many of a period earlier; `None` for a word that is no period.
    pub fn before(self, count: i64, period: &str) -> Option<Self> {
        Some(self.offset(Period::from_name(period)?, -count))
    }

    pub fn rfc3339(self) -> String {
        format!("{}T{}+00:00", self.date(), self.clock_text())
    }

    /// `2024-01-31 10:11:12+00:00`: how Python prints it, and so what dbt writes into SQL.
    pub(crate) fn in_sql(self) -> String {
        format!("{} {}+00:00", self.date(), self.clock_text())
    }

    /// `10:11:12`, for the lines of a log.
    pub fn clock(self) -> String {
        let (h, m, s, _) = self.time_of_day();
        format!("{h:02}:{m:02}:{s:02}")
    }

    fn clock_text(self) -> String {
        let (h, m, s, micros) = self.time_of_day();
        if micros == 0 {
            format!("{h:02}:{m:02}:{s:02}")
        } else {
            format!("{h:02}:{m:02}:{s:02}.{micros:06}")
        }
    }

    /// The start of the period it is in.
    pub(crate) fn truncate(self, period: Period) -> Self {
        let (year, month, _) = self.civil();
        match period {
            Period::Hour => Self(self.0 - self.0.rem_euclid(3600 * SECOND)),
            Period::Day => Self(self.0 - self.0.rem_euclid(DAY)),
            Period::Month => Self::of(year, month, 1),
            Period::Year => Self::of(year, 1, 1),
        }
    }

    /// The start of the period so many periods later.
    pub(crate) fn offset(self, period: Period, by: i64) -> Self {
        let start = self.truncate(period);
        let (year, month, _) = start.civil();
        match period {
            Period::Hour => Self(start.0 + by * 3600 * SECOND),
            Period::Day => Self(start.0 + by * DAY),
            Period::Month => {
                let months = year * 12 + (month - 1) + by;
                Self::of(months.div_euclid(12), months.rem_euclid(12) + 1, 1)
            }
            Period::Year => Self::of(year + by, 1, 1),
        }
    }

    /// The end of the period it is in; a moment that starts a period is its own.
    pub(crate) fn ceiling(self, period: Period) -> Self {
        if self.truncate(period) == self {
            self
        } else {
            self.offset(period, 1)
        }
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Splits the zone off: `Z`, `+02:00`, `+0200`, `+02` or nothing; its offset in seconds.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(at);
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = match digits.get(2..) {
        None | Some("") => 0,
        Some(minutes) => minutes.parse().ok()?,
    };
    let seconds = (hours * 60 + minutes) * 60;
    Some((
        time,
        if zone.starts_with('-') {
            -seconds
        } else {
            seconds
        },
    ))
}

// Eras of 400 years, each starting in March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_printing() {
        for (text, want) in [
            ("2024-02-29", Some("2024-02-29 00:00:00+00:00")),
            ("2024-02-30", None),
            ("2024-01-02T03:04:05Z", Some("2024-01-02 03:04:05+00:00")),
            (
                "2024-01-02 03:04:05.5+02",
                Some("2024-01-02 01:04:05.500000+00:00"),
            ),
            (
                "2024-01-01T00:30:00+01:00",
                Some("2023-12-31 23:30:00+00:00"),
            ),
            ("yesterday", None),
        ] {
            let got = Moment::parse(text).map(Moment::in_sql);
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn periods() {
        let at = |text: &str| Moment::parse(text).unwrap();
        let end = at("2024-09-17 16:06:00");
        for (period, by, want) in [
            (Period::Hour, -1, "2024-09-17 15:00:00"),
            (Period::Day, 1, "2024-09-18 00:00:00"),
            (Period::Month, -1, "2024-08-01 00:00:00"),
            (Period::Month, 4, "2025-01-01 00:00:00"),
            (Period::Year, -1, "2023-01-01 00:00:00"),
        ] {
            assert_eq!(end.offset(period, by), at(want));
        }
        assert_eq!(end.ceiling(Period::Day), at("2024-09-18"));
        assert_eq!(at("2024-09-18").ceiling(Period::Day), at("2024-09-18"));
    }
}
