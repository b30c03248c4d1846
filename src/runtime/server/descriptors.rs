//! What clients see of a manifest: tools, resources, prompts and the server itself, computed once.
//!
//! Order is by name and never depends on the caller, so a list is the same for everyone. The lists are
//! made when the first one is asked for: who only says hello does not wait for them.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use mxcp_artifact::{Body, Endpoint, EndpointKind, Manifest, TypeKind};
use rmcp::model::{
    Icon, Implementation, Prompt, PromptArgument, ProtocolVersion, Resource, ResourceTemplate,
    ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use serde_json::Value;

use super::schema::output_schema;
use super::sql_tools::SqlTool;
use crate::resources::is_template;

/// What a tool's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The position of an endpoint in the manifest.
    Endpoint(usize),
    Sql(SqlTool),
}

/// The descriptors of one manifest.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) manifest: Arc<Manifest>,
    pub(super) config: ServerConfig,
    lists: OnceLock<Lists>,
}

/// Each sorted by name.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) tools: Vec<Tool>,
    // In the order of `tools`.
    targets: Vec<Target>,
    pub(super) resources: Vec<Resource>,
    pub(super) templates: Vec<ResourceTemplate>,
    pub(super) prompts: Vec<Prompt>,
}

impl Descriptors {
    pub(super) fn new(manifest: Arc<Manifest>) -> Self {
        Self {
            config: config(&manifest),
            lists: OnceLock::new(),
            manifest,
        }
    }

    pub(super) fn lists(&self) -> &Lists {
        self.lists.get_or_init(|| Lists::of(&self.manifest))
    }

    pub(super) fn tool(&self, name: &str) -> Option<(&Tool, Target)> {
        let lists = self.lists();
        let i = lists
            .tools
            .binary_search_by(|tool| tool.name.as_ref().cmp(name))
            .ok()?;
        Some((lists.tools.get(i)?, *lists.targets.get(i)?))
    }

    pub(super) fn prompt(&self, name: &str) -> Option<&Endpoint> {
        self.manifest
            .endpoints
            .iter()
            .find(|e| e.kind == EndpointKind::Prompt && e.id() == name)
    }
}

impl Lists {
    fn of(manifest: &Manifest) -> Self {
        let of_kind = |kind| {
            manifest
                .endpoints
                .iter()
                .enumerate()
                .filter(move |(_, e)| e.kind == kind)
        };
        let mut tools: Vec<(Tool, Target)> = of_kind(EndpointKind::Tool)
            .map(|(i, endpoint)| (tool(endpoint, manifest), Target::Endpoint(i)))
            .collect();
        let settings = &manifest.project.sql_tools;
        if settings.enabled {
            for builtin in SqlTool::ALL {
                let disabled = settings
                    .tools
                    .get(builtin.name())
                    .is_some_and(|t| t.disabled);
                // A project's own tool of that name stands.
                if !disabled && tools.iter().all(|(tool, _)| tool.name != builtin.name()) {
                    tools.push((builtin.descriptor(settings), Target::Sql(builtin)));
                }
            }
        }
        tools.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let (tools, targets) = tools.into_iter().unzip();

        let uri = |e: &Endpoint| e.uri.clone().unwrap_or_default();
        let mut resources: Vec<Resource> = of_kind(EndpointKind::Resource)
            .filter(|(_, e)| !is_template(e.id()))
            .map(|(_, e)| resource(e, uri(e)))
            .collect();
        resources.sort_by(|a, b| a.uri.cmp(&b.uri));
        let mut templates: Vec<ResourceTemplate> = of_kind(EndpointKind::Resource)
            .filter(|(_, e)| is_template(e.id()))
            .map(|(_, e)| template(e, uri(e)))
            .collect();
        templates.sort_by(|a, b| a.uri_template.cmp(&b.uri_template));
        let mut prompts: Vec<Prompt> = of_kind(EndpointKind::Prompt)
            .map(|(_, e)| prompt(e))
            .collect();
        prompts.sort_by(|a, b| a.name.cmp(&b.name));

        Self {
            tools,
            targets,
            resources,
            templates,
            prompts,
        }
    }
}

