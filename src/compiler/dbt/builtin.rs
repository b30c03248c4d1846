//! dbt's cross-database macros, with the SQL dbt-duckdb gives them, to the byte.

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

/// Name, parameters and defaults (`None` is required).
type Signature = (
    &'static str,
    &'static [(&'static str, Option<&'static str>)],
);

const SIGNATURES: [Signature; 38] = [
    ("type_string", &[]),
    ("type_timestamp", &[]),
    ("type_int", &[]),
    ("type_bigint", &[]),
    ("type_float", &[]),
    ("type_numeric", &[]),
    ("type_boolean", &[]),
    ("current_timestamp", &[]),
    ("current_timestamp_backcompat", &[]),
    ("current_timestamp_in_utc_backcompat", &[]),
    ("except", &[]),
    ("intersect", &[]),
    ("any_value", &[("expression", None)]),
    ("bool_or", &[("expression", None)]),
    ("length", &[("expression", None)]),
    ("hash", &[("field", None)]),
    ("string_literal", &[("value", None)]),
    ("escape_single_quotes", &[("expression", None)]),
    ("cast_bool_to_text", &[("field", None)]),
    ("generate_series", &[("upper_bound", None)]),
    ("concat", &[("fields", None)]),
    (
        "array_construct",
        &[("inputs", Some("")), ("data_type", Some("integer"))],
    ),
    ("array_append", &[("array", None), ("new_element", None)]),
    ("array_concat", &[("array_1", None), ("array_2", None)]),
    ("equals", &[("expr1", None), ("expr2", None)]),
    (
        "right",
        &[("string_text", None), ("length_expression", None)],
    ),
    (
        "position",
        &[("substring_text", None), ("string_text", None)],
    ),
    ("cast", &[("field", None), ("type", None)]),
    ("safe_cast", &[("field", None), ("type", None)]),
    ("date_trunc", &[("datepart", None), ("date", None)]),
    ("last_day", &[("date", None), ("datepart", None)]),
    (
        "replace",
        &[("field", None), ("old_chars", None), ("new_chars", None)],
    ),
    (
        "split_part",
        &[
            ("string_text", None),
            ("delimiter_text", None),
            ("part_number", None),
        ],
    ),
    ("date", &[("year", None), ("month", None), ("day", None)]),
    (
        "dateadd",
        &[
            ("datepart", None),
            ("interval", None),
            ("from_date_or_timestamp", None),
        ],
    ),
    (
        "datediff",
        &[
            ("first_date", None),
            ("second_date", None),
            ("datepart", None),
        ],
    ),
    (
        "listagg",
        &[
            ("measure", None),
            ("delimiter_text", Some("','")),
            ("order_by_clause", Some("")),
            ("limit_num", Some("")),
        ],
    ),
    ("default_last_day", &[("date", None), ("datepart", None)]),
];

pub(super) fn is_known(name: &str) -> bool {
    SIGNATURES.iter().any(|(known, _)| *known == name)
}

/// The names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().map(|(name, _)| *name)
}

pub(super) fn call(
    name: &str,
    positional: &[Value],
    named: &[(String, Value)],
) -> Result<String, Error> {
    let Some((name, parameters)) = SIGNATURES.iter().find(|(known, _)| *known == name) else {
        return Err(Error::from(ErrorKind::UnknownFunction));
    };
    if positional.len() > parameters.len() {
        return Err(Error::new(
            ErrorKind::TooManyArguments,
            format!("`{name}` takes {} arguments", parameters.len()),
        ));
    }
    if let Some((unknown, _)) = named
        .iter()
        .find(|(given, _)| !parameters.iter().any(|(known, _)| known == given))
    {
        return Err(Error::new(
            ErrorKind::TooManyArguments,
            format!("`{name}` has no argument `{unknown}`"),
        ));
    }
    let mut texts = Vec::new();
    for (index, (parameter, default)) in parameters.iter().enumerate() {
        let given = positional.get(index).or_else(|| {
            named
                .iter()
                .find(|(known, _)| known == parameter)
                .map(|(_, value)| value)
        });
        texts.push(match (given, default) {
            (Some(value), Some(default)) if value.is_none() => (*default).to_owned(),
            (Some(value), _) => match *parameter {
                "fields" => join(value, " || ")?,
                "inputs" => join(value, " , ")?,
                _ => value.to_string(),
            },
            (None, Some(default)) => (*default).to_owned(),
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::MissingArgument,
                    format!("`{name}` needs the argument `{parameter}`"),
                ));
            }
        });
    }
    Ok(sql(name, &texts))
}

fn join(list: &Value, separator: &str) -> Result<String, Error> {
    let items: Vec<String> = list.try_iter()?.map(|item| item.to_string()).collect();
    Ok(items.join(separator))
}

