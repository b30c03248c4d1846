//! Snapshots: a table that keeps every version of a row with the time it was valid.

use std::collections::BTreeMap;

use duckdb::Connection;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{
    HardDeletes, Materialization, ModelSpec, Node, SnapshotSpec, SnapshotStrategy,
};
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_artifact::{RelationKind, RelationName};

use serde_json::{Value, json};

use super::incremental::Temporary;
use super::{create_table_as, hide_temporary_name};
use crate::database::Failure;
use crate::job::{Job, Run};
use crate::relations::{Column, columns_of, describe, quoted_list};
use crate::result::Outcome;
use crate::warehouse::Live;

pub(crate) fn build(
    run: &Run<'_>,
    connection: &Connection,
    node: &Node,
    spec: &SnapshotSpec,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    let job = Job::new(
        run,
        connection,
        node,
        &spec.pre_hooks,
        &spec.post_hooks,
        None,
        facts,
    )?;
    let target = job.target()?;
    let kind = run.relations.kind(connection, target);
    if kind == Some(RelationKind::View) {
        return Err(Failure::new(format!(
            "Trying to create table {}, but it currently exists as a view. Drop the view, or give the snapshot another `alias`",
            target.quoted()
        )));
    }
    if spec.unique_key.is_empty() {
        return Err(Failure::new(format!(
            "the snapshot `{}` has no `unique_key`",
            node.name
        )));
    }
    let custom = match &spec.strategy {
        SnapshotStrategy::Custom { name } => {
            Some(Custom::ask(run, &job, name, kind.is_some(), facts)?)
        }
        _ => None,
    };
    let snapshot = Snapshot {
        job: &job,
        spec,
        custom,
        target,
        names: Names::new(spec),
    };
    job.around(|| {
        match kind {
            None => snapshot.create()?,
            Some(_) => snapshot.update()?,
        }
        job.persist_docs("table", target)
    })
    .map_err(|failure| hide_temporary_name(failure, target).of(&job.sql))?;
    run.relations.set(target, RelationKind::Table);
    Ok(Outcome::built("OK".to_owned(), None).compiled(&job.sql))
}

/// The expressions that a project's own strategy answers with.
struct Custom {
    updated_at: String,
    row_changed: String,
    scd_id: String,
}

impl Custom {
    fn ask(
        run: &Run<'_>,
        job: &Job<'_>,
        name: &str,
        exists: bool,
        facts: &RunFacts,
    ) -> Result<Self, Failure> {
        let name = format!("snapshot_{name}_strategy");
        let Some(templates) = run.helpers.templates else {
            return Err(Failure::new(format!("this command cannot call `{name}`")));
        };
        let node = job.node;
        let arguments: BTreeMap<String, Value> = [
            ("node", json!(node)),
            ("snapshotted_rel", "snapshotted_data".into()),
            ("current_rel", "source_data".into()),
            ("model_config", json!(node.config)),
            ("target_exists", exists.into()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        let said = Live::new(job.connection, run.note)
            .transaction(|live| templates.call_macro(&name, &arguments, facts, live))?;
        let part = |key: &str| match said.get(key).and_then(Value::as_str) {
            Some(text) => Ok(text.trim().to_owned()),
            None => Err(Failure::new(format!("`{name}` returns no `{key}`"))),
        };
        Ok(Self {
            updated_at: part("updated_at")?,
            row_changed: part("row_changed")?,
            scd_id: part("scd_id")?,
        })
    }
}

/// The columns that a snapshot adds.
struct Names {
    valid_to: String,
    valid_from: String,
    scd_id: String,
    updated_at: String,
    is_deleted: String,
}

impl Names {
    fn new(spec: &SnapshotSpec) -> Self {
        let name = |column: &str| {
            spec.column_names
                .get(column)
                .cloned()
                .unwrap_or_else(|| column.to_owned())
        };
        Self {
            valid_to: name("dbt_valid_to"),
            valid_from: name("dbt_valid_from"),
            scd_id: name("dbt_scd_id"),
            updated_at: name("dbt_updated_at"),
            is_deleted: name("dbt_is_deleted"),
        }
    }
}

const NOW: &str = "now()::timestamp";

struct Snapshot<'a> {
    job: &'a Job<'a>,
    spec: &'a SnapshotSpec,
    custom: Option<Custom>,
    target: &'a RelationName,
    names: Names,
}

impl Snapshot<'_> {
    fn updated_at(&self) -> &str {
        if let Some(custom) = &self.custom {
            return &custom.updated_at;
        }
        match &self.spec.strategy {
            SnapshotStrategy::Timestamp { updated_at } => updated_at,
            SnapshotStrategy::Check { .. } | SnapshotStrategy::Custom { .. } => self
                .job
                .text("updated_at")
                .filter(|text| !text.is_empty())
                .unwrap_or(NOW),
        }
    }

