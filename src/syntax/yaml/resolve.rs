//! Implicit resolution of plain scalars, the YAML 1.1 rules exactly as PyYAML applies them, and their JSON values.
//!
//! This is the one table: nothing else decides whether `yes`, `010` or `1:30` is a string.

use serde_json::{Number, Value as Json};

use super::Kind;

/// Literals longer than this keep their text: nobody writes such a number, and converting bases is quadratic.
const MAX_LITERAL: usize = 1_000;

const NULLS: &[&str] = &["", "~", "null", "Null", "NULL"];
const TRUE: &[&str] = &[
    "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON",
];
const FALSE: &[&str] = &[
    "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF",
];
const INFINITIES: &[&str] = &[".inf", ".Inf", ".INF"];
const NANS: &[&str] = &[".nan", ".NaN", ".NAN"];

/// The kind of an untagged plain scalar.
pub(crate) fn plain(text: &str) -> Kind {
    if NULLS.contains(&text) {
        return Kind::Null;
    }
    if text.len() <= 5 && (TRUE.contains(&text) || FALSE.contains(&text)) {
        return Kind::Bool;
    }
    let first = text.as_bytes()[0];
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') {
        return Kind::String;
    }
    // A pattern that matches but has no digits left (`0b_`) makes PyYAML raise; a string is the kindest reading.
    if is_float(text) {
        Kind::Float
    } else if is_int(text) && int_digits(text).is_some() {
        Kind::Int
    } else if let Some(stamp) = Timestamp::parse(text) {
        stamp.kind()
    } else {
        Kind::String
    }
}

pub(crate) fn bool_value(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    if TRUE.contains(&lower.as_str()) {
        Some(true)
    } else if FALSE.contains(&lower.as_str()) {
        Some(false)
    } else {
        None
    }
}

