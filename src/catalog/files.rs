//! Local files that SQL reads its rows from: where a text names them, and which columns DuckDB finds in them.
//!
//! A text that reads known files is bound with relations in their place: each name is as long as what it
//! replaces, so that every position stays what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duckdb::{Config, Connection};
use mxcp_artifact::catalog::quote_literal;
use mxcp_artifact::{Column, SqlType};

use crate::facts::Facts;
use crate::names::unquoted;
use crate::tokens::{Token, TokenKind, tokenize};

/// A place where a text reads a local file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileRead {
    /// What follows `FROM`: a call, or the name of the file.
    pub call: String,
    /// Relative to the project.
    pub path: String,
    start: usize,
    end: usize,
}

const READERS: [&str; 9] = [
    "read_csv",
    "read_csv_auto",
    "read_parquet",
    "parquet_scan",
    "read_json",
    "read_json_auto",
    "read_ndjson",
    "read_ndjson_auto",
    "read_json_objects",
];

/// Whether a text can have anything for [`file_reads`] at all: most have not, and are spared the rest.
#[must_use]
pub fn may_read_files(text: &str) -> bool {
    const SIGNS: [&str; 17] = [
        "read_",
        "parquet_scan",
        ".csv",
        ".tsv",
        ".txt",
        ".parquet",
        ".json",
        ".ndjson",
        ".gz",
        ".zst",
        ".xlsx",
        ".avro",
        ".db",
        ".duckdb",
        ".vortex",
        "from '",
        "join '",
    ];
    let text = text.to_ascii_lowercase();
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// The local files that a text reads by constant names.
#[must_use]
pub fn file_reads(sql: &str) -> Vec<FileRead> {
    if !sql.contains('\'') && !sql.contains('"') {
        return Vec::new();
    }
    let tokens = tokenize(sql);
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        let is_call = READERS.iter().any(|r| token.is_word(sql, r));
        let read = match is_call {
            true => call(sql, &tokens, i),
            false => named(sql, &tokens, i),
        };
        match read {
            Some((read, last)) => {
                found.push(read);
                i = last + 1;
            }
            None => i += 1,
        }
    }
    found
}

/// `read_csv('file', option = value)` without parameters or queries inside.
fn call(sql: &str, tokens: &[Token], at: usize) -> Option<(FileRead, usize)> {
    let first = tokens.get(at)?;
    let name = first.text(sql).to_lowercase();
    let qualifies = |t: &Token| {
        t.is_word(sql, &name) && sql.get(t.end..).is_some_and(|rest| rest.starts_with('.'))
    };
    if !tokens.get(at + 1)?.is_symbol(sql, "(") || tokens.iter().any(qualifies) {
        return None;
    }
    let file = tokens.get(at + 2).filter(|t| t.kind == TokenKind::String)?;
    let path = local(&unquoted(file, sql)?)?;
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(at + 1) {
        if token.kind == TokenKind::Parameter || token.is_word(sql, "SELECT") {
            return None;
        }
        if token.is_symbol(sql, "(") {
            depth += 1;
        } else if token.is_symbol(sql, ")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                let read = FileRead {
                    call: sql.get(first.start..token.end)?.to_owned(),
                    path,
                    start: first.start,
                    end: token.end,
                };
                return Some((read, i));
            }
        }
    }
    None
}

/// `FROM 'file.csv'`.
fn named(sql: &str, tokens: &[Token], at: usize) -> Option<(FileRead, usize)> {
    let file = tokens
        .get(at)
        .filter(|t| matches!(t.kind, TokenKind::String | TokenKind::Quoted))?;
    let before = tokens.get(at.checked_sub(1)?)?;
    if !before.is_word(sql, "FROM") && !before.is_word(sql, "JOIN") {
        return None;
    }
    let follows = |s: &str| tokens.get(at + 1).is_some_and(|t| t.is_symbol(sql, s));
    let text = unquoted(file, sql)?;
    if follows(".") || follows("(") || !Facts::is_file_name(&text) {
        return None;
    }
    let path = local(&text)?;
    // Without an alias the rows are known by the name of the file.
    let stem = path.rsplit('/').next()?.split('.').next()?;
    let qualifies = |t: &Token| {
        t.name(sql).is_some_and(|n| n.eq_ignore_ascii_case(stem))
            && sql.get(t.end..).is_some_and(|rest| rest.starts_with('.'))
    };
    if tokens.iter().any(qualifies) {
        return None;
    }
    let read = FileRead {
        call: quote_literal(&text),
        path,
        start: file.start,
        end: file.end,
    };
    Some((read, at))
}

/// A path that stays in the project, whatever directory it is read from.
fn local(path: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let strange = path.starts_with(['/', '~', '\\'])
        || path.contains([':', '"', '\'', '\\'])
        || path.split('/').any(|part| part == "..")
        || !path.is_ascii();
    (!strange && !path.is_empty()).then(|| path.to_owned())
}

