//! One row is promised: can the query have more?

use mxcp_artifact::TypeKind;
use mxcp_base::{SourceFile, codes};
use mxcp_catalog::{Rows, Statement};

use crate::Db;
use crate::column_facts::facts_of;
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

pub(in crate::check) fn check_rows(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    statement: &Statement,
    findings: &mut Vec<Finding>,
) {
    let Some(returns) = def.returns.as_ref().filter(|r| r.kind != TypeKind::Array) else {
        return;
    };
    let in_main = statement
        .relations
        .iter()
        .all(|r| r.catalog.is_none() && r.schema.as_deref().is_none_or(|s| s == "main"));
    if !in_main {
        return;
    }
    let why = match &statement.details.rows {
        Rows::Many(relations) if relations.iter().all(|r| is_file(r) || facts_of(db, r).many) => {
            let list: Vec<String> = relations.iter().map(|r| format!("`{r}`")).collect();
            format!("it reads {} without choosing one row", list.join(" and "))
        }
        Rows::Equal(relation, columns) => {
            let facts = facts_of(db, relation);
            let repeats = !facts.other_keys
                && !facts.unique.is_empty()
                && columns.iter().all(|c| facts.references.contains(c))
                && !columns.iter().any(|c| facts.unique.contains(c));
            if !repeats {
                return;
            }
            format!(
                "`{}` is no key of `{relation}`, but refers to another table",
                columns.join("`, `")
            )
        }
        Rows::UpTo(limit) => {
            // A parameter whose only value is one.
            let one = limit.strip_prefix('$').is_some_and(|name| {
                let declared = def.parameters.iter().find(|p| p.name == name);
                let max = declared.and_then(|p| p.ty.as_ref()?.maximum.as_ref()?.as_f64());
                max.is_some_and(|max| max <= 1.0)
            });
            if one {
                return;
            }
            format!("its `LIMIT` is {limit}")
        }
        _ => return,
    };
    findings.push(
        Finding::new(
            codes::MX0306,
            format!(
                "`return` is one {}, but the query can have many rows: {why}",
                returns.kind.as_str()
            ),
            Anchor::value(file, def.pointer(&format!("{}/type", def.return_key))),
        )
        .help("return an array, add `LIMIT 1`, or filter on a key"),
    );
}

/// A file, or the function that reads one. What reads a whole text or a `glob` may well give one row.
fn is_file(relation: &str) -> bool {
    let tables = ["read_csv", "read_csv_auto", "read_parquet", "parquet_scan"];
    tables.contains(&relation)
        || [".csv", ".parquet"]
            .iter()
            .any(|ending| relation.ends_with(ending))
}
