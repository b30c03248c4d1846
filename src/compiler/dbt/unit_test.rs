//! Unit tests: the rows that stand for a model's inputs, and the rows expected of it, as SQL.

use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use mxcp_syntax::jinja;
use mxcp_syntax::seed;
use serde_json::{Map, Value as Json};

/// What rows stand for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    Ref(Option<String>, String),
    Source(String, String),
    /// The model's own relation, as it was before.
    This,
}

impl Input {
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.trim() == "this" {
            return Some(Self::This);
        }
        let template = jinja::scan(&format!("{{{{ {text} }}}}"));
        let call = template.calls.into_iter().next()?;
        let argument = |i: usize| call.str_arg(i).map(str::to_owned);
        let version = call
            .kwargs
            .iter()
            .find(|(name, _)| name == "version" || name == "v")
            .and_then(|(_, arg)| arg.value.as_ref())
            .map(mxcp_values::repr::text);
        let named = |name: String| match &version {
            Some(version) => format!("{name}_v{version}"),
            None => name,
        };
        match (call.name.as_str(), call.args.len()) {
            ("ref", 1) => Some(Self::Ref(None, named(argument(0)?))),
            ("ref", 2) => Some(Self::Ref(Some(argument(0)?), named(argument(1)?))),
            ("source", 2) => Some(Self::Source(argument(0)?, argument(1)?)),
            _ => None,
        }
    }

    /// The name of the common table expression with its rows, before the prefix.
    pub(crate) fn cte(&self, model: &str) -> String {
        match self {
            Self::Ref(_, name) => name.clone(),
            Self::Source(source, table) => format!("{source}__{table}"),
            Self::This => model.to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rows {
    Sql(String),
    Dicts(Vec<Map<String, Json>>),
}

impl Rows {
    /// The rows of an input or expectation. `fixture` finds the text of a fixture's file.
    pub(crate) fn read(
        entry: &Json,
        fixture: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Option<Self> {
        let format = entry.get("format").and_then(Json::as_str).unwrap_or("dict");
        let text = match entry.get("fixture").and_then(Json::as_str) {
            Some(name) => Some(fixture(name, format)?),
            None => entry.get("rows").and_then(Json::as_str).map(str::to_owned),
        };
        match (format, text) {
            ("sql", text) => Some(Self::Sql(text?.trim().trim_end_matches(';').to_owned())),
            ("csv", text) => Some(Self::Dicts(csv(&text?))),
            (_, None) => match entry.get("rows") {
                Some(Json::Array(rows)) => Some(Self::Dicts(
                    rows.iter()
                        .filter_map(|row| row.as_object().cloned())
                        .collect(),
                )),
                _ => None,
            },
            (_, Some(text)) => Some(Self::Dicts(csv(&text))),
        }
    }
}

/// Every value of a file is a text; an empty one is none.
pub(crate) fn csv(text: &str) -> Vec<Map<String, Json>> {
    let seed = seed::read(text.trim(), ',');
    seed.rows()
        .map(|row| {
            let cells = seed.columns.iter().enumerate().map(|(i, column)| {
                let value = row.get(i).map(|value| value.trim()).unwrap_or("");
                let value = if value.is_empty() {
                    Json::Null
                } else {
                    Json::from(value)
                };
                (column.name.trim().to_owned(), value)
            });
            cells.collect()
        })
        .collect()
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UnitTest {
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) given: Vec<(Input, Option<Rows>)>,
    pub(crate) expect: Option<Rows>,
    pub(crate) macros: Map<String, Json>,
    pub(crate) vars: Map<String, Json>,
    pub(crate) env_vars: Map<String, Json>,
}

impl UnitTest {
    pub(crate) fn read(
        entry: &Json,
        fixture: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Option<Self> {
        let text = |key: &str| Some(entry.get(key)?.as_str()?.to_owned());
        let overrides = |key: &str| match entry.get("overrides").and_then(|o| o.get(key)) {
            Some(Json::Object(map)) => map.clone(),
            _ => Map::new(),
        };
        let given = entry.get("given").and_then(Json::as_array);
        Some(Self {
            name: text("name")?,
            model: text("model")?,
            given: given
                .into_iter()
                .flatten()
                .filter_map(|input| {
                    let name = input.get("input")?.as_str()?;
                    Some((Input::read(name)?, Rows::read(input, fixture)))
                })
                .collect(),
            expect: entry.get("expect").and_then(|e| Rows::read(e, fixture)),
            macros: overrides("macros"),
            vars: overrides("vars"),
            env_vars: overrides("env_vars"),
        })
    }
}

/// A column's name and type.
pub(crate) type Typed = (String, String);

/// The rows of an input as a query. Columns that a row does not name are null.
pub(crate) fn fixture_sql(rows: &Rows, columns: &[Typed], of: &str) -> Result<String, String> {
    let rows = match rows {
        Rows::Sql(text) => return Ok(text.clone()),
        Rows::Dicts(rows) => rows,
    };
    let mut all: Vec<Typed> = columns.to_vec();
    for name in rows.iter().flat_map(Map::keys) {
        if all
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            continue;
        }
        if !columns.is_empty() {
            let names: Vec<String> = columns
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            return Err(format!(
                "`{of}` has no column `{name}`; it has {}",
                names.join(", ")
            ));
        }
        all.push((name.clone(), String::new()));
    }
    let select = |row: Option<&Map<String, Json>>| {
        let cells: Vec<String> = all
            .iter()
            .map(|(name, ty)| {
                let value = row.and_then(|row| {
                    row.iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value)
                });
                format!(
                    "{} as {}",
                    cell(value.unwrap_or(&Json::Null), ty),
                    quote_identifier(name)
                )
            })
            .collect();
        format!("select {}", cells.join(", "))
    };
    if rows.is_empty() {
        return Ok(format!("{} limit 0", select(None)));
    }
    let all: Vec<String> = rows.iter().map(|row| select(Some(row))).collect();
    Ok(all.join("\nunion all\n"))
}

/// The expected rows as a query over the columns they name, and those columns.
pub(crate) fn expected_sql(
    rows: Option<&Rows>,
    actual: &[Typed],
    actual_sql: &str,
) -> Result<(String, Vec<String>), String> {
    let everything = || actual.iter().map(|(name, _)| name.clone()).collect();
    let rows = match rows {
        Some(Rows::Sql(text)) => return Ok((text.clone(), everything())),
        Some(Rows::Dicts(rows)) if !rows.is_empty() => rows,
        _ => {
            return Ok((
                format!("select * from ({actual_sql}) as actual limit 0"),
                everything(),
            ));
        }
    };
    let mut columns: Vec<Typed> = Vec::new();
    for name in rows.first().into_iter().flat_map(Map::keys) {
        match actual
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some(column) => columns.push(column.clone()),
            None => {
                let names: Vec<String> =
                    actual.iter().map(|(name, _)| format!("`{name}`")).collect();
                return Err(format!(
                    "the model returns no column `{name}`; it returns {}",
                    names.join(", ")
                ));
            }
        }
    }
    let sql = fixture_sql(&Rows::Dicts(rows.clone()), &columns, "the expectation")?;
    Ok((sql, columns.into_iter().map(|(name, _)| name).collect()))
}

fn cell(value: &Json, ty: &str) -> String {
    let text = match value {
        Json::Null => "null".to_owned(),
        Json::String(text) => quote_literal(text),
        // As a template writes them.
        other => mxcp_values::repr::text(other),
    };
    match ty {
        "" => text,
        // dbt's names: it gives texts a length, except where one is written.
        "VARCHAR" if value.is_string() => format!("cast({text} as character varying)"),
        "VARCHAR" => format!("cast({text} as character varying(256))"),
        ty => format!("cast({text} as {ty})"),
    }
}
