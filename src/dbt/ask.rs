//! What is asked of the database outside a run of nodes: `show`, `run-operation`, `compile` of live
//! templates, and the catalogue of `docs generate`.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::{DbtGraph, Node};
use mxcp_artifact::dbt_live::Table;
use serde_json::{Map, Value, json};

use crate::database::Database;
use crate::job::{Job, Run, trimmed};
use crate::relations::Relations;
use crate::warehouse::{Live, fetch};
use crate::{Helpers, Options, Resource, RunError};

/// A database opened to be asked.
pub struct Asking {
    database: Database,
    relations: Relations,
}

impl Asking {
    pub fn open(options: &Options) -> Result<Self, RunError> {
        let database = Database::open(options)?;
        let relations = Relations::load(&database.connect()?)?;
        Ok(Self {
            database,
            relations,
        })
    }

    /// The SQL of a node as a run would compile it now.
    pub fn compile(
        &self,
        node: &Node,
        options: &Options,
        helpers: Helpers<'_>,
        note: &(dyn Fn(String) + Sync),
    ) -> Result<String, String> {
        let connection = self.database.connect().map_err(|e| e.to_string())?;
        let run = Run {
            options,
            helpers,
            relations: &self.relations,
            note,
        };
        Job::new(&run, &connection, node, &[], &[], None, &options.facts)
            .map(|job| job.sql.into_owned())
            .map_err(|failure| failure.message)
    }

    /// Renders a free template.
    pub fn render(
        &self,
        template: &str,
        options: &Options,
        helpers: Helpers<'_>,
        note: &dyn Fn(String),
    ) -> Result<String, String> {
        let Some(templates) = helpers.templates else {
            return Ok(template.to_owned());
        };
        let connection = self.database.connect().map_err(|e| e.to_string())?;
        Live::new(&connection, note)
            .transaction(|live| templates.render(template, &options.facts, live))
            .map_err(|failure| failure.message)
    }

    /// The rows of a query; all of them when there is no limit.
    pub fn query(&self, sql: &str, limit: Option<u64>) -> Result<Table, String> {
        let connection = self.database.connect().map_err(|e| e.to_string())?;
        let sql = trimmed(sql);
        let limited = match limit {
            Some(limit) => format!("select * from ({sql}\n) as model_limit_subq limit {limit}"),
            None => sql.to_owned(),
        };
        fetch(&connection, &limited)
            .or_else(|error| match limit {
                // Not a query that can stand in parentheses.
                Some(_) => fetch(&connection, sql).map_err(|_| error),
                None => Err(error),
            })
            .map_err(|error| error.to_string())
    }

    /// Calls a macro. What it does not commit itself is not kept, as in dbt.
    pub fn operation(
        &self,
        name: &str,
        arguments: &BTreeMap<String, Value>,
        options: &Options,
        helpers: Helpers<'_>,
        note: &dyn Fn(String),
    ) -> Result<Value, String> {
        let Some(templates) = helpers.templates else {
            return Err("this command cannot call macros".into());
        };
        let connection = self.database.connect().map_err(|e| e.to_string())?;
        let live = Live::new(&connection, note).autocommitting();
        templates.call_macro(name, arguments, &options.facts, &live)
    }

    /// The tables and columns of everything in the graph, as `catalog.json` has them.
    pub fn catalog(
        &self,
        graph: &DbtGraph,
    ) -> Result<(Map<String, Value>, Map<String, Value>), String> {
        let connection = self.database.connect().map_err(|e| e.to_string())?;
        let table = fetch(&connection, CATALOG).map_err(|error| error.to_string())?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut found: BTreeMap<(String, String, String), Value> = BTreeMap::new();
        for row in &table.rows {
            let [
                database,
                schema,
                name,
                kind,
                comment,
                column,
                index,
                ty,
                column_comment,
            ] = row.as_slice()
            else {
                continue;
            };
            let key = (
                text(database).to_lowercase(),
                text(schema).to_lowercase(),
                text(name).to_lowercase(),
            );
            let entry = found.entry(key).or_insert_with(|| {
                json!({
                    "metadata": {
                        "type": kind, "schema": schema, "name": name, "database": database,
                        "comment": comment, "owner": null,
                    },
                    "columns": {},
                    "stats": {
                        "has_stats": {
                            "id": "has_stats", "label": "Has Stats?", "value": false, "include": false,
                            "description": "Indicates whether there are statistics for this table",
                        }
                    },
                })
            });
            entry["columns"][text(column)] = json!({
                "type": ty, "index": index, "name": column, "comment": column_comment,
            });
        }
        let mut nodes = Map::new();
        let mut sources = Map::new();
        let current = self.relations.database();
        let all = graph
            .nodes
            .iter()
            .map(Resource::Node)
            .chain(graph.sources.iter().map(Resource::Source));
        for resource in all {
            let Some(relation) = resource.relation() else {
                continue;
            };
            let folded = relation.folded();
            let key = (
                folded.catalog.unwrap_or_else(|| current.to_owned()),
                folded.schema,
                folded.name,
            );
            let Some(mut entry) = found.get(&key).cloned() else {
                continue;
            };
            entry["unique_id"] = resource.unique_id().into();
            match resource {
                Resource::Source(_) => sources.insert(resource.unique_id().to_owned(), entry),
                _ => nodes.insert(resource.unique_id().to_owned(), entry),
            };
        }
        Ok((nodes, sources))
    }

    /// What the engine calls the database of the run.
    pub fn database_name(&self) -> &str {
        self.relations.database()
    }
}

const CATALOG: &str = "select t.database_name, t.schema_name, t.name, t.kind, t.comment, c.column_name, c.column_index, c.data_type, c.comment from (select database_name, schema_name, table_name as name, 'BASE TABLE' as kind, comment from duckdb_tables() union all select database_name, schema_name, view_name, 'VIEW', comment from duckdb_views()) t join duckdb_columns() c on c.database_name = t.database_name and c.schema_name = t.schema_name and c.table_name = t.name where not c.internal order by all";
