//! Result columns against the declared `return` type.

pub mod rows;
pub mod values;

use mxcp_artifact::{Column, SqlType, TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, codes, suggest};

use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

/// Where the query says a column of its result, if that can be told, and whether what it says there is
/// always NULL or an empty list.
type Written<'a> = &'a dyn Fn(&str) -> Option<(Anchor, bool)>;

pub(super) fn check_result(
    file: SourceFile,
    def: &EndpointDef,
    columns: &[Column],
    written: Written<'_>,
    findings: &mut Vec<Finding>,
) {
    let Some(returns) = &def.returns else {
        return;
    };
    // DDL returns nothing; there is no column to compare.
    if columns.is_empty() {
        return;
    }
    let pointer = def.pointer(def.return_key);
    match returns.kind {
        TypeKind::Object => check_row(file, &pointer, returns, columns, written, findings),
        TypeKind::Array => {
            let Some(items) = returns.items.as_deref() else {
                return;
            };
            let pointer = format!("{pointer}/items");
            if items.kind == TypeKind::Object {
                check_row(file, &pointer, items, columns, written, findings);
            } else {
                check_scalar(
                    file,
                    &pointer,
                    items,
                    columns,
                    "an array of",
                    written,
                    findings,
                );
            }
        }
        _ => check_scalar(file, &pointer, returns, columns, "one", written, findings),
    }
}

fn check_scalar(
    file: SourceFile,
    pointer: &str,
    declared: &TypeDef,
    columns: &[Column],
    quantity: &str,
    written: Written<'_>,
    findings: &mut Vec<Finding>,
) {
    match columns {
        [column] => {
            let before = findings.len();
            check_value(file, pointer, declared, &column.ty, &column.name, findings);
            if findings.len() > before && matches!(written(&column.name), Some((_, true))) {
                findings.truncate(before);
            }
        }
        _ => {
            let names: Vec<String> = columns.iter().map(|c| format!("`{}`", c.name)).collect();
            findings.push(
                Finding::new(
                    codes::MX0303,
                    format!(
                        "`return` is {quantity} {}, but the query has {} columns",
                        declared.kind.as_str(),
                        columns.len()
                    ),
                    Anchor::value(file, format!("{pointer}/type")),
                )
                .help(format!(
                    "select one column, or return an object (the columns are {})",
                    names.join(", ")
                )),
            );
        }
    }
}

fn check_row(
    file: SourceFile,
    pointer: &str,
    declared: &TypeDef,
    columns: &[Column],
    written: Written<'_>,
    findings: &mut Vec<Finding>,
) {
    let column = |name: &str| columns.iter().find(|c| c.name == name);
    let names = || columns.iter().map(|c| c.name.as_str());
    let missing = |name: &str, anchor: Anchor| {
        let mut finding = Finding::new(
            codes::MX0301,
            format!("the query has no column `{name}`"),
            anchor,
        );
        // A result without an optional property is still a valid result.
        if !declared.required.iter().any(|r| r == name) {
            finding.severity = Some(Severity::Warning);
        }
        let help = match suggest::nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<String> = names().map(|n| format!("`{n}`")).collect();
                format!("its columns are {}", names.join(", "))
            }
        };
        finding.help(help)
    };
    for property in declared.properties.iter().flatten() {
        let here = format!(
            "{pointer}/properties/{}",
            mxcp_syntax::yaml::escape_segment(&property.name)
        );
        match column(&property.name) {
            Some(found) => {
                let before = findings.len();
                check_value(
                    file,
                    &here,
                    &property.ty,
                    &found.ty,
                    &property.name,
                    findings,
                );
                if findings.len() > before {
                    match written(&property.name) {
                        // Whatever its type is, no value is of it.
                        Some((_, true)) => findings.truncate(before),
                        Some((anchor, false)) => findings[before]
                            .labels
                            .push((anchor, format!("this is the column, {}", found.ty))),
                        None => {}
                    }
                }
            }
            None => findings.push(missing(&property.name, Anchor::key(file, here))),
        }
    }
    for (i, name) in declared.required.iter().enumerate() {
        if column(name).is_none() && declared.property(name).is_none() {
            findings.push(missing(
                name,
                Anchor::value(file, format!("{pointer}/required/{i}")),
            ));
        }
    }
    if !declared.allows_additional() {
        for extra in columns {
            if declared.property(&extra.name).is_none() {
                findings.push(
                    Finding::new(
                        codes::MX0304,
                        format!(
                            "the query returns `{}`, which `additionalProperties: false` forbids",
                            extra.name
                        ),
                        Anchor::key(file, format!("{pointer}/additionalProperties")),
                    )
                    .help(format!(
                        "declare `{}` under `properties:` or do not select it",
                        extra.name
                    )),
                );
            }
        }
    }
}

fn check_value(
    file: SourceFile,
    pointer: &str,
    declared: &TypeDef,
    actual: &SqlType,
    column: &str,
    findings: &mut Vec<Finding>,
) {
    if !compatible(declared.kind, actual) {
        findings.push(
            Finding::new(
                codes::MX0302,
                format!(
                    "column `{column}` is {actual}, not {}",
                    declared.kind.as_str()
                ),
                Anchor::value(file, format!("{pointer}/type")),
            )
            .help(match natural(actual) {
                Some(kind) => format!("declare it as `{}`, or cast it in the query", kind.as_str()),
                None => "cast it in the query".into(),
            }),
        );
        return;
    }
    match actual {
        SqlType::List(item) | SqlType::Array(item, _) => {
            if let Some(items) = declared.items.as_deref() {
                check_value(
                    file,
                    &format!("{pointer}/items"),
                    items,
                    item,
                    column,
                    findings,
                );
            }
        }
        SqlType::Struct(fields) => {
            let columns: Vec<Column> = fields
                .iter()
                .map(|(name, ty)| Column {
                    name: name.clone(),
                    ty: ty.clone(),
                    nullable: true,
                })
                .collect();
            check_row(file, pointer, declared, &columns, &|_| None, findings);
        }
        _ => {}
    }
}

/// Whether a value of an SQL type, written as JSON, is of a declared kind.
fn compatible(kind: TypeKind, ty: &SqlType) -> bool {
    match ty {
        // Their JSON form depends on the value, or is not known to us.
        SqlType::Null | SqlType::Json | SqlType::Other(_) | SqlType::Union(_) => true,
        // A whole number of any width is an integer.
        SqlType::Decimal(_, 0) => matches!(kind, TypeKind::Integer | TypeKind::Number),
        ty if ty.is_integer() => matches!(kind, TypeKind::Integer | TypeKind::Number),
        ty => natural(ty) == Some(kind),
    }
}

fn natural(ty: &SqlType) -> Option<TypeKind> {
    Some(match ty {
        SqlType::Null | SqlType::Json | SqlType::Other(_) | SqlType::Union(_) => return None,
        SqlType::Boolean => TypeKind::Boolean,
        SqlType::List(_) | SqlType::Array(..) => TypeKind::Array,
        SqlType::Struct(_) | SqlType::Map(..) => TypeKind::Object,
        SqlType::Decimal(_, 0) => TypeKind::Integer,
        ty if ty.is_integer() => TypeKind::Integer,
        ty if ty.is_numeric() => TypeKind::Number,
        _ => TypeKind::String,
    })
}
