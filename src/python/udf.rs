//! Plugin functions as SQL functions: their types, and results brought to the declared type.

use mxcp_artifact::SqlType;

use crate::Cell;

/// A function that a plugin offers to SQL. A null argument reaches it as `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udf {
    /// `<method>_<plugin name>`.
    pub name: String,
    pub parameters: Vec<SqlType>,
    pub returns: SqlType,
}

/// Brings a returned value to the declared type where nothing is lost, else says why not.
pub(crate) fn coerce(cell: Cell, ty: &SqlType) -> Result<Cell, String> {
    let kind = cell.kind();
    Ok(match (cell, ty) {
        (Cell::Null, _) => Cell::Null,
        (cell @ Cell::Bool(_), SqlType::Boolean)
        | (cell @ Cell::Float(_), SqlType::Double)
        | (cell @ Cell::Decimal(_), SqlType::Decimal(..))
        | (cell @ Cell::Text(_), SqlType::Varchar)
        | (cell @ Cell::Bytes(_), SqlType::Blob)
        | (cell @ Cell::Date { .. }, SqlType::Date)
        | (cell @ Cell::Time { .. }, SqlType::Time)
        | (cell @ Cell::Interval { .. }, SqlType::Interval) => cell,
        (Cell::Int(value), SqlType::BigInt) => match i64::try_from(value) {
            Ok(_) => Cell::Int(value),
            Err(_) => return Err(format!("{value} does not fit {ty}")),
        },
        (Cell::Bool(value), SqlType::BigInt) => Cell::Int(value.into()),
        #[expect(
            clippy::cast_precision_loss,
            reason = "Python's own int to float does the same"
        )]
        (Cell::Int(value), SqlType::Double) => Cell::Float(value as f64),
        (Cell::Decimal(digits), SqlType::Double) => Cell::Float(
            digits
                .parse()
                .map_err(|_| format!("`{digits}` is not a number"))?,
        ),
        (Cell::Int(value), SqlType::Decimal(..)) => Cell::Decimal(value.to_string()),
        (Cell::Float(value), SqlType::Decimal(..)) if value.is_finite() => {
            Cell::Decimal(value.to_string())
        }
        (Cell::Int(value), SqlType::Varchar) => Cell::Text(value.to_string()),
        (Cell::Decimal(text) | Cell::Uuid(text), SqlType::Varchar) => Cell::Text(text),
        // SQL's TIMESTAMP is wall-clock time; an instant is shown in UTC.
        (Cell::Timestamp { micros, .. }, SqlType::Timestamp) => {
            Cell::Timestamp { micros, tz: None }
        }
        (Cell::Date { days }, SqlType::Timestamp) => Cell::Timestamp {
            micros: i64::from(days) * 86_400_000_000,
            tz: None,
        },
        (Cell::List(items), SqlType::List(item)) => Cell::List(
            items
                .into_iter()
                .map(|cell| coerce(cell, item))
                .collect::<Result<_, _>>()?,
        ),
        (Cell::Struct(fields), SqlType::Map(key, value)) => Cell::Map(
            fields
                .into_iter()
                .map(|(name, cell)| Ok((coerce(Cell::Text(name), key)?, coerce(cell, value)?)))
                .collect::<Result<_, String>>()?,
        ),
        (Cell::Map(entries), SqlType::Map(key, value)) => Cell::Map(
            entries
                .into_iter()
                .map(|(name, cell)| Ok((coerce(name, key)?, coerce(cell, value)?)))
                .collect::<Result<_, String>>()?,
        ),
        (Cell::Struct(mut fields), SqlType::Struct(wanted)) => Cell::Struct(
            wanted
                .iter()
                .map(|(name, ty)| {
                    let cell = fields
                        .iter_mut()
                        .find(|(field, _)| field == name)
                        .map_or(Cell::Null, |(_, cell)| std::mem::replace(cell, Cell::Null));
                    Ok((name.clone(), coerce(cell, ty)?))
                })
                .collect::<Result<_, String>>()?,
        ),
        _ => {
            return Err(format!(
                "it returned a value of kind {kind}, declared as {ty}"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use mxcp_artifact::SqlType;

    use super::coerce;
    use crate::Cell;

    #[test]
    fn results_take_the_declared_type_or_say_why_not() {
        let map = SqlType::parse("MAP(VARCHAR, DOUBLE)");
        let returned = Cell::Struct(vec![("a".into(), Cell::Int(1))]);
        assert_eq!(
            coerce(returned, &map),
            Ok(Cell::Map(vec![(Cell::Text("a".into()), Cell::Float(1.0))]))
        );
        let record = SqlType::parse("STRUCT(a BIGINT, b VARCHAR)");
        let returned = Cell::Struct(vec![("b".into(), Cell::Text("x".into()))]);
        assert_eq!(
            coerce(returned, &record),
            Ok(Cell::Struct(vec![
                ("a".into(), Cell::Null),
                ("b".into(), Cell::Text("x".into()))
            ]))
        );
        assert!(coerce(Cell::Text("x".into()), &SqlType::BigInt).is_err());
        assert!(coerce(Cell::Int(i128::MAX), &SqlType::BigInt).is_err());
    }
}
