//! What a command asks of a run, and who helps with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::InterruptHandle;
use mxcp_artifact::dbt_live::{RunFacts, Templates};

use crate::Moment;
use crate::select::Selection;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Seed,
    /// Models only.
    Run,
    Snapshot,
    Test,
    /// Everything: what a test guards waits for the test.
    Build,
}

impl Command {
    /// dbt's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Run => "run",
            Self::Snapshot => "snapshot",
            Self::Test => "test",
            Self::Build => "build",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The project's folder: seed files and the data files of models are found below it.
    pub root: PathBuf,
    pub database: PathBuf,
    /// Statements for a newly opened database: extensions, settings, secrets, attached databases.
    pub setup: Vec<String>,
    pub selection: Selection,
    /// Start no further node after the first failure.
    pub fail_fast: bool,
    /// Nodes run at the same time, at least one.
    pub threads: usize,
    /// Relations get their columns and no rows.
    pub empty: bool,
    /// Failing rows of every test are kept.
    pub store_failures: bool,
    /// A warning is a failure.
    pub warn_error: bool,
    /// Bounds of microbatch models.
    pub event_time_start: Option<Moment>,
    pub event_time_end: Option<Moment>,
    /// What templates learn of the run. Its start is the default end of microbatch models.
    pub facts: RunFacts,
    pub interrupt: Arc<Interrupt>,
}

/// Who renders and who runs Python; both may be absent.
#[derive(Clone, Copy, Default)]
pub struct Helpers<'a> {
    pub templates: Option<&'a dyn Templates>,
    pub python: Option<&'a dyn PythonModels>,
}

/// Runs the code of a Python model. The database is closed meanwhile, so that the Python package of
/// the engine can open it: two copies of the engine must never share a file.
pub trait PythonModels: Sync {
    fn run(&self, job: &PythonJob<'_>) -> Result<(), String>;
}

#[derive(Clone, Debug)]
pub struct PythonJob<'a> {
    pub unique_id: &'a str,
    pub name: &'a str,
    /// Of the file, relative to the project.
    pub path: &'a str,
    pub code: &'a str,
    pub database: &'a Path,
    pub setup: &'a [String],
    /// The quoted relation to create.
    pub target: String,
    /// What `dbt.this` is.
    pub this: mxcp_artifact::RelationName,
    /// Arguments of `dbt.ref`, joined by `.`, to quoted relations.
    pub refs: Vec<(String, String)>,
    pub sources: Vec<(String, String)>,
    pub config: serde_json::Value,
    pub is_incremental: bool,
}

/// Lets another thread stop a run: nothing further starts, and what runs is interrupted.
#[derive(Default)]
pub struct Interrupt {
    fired: AtomicBool,
    /// Per worker, that of its connection.
    handles: Mutex<Vec<Option<Arc<InterruptHandle>>>>,
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt")
            .field("fired", &self.fired())
            .finish_non_exhaustive()
    }
}

impl Interrupt {
    pub fn fire(&self) {
        self.fired.store(true, Ordering::SeqCst);
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        for handle in handles.iter().flatten() {
            handle.interrupt();
        }
    }

    pub fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    pub(crate) fn watch(&self, worker: usize, connection: &duckdb::Connection) {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if handles.len() <= worker {
            handles.resize_with(worker + 1, || None);
        }
        handles[worker] = Some(connection.interrupt_handle());
    }
}
