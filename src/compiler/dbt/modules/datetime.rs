//! `modules.datetime` and `modules.pytz`: dates, times and zones with the methods of Python's.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use chrono::{
    DateTime, Datelike, Duration, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike,
};
use chrono_tz::Tz;
use minijinja::value::{DynObject, Object, Tuple, Value};
use minijinja::{Error, ErrorKind, State};

use super::Given;
use crate::dbt::pycompat::split;

/// A moment: a date, a local time, or a time in a zone.
#[derive(Clone, Debug)]
struct Moment {
    local: NaiveDateTime,
    /// Dates have no time of day.
    is_date: bool,
    zone: Option<Zone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Named(Tz),
    Fixed(FixedOffset),
}

#[derive(Debug)]
struct ZoneObject(Zone);

#[derive(Clone, Copy, Debug)]
struct Delta(Duration);

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

impl Zone {
    fn offset(self, local: &NaiveDateTime) -> FixedOffset {
        match self {
            Self::Fixed(offset) => offset,
            Self::Named(tz) => tz
                .offset_from_local_datetime(local)
                .earliest()
                .map_or_else(|| tz.offset_from_utc_datetime(local).fix(), |o| o.fix()),
        }
    }

    fn at(self, utc: NaiveDateTime) -> Moment {
        let offset = match self {
            Self::Fixed(offset) => offset,
            Self::Named(tz) => tz.offset_from_utc_datetime(&utc).fix(),
        };
        Moment {
            local: utc + offset,
            is_date: false,
            zone: Some(self),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Named(tz) => tz.name().to_owned(),
            Self::Fixed(offset) if offset.local_minus_utc() == 0 => "UTC".to_owned(),
            Self::Fixed(offset) => format!("UTC{offset}"),
        }
    }
}

impl Moment {
    fn value(self) -> Value {
        Value::from_object(self)
    }

    fn day(date: NaiveDate) -> Self {
        Self {
            local: date.and_time(chrono::NaiveTime::MIN),
            is_date: true,
            zone: None,
        }
    }

    fn utc(&self) -> NaiveDateTime {
        match self.zone {
            Some(zone) => self.local - zone.offset(&self.local),
            None => self.local,
        }
    }

    fn offset_text(&self) -> String {
        self.zone
            .map(|zone| zone.offset(&self.local).to_string())
            .unwrap_or_default()
    }

    fn iso(&self, between: &str) -> String {
        if self.is_date {
            return self.local.format("%Y-%m-%d").to_string();
        }
        let micros = self.local.nanosecond() / 1000 % 1_000_000;
        let mut text = self
            .local
            .format(&format!("%Y-%m-%d{between}%H:%M:%S"))
            .to_string();
        if micros != 0 {
            text.push_str(&format!(".{micros:06}"));
        }
        text + &self.offset_text()
    }

    fn formatted(&self, format: &str) -> Result<String, Error> {
        use fmt::Write as _;
        let offset = match self.zone {
            Some(zone) => zone.offset(&self.local).to_string().replace(':', ""),
            None => String::new(),
        };
        let name = self.zone.map(Zone::name).unwrap_or_default();
        let micros = format!("{:06}", self.local.nanosecond() / 1000 % 1_000_000);
        let format = format
            .replace("%f", &micros)
            .replace("%z", &offset)
            .replace("%Z", &name);
        let mut out = String::new();
        write!(out, "{}", self.local.format(&format))
            .map_err(|_| wrong(format!("`{format}` is no format of a date")))?;
        Ok(out)
    }

    fn moved(&self, by: Duration) -> Option<Self> {
        Some(Self {
            local: self.local.checked_add_signed(by)?,
            ..self.clone()
        })
    }
}

/// A text of the engine as the object that Python would have for it, by the column's type.
pub(in crate::dbt) fn of_engine(text: &str, ty: &str) -> Option<Value> {
    let ty = ty.to_uppercase();
    if ty == "DATE" {
        return Some(Moment::day(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?).value());
    }
    if !ty.starts_with("TIMESTAMP") {
        return None;
    }
    Some(parse_iso(text)?.value())
}

/// A time of RFC 3339.
pub(in crate::dbt) fn of_rfc3339(text: &str) -> Option<Value> {
    Some(parse_iso(text)?.value())
}

/// The same as dbt writes it into SQL.
pub(in crate::dbt) fn sql_text(rfc3339: &str) -> String {
    match parse_iso(rfc3339) {
        Some(moment) => moment.iso(" "),
        None => rfc3339.to_owned(),
    }
}

