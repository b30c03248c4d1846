//! The dbt layer after compilation: nodes with their relations, compiled SQL and dependencies, ready
//! to be run in order. No Jinja is left in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::type_def::is_false;
use crate::{Digest, RelationName, SqlType};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    Seed,
    Model,
    Snapshot,
    Test,
    #[serde(rename = "unit_test")]
    UnitTest,
    /// A query that is compiled and never run.
    Analysis,
}

impl NodeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Model => "model",
            Self::Snapshot => "snapshot",
            Self::Test => "test",
            Self::UnitTest => "unit_test",
            Self::Analysis => "analysis",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialization {
    View,
    Table,
    Ephemeral,
    Incremental,
    /// A file beside the database, with a view over it.
    External,
    /// A materialisation that the project or one of its packages defines.
    Custom(String),
}

impl Materialization {
    pub fn as_str(&self) -> &str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::Ephemeral => "ephemeral",
            Self::Incremental => "incremental",
            Self::External => "external",
            Self::Custom(name) => name,
        }
    }
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OnSchemaChange {
    #[default]
    Ignore,
    Fail,
    AppendNewColumns,
    SyncAllColumns,
}

/// How an incremental model adds to what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IncrementalSpec {
    /// `append`, `delete+insert`, `merge`, `microbatch`, `insert_overwrite` or one of the project's
    /// own; absent for dbt's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_key: Vec<String>,
    #[serde(default)]
    pub on_schema_change: OnSchemaChange,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merge_update_columns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merge_exclude_columns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicates: Vec<String>,
    /// Of microbatches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// `hour`, `day`, `month` or `year`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<u32>,
}

/// Which columns tell that a row has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotStrategy {
    Timestamp {
        updated_at: String,
    },
    /// All columns when there are none.
    Check {
        columns: Vec<String>,
    },
    /// A macro of the project, `snapshot_<name>_strategy`, says what has changed.
    Custom {
        name: String,
    },
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum HardDeletes {
    #[default]
    Ignore,
    Invalidate,
    NewRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotSpec {
    pub strategy: SnapshotStrategy,
    /// Column names or one expression.
    pub unique_key: Vec<String>,
    #[serde(default)]
    pub hard_deletes: HardDeletes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to_current: Option<String>,
    /// `dbt_valid_from` and the others, to the names wanted instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub column_names: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_hooks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_hooks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Index {
    pub columns: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintKind {
    NotNull,
    Unique,
    PrimaryKey,
    ForeignKey,
    Check,
    Custom,
}

impl ConstraintKind {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "not_null" => Self::NotNull,
            "unique" => Self::Unique,
            "primary_key" => Self::PrimaryKey,
            "foreign_key" => Self::ForeignKey,
            "check" => Self::Check,
            "custom" => Self::Custom,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constraint {
    pub kind: ConstraintKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// For a constraint on the model rather than on one column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a foreign key points to: a reference as written, a relation in compiled nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_columns: Vec<String>,
    /// Words about engines that do not hold tables to it; `None` for dbt's default, which is yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_unenforced: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_unsupported: Option<bool>,
}

impl Constraint {
    pub fn of(kind: ConstraintKind) -> Self {
        Self {
            kind,
            expression: None,
            columns: Vec::new(),
            name: None,
            to: None,
            to_columns: Vec::new(),
            warn_unenforced: None,
            warn_unsupported: None,
        }
    }
}

/// A column as declared in a property file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ColumnSpec {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The declared type, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub quote: bool,
}

/// Which of the versions of a model a node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// A number or a text, as written.
    pub number: Value,
    pub latest: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelSpec {
    pub materialized: Materialization,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub contract_enforced: bool,
    /// The query returns the declared columns to the letter. Else it may return others too, and rows are
    /// cast.
    #[serde(default, skip_serializing_if = "is_false")]
    pub contract_exact: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_hooks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_hooks: Vec<String>,
    /// Of an incremental model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<IncrementalSpec>,
    /// `full_refresh` of the configuration, which outranks the command line's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_refresh: Option<bool>,
    /// The code of a Python model; its node has no SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// A seed's table: the types inferred from the whole file, or configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeedSpec {
    pub columns: Vec<(String, SqlType)>,
    pub delimiter: char,
    #[serde(default, skip_serializing_if = "is_false")]
    pub quote_columns: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Error,
    Warn,
}

/// A data test: it passes when its query returns no failing row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TestSpec {
    /// The generic test's name, or `None` for a singular test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The node it is declared on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<String>,
    /// What its macro is called with, as written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub severity: Severity,
    /// Conditions on the number of failures, e.g. `!= 0`.
    pub error_if: String,
    pub warn_if: String,
    /// How failures are counted, e.g. `count(*)`.
    pub fail_calc: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Where failing rows are kept; the node's relation then names the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_failures: Option<Materialization>,
}

/// A unit test: the runner asks for its SQL when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnitTestSpec {
    /// The model it tests.
    pub model: String,
}

