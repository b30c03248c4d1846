//! Contracts: the columns a model promises against the columns its SQL yields.
//!
//! In `config:`, where dbt reads it, a contract wants both lists equal to the letter. Beside the name of
//! the model it may name some of the columns, the others keep their inferred types, and a numeric column
//! may be declared with another numeric type: the table is created with the declared one and the rows
//! are cast.

use mxcp_artifact::dbt::ColumnSpec;
use mxcp_artifact::{Column, SqlType};

use super::problem::{At, Problem, code, did_you_mean};
use super::properties::{ColumnProps, ModelProps};

/// Checks the columns a contract declares. `place` says where a declared column stands, by its index.
pub fn check_contract(
    model: &str,
    declared: &[ColumnSpec],
    inferred: &[Column],
    exact: bool,
    place: &dyn Fn(usize) -> At,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, spec) in declared.iter().enumerate() {
        let found = inferred
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(&spec.name));
        let Some(found) = found else {
            let names = inferred.iter().map(|column| column.name.as_str());
            let help = did_you_mean(&spec.name, names).unwrap_or_else(|| {
                "select it in the model, or remove it from the contract".to_owned()
            });
            problems.push(
                Problem::new(
                    code::CONTRACT_COLUMN_MISSING,
                    place(index),
                    format!(
                        "the contract of `{model}` promises a column `{}`, which the model does not return",
                        spec.name
                    ),
                )
                .help(help),
            );
            continue;
        };
        let Some(declared_type) = &spec.data_type else {
            continue;
        };
        let wanted = SqlType::parse(declared_type);
        if accepts(&wanted, &found.ty) && is_cast(&wanted, &found.ty) {
            problems.push(cast(
                model,
                spec,
                declared_type,
                &found.ty,
                exact,
                place(index),
            ));
        } else if !accepts(&wanted, &found.ty) {
            problems.push(
                Problem::new(
                    code::CONTRACT_TYPE,
                    place(index),
                    format!(
                        "the contract of `{model}` declares column `{}` as `{declared_type}`, but the model returns `{}`",
                        spec.name, found.ty
                    ),
                )
                .help(format!(
                    "cast it in the model (`{}::{declared_type}`), or declare `{}`",
                    spec.name,
                    found.ty.to_string().to_lowercase()
                )),
            );
        }
    }
    for column in inferred {
        let known = declared
            .iter()
            .any(|spec| spec.name.eq_ignore_ascii_case(&column.name));
        if !known {
            let what = format!(
                "column `{}` of `{model}` is not in its contract",
                column.name
            );
            let extra = |rest: String| {
                Problem::new(
                    code::CONTRACT_COLUMN_EXTRA,
                    At::File,
                    format!("{what}: {rest}"),
                )
            };
            problems.push(match exact {
                true => extra("the build refuses the model".into())
                    .mild()
                    .help(format!(
                        "declare it as `{}`, or do not select it",
                        column.ty
                    )),
                false => extra(format!("it keeps its inferred type `{}`", column.ty)),
            });
        }
    }
    problems
}

/// [`check_contract`] for a merged model. Each problem comes with the index of the property entry it is
/// in. Nothing when the contract is not enforced.
///
/// A column counts as promised when it stands in the entry that has the contract, or has a type: other
/// property files may describe and test columns without promising them.
pub fn check_model_contract(model: &ModelProps, inferred: &[Column]) -> Vec<(usize, Problem)> {
    let Some(contract) = model.contract.as_ref().filter(|contract| contract.enforced) else {
        return Vec::new();
    };
    let promised: Vec<&ColumnProps> = model
        .columns
        .iter()
        .filter(|c| c.place.part == contract.place.part || c.spec.data_type.is_some())
        .collect();
    let declared: Vec<ColumnSpec> = promised.iter().map(|c| c.spec.clone()).collect();
    // The index goes through the place as a pointer, because two entries may have equal pointers.
    let place = |index: usize| At::Key(index.to_string());
    check_contract(&model.name, &declared, inferred, contract.exact, &place)
        .into_iter()
        .map(|mut problem| {
            let column = match &problem.at {
                At::Key(index) => index.parse().ok().and_then(|i: usize| promised.get(i)),
                _ => None,
            };
            let Some(column) = column else {
                // Notes about undeclared columns belong to the entry with the contract.
                let entry = contract
                    .place
                    .pointer
                    .rsplit_once('/')
                    .map_or("", |(e, _)| e);
                let entry = entry.strip_suffix("/config").unwrap_or(entry);
                problem.at = At::Pointer(format!("{entry}/name"));
                return (contract.place.part, problem);
            };
            // A missing column is a matter of its name, another type one of its type.
            let field = if matches!(problem.code, code::CONTRACT_TYPE | code::CONTRACT_CAST) {
                "data_type"
            } else {
                "name"
            };
            problem.at = At::Pointer(format!("{}/{field}", column.place.pointer));
            (column.place.part, problem)
        })
        .collect()
}

