//! How the new rows of an incremental model get into its table.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::IncrementalSpec;
use mxcp_artifact::dbt_live::RunFacts;
use serde_json::{Value, json};

use super::merge;
use super::microbatch::Span;
use crate::database::Failure;
use crate::job::Job;
use crate::relations::{Column, quoted_list};

pub(super) struct Statement<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) spec: &'a IncrementalSpec,
    pub(super) target: &'a RelationName,
    /// The quoted table of the new rows.
    pub(super) source: &'a str,
    /// The columns to insert.
    pub(super) columns: &'a [Column],
    pub(super) span: Option<Span>,
    pub(super) facts: &'a RunFacts,
}

const STRATEGIES: &str = "`append`, `delete+insert`, `merge` or `microbatch`";

impl Statement<'_> {
    /// The number of rows inserted, where the engine tells it.
    pub(super) fn run(&self) -> Result<Option<u64>, Failure> {
        let strategy = self.spec.strategy.as_deref().unwrap_or("default");
        match strategy {
            "append" => self.insert("").map(Some),
            // Without a key, the default only adds.
            "default" | "delete+insert" | "delete_insert" => {
                self.delete_matching()?;
                self.insert("").map(Some)
            }
            "merge" => {
                let sql = merge::statement(self).map_err(Failure::new)?;
                Ok(Some(self.changed(&sql)?))
            }
            "microbatch" => self.microbatch().map(Some),
            "insert_overwrite" => Err(Failure::new(format!(
                "The incremental strategy '{strategy}' is not valid for this adapter; use {STRATEGIES}"
            ))),
            other => self.own(other),
        }
    }

    fn changed(&self, sql: &str) -> Result<u64, Failure> {
        let rows = self.job.connection.execute(sql, [])?;
        Ok(u64::try_from(rows).unwrap_or(u64::MAX))
    }

    fn insert(&self, condition: &str) -> Result<u64, Failure> {
        let columns = quoted_list(self.columns.iter().map(|(name, _)| name.as_str()));
        self.changed(&format!(
            "insert into {} ({columns}) (select {columns} from {}{condition})",
            self.target.quoted(),
            self.source
        ))
    }

    fn delete_matching(&self) -> Result<(), Failure> {
        let predicates = self.predicates();
        let statement = match self.spec.unique_key.as_slice() {
            [] => return Ok(()),
            [key] if !is_list(self.job) => format!(
                "delete from {target} where ({key}) in (select ({key}) from {source}){predicates}",
                target = self.target.quoted(),
                source = self.source,
            ),
            keys => {
                let joined: Vec<String> = keys
                    .iter()
                    .map(|key| {
                        format!(
                            "{}.{key} = DBT_INCREMENTAL_TARGET.{key}",
                            "DBT_INCREMENTAL_SOURCE"
                        )
                    })
                    .collect();
                format!(
                    "delete from {} as DBT_INCREMENTAL_TARGET using {} as DBT_INCREMENTAL_SOURCE where ({}{predicates})",
                    self.target.quoted(),
                    self.source,
                    joined.join(" and "),
                )
            }
        };
        self.job.execute(&statement)
    }

    fn predicates(&self) -> String {
        self.spec
            .predicates
            .iter()
            .map(|predicate| format!(" and {predicate}"))
            .collect()
    }

    fn microbatch(&self) -> Result<u64, Failure> {
        let Some(column) = &self.spec.event_time else {
            return Err(Failure::new(
                "microbatch incremental strategy requires an 'event_time' model config",
            ));
        };
        let Some(span) = self.span else {
            return Err(Failure::new("a microbatch model was run without a batch"));
        };
        let within = format!(
            "{column} >= '{}' and {column} < '{}'",
            span.start.in_sql(),
            span.end.in_sql()
        );
        let predicates: String = self
            .spec
            .predicates
            .iter()
            .map(|predicate| format!(" and ({predicate})"))
            .collect();
        self.job.execute(&format!(
            "delete from {} where {within}{predicates}",
            self.target.quoted()
        ))?;
        self.insert(&format!(" where {within}"))
    }

    /// A strategy of the project: the macro `get_incremental_<name>_sql` writes the statement.
    fn own(&self, strategy: &str) -> Result<Option<u64>, Failure> {
        let templates = self.job.templates()?;
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|(name, ty)| json!({"name": name, "column": name, "quoted": quoted_list(std::iter::once(name.as_str())), "data_type": ty, "dtype": ty}))
            .collect();
        let keys = &self.spec.unique_key;
        let argument = json!({
            "target_relation": self.target.quoted(),
            "temp_relation": self.source,
            "unique_key": match keys.as_slice() {
                [] => Value::Null,
                [key] if !is_list(self.job) => json!(key),
                keys => json!(keys),
            },
            "dest_columns": columns,
            "incremental_predicates": if self.spec.predicates.is_empty() { Value::Null } else { json!(self.spec.predicates) },
        });
        let name = format!("get_incremental_{}_sql", strategy.replace('+', "_"));
        let arguments = BTreeMap::from([("arg_dict".to_owned(), argument)]);
        let sql = templates
            .call_macro(&name, &arguments, self.facts, &self.job.live())
            .map_err(Failure::new)?;
        let Some(sql) = sql.as_str() else {
            return Err(Failure::new(format!("the macro `{name}` returned no SQL")));
        };
        self.job.execute(sql)?;
        Ok(None)
    }
}

/// dbt joins a list of keys differently from one key, which may be an expression.
pub(super) fn is_list(job: &Job<'_>) -> bool {
    job.config.get("unique_key").is_some_and(Value::is_array)
}