fn parse_iso(text: &str) -> Option<Moment> {
    let text = text.trim().replacen('T', " ", 1).replace('Z', "+00:00");
    let date = |local: NaiveDateTime, zone| Moment {
        local,
        is_date: false,
        zone,
    };
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(local) = NaiveDateTime::parse_from_str(&text, format) {
            return Some(date(local, None));
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%z"] {
        if let Ok(zoned) = DateTime::parse_from_str(&text, format) {
            return Some(date(
                zoned.naive_local(),
                Some(Zone::Fixed(*zoned.offset())),
            ));
        }
    }
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
    Some(date(day.and_time(chrono::NaiveTime::MIN), None))
}

pub(super) fn utc() -> Value {
    Value::from_object(ZoneObject(Zone::Named(Tz::UTC)))
}

fn zone_of(value: Option<&Value>) -> Option<Zone> {
    value?
        .downcast_object_ref::<ZoneObject>()
        .map(|zone| zone.0)
}

fn now_utc() -> NaiveDateTime {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    // Python's clock tells microseconds.
    let nanos = since.subsec_micros() * 1000;
    DateTime::from_timestamp(seconds, nanos)
        .unwrap_or_default()
        .naive_utc()
}

pub(super) fn zones(function: &str, args: &Given<'_>) -> Option<Result<Value, Error>> {
    (function == "timezone").then(|| {
        let name = args.text(0, "zone").unwrap_or_default();
        match name.parse::<Tz>() {
            Ok(zone) => Ok(Value::from_object(ZoneObject(Zone::Named(zone)))),
            Err(_) => Err(wrong(format!("there is no time zone `{name}`"))),
        }
    })
}

pub(super) fn call(function: &str, args: &Given<'_>) -> Option<Result<Value, Error>> {
    Some(match function {
        "date" => {
            numbers(args, &["year", "month", "day"]).and_then(|parts| match parts.as_slice() {
                [Some(y), Some(m), Some(d)] => {
                    calendar(*y, *m, *d).map(|date| Moment::day(date).value())
                }
                _ => Err(Error::from(ErrorKind::MissingArgument)),
            })
        }
        "datetime" => datetime(args),
        "datetime.now" => {
            let zone = zone_of(args.get(0, "tz"));
            let now = now_utc();
            Ok(match zone {
                Some(zone) => zone.at(now).value(),
                None => local(now).value(),
            })
        }
        "datetime.utcnow" | "datetime.today" => Ok(local(now_utc()).value()),
        "date.today" => Ok(Moment::day(now_utc().date()).value()),
        "datetime.strptime" => strptime(args),
        "datetime.fromisoformat" | "date.fromisoformat" => {
            let text = args.text(0, "date_string").unwrap_or_default();
            match parse_iso(&text) {
                Some(moment) if function.starts_with("date.") => {
                    Ok(Moment::day(moment.local.date()).value())
                }
                Some(moment) => Ok(moment.value()),
                None => Err(wrong(format!(
                    "`{text}` is no date in the form of ISO 8601"
                ))),
            }
        }
        "datetime.fromtimestamp" | "datetime.utcfromtimestamp" => {
            let seconds = args.get(0, "timestamp").cloned().unwrap_or_default();
            match f64::try_from(seconds) {
                Ok(seconds) => {
                    let micros = (seconds * 1e6).round() as i64;
                    let utc = DateTime::from_timestamp_micros(micros)
                        .unwrap_or_default()
                        .naive_utc();
                    Ok(match zone_of(args.get(1, "tz")) {
                        Some(zone) => zone.at(utc).value(),
                        None => local(utc).value(),
                    })
                }
                Err(error) => Err(error),
            }
        }
        "datetime.combine" => match args.positional.first().and_then(moment) {
            Some(day) => {
                let time = args
                    .positional
                    .get(1)
                    .and_then(moment)
                    .map(|m| m.local.time());
                let local_time = day.local.date().and_time(time.unwrap_or_default());
                Ok(local(local_time).value())
            }
            None => Err(Error::from(ErrorKind::MissingArgument)),
        },
        "time" => numbers(args, &["hour", "minute", "second"]).and_then(|parts| {
            let part = |i: usize| parts.get(i).copied().flatten().unwrap_or(0);
            let time = chrono::NaiveTime::from_hms_opt(cut(part(0)), cut(part(1)), cut(part(2)))
                .ok_or_else(|| wrong("there is no such time of day"))?;
            Ok(local(NaiveDate::default().and_time(time)).value())
        }),
        "timedelta" => delta(args),
        "timezone" => match args
            .positional
            .first()
            .and_then(|v| v.downcast_object_ref::<Delta>())
        {
            Some(delta) => i32::try_from(delta.0.num_seconds())
                .ok()
                .and_then(FixedOffset::east_opt)
                .map(|offset| Value::from_object(ZoneObject(Zone::Fixed(offset))))
                .ok_or_else(|| wrong("there is no such offset")),
            None => Err(Error::from(ErrorKind::MissingArgument)),
        },
        _ => return None,
    })
}