/// Whether the engine's names of two scalar types differ by more than the width of a decimal.
fn is_cast(wanted: &SqlType, found: &SqlType) -> bool {
    use SqlType as T;
    match (wanted, found) {
        (T::Decimal(_, a), T::Decimal(_, b)) => a != b,
        (a, b) if a.is_numeric() && b.is_numeric() => a != b,
        (a, b) if is_timestamp(a) && (is_timestamp(b) || *b == T::Date) => a != b,
        _ => false,
    }
}

fn cast(
    model: &str,
    spec: &ColumnSpec,
    declared: &str,
    found: &SqlType,
    exact: bool,
    at: At,
) -> Problem {
    let then = match exact {
        true => "the build refuses the model",
        false => "rows are cast",
    };
    Problem::new(
        code::CONTRACT_CAST,
        at,
        format!(
            "the contract of `{model}` declares column `{}` as `{declared}`, the model returns `{found}`: {then}",
            spec.name
        ),
    )
    .help(format!(
        "cast it in the model (`{}::{declared}`), or declare `{}`",
        spec.name,
        found.to_string().to_lowercase()
    ))
}

/// Whether a column declared as `wanted` can take what a model returns as `found`.
pub fn accepts(wanted: &SqlType, found: &SqlType) -> bool {
    use SqlType as T;
    if wanted == found {
        return true;
    }
    match (wanted, found) {
        // An untyped NULL fits anywhere, and types we know only by name are the engine's business.
        (_, T::Null) => true,
        (T::Other(a), T::Other(b)) => a.eq_ignore_ascii_case(b),
        (T::Other(_), _) | (_, T::Other(_)) => true,
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (a, b) if is_timestamp(a) && (is_timestamp(b) || *b == T::Date) => true,
        (T::Varchar, T::Enum(_) | T::Json | T::Uuid) | (T::Json, T::Varchar) => true,
        (T::Enum(_), T::Varchar) => true,
        (T::List(a), T::List(b) | T::Array(b, _)) => accepts(a, b),
        (T::Array(a, n), T::Array(b, m)) => n == m && accepts(a, b),
        (T::Map(ak, av), T::Map(bk, bv)) => accepts(ak, bk) && accepts(av, bv),
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((an, at), (bn, bt))| an.eq_ignore_ascii_case(bn) && accepts(at, bt))
        }
        _ => false,
    }
}

fn is_timestamp(ty: &SqlType) -> bool {
    use SqlType as T;
    matches!(
        ty,
        T::Timestamp | T::TimestampS | T::TimestampMs | T::TimestampNs | T::TimestampTz
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: &str) -> Column {
        Column {
            name: name.into(),
            ty: SqlType::parse(ty),
            nullable: true,
        }
    }

    fn spec(name: &str, ty: Option<&str>) -> ColumnSpec {
        ColumnSpec {
            name: name.into(),
            data_type: ty.map(str::to_owned),
            ..ColumnSpec::default()
        }
    }

    fn codes(declared: &[ColumnSpec], inferred: &[Column]) -> Vec<(&'static str, At)> {
        check_contract("m", declared, inferred, false, &|i| {
            At::Pointer(i.to_string())
        })
        .into_iter()
        .map(|p| (p.code, p.at))
        .collect()
    }

    #[test]
    fn the_page_contract_is_met() {
        let declared = [
            spec("customer_id", Some("varchar")),
            spec("lifetime_value", Some("decimal(10,2)")),
        ];
        let inferred = [
            column("customer_id", "VARCHAR"),
            column("lifetime_value", "DECIMAL(38,2)"),
            column("order_count", "BIGINT"),
        ];
        assert_eq!(codes(&declared, &inferred), [("MX0406", At::File)]);
    }

    #[test]
    fn broken_promises() {
        let declared = [
            spec("customer_id", Some("integer")),
            spec("lifetime", Some("int")),
            spec("any", None),
        ];
        let inferred = [column("Customer_ID", "VARCHAR"), column("any", "DATE")];
        assert_eq!(
            codes(&declared, &inferred),
            [
                ("MX0405", At::Pointer("0".into())),
                ("MX0404", At::Pointer("1".into()))
            ]
        );
    }

    #[test]
    fn what_a_declared_type_takes() {
        let ok = |a: &str, b: &str| accepts(&SqlType::parse(a), &SqlType::parse(b));
        assert!(ok("timestamp", "DATE"));
        assert!(!ok("date", "TIMESTAMP"));
        assert!(!ok("varchar", "INTEGER"));
        assert!(ok("bigint[]", "INTEGER[]"));
        assert!(ok("struct(a bigint)", "STRUCT(A INTEGER)"));
        assert!(!ok("boolean", "INTEGER"));
        assert!(ok("geometry", "BLOB"));
    }
}
