//! Enforced contracts: the DDL that makes the engine hold a table to its declared columns, and the
//! checks for views, which cannot be held to anything. Pure: no connection here.

use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{ColumnSpec, Constraint, ConstraintKind, Node};

/// A column as the model's query returns it: name and type.
pub(crate) type Returned = crate::relations::Column;

/// The `create table` statement. A fully declared model gets its columns in declared order; else
/// the query's order holds, and undeclared columns keep the type the query gives them.
pub(crate) fn create_table(
    target: &RelationName,
    node: &Node,
    constraints: &[Constraint],
    returned: &[Returned],
) -> Result<String, String> {
    check_names(node, returned)?;
    let mut lines = Vec::new();
    if returned
        .iter()
        .all(|(name, _)| declared(node, name).is_some())
    {
        for column in &node.columns {
            let ty = returned
                .iter()
                .find(|(name, _)| same(name, &column.name))
                .map_or("", |(_, ty)| ty);
            lines.push(column_line(&column.name, ty, Some(column), constraints)?);
        }
    } else {
        for (name, ty) in returned {
            let column = declared(node, name);
            let name = column.map_or(name, |column| &column.name);
            lines.push(column_line(name, ty, column, constraints)?);
        }
    }
    for constraint in constraints {
        lines.extend(table_line(constraint)?);
    }
    Ok(format!(
        "create table {} (\n  {}\n)",
        target.quoted(),
        lines.join(",\n  ")
    ))
}

/// Every declared column is among the returned ones.
pub(crate) fn check_names(node: &Node, returned: &[Returned]) -> Result<(), String> {
    let missing: Vec<String> = node
        .columns
        .iter()
        .filter(|column| !returned.iter().any(|(name, _)| same(name, &column.name)))
        .map(|column| format!("`{}`", column.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let returned: Vec<String> = returned
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    Err(format!(
        "the contract of `{}` declares {} {}, which its query does not return; select {} or take {} out of the contract (the query returns {})",
        node.name,
        if missing.len() == 1 {
            "column"
        } else {
            "columns"
        },
        missing.join(", "),
        if missing.len() == 1 { "it" } else { "them" },
        if missing.len() == 1 { "it" } else { "them" },
        returned.join(", "),
    ))
}

/// A query whose result has the declared types, so that the engine's spelling of them can be read.
pub(crate) fn declared_types_query(node: &Node) -> Option<String> {
    let casts: Vec<String> = node
        .columns
        .iter()
        .filter_map(|column| {
            let ty = column.data_type.as_ref()?;
            Some(format!(
                "cast(null as {ty}) as {}",
                quote_identifier(&column.name)
            ))
        })
        .collect();
    (!casts.is_empty()).then(|| format!("select {}", casts.join(", ")))
}

/// Both lists in the engine's spelling.
pub(crate) fn check_types(
    node: &Node,
    expected: &[Returned],
    returned: &[Returned],
) -> Result<(), String> {
    let wrong: Vec<String> = expected
        .iter()
        .filter_map(|(name, want)| {
            let (_, got) = returned.iter().find(|(other, _)| same(name, other))?;
            (got != want).then(|| format!("`{name}` is {got}, declared {want}"))
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the query of the view `{}` does not have the types of its contract: {}; cast these columns in the query",
        node.name,
        wrong.join("; ")
    ))
}

fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn declared<'n>(node: &'n Node, name: &str) -> Option<&'n ColumnSpec> {
    node.columns.iter().find(|column| same(&column.name, name))
}

fn column_line(
    name: &str,
    returned_type: &str,
    column: Option<&ColumnSpec>,
    table_constraints: &[Constraint],
) -> Result<String, String> {
    let ty = column
        .and_then(|column| column.data_type.as_deref())
        .unwrap_or(returned_type);
    let mut line = format!("{} {ty}", quote_identifier(name));
    for constraint in column.map_or(&[][..], |column| &column.constraints) {
        line.push(' ');
        line.push_str(&column_constraint(name, constraint)?);
    }
    let not_null = |constraint: &Constraint| {
        constraint.kind == ConstraintKind::NotNull
            && constraint.columns.iter().any(|other| same(other, name))
    };
    if table_constraints.iter().any(not_null) {
        line.push_str(" not null");
    }
    Ok(line)
}

