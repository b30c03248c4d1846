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
    Test,
}

impl NodeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Model => "model",
            Self::Test => "test",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialization {
    View,
    Table,
    Ephemeral,
}

impl Materialization {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::Ephemeral => "ephemeral",
        }
    }
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
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelSpec {
    pub materialized: Materialization,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub contract_enforced: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_hooks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_hooks: Vec<String>,
}

/// A seed's table: the types inferred from the whole file, or configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeedSpec {
    pub columns: Vec<(String, SqlType)>,
    pub delimiter: char,
    #[serde(default, skip_serializing_if = "is_false")]
    pub quote_columns: bool,
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
    #[serde(default)]
    pub severity: Severity,
    /// Conditions on the number of failures, e.g. `!= 0`.
    pub error_if: String,
    pub warn_if: String,
    /// How failures are counted, e.g. `count(*)`.
    pub fail_calc: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeSpec {
    Seed(SeedSpec),
    Model(ModelSpec),
    Test(TestSpec),
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
    /// Of the source text.
    pub digest: Digest,
    pub spec: NodeSpec,
}

impl Node {
    pub fn kind(&self) -> NodeKind {
        match self.spec {
            NodeSpec::Seed(_) => NodeKind::Seed,
            NodeSpec::Model(_) => NodeKind::Model,
            NodeSpec::Test(_) => NodeKind::Test,
        }
    }
}

/// All nodes of the project, sorted by unique id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DbtGraph {
    pub project: String,
    pub nodes: Vec<Node>,
}

impl DbtGraph {
    pub fn get(&self, unique_id: &str) -> Option<&Node> {
        self.nodes
            .binary_search_by(|n| n.unique_id.as_str().cmp(unique_id))
            .ok()
            .and_then(|i| self.nodes.get(i))
    }
}
