//! VARIANT values. A VARIANT vector is a struct of four: the keys of a row, its links from objects
//! and arrays to their items, its values as (type, place), and one blob with what they are. The
//! first value of a row is the whole.

use duckdb::ffi as c;
use mxcp_artifact::TypeDef;

use super::decode::{Build, scaled, shortest, slot_text, timestamp_ns};
use super::texts::{bignum_text, bit_text, uuid_text};

/// What the engine itself refuses to nest deeper.
const DEPTH: usize = 1000;

/// The vectors behind a VARIANT vector.
pub(super) struct Parts {
    keys: *const c::duckdb_list_entry,
    key_texts: *const u8,
    links: *const c::duckdb_list_entry,
    link_keys: *const u32,
    link_values: *const u32,
    values: *const c::duckdb_list_entry,
    types: *const u8,
    places: *const u32,
    blobs: *const u8,
}

impl Parts {
    /// # Safety
    /// `vector` is a live, flat VARIANT vector.
    pub(super) unsafe fn open(vector: c::duckdb_vector) -> Self {
        // SAFETY: the caller's promise; the children are those that every VARIANT vector has.
        unsafe {
            let field = |vector, i| c::duckdb_struct_vector_get_child(vector, i);
            let (keys, links, values) = (field(vector, 0), field(vector, 1), field(vector, 2));
            let link = c::duckdb_list_vector_get_child(links);
            let value = c::duckdb_list_vector_get_child(values);
            let data = |vector| c::duckdb_vector_get_data(vector);
            Self {
                keys: data(keys).cast(),
                key_texts: data(c::duckdb_list_vector_get_child(keys)).cast(),
                links: data(links).cast(),
                link_keys: data(field(link, 0)).cast(),
                link_values: data(field(link, 1)).cast(),
                values: data(values).cast(),
                types: data(field(value, 0)).cast(),
                places: data(field(value, 1)).cast(),
                blobs: data(field(vector, 3)).cast(),
            }
        }
    }

    /// # Safety
    /// `row` is below the size of the vector, not NULL, and the chunk is live.
    pub(super) unsafe fn read<B: Build>(
        &self,
        row: usize,
        build: &B,
        hint: Option<&TypeDef>,
    ) -> B::Out {
        // SAFETY: the caller's promise; the entries of a live row lie inside their vectors.
        let row = unsafe {
            Row {
                parts: self,
                keys: *self.keys.add(row),
                links: *self.links.add(row),
                values: *self.values.add(row),
                blob: slot_text(self.blobs, row),
            }
        };
        row.value(0, build, hint, 0).unwrap_or_else(|| build.null())
    }
}

struct Row<'a> {
    parts: &'a Parts,
    keys: c::duckdb_list_entry,
    links: c::duckdb_list_entry,
    values: c::duckdb_list_entry,
    blob: &'a [u8],
}

