//! The typed IR of one endpoint: a tool, a resource or a prompt, with everything the runtime needs
//! to serve it and the tests that belong to it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::type_def::is_false;
use crate::{Column, Digest, Policies, RelationName, TypeDef};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    Tool,
    Resource,
    Prompt,
}

impl EndpointKind {
    pub const ALL: [Self; 3] = [Self::Tool, Self::Resource, Self::Prompt];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
        }
    }

    /// The default directory, which is also the key under `paths:`.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Resource => "resources",
            Self::Prompt => "prompts",
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A declared parameter. It is required exactly when its type has no default.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TypeDef,
}

impl Parameter {
    pub fn is_required(&self) -> bool {
        self.ty.default.is_none()
    }
}

/// Hints for clients, as declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// What running a piece of SQL may do, computed over all its nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Effects {
    /// Relations it reads by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<RelationName>,
    /// It may change the database: DML, DDL, a data-modifying CTE, or a form we cannot see into.
    #[serde(default, skip_serializing_if = "is_false")]
    pub writes: bool,
    /// It may touch files or the network.
    #[serde(default, skip_serializing_if = "is_false")]
    pub external: bool,
    /// The same call may give another answer on unchanged data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub volatile: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SqlBody {
    /// The SQL text as the author wrote it, possibly several statements.
    pub sql: String,
    /// The declared parameters that the text uses, in order of first use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// Result columns; `None` when they depend on data (the type is opaque).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    pub effects: Effects,
    /// The `source.file` it came from, relative to the project root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PythonBody {
    /// The file, relative to the project root.
    pub file: String,
    pub digest: Digest,
    pub function: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_async: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PromptMessage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A Jinja template over the parameters; base64 for an image or audio.
    pub prompt: String,
    /// Of an embedded resource, a template as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PromptBody {
    pub messages: Vec<PromptMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    Sql(SqlBody),
    Python(PythonBody),
    Prompt(PromptBody),
}

/// Where the values come from that a client is offered for a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Completion {
    /// A query of the columns `value` and `total`, given what was typed as [`TYPED`] and the parameters of
    /// the endpoint. Without it and without `tool`, nothing is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The tool whose parameter of the same name is meant: its parameters, its policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

/// The name under which the SQL of a completion finds what was typed.
pub const TYPED: &str = "mxcp_typed";

/// One entry of `tests:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TestCase {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Keys and values in the author's order; a later duplicate wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<(String, Value)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_context: Option<Value>,
    /// `Some(Null)` when the result must be null.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_contains: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_not_contains: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_contains_item: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_contains_all: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_length: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_contains_text: Option<String>,
    /// The call must fail with an error whose text contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_error: Option<String>,
    /// The call must be denied by a policy.
    #[serde(default, skip_serializing_if = "is_false")]
    pub denied: bool,
}

// A null that is written says something.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl TestCase {
    /// Whether the author said anything about the outcome.
    pub fn has_assertion(&self) -> bool {
        self.result.is_some()
            || self.result_contains.is_some()
            || self.result_not_contains.is_some()
            || self.result_contains_item.is_some()
            || self.result_contains_all.is_some()
            || self.result_length.is_some()
            || self.result_contains_text.is_some()
            || self.expect_error.is_some()
            || self.denied
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub kind: EndpointKind,
    /// Tool or prompt name, or a resource's name when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Resources only: the URI or URI template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The declaring file, relative to the project root.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(default)]
    pub annotations: Annotations,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    #[serde(default, rename = "return", skip_serializing_if = "Option::is_none")]
    pub returns: Option<TypeDef>,
    pub body: Body,
    #[serde(default, skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
    /// The JSON Schema that clients see for the arguments.
    pub input_schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestCase>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
    /// Of parameters that have more to offer than their type says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub completions: BTreeMap<String, Completion>,
}

impl Endpoint {
    /// How users name it: the URI template of a resource, the name of anything else.
    pub fn id(&self) -> &str {
        match self.kind {
            EndpointKind::Resource => self.uri.as_deref().or(self.name.as_deref()),
            EndpointKind::Tool | EndpointKind::Prompt => self.name.as_deref(),
        }
        .unwrap_or_default()
    }
}