fn config(manifest: &Manifest) -> ServerConfig {
    let server = &manifest.project.server;
    let mut info = Implementation::new(
        server.name.as_ref().unwrap_or(&manifest.project.name),
        server
            .version
            .as_ref()
            .unwrap_or(&manifest.toolchain.compiler),
    );
    if let Some(title) = &server.title {
        info = info.with_title(title);
    }
    let icons: Vec<Icon> = server
        .icons
        .iter()
        .filter_map(|icon| match serde_json::from_value(icon.clone()) {
            Ok(icon) => Some(icon),
            Err(error) => {
                tracing::warn!("an icon of the server is left out: {error}");
                None
            }
        })
        .collect();
    if !icons.is_empty() {
        info = info.with_icons(icons);
    }
    #[expect(
        deprecated,
        reason = "clients of every revision but the newest know messages of a server only this way"
    )]
    let capabilities = ServerCapabilities::builder()
        .enable_tools()
        .enable_tool_list_changed()
        .enable_resources()
        .enable_resources_list_changed()
        .enable_resources_subscribe()
        .enable_prompts()
        .enable_prompts_list_changed()
        .enable_completions()
        .enable_logging()
        .build();
    let mut config = ServerConfig::new(capabilities)
        .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
        .with_server_info(info);
    if let Some(instructions) = &server.instructions {
        config = config.with_instructions(instructions);
    }
    config
}

fn tool(endpoint: &Endpoint, manifest: &Manifest) -> Tool {
    let input = match &endpoint.input_schema {
        Value::Object(schema) => Arc::new(schema.clone()),
        _ => Arc::default(),
    };
    let mut tool = Tool::new_with_raw(
        endpoint.id().to_owned(),
        endpoint.description.clone().map(Cow::Owned),
        input,
    );
    if let Some(title) = title(endpoint) {
        tool = tool.with_title(title);
    }
    if let Some(schema) = output_schema(endpoint) {
        tool = tool.with_raw_output_schema(Arc::new(schema));
    }
    let annotations = annotations(endpoint, manifest);
    if annotations != ToolAnnotations::default() {
        tool = tool.with_annotations(annotations);
    }
    tool
}

// What the author declares stands; the rest follows from what the SQL is known to do. A function of a
// plugin may do anything: it is called `<function>_<plugin>`.
fn annotations(endpoint: &Endpoint, manifest: &Manifest) -> ToolAnnotations {
    let declared = &endpoint.annotations;
    let calls_plugin = |sql: &str| {
        let sql = sql.to_lowercase();
        let mut plugins = manifest.project.plugins.iter();
        plugins.any(|plugin| sql.contains(&format!("_{}", plugin.name.to_lowercase())))
    };
    let derived = match &endpoint.body {
        Body::Sql(body) if body.effects.writes => Some(false),
        Body::Sql(body) if !body.effects.external && !calls_plugin(&body.sql) => Some(true),
        Body::Sql(_) | Body::Python(_) | Body::Prompt(_) => None,
    };
    ToolAnnotations::from_raw(
        declared.title.clone(),
        declared.read_only_hint.or(derived),
        declared.destructive_hint,
        declared.idempotent_hint,
        declared.open_world_hint,
    )
}

fn title(endpoint: &Endpoint) -> Option<&String> {
    endpoint
        .title
        .as_ref()
        .or(endpoint.annotations.title.as_ref())
}

fn resource(endpoint: &Endpoint, uri: String) -> Resource {
    let name = endpoint.name.clone().unwrap_or_else(|| uri.clone());
    let mut resource = Resource::new(uri, name);
    resource.title = title(endpoint).cloned();
    resource.description.clone_from(&endpoint.description);
    resource.mime_type = mime_type(endpoint).map(str::to_owned);
    resource
}

fn template(endpoint: &Endpoint, uri: String) -> ResourceTemplate {
    let name = endpoint.name.clone().unwrap_or_else(|| uri.clone());
    let mut template = ResourceTemplate::new(uri, name);
    template.title = title(endpoint).cloned();
    template.description.clone_from(&endpoint.description);
    template.mime_type = mime_type(endpoint).map(str::to_owned);
    template
}

/// The declared MIME type, or the one that the declared result has.
pub(super) fn mime_type(endpoint: &Endpoint) -> Option<&str> {
    if let Some(declared) = &endpoint.mime_type {
        return Some(declared);
    }
    Some(match endpoint.returns.as_ref()?.kind {
        TypeKind::String => "text/plain",
        _ => "application/json",
    })
}

fn prompt(endpoint: &Endpoint) -> Prompt {
    let arguments: Vec<PromptArgument> = endpoint
        .parameters
        .iter()
        .map(|parameter| {
            let argument =
                PromptArgument::new(&parameter.name).with_required(parameter.is_required());
            match &parameter.ty.description {
                Some(text) => argument.with_description(text),
                None => argument,
            }
        })
        .collect();
    let mut prompt = Prompt::new(endpoint.id(), endpoint.description.clone(), Some(arguments));
    prompt.title = title(endpoint).cloned();
    prompt
}
