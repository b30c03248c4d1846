//! The database trait that every query takes, and the one database of production.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use mxcp_base::{Content, FileSet, SourceFile, files};
use mxcp_catalog::Binder;
use salsa::Durability;

use crate::documents::{DocumentKind, document_kind};
use crate::inputs::{Environment, Settings, set_environment, set_profile};
use crate::surface;

#[salsa::db]
pub trait Db: salsa::Database {
    /// The SQL authority. Not salsa state: its answers are a function of the request alone.
    fn binder(&self) -> &dyn Binder;
}

type EventLog = Arc<Mutex<Events>>;

#[derive(Default)]
struct Events {
    /// The queries that ran.
    ran: Vec<String>,
    /// How many known answers were found to hold still.
    held: usize,
}
/// How much ran again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reruns {
    pub queries: usize,
    /// Statements that were bound, however many endpoints share them.
    pub bindings: usize,
    /// The files that were checked, and how many of them are endpoints and models.
    pub files: usize,
    pub endpoints: usize,
    pub models: usize,
}

/// The compiler's database. `storage` is last so that the other handles are dropped before it.
#[salsa::db]
#[derive(Clone)]
pub struct CompilerDatabase {
    binder: Arc<dyn Binder>,
    events: Option<EventLog>,
    /// What was collected last, in a database that is edited.
    settled: Option<surface::Collected>,
    storage: salsa::Storage<Self>,
}

#[salsa::db]
impl salsa::Database for CompilerDatabase {}

#[salsa::db]
impl Db for CompilerDatabase {
    fn binder(&self) -> &dyn Binder {
        self.binder.as_ref()
    }
}

impl CompilerDatabase {
    pub fn new(binder: Arc<dyn Binder>) -> Self {
        let mut db = Self {
            binder,
            events: None,
            settled: None,
            storage: salsa::Storage::new(None),
        };
        db.prepare();
        db
    }

    /// A database that remembers which queries ran, for tests of incrementality.
    pub fn with_event_log(binder: Arc<dyn Binder>) -> Self {
        let events = EventLog::default();
        let log = events.clone();
        let mut db = Self {
            binder,
            events: Some(events),
            settled: None,
            storage: salsa::Storage::new(Some(Box::new(move |event| {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                match event.kind {
                    salsa::EventKind::WillExecute { database_key } => {
                        log.ran.push(format!("{database_key:?}"));
                    }
                    salsa::EventKind::DidValidateMemoizedValue { .. } => log.held += 1,
                    _ => {}
                }
            }))),
        };
        db.prepare();
        db
    }

    /// The engine, for another database over the same project.
    pub fn shared_binder(&self) -> Arc<dyn Binder> {
        self.binder.clone()
    }

    fn prepare(&mut self) {
        FileSet::prepare(self);
        let _ = Settings::builder(None, Environment::default())
            .durability(Durability::HIGH)
            .new(self);
        surface::prepare(self);
    }

    /// From now on each change settles the facts that files share, so that the work after an edit does
    /// not grow with the project. To be called before anything is checked.
    pub fn expect_edits(&mut self) {
        self.settled.get_or_insert_default();
        self.settle();
    }

    fn settle(&mut self) {
        let Some(mut last) = self.settled.take() else {
            return;
        };
        // As many rounds as facts are built on each other, at most.
        let settled = catch_unwind(AssertUnwindSafe(|| {
            while surface::settle_once(self, &mut last) {}
        }));
        if settled.is_err() {
            // A bug in one of the queries. Nothing is settled then, and whoever asks it meets it.
            surface::clear(self);
            last = surface::Collected::default();
        }
        self.settled = Some(last);
    }

    /// The queries that ran since the last call, as `query(Id(n))`.
    pub fn take_events(&self) -> Vec<String> {
        self.take_work().0
    }

    /// The queries that ran since the last call, and how many other answers had to be looked at to find
    /// that they still hold.
    pub fn take_work(&self) -> (Vec<String>, usize) {
        let Some(log) = &self.events else {
            return (Vec::new(), 0);
        };
        let Events { ran, held } =
            std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        (ran, held)
    }

    /// [`Self::take_events`], counted.
    pub fn take_reruns(&self) -> Reruns {
        let events = self.take_events();
        let mut reruns = Reruns {
            queries: events.len(),
            ..Reruns::default()
        };
        let mut checked = HashSet::new();
        for event in &events {
            let (query, key) = event.split_once('(').unwrap_or((event, ""));
            match query {
                "check_file" => {
                    checked.insert(key.trim_end_matches(')'));
                }
                "bind_query" => reruns.bindings += 1,
                _ => {}
            }
        }
        if checked.is_empty() {
            return reruns;
        }
        for file in FileSet::get(self).files(self).values() {
            let key = format!("{:?}", salsa::plumbing::AsId::as_id(file));
            if !checked.contains(key.trim_end_matches(')')) {
                continue;
            }
            reruns.files += 1;
            match document_kind(self, *file) {
                DocumentKind::Endpoint(_) => reruns.endpoints += 1,
                DocumentKind::DbtModel => reruns.models += 1,
                _ => {}
            }
        }
        reruns
    }

    /// Brings the sources in line with a reading of the project; returns the changed paths.
    pub fn sync_files(&mut self, current: BTreeMap<String, Content>) -> Vec<String> {
        let changed = files::sync(self, current);
        if !changed.is_empty() {
            self.settle();
        }
        changed
    }

    pub fn file(&self, path: &str) -> Option<SourceFile> {
        FileSet::get(self).files(self).get(path).copied()
    }

    /// Changes one known file's text. It is expected to change again: what does not depend on it is
    /// not even looked at.
    pub fn set_text(&mut self, path: &str, text: &str) {
        if let Some(file) = self.file(path)
            && files::edit(self, file, text)
        {
            self.settle();
        }
    }

    /// Expects one known file to be edited with [`Self::set_text`]: its first edit is then as quick as
    /// the next ones.
    pub fn open_file(&mut self, path: &str) {
        if let Some(file) = self.file(path) {
            files::open(self, file);
            self.settle();
        }
    }

    /// Chooses a profile, or the site file's own.
    pub fn set_profile(&mut self, profile: Option<String>) {
        set_profile(self, profile);
        self.settle();
    }

    /// Says what is known of the world outside.
    pub fn set_environment(&mut self, environment: Environment) {
        set_environment(self, environment);
        self.settle();
    }
}
