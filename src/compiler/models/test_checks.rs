//! Generic tests whose SQL the engine would refuse, reported at the argument that makes it so.

use mxcp_artifact::{Column, SqlType};
use mxcp_base::{Severity, SourceFile, codes};
use serde_json::Value as Json;

use super::check::Depth;
use super::data_tests::{DeclaredTest, node_tests};
use super::index::{ref_index, source_index};
use super::node::node_properties;
use super::schema::model_schema;
use super::values::fits;
use crate::Db;
use crate::dbt::properties::TestProps;
use crate::dbt::tests::{Reference, relationship};
use crate::finding::{Anchor, Finding};
use crate::relations::{RelationKey, RelationSchema, relation_schema};
use crate::sql::{Bound, bind_text};

/// The tests of one node that are declared in `file`. `broken` are places with a finding already.
pub(super) fn check_tests(
    db: &dyn Db,
    file: SourceFile,
    node: SourceFile,
    depth: Depth,
    broken: &dyn Fn(&str) -> bool,
    findings: &mut Vec<Finding>,
) {
    let Some(all) = node_properties(db, node) else {
        return;
    };
    let columns = match depth {
        Depth::Reading => None,
        Depth::All => match model_schema(db, node) {
            RelationSchema::Known(columns) => Some(columns),
            _ => None,
        },
    };
    let compiled = node_tests(db, node);
    let mut seen: Vec<&str> = Vec::new();
    for (test, declared) in all.props.all_tests().zip(compiled) {
        if declared.file != file {
            continue;
        }
        let id = declared.test.unique_id.as_str();
        if seen.contains(&id) {
            findings.push(
                Finding::new(
                    codes::MX0425,
                    format!("there are two tests `{}`", declared.test.name),
                    Anchor::value(file, test.place.pointer.clone()),
                )
                .help("remove one of them, or give it a `name:`"),
            );
            continue;
        }
        seen.push(id);
        if !declared.test.problems.is_empty() || broken(&test.place.pointer) {
            continue;
        }
        if let Some(columns) = columns {
            check_one(db, file, test, declared, columns, findings);
        }
    }
}

fn check_one(
    db: &dyn Db,
    file: SourceFile,
    test: &TestProps,
    declared: &DeclaredTest,
    columns: &[Column],
    findings: &mut Vec<Finding>,
) {
    let column = test.args.get("column_name").and_then(Json::as_str);
    let ty = column.and_then(|name| {
        let known = columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))?;
        Some(&known.ty)
    });
    let before = findings.len();
    let own = test.namespace.is_none() && !test.config.contains_key("where");
    match (test.test.as_str(), ty) {
        ("unique" | "not_null", Some(_)) if own => return,
        ("accepted_values", Some(ty)) => accepted(file, test, ty, findings),
        ("relationships", Some(ty)) => related(db, file, test, ty, findings),
        _ => {}
    }
    let quoted = test.args.get("quote") != Some(&Json::Bool(false));
    let settled = own && ty.is_some() && matches!(test.test.as_str(), "relationships");
    let settled = settled || own && ty.is_some() && test.test == "accepted_values" && quoted;
    if findings.len() > before || settled || declared.test.dynamic.is_some() {
        return;
    }
    let (bound, _) = bind_text(db, &declared.test.sql, &[]);
    if let Bound::Failed { errors, missing } = bound
        && missing.is_empty()
        && let Some(error) = errors.first()
    {
        let place = match test.test.as_str() {
            "accepted_values" if !quoted => test.place_of("quote"),
            _ => test.place.pointer.clone(),
        };
        let mut finding = Finding::new(
            codes::MX0422,
            format!("the test `{}` cannot run: {}", test.test, error.message),
            Anchor::value(file, place),
        );
        if test.test == "accepted_values" && !quoted {
            finding = finding.help("with `quote: false` values are put into the SQL as they are");
        }
        findings.push(finding);
    }
}

/// Values that no value of the column can equal, because they are none of its type.
fn accepted(file: SourceFile, test: &TestProps, ty: &SqlType, findings: &mut Vec<Finding>) {
    let Some(Json::Array(values)) = test.args.get("values") else {
        return;
    };
    for (i, value) in values.iter().enumerate() {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(value) => value.to_string(),
            _ => continue,
        };
        // Without quotes a number makes the engine read every text of the column as a number.
        let reads_texts = test.args.get("quote") == Some(&Json::Bool(false))
            && matches!(ty, SqlType::Varchar)
            && value.is_number();
        if text.contains("{{") || (fits(&text, ty) && !reads_texts) {
            continue;
        }
        findings.push(
            Finding::new(
                codes::MX0422,
                format!(
                    "`{text}` is no {}, the type of the column",
                    ty.to_string().to_lowercase()
                ),
                Anchor::value(file, format!("{}/{i}", test.place_of("values"))),
            )
            .help("list values of the column's type"),
        );
    }
}

fn related(
    db: &dyn Db,
    file: SourceFile,
    test: &TestProps,
    ty: &SqlType,
    findings: &mut Vec<Finding>,
) {
    let Some((target, field)) = relationship(test) else {
        return;
    };
    let schema = match &target {
        Reference::Node { name, .. } => ref_index(db).get(name).map(|node| model_schema(db, *node)),
        Reference::Source { source, table } => source_index(db)
            .get(&(source.clone(), table.clone()))
            .map(|relation| relation_schema(db, RelationKey::new(db, relation.folded()))),
    };
    let Some(RelationSchema::Known(columns)) = schema else {
        return;
    };
    let Some(parent) = columns.iter().find(|c| c.name.eq_ignore_ascii_case(&field)) else {
        return;
    };
    if *ty == parent.ty {
        return;
    }
    let sql = format!(
        "SELECT CAST(NULL AS {ty}) = CAST(NULL AS {}) AS c",
        parent.ty
    );
    let refused = matches!(bind_text(db, &sql, &[]), (Bound::Failed { .. }, _));
    // The engine reads each text as a value of the other type, and fails at the first that is none.
    let text = |ty: &SqlType| matches!(ty, SqlType::Varchar | SqlType::Enum(_) | SqlType::Json);
    let other = |ty: &SqlType| !text(ty) && !matches!(ty, SqlType::Null | SqlType::Other(_));
    let by_reading = text(ty) && other(&parent.ty) || other(ty) && text(&parent.ty);
    if !refused && !by_reading {
        return;
    }
    let names = (
        ty.to_string().to_lowercase(),
        parent.ty.to_string().to_lowercase(),
    );
    let mut finding = Finding::new(
        codes::MX0422,
        format!("this column is {}, and `{field}` is {}", names.0, names.1),
        Anchor::value(file, test.place_of("field")),
    )
    .help("name the column that the values come from");
    if !refused {
        finding.severity = Some(Severity::Warning);
    }
    findings.push(finding);
}
