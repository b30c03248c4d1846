//! Templates during a run: the same renderer, with a database to ask and a state of the run to read.
//!
//! [`World`] is what does not change between nodes; a [`Live`] is one node's rendering.

mod adapter;
mod calls;
mod link;
mod render;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use minijinja::value::Value;
use mxcp_artifact::RelationName;
use mxcp_artifact::dbt_live::{Batch, RunFacts};
use serde_json::{Map, Value as Json};

pub(super) use adapter::find;
pub(super) use calls::{call, plain};
pub(crate) use link::Link;
pub(crate) use link::with_link;
pub(crate) use render::{Output, Rendering, evaluate, render_live};

use super::macros::MacroSet;
use super::relation::Relation;
use super::render::{Resolved, Target};
use super::session::{RefKey, SourceKey};

/// The relations that a materialisation says it made.
pub(crate) fn relations_of(value: &Value) -> Vec<RelationName> {
    let list = value.get_attr("relations").unwrap_or_default();
    let items = list.try_iter().into_iter().flatten();
    items
        .filter_map(|item| Some(item.downcast_object_ref::<Relation>()?.name()))
        .collect()
}

/// The result of a macro as data.
pub(crate) fn json_value(value: &Value) -> Json {
    match super::statics::json_of(value) {
        Some(json) => json,
        None => Json::String(value.to_string()),
    }
}

/// What a `ref` leads to during a run.
#[derive(Clone, Debug)]
pub(crate) struct LiveRef {
    pub(crate) resolved: Resolved,
    pub(crate) unique_id: String,
    /// By which a microbatch reads it.
    pub(crate) event_time: Option<String>,
}

/// What a `source` leads to during a run.
#[derive(Clone, Debug)]
pub(crate) struct LiveSource {
    pub(crate) relation: RelationName,
    /// The text that stands for it where it is read elsewhere.
    pub(crate) location: Option<String>,
    pub(crate) event_time: Option<String>,
}

/// The project as templates of a run see it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) macros: MacroSet,
    pub(crate) target: Target,
    /// Variables by package.
    pub(crate) vars: BTreeMap<String, Map<String, Json>>,
    /// By package and name; without a package, what a bare name means in any.
    pub(crate) refs: BTreeMap<RefKey, LiveRef>,
    pub(crate) sources: BTreeMap<SourceKey, LiveSource>,
    /// dbt's `graph`.
    pub(crate) graph: OnceLock<Json>,
    pub(crate) docs: BTreeMap<String, String>,
}

impl World {
    /// What `ref` means in a template of `from`: the root project's node, then the package's own,
    /// then any.
    pub(crate) fn resolve(&self, from: &str, key: &RefKey) -> Option<&LiveRef> {
        if key.0.is_some() {
            return self.refs.get(key);
        }
        let root = self.macros.root_package().to_owned();
        [Some(root), Some(from.to_owned()), None]
            .into_iter()
            .find_map(|package| self.refs.get(&(package, key.1.clone())))
    }

    pub(crate) fn vars_for(&self, package: &str) -> Map<String, Json> {
        let root = || self.vars.get(self.macros.root_package());
        self.vars
            .get(package)
            .or_else(root)
            .cloned()
            .unwrap_or_default()
    }
}

/// Inputs of a unit test in the place of what the template would read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaced {
    /// Names of common table expressions.
    pub(crate) refs: BTreeMap<RefKey, String>,
    pub(crate) sources: BTreeMap<SourceKey, String>,
    pub(crate) this: Option<String>,
    /// Results of macros, by name.
    pub(crate) macros: BTreeMap<String, Json>,
    pub(crate) vars: BTreeMap<String, Json>,
    pub(crate) env_vars: BTreeMap<String, String>,
    pub(crate) on: bool,
}

/// One rendering during a run.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) world: Arc<World>,
    pub(super) link: Arc<Link>,
    pub(super) run: RunFacts,
    pub(super) batch: Option<Batch>,
    pub(super) replaced: Replaced,
    /// The database of the connection.
    pub(super) database: String,
    results: Mutex<BTreeMap<String, Value>>,
    /// Rows changed by the statement `main`.
    changed: Mutex<Option<u64>>,
}

impl Live {
    pub(super) fn results(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) -> MutexGuard<'_, Option<u64>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
