//! Where the result columns of a query are written.
//!
//! This asks the `sqlparser` crate, whose tree has exact places for names. It does not know all of DuckDB's SQL: a
//! text it cannot read simply has no places, and nobody hears of it.

use sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement};
use sqlparser::dialect::DuckDbDialect;
use sqlparser::parser::Parser;
use text_size::TextRange;

use crate::text_range;

/// Longer texts are not worth the time for a second underline.
const MAX_BYTES: usize = 100_000;

/// A named column of a query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projected {
    pub name: String,
    /// Where the name is written.
    pub range: TextRange,
    /// Whether it is always NULL or an empty list, so that its type says nothing.
    pub is_empty: bool,
}

/// The named columns of the last query's outermost `SELECT`, in order.
#[must_use]
pub fn projection(text: &str) -> Vec<Projected> {
    if text.len() > MAX_BYTES {
        return Vec::new();
    }
    let statements = Parser::new(&DuckDbDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_statements());
    let Ok(statements) = statements else {
        return Vec::new();
    };
    let Some(Statement::Query(query)) = statements.last() else {
        return Vec::new();
    };
    let mut body = query.body.as_ref();
    while let SetExpr::Query(inner) = body {
        body = inner.body.as_ref();
    }
    let SetExpr::Select(select) = body else {
        return Vec::new();
    };
    let starts = line_starts(text);
    select
        .projection
        .iter()
        .filter_map(|item| {
            let (name, is_empty) = match item {
                SelectItem::ExprWithAlias { alias, expr } => (alias, is_empty(expr)),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => (name, false),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => (parts.last()?, false),
                _ => return None,
            };
            Some(Projected {
                name: name.value.clone(),
                range: place(text, &starts, name)?,
                is_empty,
            })
        })
        .collect()
}

fn is_empty(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_empty(expr),
        Expr::Array(array) => array.elem.is_empty(),
        Expr::Value(value) => value.to_string() == "NULL",
        Expr::Function(call) => call.to_string().eq_ignore_ascii_case("list_value()"),
        _ => false,
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}

// The crate counts lines and characters from 1; 0 is "nowhere".
fn place(text: &str, starts: &[usize], name: &Ident) -> Option<TextRange> {
    let offset = |line: u64, column: u64| {
        let start = *starts.get(usize::try_from(line.checked_sub(1)?).ok()?)?;
        let column = usize::try_from(column.checked_sub(1)?).ok()?;
        let line = text.get(start..)?;
        let within = line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at);
        Some(start + within)
    };
    let span = name.span;
    let start = offset(span.start.line, span.start.column)?;
    let end = offset(span.end.line, span.end.column)?;
    (start < end).then(|| text_range(start, end))
}

#[cfg(test)]
mod tests {
    use super::projection;

    fn names(text: &str) -> Vec<(String, &str)> {
        projection(text)
            .into_iter()
            .map(|c| (c.name, &text[std::ops::Range::<usize>::from(c.range)]))
            .collect()
    }

    #[test]
    fn nothing_is_seen_through_casts() {
        let text = "SELECT NULL AS a, CAST(NULL AS VARCHAR) AS b, (NULL)::DATE AS c, [] AS d, \
                    list_value() AS e, [1] AS f, 'NULL' AS g, nullif(1, 1) AS h";
        let empty: Vec<String> = projection(text)
            .into_iter()
            .filter(|c| c.is_empty)
            .map(|c| c.name)
            .collect();
        assert_eq!(empty, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn names_stand_where_they_are_written() {
        let text = "WITH x AS (SELECT 1 AS inner_one)\nSELECT ü.a, 'é' AS \"B c\", count(*) AS n, count(*)\nFROM x ü";
        assert_eq!(
            names(text),
            [
                ("a".to_owned(), "a"),
                ("B c".to_owned(), "\"B c\""),
                ("n".to_owned(), "n"),
            ]
        );
    }

    #[test]
    fn what_the_parser_cannot_read_has_no_places() {
        assert_eq!(names("FROM t SELECT a QUALIFY x"), []);
        assert_eq!(names("INSERT INTO t VALUES (1)"), []);
        assert_eq!(names(""), []);
    }
}
