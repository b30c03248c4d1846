//! Arguments as typed DuckDB values.
//!
//! A declared parameter is bound as the SQL type of its declaration, also when it is null, so that
//! overloads resolve the same on every call:
//!
//! | declared | bound as |
//! |---|---|
//! | string | VARCHAR |
//! | string with format date, time, date-time, timestamp | DATE, TIME, TIMESTAMP (TIMESTAMPTZ with an offset), TIMESTAMP |
//! | number | DOUBLE |
//! | integer | INTEGER, beyond 32 bits BIGINT: `date + $days` and `round(x, $digits)` know no other |
//! | boolean | BOOLEAN |
//! | array | LIST of the item type |
//! | object | STRUCT of the declared properties (absent ones are null), then the others as they come |

use std::ffi::CString;
use std::ptr;

use duckdb::ffi as c;
use mxcp_artifact::{Format, SqlType, TypeDef, TypeKind};
use mxcp_python::Cell;

use super::SqlError;
use super::ffi::{BoundValue, LogicalType};

/// The SQL type a parameter of this declaration has when its value does not say more.
pub(crate) fn declared_type(ty: &TypeDef) -> SqlType {
    match ty.kind {
        TypeKind::String => match ty.format {
            Some(Format::Date) => SqlType::Date,
            Some(Format::Time) => SqlType::Time,
            Some(Format::DateTime | Format::Timestamp) => SqlType::Timestamp,
            _ => SqlType::Varchar,
        },
        TypeKind::Number => SqlType::Double,
        TypeKind::Integer => SqlType::Integer,
        TypeKind::Boolean => SqlType::Boolean,
        TypeKind::Array => SqlType::list(ty.items.as_deref().map_or(SqlType::Null, declared_type)),
        TypeKind::Object => match ty.properties.as_deref() {
            Some(properties) if !properties.is_empty() => SqlType::Struct(
                properties
                    .iter()
                    .map(|p| (p.name.clone(), declared_type(&p.ty)))
                    .collect(),
            ),
            _ => SqlType::Null,
        },
    }
}

/// The SQL type of a value on its own.
pub(crate) fn type_of(cell: &Cell) -> SqlType {
    match cell {
        Cell::Null => SqlType::Null,
        Cell::Bool(_) => SqlType::Boolean,
        Cell::Int(value) if i32::try_from(*value).is_ok() => SqlType::Integer,
        Cell::Int(value) if i64::try_from(*value).is_ok() => SqlType::BigInt,
        Cell::Int(_) => SqlType::HugeInt,
        Cell::Float(_) => SqlType::Double,
        Cell::Decimal(text) => parse_decimal(text).map_or(SqlType::Double, |(_, width, scale)| {
            SqlType::Decimal(width, scale)
        }),
        Cell::Text(_) => SqlType::Varchar,
        Cell::Bytes(_) => SqlType::Blob,
        Cell::Date { .. } => SqlType::Date,
        Cell::Time { .. } => SqlType::Time,
        Cell::Timestamp { tz: Some(_), .. } => SqlType::TimestampTz,
        Cell::Timestamp { tz: None, .. } => SqlType::Timestamp,
        Cell::Interval { .. } => SqlType::Interval,
        Cell::Uuid(_) => SqlType::Uuid,
        Cell::List(items) => SqlType::list(common(items.iter().map(type_of))),
        Cell::Struct(fields) if fields.is_empty() => {
            SqlType::Map(Box::new(SqlType::Null), Box::new(SqlType::Null))
        }
        Cell::Struct(fields) => SqlType::Struct(
            fields
                .iter()
                .map(|(name, cell)| (name.clone(), type_of(cell)))
                .collect(),
        ),
        Cell::Map(entries) => SqlType::Map(
            Box::new(common(entries.iter().map(|(key, _)| type_of(key)))),
            Box::new(common(entries.iter().map(|(_, value)| type_of(value)))),
        ),
    }
}

fn common(types: impl Iterator<Item = SqlType>) -> SqlType {
    types.fold(SqlType::Null, unify)
}

