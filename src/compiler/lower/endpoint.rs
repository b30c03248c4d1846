//! Endpoint files as definitions.

use std::collections::BTreeMap;

use mxcp_artifact::{
    Action, Annotations, EndpointKind, Parameter, PromptMessage, TestCase, TypeDef, TypeKind,
};
use mxcp_base::paths;
use mxcp_syntax::yaml::{Node, YamlFile};
use serde_json::Value;

use super::types::{lower_type, lower_value};
use crate::site::{boolean, string};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    Sql,
    Python,
}

/// A parameter as written; its type is missing when it could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParameterDef {
    pub name: String,
    pub ty: Option<TypeDef>,
    /// Its position under `parameters:`, which names its place.
    pub index: usize,
    /// What `completion:` says, where it is written.
    pub completion: Option<CompletionDef>,
}

/// Where the values come from that clients are offered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CompletionDef {
    /// `false`: there are none.
    Off,
    /// `true`: from the column that the endpoint's SQL compares the parameter with, whatever is in it.
    Column,
    /// A query of one column.
    Sql(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyDef {
    pub condition: Option<String>,
    pub action: Option<Action>,
    pub reason: Option<String>,
    /// `None` when the key is absent.
    pub fields: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointDef {
    pub kind: EndpointKind,
    pub name: Option<String>,
    pub uri: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub mime_type: Option<String>,
    pub annotations: Annotations,
    pub language: Language,
    pub parameters: Vec<ParameterDef>,
    /// `return` or `return_`, whichever was written.
    pub return_key: &'static str,
    pub has_return: bool,
    pub returns: Option<TypeDef>,
    pub code: Option<String>,
    pub file: Option<String>,
    pub messages: Vec<PromptMessage>,
    pub input_policies: Vec<PolicyDef>,
    pub output_policies: Vec<PolicyDef>,
    pub tests: Vec<TestCase>,
    pub enabled: bool,
    pub metadata: BTreeMap<String, Value>,
}

impl EndpointDef {
    /// How users name it.
    pub fn id(&self) -> Option<&str> {
        match self.kind {
            EndpointKind::Resource => self.uri.as_deref(),
            EndpointKind::Tool | EndpointKind::Prompt => self.name.as_deref(),
        }
        .filter(|id| !id.is_empty())
    }

    /// A YAML pointer below the endpoint's own key.
    pub fn pointer(&self, rest: &str) -> String {
        format!("{}/{rest}", self.kind)
    }

    /// All parameters with known types, or `None` when one of them is not understood. Of two with
    /// the same name the last one counts.
    pub fn typed_parameters(&self) -> Option<Vec<Parameter>> {
        self.parameters
            .iter()
            .enumerate()
            .filter(|(i, p)| !self.parameters[i + 1..].iter().any(|q| q.name == p.name))
            .map(|(_, p)| {
                Some(Parameter {
                    name: p.name.clone(),
                    ty: p.ty.clone()?,
                })
            })
            .collect()
    }
}

/// The endpoint of a file; `None` when the file holds none of the expected kind.
pub fn lower_endpoint(yaml: &YamlFile, kind: EndpointKind) -> Option<EndpointDef> {
    let root = yaml.root()?;
    let node = root.get(kind.as_str())?;
    // A mapping with nothing usable in it is still reported by the schema check.
    if node.kind() != mxcp_syntax::yaml::Kind::Map {
        return None;
    }
    let source = node.get("source");
    let file = string(source.and_then(|s| s.get("file"))).filter(|f| !f.is_empty());
    let language = match node.get("language").and_then(|n| n.as_str()) {
        Some("python") => Language::Python,
        Some(_) => Language::Sql,
        // A `.py` file can only be Python; nobody needs to say it twice.
        None => match file.as_deref().map(paths::extension) {
            Some("py") => Language::Python,
            _ => Language::Sql,
        },
    };
    let (return_key, returns) = match node.get("return") {
        Some(n) => ("return", Some(n)),
        None => match node.get("return_") {
            Some(n) => ("return_", Some(n)),
            None => ("return", None),
        },
    };
    let returns = returns.filter(|n| !n.is_null());
    let policies = node.get("policies");
    let parameters = lower_parameters(node.get("parameters"));
    let tests = node.get("tests").into_iter().flat_map(|n| n.items());
    let tests = tests.map(|test| lower_test(test, &parameters)).collect();
    Some(EndpointDef {
        kind,
        name: string(node.get("name")),
        uri: string(node.get("uri")),
        title: string(node.get("title")),
        description: string(node.get("description")),
        tags: crate::site::strings(node.get("tags")),
        mime_type: string(node.get("mime_type")),
        annotations: lower_annotations(node.get("annotations")),
        language,
        parameters,
        return_key,
        has_return: returns.is_some(),
        returns: returns.and_then(lower_type),
        code: string(source.and_then(|s| s.get("code"))).filter(|c| !c.is_empty()),
        file,
        messages: lower_messages(node.get("messages")),
        input_policies: lower_policies(policies.and_then(|p| p.get("input"))),
        output_policies: lower_policies(policies.and_then(|p| p.get("output"))),
        tests,
        enabled: boolean(node.get("enabled")).unwrap_or(true),
        metadata: root
            .get("metadata")
            .map(|n| {
                n.entries()
                    .map(|(k, v)| (k.text.to_owned(), v.to_json()))
                    .collect()
            })
            .unwrap_or_default(),
    })
}

fn lower_annotations(node: Option<Node<'_>>) -> Annotations {
    let get = |key: &str| node.and_then(|n| n.get(key));
    Annotations {
        title: string(get("title")),
        read_only_hint: boolean(get("readOnlyHint")),
        destructive_hint: boolean(get("destructiveHint")),
        idempotent_hint: boolean(get("idempotentHint")),
        open_world_hint: boolean(get("openWorldHint")),
    }
}

fn lower_parameters(node: Option<Node<'_>>) -> Vec<ParameterDef> {
    node.map(|n| n.items())
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, node)| {
            Some(ParameterDef {
                name: string(node.get("name"))?,
                ty: lower_type(node),
                index,
                completion: lower_completion(node.get("completion")),
            })
        })
        .collect()
}

