//! The database as templates see it while a node runs: one connection, in a transaction.

use duckdb::Connection;
use duckdb::types::{TimeUnit, Value as Engine, ValueRef};
use mxcp_artifact::dbt_live::{Column, Table, Warehouse};
use serde_json::{Number, Value};

use crate::database::Failure;
use crate::moment::Moment;

pub(crate) struct Live<'a> {
    connection: &'a Connection,
    /// Every statement is a transaction of its own until the template begins one.
    autocommit: bool,
    note: &'a dyn Fn(String),
}

impl<'a> Live<'a> {
    pub(crate) fn new(connection: &'a Connection, note: &'a dyn Fn(String)) -> Self {
        Self {
            connection,
            autocommit: false,
            note,
        }
    }

    pub(crate) fn autocommitting(mut self) -> Self {
        self.autocommit = true;
        self
    }

    /// Runs `work` in a transaction that is committed when it succeeds.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, String>,
    ) -> Result<T, Failure> {
        self.connection.execute_batch("begin transaction")?;
        let outcome = work(self).map_err(Failure::new).and_then(|value| {
            self.connection.execute_batch("commit")?;
            Ok(value)
        });
        if outcome.is_err() {
            let _ = self.connection.execute_batch("rollback");
        }
        outcome
    }

    fn run(&self, sql: &str) -> Result<Table, String> {
        if is_blank(sql) {
            return Ok(Table::default());
        }
        fetch(self.connection, sql).map_err(|error| error.to_string())
    }
}

impl Warehouse for Live<'_> {
    fn query(&self, sql: &str) -> Result<Table, String> {
        self.run(sql)
    }

    fn begin(&self) -> Result<(), String> {
        if self.autocommit {
            // One that is open already goes on.
            let _ = self.connection.execute_batch("begin transaction");
        }
        Ok(())
    }

    fn commit(&self) -> Result<(), String> {
        if self.autocommit {
            // Without an open transaction there is nothing to keep.
            let _ = self.connection.execute_batch("commit");
            return Ok(());
        }
        self.connection
            .execute_batch("commit")
            .and_then(|()| self.connection.execute_batch("begin transaction"))
            .map_err(|error| error.to_string())
    }

    fn rollback(&self) -> Result<(), String> {
        if self.autocommit {
            let _ = self.connection.execute_batch("rollback");
            return Ok(());
        }
        self.connection
            .execute_batch("rollback")
            .and_then(|()| self.connection.execute_batch("begin transaction"))
            .map_err(|error| error.to_string())
    }

    fn log(&self, line: &str) {
        (self.note)(line.to_owned());
    }
}

pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Nothing but space, comments and semicolons.
pub(crate) fn is_blank(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(after) = rest.strip_prefix(';') {
            after
        } else {
            return rest.is_empty();
        }
        .trim_start();
    }
}

/// Runs all statements; the table is the last one's.
pub(crate) fn fetch(connection: &Connection, sql: &str) -> duckdb::Result<Table> {
    let types = described(connection, sql);
    let mut statement = connection.prepare(sql)?;
    let mut table = Table::default();
    let mut values = Vec::new();
    {
        let mut rows = statement.query([])?;
        let columns = rows.as_ref().map_or(0, duckdb::Statement::column_count);
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(columns);
            for i in 0..columns {
                cells.push(cell(row.get_ref(i)?));
            }
            values.push(cells);
        }
    }
    let names = statement.column_names();
    table.columns = names
        .into_iter()
        .enumerate()
        .map(|(i, name)| Column {
            data_type: match types.as_deref().and_then(|types| types.get(i)) {
                Some(ty) => ty.clone(),
                None => engine_type(&statement.column_type(i)),
            },
            name,
        })
        .collect();
    // Statements that change rows answer with their number.
    if let ([column], [row]) = (table.columns.as_slice(), values.as_slice())
        && column.name == "Count"
        && types.is_none()
    {
        table.changed = row.first().and_then(Value::as_u64);
    }
    table.rows = values;
    Ok(table)
}

/// The engine's text of the types of one query; `None` for other statements.
fn described(connection: &Connection, sql: &str) -> Option<Vec<String>> {
    let body = sql
        .trim()
        .trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let word: String = body
        .chars()
        .skip_while(|c| *c == '(')
        .take_while(|c| c.is_alphabetic())
        .collect();
    if !["select", "with", "from", "values", "pivot", "unpivot"]
        .contains(&word.to_lowercase().as_str())
        || body.contains(';')
    {
        return None;
    }
    let mut statement = connection
        .prepare(&format!("select column_type from (describe {body}\n)"))
        .ok()?;
    statement
        .query_map([], |row| row.get::<_, String>(0))
        .ok()?
        .collect::<duckdb::Result<Vec<String>>>()
        .ok()
}