fn local(local: NaiveDateTime) -> Moment {
    Moment {
        local,
        is_date: false,
        zone: None,
    }
}

/// A date or time as data has it.
pub(in crate::dbt) fn iso(value: &Value) -> Option<String> {
    moment(value).map(|at| at.iso("T"))
}

fn moment(value: &Value) -> Option<Moment> {
    value.downcast_object_ref::<Moment>().cloned()
}

fn numbers(args: &Given<'_>, names: &[&str]) -> Result<Vec<Option<i64>>, Error> {
    names
        .iter()
        .enumerate()
        .map(|(i, name)| match args.get(i, name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(format!("`{name}` is a whole number"))),
            },
        })
        .collect()
}

fn cut(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn calendar(year: i64, month: i64, day: i64) -> Result<NaiveDate, Error> {
    i32::try_from(year)
        .ok()
        .and_then(|year| NaiveDate::from_ymd_opt(year, cut(month), cut(day)))
        .ok_or_else(|| wrong(format!("there is no day {year}-{month}-{day}")))
}

fn datetime(args: &Given<'_>) -> Result<Value, Error> {
    let names = [
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "microsecond",
    ];
    let parts = numbers(args, &names)?;
    let part = |i: usize| parts.get(i).copied().flatten();
    let (Some(year), Some(month), Some(day)) = (part(0), part(1), part(2)) else {
        return Err(Error::from(ErrorKind::MissingArgument));
    };
    let at = |i: usize| cut(part(i).unwrap_or(0));
    let time = calendar(year, month, day)?
        .and_hms_micro_opt(at(3), at(4), at(5), at(6))
        .ok_or_else(|| wrong("there is no such time of day"))?;
    Ok(Moment {
        zone: zone_of(args.get(7, "tzinfo")),
        ..local(time)
    }
    .value())
}

fn strptime(args: &Given<'_>) -> Result<Value, Error> {
    let text = args.text(0, "date_string").unwrap_or_default();
    let format = args.text(1, "format").unwrap_or_default();
    let fits = || wrong(format!("`{text}` does not have the form `{format}`"));
    let form = format.replace(".%f", "%.f");
    if format.contains("%z") {
        let zoned = DateTime::parse_from_str(&text, &form).map_err(|_| fits())?;
        return Ok(Moment {
            zone: Some(Zone::Fixed(*zoned.offset())),
            ..local(zoned.naive_local())
        }
        .value());
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(&text, &form) {
        return Ok(local(time).value());
    }
    // A form without time of day, or without a day.
    for (extra_text, extra_form) in [
        (" 00:00:00", " %H:%M:%S"),
        (" 01 00:00:00", " %d %H:%M:%S"),
        (" 01 01 00:00:00", " %m %d %H:%M:%S"),
    ] {
        let (text, form) = (format!("{text}{extra_text}"), format!("{form}{extra_form}"));
        if let Ok(time) = NaiveDateTime::parse_from_str(&text, &form) {
            return Ok(local(time).value());
        }
    }
    Err(fits())
}

fn delta(args: &Given<'_>) -> Result<Value, Error> {
    let names = [
        ("days", 86_400e6),
        ("seconds", 1e6),
        ("microseconds", 1.0),
        ("milliseconds", 1e3),
        ("minutes", 60e6),
        ("hours", 3_600e6),
        ("weeks", 604_800e6),
    ];
    let mut micros = 0.0;
    for (i, (name, unit)) in names.iter().enumerate() {
        if let Some(value) = args.get(i, name) {
            micros += f64::try_from(value.clone())? * unit;
        }
    }
    Ok(Value::from_object(Delta(Duration::microseconds(
        micros.round() as i64,
    ))))
}

/// `left + right` and `left - right` where one of them is a moment or a span of time.
pub(in crate::dbt) fn arithmetic(
    left: &Value,
    right: &Value,
    minus: bool,
) -> Option<Result<Value, Error>> {
    let span = |value: &Value| value.downcast_object_ref::<Delta>().map(|delta| delta.0);
    let sign = |span: Duration| if minus { -span } else { span };
    let out = match (moment(left), span(left), moment(right), span(right)) {
        (Some(at), _, _, Some(by)) => at.moved(sign(by)).map(Moment::value),
        (_, Some(by), Some(at), _) if !minus => at.moved(by).map(Moment::value),
        (Some(a), _, Some(b), _) if minus => Some(Value::from_object(Delta(a.utc() - b.utc()))),
        (_, Some(a), _, Some(b)) => Some(Value::from_object(Delta(a + sign(b)))),
        _ => return None,
    };
    Some(out.ok_or_else(|| wrong("the time is out of range")))
}

impl Object for Moment {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = &self.local;
        Some(match key.as_str()? {
            "year" => Value::from(at.year()),
            "month" => Value::from(at.month()),
            "day" => Value::from(at.day()),
            "hour" if !self.is_date => Value::from(at.hour()),
            "minute" if !self.is_date => Value::from(at.minute()),
            "second" if !self.is_date => Value::from(at.second()),
            "microsecond" if !self.is_date => Value::from(at.nanosecond() / 1000 % 1_000_000),
            "tzinfo" if !self.is_date => match self.zone {
                Some(zone) => Value::from_object(ZoneObject(zone)),
                None => Value::from(()),
            },
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let (positional, named) = split(args);
        let given = Given {
            positional: &positional,
            named: &named,
        };
        Ok(match method {
            "strftime" => {
                Value::from(self.formatted(&given.text(0, "format").unwrap_or_default())?)
            }
            "isoformat" => {
                let between = given.text(0, "sep").unwrap_or_else(|| "T".to_owned());
                Value::from(self.iso(&between))
            }
            "date" => Self::day(self.local.date()).value(),
            "time" => Value::from(self.local.format("%H:%M:%S").to_string()),
            "weekday" => Value::from(self.local.weekday().num_days_from_monday()),
            "isoweekday" => Value::from(self.local.weekday().number_from_monday()),
            "isocalendar" => {
                let week = self.local.iso_week();
                Value::from(Tuple::from(vec![
                    Value::from(week.year()),
                    Value::from(week.week()),
                    Value::from(self.local.weekday().number_from_monday()),
                ]))
            }
            "toordinal" => Value::from(self.local.num_days_from_ce()),
            "timestamp" => Value::from(self.utc().and_utc().timestamp_micros() as f64 / 1e6),
            "utcoffset" => match self.zone {
                Some(zone) => {
                    let seconds = zone.offset(&self.local).local_minus_utc();
                    Value::from_object(Delta(Duration::seconds(i64::from(seconds))))
                }
                None => Value::from(()),
            },
            "astimezone" => match zone_of(given.get(0, "tz")) {
                Some(zone) => zone.at(self.utc()).value(),
                None => Self::clone(self).value(),
            },
            "replace" => {
                let mut new = Self::clone(self);
                for (i, name) in [
                    "year",
                    "month",
                    "day",
                    "hour",
                    "minute",
                    "second",
                    "microsecond",
                ]
                .iter()
                .enumerate()
                {
                    let Some(value) = given.get(i, name).and_then(Value::as_i64) else {
                        continue;
                    };
                    let at = new.local;
                    let part = cut(value);
                    let changed = match *name {
                        "year" => i32::try_from(value)
                            .ok()
                            .and_then(|year| at.with_year(year)),
                        "month" => at.with_month(part),
                        "day" => at.with_day(part),
                        "hour" => at.with_hour(part),
                        "minute" => at.with_minute(part),
                        "second" => at.with_second(part),
                        _ => at.with_nanosecond(part.saturating_mul(1000)),
                    };
                    new.local =
                        changed.ok_or_else(|| wrong(format!("there is no {name} {value} here")))?;
                }
                if let Some((_, zone)) = named.iter().find(|(name, _)| name == "tzinfo") {
                    new.zone = zone_of(Some(zone));
                }
                new.value()
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.utc().cmp(&other.downcast_ref::<Self>()?.utc()))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso(" "))
    }
}

impl Object for Delta {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let days = self.0.num_seconds().div_euclid(86_400);
        Some(match key.as_str()? {
            "days" => Value::from(days),
            "seconds" => Value::from(self.0.num_seconds().rem_euclid(86_400)),
            "microseconds" => Value::from(self.0.subsec_nanos().rem_euclid(1_000_000_000) / 1000),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "total_seconds" => {
                let micros = self.0.num_microseconds().unwrap_or(i64::MAX);
                Ok(Value::from(micros as f64 / 1e6))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_zero()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (
            self.0.num_seconds().div_euclid(86_400),
            self.0.num_seconds().rem_euclid(86_400),
        );
        match days {
            0 => {}
            1 | -1 => write!(f, "{days} day, ")?,
            days => write!(f, "{days} days, ")?,
        }
        write!(f, "{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
    }
}

impl Object for ZoneObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "zone").then(|| Value::from(self.0.name()))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let at = args.first().and_then(moment);
        match (method, at) {
            ("localize", Some(at)) => Ok(Moment {
                zone: Some(self.0),
                ..at
            }
            .value()),
            ("normalize", Some(at)) => Ok(self.0.at(at.utc()).value()),
            ("localize" | "normalize", None) => Err(Error::from(ErrorKind::MissingArgument)),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(self.0.name().cmp(&other.0.name()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}