fn lower_completion(node: Option<Node<'_>>) -> Option<CompletionDef> {
    match boolean(node) {
        Some(true) => Some(CompletionDef::Column),
        Some(false) => Some(CompletionDef::Off),
        None => string(node).map(CompletionDef::Sql),
    }
}

fn lower_messages(node: Option<Node<'_>>) -> Vec<PromptMessage> {
    node.map(|n| n.items())
        .into_iter()
        .flatten()
        .map(|node| PromptMessage {
            role: string(node.get("role")),
            kind: string(node.get("type")),
            prompt: string(node.get("prompt")).unwrap_or_default(),
            uri: string(node.get("uri")),
            mime_type: string(node.get("mime_type")),
        })
        .collect()
}

pub(crate) fn lower_policies(node: Option<Node<'_>>) -> Vec<PolicyDef> {
    node.map(|n| n.items())
        .into_iter()
        .flatten()
        .map(|node| PolicyDef {
            condition: string(node.get("condition")),
            action: node
                .get("action")
                .and_then(|n| n.as_str())
                .and_then(Action::from_name),
            reason: string(node.get("reason")),
            fields: node.get("fields").filter(|n| !n.is_null()).map(|n| {
                n.items()
                    .filter_map(|i| i.as_str().map(str::to_owned))
                    .collect()
            }),
        })
        .collect()
}

fn lower_test(node: Node<'_>, parameters: &[ParameterDef]) -> TestCase {
    let value = |key: &str| node.get(key).filter(|n| !n.is_null()).map(|n| n.to_json());
    TestCase {
        name: string(node.get("name")).unwrap_or_default(),
        description: string(node.get("description")),
        arguments: node
            .get("arguments")
            .map(|n| n.items())
            .into_iter()
            .flatten()
            .filter_map(|a| {
                let (key, value) = (string(a.get("key"))?, a.get("value")?);
                let ty = parameters
                    .iter()
                    .find(|p| p.name == key)
                    .and_then(|p| p.ty.as_ref());
                let text = ty.is_some_and(|ty| ty.kind == TypeKind::String);
                let value = if text {
                    lower_value(TypeKind::String, value)
                } else {
                    value.to_json()
                };
                Some((key, value))
            })
            .collect(),
        user_context: value("user_context"),
        // `result: null` expects null; `result:` with nothing behind it states nothing.
        result: node
            .get("result")
            .filter(|n| n.scalar() != Some(""))
            .map(|n| n.to_json()),
        result_contains: value("result_contains"),
        result_not_contains: node
            .get("result_not_contains")
            .filter(|n| !n.is_null())
            .map(|n| crate::site::strings(Some(n))),
        result_contains_item: value("result_contains_item"),
        result_contains_all: node
            .get("result_contains_all")
            .filter(|n| !n.is_null())
            .map(|n| n.items().map(|i| i.to_json()).collect()),
        result_length: node
            .get("result_length")
            .and_then(|n| n.as_i64())
            .and_then(|n| u64::try_from(n).ok()),
        result_contains_text: string(node.get("result_contains_text")),
        expect_error: string(node.get("expect_error")),
        denied: boolean(node.get("denied")).unwrap_or(false),
    }
}