/// The narrowest type that holds both; text when nothing else does.
pub(crate) fn unify(left: SqlType, right: SqlType) -> SqlType {
    use SqlType::{BigInt, Date, Decimal, Double, HugeInt, Integer, List, Map, Null, Struct};
    use SqlType::{Timestamp, TimestampTz};
    let rank = |ty: &SqlType| match ty {
        Integer => Some((10, 0)),
        BigInt => Some((19, 0)),
        HugeInt => Some((38, 0)),
        Decimal(width, scale) => Some((width - scale, *scale)),
        _ => None,
    };
    match (left, right) {
        (left, right) if left == right => left,
        (Null, other) | (other, Null) => other,
        (Double, other) | (other, Double) if other.is_numeric() => Double,
        (List(left), List(right)) => SqlType::list(unify(*left, *right)),
        (Map(lk, lv), Map(rk, rv)) => Map(Box::new(unify(*lk, *rk)), Box::new(unify(*lv, *rv))),
        (Struct(mut left), Struct(right)) => {
            for (name, ty) in right {
                match left.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(&name)) {
                    Some((_, known)) => *known = unify(std::mem::replace(known, Null), ty),
                    None => left.push((name, ty)),
                }
            }
            Struct(left)
        }
        (Date, Timestamp) | (Timestamp, Date) => Timestamp,
        (Date | Timestamp, TimestampTz) | (TimestampTz, Date | Timestamp) => TimestampTz,
        (left, right) => match (rank(&left), rank(&right)) {
            (Some(_), Some(_)) if left.is_integer() && right.is_integer() => {
                if left == HugeInt || right == HugeInt {
                    HugeInt
                } else {
                    BigInt
                }
            }
            (Some((lw, ls)), Some((rw, rs))) => {
                let (whole, scale) = (lw.max(rw), ls.max(rs));
                if whole + scale <= 38 {
                    Decimal(whole + scale, scale)
                } else {
                    Double
                }
            }
            _ => SqlType::Varchar,
        },
    }
}

/// The value as it is bound: with its declared type where one is known.
pub(crate) fn bind(cell: &Cell, declared: Option<&SqlType>) -> Result<BoundValue, SqlError> {
    let own = type_of(cell);
    let ty = match declared {
        Some(declared) => unify(declared.clone(), own),
        None => own,
    };
    value(cell, &ty)
}

/// A value of exactly this type.
pub(crate) fn value(cell: &Cell, ty: &SqlType) -> Result<BoundValue, SqlError> {
    // SAFETY: every handle is owned by a wrapper, and DuckDB copies what it is given.
    let raw = unsafe {
        match (cell, ty) {
            (Cell::Null, SqlType::Null) => c::duckdb_create_null_value(),
            (Cell::Null, ty) => return cast(&BoundValue(c::duckdb_create_null_value()), ty),
            (Cell::Bool(value), SqlType::Boolean) => c::duckdb_create_bool(*value),
            (Cell::Int(value), SqlType::Integer | SqlType::BigInt | SqlType::HugeInt) => {
                integer(*value, ty)
            }
            (Cell::Float(value), SqlType::Double) => c::duckdb_create_double(*value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a number is declared: the nearest double is meant"
            )]
            (Cell::Int(value), SqlType::Double) => c::duckdb_create_double(*value as f64),
            (Cell::Decimal(text), SqlType::Double) => match text.parse() {
                Ok(value) => c::duckdb_create_double(value),
                Err(_) => return Err(refused(cell, ty)),
            },
            (Cell::Decimal(text), SqlType::Decimal(..)) => {
                let Some((unscaled, width, scale)) = parse_decimal(text) else {
                    return Err(refused(cell, ty));
                };
                let own = BoundValue(c::duckdb_create_decimal(c::duckdb_decimal {
                    width,
                    scale,
                    value: hugeint(unscaled),
                }));
                if *ty == SqlType::Decimal(width, scale) {
                    return Ok(own);
                }
                return cast(&own, ty);
            }
            (Cell::Text(text), SqlType::Varchar) => varchar(text),
            (Cell::Bytes(bytes), SqlType::Blob) => {
                c::duckdb_create_blob(bytes.as_ptr(), bytes.len() as u64)
            }
            (Cell::Date { days }, SqlType::Date) => {
                c::duckdb_create_date(c::duckdb_date { days: *days })
            }
            (Cell::Time { micros }, SqlType::Time) => {
                c::duckdb_create_time(c::duckdb_time { micros: *micros })
            }
            (Cell::Timestamp { micros, .. }, SqlType::Timestamp) => {
                c::duckdb_create_timestamp(c::duckdb_timestamp { micros: *micros })
            }
            (Cell::Timestamp { micros, .. }, SqlType::TimestampTz) => {
                c::duckdb_create_timestamp_tz(c::duckdb_timestamp { micros: *micros })
            }
            (
                Cell::Interval {
                    months,
                    days,
                    micros,
                },
                SqlType::Interval,
            ) => c::duckdb_create_interval(c::duckdb_interval {
                months: *months,
                days: *days,
                micros: *micros,
            }),
            (Cell::List(items), SqlType::List(item)) => return list(items, item),
            (Cell::Struct(fields), SqlType::Struct(wanted)) => return record(fields, wanted),
            (Cell::Struct(fields), SqlType::Map(key, item)) => {
                let entries: Vec<_> = fields
                    .iter()
                    .map(|(name, cell)| (Cell::Text(name.clone()), cell.clone()))
                    .collect();
                return map(&entries, key, item);
            }
            (Cell::Map(entries), SqlType::Map(key, item)) => return map(entries, key, item),
            (cell, SqlType::Varchar) => varchar(&plain_text(cell)),
            // Anything else through the engine's own cast, from the text where we know no better.
            (Cell::Uuid(text), ty) => return cast(&BoundValue(varchar(text)), ty),
            (cell, ty) => {
                let own = type_of(cell);
                if own == *ty {
                    return Err(refused(cell, ty));
                }
                return cast(&value(cell, &own)?, ty);
            }
        }
    };
    if raw.is_null() {
        return Err(refused(cell, ty));
    }
    Ok(BoundValue(raw))
}

