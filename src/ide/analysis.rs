//! The database of an open project, and snapshots of it.
//!
//! One thread owns the host. A change cancels all snapshots and waits until they are gone, so a
//! thread must never change the host while it holds a snapshot.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use mxcp_base::{Content, Diagnostic, FileSet, SourceFile};
use mxcp_compiler::diagnostics::project_diagnostics;
use mxcp_compiler::inputs::{Environment, Settings, set_environment, set_profile};
use mxcp_compiler::site::SITE_FILE;
use mxcp_compiler::{CompilerDatabase, Db};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The project changed meanwhile: ask again.
    Changed,
    /// Whoever asked is not interested any more.
    Withdrawn,
    /// A bug; the text is for the log.
    Panicked(String),
}

/// All diagnostics of a project by file, those of the project itself at its site file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectDiagnostics {
    pub by_file: BTreeMap<String, Vec<Diagnostic>>,
}

#[derive(Debug, Default)]
struct Memo(Mutex<Option<(u64, Arc<ProjectDiagnostics>)>>);

/// The one owner of a project's database.
pub struct AnalysisHost {
    db: CompilerDatabase,
    /// Counts changes, so that answers can be told from stale ones.
    revision: u64,
    memo: Arc<Memo>,
}

impl AnalysisHost {
    pub fn new(db: CompilerDatabase) -> Self {
        Self {
            db,
            revision: 0,
            memo: Arc::default(),
        }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The database, for questions of the owner.
    pub fn db(&self) -> &CompilerDatabase {
        &self.db
    }

    pub fn snapshot(&self) -> Analysis {
        Analysis {
            db: self.db.clone(),
            revision: self.revision,
            memo: self.memo.clone(),
        }
    }

    /// Changes one known file; `false` when there is no such file.
    pub fn set_text(&mut self, path: &str, text: &str) -> bool {
        let Some(file) = self.db.file(path) else {
            return false;
        };
        if file.content(&self.db) != &Content::Text(text.into()) {
            self.db.set_text(path, text);
            self.revision += 1;
        }
        true
    }

    /// Brings all files in line with a reading of the project; returns the changed paths.
    pub fn sync(&mut self, files: BTreeMap<String, Content>) -> Vec<String> {
        let changed = self.db.sync_files(files);
        if !changed.is_empty() {
            self.revision += 1;
        }
        changed
    }

    pub fn set_environment(&mut self, environment: Environment) {
        set_environment(&mut self.db, environment);
        self.revision += 1;
    }
}

/// Withdraws one snapshot's questions.
#[derive(Clone)]
pub struct CancelHandle(salsa::CancellationToken);

impl CancelHandle {
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// A project at one moment.
pub struct Analysis {
    db: CompilerDatabase,
    revision: u64,
    memo: Arc<Memo>,
}

impl Analysis {
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle(salsa::Database::cancellation_token(&self.db))
    }

    /// Runs a question. A change of the project and a bug both end it, and the caller lives.
    pub fn with<T>(&self, question: impl FnOnce(&dyn Db) -> T) -> Result<T, Cancelled> {
        guarded(|| question(&self.db))
    }

    pub fn file(&self, path: &str) -> Option<SourceFile> {
        self.db.file(path)
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        match self.file(path)?.content(&self.db) {
            Content::Text(text) => Some(text),
            Content::Missing | Content::Unreadable(_) => None,
        }
    }

    pub fn paths(&self) -> Vec<String> {
        FileSet::get(&self.db)
            .files(&self.db)
            .keys()
            .cloned()
            .collect()
    }

    /// The diagnostics of the whole project; found out once for each state of it.
    pub fn diagnostics(&self) -> Result<Arc<ProjectDiagnostics>, Cancelled> {
        if let Some((revision, known)) = &*self.lock()
            && *revision == self.revision
        {
            return Ok(known.clone());
        }
        let found = self.with(project_diagnostics)?;
        let mut grouped = ProjectDiagnostics::default();
        for diagnostic in found {
            let file = match diagnostic.primary.file.as_str() {
                "" => SITE_FILE,
                file => file,
            };
            grouped
                .by_file
                .entry(file.to_owned())
                .or_default()
                .push(diagnostic);
        }
        let grouped = Arc::new(grouped);
        *self.lock() = Some((self.revision, grouped.clone()));
        Ok(grouped)
    }

    /// The project's diagnostics as they would be with other texts: nothing of this project changes.
    pub fn rehearse(&self, files: BTreeMap<String, Content>) -> Result<Vec<Diagnostic>, Cancelled> {
        let settings = Settings::get(&self.db);
        let mut db = CompilerDatabase::new(self.db.shared_binder());
        db.sync_files(files);
        set_profile(&mut db, settings.profile(&self.db).clone());
        set_environment(&mut db, settings.environment(&self.db).clone());
        guarded(|| project_diagnostics(&db))
    }

    /// All files with their contents.
    pub fn contents(&self) -> BTreeMap<String, Content> {
        FileSet::get(&self.db)
            .files(&self.db)
            .iter()
            .map(|(path, file)| (path.clone(), file.content(&self.db).clone()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(u64, Arc<ProjectDiagnostics>)>> {
        self.memo.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns an unwinding of any kind into a value.
pub fn guarded<T>(question: impl FnOnce() -> T) -> Result<T, Cancelled> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        salsa::Cancelled::catch(AssertUnwindSafe(question))
    }));
    match caught {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(salsa::Cancelled::Local)) => Err(Cancelled::Withdrawn),
        // Another thread panicked inside a query that this one waited for.
        Ok(Err(salsa::Cancelled::PropagatedPanic)) => Err(Cancelled::Panicked(
            "a query panicked in another thread".into(),
        )),
        Ok(Err(_)) => Err(Cancelled::Changed),
        Err(panic) => Err(Cancelled::Panicked(
            panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_else(|| "a panic without a message".into()),
        )),
    }
}