fn sql(name: &str, args: &[String]) -> String {
    let arg = |i: usize| args.get(i).map_or("", String::as_str);
    let (a, b, c, d) = (arg(0), arg(1), arg(2), arg(3));
    match name {
        "type_string" => "TEXT".to_owned(),
        "type_timestamp" => "timestamp".to_owned(),
        "type_int" => "integer".to_owned(),
        "type_bigint" => "bigint".to_owned(),
        "type_float" => "float".to_owned(),
        "type_numeric" => "numeric(28,6)".to_owned(),
        "type_boolean" => "boolean".to_owned(),
        "current_timestamp" => "now()".to_owned(),
        "current_timestamp_backcompat" | "current_timestamp_in_utc_backcompat" => {
            "\n    current_timestamp::timestamp\n".to_owned()
        }
        "except" | "intersect" => format!("\n\n    {name}\n\n"),
        "any_value" => format!("arbitrary({a})"),
        "bool_or" => format!("bool_or({a})"),
        "length" => format!("\n\n    length(\n        {a}\n    )"),
        "hash" => format!("md5(cast({a} as TEXT))"),
        "string_literal" => format!("'{a}'"),
        "escape_single_quotes" => a.replace('\'', "''"),
        "cast_bool_to_text" => format!("\n  \n    cast({a} as TEXT)\n\n"),
        "generate_series" => format!(
            "\n    select\n        generate_series as generated_number\n    from generate_series(1, {a})\n"
        ),
        "concat" => a.to_owned(),
        "array_construct" if a.is_empty() => format!("\n    array[]::{b}[]\n    "),
        "array_construct" => format!("\n    array[ {a} ]\n    "),
        "array_append" => format!("array_append({a}, {b})"),
        "array_concat" => format!("array_cat({a}, {b})"),
        "equals" => format!("({a} = {b})\n"),
        "right" => format!("\n\n    right(\n        {a},\n        {b}\n    )"),
        "position" => format!("\n\n    position(\n        {a} in {b}\n    )"),
        "cast" => format!("\n    cast({a} as {b})\n"),
        "safe_cast" => format!("\n    \n    cast({a} as {b})\n"),
        "date_trunc" => format!("date_trunc('{a}', {b})"),
        "last_day" if b == "quarter" => {
            let quarter = dateadd("month", "3", &format!("date_trunc('{b}', {a})"));
            format!(
                "-- duckdb dateadd does not support quarter interval.\n    cast(\n        {}\n        as date)",
                dateadd("day", "-1", &quarter)
            )
        }
        "last_day" | "default_last_day" => {
            let next = dateadd(b, "1", &format!("date_trunc('{b}', {a})"));
            format!(
                "cast(\n        {}\n        as date)",
                dateadd("day", "-1", &next)
            )
        }
        "replace" => {
            format!("\n\n    replace(\n        {a},\n        {b},\n        {c}\n    )\n\n\n")
        }
        "split_part" => format!("\n    string_split({a}, {b})[ {c} ]\n"),
        "date" => format!("make_date({a}, {b}, {c})"),
        "dateadd" => dateadd(a, b, c),
        "datediff" => datediff(a, b, c),
        "listagg" if !d.is_empty() => format!(
            "list_aggr(\n        (array_agg(\n            {a}\n            {c}\n        ))[1:{d}],\n        'string_agg',\n        {b}\n        )"
        ),
        "listagg" => {
            format!("\n    string_agg(\n        {a},\n        {b}\n        {c}\n        )")
        }
        _ => String::new(),
    }
}

fn dateadd(part: &str, interval: &str, from: &str) -> String {
    let unit = part.to_lowercase();
    let (factor, unit) = match unit.as_str() {
        "quarter" => (Some(3), "month"),
        "week" => (Some(7), "day"),
        other => (None, other),
    };
    match factor {
        Some(factor) => {
            format!(
                "\n\n    ({from} + (cast({interval} as bigint) * {factor}) * interval 1 {unit})"
            )
        }
        None => format!("\n\n    ({from} + cast({interval} as bigint) * interval 1 {unit})"),
    }
}

fn datediff(first: &str, second: &str, part: &str) -> String {
    if part == "week" {
        let days = datediff(first, second, "day");
        return format!(
            "\n            ({days} // 7 + case\n            when date_part('dow', ({first})::timestamp) <= date_part('dow', ({second})::timestamp) then\n                case when {first} <= {second} then 0 else -1 end\n            else\n                case when {first} <= {second} then 1 else 0 end\n        end)\n    "
        );
    }
    format!("\n        (date_diff('{part}', {first}::timestamp, {second}::timestamp ))\n    ")
}
