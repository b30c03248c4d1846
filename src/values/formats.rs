//! String formats: how each is read, and what makes a text of that format.
//!
//! The readers accept more than they write: a date as people type it, a date-time without seconds,
//! zone or `T`. What they give back is one canonical spelling.

use std::fmt::Write as _;
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use mxcp_artifact::Format;
use regex::Regex;

pub type Check = fn(&str) -> bool;

/// Checks of results by format name.
pub const CHECKS: [(&str, Check); 7] = [
    ("email", is_email),
    ("uri", is_uri),
    ("date", |text| {
        date(text).is_some_and(|day| date_text(day) == text) || is_infinite(text)
    }),
    ("time", |text| time(text).is_some()),
    ("date-time", |text| {
        date_time(text).is_some() || is_infinite(text)
    }),
    ("duration", is_duration),
    ("timestamp", |text| {
        date_time(text).is_some() || timestamp(text).is_some()
    }),
];

/// What a text of a format looks like, for messages.
pub fn expected(format: Format) -> &'static str {
    match format {
        Format::Email => "expected an e-mail address",
        Format::Uri => "expected a scheme, a colon and the rest",
        Format::Date => "expected YYYY-MM-DD",
        Format::Time => "expected HH:MM:SS",
        Format::DateTime => "expected ISO 8601",
        Format::Duration => "expected ISO 8601",
        Format::Timestamp => "expected seconds since 1970",
    }
}

fn is_infinite(text: &str) -> bool {
    text == "infinity" || text == "-infinity"
}

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// Everything with a dot behind the sign, and what the standard allows besides: a quoted name, a
/// host without a dot.
pub fn is_email(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[^@\s]+@[^@\s]+\.[^@\s]+$").ok());
    static STANDARD: LazyLock<Option<jsonschema::Validator>> = LazyLock::new(|| {
        jsonschema::options()
            .should_validate_formats(true)
            .offline()
            .build(&serde_json::json!({"format": "email"}))
            .ok()
    });
    matches(&PATTERN, text)
        || STANDARD
            .as_ref()
            .is_some_and(|s| s.is_valid(&serde_json::Value::from(text)))
}

pub fn is_uri(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[A-Za-z][A-Za-z0-9+.\-]*:").ok());
    matches(&PATTERN, text)
}

pub fn is_duration(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let n = r"-?\d+(?:[.,]\d+)?";
        Regex::new(&format!(
            "^-?P(?:{n}W|(?:{n}Y)?(?:{n}M)?(?:{n}D)?(?:T(?:{n}H)?(?:{n}M)?(?:{n}S)?)?)$"
        ))
        .ok()
    });
    matches(&PATTERN, text)
}

pub fn date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    // The reader would skip blanks between the numbers as well.
    text.bytes()
        .all(|b| b.is_ascii_digit() || b == b'-' || b == b'+')
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())?
}

