//! The built-in tools that let a client look at the database and query it.
//!
//! Limits and the read-only mode hold for them as for any other, and their SQL stays inside the database.

use std::borrow::Cow;
use std::sync::Arc;

use mxcp_artifact::manifest::SqlTools;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::{CallError, Caller, Cancel, Cut, Runtime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SqlTool {
    ExecuteSqlQuery,
    GetTableSchema,
    ListTables,
}

// Tables outside the main schema go by their qualified name.
const LIST_TABLES: &str = "\
SELECT CASE WHEN table_schema = 'main' THEN table_name
            ELSE table_schema || '.' || table_name END AS name,
       table_type AS type
FROM information_schema.tables
WHERE table_catalog = current_database()
ORDER BY table_schema <> 'main', name";

const GET_TABLE_SCHEMA: &str = "\
SELECT column_name AS name, data_type AS type, is_nullable AS nullable
FROM information_schema.columns
WHERE table_catalog = current_database()
  AND lower($table_name) IN (
      lower(table_schema || '.' || table_name),
      CASE WHEN table_schema = 'main' THEN lower(table_name) END)
ORDER BY ordinal_position";

impl SqlTool {
    pub(super) const ALL: [Self; 3] = [
        Self::ExecuteSqlQuery,
        Self::GetTableSchema,
        Self::ListTables,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ExecuteSqlQuery => "execute_sql_query",
            Self::GetTableSchema => "get_table_schema",
            Self::ListTables => "list_tables",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::ExecuteSqlQuery => "SQL Query Executor",
            Self::GetTableSchema => "Table Schema Inspector",
            Self::ListTables => "Database Table Lister",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::ExecuteSqlQuery => {
                "Execute a SQL query against the DuckDB database and return the results as a list of records"
            }
            Self::GetTableSchema => "Get the schema for a specific table in the DuckDB database",
            Self::ListTables => "List all tables in the DuckDB database",
        }
    }

    /// The one parameter, if there is one.
    fn parameter(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::ExecuteSqlQuery => Some(("sql", "SQL in the dialect of DuckDB")),
            Self::GetTableSchema => {
                Some(("table_name", "A table's name as `list_tables` gives it"))
            }
            Self::ListTables => None,
        }
    }

    pub(super) fn descriptor(self, settings: &SqlTools) -> Tool {
        let description = match settings.descriptions.get(self.name()) {
            Some(text) => Cow::Owned(text.clone()),
            None => Cow::Borrowed(self.description()),
        };
        let input = match self.parameter() {
            Some((name, description)) => json!({
                "type": "object",
                "properties": { name: { "type": "string", "description": description } },
                "required": [name],
                "additionalProperties": false,
            }),
            None => json!({ "type": "object", "properties": {}, "additionalProperties": false }),
        };
        let output = json!({
            "type": "object",
            "properties": { "result": { "type": "array", "items": { "type": "object" } } },
            "required": ["result"],
        });
        let looks = self != Self::ExecuteSqlQuery;
        Tool::new(self.name(), description, object(input))
            .with_title(self.title())
            .with_raw_output_schema(object(output))
            .with_annotations(ToolAnnotations::from_raw(
                Some(self.title().to_owned()),
                Some(looks),
                Some(!looks),
                Some(looks),
                Some(false),
            ))
    }

    /// Runs the tool; the result is a list of objects, which may be cut.
    pub(super) fn run(
        self,
        runtime: &Runtime,
        arguments: &Map<String, Value>,
        caller: &Caller,
        cancel: &Cancel,
    ) -> Result<(Value, Option<Cut>), CallError> {
        let parameter = self.parameter().map(|(name, _)| name);
        if let Some(name) = arguments
            .keys()
            .find(|name| parameter != Some(name.as_str()))
        {
            return Err(CallError::InvalidInput(format!(
                "Unknown parameter: {name}"
            )));
        }
        let argument = match parameter.map(|name| (name, arguments.get(name))) {
            None => "",
            Some((_, Some(Value::String(text)))) => text.as_str(),
            Some((name, None)) => {
                return Err(CallError::InvalidInput(format!(
                    "Required parameter missing: {name}"
                )));
            }
            Some((name, Some(_))) => {
                return Err(CallError::InvalidInput(format!(
                    "Error validating parameter '{name}': Expected string"
                )));
            }
        };
        let fixed = match self {
            Self::ExecuteSqlQuery => None,
            Self::ListTables => Some(LIST_TABLES),
            Self::GetTableSchema => Some(GET_TABLE_SCHEMA),
        };
        let (rows, cut) = runtime.sql_tool(self.name(), arguments, fixed, caller, cancel)?;
        if self == Self::GetTableSchema && rows.as_array().is_some_and(Vec::is_empty) {
            return Err(CallError::InvalidInput(format!(
                "There is no table '{argument}'. Call list_tables to see what there is"
            )));
        }
        Ok((rows, cut))
    }
}

fn object(value: Value) -> Arc<Map<String, Value>> {
    match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}
