//! The requests of the protocol.
//!
//! A handler must stay cheap: it looks things up and hands work to [`Calls`]. Errors that the model
//! should read are results; only what makes a request senseless is a protocol error.

#![expect(
    deprecated,
    reason = "clients of every revision but the newest know messages of a server only this way"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use axum::http::request::Parts;
use mxcp_artifact::{Body, Endpoint, EndpointKind, Manifest};
use rmcp::model::*;
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};

use super::asking::{self, Seal};
use super::calls::{Calls, Kind, Lost};
use super::changes::{self, Changes, Watching};
use super::cut::Notice;
use super::descriptors::{Descriptors, Target};
use super::failure::{self, Author};
use super::messages::{Inbox, Outbox, rank};
use super::metrics::{Ended, Metrics};
use super::page::{PAGE_SIZE, page};
use super::sql_tools::SqlTool;
use super::{completion, prompts, reading, tools};
use crate::completing::declared;
use crate::{Call, Caller, Cancel, Runtime};

/// How long a client may keep a list, in milliseconds.
const LIST_TTL: u64 = 60_000;

/// One client's view of a runtime. Clones are the same view.
#[derive(Clone, Debug)]
pub(super) struct Server {
    shared: Arc<Shared>,
    // What the client asked for with `logging/setLevel`, as a rank; `UNSET` before.
    level: Arc<AtomicU8>,
    watching: Arc<Watching>,
}

#[derive(Debug)]
struct Shared {
    runtime: Arc<Runtime>,
    descriptors: ArcSwap<Descriptors>,
    calls: Arc<Calls>,
    metrics: Metrics,
    changes: Changes,
    /// Seals what clients keep between the rounds of a call.
    states: Option<RequestStateCodec>,
}

const UNSET: u8 = u8::MAX;

impl Server {
    pub(super) fn new(runtime: Arc<Runtime>, calls: Arc<Calls>) -> Self {
        let descriptors = ArcSwap::from_pointee(Descriptors::new(runtime.manifest()));
        Self {
            shared: Arc::new(Shared {
                runtime,
                descriptors,
                calls,
                metrics: Metrics::default(),
                changes: Changes::default(),
                states: asking::codec(),
            }),
            level: Arc::new(AtomicU8::new(UNSET)),
            watching: Arc::default(),
        }
    }

