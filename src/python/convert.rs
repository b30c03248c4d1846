//! Cells and JSON to Python objects, and Python objects to cells.
//!
//! Lossless wherever Python has the type. What DuckDB can say and Python cannot (a year beyond 9999,
//! `infinity`) becomes the text DuckDB would print.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateAccess as _, PyDateTime, PyDelta,
    PyDeltaAccess as _, PyDict, PyFloat, PyInt, PyList, PyString, PyTime, PyTimeAccess, PyTuple,
    PyType, PyTzInfo, PyTzInfoAccess as _,
};
use serde_json::Value;

use crate::calendar::{civil_from_days, days_from_civil};
use crate::{Cell, interpreter};

/// Values nested deeper than this are taken for circular.
pub(crate) const MAX_DEPTH: usize = 120;

const MICROS_PER_DAY: i64 = 86_400_000_000;

static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();

pub(crate) fn decimal_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    DECIMAL.import(py, "decimal", "Decimal")
}

pub(crate) fn uuid_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    UUID.import(py, "uuid", "UUID")
}

/// Who gets a value, which decides about types that Python has more than one of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A row of `db.execute`. A decimal is a `float`: endpoint code multiplies it with floats and
    /// passes it to `json.dumps` and numpy, none of which takes a `Decimal`. Days, moments, spans
    /// and lists are those of `modules/rows.py`.
    Row,
    /// An argument of an endpoint: the plain types, decimals as `float`.
    Argument,
    /// An argument of a plugin function, whose annotation asked for the exact type.
    Plugin,
}

static ROW_DATE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ROW_TIMESTAMP: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ROW_INTERVAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ROW_ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn row_date_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    ROW_DATE.import(py, "_mxcp_rows", "Date")
}

pub(crate) fn to_python<'py>(
    py: Python<'py>,
    cell: &Cell,
    reader: Reader,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match cell {
        Cell::Null => py.None().into_bound(py),
        Cell::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Cell::Int(value) => value.into_pyobject(py)?.into_any(),
        Cell::Float(value) => PyFloat::new(py, *value).into_any(),
        Cell::Decimal(digits) => decimal(py, digits, reader)?,
        Cell::Text(text) => PyString::new(py, text).into_any(),
        Cell::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Cell::Date { days } => date(py, *days, reader)?,
        Cell::Time { micros } => {
            let (hour, minute, second, micro) = clock(*micros);
            PyTime::new(py, hour, minute, second, micro, None)?.into_any()
        }
        Cell::Timestamp { micros, tz } => timestamp(py, *micros, *tz, reader)?,
        Cell::Interval {
            months,
            days,
            micros,
        } => {
            // Python has no months; thirty days each is what DuckDB's own clients use.
            let days =
                i64::from(*months) * 30 + i64::from(*days) + micros.div_euclid(MICROS_PER_DAY);
            let rest = micros.rem_euclid(MICROS_PER_DAY);
            let days = i32::try_from(days)
                .map_err(|_| PyValueError::new_err("an interval is too long for Python"))?;
            let seconds = i32::try_from(rest / 1_000_000).unwrap_or(0);
            let micros = i32::try_from(rest % 1_000_000).unwrap_or(0);
            match reader {
                Reader::Row => ROW_INTERVAL
                    .import(py, "_mxcp_rows", "Interval")?
                    .call1((days, seconds, micros))?,
                _ => PyDelta::new(py, days, seconds, micros, false)?.into_any(),
            }
        }
        Cell::Uuid(text) => uuid_type(py)?.call1((text,))?,
        Cell::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item, reader)?)?;
            }
            match reader {
                Reader::Row => ROW_ARRAY
                    .import(py, "_mxcp_rows", "Array")?
                    .call1((list,))?,
                _ => list.into_any(),
            }
        }
        Cell::Struct(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, to_python(py, value, reader)?)?;
            }
            dict.into_any()
        }
        Cell::Map(entries) => map(py, entries, reader)?,
    })
}

fn decimal<'py>(py: Python<'py>, digits: &str, reader: Reader) -> PyResult<Bound<'py, PyAny>> {
    // An integer beyond 128 bits also arrives as digits.
    if !digits.contains(['.', 'e', 'E', 'n', 'N']) && digits.len() > 38 {
        return py.get_type::<PyInt>().call1((digits,));
    }
    match reader {
        Reader::Plugin => decimal_type(py)?.call1((digits,)),
        Reader::Row | Reader::Argument => {
            let value = digits
                .parse::<f64>()
                .map_err(|_| PyValueError::new_err(format!("`{digits}` is not a decimal")))?;
            Ok(PyFloat::new(py, value).into_any())
        }
    }
}