impl<'a> Row<'a> {
    // `None` where the parts do not fit together, which no engine writes.
    fn value<B: Build>(
        &self,
        index: u64,
        build: &B,
        hint: Option<&TypeDef>,
        depth: usize,
    ) -> Option<B::Out> {
        let at = place(self.values, index)?;
        // SAFETY: `at` lies inside the row's entry.
        let (ty, offset) = unsafe { (*self.parts.types.add(at), *self.parts.places.add(at)) };
        let mut bytes = Bytes(self.blob.get(usize::try_from(offset).ok()?..)?);
        Some(match ty {
            0 => build.null(),
            1 => build.bool(true),
            2 => build.bool(false),
            3 => build.int(i8::from_le_bytes(bytes.take()?).into(), hint),
            4 => build.int(i16::from_le_bytes(bytes.take()?).into(), hint),
            5 => build.int(i32::from_le_bytes(bytes.take()?).into(), hint),
            6 => build.int(bytes.i64()?.into(), hint),
            7 => build.int(i128::from_le_bytes(bytes.take()?), hint),
            8 => build.int(u8::from_le_bytes(bytes.take()?).into(), hint),
            9 => build.int(u16::from_le_bytes(bytes.take()?).into(), hint),
            10 => build.int(u32::from_le_bytes(bytes.take()?).into(), hint),
            11 => build.int(u64::from_le_bytes(bytes.take()?).into(), hint),
            12 => {
                let value = u128::from_le_bytes(bytes.take()?);
                match i128::try_from(value) {
                    Ok(value) => build.int(value, hint),
                    Err(_) => build.digits(value.to_string(), hint),
                }
            }
            13 => build.float(shortest(f32::from_le_bytes(bytes.take()?))),
            14 => build.float(f64::from_le_bytes(bytes.take()?)),
            15 => {
                let width = bytes.number()?;
                let scale = u8::try_from(bytes.number()?).ok()?;
                let unscaled = match width {
                    0..=4 => i16::from_le_bytes(bytes.take()?).into(),
                    5..=9 => i32::from_le_bytes(bytes.take()?).into(),
                    10..=18 => bytes.i64()?.into(),
                    _ => i128::from_le_bytes(bytes.take()?),
                };
                build.decimal(unscaled, scale, hint)
            }
            16 => build.text(&String::from_utf8_lossy(bytes.text()?), false, hint),
            17 | 33 => build.bytes(bytes.text()?),
            18 => {
                let value = u128::from_le_bytes(bytes.take()?);
                build.uuid(uuid_text(value ^ (1 << 127)))
            }
            19 => build.date(i32::from_le_bytes(bytes.take()?)),
            20 => build.time(bytes.i64()?.saturating_mul(1000), None),
            21 => build.time(bytes.i64()?, None),
            22 => build.timestamp(scaled(bytes.i64()?, 1_000_000), 0, false),
            23 => build.timestamp(scaled(bytes.i64()?, 1000), 0, false),
            24 => build.timestamp(bytes.i64()?, 0, false),
            25 => timestamp_ns(build, bytes.i64()?, false),
            26 => {
                let bits = u64::from_le_bytes(bytes.take()?);
                super::decode::time_tz(build, c::duckdb_time_tz { bits })
            }
            27 => build.timestamp(bytes.i64()?, 0, true),
            28 => {
                let months = i32::from_le_bytes(bytes.take()?);
                let days = i32::from_le_bytes(bytes.take()?);
                build.interval(months, days, bytes.i64()?)
            }
            29 | 30 if depth >= DEPTH => return None,
            29 => {
                let mut fields = self
                    .items(&mut bytes)?
                    .map(|(key, value)| {
                        let key = self.key(key)?;
                        let hint = hint.and_then(|h| h.property(&key));
                        let value = self.value(value, build, hint, depth + 1)?;
                        Some((key, value))
                    })
                    .collect::<Option<Vec<_>>>()?;
                // The engine keeps them in an order that changes from one run to the next.
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                build.record(fields)
            }
            30 => {
                let hint = hint.and_then(|h| h.items.as_deref());
                let items = self
                    .items(&mut bytes)?
                    .map(|(_, value)| self.value(value, build, hint, depth + 1))
                    .collect::<Option<Vec<_>>>()?;
                build.list(items)
            }
            31 => build.digits(bignum_text(bytes.text()?), hint),
            32 => build.text(&bit_text(bytes.text()?), false, hint),
            34 => timestamp_ns(build, bytes.i64()?, true),
            _ => return None,
        })
    }

    // The key and the value of each item of an object or array, as indexes within the row.
    fn items(
        &self,
        bytes: &mut Bytes<'_>,
    ) -> Option<impl Iterator<Item = (u64, u64)> + use<'_, 'a>> {
        let count = bytes.number()?;
        let first = if count == 0 { 0 } else { bytes.number()? };
        let end = first.checked_add(count)?;
        if end > self.links.length {
            return None;
        }
        Some((first..end).filter_map(|i| {
            let at = place(self.links, i)?;
            // SAFETY: `at` lies inside the row's entry.
            let (key, value) = unsafe {
                (
                    *self.parts.link_keys.add(at),
                    *self.parts.link_values.add(at),
                )
            };
            Some((key.into(), value.into()))
        }))
    }

    fn key(&self, index: u64) -> Option<String> {
        let at = place(self.keys, index)?;
        // SAFETY: `at` lies inside the row's entry.
        let text = unsafe { slot_text(self.parts.key_texts, at) };
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

fn place(entry: c::duckdb_list_entry, index: u64) -> Option<usize> {
    if index >= entry.length {
        return None;
    }
    usize::try_from(entry.offset + index).ok()
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    // Seven bits per byte, the low ones first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 127) << shift;
            if byte & 128 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}
