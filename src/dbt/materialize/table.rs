//! Views and tables from compiled SQL.

use duckdb::Connection;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{ConstraintKind, Index, ModelSpec};
use mxcp_artifact::{RelationKind, RelationName};

use super::contract::{Asks, Returned};
use super::{Built, beside, contract};
use crate::database::Failure;
use crate::job::Job;
use crate::relations::{Relations, describe};

pub(super) fn table(
    job: &Job<'_>,
    model: &ModelSpec,
    target: &RelationName,
) -> Result<Built, Failure> {
    let rows = if has_foreign_key(job, model) {
        // The engine remembers the name under which a foreign key was made: renaming such a table
        // would tie the referenced one to a name that is gone.
        job.run.relations.drop(job.connection, target)?;
        create_table_as(job, model, target, &job.sql)?
    } else {
        let built = beside(target);
        job.run.relations.drop(job.connection, &built)?;
        let rows = create_table_as(job, model, &built, &job.sql)?;
        take_place(job.connection, job.run.relations, &built, target)?;
        rows
    };
    create_indexes(job, model, target)?;
    Ok(Built {
        kind: RelationKind::Table,
        rows: Some(rows),
    })
}

fn has_foreign_key(job: &Job<'_>, model: &ModelSpec) -> bool {
    model.contract_enforced
        && model
            .constraints
            .iter()
            .chain(job.node.columns.iter().flat_map(|c| &c.constraints))
            .any(|constraint| constraint.kind == ConstraintKind::ForeignKey)
}

/// Creates a table under its name, held to the model's contract; the number of its rows.
pub(crate) fn create_table_as(
    job: &Job<'_>,
    model: &ModelSpec,
    name: &RelationName,
    sql: &str,
) -> Result<u64, Failure> {
    header(job)?;
    let rows = if model.contract_enforced {
        let asks = match model.contract_exact {
            true => Asks::All,
            false => Asks::Names,
        };
        let returned = keep_contract(job, sql, asks)?;
        let create = contract::create_table(name, job.node, &model.constraints, &returned)
            .map_err(Failure::new)?;
        job.execute(&create)?;
        job.connection.execute(
            &format!(
                "insert into {} by name select * from ({sql}\n)",
                name.quoted()
            ),
            [],
        )?
    } else {
        job.connection
            .execute(&format!("create table {} as ({sql}\n)", name.quoted()), [])?
    };
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

/// The query returns what its model's contract declares; what it returns.
fn keep_contract(job: &Job<'_>, sql: &str, asks: Asks) -> Result<Vec<Returned>, Failure> {
    let returned = describe(job.connection, sql)?;
    let types = match contract::declared_query(job.node, asks).map_err(Failure::new)? {
        Some(query) => describe(job.connection, &query)?,
        None => Vec::new(),
    };
    contract::check(job.node, asks, &types, &returned).map_err(Failure::new)?;
    Ok(returned)
}

/// `sql_header`: statements that go before the one that makes the relation.
pub(super) fn header(job: &Job<'_>) -> Result<(), Failure> {
    match job.text("sql_header") {
        Some(header) => job.execute(header),
        None => Ok(()),
    }
}

/// Puts the finished table in the place of whatever had its name.
pub(crate) fn take_place(
    connection: &Connection,
    relations: &Relations,
    built: &RelationName,
    target: &RelationName,
) -> Result<(), Failure> {
    relations.drop(connection, target)?;
    Ok(connection.execute_batch(&format!(
        "alter table {} rename to {}",
        built.quoted(),
        quote_identifier(&target.name)
    ))?)
}

pub(super) fn view(
    job: &Job<'_>,
    model: &ModelSpec,
    target: &RelationName,
) -> Result<Built, Failure> {
    header(job)?;
    let sql = &job.sql;
    if model.contract_enforced {
        let asks = match model.contract_exact {
            true => Asks::All,
            false => Asks::Types,
        };
        keep_contract(job, sql, asks)?;
    }
    job.run.relations.drop(job.connection, target)?;
    job.execute(&format!("create view {} as ({sql}\n)", target.quoted()))?;
    Ok(Built {
        kind: RelationKind::View,
        rows: None,
    })
}

pub(super) fn create_indexes(
    job: &Job<'_>,
    model: &ModelSpec,
    target: &RelationName,
) -> Result<(), Failure> {
    create_all_indexes(job, &model.indexes, target)
}

pub(crate) fn create_all_indexes(
    job: &Job<'_>,
    indexes: &[Index],
    target: &RelationName,
) -> Result<(), Failure> {
    for (i, index) in indexes.iter().enumerate() {
        // The same index may be asked for twice.
        let before = indexes.iter().take(i).filter(|other| *other == index);
        job.execute(&create_index(target, index, before.count()))?;
    }
    Ok(())
}

/// Index names are unique within a schema, and the same from run to run.
fn create_index(target: &RelationName, index: &Index, twin: usize) -> String {
    let columns: Vec<String> = index.columns.iter().map(|c| index_column(c)).collect();
    let mut name = format!("{}__{}", target.name, index.columns.join("_"));
    name.retain(|c| c.is_alphanumeric() || c == '_');
    if index.unique {
        name.push_str("__unique");
    }
    if twin > 0 {
        name.push_str(&format!("__{twin}"));
    }
    format!(
        "create {}index {} on {} ({})",
        if index.unique { "unique " } else { "" },
        quote_identifier(&name),
        target.quoted(),
        columns.join(", ")
    )
}

/// A plain name is quoted; anything else is an expression and stands as written.
fn index_column(column: &str) -> String {
    if column.contains(['(', '"', ' ']) {
        column.to_owned()
    } else {
        quote_identifier(column)
    }
}