fn refused(cell: &Cell, ty: &SqlType) -> SqlError {
    SqlError::Parameter(format!("a value of kind {} is no {ty}", cell.kind()))
}

fn integer(value: i128, ty: &SqlType) -> c::duckdb_value {
    // SAFETY: these functions only build values.
    unsafe {
        match ty {
            SqlType::Integer => {
                i32::try_from(value).map_or(ptr::null_mut(), |v| c::duckdb_create_int32(v))
            }
            SqlType::BigInt => {
                i64::try_from(value).map_or(ptr::null_mut(), |v| c::duckdb_create_int64(v))
            }
            _ => c::duckdb_create_hugeint(hugeint(value)),
        }
    }
}

fn hugeint(value: i128) -> c::duckdb_hugeint {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the two halves of the number"
    )]
    c::duckdb_hugeint {
        lower: value as u64,
        upper: (value >> 64) as i64,
    }
}

fn varchar(text: &str) -> c::duckdb_value {
    // SAFETY: the pointer is valid for the length; DuckDB copies.
    unsafe { c::duckdb_create_varchar_length(text.as_ptr().cast(), text.len() as u64) }
}

// The engine casts the items of a list to its type; a list of one item is a cast of that item.
fn cast(own: &BoundValue, ty: &SqlType) -> Result<BoundValue, SqlError> {
    let refused = || SqlError::Parameter(format!("the value is no {ty}"));
    let logical = logical(ty).ok_or_else(refused)?;
    let mut items = [own.0];
    // SAFETY: the handles are live; both results are owned.
    unsafe {
        let list = BoundValue(c::duckdb_create_list_value(
            logical.0,
            items.as_mut_ptr(),
            1,
        ));
        if list.0.is_null() {
            return Err(refused());
        }
        let item = c::duckdb_get_list_child(list.0, 0);
        if item.is_null() {
            return Err(refused());
        }
        Ok(BoundValue(item))
    }
}

fn list(items: &[Cell], item: &SqlType) -> Result<BoundValue, SqlError> {
    let logical = logical(item).ok_or_else(|| unknown(item))?;
    let values: Vec<BoundValue> = items
        .iter()
        .map(|cell| value(cell, item))
        .collect::<Result<_, _>>()?;
    let mut raw: Vec<c::duckdb_value> = values.iter().map(|v| v.0).collect();
    // SAFETY: the handles are live and DuckDB copies them. The pointer must not be null even when
    // there is nothing behind it, which holds for an empty vector.
    let value =
        unsafe { c::duckdb_create_list_value(logical.0, raw.as_mut_ptr(), raw.len() as u64) };
    owned(value, item)
}