/// Integers that fit `i64`.
pub(crate) fn i64_value(text: &str) -> Option<i64> {
    let (negative, digits) = int_digits(text)?;
    let magnitude: i128 = digits.parse().ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

pub(crate) fn f64_value(text: &str) -> Option<f64> {
    let clean = text.replace('_', "");
    let (negative, body) = sign(&clean);
    let value = if INFINITIES.contains(&body) {
        f64::INFINITY
    } else if NANS.contains(&clean.as_str()) {
        f64::NAN
    } else if body.contains(':') {
        let mut total = 0.0;
        for part in body.split(':') {
            total = total * 60.0 + part.parse::<f64>().ok()?;
        }
        total
    } else {
        body.parse::<f64>().ok()?
    };
    Some(if negative { -value } else { value })
}

/// The value of an integer: a JSON number when one can hold it, else its decimal digits as a string.
pub(crate) fn int_json(text: &str) -> Json {
    let Some((negative, digits)) = int_digits(text) else {
        return Json::String(text.to_owned());
    };
    if let Ok(value) = digits.parse::<u64>() {
        if !negative {
            return Json::Number(value.into());
        }
        if let Ok(value) = i64::try_from(-i128::from(value)) {
            return Json::Number(value.into());
        }
    }
    Json::String(if negative {
        format!("-{digits}")
    } else {
        digits
    })
}

/// The value of a float; JSON has no infinities and no NaN, so those are `null`.
pub(crate) fn float_json(text: &str) -> Json {
    f64_value(text)
        .and_then(Number::from_f64)
        .map_or(Json::Null, Json::Number)
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn all(text: &str, accept: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(accept)
}

fn digits_(text: &str) -> bool {
    all(text, |b| b.is_ascii_digit() || b == b'_')
}

/// `(:[0-5]?[0-9])+` after a leading part; returns the leading part.
fn sexagesimal(text: &str) -> Option<&str> {
    let (head, tail) = text.split_once(':')?;
    tail.split(':')
        .all(|part| match part.as_bytes() {
            [a] => a.is_ascii_digit(),
            [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
            _ => false,
        })
        .then_some(head)
}

fn is_int(text: &str) -> bool {
    let (_, body) = sign(text);
    if let Some(rest) = body.strip_prefix("0b") {
        return !rest.is_empty() && all(rest, |b| matches!(b, b'0' | b'1' | b'_'));
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return !rest.is_empty() && all(rest, |b| b.is_ascii_hexdigit() || b == b'_');
    }
    if let Some(rest) = body.strip_prefix('0') {
        return all(rest, |b| matches!(b, b'0'..=b'7' | b'_'));
    }
    let head = sexagesimal(body).unwrap_or(body);
    matches!(head.as_bytes().first(), Some(b'1'..=b'9')) && digits_(head)
}

fn is_float(text: &str) -> bool {
    let (_, body) = sign(text);
    if INFINITIES.contains(&body) || NANS.contains(&text) {
        return true;
    }
    let signed = body.len() != text.len();
    let Some((whole, fraction)) = body.split_once('.') else {
        return false;
    };
    if whole.is_empty() {
        // `.5` takes no sign, and needs a digit after the dot.
        return !signed
            && fraction.starts_with(|c: char| c.is_ascii_digit())
            && fraction_and_exponent(fraction);
    }
    if !whole.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    match sexagesimal(whole) {
        Some(head) => digits_(head) && digits_(fraction),
        None => digits_(whole) && fraction_and_exponent(fraction),
    }
}

/// `[0-9_]*([eE][-+][0-9]+)?`
fn fraction_and_exponent(text: &str) -> bool {
    match text.find(['e', 'E']) {
        None => digits_(text),
        Some(at) => {
            let exponent = &text[at + 1..];
            digits_(&text[..at])
                && exponent.starts_with(['-', '+'])
                && exponent.len() > 1
                && all(&exponent[1..], |b| b.is_ascii_digit())
        }
    }
}

/// Sign and decimal digits of an integer in any of PyYAML's notations, without leading zeros.
fn int_digits(text: &str) -> Option<(bool, String)> {
    if text.len() > MAX_LITERAL {
        return None;
    }
    let clean = text.replace('_', "");
    let (negative, body) = sign(&clean);
    let digits = if let Some(bits) = body.strip_prefix("0b") {
        in_base(bits.bytes(), 2)?
    } else if let Some(hex) = body.strip_prefix("0x") {
        in_base(hex.bytes(), 16)?
    } else if body.len() > 1 && body.starts_with('0') {
        in_base(body.bytes(), 8)?
    } else if body.contains(':') {
        let mut total = BigDecimal::default();
        for part in body.split(':') {
            total.multiply_add(60, 0);
            total.add(part)?;
        }
        total.to_string()
    } else {
        if body.is_empty() || !all(body, |b| b.is_ascii_digit()) {
            return None;
        }
        body.to_owned()
    };
    let trimmed = digits.trim_start_matches('0');
    Some(if trimmed.is_empty() {
        (false, "0".to_owned())
    } else {
        (negative, trimmed.to_owned())
    })
}

fn in_base(digits: impl ExactSizeIterator<Item = u8>, base: u32) -> Option<String> {
    if digits.len() == 0 {
        return None;
    }
    let mut total = BigDecimal::default();
    for digit in digits {
        total.multiply_add(base, char::from(digit).to_digit(base)?);
    }
    Some(total.to_string())
}

/// A natural number in base 10^9, least significant limb first: just enough to print what does not fit `u64`.
#[derive(Default)]
struct BigDecimal(Vec<u32>);

impl BigDecimal {
    const BASE: u64 = 1_000_000_000;

    /// Remainders are below 10^9, so the casts lose nothing.
    fn multiply_add(&mut self, factor: u32, term: u32) {
        let mut carry = u64::from(term);
        for limb in &mut self.0 {
            let value = u64::from(*limb) * u64::from(factor) + carry;
            *limb = (value % Self::BASE) as u32;
            carry = value / Self::BASE;
        }
        while carry > 0 {
            self.0.push((carry % Self::BASE) as u32);
            carry /= Self::BASE;
        }
    }

    /// Adds a decimal string; only called right after a multiplication, so schoolbook addition is enough.
    fn add(&mut self, digits: &str) -> Option<()> {
        let mut other = BigDecimal::default();
        for digit in digits.chars() {
            other.multiply_add(10, digit.to_digit(10)?);
        }
        let mut carry = 0;
        for index in 0..self.0.len().max(other.0.len()) {
            if index == self.0.len() {
                self.0.push(0);
            }
            let sum = self.0[index] + other.0.get(index).copied().unwrap_or(0) + carry;
            self.0[index] = sum % 1_000_000_000;
            carry = sum / 1_000_000_000;
        }
        if carry > 0 {
            self.0.push(carry);
        }
        Some(())
    }
}

impl std::fmt::Display for BigDecimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut limbs = self.0.iter().rev();
        match limbs.next() {
            None => f.write_str("0"),
            Some(first) => {
                write!(f, "{first}")?;
                limbs.try_for_each(|limb| write!(f, "{limb:09}"))
            }
        }
    }
}

/// A date or date-time as PyYAML's timestamp pattern splits it.
pub(crate) struct Timestamp<'t> {
    date: (u32, u32, u32),
    time: Option<(u32, u32, u32)>,
    fraction: &'t str,
    zone: Option<Zone>,
}

