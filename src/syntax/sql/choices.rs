//! The values that a query can be asked for: where it compares a parameter with a column for equality, the
//! query of that column's values in what it reads.
//!
//! Asks the `sqlparser` crate, like [`super::projection()`]: where that cannot read a text, or the query has a
//! form that hides rows by what they are together, nothing is derived.

use std::collections::BTreeSet;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Query, Select, SelectFlavor, SelectItem, SetExpr, Statement, Value,
};
use sqlparser::dialect::DuckDbDialect;
use sqlparser::parser::Parser;

/// Longer texts are left alone.
const MAX_BYTES: usize = 100_000;

/// The values of the column that `parameter` is compared with, as a query of one column. Conditions stay;
/// those with other parameters hold as long as one of these is null.
#[must_use]
pub fn choices(text: &str, parameter: &str) -> Option<String> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let statements = Parser::new(&DuckDbDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_statements())
        .ok()?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return None;
    };
    let mut query: Query = query.as_ref().clone();
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    // What shows groups only when they are large, say, must not show its parts.
    if select.having.is_some()
        || select.qualify.is_some()
        || select.prewhere.is_some()
        || select.top.is_some()
    {
        return None;
    }
    let mut conditions = Vec::new();
    conjuncts(select.selection.take()?, &mut conditions);
    let at = conditions
        .iter()
        .position(|condition| compared(condition, parameter).is_some())?;
    let column = compared(&conditions.remove(at), parameter)?;
    let kept = conditions
        .into_iter()
        .filter(|condition| compared(condition, parameter).is_none())
        .map(|condition| unless_null(condition, parameter))
        .collect::<Option<Vec<Expr>>>()?;
    only_values(select, column, kept);
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    let text = query.to_string();
    // Elsewhere than in a condition the parameter decides what there is to choose from.
    names(&text)
        .iter()
        .all(|name| !name.eq_ignore_ascii_case(parameter))
        .then_some(text)
}

fn only_values(select: &mut Select, column: Expr, kept: Vec<Expr>) {
    select.flavor = SelectFlavor::Standard;
    select.distinct = Some(Distinct::Distinct);
    select.projection = vec![SelectItem::UnnamedExpr(column)];
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.named_window = Vec::new();
    select.sort_by = Vec::new();
    select.selection = kept.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    });
}

fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjuncts(*left, into);
            conjuncts(*right, into);
        }
        Expr::Nested(inner)
            if matches!(
                *inner,
                Expr::BinaryOp {
                    op: BinaryOperator::And,
                    ..
                }
            ) =>
        {
            conjuncts(*inner, into);
        }
        other => into.push(other),
    }
}

/// The column of `column = $parameter`, also where that is optional: `$parameter IS NULL OR …`,
/// `column = coalesce($parameter, column)`.
fn compared(expr: &Expr, parameter: &str) -> Option<Expr> {
    match expr {
        Expr::Nested(inner) => compared(inner, parameter),
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::Eq => [(left, right), (right, left)]
                .into_iter()
                .find_map(|(column, value)| equal(column, value, parameter)),
            BinaryOperator::Or => {
                [(left, right), (right, left)]
                    .into_iter()
                    .find_map(|(null, rest)| {
                        is_null(null, parameter)
                            .then(|| compared(rest, parameter))
                            .flatten()
                    })
            }
            _ => None,
        },
        _ => None,
    }
}

fn equal(column: &Expr, value: &Expr, parameter: &str) -> Option<Expr> {
    let (column, value) = (plain(column), plain(value));
    let is_column = matches!(column, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let falls_back = || {
        let Some(("coalesce", arguments)) = call(value) else {
            return false;
        };
        matches!(arguments.as_slice(), [first, second]
            if is_parameter(first, parameter) && plain(second) == column)
    };
    (is_column && (is_parameter(value, parameter) || falls_back())).then(|| column.clone())
}

/// Without what changes the form of a value and not what it stands for.
fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => plain(inner),
        Expr::Trim {
            expr: inner,
            trim_what: None,
            ..
        } => plain(inner),
        other => match call(other) {
            Some(("lower" | "upper" | "trim", arguments)) => match arguments.as_slice() {
                [one] => plain(one),
                _ => other,
            },
            _ => other,
        },
    }
}

fn call(expr: &Expr) -> Option<(&'static str, Vec<&Expr>)> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = function.name.to_string().to_lowercase();
    let name = ["coalesce", "ifnull", "lower", "upper", "trim"]
        .into_iter()
        .find(|known| *known == name)?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    let name = if name == "ifnull" { "coalesce" } else { name };
    Some((name, arguments.collect::<Option<_>>()?))
}

fn is_parameter(expr: &Expr, parameter: &str) -> bool {
    match plain(expr) {
        Expr::Value(value) => matches!(&value.value, Value::Placeholder(name)
            if name.strip_prefix('$').is_some_and(|name| name.eq_ignore_ascii_case(parameter))),
        _ => false,
    }
}

fn is_null(expr: &Expr, parameter: &str) -> bool {
    match expr {
        Expr::Nested(inner) => is_null(inner, parameter),
        Expr::IsNull(inner) => is_parameter(inner, parameter),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => {
            let empty = |e: &Expr| matches!(e, Expr::Value(v) if v.value == Value::SingleQuotedString(String::new()));
            is_parameter(left, parameter) && empty(right)
        }
        _ => false,
    }
}

/// A condition that says nothing as long as one of its parameters has no value. `None` when the parameter
/// that is asked for stands in it: it may be any value, so nothing can be said.
fn unless_null(condition: Expr, parameter: &str) -> Option<Expr> {
    let used = names(&condition.to_string());
    if used.iter().any(|name| name.eq_ignore_ascii_case(parameter)) {
        return None;
    }
    let condition = Expr::Nested(Box::new(condition));
    if used.is_empty() {
        return Some(condition);
    }
    let nulls = used.into_iter().map(|name| {
        let placeholder = Value::Placeholder(format!("${name}"));
        Expr::IsNull(Box::new(Expr::value(placeholder)))
    });
    let all = nulls.chain([condition]);
    let any = all.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    })?;
    Some(Expr::Nested(Box::new(any)))
}

fn names(text: &str) -> BTreeSet<String> {
    super::parameters(text)
        .into_iter()
        .map(|found| found.name)
        .collect()
}