    fn scd_id(&self, arguments: &[&str]) -> String {
        let parts: Vec<String> = arguments
            .iter()
            .map(|argument| format!("coalesce(cast({argument} as varchar), '')"))
            .collect();
        format!("md5({})", parts.join(" || '|' || "))
    }

    fn row_id(&self) -> String {
        if let Some(custom) = &self.custom {
            return custom.scd_id.clone();
        }
        let mut arguments: Vec<&str> = self.spec.unique_key.iter().map(String::as_str).collect();
        arguments.push(self.updated_at());
        self.scd_id(&arguments)
    }

    /// Null, of the type of the time of change, unless something else marks the current version.
    fn current_end(&self) -> String {
        let at = self.updated_at();
        format!(
            "coalesce(nullif({at}, {at}), {}) as {}",
            self.spec.valid_to_current.as_deref().unwrap_or("null"),
            self.names.valid_to
        )
    }

    fn marks_deletes(&self) -> bool {
        self.spec.hard_deletes == HardDeletes::NewRecord
    }

    fn create(&self) -> Result<(), Failure> {
        let Names {
            valid_from,
            scd_id,
            updated_at,
            is_deleted,
            ..
        } = &self.names;
        let at = self.updated_at();
        let deleted = if self.marks_deletes() {
            format!(", 'False' as {is_deleted}")
        } else {
            String::new()
        };
        let sql = format!(
            "select *, {} as {scd_id}, {at} as {updated_at}, {at} as {valid_from}, {}{deleted} from ({}\n) sbq",
            self.row_id(),
            self.current_end(),
            self.job.sql
        );
        let plain = ModelSpec {
            materialized: Materialization::Table,
            indexes: Vec::new(),
            contract_enforced: false,
            contract_exact: false,
            constraints: Vec::new(),
            pre_hooks: Vec::new(),
            post_hooks: Vec::new(),
            incremental: None,
            full_refresh: None,
            python: None,
            version: None,
        };
        create_table_as(self.job, &plain, self.target, &sql).map(|_| ())
    }

    fn update(&self) -> Result<(), Failure> {
        let connection = self.job.connection;
        let old = columns_of(connection, &self.target.quoted())?;
        self.check_target(&old)?;
        let staging = self.staging(&old)?;
        let temporary = Temporary::of(self.job, self.target, &staging)?;
        let hidden = |name: &str| {
            let name = name.to_lowercase();
            name == "dbt_change_type" || name.starts_with("dbt_unique_key")
        };
        let new: Vec<Column> = columns_of(connection, &temporary.quoted)?
            .into_iter()
            .filter(|(name, _)| !hidden(name))
            .collect();
        for (name, ty) in &new {
            if !old.iter().any(|(other, _)| other == name) {
                self.job.execute(&format!(
                    "alter table {} add column {} {ty}",
                    self.target.quoted(),
                    quote_identifier(name)
                ))?;
            }
        }
        let Names {
            valid_to, scd_id, ..
        } = &self.names;
        let target = self.target.quoted();
        let source = &temporary.quoted;
        let current = self.is_current("DBT_INTERNAL_TARGET.");
        self.job.execute(&format!(
            "update {target} as DBT_INTERNAL_TARGET set {valid_to} = DBT_INTERNAL_SOURCE.{valid_to} from {source} as DBT_INTERNAL_SOURCE where DBT_INTERNAL_SOURCE.{scd_id}::text = DBT_INTERNAL_TARGET.{scd_id}::text and DBT_INTERNAL_SOURCE.dbt_change_type::text in ('update', 'delete') and {current}"
        ))?;
        let columns = quoted_list(new.iter().map(|(name, _)| name.as_str()));
        self.job.execute(&format!(
            "insert into {target} ({columns}) select {columns} from {source} where dbt_change_type::text = 'insert'"
        ))?;
        temporary.drop(self.job)
    }

