//! The binder on DuckDB: a pool of private databases, opened when first needed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mxcp_artifact::RelationName;

use crate::analyze::{self, Parsed};
use crate::bind;
use crate::facts::Facts;
use crate::lineage::{self, Lineage};
use crate::request::{Analysis, BindOutcome, BindRequest, Binder, SqlError, SqlErrorKind};
use crate::slot::Slot;
use crate::tokens::plain_spaces;

/// Raised when the meaning of an outcome changes, so that no cache keeps an old one.
const REVISION: &str = "binder-1";

/// A text taken apart. Most texts are analysed and then bound, so the last few are kept.
struct Text {
    sql: String,
    statements: Vec<Parsed>,
    errors: Vec<SqlError>,
}

const KEPT_TEXTS: usize = 32;

/// How an outcome begins that says more about the machine than about the text.
pub(crate) const NOT_OPENED: &str = "DuckDB could not be opened";

/// Types SQL in private in-memory databases that hold empty relations and reach nothing outside.
pub struct DuckDbBinder {
    engine: String,
    pool: Mutex<Vec<Slot>>,
    facts: OnceLock<Result<Facts, String>>,
    signatures: OnceLock<Vec<crate::Signature>>,
    texts: Mutex<VecDeque<(String, Arc<Text>)>>,
}

impl Default for DuckDbBinder {
    fn default() -> Self {
        Self::new()
    }
}

impl DuckDbBinder {
    /// Opens nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            engine: engine_name(),
            pool: Mutex::new(Vec::new()),
            facts: OnceLock::new(),
            signatures: OnceLock::new(),
            texts: Mutex::new(VecDeque::new()),
        }
    }

    fn text(&self, slot: &Slot, facts: &Facts, sql: &str) -> Arc<Text> {
        let lock = || self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = lock().iter().find(|(s, _)| s == sql) {
            return Arc::clone(text);
        }
        let plain = plain_spaces(sql);
        let (statements, errors) = analyze::parse(slot, facts, &plain);
        let text = Arc::new(Text {
            sql: plain,
            statements,
            errors,
        });
        let mut texts = lock();
        texts.truncate(KEPT_TEXTS - 1);
        texts.push_front((sql.to_owned(), Arc::clone(&text)));
        text
    }

    fn with_slot<T>(&self, work: impl FnOnce(&mut Slot, &Facts) -> T) -> Result<T, String> {
        let kept = self
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        // A slot that panics is dropped on unwinding; one that reports damage is not put back.
        let mut slot = match kept {
            Some(slot) => slot,
            None => Slot::open()?,
        };
        let facts = self
            .facts
            .get_or_init(|| Facts::load(slot.connection()).map_err(|e| e.to_string()))
            .as_ref()
            .map_err(Clone::clone)?;
        let out = work(&mut slot, facts);
        if !slot.poisoned {
            self.pool
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(slot);
        }
        Ok(out)
    }
}

impl Binder for DuckDbBinder {
    fn engine(&self) -> &str {
        &self.engine
    }

    fn analyze(&self, sql: &str) -> Analysis {
        self.with_slot(|slot, facts| {
            let text = self.text(slot, facts, sql);
            Analysis {
                statements: text
                    .statements
                    .iter()
                    .map(|p| p.statement.clone())
                    .collect(),
                errors: text.errors.clone(),
            }
        })
        .unwrap_or_else(|reason| Analysis {
            statements: Vec::new(),
            errors: vec![SqlError {
                kind: SqlErrorKind::Other,
                message: format!("{NOT_OPENED}: {reason}"),
                range: None,
                name: None,
                candidates: Vec::new(),
            }],
        })
    }

    fn bind(&self, request: &BindRequest) -> BindOutcome {
        self.with_slot(|slot, facts| {
            let text = self.text(slot, facts, &request.sql);
            bind::bind(slot, &text.sql, (&text.statements, &text.errors), request)
        })
        .unwrap_or_else(|reason| BindOutcome::opaque(format!("{NOT_OPENED}: {reason}")))
    }

    fn lineage(&self, sql: &str, known: &dyn Fn(&RelationName) -> Option<Vec<String>>) -> Lineage {
        // The slot is given back before `known` is asked: answering may bind other texts.
        let text = self.with_slot(|slot, facts| self.text(slot, facts, sql));
        text.map_or_else(
            |_| Lineage::default(),
            |text| lineage::lineage(&text.statements, known),
        )
    }

    fn functions(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let _ = self.with_slot(|_, _| ());
        match self.facts.get() {
            Some(Ok(facts)) => &facts.functions,
            _ => &NONE,
        }
    }

    fn signatures(&self) -> &[crate::Signature] {
        self.signatures.get_or_init(|| {
            let loaded = self.with_slot(|slot, _| crate::signatures::load(slot.connection()));
            loaded.ok().and_then(Result::ok).unwrap_or_default()
        })
    }
}

/// The engine, its version and the fixed settings.
#[must_use]
pub fn engine_name() -> String {
    format!("duckdb {} {REVISION}", library_version())
}

fn library_version() -> String {
    // SAFETY: returns a static, NUL-terminated string.
    let text = unsafe { std::ffi::CStr::from_ptr(duckdb::ffi::duckdb_library_version()) };
    text.to_string_lossy().into_owned()
}
