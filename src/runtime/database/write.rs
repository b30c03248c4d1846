//! Values written into DuckDB's vectors: what a function called from SQL gives back.

use duckdb::ffi as c;
use mxcp_artifact::SqlType;
use mxcp_python::Cell;

/// # Safety
/// `vector` is a live vector that DuckDB asked to fill, `row` below its size.
pub(super) unsafe fn null(vector: c::duckdb_vector, row: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        c::duckdb_vector_ensure_validity_writable(vector);
        c::duckdb_validity_set_row_invalid(c::duckdb_vector_get_validity(vector), row);
    }
}

/// # Safety
/// As [`null`]; the vector holds VARCHAR or BLOB.
pub(super) unsafe fn text(vector: c::duckdb_vector, row: u64, bytes: &[u8]) {
    // SAFETY: the caller's promise; DuckDB copies the bytes.
    unsafe {
        c::duckdb_vector_assign_string_element_len(
            vector,
            row,
            bytes.as_ptr().cast(),
            bytes.len() as u64,
        );
    }
}

/// # Safety
/// `vector` is a live flat VARCHAR vector, `row` below its size.
pub(super) unsafe fn read_text(vector: c::duckdb_vector, row: u64) -> Option<String> {
    // SAFETY: the caller's promise.
    unsafe {
        let validity = c::duckdb_vector_get_validity(vector);
        if !validity.is_null() && !c::duckdb_validity_row_is_valid(validity, row) {
            return None;
        }
        let row = usize::try_from(row).ok()?;
        let slot = c::duckdb_vector_get_data(vector)
            .cast::<c::duckdb_string_t>()
            .add(row);
        let length = c::duckdb_string_t_length(*slot) as usize;
        let start = c::duckdb_string_t_data(slot).cast::<u8>();
        let bytes = std::slice::from_raw_parts(start, length);
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Writes a value of the declared type; one that does not fit is an error, never another value.
///
/// # Safety
/// As [`null`]; the vector has type `ty`.
pub(super) unsafe fn cell(
    vector: c::duckdb_vector,
    row: u64,
    value: &Cell,
    ty: &SqlType,
) -> Result<(), String> {
    let wrong = || format!("a value of kind {} is no {ty}", value.kind());
    // SAFETY: the caller's promise, and each arm writes the physical type of its logical one.
    unsafe {
        match (value, ty) {
            (Cell::Null, _) => null(vector, row),
            (Cell::Bool(v), SqlType::Boolean) => put(vector, row, *v),
            (Cell::Int(v), SqlType::BigInt) => {
                put(vector, row, i64::try_from(*v).map_err(|_| wrong())?);
            }
            (Cell::Int(v), SqlType::Integer) => {
                put(vector, row, i32::try_from(*v).map_err(|_| wrong())?);
            }
            (Cell::Float(v), SqlType::Double) => put(vector, row, *v),
            (Cell::Decimal(digits), SqlType::Decimal(width, scale)) => {
                let unscaled = rescale(digits, *width, *scale)
                    .ok_or_else(|| format!("`{digits}` does not fit {ty}"))?;
                decimal(vector, row, unscaled, *width);
            }
            (Cell::Text(v) | Cell::Uuid(v), SqlType::Varchar) => text(vector, row, v.as_bytes()),
            (Cell::Bytes(v), SqlType::Blob) => text(vector, row, v),
            (Cell::Date { days }, SqlType::Date) => put(vector, row, *days),
            (Cell::Time { micros }, SqlType::Time)
            | (Cell::Timestamp { micros, .. }, SqlType::Timestamp | SqlType::TimestampTz) => {
                put(vector, row, *micros);
            }
            (
                Cell::Interval {
                    months,
                    days,
                    micros,
                },
                SqlType::Interval,
            ) => put(
                vector,
                row,
                c::duckdb_interval {
                    months: *months,
                    days: *days,
                    micros: *micros,
                },
            ),
            (Cell::List(items), SqlType::List(item)) => {
                let (child, start) = grow(vector, row, items.len() as u64);
                for (i, value) in (start..).zip(items) {
                    cell(child, i, value, item)?;
                }
            }
            (Cell::Map(entries), SqlType::Map(key, item)) => {
                let (child, start) = grow(vector, row, entries.len() as u64);
                for (i, (k, v)) in (start..).zip(entries) {
                    cell(c::duckdb_struct_vector_get_child(child, 0), i, k, key)?;
                    cell(c::duckdb_struct_vector_get_child(child, 1), i, v, item)?;
                }
            }
            (Cell::Struct(fields), SqlType::Struct(wanted)) => {
                for (i, (name, ty)) in (0..).zip(wanted) {
                    let value = fields
                        .iter()
                        .find(|(field, _)| field == name)
                        .map_or(&Cell::Null, |(_, value)| value);
                    cell(c::duckdb_struct_vector_get_child(vector, i), row, value, ty)?;
                }
            }
            _ => return Err(wrong()),
        }
    }
    Ok(())
}

unsafe fn put<T>(vector: c::duckdb_vector, row: u64, value: T) {
    // SAFETY: the caller wrote the type of the vector and a row inside it.
    unsafe {
        c::duckdb_vector_get_data(vector)
            .cast::<T>()
            .add(usize::try_from(row).unwrap_or_default())
            .write_unaligned(value);
    }
}

// Makes room for the items of one list and returns where they go.
unsafe fn grow(vector: c::duckdb_vector, row: u64, length: u64) -> (c::duckdb_vector, u64) {
    // SAFETY: the vector is a list or a map, whose entries lie one after the other.
    unsafe {
        let offset = c::duckdb_list_vector_get_size(vector);
        c::duckdb_list_vector_reserve(vector, offset + length);
        c::duckdb_list_vector_set_size(vector, offset + length);
        put(vector, row, c::duckdb_list_entry { offset, length });
        (c::duckdb_list_vector_get_child(vector), offset)
    }
}

unsafe fn decimal(vector: c::duckdb_vector, row: u64, unscaled: i128, width: u8) {
    // SAFETY: DuckDB stores decimals in the narrowest integer that holds their width.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`rescale` checked the width; the last arm splits the number"
    )]
    unsafe {
        match width {
            0..=4 => put(vector, row, unscaled as i16),
            5..=9 => put(vector, row, unscaled as i32),
            10..=18 => put(vector, row, unscaled as i64),
            _ => put(
                vector,
                row,
                c::duckdb_hugeint {
                    lower: unscaled as u64,
                    upper: (unscaled >> 64) as i64,
                },
            ),
        }
    }
}

// Rounds half away from zero to the scale, as a cast in SQL does.
fn rescale(digits: &str, width: u8, scale: u8) -> Option<i128> {
    let negative = digits.starts_with('-');
    let digits = digits.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::from(scale);
    let kept: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(scale)
        .collect();
    let mut value: i128 = format!("{whole}{kept}").parse().ok()?;
    if fraction.as_bytes().get(scale).is_some_and(|d| *d >= b'5') {
        value += 1;
    }
    let limit = 10i128.checked_pow(u32::from(width))?;
    (value < limit).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::rescale;

    #[test]
    fn decimals_take_the_declared_scale() {
        assert_eq!(rescale("1.005", 18, 3), Some(1005));
        assert_eq!(rescale("-1.0055", 18, 3), Some(-1006));
        assert_eq!(rescale("7", 5, 2), Some(700));
        assert_eq!(rescale("1000", 5, 2), None);
    }
}
