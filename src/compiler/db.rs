//! The database trait that every query takes, and the one database of production.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mxcp_base::{Content, FileSet, SourceFile, files};
use mxcp_catalog::Binder;

use crate::documents::{DocumentKind, document_kind};
use crate::inputs::{Environment, Settings};

#[salsa::db]
pub trait Db: salsa::Database {
    /// The SQL authority. Not salsa state: its answers are a function of the request alone.
    fn binder(&self) -> &dyn Binder;
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

type EventLog = Arc<Mutex<Vec<String>>>;

/// The compiler's database. `storage` is last so that the other handles are dropped before it.
#[salsa::db]
#[derive(Clone)]
pub struct CompilerDatabase {
    binder: Arc<dyn Binder>,
    events: Option<EventLog>,
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
            storage: salsa::Storage::new(Some(Box::new(move |event| {
                if let salsa::EventKind::WillExecute { database_key } = event.kind {
                    log.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(format!("{database_key:?}"));
                }
            }))),
        };
        db.prepare();
        db
    }

    fn prepare(&mut self) {
        FileSet::new(self, BTreeMap::new(), BTreeMap::new());
        Settings::new(self, None, Environment::default());
    }

    /// The queries that ran since the last call, as `query(Id(n))`.
    pub fn take_events(&self) -> Vec<String> {
        match &self.events {
            Some(log) => std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Vec::new(),
        }
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
        files::sync(self, current)
    }

    pub fn file(&self, path: &str) -> Option<SourceFile> {
        FileSet::get(self).files(self).get(path).copied()
    }

    /// Changes one known file's text.
    pub fn set_text(&mut self, path: &str, text: &str) {
        if let Some(file) = self.file(path) {
            files::set_content(self, file, Content::Text(text.into()));
        }
    }
}