fn date(py: Python<'_>, days: i32, reader: Reader) -> PyResult<Bound<'_, PyAny>> {
    let (year, month, day) = civil_from_days(days.into());
    if (1..=9999).contains(&year) {
        let year = i32::try_from(year).unwrap_or(0);
        return match reader {
            Reader::Row => row_date_type(py)?.call1((year, month, day)),
            _ => Ok(PyDate::new(py, year, month, day)?.into_any()),
        };
    }
    Ok(PyString::new(py, &far_date(days.into(), i32::MAX.into())).into_any())
}

fn timestamp(
    py: Python<'_>,
    micros: i64,
    tz: Option<i32>,
    reader: Reader,
) -> PyResult<Bound<'_, PyAny>> {
    let shown = micros.saturating_add(i64::from(tz.unwrap_or(0)) * 1_000_000);
    let (year, month, day) = civil_from_days(shown.div_euclid(MICROS_PER_DAY));
    let (hour, minute, second, micro) = clock(shown.rem_euclid(MICROS_PER_DAY));
    if !(1..=9999).contains(&year) {
        let text = match far_date(shown.div_euclid(MICROS_PER_DAY), i64::MAX / MICROS_PER_DAY) {
            text if text.ends_with("infinity") => text,
            text => format!("{text} {hour:02}:{minute:02}:{second:02}"),
        };
        return Ok(PyString::new(py, &text).into_any());
    }
    let zone = match tz {
        None => None,
        Some(0) => Some(PyTzInfo::utc(py)?.to_owned()),
        Some(offset) => Some(PyTzInfo::fixed_offset(
            py,
            PyDelta::new(py, 0, offset, 0, true)?,
        )?),
    };
    let year = i32::try_from(year).unwrap_or(0);
    if reader == Reader::Row {
        return ROW_TIMESTAMP
            .import(py, "_mxcp_rows", "Timestamp")?
            .call1((year, month, day, hour, minute, second, micro, zone));
    }
    let value = PyDateTime::new(
        py,
        year,
        month,
        day,
        hour,
        minute,
        second,
        micro,
        zone.as_ref(),
    )?;
    Ok(value.into_any())
}

// DuckDB's infinities are the largest and the most negative but one value.
fn far_date(days: i64, infinity: i64) -> String {
    if days >= infinity {
        "infinity".to_owned()
    } else if days <= -infinity {
        "-infinity".to_owned()
    } else {
        let (year, month, day) = civil_from_days(days);
        format!("{year:04}-{month:02}-{day:02}")
    }
}

fn clock(micros: i64) -> (u8, u8, u8, u32) {
    // DuckDB has 24:00:00, Python stops just before it.
    let micros = micros.clamp(0, MICROS_PER_DAY - 1);
    let part = |value: i64| u8::try_from(value).unwrap_or(0);
    (
        part(micros / 3_600_000_000),
        part(micros / 60_000_000 % 60),
        part(micros / 1_000_000 % 60),
        u32::try_from(micros % 1_000_000).unwrap_or(0),
    )
}

fn map<'py>(
    py: Python<'py>,
    entries: &[(Cell, Cell)],
    reader: Reader,
) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    for (key, value) in entries {
        let key = match key {
            // A list or a struct cannot be a key of a dict.
            Cell::List(_) | Cell::Struct(_) | Cell::Map(_) => {
                to_python(py, key, reader)?.str()?.into_any()
            }
            key => to_python(py, key, reader)?,
        };
        dict.set_item(key, to_python(py, value, reader)?)?;
    }
    Ok(dict.into_any())
}

pub(crate) fn json_to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, &Cell::from_json(value), Reader::Argument)
}

/// The cell of a Python value; a `TypeError` names what cannot be one.
pub(crate) fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Cell> {
    cell(value, 0)
}

