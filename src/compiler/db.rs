//! The database trait that every query takes, and the one database of production.

use std::sync::{Arc, Mutex, PoisonError};

use mxcp_base::{Content, FileSet, SourceFile, files};
use mxcp_catalog::Binder;

use crate::inputs::{Environment, Settings};

#[salsa::db]
pub trait Db: salsa::Database {
    /// The SQL authority. Not salsa state: its answers are a function of the request alone.
    fn binder(&self) -> &dyn Binder;
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

    /// The engine, for another database over the same project.
    pub fn shared_binder(&self) -> Arc<dyn Binder> {
        self.binder.clone()
    }

    fn prepare(&mut self) {
        FileSet::new(self, std::collections::BTreeMap::new());
        Settings::new(self, None, Environment::default());
    }

    /// The queries that ran since the last call, as `query(Id(n))`.
    pub fn take_events(&self) -> Vec<String> {
        match &self.events {
            Some(log) => std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Vec::new(),
        }
    }

    /// Brings the sources in line with a reading of the project; returns the changed paths.
    pub fn sync_files(
        &mut self,
        current: std::collections::BTreeMap<String, Content>,
    ) -> Vec<String> {
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
