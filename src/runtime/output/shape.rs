//! Rows brought to the shape that `return` declares: a list of objects, one object, one value, or a
//! list of the values of one column.

use mxcp_artifact::{TypeDef, TypeKind};
use serde_json::{Map, Value};

use crate::database::execute::Table;

/// The declared type of a result column.
pub(crate) fn column_hint<'a>(
    returns: Option<&'a TypeDef>,
    column: &str,
    columns: usize,
) -> Option<&'a TypeDef> {
    let returns = returns?;
    let row = match returns.kind {
        TypeKind::Array => returns.items.as_deref()?,
        _ => returns,
    };
    if row.kind == TypeKind::Object {
        row.property(column)
    } else {
        (columns == 1).then_some(row)
    }
}

/// The result of SQL in its declared shape.
pub(crate) fn shape_rows(table: Table<Value>, returns: Option<&TypeDef>) -> Result<Value, String> {
    if let Some(returns) = returns
        && returns.kind == TypeKind::Array
        && returns
            .items
            .as_deref()
            .is_some_and(|item| item.kind != TypeKind::Object)
        && table.columns.len() == 1
    {
        return Ok(table.rows.into_iter().flatten().collect());
    }
    let Table { columns, rows, .. } = table;
    let rows = rows
        .into_iter()
        .map(|row| {
            let object: Map<String, Value> = columns.iter().cloned().zip(row).collect();
            Value::Object(object)
        })
        .collect();
    single(rows, returns)
}

/// The result of a function in its declared shape: only lists are touched.
pub(crate) fn shape_value(value: Value, returns: Option<&TypeDef>) -> Result<Value, String> {
    match value {
        Value::Array(items) => single(items, returns),
        other => Ok(other),
    }
}

fn single(mut rows: Vec<Value>, returns: Option<&TypeDef>) -> Result<Value, String> {
    let Some(returns) = returns.filter(|r| r.kind != TypeKind::Array) else {
        return Ok(Value::Array(rows));
    };
    let (Some(row), 0) = (rows.pop(), rows.len()) else {
        return Err(if rows.is_empty() {
            "No results returned".into()
        } else {
            format!(
                "Expected single result for return type '{}', but got {} results",
                returns.kind.as_str(),
                rows.len() + 1
            )
        });
    };
    if returns.kind == TypeKind::Object {
        return Ok(row);
    }
    match row {
        Value::Object(mut fields) => {
            let count = fields.len();
            let Some(first) = fields.keys().next().cloned().filter(|_| count == 1) else {
                return Err(format!(
                    "Expected single value for return type '{}', but got {count} values",
                    returns.kind.as_str()
                ));
            };
            Ok(fields.shift_remove(&first).unwrap_or_default())
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(columns: &[&str], rows: Value) -> Table<Value> {
        Table {
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            rows: serde_json::from_value(rows).unwrap(),
            cut: None,
        }
    }

    fn ty(value: Value) -> TypeDef {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn shapes_follow_the_declared_type() {
        let object = ty(json!({"type": "object"}));
        let integer = ty(json!({"type": "integer"}));
        let integers = ty(json!({"type": "array", "items": {"type": "integer"}}));
        let one = || table(&["a"], json!([[1]]));
        assert_eq!(shape_rows(one(), None), Ok(json!([{"a": 1}])));
        assert_eq!(shape_rows(one(), Some(&object)), Ok(json!({"a": 1})));
        assert_eq!(shape_rows(one(), Some(&integer)), Ok(json!(1)));
        assert_eq!(
            shape_rows(table(&["a"], json!([[1], [2]])), Some(&integers)),
            Ok(json!([1, 2]))
        );
        assert_eq!(
            shape_rows(table(&["a"], json!([])), Some(&integers)),
            Ok(json!([]))
        );
    }

    #[test]
    fn a_wrong_number_of_rows_or_columns_is_told() {
        let integer = ty(json!({"type": "integer"}));
        let told = |columns: &[&str], rows: Value| {
            shape_rows(table(columns, rows), Some(&integer)).unwrap_err()
        };
        assert_eq!(told(&["a"], json!([])), "No results returned");
        assert_eq!(
            told(&["a"], json!([[1], [2]])),
            "Expected single result for return type 'integer', but got 2 results"
        );
        assert_eq!(
            told(&["a", "b"], json!([[1, 2]])),
            "Expected single value for return type 'integer', but got 2 values"
        );
    }
}
