//! One loaded manifest with everything compiled that its endpoints need. It never changes: a call
//! sees one artifact from start to end, whatever is loaded meanwhile.
//!
//! An endpoint is compiled when it is first called, so that starting does not grow with the project.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use mxcp_artifact::{Body, Endpoint, EndpointKind, Manifest};
use serde_json::{Map, Value};

use crate::input::Inputs;
use crate::output::Output;
use crate::policy::PolicySet;
use crate::prompts::Prompt;
use crate::resources;

/// A manifest and its compiled endpoints.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) manifest: Arc<Manifest>,
    endpoints: Vec<OnceLock<Compiled>>,
    by_id: HashMap<(EndpointKind, String), usize>,
    /// The policies of the built-in SQL tools that have any.
    sql_tools: HashMap<String, PolicySet>,
}

/// What one endpoint needs beyond its declaration.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) inputs: Inputs,
    pub(crate) output: Option<Output>,
    pub(crate) policies: PolicySet,
    pub(crate) prompt: Option<Prompt>,
}

impl Artifact {
    pub(crate) fn new(manifest: Arc<Manifest>) -> Self {
        let endpoints = manifest.endpoints.iter().map(|_| OnceLock::new()).collect();
        let mut by_id = HashMap::new();
        for (i, endpoint) in manifest.endpoints.iter().enumerate() {
            // An id wins over a resource's optional name.
            for id in endpoint.name.as_deref().into_iter().chain([endpoint.id()]) {
                by_id.insert((endpoint.kind, id.to_owned()), i);
            }
        }
        let sql_tools = manifest.project.sql_tools.tools.iter();
        let sql_tools = sql_tools
            .filter(|(_, tool)| !tool.policies.is_empty())
            .map(|(name, tool)| (name.clone(), PolicySet::new(&tool.policies)))
            .collect();
        Self {
            manifest,
            endpoints,
            by_id,
            sql_tools,
        }
    }

    pub(crate) fn sql_tool_policies(&self, name: &str) -> Option<&PolicySet> {
        self.sql_tools.get(name)
    }

    /// An endpoint by its id, its name or, for resources, a concrete URI, whose values come along.
    pub(crate) fn find(
        &self,
        kind: EndpointKind,
        id: &str,
    ) -> Option<(&Endpoint, &Compiled, Map<String, Value>)> {
        if let Some(i) = self.by_id.get(&(kind, id.to_owned())) {
            let (endpoint, compiled) = self.at(*i)?;
            return Some((endpoint, compiled, Map::new()));
        }
        if kind != EndpointKind::Resource {
            return None;
        }
        let (endpoint, values) = resources::resolve(&self.manifest, id)?;
        let i = self.by_id.get(&(kind, endpoint.id().to_owned()))?;
        let (endpoint, compiled) = self.at(*i)?;
        Some((endpoint, compiled, values))
    }

    fn at(&self, index: usize) -> Option<(&Endpoint, &Compiled)> {
        let endpoint = self.manifest.endpoints.get(index)?;
        let compiled = self.endpoints.get(index)?;
        Some((endpoint, compiled.get_or_init(|| Compiled::new(endpoint))))
    }
}

impl Compiled {
    fn new(endpoint: &Endpoint) -> Self {
        let prompt = match &endpoint.body {
            Body::Prompt(body) => Some(Prompt::new(body)),
            Body::Sql(_) | Body::Python(_) => None,
        };
        // The result of a prompt is its messages, whatever a `return` may say.
        let returns = endpoint.returns.as_ref().filter(|_| prompt.is_none());
        Self {
            inputs: Inputs::new(&endpoint.parameters),
            output: returns.map(Output::new),
            policies: PolicySet::new(&endpoint.policies),
            prompt,
        }
    }
}
