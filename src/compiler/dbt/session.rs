//! One rendering: the facts a template may read, what it did, and why it stopped.
//!
//! Nothing here reaches outside: relations are looked up before rendering, and a lookup that is
//! missing stops the template so that [`super::render`] can supply it and start again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};
use mxcp_artifact::RelationName;
use serde_json::{Map, Value as Json};

use super::live::Live;
use super::macros::MacroSet;
use super::relation::Relation;
use super::render::{Resolved, Target};

/// Package and name of a `ref`.
pub(super) type RefKey = (Option<String>, String);
/// Source and table.
pub(super) type SourceKey = (String, String);

/// How deep macros may call each other. Each level is a frame of the template engine on our stack.
const MAX_DEPTH: usize = 40;
/// A run has a stack of its own.
const MAX_LIVE_DEPTH: usize = 300;
/// Instructions of all macro calls of one rendering together.
const MAX_FUEL: u64 = 20_000_000;

/// What a template may read. Fixed for all attempts of one rendering.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) package: String,
    pub(super) this: Option<RelationName>,
    pub(super) config: Map<String, Json>,
    pub(super) vars: Map<String, Json>,
    pub(super) target: Target,
    pub(super) macros: MacroSet,
    pub(super) model: Json,
    /// Further names, such as the arguments of a test.
    pub(super) extra: BTreeMap<String, Json>,
    /// Variables of the environment that are known.
    pub(super) env: BTreeMap<String, String>,
    /// Only configuration and references are wanted, as in dbt's first reading: `execute` is false.
    pub(super) parsing: bool,
}

/// What is known before an attempt, growing from one to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) refs: BTreeMap<RefKey, Resolved>,
    pub(super) sources: BTreeMap<SourceKey, Resolved>,
    /// Mistakes already reported, assumed away to find the next ones.
    pub(super) assumed: BTreeSet<Assumed>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Assumed {
    Name(String),
    Var(String),
    Env(String),
    Path(String),
}

/// Why an attempt stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Ref(RefKey),
    Source(SourceKey),
    MissingVar(String),
    MissingEnv(String),
    Unsupported {
        path: String,
        help: Option<String>,
    },
    Undefined {
        name: String,
        via: Option<String>,
    },
    /// `exceptions.raise_compiler_error`.
    Raised {
        message: String,
    },
    Failed {
        message: String,
    },
}

/// What an attempt did.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) refs: BTreeSet<RefKey>,
    pub(super) sources: BTreeSet<SourceKey>,
    pub(super) config: Map<String, Json>,
    pub(super) dynamic: Option<String>,
    /// The output may differ at run time, though it is known what it is now.
    pub(super) live: bool,
    /// Unique ids of ephemeral nodes, in the order of reference.
    pub(super) inlined: Vec<String>,
    pub(super) stop: Option<Stop>,
    /// Names the template itself read that mean nothing.
    pub(super) unknown: BTreeSet<String>,
    pub(super) returned: Option<Value>,
    /// Unique ids of the macros that the template itself calls.
    pub(super) macros: BTreeSet<String>,
    pub(super) depth: usize,
    pub(super) fuel: u64,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) facts: Arc<Facts>,
    pub(super) known: Known,
    /// Of a run.
    pub(super) live: Option<Arc<Live>>,
    log: Mutex<Log>,
}

impl Session {
    pub(super) fn new(facts: Arc<Facts>, known: Known) -> Arc<Self> {
        Arc::new(Self {
            facts,
            known,
            live: None,
            log: Mutex::new(Log::default()),
        })
    }

    /// A session of a run, which asks the database and is not repeated.
    pub(super) fn live(facts: Arc<Facts>, live: Arc<Live>) -> Arc<Self> {
        Arc::new(Self {
            facts,
            known: Known::default(),
            live: Some(live),
            log: Mutex::new(Log::default()),
        })
    }

    /// A relation as the templates of this rendering see it.
    pub(super) fn relation(&self, name: RelationName) -> Relation {
        let target = &self.facts.target;
        let own = target.is_named.then_some(target.database.as_str());
        let relation = Relation::of(name, &target.database).within(own);
        Relation {
            plain: target.plain,
            ..relation
        }
    }

    /// Notes a macro that is called, where no other macro calls it.
    pub(super) fn calls(&self, package: &str, name: &str) {
        let mut log = self.log();
        if log.depth == 0 {
            let id = super::global::macro_id(package, name);
            log.macros.insert(id);
        }
    }

    /// How deep macros may call each other.
    pub(super) fn max_depth(&self) -> usize {
        match self.live {
            Some(_) => MAX_LIVE_DEPTH,
            None => MAX_DEPTH,
        }
    }

    /// The output may be another one when it is rendered during a run.
    pub(super) fn changes(&self) {
        self.log().live = true;
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn assumes(&self, assumed: &Assumed) -> bool {
        self.known.assumed.contains(assumed)
    }

    pub(super) fn unknown(&self, name: &str) {
        let mut log = self.log();
        if log.depth == 0 {
            log.unknown.insert(name.to_owned());
        }
    }

    /// Stops the attempt. The first reason stays.
    pub(super) fn stop(&self, stop: Stop) -> Error {
        self.log().stop.get_or_insert(stop);
        Error::new(ErrorKind::InvalidOperation, "stopped")
    }

    pub(super) fn unsupported(&self, path: &str, help: &str) -> Error {
        self.stop(Stop::Unsupported {
            path: path.to_owned(),
            help: (!help.is_empty()).then(|| help.to_owned()),
        })
    }

    /// The output depends on something only a run can tell.
    pub(super) fn dynamic(&self, why: impl Into<String>) {
        self.log().dynamic.get_or_insert_with(|| why.into());
    }

    pub(super) fn spend(&self, fuel: u64) -> Result<(), Error> {
        let spent = {
            let mut log = self.log();
            log.fuel = log.fuel.saturating_add(fuel);
            log.fuel
        };
        if spent > MAX_FUEL {
            return Err(self.stop(Stop::Failed {
                message: "the template runs too long".to_owned(),
            }));
        }
        Ok(())
    }
}