    /// The same server for another client.
    pub(super) fn for_client(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            level: Arc::new(AtomicU8::new(UNSET)),
            watching: Arc::default(),
        }
    }

    pub(super) fn manifest(&self) -> Arc<Manifest> {
        self.shared.runtime.manifest()
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.shared.calls
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Tells clients from now on when another manifest changes what they have listed. Must be called
    /// inside a runtime; ends with it.
    pub(super) fn announce_changes(&self) {
        let mut replaced = self.shared.runtime.replacements();
        let server = self.clone();
        tokio::spawn(async move {
            let mut before = server.descriptors();
            while replaced.changed().await.is_ok() {
                let after = server.descriptors();
                server.shared.changes.announce(&before, &after).await;
                before = after;
            }
        });
    }

    /// The descriptors of the manifest that is served now.
    fn descriptors(&self) -> Arc<Descriptors> {
        let current = self.shared.descriptors.load_full();
        let manifest = self.shared.runtime.manifest();
        if Arc::ptr_eq(&current.manifest, &manifest) {
            return current;
        }
        let fresh = Arc::new(Descriptors::new(manifest));
        self.shared.descriptors.store(Arc::clone(&fresh));
        fresh
    }

    fn level(&self) -> Option<LoggingLevel> {
        let chosen = self.level.load(Ordering::Relaxed);
        LEVELS.into_iter().find(|level| rank(*level) == chosen)
    }

    /// The caller, with a way to send it messages if the endpoint can send any.
    fn caller(
        &self,
        context: &RequestContext<RoleServer>,
        endpoint: Option<&Endpoint>,
        answers: BTreeMap<String, Value>,
    ) -> (Caller, Option<Inbox>, Option<Arc<Outbox>>) {
        let mut caller = caller_of(context);
        if endpoint.is_some_and(|e| !matches!(e.body, Body::Python(_))) {
            return (caller, None, None);
        }
        let (outbox, inbox) = Outbox::new(context, self.level(), answers);
        let outbox = Arc::new(outbox);
        caller.messages = Some(outbox.clone());
        (caller, Some(inbox), Some(outbox))
    }

    fn seal(
        &self,
        method: &str,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Seal<'_>, ErrorData> {
        let codec = self.shared.states.as_ref().ok_or_else(|| {
            ErrorData::internal_error("this machine has no source of random numbers", None)
        })?;
        Ok(Seal::new(codec, method, name, arguments))
    }

    async fn run<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        request: (&'static str, &str, Kind),
        cancel: &Cancel,
        inbox: Option<Inbox>,
        work: impl FnOnce(&Runtime) -> T + Send + 'static,
        failed: impl Fn(&T) -> bool + Send,
    ) -> Result<T, Lost> {
        let (method, name, kind) = request;
        let runtime = Arc::clone(&self.shared.runtime);
        let started = Instant::now();
        let result = self
            .shared
            .calls
            .run(context, cancel, kind, inbox, move || work(&runtime))
            .await;
        let ended = match &result {
            Ok(value) if failed(value) => Ended::Failed,
            Ok(_) => Ended::Ok,
            Err(Lost::Cancelled | Lost::Stopped) => Ended::Cancelled,
            Err(Lost::Crashed) => Ended::Failed,
            Err(Lost::Refused) => Ended::Refused,
        };
        self.shared
            .metrics
            .record(method, name, ended, started.elapsed());
        tracing::debug!(
            method,
            name,
            id = %context.id,
            microseconds = started.elapsed().as_micros(),
            lost = result.as_ref().err().map(tracing::field::debug),
            "request"
        );
        result
    }

    async fn call_endpoint(
        &self,
        descriptors: &Arc<Descriptors>,
        index: usize,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let endpoint = descriptors
            .manifest
            .endpoints
            .get(index)
            .ok_or_else(|| ErrorData::internal_error("the tool is gone", None))?;
        let name = endpoint.id();
        let arguments = request.arguments.unwrap_or_default();
        // Only Python asks; the other calls are spared the seal.
        let asks = matches!(endpoint.body, Body::Python(_)) || request.request_state.is_some();
        let seal = match asks {
            true => Some(self.seal("tools/call", name, &arguments)?),
            false => None,
        };
        let answers = match &seal {
            Some(seal) => {
                seal.answers(request.request_state.as_deref(), request.input_responses)?
            }
            None => BTreeMap::new(),
        };
        let (caller, inbox, outbox) = self.caller(context, Some(endpoint), answers);
        let mut call = Call::new(EndpointKind::Tool, name, arguments);
        call.caller = caller;
        call.cut = true;
        let cancel = call.cancel.clone();
        let asked = outbox.clone();
        let kind = match endpoint.body {
            Body::Sql(_) => Kind::Sql,
            Body::Python(_) | Body::Prompt(_) => Kind::Other,
        };
        let called = Arc::clone(descriptors);
        let work = move |runtime: &Runtime| match runtime.call(&call) {
            Ok(outcome) => {
                let endpoint = called.manifest.endpoints.get(index);
                let returns = endpoint.and_then(|endpoint| endpoint.returns.as_ref());
                let mut result = match tools::success(outcome.value, returns) {
                    Ok(result) => result,
                    Err(text) => return tools::failure_text(&call.id, &text),
                };
                if let (Some(cut), Some(endpoint)) = (outcome.cut, endpoint) {
                    let notice = Notice::of_tool(cut, endpoint, &call.arguments);
                    notice.put(&mut result, outcome.rows.unwrap_or_default());
                }
                result
            }
            // The code ended because its question has no answer yet.
            Err(_) if asked.is_some_and(|outbox| outbox.waits_for_client()) => {
                CallToolResult::success(Vec::new())
            }
            Err(error) => tools::failure(&call.id, &error, Author::Project, &call.arguments),
        };
        let request = ("tools/call", name, kind);
        let result = self
            .run(context, request, &cancel, inbox, work, is_error)
            .await
            .map_err(|lost| failure::lost(lost, name))?;
        if is_error(&result)
            && let Some(error) = outbox.as_ref().and_then(|outbox| outbox.incapable())
        {
            return Err(error);
        }
        let required = outbox
            .zip(seal)
            .and_then(|(outbox, seal)| outbox.input_required(&seal));
        Ok(match required {
            Some(required) => required.into(),
            None => result.into(),
        })
    }

    async fn call_sql_tool(
        &self,
        tool: SqlTool,
        arguments: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let name = tool.name();
        let caller = caller_of(context);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let work = move |runtime: &Runtime| match tool.run(runtime, &arguments, &caller, &stop) {
            Ok((value, cut)) => {
                let rows = value.as_array().map_or(0, Vec::len);
                let content = vec![ContentBlock::text(tools::text(&value))];
                let mut result = CallToolResult::success(content);
                result.structured_content = Some(tools::wrapped(value));
                if let Some(cut) = cut {
                    Notice::of_sql(cut).put(&mut result, rows);
                }
                result
            }
            Err(error) => tools::failure(name, &error, Author::Client, &arguments),
        };
        let request = ("tools/call", name, Kind::Sql);
        self.run(context, request, &cancel, None, work, is_error)
            .await
            .map_err(|lost| failure::lost(lost, name))
    }
}

