//! Exact decimal numbers, as JSON writes them: what a double would round.

use serde_json::{Number, Value};

/// `mantissa / 10^scale`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub mantissa: i128,
    pub scale: u32,
}

/// Why a text is no decimal number that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoDecimal {
    /// Not a number at all.
    Malformed,
    /// A number, with a fraction or beyond 128 bits as the case may be.
    Fraction,
    TooLarge,
}

impl Decimal {
    /// Reads `12`, `-1.50`, `+3`, `.5`, `5.` and `1e-3`, in lowest terms.
    pub(crate) fn parse(text: &str) -> Result<Self, NoDecimal> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (digits, exponent) = match rest.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, Some(exponent)),
            None => (rest, None),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if (whole.is_empty() && fraction.is_empty()) || !all().all(|b| b.is_ascii_digit()) {
            return Err(NoDecimal::Malformed);
        }
        let zero = all().all(|b| b == b'0');
        let exponent: i64 = match exponent {
            None => 0,
            Some(text) => {
                let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(NoDecimal::Malformed);
                }
                match text.parse() {
                    Ok(exponent) => exponent,
                    Err(_) if zero => 0,
                    Err(_) if text.starts_with('-') => return Err(NoDecimal::Fraction),
                    Err(_) => return Err(NoDecimal::TooLarge),
                }
            }
        };
        if zero {
            return Ok(Self {
                mantissa: 0,
                scale: 0,
            });
        }
        // Zeros at the end only move the point.
        let mut digits: Vec<u8> = all().collect();
        let mut point = i64::try_from(fraction.len()).unwrap_or(i64::MAX) - exponent;
        while digits.last() == Some(&b'0') {
            digits.pop();
            point -= 1;
        }
        let mut mantissa: i128 = 0;
        for digit in digits {
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|m| {
                    let digit = i128::from(digit - b'0');
                    if negative {
                        m.checked_sub(digit)
                    } else {
                        m.checked_add(digit)
                    }
                })
                .ok_or(if point > 0 {
                    NoDecimal::Fraction
                } else {
                    NoDecimal::TooLarge
                })?;
        }
        if point > 0 {
            let scale = u32::try_from(point).map_err(|_| NoDecimal::Fraction)?;
            return Ok(Self { mantissa, scale });
        }
        u32::try_from(-point)
            .ok()
            .and_then(|zeros| 10_i128.checked_pow(zeros))
            .and_then(|factor| mantissa.checked_mul(factor))
            .map(|mantissa| Self { mantissa, scale: 0 })
            .ok_or(NoDecimal::TooLarge)
    }

    pub(crate) fn of(number: &Number) -> Option<Self> {
        Self::parse(number.as_str()).ok()
    }

    /// The mantissa at a scale that is at least this one's.
    pub(crate) fn at(self, scale: u32) -> Option<i128> {
        let factor = 10_i128.checked_pow(scale.checked_sub(self.scale)?)?;
        self.mantissa.checked_mul(factor)
    }

    /// The same number with no zeros behind the point.
    #[must_use]
    pub(crate) fn lowest(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    pub(crate) fn to_json(self) -> Value {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let mut text = String::new();
        if self.mantissa < 0 {
            text.push('-');
        }
        if digits.len() > scale {
            text.push_str(&digits[..digits.len() - scale]);
        } else {
            text.push('0');
        }
        if scale > 0 {
            text.push('.');
            text.extend(std::iter::repeat_n('0', scale.saturating_sub(digits.len())));
            text.push_str(&digits[digits.len().saturating_sub(scale)..]);
        }
        text.parse().map_or(Value::Null, Value::Number)
    }
}

/// The integer that a text stands for, `1e3` and `5.0` included.
pub(crate) fn whole(text: &str) -> Result<i128, NoDecimal> {
    match Decimal::parse(text)? {
        Decimal { mantissa, scale: 0 } => Ok(mantissa),
        _ => Err(NoDecimal::Fraction),
    }
}

/// An integer as JSON, with all its digits.
pub(crate) fn integer(value: i128) -> Value {
    Decimal {
        mantissa: value,
        scale: 0,
    }
    .to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_exactly_in_every_spelling() {
        for (text, value) in [
            ("0", 0),
            ("-0.0e5", 0),
            ("007", 7),
            ("+5", 5),
            ("5.", 5),
            ("1.50e1", 15),
            ("1200e-2", 12),
            ("1e20", 100_000_000_000_000_000_000),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("-170141183460469231731687303715884105728", i128::MIN),
            ("0e99999999999999999999", 0),
        ] {
            assert_eq!(whole(text), Ok(value), "{text}");
        }
        for (text, problem) in [
            ("", NoDecimal::Malformed),
            (".", NoDecimal::Malformed),
            ("1_000", NoDecimal::Malformed),
            ("0x10", NoDecimal::Malformed),
            ("inf", NoDecimal::Malformed),
            ("1e", NoDecimal::Malformed),
            ("--1", NoDecimal::Malformed),
            ("٣", NoDecimal::Malformed),
            ("1.5", NoDecimal::Fraction),
            ("1e-99999999999999999999", NoDecimal::Fraction),
            (
                "170141183460469231731687303715884105728",
                NoDecimal::TooLarge,
            ),
            ("1e400", NoDecimal::TooLarge),
        ] {
            assert_eq!(whole(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn decimals_write_what_they_are() {
        for (mantissa, scale, text) in [(5, 3, "0.005"), (-125, 1, "-12.5"), (7, 0, "7")] {
            let decimal = Decimal { mantissa, scale };
            assert_eq!(decimal.to_json().to_string(), text);
        }
    }
}
