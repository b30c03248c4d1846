//! Random values of the types that hold no others. Texts are made from the parts that a value was
//! generated from (a year, an offset), never computed back from what the engine stores.

use proptest::collection::vec;
use proptest::prelude::*;

use super::compare::Expect;
use super::types::Sample;

#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Boolean,
    /// The name of the type and its least and greatest value.
    Integer(&'static str, i128, i128),
    UHugeInt,
    BigNum,
    Float,
    Double,
    Decimal(u8, u8),
    Varchar,
    Json,
    Blob,
    Uuid,
    Bit,
    Enum(Vec<String>),
    Date,
    Time,
    TimeNs,
    TimeTz,
    /// The name of the type, the years it can hold, and how many digits of the second.
    Timestamp(&'static str, i32, i32, u32),
    Interval,
    Null,
}

const INTEGERS: [(&str, i128, i128); 9] = [
    ("TINYINT", i8::MIN as i128, i8::MAX as i128),
    ("SMALLINT", i16::MIN as i128, i16::MAX as i128),
    ("INTEGER", i32::MIN as i128, i32::MAX as i128),
    ("BIGINT", i64::MIN as i128, i64::MAX as i128),
    ("HUGEINT", i128::MIN, i128::MAX),
    ("UTINYINT", 0, u8::MAX as i128),
    ("USMALLINT", 0, u16::MAX as i128),
    ("UINTEGER", 0, u32::MAX as i128),
    ("UBIGINT", 0, u64::MAX as i128),
];

const TIMESTAMPS: [(&str, i32, i32, u32); 6] = [
    ("TIMESTAMP", -290_000, 294_000, 6),
    ("TIMESTAMPTZ", -290_000, 294_000, 6),
    ("TIMESTAMP_S", -290_000, 294_000, 0),
    ("TIMESTAMP_MS", -290_000, 294_000, 3),
    ("TIMESTAMP_NS", 1678, 2261, 9),
    ("TIMESTAMPTZ_NS", 1678, 2261, 9),
];

pub(super) fn any_scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        1 => Just(Scalar::Boolean),
        4 => prop::sample::select(&INTEGERS[..]).prop_map(|(n, a, b)| Scalar::Integer(n, a, b)),
        1 => Just(Scalar::UHugeInt),
        1 => Just(Scalar::BigNum),
        1 => Just(Scalar::Float),
        1 => Just(Scalar::Double),
        3 => (1u8..=38).prop_flat_map(|w| (Just(w), 0..=w)).prop_map(|(w, s)| Scalar::Decimal(w, s)),
        2 => Just(Scalar::Varchar),
        1 => Just(Scalar::Json),
        1 => Just(Scalar::Blob),
        1 => Just(Scalar::Uuid),
        1 => Just(Scalar::Bit),
        1 => prop_oneof![9 => 1usize..4, 1 => 257usize..259].prop_map(|n| Scalar::Enum((0..n).map(|i| format!("ö{i}")).collect())),
        1 => Just(Scalar::Date),
        1 => Just(Scalar::Time),
        1 => Just(Scalar::TimeNs),
        1 => Just(Scalar::TimeTz),
        3 => prop::sample::select(&TIMESTAMPS[..])
            .prop_map(|(n, from, to, digits)| Scalar::Timestamp(n, from, to, digits)),
        1 => Just(Scalar::Interval),
        1 => Just(Scalar::Null),
    ]
}

impl Scalar {
    /// The types that are made keys of maps.
    pub(super) fn key() -> impl Strategy<Value = Self> {
        prop_oneof![
            Just(Self::Boolean),
            Just(Self::Varchar),
            Just(Self::Uuid),
            Just(Self::Date),
            Just(Self::Timestamp("TIMESTAMP_NS", 1678, 2261, 9)),
            prop::sample::select(&INTEGERS[..]).prop_map(|(n, a, b)| Self::Integer(n, a, b)),
        ]
    }

