//! Parameters against what they are used for: the column they are compared with or put into, a
//! limit, the name of a file or a relation.

use mxcp_artifact::{Format, RelationName, SqlType, TypeDef, TypeKind};
use mxcp_base::{Severity, codes};
use mxcp_catalog::{ParameterUse, SqlErrorKind, Statement, UsePlace};

use crate::Db;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::sql::Bound;

pub(super) fn check_uses(
    db: &dyn Db,
    def: &EndpointDef,
    statements: &[Statement],
    bound: &Bound,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    // The engine's own words about types are enough.
    let told = matches!(bound, Bound::Failed { errors, .. }
        if errors.iter().any(|e| matches!(e.kind, SqlErrorKind::Binder | SqlErrorKind::Other)));
    let mut reported: Vec<&str> = Vec::new();
    for statement in statements {
        for usage in &statement.details.uses {
            let declared = def
                .parameters
                .iter()
                .find(|p| p.name.eq_ignore_ascii_case(&usage.name))
                .and_then(|p| p.ty.as_ref());
            let Some(declared) = declared else {
                continue;
            };
            let finding = match &usage.place {
                UsePlace::File(function) => chooses(usage, declared, function, "the file", origin),
                UsePlace::Relation(function) => {
                    chooses(usage, declared, function, "what is read", origin)
                }
                _ if told || reported.contains(&usage.name.as_str()) => None,
                _ => misfit(db, statement, usage, declared, origin),
            };
            if let Some(finding) = finding {
                if finding.code == codes::MX0213 {
                    reported.push(&usage.name);
                }
                findings.push(finding);
            }
        }
    }
}

fn chooses(
    usage: &ParameterUse,
    declared: &TypeDef,
    function: &str,
    what: &str,
    origin: &TextOrigin,
) -> Option<Finding> {
    if is_constrained(declared) {
        return None;
    }
    Some(
        Finding::new(
            codes::MX0214,
            format!(
                "the caller chooses {what}: `${}` is an argument of `{function}`",
                usage.name
            ),
            place(usage, origin),
        )
        .help(format!(
            "give `{}` an `enum` or a `pattern`, or write the name into the SQL",
            usage.name
        )),
    )
}

/// Whether the author has thought of which texts may come.
fn is_constrained(declared: &TypeDef) -> bool {
    declared.allowed.is_some()
        || declared.pattern.is_some()
        || declared.items.as_deref().is_some_and(is_constrained)
}

