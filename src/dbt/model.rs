//! Views and tables from compiled SQL. A model is built beside what it replaces and put in its place
//! in one transaction with its hooks and indexes, so a failure changes nothing.

use duckdb::Connection;
use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{Index, Materialization, ModelSpec, Node};

use crate::contract::{self, Returned};
use crate::database::{Failure, Relations, in_transaction};
use crate::result::Outcome;

pub(crate) fn build(
    connection: &Connection,
    relations: &Relations,
    node: &Node,
    model: &ModelSpec,
) -> Result<Outcome, Failure> {
    let target = target(node)?;
    let rows = in_transaction(connection, || {
        run_hooks(connection, "pre-hook", &model.pre_hooks)?;
        let rows = match model.materialized {
            Materialization::Table => Some(table(connection, relations, node, model, target)?),
            Materialization::View => {
                view(connection, relations, node, model, target)?;
                None
            }
            Materialization::Ephemeral => None,
            Materialization::Incremental
            | Materialization::External
            | Materialization::Custom(_) => {
                return Err(Failure::new(format!(
                    "models materialised as `{}` are not supported",
                    model.materialized.as_str()
                )));
            }
        };
        run_hooks(connection, "post-hook", &model.post_hooks)?;
        Ok(rows)
    })
    .map_err(|failure| hide_temporary_name(failure, target))?;
    Ok(Outcome::built("OK".to_owned(), rows))
}

pub(crate) fn target(node: &Node) -> Result<&RelationName, Failure> {
    node.relation
        .as_ref()
        .ok_or_else(|| Failure::new(format!("`{}` was compiled without a relation", node.name)))
}

/// Where a relation is built before it takes its place.
pub(crate) fn beside(target: &RelationName) -> RelationName {
    RelationName {
        name: format!("{}__dbt_tmp", target.name),
        ..target.clone()
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

/// The name of the table under construction means nothing to a reader.
pub(crate) fn hide_temporary_name(mut failure: Failure, target: &RelationName) -> Failure {
    failure.message = failure.message.replace(&beside(target).name, &target.name);
    failure
}

fn table(
    connection: &Connection,
    relations: &Relations,
    node: &Node,
    model: &ModelSpec,
    target: &RelationName,
) -> Result<u64, Failure> {
    let built = beside(target);
    relations.drop(connection, &built)?;
    let sql = query(node);
    let rows = if model.contract_enforced {
        let returned = describe(connection, sql)?;
        let create = contract::create_table(&built, node, &model.constraints, &returned)
            .map_err(Failure::new)?;
        connection.execute_batch(&create)?;
        connection.execute(
            &format!(
                "insert into {} by name select * from ({sql}\n)",
                built.quoted()
            ),
            [],
        )?
    } else {
        connection.execute(&format!("create table {} as ({sql}\n)", built.quoted()), [])?
    };
    take_place(connection, relations, &built, target)?;
    for index in &model.indexes {
        connection.execute_batch(&create_index(target, index))?;
    }
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn view(
    connection: &Connection,
    relations: &Relations,
    node: &Node,
    model: &ModelSpec,
    target: &RelationName,
) -> Result<(), Failure> {
    let sql = query(node);
    if model.contract_enforced {
        let returned = describe(connection, sql)?;
        contract::check_names(node, &returned).map_err(Failure::new)?;
        if let Some(types) = contract::declared_types_query(node) {
            let expected = describe(connection, &types)?;
            contract::check_types(node, &expected, &returned).map_err(Failure::new)?;
        }
    }
    relations.drop(connection, target)?;
    Ok(connection.execute_batch(&format!("create view {} as ({sql}\n)", target.quoted()))?)
}

/// The compiled query. It goes on the line of the statement that wraps it, so that the line numbers
/// in the engine's messages are those of the compiled SQL, and ends on a line of its own, because
/// it may end in a comment.
pub(crate) fn query(node: &Node) -> &str {
    node.compiled_sql
        .trim_end_matches(|c: char| c.is_whitespace() || c == ';')
}

fn describe(connection: &Connection, sql: &str) -> Result<Vec<Returned>, Failure> {
    let mut statement = connection.prepare(&format!(
        "select column_name, column_type from (describe ({sql}\n))"
    ))?;
    let columns = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<duckdb::Result<Vec<Returned>>>()?;
    Ok(columns)
}

fn run_hooks(connection: &Connection, what: &str, hooks: &[String]) -> Result<(), Failure> {
    for hook in hooks.iter().filter(|hook| !hook.trim().is_empty()) {
        connection
            .execute_batch(hook)
            .map_err(|error| Failure::from(error).context(&format!("the {what} failed")))?;
    }
    Ok(())
}

/// Index names are unique within a schema, and the same from run to run.
fn create_index(target: &RelationName, index: &Index) -> String {
    let columns: Vec<String> = index.columns.iter().map(|c| index_column(c)).collect();
    let mut name = format!("{}__{}", target.name, index.columns.join("_"));
    name.retain(|c| c.is_alphanumeric() || c == '_');
    if index.unique {
        name.push_str("__unique");
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