fn is_error(result: &CallToolResult) -> bool {
    result.is_error == Some(true)
}

/// Who calls, as far as the transport tells.
fn caller_of(context: &RequestContext<RoleServer>) -> Caller {
    let Some(parts) = context.extensions.get::<Parts>() else {
        return Caller::default();
    };
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    Caller {
        headers,
        ..Caller::default()
    }
}

const LEVELS: [LoggingLevel; 8] = [
    LoggingLevel::Debug,
    LoggingLevel::Info,
    LoggingLevel::Notice,
    LoggingLevel::Warning,
    LoggingLevel::Error,
    LoggingLevel::Critical,
    LoggingLevel::Alert,
    LoggingLevel::Emergency,
];

/// Methods with parameters that a malformed request may name.
const METHODS: [&str; 13] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "subscriptions/listen",
    "tools/call",
    "tools/list",
];

macro_rules! list {
    ($result:ident, $items:expr, $request:expr) => {{
        let (items, next) = page($items, $request.as_ref(), PAGE_SIZE)?;
        let mut result = $result::with_all_items(items)
            .with_ttl_ms(LIST_TTL)
            .with_cache_scope(CacheScope::Public);
        result.next_cursor = next;
        Ok(result)
    }};
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.descriptors().config.clone()
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = ServerHandler::supported_protocol_versions(self).into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(LIST_TTL)
            .with_cache_scope(CacheScope::Public))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.shared.changes.add(context.peer, &self.watching);
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(changes::accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.shared.changes.listen(&context).await;
        Ok(())
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.store(rank(request.level), Ordering::Relaxed);
        Ok(())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        list!(ListToolsResult, &self.descriptors().lists().tools, request)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.descriptors().tool(name).map(|(tool, _)| tool.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let descriptors = self.descriptors();
        let Some((_, target)) = descriptors.tool(&request.name) else {
            return Err(ErrorData::invalid_params(
                format!("Unknown tool: {}", request.name),
                None,
            ));
        };
        match target {
            Target::Endpoint(index) => {
                self.call_endpoint(&descriptors, index, request, &context)
                    .await
            }
            Target::Sql(tool) => {
                let arguments = request.arguments.unwrap_or_default();
                let result = self.call_sql_tool(tool, arguments, &context).await?;
                Ok(result.into())
            }
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        list!(
            ListResourcesResult,
            &self.descriptors().lists().resources,
            request
        )
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        list!(
            ListResourceTemplatesResult,
            &self.descriptors().lists().templates,
            request
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let manifest = Arc::clone(&self.descriptors().manifest);
        let seal = self.seal("resources/read", &request.uri, &Map::new())?;
        let answers = seal.answers(request.request_state.as_deref(), request.input_responses)?;
        // A resource's kind of body is known only after the match, so any may send messages.
        let (caller, inbox, outbox) = self.caller(&context, None, answers);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let uri = request.uri.clone();
        let work = move |runtime: &Runtime| reading::read(runtime, &manifest, uri, caller, stop);
        let result = self
            .run(
                &context,
                ("resources/read", &request.uri, Kind::Other),
                &cancel,
                inbox,
                work,
                Result::is_err,
            )
            .await
            .map_err(|lost| failure::lost(lost, &request.uri))?;
        if let Some(required) = outbox.and_then(|outbox| outbox.input_required(&seal)) {
            return Ok(required.into());
        }
        Ok(result?.into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        list!(
            ListPromptsResult,
            &self.descriptors().lists().prompts,
            request
        )
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let descriptors = self.descriptors();
        let endpoint = descriptors.prompt(&request.name).ok_or_else(|| {
            ErrorData::invalid_params(format!("Unknown prompt: {}", request.name), None)
        })?;
        let endpoint = endpoint.clone();
        let mut arguments = request.arguments.unwrap_or_default();
        let seal = self.seal("prompts/get", &request.name, &arguments)?;
        let answers = seal.answers(request.request_state.as_deref(), request.input_responses)?;
        // What is missing can be asked for, where the client takes questions between calls.
        let (outbox, _) = Outbox::new(&context, None, answers);
        match prompts::ask_missing(&endpoint, &mut arguments, &outbox) {
            Ok(()) => {}
            Err(prompts::Missing::Asked) => {
                if let Some(required) = outbox.input_required(&seal) {
                    return Ok(required.into());
                }
            }
            Err(prompts::Missing::Declined(why)) => {
                return Err(ErrorData::invalid_params(why, None));
            }
        }
        let caller = caller_of(&context);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let work =
            move |runtime: &Runtime| prompts::get(runtime, &endpoint, arguments, caller, stop);
        let result = self
            .run(
                &context,
                ("prompts/get", &request.name, Kind::Other),
                &cancel,
                None,
                work,
                Result::is_err,
            )
            .await
            .map_err(|lost| failure::lost(lost, &request.name))??;
        Ok(result.into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watching.add(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watching.forget(&request.uri);
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let typing = completion::typing(request)?;
        let declared = declared(&self.manifest().endpoints, &typing)
            .map_err(|what| completion::unknown(&what, &typing))?;
        if let Some(offered) = declared {
            return completion::result(offered);
        }
        let caller = caller_of(&context);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let id = typing.id.clone();
        let work = move |runtime: &Runtime| {
            let offered = runtime.complete(&typing, &caller, &stop);
            offered.map_err(|error| failure::error_data(&error, &typing.id, &Map::new()))
        };
        let request = ("completion/complete", id.as_str(), Kind::Sql);
        let offered = self
            .run(&context, request, &cancel, None, work, Result::is_err)
            .await
            .map_err(|lost| failure::lost(lost, &id))??;
        completion::result(offered)
    }

    // Requests of a known method whose parameters do not fit arrive here, too.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        let modern = context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let other_era = match method.as_str() {
            "initialize" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                modern
            }
            "subscriptions/listen" => !modern,
            _ => false,
        };
        if METHODS.contains(&method.as_str()) && !other_era {
            return Err(ErrorData::invalid_params(
                format!("the parameters of {method} are not valid"),
                None,
            ));
        }
        Err(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            format!("Method not found: {method}"),
            None,
        ))
    }
}