fn record(fields: &[(String, Cell)], wanted: &[(String, SqlType)]) -> Result<BoundValue, SqlError> {
    let ty = SqlType::Struct(wanted.to_vec());
    let logical = logical(&ty).ok_or_else(|| unknown(&ty))?;
    let values: Vec<BoundValue> = wanted
        .iter()
        .map(|(name, ty)| {
            let cell = fields
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map_or(&Cell::Null, |(_, cell)| cell);
            value(cell, ty)
        })
        .collect::<Result<_, _>>()?;
    let mut raw: Vec<c::duckdb_value> = values.iter().map(|v| v.0).collect();
    // SAFETY: there is one live value per field; DuckDB copies them.
    let value = unsafe { c::duckdb_create_struct_value(logical.0, raw.as_mut_ptr()) };
    owned(value, &ty)
}

fn map(entries: &[(Cell, Cell)], key: &SqlType, item: &SqlType) -> Result<BoundValue, SqlError> {
    let ty = SqlType::Map(Box::new(key.clone()), Box::new(item.clone()));
    let logical = logical(&ty).ok_or_else(|| unknown(&ty))?;
    let mut keys = Vec::with_capacity(entries.len());
    let mut values = Vec::with_capacity(entries.len());
    for (k, v) in entries {
        keys.push(value(k, key)?);
        values.push(value(v, item)?);
    }
    let mut raw_keys: Vec<c::duckdb_value> = keys.iter().map(|v| v.0).collect();
    let mut raw_values: Vec<c::duckdb_value> = values.iter().map(|v| v.0).collect();
    // SAFETY: as many live keys as values; DuckDB copies them.
    let value = unsafe {
        c::duckdb_create_map_value(
            logical.0,
            raw_keys.as_mut_ptr(),
            raw_values.as_mut_ptr(),
            entries.len() as u64,
        )
    };
    owned(value, &ty)
}

fn owned(value: c::duckdb_value, ty: &SqlType) -> Result<BoundValue, SqlError> {
    if value.is_null() {
        Err(SqlError::Parameter(format!("the value is no {ty}")))
    } else {
        Ok(BoundValue(value))
    }
}

fn unknown(ty: &SqlType) -> SqlError {
    SqlError::Parameter(format!("values of type {ty} cannot be built"))
}

/// DuckDB's handle for a type, when the C API can build it.
pub(crate) fn logical(ty: &SqlType) -> Option<LogicalType> {
    // SAFETY: child handles live until their parent is built, which copies them.
    let raw = unsafe {
        match ty {
            SqlType::Decimal(width, scale) => c::duckdb_create_decimal_type(*width, *scale),
            SqlType::List(item) => c::duckdb_create_list_type(logical(item)?.0),
            SqlType::Array(item, size) => c::duckdb_create_array_type(logical(item)?.0, *size),
            SqlType::Map(key, value) => {
                c::duckdb_create_map_type(logical(key)?.0, logical(value)?.0)
            }
            SqlType::Struct(fields) => {
                let types: Vec<LogicalType> = fields
                    .iter()
                    .map(|(_, t)| logical(t))
                    .collect::<Option<_>>()?;
                let names: Vec<CString> = fields
                    .iter()
                    .map(|(name, _)| CString::new(name.as_str()).ok())
                    .collect::<Option<_>>()?;
                let mut types: Vec<_> = types.iter().map(|t| t.0).collect();
                let mut names: Vec<_> = names.iter().map(|n| n.as_ptr()).collect();
                c::duckdb_create_struct_type(
                    types.as_mut_ptr(),
                    names.as_mut_ptr(),
                    types.len() as u64,
                )
            }
            ty => c::duckdb_create_logical_type(simple(ty)?),
        }
    };
    (!raw.is_null()).then_some(LogicalType(raw))
}

