//! `on_schema_change`: what happens when the new rows of an incremental model have other columns
//! than its table.

use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::OnSchemaChange;

use crate::database::Failure;
use crate::job::Job;
use crate::relations::{Column, columns_of};

/// Brings the table in line; the columns to insert, which are those of the new rows.
pub(super) fn apply(
    job: &Job<'_>,
    change: OnSchemaChange,
    source: &str,
    target: &RelationName,
) -> Result<Vec<Column>, Failure> {
    let new = columns_of(job.connection, source)?;
    let old = columns_of(job.connection, &target.quoted())?;
    let missing = |from: &[Column], other: &[Column]| -> Vec<Column> {
        from.iter()
            .filter(|(name, _)| !other.iter().any(|(o, _)| o == name))
            .cloned()
            .collect()
    };
    let added = missing(&new, &old);
    let removed = missing(&old, &new);
    let retyped: Vec<Column> = new
        .iter()
        .filter(|(name, ty)| old.iter().any(|(o, oty)| o == name && oty != ty))
        .cloned()
        .collect();
    if added.is_empty() && removed.is_empty() && retyped.is_empty() {
        return Ok(new);
    }
    let alter = |what: String| job.execute(&format!("alter table {} {what}", target.quoted()));
    match change {
        OnSchemaChange::Ignore => {}
        OnSchemaChange::Fail => return Err(out_of_sync(&added, &removed, &retyped)),
        OnSchemaChange::AppendNewColumns => {
            for (name, ty) in &added {
                alter(format!("add column {} {ty}", quote_identifier(name)))?;
            }
        }
        OnSchemaChange::SyncAllColumns => {
            for (name, ty) in &added {
                alter(format!("add column {} {ty}", quote_identifier(name)))?;
            }
            for (name, _) in &removed {
                alter(format!("drop column {}", quote_identifier(name)))?;
            }
            for (name, ty) in &retyped {
                retype(job, target, name, ty)?;
            }
        }
    }
    Ok(new)
}

/// As in dbt the column with the new type is a new one, so it becomes the last.
fn retype(job: &Job<'_>, target: &RelationName, name: &str, ty: &str) -> Result<(), Failure> {
    let target = target.quoted();
    let old = quote_identifier(name);
    let new = quote_identifier(&format!("{name}__dbt_alter"));
    for statement in [
        format!("alter table {target} add column {new} {ty}"),
        format!("update {target} set {new} = {old}"),
        format!("alter table {target} drop column {old} cascade"),
        format!("alter table {target} rename column {new} to {old}"),
    ] {
        job.execute(&statement)?;
    }
    Ok(())
}

fn out_of_sync(added: &[Column], removed: &[Column], retyped: &[Column]) -> Failure {
    let list = |columns: &[Column]| -> String {
        columns
            .iter()
            .map(|(name, ty)| format!("`{name}` {ty}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut parts = Vec::new();
    for (what, columns) in [
        ("the query has new columns", added),
        ("the table has columns that the query lacks", removed),
        ("other types in the query", retyped),
    ] {
        if !columns.is_empty() {
            parts.push(format!("{what}: {}", list(columns)));
        }
    }
    Failure::new(format!(
        "The source and target schemas on this incremental model are out of sync! {}. Set `on_schema_change` to `append_new_columns` or `sync_all_columns`, or run with `--full-refresh`",
        parts.join("; ")
    ))
}