    pub(super) fn sql(&self) -> String {
        match self {
            Self::Boolean => "BOOLEAN".into(),
            Self::Integer(name, ..) | Self::Timestamp(name, ..) => (*name).into(),
            Self::UHugeInt => "UHUGEINT".into(),
            Self::BigNum => "BIGNUM".into(),
            Self::Float => "FLOAT".into(),
            Self::Double => "DOUBLE".into(),
            Self::Decimal(width, scale) => format!("DECIMAL({width},{scale})"),
            Self::Varchar => "VARCHAR".into(),
            Self::Json => "JSON".into(),
            Self::Blob => "BLOB".into(),
            Self::Uuid => "UUID".into(),
            Self::Bit => "BIT".into(),
            Self::Enum(words) => {
                let words: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
                format!("ENUM({})", words.join(", "))
            }
            Self::Date => "DATE".into(),
            Self::Time => "TIME".into(),
            Self::TimeNs => "TIME_NS".into(),
            Self::TimeTz => "TIMETZ".into(),
            Self::Interval => "INTERVAL".into(),
            Self::Null => "\"NULL\"".into(),
        }
    }

    pub(super) fn suits_variant(&self) -> bool {
        // JSON text becomes a structure there, and NULL has no type to keep.
        !matches!(self, Self::Json | Self::Null)
    }

    pub(super) fn values(&self) -> BoxedStrategy<Sample> {
        let ty = self.sql();
        let cast = move |text: &str| format!("CAST('{}' AS {ty})", text.replace('\'', "''"));
        match self {
            Self::Boolean => any::<bool>()
                .prop_map(|b| (b.to_string(), Expect::Bool(b)))
                .boxed(),
            Self::Integer(_, least, greatest) => integers(*least, *greatest)
                .prop_map(move |n| (cast(&n), Expect::Whole(n)))
                .boxed(),
            Self::UHugeInt => prop_oneof![Just(u128::MAX), any::<u128>(), 0..10u128]
                .prop_map(move |n| (cast(&n.to_string()), Expect::Whole(n.to_string())))
                .boxed(),
            Self::BigNum => prop_oneof!["-?[1-9][0-9]{0,80}", Just("0".to_owned())]
                .prop_map(move |n| (cast(&n), Expect::Whole(n)))
                .boxed(),
            Self::Float => any_float()
                .prop_map(move |f| {
                    let wanted = match f.is_finite() {
                        true => Expect::Single(f),
                        false => Expect::Null,
                    };
                    (cast(&format!("{f:e}")), wanted)
                })
                .boxed(),
            Self::Double => any_double()
                .prop_map(move |f| {
                    let wanted = match f.is_finite() {
                        true => Expect::Double(f),
                        false => Expect::Null,
                    };
                    (cast(&format!("{f:e}")), wanted)
                })
                .boxed(),
            Self::Decimal(width, scale) => decimals(*width, *scale)
                .prop_map(move |text| {
                    let wanted = match text.contains('.') {
                        true => Expect::Exact(text.clone()),
                        false => Expect::Whole(text.clone()),
                    };
                    (cast(&text), wanted)
                })
                .boxed(),
            Self::Varchar => texts()
                .prop_map(move |text| (cast(&text), Expect::Text(text)))
                .boxed(),
            Self::Json => json_texts()
                .prop_map(move |text| (cast(&text), Expect::Text(text)))
                .boxed(),
            Self::Blob => vec(any::<u8>(), 0..40)
                .prop_map(|bytes| {
                    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                    (format!("unhex('{hex}')"), Expect::Text(base64(&bytes)))
                })
                .boxed(),
            Self::Uuid => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
                .prop_map(move |text| (cast(&text), Expect::Text(text)))
                .boxed(),
            Self::Bit => "[01]{1,70}"
                .prop_map(move |text| (cast(&text), Expect::Text(text)))
                .boxed(),
            Self::Enum(words) => prop::sample::select(words.clone())
                .prop_map(move |word| (cast(&word), Expect::Text(word)))
                .boxed(),
            Self::Date => prop_oneof![
                8 => date(-5_800_000, 5_800_000).prop_map(|d| (d.literal(""), d.iso())),
                1 => infinity(),
            ]
            .prop_map(move |(literal, iso)| (cast(&literal), Expect::Text(iso)))
            .boxed(),
            Self::Time => clock(6)
                .prop_map(move |(literal, iso)| (cast(&literal), Expect::Text(iso)))
                .boxed(),
            Self::TimeNs => clock(9)
                .prop_map(move |(literal, iso)| (cast(&literal), Expect::Text(iso)))
                .boxed(),
            Self::TimeTz => (clock(6), offset())
                .prop_map(move |((literal, iso), offset)| {
                    (
                        cast(&format!("{literal}{offset}")),
                        Expect::Text(format!("{iso}{offset}")),
                    )
                })
                .boxed(),
            Self::Timestamp(name, from, to, digits) => {
                let utc = name.contains("TZ");
                prop_oneof![
                    8 => (date(*from, *to), clock(*digits)).prop_map(move |(d, (literal, iso))| {
                        let zone = if utc { "+00" } else { "" };
                        let wanted = if utc { "+00:00" } else { "" };
                        (
                            d.literal(&format!(" {literal}{zone}")),
                            format!("{}T{iso}{wanted}", d.iso()),
                        )
                    }),
                    1 => infinity(),
                ]
                .prop_map(move |(literal, iso)| (cast(&literal), Expect::Text(iso)))
                .boxed()
            }
            Self::Interval => intervals().boxed(),
            Self::Null => Just(("NULL".to_owned(), Expect::Null)).boxed(),
        }
    }
}