fn cell(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Cell> {
    let py = value.py();
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err(
            "the value is nested too deeply or contains itself",
        ));
    }
    if value.is_none() {
        return Ok(Cell::Null);
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Cell::Bool(value.is_true()));
    }
    if let Ok(value) = value.cast::<PyInt>() {
        return Ok(match value.extract::<i128>() {
            Ok(value) => Cell::Int(value),
            Err(_) => Cell::Decimal(value.str()?.to_string()),
        });
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(Cell::Float(value.value()));
    }
    if let Ok(value) = value.cast::<PyString>() {
        return Ok(Cell::Text(value.to_str()?.to_owned()));
    }
    if let Ok(items) = value.cast::<PyList>() {
        return items
            .iter()
            .map(|item| cell(&item, depth + 1))
            .collect::<PyResult<_>>()
            .map(Cell::List);
    }
    if let Ok(items) = value.cast::<PyTuple>() {
        return items
            .iter()
            .map(|item| cell(&item, depth + 1))
            .collect::<PyResult<_>>()
            .map(Cell::List);
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return mapping(dict, depth);
    }
    if let Some(cell) = temporal(value)? {
        return Ok(cell);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Cell::Bytes(bytes.as_bytes().to_vec()));
    }
    if let Ok(bytes) = value.cast::<PyByteArray>() {
        return Ok(Cell::Bytes(bytes.to_vec()));
    }
    if value.is_instance(decimal_type(py)?)? {
        let digits = value.call_method1("__format__", ("f",))?.to_string();
        return Ok(match digits.parse::<f64>() {
            Ok(number) if !number.is_finite() && digits.contains(['n', 'N']) => Cell::Float(number),
            _ => Cell::Decimal(digits),
        });
    }
    if value.is_instance(uuid_type(py)?)? {
        return Ok(Cell::Uuid(value.str()?.to_string()));
    }
    let simpler = interpreter::host_module(py)?.call_method1("simplify", (value,))?;
    if simpler.is(py.NotImplemented()) {
        return Err(PyTypeError::new_err(format!(
            "a value of type `{}` has no SQL type",
            value.get_type().name()?
        )));
    }
    cell(&simpler, depth + 1)
}

fn mapping(dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<Cell> {
    if dict.iter().all(|(key, _)| key.is_instance_of::<PyString>()) {
        let fields = dict
            .iter()
            .map(|(key, value)| Ok((key.extract::<String>()?, cell(&value, depth + 1)?)));
        return fields.collect::<PyResult<_>>().map(Cell::Struct);
    }
    let entries = dict
        .iter()
        .map(|(key, value)| Ok((cell(&key, depth + 1)?, cell(&value, depth + 1)?)));
    entries.collect::<PyResult<_>>().map(Cell::Map)
}

fn temporal(value: &Bound<'_, PyAny>) -> PyResult<Option<Cell>> {
    // `datetime` is a `date`, so it comes first; so does pandas' `NaT`, which equals nothing.
    if let Ok(moment) = value.cast::<PyDateTime>() {
        if !value.is_exact_instance_of::<PyDateTime>() && value.ne(value)? {
            return Ok(Some(Cell::Null));
        }
        let days = days_from_civil(moment.get_year(), moment.get_month(), moment.get_day());
        if value.is_exact_instance(row_date_type(value.py())?) {
            return Ok(Some(Cell::Date { days }));
        }
        let micros = i64::from(days) * MICROS_PER_DAY + time_of_day(moment);
        let offset = value.call_method0("utcoffset")?;
        let tz = match offset.cast::<PyDelta>() {
            Ok(offset) => Some(offset.get_days() * 86_400 + offset.get_seconds()),
            Err(_) => None,
        };
        let micros = micros - i64::from(tz.unwrap_or(0)) * 1_000_000;
        return Ok(Some(Cell::Timestamp { micros, tz }));
    }
    if let Ok(date) = value.cast::<PyDate>() {
        let days = days_from_civil(date.get_year(), date.get_month(), date.get_day());
        return Ok(Some(Cell::Date { days }));
    }
    if let Ok(time) = value.cast::<PyTime>() {
        if time.get_tzinfo().is_some() {
            return Err(PyTypeError::new_err(
                "a time with a zone has no SQL type here, use `.replace(tzinfo=None)`",
            ));
        }
        return Ok(Some(Cell::Time {
            micros: time_of_day(time),
        }));
    }
    if let Ok(delta) = value.cast::<PyDelta>() {
        return Ok(Some(Cell::Interval {
            months: 0,
            days: delta.get_days(),
            micros: i64::from(delta.get_seconds()) * 1_000_000
                + i64::from(delta.get_microseconds()),
        }));
    }
    Ok(None)
}

fn time_of_day(value: &impl PyTimeAccess) -> i64 {
    let seconds = i64::from(value.get_hour()) * 3600
        + i64::from(value.get_minute()) * 60
        + i64::from(value.get_second());
    seconds * 1_000_000 + i64::from(value.get_microsecond())
}