fn simple(ty: &SqlType) -> Option<c::duckdb_type> {
    Some(match ty {
        SqlType::Null => c::DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL,
        SqlType::Boolean => c::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
        SqlType::TinyInt => c::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT,
        SqlType::SmallInt => c::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT,
        SqlType::Integer => c::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER,
        SqlType::BigInt => c::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
        SqlType::HugeInt => c::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT,
        SqlType::UTinyInt => c::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT,
        SqlType::USmallInt => c::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT,
        SqlType::UInteger => c::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER,
        SqlType::UBigInt => c::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT,
        SqlType::UHugeInt => c::DUCKDB_TYPE_DUCKDB_TYPE_UHUGEINT,
        SqlType::Float => c::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT,
        SqlType::Double => c::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
        SqlType::Varchar => c::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
        SqlType::Blob => c::DUCKDB_TYPE_DUCKDB_TYPE_BLOB,
        SqlType::Date => c::DUCKDB_TYPE_DUCKDB_TYPE_DATE,
        SqlType::Time => c::DUCKDB_TYPE_DUCKDB_TYPE_TIME,
        SqlType::TimeTz => c::DUCKDB_TYPE_DUCKDB_TYPE_TIME_TZ,
        SqlType::Timestamp => c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
        SqlType::TimestampS => c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_S,
        SqlType::TimestampMs => c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_MS,
        SqlType::TimestampNs => c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS,
        SqlType::TimestampTz => c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ,
        SqlType::Interval => c::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL,
        SqlType::Uuid => c::DUCKDB_TYPE_DUCKDB_TYPE_UUID,
        _ => return None,
    })
}

// Digits, their count and how many follow the point.
fn parse_decimal(text: &str) -> Option<(i128, u8, u8)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let all = format!("{whole}{fraction}");
    if !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_start_matches('0').len().max(fraction.len() + 1);
    let width = u8::try_from(significant).ok().filter(|w| *w <= 38)?;
    let scale = u8::try_from(fraction.len()).ok()?;
    let unscaled: i128 = all.parse().ok()?;
    Some((if negative { -unscaled } else { unscaled }, width, scale))
}

// A value of a mixed list, as text.
fn plain_text(cell: &Cell) -> String {
    use super::iso;
    match cell {
        Cell::Null => String::new(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Decimal(text) | Cell::Text(text) | Cell::Uuid(text) => text.clone(),
        Cell::Bytes(bytes) => super::json::base64(bytes),
        Cell::Date { days } => iso::date(*days),
        Cell::Time { micros } => iso::time(micros * 1000, None),
        Cell::Timestamp { micros, tz } => iso::timestamp(*micros, 0, *tz),
        Cell::Interval {
            months,
            days,
            micros,
        } => iso::interval(*months, *days, *micros),
        Cell::List(_) | Cell::Struct(_) | Cell::Map(_) => to_json(cell).to_string(),
    }
}

/// A cell as JSON, by the same rules as a result.
pub(crate) fn to_json(cell: &Cell) -> serde_json::Value {
    use serde_json::Value;
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => (*value).into(),
        Cell::Int(value) => number(&value.to_string()),
        Cell::Decimal(text) => number(text),
        Cell::Float(value) => {
            serde_json::Number::from_f64(*value).map_or(Value::Null, Value::Number)
        }
        Cell::List(items) => items.iter().map(to_json).collect(),
        Cell::Struct(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, cell)| (name.clone(), to_json(cell)))
                .collect(),
        ),
        Cell::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, cell)| (plain_text(key), to_json(cell)))
                .collect(),
        ),
        other => plain_text(other).into(),
    }
}

fn number(digits: &str) -> serde_json::Value {
    digits
        .parse()
        .map_or_else(|_| digits.into(), serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_parse_to_their_own_type() {
        assert_eq!(parse_decimal("-12.340"), Some((-12_340, 5, 3)));
        assert_eq!(parse_decimal("0.005"), Some((5, 4, 3)));
        assert_eq!(parse_decimal("7"), Some((7, 1, 0)));
        assert_eq!(parse_decimal("1e5"), None);
    }

    #[test]
    fn mixed_lists_take_a_type_that_holds_all() {
        let list = |items: Vec<Cell>| type_of(&Cell::List(items)).to_string();
        assert_eq!(list(vec![Cell::Int(1), Cell::Int(1 << 40)]), "BIGINT[]");
        assert_eq!(list(vec![Cell::Int(1), Cell::Float(0.5)]), "DOUBLE[]");
        assert_eq!(list(vec![Cell::Null, Cell::Text("a".into())]), "VARCHAR[]");
        assert_eq!(
            list(vec![Cell::Int(1), Cell::Text("a".into())]),
            "VARCHAR[]"
        );
        assert_eq!(
            list(vec![Cell::Int(1), Cell::Decimal("2.55".into())]),
            "DECIMAL(12,2)[]"
        );
    }
}
