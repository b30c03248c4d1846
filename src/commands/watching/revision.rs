//! One revision, and its JSON form: `grammar/schema/watch.schema.json`.

use std::time::Duration;

use mxcp_artifact::lock::LOCK_PATH;
use mxcp_artifact::manifest::MANIFEST_PATH;
use mxcp_base::render::to_json;
use mxcp_base::{Diagnostic, Severity};
use mxcp_compiler::Reruns;
use serde_json::{Value, json};

use super::project::Changes;
use crate::commands::output::Failure;
use crate::commands::session::Session;

pub(super) struct Revision {
    /// Counted from 1, which is the first look.
    pub(super) number: u64,
    pub(super) command: &'static str,
    /// Empty in the first one.
    pub(super) changes: Changes,
    pub(super) rechecked: Reruns,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    /// About the watching itself.
    pub(super) note: Option<String>,
}

pub(super) enum Outcome {
    /// There was nothing to check, or no way to.
    Failed(Failure),
    Checked {
        diagnostics: Vec<Diagnostic>,
        failed: bool,
        built: Option<Built>,
    },
    /// Checked, but the result could not be written.
    NotBuilt(Vec<Diagnostic>, Failure),
}

#[derive(Clone, Copy)]
pub(super) struct Built {
    pub(super) endpoints: usize,
    pub(super) manifest_changed: bool,
    pub(super) lock_changed: bool,
}

impl Revision {
    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        match &self.outcome {
            Outcome::Failed(_) => &[],
            Outcome::Checked { diagnostics, .. } | Outcome::NotBuilt(diagnostics, _) => diagnostics,
        }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure) | Outcome::NotBuilt(_, failure) => Some(failure),
            Outcome::Checked { .. } => None,
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Checked { failed: false, .. })
    }

    pub(super) fn to_json(&self, session: &Session) -> Value {
        let diagnostics = self.diagnostics();
        let count = |severity| {
            diagnostics
                .iter()
                .filter(|d| d.severity == severity)
                .count()
        };
        let changed: Vec<Value> = self
            .changes
            .iter()
            .map(|(path, how)| json!({ "path": path, "change": how.as_str() }))
            .collect();
        let Reruns {
            queries,
            bindings,
            files,
            endpoints,
            models,
        } = self.rechecked;
        let mut value = json!({
            "revision": self.number,
            "command": self.command,
            "status": if self.is_ok() { "ok" } else { "error" },
            "changed": changed,
            "rechecked": {
                "endpoints": endpoints,
                "models": models,
                "files": files,
                "bindings": bindings,
                "queries": queries,
            },
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "diagnostics": to_json(diagnostics, &session.sources_of(diagnostics)),
            "duration_ms": milliseconds(self.took),
        });
        if let Some(failure) = self.failure() {
            value["error"] = failure.message.clone().into();
            if let Some(help) = &failure.help {
                value["help"] = help.clone().into();
            }
        }
        if let Outcome::Checked {
            built: Some(built), ..
        } = &self.outcome
        {
            value["built"] = json!({
                "manifest": MANIFEST_PATH,
                "manifest_changed": built.manifest_changed,
                "lock": LOCK_PATH,
                "lock_changed": built.lock_changed,
                "endpoints": built.endpoints,
            });
        }
        if let Some(note) = &self.note {
            value["note"] = note.clone().into();
        }
        value
    }
}

/// With one digit behind the point: more would be noise.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
