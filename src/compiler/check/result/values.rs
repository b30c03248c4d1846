//! What the select list says of its own values, against the constraints of `return`.

use mxcp_artifact::{Column, Format, SqlType, TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, codes};
use mxcp_catalog::{Constant, ConstantKind, Item, Statement};
use serde_json::{Number, Value};

use crate::Db;
use crate::check::sql::column_type;
use crate::column_facts::facts_of;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;

/// Larger integers are not exact in JavaScript, nor in most JSON readers.
const EXACT: f64 = 9_007_199_254_740_991.0;

struct Checker<'a> {
    db: &'a dyn Db,
    file: SourceFile,
    statement: &'a Statement,
    origin: &'a TextOrigin,
    findings: &'a mut Vec<Finding>,
}

pub(in crate::check) fn check_values(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    columns: &[Column],
    statement: &Statement,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let mut checker = Checker {
        db,
        file,
        statement,
        origin,
        findings,
    };
    let Some(returns) = &def.returns else {
        return;
    };
    let mut pointer = def.pointer(def.return_key);
    let mut declared = returns;
    if returns.kind == TypeKind::Array {
        let Some(items) = returns.items.as_deref() else {
            return;
        };
        pointer.push_str("/items");
        declared = items;
    }
    let items = &statement.details.items;
    if declared.kind != TypeKind::Object {
        if let ([item], [column]) = (items.as_slice(), columns)
            && !item.is_star
        {
            checker.value(&pointer, declared, column, Some(item));
        }
        return;
    }
    checker.twins(declared);
    for property in declared.properties.iter().flatten() {
        let here = format!(
            "{pointer}/properties/{}",
            mxcp_syntax::yaml::escape_segment(&property.name)
        );
        if let Some(column) = columns.iter().find(|c| c.name == property.name) {
            let item = items
                .iter()
                .find(|i| !i.is_star && i.name.as_deref() == Some(property.name.as_str()));
            checker.value(&here, &property.ty, column, item);
        }
    }
}

