//! A binder that remembers: what was asked in an earlier process is answered without the engine.
//!
//! An answer depends on the engine and the request alone, so their digest is its name. Nothing here
//! knows where answers are kept; what cannot be read back is asked again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::RefUnwindSafe;

use mxcp_artifact::{Digest, RelationName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::binder::NOT_OPENED;
use crate::lineage::Lineage;
use crate::request::{Analysis, BindOutcome, BindRequest, Binder};

/// Answers by name, kept beyond the process. It may forget, and must not make anything up.
pub trait Memory: Send + Sync + RefUnwindSafe {
    fn recall(&self, name: &Digest) -> Option<String>;
    fn keep(&self, name: &Digest, answer: String);
}

impl<M: Memory> Memory for std::sync::Arc<M> {
    fn recall(&self, name: &Digest) -> Option<String> {
        (**self).recall(name)
    }

    fn keep(&self, name: &Digest, answer: String) {
        (**self).keep(name, answer);
    }
}

/// Asks `inner` only what `memory` does not know.
pub struct CachedBinder<B, M> {
    inner: B,
    memory: M,
}

/// Which columns the lineage asked for, with the answers it got, and what came of them.
#[derive(Serialize, Deserialize)]
struct Traced {
    asked: Vec<(RelationName, Option<Vec<String>>)>,
    lineage: Lineage,
}

impl<B: Binder, M: Memory> CachedBinder<B, M> {
    pub fn new(inner: B, memory: M) -> Self {
        Self { inner, memory }
    }

    fn name(&self, kind: &str, request: &impl Serialize) -> Option<Digest> {
        let text = serde_json::to_vec(&(self.inner.engine(), kind, request)).ok()?;
        Some(Digest::of(text))
    }

    fn recall<T: DeserializeOwned>(&self, name: &Digest) -> Option<T> {
        serde_json::from_str(&self.memory.recall(name)?).ok()
    }

    fn keep(&self, name: &Digest, answer: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(answer) {
            self.memory.keep(name, text);
        }
    }

    fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        name: Option<Digest>,
        lasting: impl Fn(&T) -> bool,
        ask: impl FnOnce() -> T,
    ) -> T {
        let Some(name) = name else {
            return ask();
        };
        if let Some(known) = self.recall(&name) {
            return known;
        }
        let answer = ask();
        if lasting(&answer) {
            self.keep(&name, &answer);
        }
        answer
    }
}

impl<B: Binder, M: Memory> Binder for CachedBinder<B, M> {
    fn engine(&self) -> &str {
        self.inner.engine()
    }

    fn analyze(&self, sql: &str) -> Analysis {
        let opened = |a: &Analysis| !a.errors.iter().any(|e| e.message.starts_with(NOT_OPENED));
        self.remembered(self.name("analysis", &sql), opened, || {
            self.inner.analyze(sql)
        })
    }

    fn bind(&self, request: &BindRequest) -> BindOutcome {
        let opened = |outcome: &BindOutcome| !matches!(outcome, BindOutcome::Opaque { reason } if reason.starts_with(NOT_OPENED));
        self.remembered(self.name("bind", request), opened, || {
            self.inner.bind(request)
        })
    }

    fn lineage(&self, sql: &str, known: &dyn Fn(&RelationName) -> Option<Vec<String>>) -> Lineage {
        let Some(name) = self.name("lineage", &sql) else {
            return self.inner.lineage(sql, known);
        };
        // The same answers to the same questions lead to the same end.
        if let Some(traced) = self.recall::<Traced>(&name)
            && traced
                .asked
                .iter()
                .all(|(relation, columns)| known(relation) == *columns)
        {
            return traced.lineage;
        }
        let asked = RefCell::new(Vec::new());
        let lineage = self.inner.lineage(sql, &|relation| {
            let columns = known(relation);
            asked.borrow_mut().push((relation.clone(), columns.clone()));
            columns
        });
        let traced = Traced {
            asked: asked.into_inner(),
            lineage,
        };
        // Nothing at all is also what an engine says that could not be opened.
        if traced.lineage != Lineage::default() {
            self.keep(&name, &traced);
        }
        traced.lineage
    }

    fn functions(&self) -> &BTreeSet<String> {
        self.inner.functions()
    }

    fn signatures(&self) -> &[crate::Signature] {
        self.inner.signatures()
    }
}
