//! Result vectors of DuckDB, read once, into whatever a [`Build`] makes of them: JSON for clients,
//! cells for Python. One reader, so that both see the same values.
//!
//! It reads the vectors themselves: the Arrow form has already lost the types of nested values.

use duckdb::ffi as c;
use mxcp_artifact::TypeDef;

use super::ffi::{LogicalType, take_text};
use super::texts::{bignum_text, bit_text, uuid_text};
use super::variant::Parts;

/// Makes a value of each SQL type. `hint` is the declared type at that place, if any.
pub(crate) trait Build {
    type Out;
    /// Roughly how many bytes were built so far.
    fn size(&self) -> u64 {
        0
    }
    /// Whether that is more than anybody will get, so that the rest of a value need not be built.
    fn full(&self) -> bool {
        false
    }
    fn null(&self) -> Self::Out;
    fn bool(&self, value: bool) -> Self::Out;
    fn int(&self, value: i128, hint: Option<&TypeDef>) -> Self::Out;
    /// A number whose digits are given as text: an unsigned 128-bit or an arbitrary integer.
    fn digits(&self, text: String, hint: Option<&TypeDef>) -> Self::Out;
    fn decimal(&self, unscaled: i128, scale: u8, hint: Option<&TypeDef>) -> Self::Out;
    fn float(&self, value: f64) -> Self::Out;
    fn float_key(&self, value: f64) -> Self::Out {
        self.float(value)
    }
    fn text(&self, text: &str, json: bool, hint: Option<&TypeDef>) -> Self::Out;
    fn bytes(&self, bytes: &[u8]) -> Self::Out;
    fn date(&self, days: i32) -> Self::Out;
    /// Nanoseconds since midnight; the offset is in seconds.
    fn time(&self, nanos: i64, offset: Option<i32>) -> Self::Out;
    /// Microseconds since the epoch and the nanoseconds that do not fit into them.
    fn timestamp(&self, micros: i64, nanos: u16, utc: bool) -> Self::Out;
    fn interval(&self, months: i32, days: i32, micros: i64) -> Self::Out;
    fn uuid(&self, text: String) -> Self::Out;
    fn list(&self, items: Vec<Self::Out>) -> Self::Out;
    fn record(&self, fields: Vec<(String, Self::Out)>) -> Self::Out;
    fn map(&self, entries: Vec<(Self::Out, Self::Out)>) -> Self::Out;
}

/// The type of a column, read out of DuckDB once per result.
#[derive(Debug)]
pub(crate) struct ColumnType {
    id: c::duckdb_type,
    /// The physical type of decimals and enums.
    storage: c::duckdb_type,
    scale: u8,
    size: u64,
    json: bool,
    /// Enum values, struct fields or union members.
    words: Vec<String>,
    children: Vec<ColumnType>,
}