/// For results of other statements, whose types are simple.
fn engine_type(arrow: &impl std::fmt::Debug) -> String {
    let name = format!("{arrow:?}");
    match name.as_str() {
        "Int8" => "TINYINT",
        "Int16" => "SMALLINT",
        "Int32" => "INTEGER",
        "Int64" => "BIGINT",
        "UInt8" => "UTINYINT",
        "UInt16" => "USMALLINT",
        "UInt32" => "UINTEGER",
        "UInt64" => "UBIGINT",
        "Float32" => "FLOAT",
        "Float64" => "DOUBLE",
        "Boolean" => "BOOLEAN",
        "Date32" => "DATE",
        _ if name.starts_with("Timestamp") => "TIMESTAMP",
        _ => "VARCHAR",
    }
    .to_owned()
}

/// A value as JSON; what JSON lacks is text in the engine's spelling.
pub(crate) fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Boolean(flag) => flag.into(),
        ValueRef::TinyInt(n) => n.into(),
        ValueRef::SmallInt(n) => n.into(),
        ValueRef::Int(n) => n.into(),
        ValueRef::BigInt(n) => n.into(),
        ValueRef::UTinyInt(n) => n.into(),
        ValueRef::USmallInt(n) => n.into(),
        ValueRef::UInt(n) => n.into(),
        ValueRef::UBigInt(n) => n.into(),
        ValueRef::HugeInt(n) => number(&n.to_string()),
        ValueRef::UHugeInt(n) => number(&n.to_string()),
        ValueRef::Float(n) => float(f64::from(n), n.to_string()),
        ValueRef::Double(n) => float(n, n.to_string()),
        ValueRef::Decimal(n) => number(&n.to_string()),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        other => text(&other.to_owned()).into(),
    }
}

fn number(text: &str) -> Value {
    text.parse::<Number>()
        .map_or_else(|_| text.into(), Value::Number)
}

fn float(value: f64, text: String) -> Value {
    Number::from_f64(value).map_or_else(|| text.to_lowercase().into(), Value::Number)
}

/// The engine's spelling of a value inside another.
fn text(value: &Engine) -> String {
    match value {
        Engine::Null => "NULL".to_owned(),
        Engine::Boolean(flag) => flag.to_string(),
        Engine::TinyInt(n) => n.to_string(),
        Engine::SmallInt(n) => n.to_string(),
        Engine::Int(n) => n.to_string(),
        Engine::BigInt(n) => n.to_string(),
        Engine::HugeInt(n) => n.to_string(),
        Engine::UHugeInt(n) => n.to_string(),
        Engine::UTinyInt(n) => n.to_string(),
        Engine::USmallInt(n) => n.to_string(),
        Engine::UInt(n) => n.to_string(),
        Engine::UBigInt(n) => n.to_string(),
        Engine::Float(n) => format!("{n:?}"),
        Engine::Double(n) => format!("{n:?}"),
        Engine::Decimal(n) => n.to_string(),
        Engine::Text(text) | Engine::Enum(text) => text.clone(),
        Engine::Blob(bytes) | Engine::Geometry(bytes) => bytes
            .iter()
            .map(|b| {
                if (0x20..0x7f).contains(b) && !b"\\\"'".contains(b) {
                    char::from(*b).to_string()
                } else {
                    format!("\\x{b:02X}")
                }
            })
            .collect(),
        Engine::Timestamp(unit, n) => moment(unit.to_micros(*n)),
        Engine::Date32(days) => moment(i64::from(*days) * 86_400_000_000)
            .chars()
            .take(10)
            .collect(),
        Engine::Time64(unit, n) => time(*unit, *n),
        Engine::Interval {
            months,
            days,
            nanos,
        } => interval(*months, *days, *nanos),
        Engine::List(items) | Engine::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            format!("[{}]", items.join(", "))
        }
        Engine::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("'{name}': {}", text(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Engine::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}={}", text(key), text(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Engine::Union(value) => text(value),
        other => format!("{other:?}"),
    }
}

fn moment(micros: i64) -> String {
    let text = Moment::from_micros(micros).in_sql();
    let text = text.strip_suffix("+00:00").unwrap_or(&text);
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
        None => text.to_owned(),
    }
}

fn time(unit: TimeUnit, n: i64) -> String {
    moment(unit.to_micros(n)).chars().skip(11).collect()
}

fn interval(months: i32, days: i32, nanos: i64) -> String {
    let mut parts = Vec::new();
    let mut part = |n: i32, unit: &str| {
        if n != 0 {
            let plural = if n.abs() == 1 { "" } else { "s" };
            parts.push(format!("{n} {unit}{plural}"));
        }
    };
    part(months / 12, "year");
    part(months % 12, "month");
    part(days, "day");
    if nanos != 0 || parts.is_empty() {
        let sign = if nanos < 0 { "-" } else { "" };
        let micros = nanos.abs() / 1000;
        let mut clock = format!(
            "{sign}{:02}:{:02}:{:02}",
            micros / 3_600_000_000,
            micros / 60_000_000 % 60,
            micros / 1_000_000 % 60
        );
        if micros % 1_000_000 != 0 {
            let fraction = format!("{:06}", micros % 1_000_000);
            clock = format!("{clock}.{}", fraction.trim_end_matches('0'));
        }
        parts.push(clock);
    }
    parts.join(" ")
}
