//! `mxcp-site.yml` as definitions, with every default filled in.

use std::collections::BTreeMap;

use mxcp_artifact::manifest::{
    AuditSettings, Extension, Limits, Plugin, ProfileSettings, ServerInfo, SqlTool, SqlTools,
};
use mxcp_artifact::{EndpointKind, Policies};
use mxcp_base::{Severity, paths};
use mxcp_syntax::yaml::{Node, YamlFile};
use serde_json::Value;

use crate::ir::policies;
use crate::lower::endpoint::lower_policies;

pub const SITE_FILE: &str = "mxcp-site.yml";

/// Directory names from `paths:`, normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Paths {
    pub tools: String,
    pub resources: String,
    pub prompts: String,
    pub evals: String,
    pub plugins: String,
    pub python: String,
    pub data: String,
    pub drift: String,
    pub audit: String,
}

impl Paths {
    pub fn endpoint_dir(&self, kind: EndpointKind) -> &str {
        match kind {
            EndpointKind::Tool => &self.tools,
            EndpointKind::Resource => &self.resources,
            EndpointKind::Prompt => &self.prompts,
        }
    }
}

/// The `dbt:` section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DbtSettings {
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub project: String,
    pub profile: String,
    pub paths: Paths,
    pub dbt: DbtSettings,
    pub secrets: Vec<String>,
    pub plugins: Vec<Plugin>,
    pub extensions: Vec<Extension>,
    pub sql_tools: SqlTools,
    /// As declared; a profile's defaults are filled in by [`Site::profile`].
    pub profiles: BTreeMap<String, ProfileSettings>,
}

/// Severity per code, from `diagnostics:`; `None` switches it off.
pub type Severities = BTreeMap<String, Option<Severity>>;

/// What the site file says to the server alone. No check reads it, so it is kept apart from what an
/// edit makes every check look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    pub server: ServerInfo,
    pub limits: Limits,
    /// The whole document as data.
    pub raw: Value,
}

impl Site {
    pub fn profile(&self, name: &str) -> ProfileSettings {
        self.profiles.get(name).cloned().unwrap_or_else(|| {
            ProfileSettings::with_defaults(
                name,
                &self.paths.data,
                &self.paths.drift,
                &self.paths.audit,
            )
        })
    }
}

/// Reads the definitions out of the tree. Whatever is missing or of the wrong type gets its
/// default: the schema check reports it.
pub fn lower_site(yaml: &YamlFile) -> Site {
    let root = yaml.root();
    let get = |key: &str| root.and_then(|r| r.get(key));
    let paths = lower_paths(get("paths"));
    let mut profiles = BTreeMap::new();
    for (key, node) in get("profiles").map(|n| n.entries()).into_iter().flatten() {
        profiles.insert(key.text.to_owned(), lower_profile(key.text, node, &paths));
    }
    let profile = string(get("profile")).unwrap_or_else(|| "default".into());
    Site {
        project: string(get("project")).unwrap_or_default(),
        profile,
        dbt: DbtSettings {
            enabled: get("dbt")
                .and_then(|n| n.get("enabled"))
                .and_then(|n| n.as_bool())
                .unwrap_or(true),
        },
        secrets: strings(get("secrets")),
        plugins: one_or_many(get("plugin"))
            .filter_map(|n| {
                Some(Plugin {
                    name: string(n.get("name"))?,
                    module: string(n.get("module"))?,
                    config: string(n.get("config")),
                })
            })
            .collect(),
        extensions: one_or_many(get("extensions"))
            .filter_map(|n| match n.as_str() {
                Some(name) => Some(Extension {
                    name: name.to_owned(),
                    repository: None,
                }),
                None => Some(Extension {
                    name: string(n.get("name"))?,
                    repository: string(n.get("repo")),
                }),
            })
            .collect(),
        sql_tools: lower_sql_tools(get("sql_tools")),
        profiles,
        paths,
    }
}

pub fn lower_severities(yaml: &YamlFile) -> Severities {
    yaml.root()
        .and_then(|root| root.get("diagnostics"))
        .into_iter()
        .flat_map(|node| node.entries())
        .map(|(key, node)| {
            let severity = node.scalar().and_then(Severity::from_name);
            (key.text.to_ascii_uppercase(), severity)
        })
        .collect()
}

pub fn lower_serving(yaml: &YamlFile) -> Serving {
    let get = |key: &str| yaml.root().and_then(|root| root.get(key));
    Serving {
        server: lower_server(get("server")),
        limits: lower_limits(get("limits")),
        raw: yaml.to_json(),
    }
}

fn lower_paths(node: Option<Node<'_>>) -> Paths {
    let dir = |key: &str| {
        let text = node.and_then(|n| string(n.get(key)));
        paths::directory(text.as_deref().unwrap_or(key))
    };
    Paths {
        tools: dir("tools"),
        resources: dir("resources"),
        prompts: dir("prompts"),
        evals: dir("evals"),
        plugins: dir("plugins"),
        python: dir("python"),
        data: dir("data"),
        drift: dir("drift"),
        audit: dir("audit"),
    }
}