    fn is_current(&self, table: &str) -> String {
        let valid_to = format!("{table}{}", self.names.valid_to);
        match &self.spec.valid_to_current {
            Some(current) => format!("({valid_to} = {current} or {valid_to} is null)"),
            None => format!("{valid_to} is null"),
        }
    }

    fn check_target(&self, old: &[Column]) -> Result<(), Failure> {
        let mut wanted = vec![
            &self.names.scd_id,
            &self.names.valid_from,
            &self.names.valid_to,
        ];
        if self.marks_deletes() {
            wanted.push(&self.names.is_deleted);
        }
        let missing: Vec<String> = wanted
            .into_iter()
            .filter(|name| {
                !old.iter()
                    .any(|(other, _)| other.to_lowercase() == name.to_lowercase())
            })
            .map(|name| format!("`{name}`"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the table {} is not a snapshot with these settings: it has no {}; rename it, or set `snapshot_meta_column_names` or `hard_deletes` as when it was made",
            self.target.quoted(),
            missing.join(", ")
        )))
    }

    fn row_changed(&self, old: &[Column]) -> Result<String, Failure> {
        if let Some(custom) = &self.custom {
            return Ok(custom.row_changed.clone());
        }
        let columns = match &self.spec.strategy {
            SnapshotStrategy::Custom { .. } => Vec::new(),
            SnapshotStrategy::Timestamp { updated_at } => {
                return Ok(format!(
                    "(snapshotted_data.{} < source_data.{updated_at})",
                    self.names.valid_from
                ));
            }
            SnapshotStrategy::Check { columns } if columns.is_empty() => {
                describe(self.job.connection, &self.job.sql)?
            }
            SnapshotStrategy::Check { columns } => describe(
                self.job.connection,
                &format!(
                    "select {} from ({}\n) subq",
                    columns.join(", "),
                    self.job.sql
                ),
            )?,
        };
        let known = |name: &str| old.iter().any(|(other, _)| other == name);
        if !columns.iter().all(|(name, _)| known(name)) {
            return Ok("(true)".into());
        }
        let changed: Vec<String> = columns
            .iter()
            .map(|(name, _)| {
                let name = quote_identifier(name);
                format!("snapshotted_data.{name} is distinct from source_data.{name}")
            })
            .collect();
        Ok(format!("({})", changed.join(" or ")))
    }

    /// The changes since the last time, one row each, with what to do about it.
    fn staging(&self, old: &[Column]) -> Result<String, Failure> {
        let Names {
            valid_to,
            valid_from,
            scd_id,
            updated_at,
            is_deleted,
        } = &self.names;
        let at = self.updated_at();
        let keys = self.key_fields();
        let changed = if self.marks_deletes() {
            format!(
                "({} or snapshotted_data.{is_deleted} = 'True')",
                self.row_changed(old)?
            )
        } else {
            self.row_changed(old)?
        };
        let join = self.key_join();
        let (insert_deleted, keep_deleted) = if self.marks_deletes() {
            (
                format!(", 'False' as {is_deleted}"),
                format!(", snapshotted_data.{is_deleted}"),
            )
        } else {
            (String::new(), String::new())
        };
        let mut sql = format!(
            "with snapshot_query as ({query}\n), \
            snapshotted_data as (select *, {keys} from {target} where {current}), \
            insertions_source_data as (select *, {keys}, {at} as {updated_at}, {at} as {valid_from}, {end}, {id} as {scd_id} from snapshot_query), \
            updates_source_data as (select *, {keys}, {at} as {updated_at}, {at} as {valid_from}, {at} as {valid_to} from snapshot_query), \
            deletes_source_data as (select *, {keys} from snapshot_query), \
            insertions as (select 'insert' as dbt_change_type, source_data.*{insert_deleted} from insertions_source_data as source_data left outer join snapshotted_data on {join} where snapshotted_data.{key} is null or (snapshotted_data.{key} is not null and {changed})), \
            updates as (select 'update' as dbt_change_type, source_data.*, snapshotted_data.{scd_id}{keep_deleted} from updates_source_data as source_data join snapshotted_data on {join} where {changed})",
            query = self.job.sql,
            target = self.target.quoted(),
            current = self.is_current(""),
            end = self.current_end(),
            id = self.row_id(),
            key = self.key_name(0),
        );
        let mut parts = "select * from insertions union all select * from updates".to_owned();
        if self.spec.hard_deletes != HardDeletes::Ignore {
            let undeleted = if self.marks_deletes() {
                format!(
                    " and not (snapshotted_data.{is_deleted} = 'True' and {})",
                    match &self.spec.valid_to_current {
                        Some(current) => format!("snapshotted_data.{valid_to} = {current}"),
                        None => format!("snapshotted_data.{valid_to} is null"),
                    }
                )
            } else {
                String::new()
            };
            sql.push_str(&format!(
                ", deletes as (select 'delete' as dbt_change_type, source_data.*, {NOW} as {valid_from}, {NOW} as {updated_at}, {NOW} as {valid_to}, snapshotted_data.{scd_id}{keep_deleted} from snapshotted_data left join deletes_source_data as source_data on {join} where source_data.{key} is null{undeleted})",
                key = self.key_name(0),
            ));
            parts.push_str(" union all select * from deletes");
            if self.marks_deletes() {
                sql.push_str(&self.deletion_records(old, &undeleted)?);
                parts.push_str(" union all select * from deletion_records");
            }
        }
        Ok(format!("{sql} {parts}"))
    }

    /// A version that says that the row is gone.
    fn deletion_records(&self, old: &[Column], undeleted: &str) -> Result<String, Failure> {
        let Names {
            valid_to,
            valid_from,
            scd_id,
            updated_at,
            is_deleted,
        } = &self.names;
        let columns: String = describe(self.job.connection, &self.job.sql)?
            .iter()
            .map(|(name, _)| {
                let side = if old.iter().any(|(other, _)| other == name) {
                    "snapshotted_data"
                } else {
                    "source_data"
                };
                format!("{side}.{}, ", quote_identifier(name))
            })
            .collect();
        let keys: String = (0..self.spec.unique_key.len())
            .map(|i| format!("snapshotted_data.{}, ", self.key_name(i)))
            .collect();
        Ok(format!(
            ", deletion_records as (select 'insert' as dbt_change_type, {columns}{keys}{NOW} as {valid_from}, {NOW} as {updated_at}, snapshotted_data.{valid_to} as {valid_to}, {id} as {scd_id}, 'True' as {is_deleted} from snapshotted_data left join deletes_source_data as source_data on {join} where source_data.{key} is null{undeleted})",
            id = self.scd_id(&[scd_id, NOW]),
            join = self.key_join(),
            key = self.key_name(0),
        ))
    }

    fn key_name(&self, i: usize) -> String {
        if self.spec.unique_key.len() == 1 {
            "dbt_unique_key".into()
        } else {
            format!("dbt_unique_key_{}", i + 1)
        }
    }

    fn key_fields(&self) -> String {
        self.spec
            .unique_key
            .iter()
            .enumerate()
            .map(|(i, key)| format!("{key} as {}", self.key_name(i)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn key_join(&self) -> String {
        (0..self.spec.unique_key.len())
            .map(|i| {
                let key = self.key_name(i);
                format!("snapshotted_data.{key} = source_data.{key}")
            })
            .collect::<Vec<_>>()
            .join(" and ")
    }
}
