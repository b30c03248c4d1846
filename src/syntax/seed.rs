//! dbt seed CSV to columns with the types dbt gives them, and rows of raw text.
//!
//! Types follow agate as dbt configures it, quirks included (`50%` and `1,000` are numbers); values are not converted,
//! because the loader hands the text to DuckDB.

use text_size::TextRange;

use crate::{SyntaxError, SyntaxErrorKind, text_range};

mod infer;

#[cfg(test)]
mod tests;

/// Larger seeds are refused unread.
pub const MAX_BYTES: usize = 256 << 20;
/// At most this many rows are reported.
const MAX_ERRORS: usize = 20;

/// A seed file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    pub columns: Vec<Column>,
    /// How many rows there are below the header.
    pub rows: usize,
    pub errors: Vec<SyntaxError>,
    /// Where the header is written.
    pub header_range: TextRange,
    records: Vec<csv::StringRecord>,
    ranges: Vec<TextRange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub seed_type: SeedType,
}

/// The type dbt creates a seed's column with, unless `column_types` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeedType {
    /// Numbers without decimals, and columns without any value.
    Integer,
    /// Numbers of which at least one has decimals.
    Float,
    Date,
    Timestamp,
    Boolean,
    Text,
}

impl SeedType {
    /// The type name in dbt-duckdb's `create table`.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            SeedType::Integer => "integer",
            SeedType::Float => "float8",
            SeedType::Date => "date",
            SeedType::Timestamp => "timestamp without time zone",
            SeedType::Boolean => "boolean",
            SeedType::Text => "text",
        }
    }

    /// The same type as DuckDB reports it.
    #[must_use]
    pub fn duckdb(self) -> &'static str {
        match self {
            SeedType::Integer => "INTEGER",
            SeedType::Float => "DOUBLE",
            SeedType::Date => "DATE",
            SeedType::Timestamp => "TIMESTAMP",
            SeedType::Boolean => "BOOLEAN",
            SeedType::Text => "VARCHAR",
        }
    }
}

/// One row; see [`Seed::rows`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(&'a csv::StringRecord);

impl<'a> Row<'a> {
    /// The raw text of a column; `None` when the row is too short. An empty field is `Some("")`.
    #[must_use]
    pub fn get(&self, column: usize) -> Option<&'a str> {
        self.0.get(column)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.iter()
    }
}

impl Seed {
    /// The rows below the header, in file order. Blank lines are rows only when there is one column.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.records.iter().map(Row)
    }

    /// Where a row is written, counted as in [`Seed::rows`].
    #[must_use]
    pub fn row_range(&self, row: usize) -> Option<TextRange> {
        self.ranges.get(row).copied()
    }

    /// The column's index by name; case does not matter, as in DuckDB.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// Reads a seed whose fields are separated by `delimiter`.
#[must_use]
pub fn read(text: &str, delimiter: char) -> Seed {
    let mut seed = Seed::default();
    let error = |message: &str| SyntaxError::syntax(text_range(0, 0), message);
    if text.len() > MAX_BYTES {
        seed.errors.push(SyntaxError::new(
            SyntaxErrorKind::TooLarge,
            text_range(0, 0),
            format!("the seed is larger than {} MiB", MAX_BYTES >> 20),
        ));
        return seed;
    }
    let Ok(byte) = u8::try_from(delimiter) else {
        seed.errors
            .push(error("the delimiter must be one ASCII character"));
        return seed;
    };
    let bom = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    let body = &text[bom..];
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(byte)
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());
    let mut columns: Option<Vec<infer::Inference>> = None;
    let mut record = csv::StringRecord::new();
    loop {
        let mut start = offset(reader.position(), body);
        // A record ends at its carriage return; the line feed after it is read with the next one.
        if body[..start].ends_with('\r') && body[start..].starts_with('\n') {
            start += 1;
        }
        let more = match reader.read_record(&mut record) {
            Ok(more) => more,
            // The text is UTF-8 and rows may have any length, so nothing is left to go wrong.
            Err(problem) => {
                seed.errors
                    .push(error(&format!("this is not CSV: {problem}")));
                break;
            }
        };
        let end = offset(reader.position(), body).max(start);
        let written = &body[start..end];
        let skipped = written.len() - written.trim_start_matches(['\r', '\n']).len();
        // In a seed of one column a blank line is a row without a value.
        if seed.columns.len() == 1 {
            let blank = csv::StringRecord::from(vec![""]);
            let count = blank_lines(&written[..skipped]);
            seed.records.extend(std::iter::repeat_n(blank, count));
            let nowhere = text_range(bom + start, bom + start);
            seed.ranges.extend(std::iter::repeat_n(nowhere, count));
        }
        if !more {
            break;
        }
        let written = &written[skipped..];
        let start = bom + start + skipped;
        let range = text_range(start, start + written.trim_matches(['\r', '\n']).len());
        let Some(columns) = &mut columns else {
            seed.header_range = range;
            seed.columns = header(&record);
            columns = Some(vec![infer::Inference::default(); record.len()]);
            continue;
        };
        if record.len() != seed.columns.len() && seed.errors.len() < MAX_ERRORS {
            let (found, expected) = (record.len(), seed.columns.len());
            let number = seed.records.len() + 1;
            seed.errors.push(
                SyntaxError::syntax(
                    range,
                    format!(
                        "row {number} has {found} {}, but the header names {expected} {}",
                        plural(found, "value"),
                        plural(expected, "column")
                    ),
                )
                .with_help("put a value that holds the delimiter in double quotes"),
            );
        }
        for (column, value) in columns.iter_mut().zip(record.iter()) {
            column.observe(value);
        }
        seed.records.push(record.clone());
        seed.ranges.push(range);
    }
    if columns.is_none() {
        seed.errors
            .push(error("the seed is empty").with_help("start it with a line of column names"));
    }
    for (column, inference) in seed.columns.iter_mut().zip(columns.unwrap_or_default()) {
        column.seed_type = inference.seed_type();
    }
    seed.rows = seed.records.len();
    seed
}

fn blank_lines(text: &str) -> usize {
    text.replace("\r\n", "\n").len()
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

fn offset(position: &csv::Position, body: &str) -> usize {
    let mut at = usize::try_from(position.byte())
        .unwrap_or(usize::MAX)
        .min(body.len());
    while !body.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Column names as agate makes them unique: letters for empty ones, `_2`, `_3` … for repeated ones.
fn header(record: &csv::StringRecord) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::with_capacity(record.len());
    let mut seen = std::collections::HashSet::new();
    for (index, name) in record.iter().enumerate() {
        let base = if name.is_empty() {
            letter_name(index)
        } else {
            name.to_owned()
        };
        let mut name = base.clone();
        let mut suffix = 2;
        while !seen.insert(name.clone()) {
            name = format!("{base}_{suffix}");
            suffix += 1;
        }
        columns.push(Column {
            name,
            seed_type: SeedType::Integer,
        });
    }
    columns
}

/// `a` to `z`, then `aa`, `bb`, …
fn letter_name(index: usize) -> String {
    let letters = "abcdefghijklmnopqrstuvwxyz";
    letters[index % 26..=index % 26].repeat(index / 26 + 1)
}