impl Checker<'_> {
    fn at(&self, constant: &Constant, pointer: &str) -> Anchor {
        match &constant.range {
            Some(range) => Anchor::inside(self.origin, range.clone()),
            None => Anchor::value(self.file, pointer.to_owned()),
        }
    }

    /// Two items of one name: the second one gets a number.
    fn twins(&mut self, declared: &TypeDef) {
        let items = &self.statement.details.items;
        for (i, item) in items.iter().enumerate().filter(|(_, item)| !item.is_star) {
            let Some(name) = &item.name else {
                continue;
            };
            let twin = items.iter().take(i).any(|o| {
                !o.is_star
                    && o.name
                        .as_deref()
                        .is_some_and(|n| n.eq_ignore_ascii_case(name))
            });
            if !twin || declared.property(&format!("{name}_1")).is_some() {
                continue;
            }
            let anchor = match &item.range {
                Some(range) => Anchor::inside(self.origin, range.clone()),
                None => Anchor::origin(self.origin),
            };
            self.findings.push(
                Finding::new(
                    codes::MX0307,
                    format!("there is another column `{name}`; this one becomes `{name}_1`"),
                    anchor,
                )
                .help("give it a name of its own with `AS`"),
            );
        }
    }

    fn value(&mut self, pointer: &str, declared: &TypeDef, column: &Column, item: Option<&Item>) {
        let before = self.findings.len();
        for constant in item.map(|i| i.constants.as_slice()).unwrap_or_default() {
            self.constant(pointer, declared, column, constant);
        }
        if self.findings.len() > before {
            return;
        }
        let fields = item.map(|i| i.fields.as_slice()).unwrap_or_default();
        if let (TypeKind::Object, SqlType::Struct(types)) = (declared.kind, &column.ty) {
            for property in declared.properties.iter().flatten() {
                let named = |n: &str| n == property.name;
                let field = fields.iter().find(|f| f.name.as_deref().is_some_and(named));
                let ty = types.iter().find(|(n, _)| named(n)).map(|(_, ty)| ty);
                if let (Some(field), Some(ty)) = (field, ty) {
                    let place = format!(
                        "{pointer}/properties/{}",
                        mxcp_syntax::yaml::escape_segment(&property.name)
                    );
                    let column = Column {
                        name: property.name.clone(),
                        ty: ty.clone(),
                        nullable: true,
                    };
                    self.value(&place, &property.ty, &column, Some(field));
                }
            }
        }
        let accepted = item.and_then(|i| self.accepted(i));
        if let (Some(allowed), Some(values)) = (&declared.allowed, &accepted) {
            self.outside(
                pointer,
                allowed,
                &column.name,
                values,
                "the tests of its model",
            );
        }
        if let (Some(allowed), SqlType::Enum(values)) = (&declared.allowed, &column.ty) {
            self.outside(pointer, allowed, &column.name, values, "its type");
        }
        if let Some(format) = declared.format
            && declared.kind == TypeKind::String
            && let Some(why) = format_misfit(
                format,
                column,
                item,
                accepted.as_deref(),
                self.is_text_column(item),
            )
        {
            self.findings.push(
                Finding::new(
                    codes::MX0305,
                    format!(
                        "column `{}` is {why}, not of the format `{}`",
                        column.name,
                        format.as_str()
                    ),
                    Anchor::value(self.file, format!("{pointer}/format")),
                )
                .help(match natural_format(&column.ty) {
                    Some(format) => {
                        format!("declare `format: {format}`, or cast the column in the query")
                    }
                    None => "remove the format, or cast the column in the query".into(),
                }),
            );
        }
        let whole = matches!(declared.kind, TypeKind::Integer | TypeKind::Number);
        if whole
            && matches!(
                column.ty,
                SqlType::UBigInt | SqlType::UHugeInt | SqlType::BigNum
            )
        {
            self.findings.push(
                Finding::new(
                    codes::MX0309,
                    format!(
                        "column `{}` is {}: many clients do not read integers beyond 2^53 exactly",
                        column.name, column.ty
                    ),
                    Anchor::value(self.file, format!("{pointer}/type")),
                )
                .help("cast it to VARCHAR and declare a string, if it is an identifier"),
            );
        }
    }

    fn constant(
        &mut self,
        pointer: &str,
        declared: &TypeDef,
        column: &Column,
        constant: &Constant,
    ) {
        let shown = match constant.kind {
            ConstantKind::Text => format!("'{}'", constant.text),
            _ => constant.text.clone(),
        };
        let (name, anchor) = (&column.name, self.at(constant, pointer));
        let number: Option<f64> = match constant.kind {
            ConstantKind::Number => constant.text.replace('_', "").parse().ok(),
            _ => None,
        };
        let limit = |n: &Option<Number>| n.as_ref().and_then(Number::as_f64);
        let mut wrong = None;
        if let Some(allowed) = &declared.allowed {
            let known = allowed.iter().any(|v| match constant.kind {
                ConstantKind::Null => true,
                ConstantKind::Text => match v {
                    Value::String(text) => *text == constant.text,
                    _ => false,
                },
                ConstantKind::Number => v.as_f64() == number,
                ConstantKind::Boolean => {
                    v.as_bool().map(|b| b.to_string()) == Some(constant.text.to_lowercase())
                }
            });
            if !known {
                wrong = Some("not among the `enum`".to_owned());
            }
        }
        if let Some(n) = number {
            let bounds = [
                (
                    limit(&declared.minimum).is_some_and(|m| n < m),
                    "below `minimum`",
                ),
                (
                    limit(&declared.exclusive_minimum).is_some_and(|m| n <= m),
                    "not above `exclusiveMinimum`",
                ),
                (
                    limit(&declared.maximum).is_some_and(|m| n > m),
                    "above `maximum`",
                ),
                (
                    limit(&declared.exclusive_maximum).is_some_and(|m| n >= m),
                    "not below `exclusiveMaximum`",
                ),
            ];
            let broken = bounds.iter().find(|b| b.0).map(|b| b.1.to_owned());
            wrong = wrong.or(broken);
        }
        if constant.kind == ConstantKind::Text && declared.kind == TypeKind::String {
            let len = u64::try_from(constant.text.chars().count()).unwrap_or(u64::MAX);
            if declared.max_length.is_some_and(|m| len > m) {
                wrong = wrong.or(Some("longer than `maxLength`".into()));
            } else if declared.min_length.is_some_and(|m| len < m) {
                wrong = wrong.or(Some("shorter than `minLength`".into()));
            }
        }
        if let Some(what) = wrong {
            self.findings.push(
                Finding::new(
                    codes::MX0308,
                    format!("`{name}` can be {shown} here, which is {what} of `return`"),
                    anchor,
                )
                .label(Anchor::key(self.file, pointer.to_owned()), "declared here")
                .help("change the value, or what `return` allows"),
            );
            return;
        }
        let whole = !constant.text.contains(['.', 'e', 'E']);
        if whole && number.is_some_and(|n| n.abs() > EXACT) && declared.kind != TypeKind::String {
            let mut finding = Finding::new(
                codes::MX0309,
                format!("`{name}` is {shown} here: many clients do not read integers beyond 2^53 exactly"),
                anchor,
            )
            .help("return it as a string");
            finding.severity = Some(Severity::Warning);
            self.findings.push(finding);
        }
    }

    /// Whether it is a column of a relation and text there too.
    fn is_text_column(&self, item: Option<&Item>) -> bool {
        let path = item.map(|i| i.column.as_slice()).unwrap_or_default();
        let Some((last, _)) = path.split_last() else {
            return false;
        };
        let renamed = self
            .statement
            .details
            .aliases
            .contains(&last.to_lowercase());
        !renamed && column_type(self.db, self.statement, path) == Some(SqlType::Varchar)
    }

    /// The values that tests of the model accept for a plain column.
    fn accepted(&self, item: &Item) -> Option<Vec<String>> {
        let column = item.column.last()?.to_lowercase();
        if self.statement.details.aliases.contains(&column)
            && item.name.as_deref() != item.column.last().map(String::as_str)
        {
            return None;
        }
        let [relation] = self.statement.relations.as_slice() else {
            return None;
        };
        facts_of(self.db, &relation.name)
            .accepted
            .get(&column)
            .cloned()
    }

    fn outside(
        &mut self,
        pointer: &str,
        allowed: &[Value],
        column: &str,
        values: &[String],
        by: &str,
    ) {
        let foreign: Vec<String> = values
            .iter()
            .filter(|v| !allowed.iter().any(|a| a.as_str() == Some(v)))
            .map(|v| format!("`{v}`"))
            .collect();
        if foreign.is_empty() {
            return;
        }
        self.findings.push(
            Finding::new(
                codes::MX0308,
                format!(
                    "`{column}` can be {} by {by}, which the `enum` of `return` does not have",
                    foreign.join(", ")
                ),
                Anchor::value(self.file, format!("{pointer}/enum")),
            )
            .help("add the values, or leave the rows out in the query"),
        );
    }
}