fn lower_profile(name: &str, node: Node<'_>, paths: &Paths) -> ProfileSettings {
    let mut settings =
        ProfileSettings::with_defaults(name, &paths.data, &paths.drift, &paths.audit);
    if let Some(duckdb) = node.get("duckdb") {
        if let Some(path) = string(duckdb.get("path")) {
            settings.database = path;
        }
        settings.readonly = boolean(duckdb.get("readonly")).unwrap_or(false);
    }
    if let Some(path) = node.get("drift").and_then(|n| string(n.get("path"))) {
        settings.drift_path = path;
    }
    if let Some(audit) = node.get("audit") {
        settings.audit = AuditSettings {
            enabled: boolean(audit.get("enabled")).unwrap_or(false),
            path: string(audit.get("path")).unwrap_or(settings.audit.path),
            max_file_size: audit
                .get("max_file_size")
                .and_then(|n| n.as_i64())
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(settings.audit.max_file_size),
        };
    }
    settings
}

/// The names of the built-in tools for free SQL.
pub(crate) const SQL_TOOLS: [&str; 3] = ["execute_sql_query", "list_tables", "get_table_schema"];

fn lower_sql_tools(node: Option<Node<'_>>) -> SqlTools {
    let Some(node) = node else {
        return SqlTools::default();
    };
    let mut tools = SqlTools {
        enabled: boolean(node.get("enabled")).unwrap_or(false),
        ..SqlTools::default()
    };
    for name in SQL_TOOLS {
        let Some(node) = node.get(name) else {
            continue;
        };
        if let Some(description) = string(node.get("description")) {
            tools.descriptions.insert(name.to_owned(), description);
        }
        let number = |key: &str| u64::try_from(node.get(key)?.as_i64()?).ok();
        let input = lower_policies(node.get("policies").and_then(|p| p.get("input")));
        let tool = SqlTool {
            disabled: boolean(node.get("enabled")) == Some(false),
            rows: number("rows"),
            bytes: number("bytes"),
            timeout_ms: number("timeout_ms"),
            policies: Policies {
                // What is no condition is reported, and nothing is served.
                input: policies(&input).unwrap_or_default(),
                output: Vec::new(),
            },
        };
        if tool != SqlTool::default() {
            tools.tools.insert(name.to_owned(), tool);
        }
    }
    tools
}

fn lower_server(node: Option<Node<'_>>) -> ServerInfo {
    let Some(node) = node else {
        return ServerInfo::default();
    };
    ServerInfo {
        name: string(node.get("name")),
        title: string(node.get("title")),
        version: string(node.get("version")),
        instructions: string(node.get("instructions")),
        icons: node
            .get("icons")
            .map(|n| n.items().map(|i| i.to_json()).collect())
            .unwrap_or_default(),
    }
}

fn lower_limits(node: Option<Node<'_>>) -> Limits {
    let mut limits = Limits::default();
    let number = |key: &str| {
        node.and_then(|n| n.get(key))
            .and_then(|n| n.as_i64())
            .and_then(|n| u64::try_from(n).ok())
    };
    for (key, limit) in [
        ("rows", &mut limits.rows),
        ("bytes", &mut limits.bytes),
        ("timeout_ms", &mut limits.timeout_ms),
        ("concurrent_calls", &mut limits.concurrent_calls),
        ("queue", &mut limits.queue),
        ("body_bytes", &mut limits.body_bytes),
        ("sessions", &mut limits.sessions),
    ] {
        if let Some(value) = number(key) {
            *limit = value;
        }
    }
    limits.memory_mb = number("memory_mb");
    limits
}

fn one_or_many<'a>(node: Option<Node<'a>>) -> impl Iterator<Item = Node<'a>> {
    let single = node.filter(|n| n.kind() != mxcp_syntax::yaml::Kind::Seq && !n.is_null());
    node.map(|n| n.items()).into_iter().flatten().chain(single)
}

pub(crate) fn string(node: Option<Node<'_>>) -> Option<String> {
    node.and_then(|n| n.as_str()).map(str::to_owned)
}

/// A boolean, or one written as a string: older configurations quote them.
pub(crate) fn boolean(node: Option<Node<'_>>) -> Option<bool> {
    let node = node?;
    node.as_bool()
        .or_else(|| match node.as_str()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
            "false" | "no" | "off" | "0" | "n" | "f" => Some(false),
            _ => None,
        })
}

pub(crate) fn strings(node: Option<Node<'_>>) -> Vec<String> {
    one_or_many(node)
        .filter_map(|n| n.as_str().map(str::to_owned))
        .collect()
}