pub fn date_text(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

// `20240131`, and `2024-W05-3`, the third day of the fifth week.
fn other_date(text: &str) -> Option<NaiveDate> {
    ["%Y%m%d", "%G-W%V-%u"]
        .iter()
        .find_map(|format| NaiveDate::parse_from_str(text, format).ok())
}

fn clock(text: &str, formats: &[&str]) -> Option<NaiveTime> {
    let text = text.replace(',', ".");
    text.bytes()
        .all(|b| b.is_ascii_digit() || b == b':' || b == b'.')
        .then(|| {
            formats
                .iter()
                .find_map(|format| NaiveTime::parse_from_str(&text, format).ok())
        })?
}

/// A time of day, with an offset in seconds if the text has one.
pub fn time(text: &str) -> Option<(NaiveTime, Option<i32>)> {
    let (text, offset) = split_offset(text.trim());
    let time = clock(text, &["%H:%M:%S%.f", "%H:%M"])?;
    Some((time, offset?))
}

/// A moment, with an offset in seconds if the text has one.
pub fn date_time(text: &str) -> Option<(NaiveDateTime, Option<i32>)> {
    let text = text.trim();
    if let Some(date) = date(text).or_else(|| other_date(text)) {
        return Some((date.and_time(NaiveTime::MIN), None));
    }
    let at = text.find(['T', 't', ' '])?;
    let (day, rest) = (text.get(..at)?, text.get(at + 1..)?);
    let day = date(day).or_else(|| other_date(day))?;
    let (time, offset) = split_offset(rest);
    let time = match time.parse::<u32>() {
        // The hour alone.
        Ok(hour) if time.len() == 2 => NaiveTime::from_hms_opt(hour, 0, 0),
        _ => clock(time, &["%H:%M:%S%.f", "%H:%M", "%H%M%S%.f", "%H%M"]),
    }?;
    Some((day.and_time(time), offset?))
}

// `None` inside means that what looks like an offset is none.
#[expect(clippy::option_option, reason = "no offset and a broken offset differ")]
fn split_offset(text: &str) -> (&str, Option<Option<i32>>) {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return (rest, Some(Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return (text, Some(None));
    };
    let (clock, offset) = text.split_at(at);
    let digits: String = offset.chars().skip(1).filter(|c| *c != ':').collect();
    let seconds = match digits.len() {
        2 => digits.parse::<i32>().ok().map(|h| h * 3600),
        4 => digits
            .parse::<i32>()
            .ok()
            .map(|hm| hm / 100 * 3600 + hm % 100 * 60),
        _ => None,
    };
    let seconds = seconds.filter(|s| *s < 86_400);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    (clock.trim_end(), seconds.map(|s| Some(s * sign)))
}

/// Seconds since the epoch: their plain decimal spelling, and the moment in UTC. Between the years 68
/// and 9892, as the pattern says that clients see: no Python function could receive a year of five
/// digits.
pub fn timestamp(text: &str) -> Option<(String, NaiveDateTime)> {
    let text = text.trim();
    let seconds: f64 = text.parse().ok()?;
    if !(-60e9..=250e9).contains(&seconds) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked; fractions of a microsecond are dropped"
    )]
    let micros = (seconds * 1e6).round() as i64;
    let moment = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        && (whole == "0" || !whole.starts_with('0'));
    let text = if plain {
        text.to_owned()
    } else {
        seconds.to_string()
    };
    Some((text, moment))
}

/// `2024-01-31T10:11:12.500000+02:00`
pub fn date_time_text(moment: NaiveDateTime, offset: Option<i32>) -> String {
    let fraction = if moment.and_utc().timestamp_subsec_nanos() == 0 {
        ""
    } else {
        "%.6f"
    };
    let mut text = moment
        .format(&format!("%Y-%m-%dT%H:%M:%S{fraction}"))
        .to_string();
    if let Some(seconds) = offset {
        text.push_str(&offset_text(seconds));
    }
    text
}

/// `10:11:12.500000`
pub fn time_text(time: NaiveTime, offset: Option<i32>) -> String {
    use chrono::Timelike as _;
    let fraction = if time.nanosecond() == 0 { "" } else { "%.6f" };
    let mut text = time.format(&format!("%H:%M:%S{fraction}")).to_string();
    if let Some(seconds) = offset {
        text.push_str(&offset_text(seconds));
    }
    text
}

/// `+02:00`
pub fn offset_text(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let mut text = format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if !seconds.is_multiple_of(60) {
        let _ = write!(text, ":{:02}", seconds % 60);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_usual_spelling() {
        let read = |text: &str| date_time(text).map(|(t, o)| date_time_text(t, o));
        for (text, canonical) in [
            ("2024-01-31T10:11:12Z", "2024-01-31T10:11:12+00:00"),
            ("2024-01-31 10:11", "2024-01-31T10:11:00"),
            ("2024-01-31", "2024-01-31T00:00:00"),
            ("20240131T101112.5+0130", "2024-01-31T10:11:12.500000+01:30"),
        ] {
            assert_eq!(read(text).as_deref(), Some(canonical), "{text}");
        }
        for text in [
            "2024-02-30T00:00:00",
            "10:00",
            "2024-01-31T10:11+99:99",
            "x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