fn integers(least: i128, greatest: i128) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(least),
        Just(greatest),
        Just(0i128.clamp(least, greatest)),
        least..=greatest,
        (-1000..=1000i128).prop_map(move |n| n.clamp(least, greatest)),
    ]
    .prop_map(|n| n.to_string())
}

fn any_float() -> impl Strategy<Value = f32> {
    use prop::num::f32::{INFINITE, NEGATIVE, NORMAL, POSITIVE, QUIET_NAN, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO | INFINITE | QUIET_NAN
}

fn any_double() -> impl Strategy<Value = f64> {
    use prop::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, QUIET_NAN, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO | INFINITE | QUIET_NAN
}

// As many digits as the type holds, its greatest and least value among them.
fn decimals(width: u8, scale: u8) -> impl Strategy<Value = String> {
    let whole = usize::from(width - scale);
    let fraction = usize::from(scale);
    let digits = |n: usize| {
        prop_oneof![
            Just("9".repeat(n)),
            Just("0".repeat(n)),
            vec(0u8..10, n).prop_map(|d| d.iter().map(u8::to_string).collect::<String>()),
        ]
    };
    (any::<bool>(), digits(whole), digits(fraction)).prop_map(|(negative, whole, fraction)| {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let zero = whole == "0" && fraction.bytes().all(|b| b == b'0');
        let sign = if negative && !zero { "-" } else { "" };
        match fraction.is_empty() {
            true => format!("{sign}{whole}"),
            false => format!("{sign}{whole}.{fraction}"),
        }
    })
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ']{0,12}",
        "[^\0]{0,40}",
        Just("a text that is longer than what a slot holds".to_owned()),
    ]
}

fn json_texts() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("[1, 2.50, {\"a\": null}]".to_owned()),
        "[a-zäß ]{0,12}".prop_map(|text| format!("{{\"k\": \"{text}\"}}")),
        any::<i64>().prop_map(|n| n.to_string()),
    ]
}

fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['+', '/'])
        .collect();
    let bits: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|six| {
            let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
            alphabet[usize::from_str_radix(&six, 2).unwrap()]
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[derive(Clone, Debug)]
struct Date {
    year: i32,
    month: u32,
    day: u32,
}

impl Date {
    // The engine counts years before the first as `1 (BC)`, ISO 8601 as 0.
    fn literal(&self, rest: &str) -> String {
        let Self { year, month, day } = self;
        if *year <= 0 {
            format!("{:04}-{month:02}-{day:02} (BC){rest}", 1 - year)
        } else {
            format!("{year:04}-{month:02}-{day:02}{rest}")
        }
    }

    fn iso(&self) -> String {
        let Self { year, month, day } = self;
        let sign = if *year < 0 { "-" } else { "" };
        format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
    }
}

fn date(from: i32, to: i32) -> impl Strategy<Value = Date> {
    let usual = 1900.max(from)..=2100.min(to);
    prop_oneof![
        usual,
        from..=to,
        (-3..=3i32).prop_map(move |y| y.clamp(from, to))
    ]
    .prop_flat_map(|year| (Just(year), 1u32..=12))
    .prop_flat_map(|(year, month)| {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=days).prop_map(move |day| Date { year, month, day })
    })
}

// The literal and the ISO text of a time with so many digits of the second.
fn clock(digits: u32) -> impl Strategy<Value = (String, String)> {
    let most = 10u32.pow(digits);
    (0u32..24, 0u32..60, 0u32..60, prop_oneof![Just(0), 0..most]).prop_map(
        move |(hour, minute, second, fraction)| {
            let start = format!("{hour:02}:{minute:02}:{second:02}");
            if fraction == 0 {
                return (start.clone(), start);
            }
            let width = digits as usize;
            let fraction = format!("{fraction:0width$}");
            // Milliseconds are shown as microseconds, and nanoseconds only where there are some.
            let shown = match fraction.len() {
                9 if fraction.ends_with("000") => fraction[..6].to_owned(),
                9 => fraction.clone(),
                _ => format!("{fraction:0<6}"),
            };
            (format!("{start}.{fraction}"), format!("{start}.{shown}"))
        },
    )
}

fn offset() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec!['+', '-']);
    (
        sign,
        0u32..16,
        0u32..60,
        prop_oneof![3 => Just(0), 1 => 1u32..60],
    )
        .prop_map(|(sign, hours, minutes, seconds)| {
            let sign = if hours + minutes + seconds == 0 {
                '+'
            } else {
                sign
            };
            match seconds {
                0 => format!("{sign}{hours:02}:{minutes:02}"),
                _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
            }
        })
}

fn infinity() -> impl Strategy<Value = (String, String)> {
    prop::sample::select(vec!["infinity", "-infinity"])
        .prop_map(|text| (text.to_owned(), text.to_owned()))
}

fn intervals() -> impl Strategy<Value = Sample> {
    let part = |most: i32| prop_oneof![Just(0), -most..=most];
    (part(1000), part(11), part(100_000), part(2000), part(59), part(59), part(999_999)).prop_map(
        |(years, months, days, hours, minutes, seconds, micros)| {
            // Parts of one group have one sign, so that none carries into another.
            let months = if years < 0 { -months.abs() } else { months.abs() };
            let negative = hours < 0;
            let sign = |n: i32| if negative { -n.abs() } else { n.abs() };
            let (minutes, seconds, micros) = (sign(minutes), sign(seconds), sign(micros));
            let literal = format!(
                "(to_years({years}) + to_months({months}) + to_days({days}) + to_hours({hours}) + to_minutes({minutes}) + to_seconds({seconds}) + to_microseconds({micros}))"
            );
            let show = |n: i32, unit: &str| match n {
                0 => String::new(),
                n => format!("{n}{unit}"),
            };
            let second = match (seconds, micros) {
                (0, 0) => String::new(),
                (s, 0) => format!("{s}S"),
                (s, f) => {
                    let sign = if negative { "-" } else { "" };
                    let fraction = format!("{:06}", f.abs());
                    format!("{sign}{}.{}S", s.abs(), fraction.trim_end_matches('0'))
                }
            };
            let date = format!("{}{}{}", show(years, "Y"), show(months, "M"), show(days, "D"));
            let time = format!("{}{}{second}", show(hours, "H"), show(minutes, "M"));
            let wanted = match (date.is_empty(), time.is_empty()) {
                (true, true) => "PT0S".to_owned(),
                (_, true) => format!("P{date}"),
                _ => format!("P{date}T{time}"),
            };
            (literal, Expect::text(wanted))
        },
    )
}