impl ColumnType {
    /// Fails on types whose vectors this reader does not know, naming the way out.
    pub(crate) fn of(ty: &LogicalType) -> Result<Self, String> {
        let raw = ty.0;
        // SAFETY: `raw` is live, child indexes stay below the counts, and child types are owned.
        unsafe {
            let id = c::duckdb_get_type_id(raw);
            let mut out = Self {
                id,
                storage: id,
                scale: 0,
                size: 0,
                json: false,
                words: Vec::new(),
                children: Vec::new(),
            };
            let child = |raw| ColumnType::of(&LogicalType(raw));
            match id {
                c::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
                    out.scale = c::duckdb_decimal_scale(raw);
                    out.storage = c::duckdb_decimal_internal_type(raw);
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_ENUM => {
                    out.storage = c::duckdb_enum_internal_type(raw);
                    out.words = (0..u64::from(c::duckdb_enum_dictionary_size(raw)))
                        .map(|i| take_text(c::duckdb_enum_dictionary_value(raw, i)))
                        .collect();
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => {
                    let alias = take_text(c::duckdb_logical_type_get_alias(raw));
                    out.json = alias.eq_ignore_ascii_case("json");
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_LIST => {
                    out.children
                        .push(child(c::duckdb_list_type_child_type(raw))?);
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
                    out.size = c::duckdb_array_type_array_size(raw);
                    out.children
                        .push(child(c::duckdb_array_type_child_type(raw))?);
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_MAP => {
                    out.children.push(child(c::duckdb_map_type_key_type(raw))?);
                    out.children
                        .push(child(c::duckdb_map_type_value_type(raw))?);
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => {
                    for i in 0..c::duckdb_struct_type_child_count(raw) {
                        out.words
                            .push(take_text(c::duckdb_struct_type_child_name(raw, i)));
                        out.children
                            .push(child(c::duckdb_struct_type_child_type(raw, i))?);
                    }
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_UNION => {
                    for i in 0..c::duckdb_union_type_member_count(raw) {
                        out.words
                            .push(take_text(c::duckdb_union_type_member_name(raw, i)));
                        out.children
                            .push(child(c::duckdb_union_type_member_type(raw, i))?);
                    }
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_INVALID | c::DUCKDB_TYPE_DUCKDB_TYPE_ANY => {
                    return Err("has no type that can be read; cast it to VARCHAR".into());
                }
                _ => {}
            }
            Ok(out)
        }
    }

    /// Opens the vector of this type for reading.
    ///
    /// # Safety
    /// `vector` is a live, flat vector of this type.
    pub(crate) unsafe fn open(&self, vector: c::duckdb_vector) -> Vector<'_> {
        // SAFETY: the caller's promise; nested vectors belong to `vector`.
        unsafe {
            let children = match self.id {
                c::DUCKDB_TYPE_DUCKDB_TYPE_LIST => {
                    vec![self.children[0].open(c::duckdb_list_vector_get_child(vector))]
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
                    vec![self.children[0].open(c::duckdb_array_vector_get_child(vector))]
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_MAP => {
                    let entries = c::duckdb_list_vector_get_child(vector);
                    (0..2)
                        .map(|i: u64| {
                            self.children[usize::from(i == 1)]
                                .open(c::duckdb_struct_vector_get_child(entries, i))
                        })
                        .collect()
                }
                // The first child of a union is its tag.
                c::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT | c::DUCKDB_TYPE_DUCKDB_TYPE_UNION => {
                    let first = u64::from(self.id == c::DUCKDB_TYPE_DUCKDB_TYPE_UNION);
                    self.children
                        .iter()
                        .zip(first..)
                        .map(|(child, i)| child.open(c::duckdb_struct_vector_get_child(vector, i)))
                        .collect()
                }
                _ => Vec::new(),
            };
            let data = if self.id == c::DUCKDB_TYPE_DUCKDB_TYPE_UNION {
                c::duckdb_vector_get_data(c::duckdb_struct_vector_get_child(vector, 0))
            } else {
                c::duckdb_vector_get_data(vector)
            };
            Vector {
                ty: self,
                data: data.cast(),
                validity: c::duckdb_vector_get_validity(vector),
                children,
                variant: (self.id == c::DUCKDB_TYPE_DUCKDB_TYPE_VARIANT)
                    .then(|| Parts::open(vector)),
            }
        }
    }
}

/// A vector that can be read row by row while its chunk lives.
pub(crate) struct Vector<'a> {
    ty: &'a ColumnType,
    data: *const u8,
    validity: *const u64,
    children: Vec<Vector<'a>>,
    variant: Option<Parts>,
}

impl Vector<'_> {
    fn is_null(&self, row: usize) -> bool {
        if self.validity.is_null() {
            return false;
        }
        // SAFETY: a validity mask has one bit per row.
        let word = unsafe { *self.validity.add(row / 64) };
        word & (1 << (row % 64)) == 0
    }

    /// # Safety
    /// `T` is the physical type of the vector and `row` is below its size.
    unsafe fn at<T: Copy>(&self, row: usize) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.data.cast::<T>().add(row).read_unaligned() }
    }

    fn string(&self, row: usize) -> &[u8] {
        // SAFETY: callers ask only for vectors of strings, whose data outlives the vector.
        unsafe { slot_text(self.data, row) }
    }

    /// # Safety
    /// `row` is below the size of the vector and the chunk is live.
    pub(crate) unsafe fn read<B: Build>(
        &self,
        row: usize,
        build: &B,
        hint: Option<&TypeDef>,
    ) -> B::Out {
        if self.is_null(row) {
            return build.null();
        }
        // SAFETY: each arm reads the physical type that belongs to the logical one.
        unsafe {
            match self.ty.id {
                c::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => build.bool(self.at::<u8>(row) != 0),
                c::DUCKDB_TYPE_DUCKDB_TYPE_ENUM => {
                    let index = usize::try_from(self.integer(row, self.ty.storage)).ok();
                    match index.and_then(|i| self.ty.words.get(i)) {
                        Some(word) => build.text(word, false, hint),
                        None => build.null(),
                    }
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
                    build.decimal(self.integer(row, self.ty.storage), self.ty.scale, hint)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => build.float(shortest(self.at::<f32>(row))),
                c::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => build.float(self.at::<f64>(row)),
                c::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => build.text(
                    &String::from_utf8_lossy(self.string(row)),
                    self.ty.json,
                    hint,
                ),
                c::DUCKDB_TYPE_DUCKDB_TYPE_BLOB | c::DUCKDB_TYPE_DUCKDB_TYPE_GEOMETRY => {
                    build.bytes(self.string(row))
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_BIT => {
                    build.text(&bit_text(self.string(row)), false, hint)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_BIGNUM => {
                    build.digits(bignum_text(self.string(row)), hint)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_UHUGEINT => {
                    let value = self.at::<c::duckdb_uhugeint>(row);
                    let value = (u128::from(value.upper) << 64) | u128::from(value.lower);
                    match i128::try_from(value) {
                        Ok(value) => build.int(value, hint),
                        Err(_) => build.digits(value.to_string(), hint),
                    }
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_UUID => {
                    let value = self.at::<c::duckdb_hugeint>(row);
                    // Stored with the top bit flipped, so that integers sort like texts.
                    let upper = (value.upper ^ i64::MIN).cast_unsigned();
                    build.uuid(uuid_text(
                        (u128::from(upper) << 64) | u128::from(value.lower),
                    ))
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_DATE => build.date(self.at::<i32>(row)),
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIME => {
                    build.time(self.at::<i64>(row).saturating_mul(1000), None)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIME_NS => build.time(self.at::<i64>(row), None),
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIME_TZ => {
                    time_tz(build, self.at::<c::duckdb_time_tz>(row))
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => {
                    build.timestamp(self.at::<i64>(row), 0, false)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => {
                    build.timestamp(self.at::<i64>(row), 0, true)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_S => {
                    build.timestamp(scaled(self.at::<i64>(row), 1_000_000), 0, false)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_MS => {
                    build.timestamp(scaled(self.at::<i64>(row), 1000), 0, false)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS
                | c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ_NS => {
                    let utc = self.ty.id == c::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ_NS;
                    timestamp_ns(build, self.at::<i64>(row), utc)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL => {
                    let value = self.at::<c::duckdb_interval>(row);
                    build.interval(value.months, value.days, value.micros)
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_LIST => {
                    let entry = self.at::<c::duckdb_list_entry>(row);
                    build.list(self.items(entry.offset, entry.length, build, hint))
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
                    build.list(self.items(row as u64 * self.ty.size, self.ty.size, build, hint))
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_MAP => {
                    let entry = self.at::<c::duckdb_list_entry>(row);
                    let rows = range(entry.offset, entry.length);
                    build.map(
                        rows.take_while(|_| !build.full())
                            .map(|i| {
                                let key = self.children[0].key(i, build);
                                (key, self.children[1].read(i, build, None))
                            })
                            .collect(),
                    )
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => {
                    let fields = self.ty.words.iter().zip(&self.children);
                    // `row(1, 2)` has fields without names.
                    if !self.ty.words.is_empty() && self.ty.words.iter().all(String::is_empty) {
                        build.list(fields.map(|(_, v)| v.read(row, build, None)).collect())
                    } else {
                        build.record(
                            fields
                                .map(|(name, vector)| {
                                    let hint = hint.and_then(|h| h.property(name));
                                    (name.clone(), vector.read(row, build, hint))
                                })
                                .collect(),
                        )
                    }
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_UNION => {
                    match self.children.get(usize::from(self.at::<u8>(row))) {
                        Some(member) => member.read(row, build, hint),
                        None => build.null(),
                    }
                }
                c::DUCKDB_TYPE_DUCKDB_TYPE_VARIANT => match &self.variant {
                    Some(parts) => parts.read(row, build, hint),
                    None => build.null(),
                },
                id if is_integer(id) => build.int(self.integer(row, id), hint),
                // SQLNULL and whatever comes without values.
                _ => build.null(),
            }
        }
    }

    unsafe fn key<B: Build>(&self, row: usize, build: &B) -> B::Out {
        // SAFETY: the entry of a live row lies inside its child vector.
        unsafe {
            match self.ty.id {
                c::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => build.float_key(shortest(self.at::<f32>(row))),
                c::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => build.float_key(self.at::<f64>(row)),
                _ => self.read(row, build, None),
            }
        }
    }

    unsafe fn items<B: Build>(
        &self,
        offset: u64,
        length: u64,
        build: &B,
        hint: Option<&TypeDef>,
    ) -> Vec<B::Out> {
        let hint = hint.and_then(|h| h.items.as_deref());
        range(offset, length)
            .take_while(|_| !build.full())
            // SAFETY: the entry of a live row lies inside its child vector.
            .map(|i| unsafe { self.children[0].read(i, build, hint) })
            .collect()
    }

    unsafe fn integer(&self, row: usize, storage: c::duckdb_type) -> i128 {
        // SAFETY: `storage` is the physical type, as DuckDB told.
        unsafe {
            match storage {
                c::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT => self.at::<i8>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => self.at::<i16>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => self.at::<i32>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => self.at::<i64>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT => self.at::<u8>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT => self.at::<u16>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => self.at::<u32>(row).into(),
                c::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => self.at::<u64>(row).into(),
                _ => {
                    let value = self.at::<c::duckdb_hugeint>(row);
                    (i128::from(value.upper) << 64) | i128::from(value.lower)
                }
            }
        }
    }
}

fn is_integer(id: c::duckdb_type) -> bool {
    matches!(
        id,
        c::DUCKDB_TYPE_DUCKDB_TYPE_TINYINT
            | c::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT
            | c::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER
            | c::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT
            | c::DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT
            | c::DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT
            | c::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER
            | c::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT
            | c::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT
    )
}

fn range(offset: u64, length: u64) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap_or_default();
    start..start + usize::try_from(length).unwrap_or_default()
}

/// The bytes of a string slot: short strings live inside its 16 bytes, longer ones behind a pointer.
///
/// # Safety
/// `slots` is the data of a vector of strings with more than `row` rows, live as long as the result.
pub(super) unsafe fn slot_text<'a>(slots: *const u8, row: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe {
        let slot = slots.add(row * 16);
        let length = slot.cast::<u32>().read_unaligned() as usize;
        let start = if length <= 12 {
            slot.add(4)
        } else {
            slot.add(8).cast::<*const u8>().read_unaligned()
        };
        std::slice::from_raw_parts(start, length)
    }
}

pub(super) fn time_tz<B: Build>(build: &B, value: c::duckdb_time_tz) -> B::Out {
    // SAFETY: it only computes.
    let parts = unsafe { c::duckdb_from_time_tz(value) };
    let time = parts.time;
    let seconds = (i64::from(time.hour) * 60 + i64::from(time.min)) * 60 + i64::from(time.sec);
    let nanos = (seconds * 1_000_000 + i64::from(time.micros)) * 1000;
    build.time(nanos, Some(parts.offset))
}

pub(super) fn timestamp_ns<B: Build>(build: &B, nanos: i64, utc: bool) -> B::Out {
    if nanos == i64::MAX || nanos == -i64::MAX {
        build.timestamp(nanos, 0, utc)
    } else {
        let rest = u16::try_from(nanos.rem_euclid(1000)).unwrap_or_default();
        build.timestamp(nanos.div_euclid(1000), rest, utc)
    }
}

/// Infinities are the extreme values in every unit and must stay so.
pub(super) fn scaled(value: i64, factor: i64) -> i64 {
    if value == i64::MAX || value == -i64::MAX {
        value
    } else {
        value.saturating_mul(factor)
    }
}

/// The double that prints like the float: 0.1 stays 0.1.
pub(super) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}
