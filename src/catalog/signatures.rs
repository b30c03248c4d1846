//! The forms in which the engine's functions are called, for editors.

use duckdb::Connection;

/// One form of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Lower case.
    pub name: String,
    /// `scalar`, `aggregate`, `table`, `macro`, …
    pub kind: String,
    pub parameters: Vec<(String, Option<String>)>,
    /// The type of further arguments.
    pub varargs: Option<String>,
    pub returns: Option<String>,
    pub description: Option<String>,
}

impl Signature {
    /// `round(x DOUBLE, precision INTEGER) -> DOUBLE`, with the range of each parameter in it.
    pub fn label(&self) -> (String, Vec<(usize, usize)>) {
        let mut text = format!("{}(", self.name);
        let mut ranges = Vec::new();
        for (i, (name, ty)) in self.parameters.iter().enumerate() {
            if i > 0 {
                text.push_str(", ");
            }
            let start = text.len();
            text.push_str(name);
            if let Some(ty) = ty {
                text.push(' ');
                text.push_str(ty);
            }
            ranges.push((start, text.len()));
        }
        if let Some(ty) = &self.varargs {
            if !self.parameters.is_empty() {
                text.push_str(", ");
            }
            let start = text.len();
            text.push_str("... ");
            text.push_str(ty);
            ranges.push((start, text.len()));
        }
        text.push(')');
        if let Some(returns) = &self.returns {
            text.push_str(" -> ");
            text.push_str(returns);
        }
        (text, ranges)
    }
}

pub(crate) fn load(conn: &Connection) -> duckdb::Result<Vec<Signature>> {
    let mut statement = conn.prepare(
        "SELECT lower(function_name), function_type, \
                coalesce(array_to_string(parameters, chr(31)), ''), \
                coalesce(array_to_string(list_transform(parameter_types, lambda t: coalesce(t, '')), chr(31)), ''), \
                varargs, return_type, description \
         FROM duckdb_functions() \
         WHERE internal AND function_type <> 'pragma' AND regexp_matches(function_name, '^[A-Za-z_]') \
         ORDER BY ALL",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (names, types): (String, String) = (row.get(2)?, row.get(3)?);
        let split = |text: &str| -> Vec<String> {
            match text {
                "" => Vec::new(),
                text => text.split('\u{1f}').map(str::to_owned).collect(),
            }
        };
        let types = split(&types);
        found.push(Signature {
            name: row.get(0)?,
            kind: row.get(1)?,
            parameters: split(&names)
                .into_iter()
                .enumerate()
                .map(|(i, name)| (name, types.get(i).filter(|t| !t.is_empty()).cloned()))
                .collect(),
            varargs: row.get(4)?,
            returns: row.get(5)?,
            description: row.get(6)?,
        });
    }
    found.dedup();
    Ok(found)
}
