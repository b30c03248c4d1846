//! What selectors speak of: nodes, the sources they read and the exposures that read them.

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{Exposure, Materialization, Node, NodeKind, NodeSpec, Source};
use serde_json::Value;

#[derive(Clone, Copy, Debug)]
pub enum Resource<'g> {
    Node(&'g Node),
    Source(&'g Source),
    Exposure(&'g Exposure),
}

impl<'g> Resource<'g> {
    pub fn unique_id(self) -> &'g str {
        match self {
            Self::Node(node) => &node.unique_id,
            Self::Source(source) => &source.unique_id,
            Self::Exposure(exposure) => &exposure.unique_id,
        }
    }

    pub fn name(self) -> &'g str {
        match self {
            Self::Node(node) => &node.name,
            Self::Source(source) => &source.name,
            Self::Exposure(exposure) => &exposure.name,
        }
    }

    pub fn package(self) -> &'g str {
        match self {
            Self::Node(node) => &node.package,
            Self::Source(source) => &source.package,
            Self::Exposure(exposure) => &exposure.package,
        }
    }

    pub fn path(self) -> &'g str {
        match self {
            Self::Node(node) => &node.path,
            Self::Source(source) => &source.path,
            Self::Exposure(exposure) => &exposure.path,
        }
    }

    pub fn fqn(self) -> &'g [String] {
        match self {
            Self::Node(node) => &node.fqn,
            Self::Source(source) => &source.fqn,
            Self::Exposure(exposure) => &exposure.fqn,
        }
    }

    pub fn tags(self) -> &'g [String] {
        match self {
            Self::Node(node) => &node.tags,
            Self::Source(source) => &source.tags,
            Self::Exposure(exposure) => &exposure.tags,
        }
    }

    pub fn depends_on(self) -> &'g [String] {
        match self {
            Self::Node(node) => &node.depends_on,
            Self::Source(_) => &[],
            Self::Exposure(exposure) => &exposure.depends_on,
        }
    }

    /// dbt's word: `model`, `source`, …
    pub fn kind(self) -> &'static str {
        match self {
            Self::Node(node) => node.kind().as_str(),
            Self::Source(_) => "source",
            Self::Exposure(exposure) => match exposure.unique_id.split('.').next() {
                Some("metric") => "metric",
                Some("semantic_model") => "semantic_model",
                Some("saved_query") => "saved_query",
                _ => "exposure",
            },
        }
    }

    pub fn node(self) -> Option<&'g Node> {
        match self {
            Self::Node(node) => Some(node),
            _ => None,
        }
    }

    pub fn relation(self) -> Option<&'g RelationName> {
        match self {
            Self::Node(node) => node.kept(),
            Self::Source(source) => Some(&source.relation),
            Self::Exposure(_) => None,
        }
    }

    /// The name of its materialisation, for the words of the log.
    pub fn materialized(self) -> &'g str {
        match self.node().map(|node| &node.spec) {
            Some(NodeSpec::Model(model)) => model.materialized.as_str(),
            Some(NodeSpec::Seed(_)) => "seed",
            Some(NodeSpec::Snapshot(_)) => "snapshot",
            Some(NodeSpec::Test(_)) => "test",
            Some(NodeSpec::UnitTest(_)) => "unit",
            Some(NodeSpec::Analysis) => "view",
            None => self.kind(),
        }
    }

    pub(crate) fn is_test(self) -> bool {
        self.node()
            .is_some_and(|node| matches!(node.kind(), NodeKind::Test | NodeKind::UnitTest))
    }

    /// Inlined in what reads it, so never run.
    pub(crate) fn is_ephemeral(self) -> bool {
        matches!(
            self.node().map(|node| &node.spec),
            Some(NodeSpec::Model(model)) if model.materialized == Materialization::Ephemeral
        )
    }

    /// The version of a versioned model.
    pub fn version(self) -> Option<String> {
        let node = self.node()?;
        if let NodeSpec::Model(model) = &node.spec
            && let Some(version) = &model.version
        {
            return Some(plain(&version.number));
        }
        let rest = node.unique_id.strip_prefix("model.")?;
        let (_, rest) = rest.split_once('.')?;
        let version = rest.strip_prefix(node.name.as_str())?.strip_prefix(".v")?;
        (!version.is_empty()).then(|| version.to_owned())
    }

    /// What `--select` would call it: `dbt ls` prints this.
    pub fn selector(self) -> String {
        match self {
            Self::Source(source) => {
                format!(
                    "source:{}.{}.{}",
                    source.package, source.source, source.name
                )
            }
            Self::Exposure(exposure) => {
                format!("{}:{}.{}", self.kind(), exposure.package, exposure.name)
            }
            Self::Node(node) if node.kind() == NodeKind::UnitTest => {
                format!("unit_test:{}.{}", node.package, node.name)
            }
            Self::Node(node) => node.fqn.join("."),
        }
    }

    /// The name that `dbt ls --output name` prints.
    pub fn search_name(self) -> String {
        match (self, self.version()) {
            (Self::Source(source), _) => format!("{}.{}", source.source, source.name),
            (_, Some(version)) => format!("{}.v{version}", self.name()),
            _ => self.name().to_owned(),
        }
    }
}

pub(crate) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