fn place(usage: &ParameterUse, origin: &TextOrigin) -> Anchor {
    match &usage.range {
        Some(range) => Anchor::inside(origin, range.clone()),
        None => Anchor::origin(origin),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Text,
    Number,
    Boolean,
    Moment,
    Time,
    List,
    Fields,
}

/// `None` for types that values of several kinds turn into.
fn family(ty: &SqlType) -> Option<Family> {
    Some(match ty {
        SqlType::Varchar => Family::Text,
        SqlType::Boolean => Family::Boolean,
        SqlType::Date
        | SqlType::Timestamp
        | SqlType::TimestampS
        | SqlType::TimestampMs
        | SqlType::TimestampNs
        | SqlType::TimestampTz => Family::Moment,
        SqlType::Time | SqlType::TimeNs | SqlType::TimeTz => Family::Time,
        SqlType::List(_) | SqlType::Array(..) => Family::List,
        SqlType::Struct(_) | SqlType::Map(..) => Family::Fields,
        ty if ty.is_numeric() => Family::Number,
        _ => return None,
    })
}

fn misfit(
    db: &dyn Db,
    statement: &Statement,
    usage: &ParameterUse,
    declared: &TypeDef,
    origin: &TextOrigin,
) -> Option<Finding> {
    let name = &usage.name;
    let kind = declared.kind.as_str();
    let finding = |message: String, help: String| {
        Finding::new(codes::MX0213, message, place(usage, origin)).help(help)
    };
    match &usage.place {
        UsePlace::Limit => {
            let fits = match declared.kind {
                TypeKind::Integer | TypeKind::Number => true,
                TypeKind::String => match &declared.allowed {
                    Some(allowed) => allowed
                        .iter()
                        .filter_map(|v| v.as_str())
                        .all(|text| text.trim().parse::<f64>().is_ok()),
                    None => is_constrained(declared),
                },
                TypeKind::Boolean | TypeKind::Array | TypeKind::Object => false,
            };
            (!fits).then(|| {
                finding(
                    format!("`${name}` is a number of rows here, but it is declared as {kind}"),
                    format!("declare `{name}` as `type: integer`"),
                )
            })
        }
        UsePlace::ListOf(column) => (declared.kind == TypeKind::String).then(|| {
            let column = column.last().cloned().unwrap_or_default();
            finding(
                format!("`{column} IN ${name}` looks for a part of a text: `{name}` is no array"),
                format!("declare `{name}` as `type: array`, or write `{column} = ${name}`"),
            )
        }),
        UsePlace::Column(path) | UsePlace::Assigned(path) => {
            let column = path.last()?;
            let ty = column_type(db, statement, path)?;
            let put = matches!(usage.place, UsePlace::Assigned(_));
            against(name, declared, column, &ty, put).map(|(message, help, severity)| {
                let mut finding = finding(message, help);
                finding.severity = severity;
                finding
            })
        }
        UsePlace::Position(relation, at) => {
            let RelationSchema::Known(columns) = schema(db, statement, relation)? else {
                return None;
            };
            let column = columns.get(*at)?;
            against(name, declared, &column.name, &column.ty, true).map(
                |(message, help, severity)| {
                    let mut finding = finding(message, help);
                    finding.severity = severity;
                    finding
                },
            )
        }
        UsePlace::File(_) | UsePlace::Relation(_) => None,
    }
}

/// What is wrong between a parameter and a column, and what to do.
fn against(
    name: &str,
    declared: &TypeDef,
    column: &str,
    ty: &SqlType,
    put: bool,
) -> Option<(String, String, Option<Severity>)> {
    let target = family(ty)?;
    let kind = declared.kind.as_str();
    let moment = matches!(
        declared.format,
        Some(Format::Date | Format::DateTime | Format::Timestamp)
    );
    let fits = match declared.kind {
        TypeKind::Array => target == Family::List,
        TypeKind::Object => target == Family::Fields,
        TypeKind::Boolean => matches!(target, Family::Boolean),
        // Any number has a text; not every text is a number.
        TypeKind::Integer | TypeKind::Number => {
            target == Family::Number || put && target == Family::Text
        }
        TypeKind::String if moment => matches!(target, Family::Moment | Family::Text),
        TypeKind::String if declared.format == Some(Format::Time) => {
            matches!(target, Family::Time | Family::Text)
        }
        TypeKind::String => {
            target == Family::Text
                || is_constrained(declared)
                || matches!(target, Family::Moment | Family::Time) && says_form(declared)
        }
    };
    if fits {
        return None;
    }
    let written = match declared.format {
        Some(format) => format!("{kind} of the format `{}`", format.as_str()),
        None => kind.to_owned(),
    };
    let message = format!("`${name}` is declared as {written}, but `{column}` is {ty}");
    let wanted = match (target, ty) {
        (Family::Moment, SqlType::Date) => "`format: date`",
        (Family::Moment, _) => "`format: date-time`",
        (Family::Time, _) => "`format: time`",
        (Family::Number, ty) if ty.is_integer() => "`type: integer`",
        (Family::Number, _) => "`type: number`",
        (Family::Boolean, _) => "`type: boolean`",
        (Family::Text, _) => "`type: string`",
        (Family::List, _) => "`type: array`",
        (Family::Fields, _) => "`type: object`",
    };
    // The engine reads a day from a text, and JSON has no other form for one.
    if declared.kind == TypeKind::String && matches!(target, Family::Moment | Family::Time) {
        let help = format!("declare `{name}` with {wanted}: callers then know the form");
        return Some((message, help, Some(Severity::Info)));
    }
    let composite = matches!(declared.kind, TypeKind::Array | TypeKind::Object);
    // Between these the engine knows no conversion at all.
    let severity =
        (composite && target != Family::Text && target != Family::List).then_some(Severity::Error);
    Some((message, format!("declare `{name}` with {wanted}"), severity))
}

/// Whether the description tells callers how a day is written.
fn says_form(declared: &TypeDef) -> bool {
    declared.description.as_deref().is_some_and(|d| {
        let d = d.to_lowercase();
        ["yyyy", "iso", "hh:mm", "2024-", "2023-", "2025-"]
            .iter()
            .any(|hint| d.contains(hint))
    })
}

fn schema<'db>(
    db: &'db dyn Db,
    statement: &Statement,
    relation: &str,
) -> Option<&'db RelationSchema> {
    let table = statement
        .relations
        .iter()
        .find(|t| t.name.eq_ignore_ascii_case(relation))?;
    let name = RelationName {
        catalog: table.catalog.clone(),
        schema: table.schema.clone().unwrap_or_else(|| "main".into()),
        name: table.name.clone(),
    };
    Some(relation_schema(db, RelationKey::new(db, name.folded())))
}

/// The type of a column of the relations that a statement reads. `None` when the name may mean
/// something else, or columns of different types.
pub(in crate::check) fn column_type(
    db: &dyn Db,
    statement: &Statement,
    path: &[String],
) -> Option<SqlType> {
    let column = path.last()?.to_lowercase();
    if statement.details.aliases.contains(&column) {
        return None;
    }
    let mut found: Option<SqlType> = None;
    for table in &statement.relations {
        match schema(db, statement, &table.name)? {
            RelationSchema::Known(columns) => {
                for c in columns
                    .iter()
                    .filter(|c| c.name.eq_ignore_ascii_case(&column))
                {
                    if found.as_ref().is_some_and(|ty| family(ty) != family(&c.ty)) {
                        return None;
                    }
                    found = Some(c.ty.clone());
                }
            }
            _ => return None,
        }
    }
    found
}
