//! Values that stand for parameters while a query is typed.
//!
//! The engine folds a bound value into the query as a constant, so a sample can make a query fail
//! that a real call would not. Hence several sets, from likely to unlikely.

use std::collections::BTreeSet;

use mxcp_artifact::SqlType;
use mxcp_artifact::catalog::{quote_identifier, quote_literal};

use crate::slot::type_text;
use crate::tokens::{TokenKind, tokenize};

/// Texts that some function or other accepts where it rejects the rest.
const TEXTS: [&str; 12] = [
    "2000-01-01",
    "1",
    "day",
    "%Y-%m-%d",
    "$.a",
    "asc",
    "UTC",
    "sum",
    "{}",
    "[]",
    "true",
    "main",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style<'a> {
    Plain { text: &'a str, narrow: bool },
    Null,
}

/// The argument lists for `EXECUTE`, set by set, for the parameters that a text uses.
pub(crate) struct Samples<'a> {
    declared: &'a [(String, SqlType)],
    styles: Vec<Style<'static>>,
}

/// The set to type with, and the one with a typed NULL for every parameter.
pub(crate) const FIRST: usize = 0;
pub(crate) const NULLS: usize = 1;

impl<'a> Samples<'a> {
    pub(crate) fn new(declared: &'a [(String, SqlType)]) -> Self {
        let plain = |text, narrow| Style::Plain { text, narrow };
        let mut styles = vec![plain("a", false), Style::Null];
        if declared.iter().any(|(_, ty)| *ty == SqlType::BigInt) {
            styles.extend([plain("a", true), plain("1", true)]);
        }
        if declared.iter().any(|(_, ty)| contains_text(ty)) {
            styles.extend(TEXTS.iter().map(|text| plain(text, false)));
        }
        Self { declared, styles }
    }

    /// What to try after the first set, NULLs last: they bind where a real value would not.
    pub(crate) fn others(&self) -> impl Iterator<Item = usize> {
        (NULLS + 1..self.styles.len()).chain([NULLS])
    }

    /// Empty without parameters. One that is not declared gets an untyped NULL.
    pub(crate) fn arguments(&self, text: &str, set: usize) -> String {
        let mut names = BTreeSet::new();
        let mut unnamed = 0;
        for token in tokenize(text) {
            if token.kind == TokenKind::Parameter {
                names.extend(token.text(text).get(1..).map(str::to_lowercase));
            } else if token.is_symbol(text, "?") {
                unnamed += 1;
                names.insert(unnamed.to_string());
            }
        }
        let typed: Vec<(&str, &SqlType)> = names
            .iter()
            .map(|name| {
                let found = self
                    .declared
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name));
                (name.as_str(), found.map_or(&SqlType::Null, |(_, ty)| ty))
            })
            .collect();
        arguments(&typed, self.styles.get(set).copied().unwrap_or(Style::Null))
    }
}

/// A constant expression of a type, for the statements that take no arguments.
pub(crate) fn literal(declared: &[(String, SqlType)], name: &str) -> String {
    let found = declared.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    let style = Style::Plain {
        text: "a",
        narrow: false,
    };
    expression(found.map_or(&SqlType::Null, |(_, ty)| ty), style)
}

fn arguments(typed: &[(&str, &SqlType)], style: Style<'_>) -> String {
    if typed.is_empty() {
        return String::new();
    }
    let positional = typed
        .iter()
        .all(|(name, _)| name.bytes().all(|b| b.is_ascii_digit()));
    let parts: Vec<String> = typed
        .iter()
        .map(|(name, ty)| {
            let value = expression(ty, style);
            if positional {
                value
            } else {
                format!("{} := {value}", quote_identifier(name))
            }
        })
        .collect();
    format!("({})", parts.join(", "))
}

fn contains_text(ty: &SqlType) -> bool {
    match ty {
        SqlType::Varchar => true,
        SqlType::List(item) | SqlType::Array(item, _) => contains_text(item),
        _ => false,
    }
}

fn expression(ty: &SqlType, style: Style<'_>) -> String {
    let null = || type_text(ty).map_or_else(|| "NULL".to_owned(), |t| format!("CAST(NULL AS {t})"));
    let Style::Plain { text, narrow } = style else {
        return null();
    };
    let cast = |value: &str| match type_text(ty) {
        Some(t) => format!("CAST({value} AS {t})"),
        None => "NULL".to_owned(),
    };
    match ty {
        SqlType::Null => "NULL".to_owned(),
        SqlType::Boolean => "true".to_owned(),
        // Python binds a small integer as INTEGER, and some functions take no wider one.
        SqlType::BigInt if narrow => "CAST(1 AS INTEGER)".to_owned(),
        ty if ty.is_integer() => cast("1"),
        SqlType::Float | SqlType::Double => cast("0.5"),
        SqlType::Decimal(..) => cast("0"),
        SqlType::Varchar => format!("'{text}'"),
        SqlType::Blob => cast("''"),
        SqlType::Bit => cast("'1'"),
        SqlType::Date => cast("'2000-01-01'"),
        SqlType::Time | SqlType::TimeNs => cast("'00:00:00'"),
        SqlType::TimeTz => cast("'00:00:00+00'"),
        SqlType::Timestamp | SqlType::TimestampS | SqlType::TimestampMs | SqlType::TimestampNs => {
            cast("'2000-01-01 00:00:00'")
        }
        SqlType::TimestampTz => cast("'2000-01-01 00:00:00+00'"),
        SqlType::Interval => cast("'1 day'"),
        SqlType::Uuid => cast("'00000000-0000-0000-0000-000000000000'"),
        SqlType::Json => cast("'{}'"),
        SqlType::Enum(values) => match values.first() {
            Some(value) => cast(&quote_literal(value)),
            None => null(),
        },
        SqlType::List(item) => cast(&format!("[{}]", expression(item, style))),
        SqlType::Array(item, size) if *size <= 16 => {
            let size = usize::try_from(*size).unwrap_or(0);
            cast(&format!(
                "[{}]",
                vec![expression(item, style); size].join(", ")
            ))
        }
        SqlType::Map(key, value) => cast(&format!(
            "MAP {{{}: {}}}",
            expression(key, style),
            expression(value, style)
        )),
        SqlType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, ty)| format!("{}: {}", quote_literal(name), expression(ty, style)))
                .collect();
            cast(&format!("{{{}}}", fields.join(", ")))
        }
        _ => null(),
    }
}

#[cfg(test)]
mod tests {
    use mxcp_artifact::SqlType;

    use super::{FIRST, NULLS, Samples};

    #[test]
    fn only_used_parameters_are_given() {
        let declared = vec![
            ("x".to_owned(), SqlType::BigInt),
            ("y".to_owned(), SqlType::Varchar),
        ];
        let samples = Samples::new(&declared);
        assert_eq!(
            samples.arguments("$X + $x", FIRST),
            "(\"x\" := CAST(1 AS BIGINT))"
        );
        assert_eq!(
            samples.arguments("$x", NULLS),
            "(\"x\" := CAST(NULL AS BIGINT))"
        );
        assert_eq!(samples.arguments("'$x'", FIRST), "");
        assert_eq!(samples.others().last(), Some(NULLS));
    }
}
