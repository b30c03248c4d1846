//! Type inference of one column, the way agate does it with dbt's testers.
//!
//! The order of preference is number, date, timestamp, boolean, text. dbt's own integer type never accepts text, so a
//! column is an integer only through its numbers having no decimals, or through having no values at all.

use super::SeedType;

/// Python's default decimal precision.
const PRECISION: i64 = 28;

const CURRENCIES: &[char] = &[
    '؋', '$', 'ƒ', '៛', '¥', '₡', '₱', '£', '€', '¢', '﷼', '₪', '₩', '₭', '₮', '₦', '฿', '₤', '₫',
];

/// What the values seen so far rule out.
#[derive(Clone, Debug)]
pub(super) struct Inference {
    number: bool,
    date: bool,
    timestamp: bool,
    iso_timestamp: bool,
    boolean: bool,
    /// Digits before and after the point, the most of any value.
    whole: i64,
    decimals: i64,
    any: bool,
}

impl Default for Inference {
    fn default() -> Inference {
        Inference {
            number: true,
            date: true,
            timestamp: true,
            iso_timestamp: true,
            boolean: true,
            whole: 1,
            decimals: 0,
            any: false,
        }
    }
}

impl Inference {
    pub(super) fn observe(&mut self, value: &str) {
        self.any = true;
        let value = value.trim();
        if is_null(value) {
            return;
        }
        if self.number {
            match number(value) {
                Some((whole, decimals)) => {
                    self.whole = self.whole.max(whole);
                    self.decimals = self.decimals.max(decimals);
                }
                None => self.number = false,
            }
        }
        self.date = self.date && is_date(value);
        // Two testers: a column that mixes both notations is text.
        self.timestamp = self.timestamp && is_timestamp(value);
        self.iso_timestamp = self.iso_timestamp && is_iso(value);
        if self.boolean {
            let plain = value.replace(',', "");
            let plain = plain.trim();
            self.boolean = is_null(plain)
                || plain.eq_ignore_ascii_case("true")
                || plain.eq_ignore_ascii_case("false");
        }
    }

    pub(super) fn seed_type(&self) -> SeedType {
        if !self.any {
            SeedType::Integer
        } else if self.number {
            // Past the precision agate's count goes wrong, and even below zero, and dbt takes any count but zero for a float.
            let decimals = if self.whole.saturating_add(self.decimals) > PRECISION {
                PRECISION - self.whole
            } else {
                self.decimals
            };
            if decimals != 0 {
                SeedType::Float
            } else {
                SeedType::Integer
            }
        } else if self.date {
            SeedType::Date
        } else if self.timestamp || self.iso_timestamp {
            SeedType::Timestamp
        } else if self.boolean {
            SeedType::Boolean
        } else {
            SeedType::Text
        }
    }
}

fn is_null(value: &str) -> bool {
    value.is_empty() || value.eq_ignore_ascii_case("null")
}

/// The digits of a number before and after the point; `None` when it is none.
fn number(value: &str) -> Option<(i64, i64)> {
    let value = value.trim_matches('%');
    let mut value = value.strip_prefix('-').unwrap_or(value);
    for currency in CURRENCIES {
        value = value.trim_matches(*currency);
    }
    decimal(&value.replace(',', ""))
}

/// The syntax of Python's `Decimal`. Infinity and NaN have no digits that count.
fn decimal(text: &str) -> Option<(i64, i64)> {
    let clean = text.trim().replace('_', "").to_ascii_lowercase();
    let body = clean.strip_prefix(['+', '-']).unwrap_or(&clean);
    if matches!(body, "inf" | "infinity") {
        return Some((1, 0));
    }
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if let Some(payload) = body.strip_prefix("nan") {
        return all_digits(payload).then_some((1, 0));
    }
    let (coefficient, exponent) = match body.split_once('e') {
        None => (body, 0),
        Some((coefficient, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !all_digits(digits) {
                return None;
            }
            // An exponent that fits no integer is out of Python's range, too.
            (coefficient, exponent.parse::<i64>().ok()?)
        }
    };
    let (whole, fraction) = coefficient.split_once('.').unwrap_or((coefficient, ""));
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    // Agate leaves out what a float cannot hold.
    if body.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Some((1, 0));
    }
    let mut significant = digits.trim_start_matches('0');
    let count = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let mut exponent = exponent.saturating_sub(count(fraction));
    let over = count(significant) - PRECISION;
    if over > 0 {
        significant = &significant[..significant.len() - usize::try_from(over).ok()?];
        exponent = exponent.saturating_add(over);
    }
    let length = count(significant.trim_end_matches('0'));
    if length == 0 {
        return Some((1, 0));
    }
    exponent = exponent.saturating_add(count(significant) - length);
    Some((length.saturating_add(exponent), exponent.saturating_neg()))
}

/// A cursor for `strptime`-like fields.
struct Fields<'t>(&'t str);