// Most nodes are models: a box would only cost.
#[expect(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeSpec {
    Seed(SeedSpec),
    Model(ModelSpec),
    Snapshot(SnapshotSpec),
    Test(TestSpec),
    #[serde(rename = "unit_test")]
    UnitTest(UnitTestSpec),
    Analysis,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// dbt's own form: `model.<package>.<name>`.
    pub unique_id: String,
    pub name: String,
    pub package: String,
    /// The declaring file, relative to the project root.
    pub path: String,
    /// Package, folders below the resource path, name.
    pub fqn: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is materialised; tests and ephemeral models have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<RelationName>,
    /// Unique ids, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The SQL to run, with ephemeral parents inlined; empty for seeds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compiled_sql: String,
    /// Declared columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnSpec>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, Value>,
    /// The final configuration as dbt would print it, for selectors and for macros.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Value>,
    /// The template asks the database or the state of the run: it is compiled again when it runs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub live: bool,
    /// Of the source text.
    pub digest: Digest,
    pub spec: NodeSpec,
}

impl Node {
    /// The relation that a run leaves behind; a test that keeps nothing has a place all the same.
    pub fn kept(&self) -> Option<&RelationName> {
        match &self.spec {
            NodeSpec::Test(test) if test.store_failures.is_none() => None,
            _ => self.relation.as_ref(),
        }
    }

    pub fn kind(&self) -> NodeKind {
        match self.spec {
            NodeSpec::Seed(_) => NodeKind::Seed,
            NodeSpec::Model(_) => NodeKind::Model,
            NodeSpec::Snapshot(_) => NodeKind::Snapshot,
            NodeSpec::Test(_) => NodeKind::Test,
            NodeSpec::UnitTest(_) => NodeKind::UnitTest,
            NodeSpec::Analysis => NodeKind::Analysis,
        }
    }
}

/// A table that the project reads and does not make.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// `source.<package>.<source>.<table>`.
    pub unique_id: String,
    pub source: String,
    pub name: String,
    pub package: String,
    pub path: String,
    pub fqn: Vec<String>,
    pub relation: RelationName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnSpec>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    /// What stands in queries in the place of the relation: a file or a table function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What else the property file says, by dbt's names: `loader`, `source_description`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

/// How old a source's newest row may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Freshness {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_at_field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_at_query: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_after: Option<Age>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_after: Option<Age>,
}

/// A number of `minute`, `hour` or `day`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Age {
    pub count: u32,
    pub period: String,
}

/// What uses the project's relations outside it, for selectors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exposure {
    pub unique_id: String,
    pub name: String,
    pub package: String,
    pub path: String,
    pub fqn: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub depends_on: Vec<String>,
    /// What else the property file says, by dbt's names: `type`, `owner`, `url`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

/// A statement around a run that a package brings along.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PackageHook {
    pub package: String,
    /// Its place among the package's hooks of the kind.
    pub index: usize,
    /// When the run ends, and not when it begins.
    pub at_end: bool,
    pub sql: String,
}

impl PackageHook {
    /// `on-run-start` or `on-run-end`.
    pub fn when(&self) -> &'static str {
        match self.at_end {
            true => "on-run-end",
            false => "on-run-start",
        }
    }
}

/// All nodes of the project, sorted by unique id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DbtGraph {
    pub project: String,
    pub nodes: Vec<Node>,
    /// Sorted by unique id, like the exposures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposures: Vec<Exposure>,
    /// Templates, rendered when the run begins and ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_run_start: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_run_end: Vec<String>,
    /// The same of packages, in the order in which they run, after the project's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub package_hooks: Vec<PackageHook>,
    /// The definitions of `selectors.yml`, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selectors: BTreeMap<String, Value>,
}

impl DbtGraph {
    /// Every statement around a run, the project's own first.
    pub fn hooks(&self) -> Vec<PackageHook> {
        let mut hooks = Vec::new();
        for (at_end, own) in [(false, &self.on_run_start), (true, &self.on_run_end)] {
            hooks.extend(own.iter().enumerate().map(|(index, sql)| PackageHook {
                package: self.project.clone(),
                index,
                at_end,
                sql: sql.clone(),
            }));
        }
        hooks.extend(self.package_hooks.iter().cloned());
        hooks
    }

    pub fn get(&self, unique_id: &str) -> Option<&Node> {
        self.nodes
            .binary_search_by(|n| n.unique_id.as_str().cmp(unique_id))
            .ok()
            .and_then(|i| self.nodes.get(i))
    }
}