fn natural_format(ty: &SqlType) -> Option<&'static str> {
    Some(match ty {
        SqlType::Date => "date",
        SqlType::Time | SqlType::TimeNs | SqlType::TimeTz => "time",
        SqlType::Timestamp
        | SqlType::TimestampS
        | SqlType::TimestampMs
        | SqlType::TimestampNs
        | SqlType::TimestampTz => "date-time",
        _ => return None,
    })
}

/// What a column is when its values are not of a format.
fn format_misfit(
    format: Format,
    column: &Column,
    item: Option<&Item>,
    accepted: Option<&[String]>,
    text_column: bool,
) -> Option<String> {
    // Between a day and its first moment SQL changes freely, in functions more than in columns.
    let plain = item.is_some_and(|i| !i.column.is_empty());
    let actual = natural_format(&column.ty);
    let typed = matches!(format, Format::Date | Format::Time | Format::DateTime);
    match (format, actual) {
        (Format::Timestamp, _) => None,
        (Format::Date, Some("date-time")) | (Format::DateTime, Some("date")) => {
            plain.then(|| column.ty.to_string())
        }
        (format, Some(actual)) => (format.as_str() != actual).then(|| column.ty.to_string()),
        (_, None) if typed && column.ty == SqlType::Uuid => Some(column.ty.to_string()),
        (_, None) if typed && column.ty == SqlType::Varchar && text_column => {
            if let Some(first) = accepted.and_then(|values| values.first()) {
                return Some(format!("a text such as `{first}`"));
            }
            let names = item.and_then(|i| i.column.last()).map(|n| n.to_lowercase());
            let hints = names
                .into_iter()
                .chain([column.name.to_lowercase()])
                .any(|n| {
                    const HINTS: [&str; 20] = [
                        "date", "day", "time", "_at", "_on", "_ts", "month", "year", "week",
                        "when", "since", "until", "from", "start", "end", "birth", "created",
                        "updated", "period", "due",
                    ];
                    HINTS.iter().any(|h| n.contains(h))
                        || matches!(n.as_str(), "ts" | "at" | "dt" | "dob" | "to")
                });
            (!hints).then(|| "a text of any form".to_owned())
        }
        _ => None,
    }
}