fn column_constraint(column: &str, constraint: &Constraint) -> Result<String, String> {
    let place = || format!("the column `{column}`");
    let named = named(constraint);
    let line = match constraint.kind {
        ConstraintKind::NotNull => "not null".to_owned(),
        ConstraintKind::Unique => "unique".to_owned(),
        ConstraintKind::PrimaryKey => "primary key".to_owned(),
        ConstraintKind::Check => format!("check ({})", expression(constraint, place)?),
        ConstraintKind::ForeignKey => match target(constraint) {
            Some(target) => format!("references {target}"),
            None => format!("references {}", expression(constraint, place)?),
        },
        ConstraintKind::Custom => expression(constraint, place)?.to_owned(),
    };
    Ok(named + &line)
}

fn named(constraint: &Constraint) -> String {
    match &constraint.name {
        Some(name) => format!("constraint {} ", quote_identifier(name)),
        None => String::new(),
    }
}

/// What a foreign key points to, where it says so in parts.
fn target(constraint: &Constraint) -> Option<String> {
    let to = constraint.to.as_ref()?;
    let columns: Vec<String> = constraint
        .to_columns
        .iter()
        .map(|column| quote_identifier(column))
        .collect();
    Some(match columns.is_empty() {
        true => to.clone(),
        false => format!("{to} ({})", columns.join(", ")),
    })
}

/// `None` for what a column line says already.
fn table_line(constraint: &Constraint) -> Result<Option<String>, String> {
    let place = || "the model".to_owned();
    let columns = constraint
        .columns
        .iter()
        .map(|column| quote_identifier(column))
        .collect::<Vec<_>>()
        .join(", ");
    let line = match constraint.kind {
        ConstraintKind::NotNull => return Ok(None),
        ConstraintKind::Unique => format!("unique ({columns})"),
        ConstraintKind::PrimaryKey => format!("primary key ({columns})"),
        ConstraintKind::Check => format!("check ({})", expression(constraint, place)?),
        ConstraintKind::ForeignKey => {
            let to = match target(constraint) {
                Some(target) => target,
                None => expression(constraint, place)?.to_owned(),
            };
            format!("foreign key ({columns}) references {to}")
        }
        ConstraintKind::Custom => expression(constraint, place)?.to_owned(),
    };
    Ok(Some(named(constraint) + &line))
}

fn expression(constraint: &Constraint, place: impl Fn() -> String) -> Result<&str, String> {
    constraint
        .expression
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            format!(
                "a constraint of {} has no `expression`; write what it requires",
                place()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{declared, model};
    use mxcp_artifact::dbt::Materialization;

    #[test]
    fn a_full_contract_orders_the_columns() {
        let mut node = model(Materialization::Table, "", "t", &[], "");
        node.columns = vec![
            declared("B", "varchar", &[ConstraintKind::Unique]),
            declared("a", "date", &[]),
        ];
        let mut returned = vec![
            ("a".to_owned(), "TIMESTAMP".to_owned()),
            ("b".to_owned(), "VARCHAR".to_owned()),
        ];
        let key = Constraint {
            columns: vec!["a".into(), "B".into()],
            ..Constraint::of(ConstraintKind::PrimaryKey)
        };
        let target = RelationName::main("t");
        let create = |returned: &[Returned]| {
            create_table(&target, &node, std::slice::from_ref(&key), returned)
        };
        assert_eq!(
            create(&returned).as_deref(),
            Ok(
                "create table \"main\".\"t\" (\n  \"B\" varchar unique,\n  \"a\" date,\n  primary key (\"a\", \"B\")\n)"
            )
        );
        returned.push(("c".into(), "INTEGER[]".into()));
        assert_eq!(
            create(&returned).as_deref(),
            Ok(
                "create table \"main\".\"t\" (\n  \"a\" date,\n  \"B\" varchar unique,\n  \"c\" INTEGER[],\n  primary key (\"a\", \"B\")\n)"
            )
        );
    }

    #[test]
    fn a_check_without_expression_is_refused() {
        let mut node = model(Materialization::Table, "", "t", &[], "");
        node.columns = vec![declared("a", "date", &[ConstraintKind::Check])];
        let error = create_table(
            &RelationName::main("t"),
            &node,
            &[],
            &[("a".into(), "DATE".into())],
        );
        assert!(error.is_err_and(|e| e.contains("the column `a` has no `expression`")));
    }
}