struct Zone {
    negative: bool,
    hours: u32,
    minutes: u32,
}

impl<'t> Timestamp<'t> {
    pub(crate) fn parse(text: &'t str) -> Option<Timestamp<'t>> {
        let mut scan = Scan(text);
        let year = scan.digits(4, 4)?;
        scan.eat('-')?;
        let (month, month_len) = scan.counted(1, 2)?;
        scan.eat('-')?;
        let (day, day_len) = scan.counted(1, 2)?;
        let mut stamp = Timestamp {
            date: (year, month, day),
            time: None,
            fraction: "",
            zone: None,
        };
        if scan.0.is_empty() {
            return (month_len == 2 && day_len == 2).then_some(stamp);
        }
        if scan.eat('T').or_else(|| scan.eat('t')).is_none() && !scan.blanks() {
            return None;
        }
        let hour = scan.digits(1, 2)?;
        scan.eat(':')?;
        let minute = scan.digits(2, 2)?;
        scan.eat(':')?;
        stamp.time = Some((hour, minute, scan.digits(2, 2)?));
        if scan.eat('.').is_some() {
            let len = scan.0.bytes().take_while(u8::is_ascii_digit).count();
            stamp.fraction = &scan.0[..len];
            scan.0 = &scan.0[len..];
        }
        let blanks = scan.blanks();
        if scan.0.is_empty() {
            return (!blanks).then_some(stamp);
        }
        let negative = scan.0.starts_with('-');
        let mut zone = Zone {
            negative,
            hours: 0,
            minutes: 0,
        };
        if scan.eat('Z').is_none() {
            scan.eat('-').or_else(|| scan.eat('+'))?;
            zone.hours = scan.digits(1, 2)?;
            if scan.eat(':').is_some() {
                zone.minutes = scan.digits(2, 2)?;
            }
        }
        stamp.zone = Some(zone);
        scan.0.is_empty().then_some(stamp)
    }

    pub(crate) fn kind(&self) -> Kind {
        if self.time.is_some() {
            Kind::Timestamp
        } else {
            Kind::Date
        }
    }

    /// Whether such a day and time exist; PyYAML raises when they do not.
    pub(crate) fn is_valid(&self) -> bool {
        let (year, month, day) = self.date;
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        let (hour, minute, second) = self.time.unwrap_or_default();
        let zone = self
            .zone
            .as_ref()
            .map_or(0, |zone| zone.hours * 60 + zone.minutes);
        year > 0
            && (1..=days).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60
            && zone < 24 * 60
    }

    /// ISO 8601, as Python's `isoformat` writes it.
    pub(crate) fn iso(&self) -> String {
        let (year, month, day) = self.date;
        let mut out = format!("{year:04}-{month:02}-{day:02}");
        let Some((hour, minute, second)) = self.time else {
            return out;
        };
        out += &format!("T{hour:02}:{minute:02}:{second:02}");
        let micros = format!("{:0<6.6}", self.fraction);
        if micros != "000000" {
            out += &format!(".{micros}");
        }
        if let Some(zone) = &self.zone {
            // Python normalises a zero offset to a plus sign, and carries minutes past 59 into the hours.
            let total = zone.hours * 60 + zone.minutes;
            let sign = if zone.negative && total > 0 { '-' } else { '+' };
            out += &format!("{sign}{:02}:{:02}", total / 60, total % 60);
        }
        out
    }
}

/// A cursor over ASCII text.
struct Scan<'t>(&'t str);

impl Scan<'_> {
    fn eat(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    fn blanks(&mut self) -> bool {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let moved = rest.len() != self.0.len();
        self.0 = rest;
        moved
    }

    fn digits(&mut self, min: usize, max: usize) -> Option<u32> {
        self.counted(min, max).map(|(value, _)| value)
    }

    fn counted(&mut self, min: usize, max: usize) -> Option<(u32, usize)> {
        let len = self
            .0
            .bytes()
            .take(max)
            .take_while(u8::is_ascii_digit)
            .count();
        if len < min {
            return None;
        }
        let value = self.0[..len].parse().ok()?;
        self.0 = &self.0[len..];
        Some((value, len))
    }
}
