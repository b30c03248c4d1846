//! Text constants that cannot be what they are compared with or cast to. DuckDB finds out only when
//! the query meets a row.

use mxcp_artifact::{SqlType, TypeKind};
use mxcp_base::{SourceFile, codes, suggest};
use mxcp_catalog::{Statement, TextPlace, TextUse};

use super::uses::column_type;
use crate::Db;
use crate::column_facts::facts_of;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_texts(
    db: &dyn Db,
    statement: &Statement,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    for text in &statement.details.texts {
        let finding = match &text.place {
            TextPlace::Parameter(_) => None,
            TextPlace::Cast(name) => against_type(text, &SqlType::parse(name), "", origin),
            TextPlace::Column(path) => {
                let Some(ty) = column_type(db, statement, path) else {
                    continue;
                };
                let column = path.last().map(String::as_str).unwrap_or_default();
                against_type(text, &ty, column, origin)
                    .or_else(|| against_values(db, statement, text, &ty, column, origin))
            }
        };
        findings.extend(finding);
    }
}

/// Texts that a parameter is compared with although its `enum` does not have them.
pub(super) fn check_choices(
    file: SourceFile,
    def: &EndpointDef,
    statement: &Statement,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    for text in &statement.details.texts {
        let TextPlace::Parameter(name) = &text.place else {
            continue;
        };
        let declared = def
            .parameters
            .iter()
            .find(|p| p.name.eq_ignore_ascii_case(name))
            .and_then(|p| Some((p, p.ty.as_ref()?)))
            .filter(|(_, ty)| ty.kind == TypeKind::String);
        let Some((parameter, allowed)) =
            declared.and_then(|(p, ty)| Some((p, ty.allowed.as_ref()?)))
        else {
            continue;
        };
        let values: Vec<&str> = allowed.iter().filter_map(|v| v.as_str()).collect();
        // The empty text is how SQL authors say that nothing was given.
        if values.is_empty() || text.text.is_empty() || values.contains(&text.text.as_str()) {
            continue;
        }
        let list: Vec<String> = values.iter().map(|v| format!("`{v}`")).collect();
        findings.push(
            Finding::new(
                codes::MX0218,
                format!("`${name}` is never `'{}'`", text.text),
                place(text, origin),
            )
            .label(
                Anchor::value(
                    file,
                    def.pointer(&format!("parameters/{}/enum", parameter.index)),
                ),
                "its values are declared here",
            )
            .help(
                suggest::did_you_mean(&text.text, values.iter().copied())
                    .unwrap_or_else(|| format!("its `enum` has {}", list.join(", "))),
            ),
        );
    }
}

fn place(text: &TextUse, origin: &TextOrigin) -> Anchor {
    match &text.range {
        Some(range) => Anchor::inside(origin, range.clone()),
        None => Anchor::origin(origin),
    }
}

fn against_type(
    text: &TextUse,
    ty: &SqlType,
    column: &str,
    origin: &TextOrigin,
) -> Option<Finding> {
    if can_be(&text.text, ty) {
        return None;
    }
    let what = match column {
        "" => format!("`'{}'` is no {ty}", text.text),
        column => format!("`'{}'` is no {ty}, as `{column}` is", text.text),
    };
    Some(
        Finding::new(codes::MX0217, what, place(text, origin))
            .help("the query fails as soon as it meets a row"),
    )
}

/// In doubt yes.
fn can_be(text: &str, ty: &SqlType) -> bool {
    let text = text.trim().to_lowercase();
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    match ty {
        SqlType::Date
        | SqlType::Timestamp
        | SqlType::TimestampS
        | SqlType::TimestampMs
        | SqlType::TimestampNs
        | SqlType::TimestampTz => {
            let special = ["infinity", "-infinity", "epoch", "now", "today"];
            (has_digit || special.contains(&text.as_str())) && is_possible_day(&text)
        }
        ty if ty.is_numeric() => {
            has_digit
                || matches!(
                    text.as_str(),
                    "nan" | "inf" | "-inf" | "infinity" | "-infinity" | "true" | "false"
                )
        }
        SqlType::Boolean => {
            matches!(
                text.as_str(),
                "t" | "f" | "true" | "false" | "yes" | "no" | "y" | "n" | "on" | "off" | "1" | "0"
            )
        }
        _ => true,
    }
}

/// `2024-02-30` is none. Other forms are not judged.
fn is_possible_day(text: &str) -> bool {
    let Some(day) = text
        .get(..10)
        .filter(|d| d.bytes().filter(|b| *b == b'-').count() == 2)
    else {
        return true;
    };
    let parts: Vec<Option<u32>> = day.split('-').map(|p| p.parse().ok()).collect();
    let [Some(year), Some(month), Some(day)] = parts[..] else {
        return true;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// A value that the column never has.
fn against_values(
    db: &dyn Db,
    statement: &Statement,
    text: &TextUse,
    ty: &SqlType,
    column: &str,
    origin: &TextOrigin,
) -> Option<Finding> {
    let values = match (ty, statement.relations.as_slice()) {
        (SqlType::Enum(values), _) => values,
        (_, [relation]) => facts_of(db, &relation.name)
            .accepted
            .get(&column.to_lowercase())?,
        _ => return None,
    };
    if values.is_empty() || values.contains(&text.text) || text.text.is_empty() {
        return None;
    }
    let list: Vec<String> = values.iter().map(|v| format!("`{v}`")).collect();
    Some(
        Finding::new(
            codes::MX0217,
            format!("`{column}` is never `'{}'`", text.text),
            place(text, origin),
        )
        .help(
            suggest::did_you_mean(&text.text, values.iter().map(String::as_str))
                .unwrap_or_else(|| format!("its values are {}", list.join(", "))),
        ),
    )
}
