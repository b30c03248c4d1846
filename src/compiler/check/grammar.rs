//! `grammar/cel.yml`: what a condition may use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use mxcp_artifact::Action;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Grammar {
    pub(super) positions: BTreeMap<String, Position>,
    pub(super) user: User,
    pub(super) response: Response,
    pub(super) type_names: BTreeSet<String>,
    pub(super) macros: BTreeMap<String, serde_yaml::Value>,
    pub(super) functions: BTreeMap<String, Vec<Overload>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Position {
    pub(super) names: Vec<String>,
    pub(super) actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) open: bool,
    pub(super) fields: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Response {
    pub(super) prompt_message: BTreeMap<String, String>,
}

/// One form of a function: the types each argument may have.
#[derive(Debug, Deserialize)]
pub(super) struct Overload {
    #[serde(default)]
    pub(super) receiver: Option<Vec<String>>,
    pub(super) args: Vec<Vec<String>>,
    pub(super) returns: String,
}

pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("../../../grammar/cel.yml"))
        .expect("grammar/cel.yml has the documented shape")
});
