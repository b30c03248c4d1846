//! Enforced contracts: the DDL that makes the engine hold a table to its declared columns, and the
//! checks for views, which cannot be held to anything. Pure: no connection here.

use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{ColumnSpec, Constraint, ConstraintKind, Node};

/// A column as the model's query returns it: name and type.
pub(crate) type Returned = crate::relations::Column;

/// What is asked of the columns that a model's query returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// dbt's own form: the same names and types, in any order.
    All,
    /// The declared columns are among them, with their types.
    Types,
    /// The declared columns are among them; rows are cast.
    Names,
}

/// The `create table` statement. A fully declared model gets its columns in declared order; else
/// the query's order holds, and undeclared columns keep the type the query gives them.
pub(crate) fn create_table(
    target: &RelationName,
    node: &Node,
    constraints: &[Constraint],
    returned: &[Returned],
) -> Result<String, String> {
    let ty = |name: &str| {
        let found = returned.iter().find(|(other, _)| same(name, other));
        found.map_or("", |(_, ty)| ty)
    };
    let all = returned
        .iter()
        .all(|(name, _)| declared(node, name).is_some());
    let mut lines = Vec::new();
    if all {
        for column in &node.columns {
            let name = &column.name;
            lines.push(column_line(name, ty(name), Some(column), constraints)?);
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

/// A query whose result has the declared types, so that the engine's spelling of them can be read; `None`
/// when no type is declared.
pub(crate) fn declared_query(node: &Node, asks: Asks) -> Result<Option<String>, String> {
    let mut casts = Vec::new();
    let mut untyped = Vec::new();
    for column in &node.columns {
        let name = quote_identifier(&column.name);
        match &column.data_type {
            Some(ty) => casts.push(format!("cast(null as {ty}) as {name}")),
            None => untyped.push(format!("`{}`", column.name)),
        }
    }
    if asks == Asks::All && node.columns.is_empty() {
        return Err(format!(
            "the contract of `{}` declares no columns; list them under `columns:`, each with its `data_type`",
            node.name
        ));
    }
    if asks == Asks::All && !untyped.is_empty() {
        return Err(format!(
            "the contract of `{}` does not say the type of {}; add `data_type:`",
            node.name,
            untyped.join(", ")
        ));
    }
    Ok((!casts.is_empty()).then(|| format!("select {}", casts.join(", "))))
}

/// Whether the query keeps the contract. The types are in the engine's spelling in both lists.
pub(crate) fn check(
    node: &Node,
    asks: Asks,
    types: &[Returned],
    returned: &[Returned],
) -> Result<(), String> {
    let equal = |left: &str, right: &str| match asks {
        Asks::All => left == right,
        Asks::Types | Asks::Names => same(left, right),
    };
    let ty = |name: &str, list: &[Returned]| {
        let found = list.iter().find(|(other, _)| equal(name, other));
        found.map(|(_, ty)| ty.clone())
    };
    let mut wrong: Vec<String> = Vec::new();
    for column in &node.columns {
        let name = &column.name;
        let want = ty(name, types);
        match (ty(name, returned), want) {
            (None, want) => {
                let want = want.map(|ty| format!(" {ty}")).unwrap_or_default();
                wrong.push(format!(
                    "`{name}`{want} is declared, and the query does not return it"
                ));
            }
            (Some(got), Some(want)) if got != want && asks != Asks::Names => {
                wrong.push(format!("`{name}` is {got}, declared {want}"));
            }
            _ => {}
        }
    }
    if asks == Asks::All {
        let known = |name: &str| node.columns.iter().any(|column| column.name == name);
        let extra = returned.iter().filter(|(name, _)| !known(name));
        wrong
            .extend(extra.map(|(name, ty)| format!("`{name}` {ty} is returned, and not declared")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the query of `{}` does not keep its contract: {}; cast or select these columns in the query, or change the contract",
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
        let key = Constraint {
            columns: vec!["a".into(), "B".into()],
            ..Constraint::of(ConstraintKind::PrimaryKey)
        };
        let mut returned = vec![
            ("a".to_owned(), "TIMESTAMP".to_owned()),
            ("b".to_owned(), "VARCHAR".to_owned()),
        ];
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
        assert_eq!(check(&node, Asks::Names, &[], &returned), Ok(()));
        let date = [("a".to_owned(), "DATE".to_owned())];
        let error = check(&node, Asks::Types, &date, &returned);
        assert!(error.is_err_and(|e| e.contains(": `a` is TIMESTAMP, declared DATE; cast")));
        let error = check(&node, Asks::All, &date, &returned[2..]);
        assert!(error.is_err_and(|e| e.contains(
            ": `B` is declared, and the query does not return it; `a` DATE is declared, and the query does not return it; `c` INTEGER[] is returned, and not declared; cast"
        )));
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