impl Fields<'_> {
    /// A number of up to `max` digits; the longest prefix that is at most `limit`, as the patterns of `strptime` are.
    fn number(&mut self, max: usize, limit: u32) -> Option<u32> {
        let digits = self
            .0
            .bytes()
            .take(max)
            .take_while(u8::is_ascii_digit)
            .count();
        for len in (1..=digits).rev() {
            let value: u32 = self.0[..len].parse().ok()?;
            if value <= limit {
                self.0 = &self.0[len..];
                return Some(value);
            }
        }
        None
    }

    fn exactly(&mut self, len: usize) -> Option<u32> {
        let text = self.0.get(..len)?;
        let value = text.bytes().all(|b| b.is_ascii_digit()).then_some(text)?;
        self.0 = &self.0[len..];
        value.parse().ok()
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    fn date(&mut self) -> Option<bool> {
        let year = self.exactly(4)?;
        self.eat('-')?;
        let month = self.number(2, 12).filter(|month| *month > 0)?;
        self.eat('-')?;
        // `strptime` takes a space for the tens of a day.
        if self.0.starts_with(' ') && self.0[1..].starts_with(|c: char| c.is_ascii_digit()) {
            self.0 = &self.0[1..];
            let day = self.number(1, 9).filter(|day| *day > 0)?;
            return Some(exists(year, month, day));
        }
        let day = self.number(2, 31).filter(|day| *day > 0)?;
        Some(exists(year, month, day))
    }
}

fn exists(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=9999).contains(&year) && (1..=days).contains(&day)
}

/// `%Y-%m-%d`.
fn is_date(value: &str) -> bool {
    let mut fields = Fields(value);
    fields.date() == Some(true) && fields.0.is_empty()
}

/// `%Y-%m-%d %H:%M:%S`.
fn is_timestamp(value: &str) -> bool {
    let mut fields = Fields(value);
    let parse = |fields: &mut Fields<'_>| {
        let exists = fields.date()?;
        let rest = fields.0.trim_start();
        if rest.len() == fields.0.len() {
            return None;
        }
        fields.0 = rest;
        fields.number(2, 23)?;
        fields.eat(':')?;
        fields.number(2, 59)?;
        fields.eat(':')?;
        // `strptime` reads leap seconds, which no time can hold.
        let second = fields.number(2, 61)?;
        Some(exists && second < 60)
    };
    parse(&mut fields) == Some(true) && fields.0.is_empty()
}

/// An ISO 8601 date and time around a `T`.
fn is_iso(value: &str) -> bool {
    let mut parts = value.split('T');
    let (Some(date), Some(time), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    is_iso_date(date) && is_iso_time(time)
}

/// The fields of `text` by a layout in which letters stand for digits and everything else for itself.
fn layout(text: &str, layout: &str) -> Option<[u32; 128]> {
    if text.len() != layout.len() {
        return None;
    }
    let mut fields = [0; 128];
    for (found, wanted) in text.bytes().zip(layout.bytes()) {
        if wanted.is_ascii_lowercase() {
            if !found.is_ascii_digit() {
                return None;
            }
            let field = &mut fields[usize::from(wanted)];
            *field = *field * 10 + u32::from(found - b'0');
        } else if found != wanted {
            return None;
        }
    }
    Some(fields)
}

fn is_iso_date(text: &str) -> bool {
    const LAYOUTS: &[&str] = &[
        "yyyy-mm-dd",
        "yyyymmdd",
        "yyyy-Www-d",
        "yyyyWwwd",
        "yyyy-ddd",
        "yyyyddd",
        "yyyy-Www",
        "yyyyWww",
        "yyyy-mm",
        "yyyymm",
        "yyyy",
        "cc",
    ];
    for wanted in LAYOUTS {
        let Some(fields) = layout(text, wanted) else {
            continue;
        };
        let field = |name: u8| fields[usize::from(name)];
        let year = field(b'y');
        return match *wanted {
            "cc" => true,
            // Weeks and days of the year are added to the first of January; only the calendar's end can fail.
            _ if wanted.contains('W') || wanted.contains("ddd") => {
                (1..=9999).contains(&year)
                    && (year < 9999 || field(b'd') <= 365 && field(b'w') <= 52)
                    && (year > 1 || field(b'd') > 0 && field(b'w') > 0 || wanted.contains('W'))
            }
            "yyyy" => (1..=9999).contains(&year),
            // A zero month counts as January.
            _ => {
                let day = if wanted.contains('d') { field(b'd') } else { 1 };
                exists(year, field(b'm').max(1), day)
            }
        };
    }
    false
}

fn is_iso_time(text: &str) -> bool {
    let zone_at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone_at);
    let zone_fits = match zone {
        "" | "Z" => true,
        zone => {
            let fields = ["hh", "hhmm", "hh:mm"]
                .iter()
                .find_map(|wanted| layout(&zone[1..], wanted));
            zone != "Z" && fields.is_some()
        }
    };
    let (digits, fraction) = match clock.split_once(['.', ',']) {
        None => (clock, None),
        Some((digits, fraction)) => (digits, Some(fraction)),
    };
    let fraction_fits =
        fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
    let Some(fields) = ["hh:mm:ss", "hhmmss", "hh:mm", "hhmm", "hh"]
        .iter()
        .find_map(|wanted| layout(digits, wanted))
    else {
        return false;
    };
    let field = |name: u8| fields[usize::from(name)];
    zone_fits && fraction_fits && field(b'h') < 24 && field(b'm') < 60 && field(b's') < 60
}