/// The text with relations instead of files, and the columns of those relations by name. `None` when
/// nothing is read from a known file.
#[must_use]
pub fn with_relations(
    sql: &str,
    known: &BTreeMap<String, Vec<Column>>,
) -> Option<(String, BTreeMap<String, Vec<Column>>)> {
    if known.is_empty() {
        return None;
    }
    let mut relations: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    let mut text = sql.to_owned();
    for read in file_reads(sql) {
        let columns = known.get(&read.call)?;
        let name: String = read
            .path
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .collect();
        // One file read in two ways has two sets of columns, but one name.
        if relations
            .insert(name.clone(), columns.clone())
            .is_some_and(|other| other != *columns)
        {
            return None;
        }
        let width = read.end - read.start;
        let quoted = format!("\"{name}\"");
        if quoted.len() > width {
            return None;
        }
        // Line breaks inside of a call stay, so that lines are counted alike.
        let rest: String = sql
            .get(read.start + quoted.len()..read.end)?
            .chars()
            .flat_map(|c| match c {
                '\n' | '\r' => vec![c],
                c => vec![' '; c.len_utf8()],
            })
            .collect();
        text.replace_range(read.start..read.end, &format!("{quoted}{rest}"));
    }
    (!relations.is_empty()).then_some((text, relations))
}

/// The columns of files below `root`, by the calls that read them. Files are opened, but no row is kept; one
/// that cannot be read is left out.
#[must_use]
pub fn describe_files(root: &Path, reads: &BTreeSet<FileRead>) -> BTreeMap<String, Vec<Column>> {
    let mut found = BTreeMap::new();
    let Some(root) = root.to_str().filter(|_| !reads.is_empty()) else {
        return found;
    };
    let Ok(conn) = open(root) else {
        return found;
    };
    for read in reads {
        // A pipe or a device would be waited for; a pattern may name any number of files.
        let file = Path::new(root).join(&read.path);
        if file.exists() && !file.is_file() {
            continue;
        }
        let absolute = quote_literal(&format!("{}/{}", root.trim_end_matches('/'), read.path));
        let tokens = tokenize(&read.call);
        let Some(file) = tokens.iter().find(|t| t.kind == TokenKind::String) else {
            continue;
        };
        let mut call = read.call.clone();
        call.replace_range(file.start..file.end, &absolute);
        if let Ok(columns) = columns(&conn, &call)
            && !columns.is_empty()
        {
            found.insert(read.call.clone(), columns);
        }
    }
    found
}

fn columns(conn: &Connection, call: &str) -> duckdb::Result<Vec<Column>> {
    let mut statement = conn.prepare(&format!("DESCRIBE SELECT * FROM {call}"))?;
    let mut rows = statement.query([])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        columns.push(Column {
            name: row.get(0)?,
            ty: SqlType::parse(&row.get::<_, String>(1)?),
            nullable: true,
        });
    }
    Ok(columns)
}

/// A database of its own that reaches nothing but the project's files.
fn open(root: &str) -> duckdb::Result<Connection> {
    let config = Config::default()
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .max_memory("512MB")?
        .threads(1)?;
    let conn = Connection::open_in_memory_with_flags(config)?;
    conn.execute_batch(&format!(
        "SET allowed_directories = [{}]; SET enable_external_access = false; SET lock_configuration = true",
        quote_literal(&format!("{}/", root.trim_end_matches('/')))
    ))?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::{file_reads, with_relations};
    use mxcp_artifact::{Column, SqlType};
    use std::collections::BTreeMap;

    #[test]
    fn constant_local_names_are_found() {
        let calls = |sql: &str| {
            file_reads(sql)
                .into_iter()
                .map(|r| r.path)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            calls("SELECT * FROM read_csv('data/a.csv', header = true)"),
            ["data/a.csv"]
        );
        assert_eq!(
            calls("SELECT * FROM 'a.csv' JOIN \"b/c.parquet\" USING (x)"),
            ["a.csv", "b/c.parquet"]
        );
        for sql in [
            "SELECT * FROM read_csv($p)",
            "SELECT * FROM read_csv('../a.csv')",
            "SELECT * FROM read_csv('/etc/a.csv')",
            "SELECT * FROM 'https://x.org/a.csv'",
            "SELECT * FROM read_csv(['a.csv', 'b.csv'])",
            "SELECT a.x FROM 'a.csv'",
            "SELECT 'a.csv'",
        ] {
            assert!(calls(sql).is_empty(), "{sql}");
        }
    }

    #[test]
    fn positions_stay() {
        let sql = "SELECT x FROM read_csv('data/a.csv',\n header = true) WHERE y = 1";
        let column = Column {
            name: "x".into(),
            ty: SqlType::BigInt,
            nullable: true,
        };
        let known: BTreeMap<_, _> = file_reads(sql)
            .into_iter()
            .map(|r| (r.call, vec![column.clone()]))
            .collect();
        let (text, relations) = with_relations(sql, &known).expect("it is known");
        assert_eq!(text.len(), sql.len());
        assert_eq!(text.find("WHERE"), sql.find("WHERE"));
        assert_eq!(text.find('\n'), sql.find('\n'));
        assert!(text.contains("\"data_a_csv\""), "{text}");
        assert_eq!(relations["data_a_csv"], [column]);
    }
}
