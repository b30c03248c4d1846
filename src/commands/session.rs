//! A project opened for a command: its root, its sources in the compiler's database, and what is
//! known of the world outside.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mxcp_artifact::lock::LOCK_PATH;
use mxcp_artifact::{CatalogSnapshot, Column, Lock, Manifest};
use mxcp_base::render::Sources;
use mxcp_base::{Content, Diagnostic, FileSet, OsSystem, Severity, System as _, codes};
use mxcp_catalog::{
    Binder, CachedBinder, DuckDbBinder, IntrospectError, describe_files, introspect,
};
use mxcp_compiler::diagnostics::{file_diagnostics, project_diagnostics};
use mxcp_compiler::documents::{site, unread_sources};
use mxcp_compiler::inputs::{DatabaseProblem, DbtInputs, Environment, Settings, fingerprint};
use mxcp_compiler::site::SITE_FILE;
use mxcp_compiler::sql::files::project_file_reads;
use mxcp_compiler::{CompilerDatabase, is_source_file};
use mxcp_runtime::Snapshot;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::Cache;
use super::config::{self, ConfigFile};
use super::output::{self, Failure};

pub(crate) struct Session {
    pub(crate) root: PathBuf,
    pub(crate) system: OsSystem,
    pub(crate) db: CompilerDatabase,
    /// The active profile.
    pub(crate) profile: String,
    pub(crate) config: ConfigFile,
    cache: Arc<Cache>,
    /// Another process holds the database for writing.
    pub(crate) in_use: bool,
    /// The copy of it that was read instead.
    pub(crate) snapshot: Cell<Option<Snapshot>>,
    /// Of a command that runs the dbt layer.
    pub(crate) dbt: DbtInputs,
    /// The database that `profiles.yml` names.
    pub(crate) dbt_database: Option<PathBuf>,
}

/// The relations of the database, or of the lock and why the database was not read.
pub(crate) type Catalog = (Arc<CatalogSnapshot>, Option<DatabaseProblem>);

/// A larger database is read where it is, as often as it changes.
const COPIED_AT_A_GLANCE: u64 = 64 << 20;

/// A larger database is not copied only to see its tables; the lock remembers them.
const COPIED_TO_BE_CHECKED: u64 = 1 << 30;

impl Session {
    /// Opens the project around the current directory, with what its database holds.
    pub(crate) fn open(profile: Option<&str>) -> Result<Self, Failure> {
        let mut session = Self::open_sources(profile)?;
        session.load_catalog();
        Ok(session)
    }

    /// Opens the project without looking at its database: enough where no SQL is bound.
    pub(crate) fn open_sources(profile: Option<&str>) -> Result<Self, Failure> {
        Self::open_at(find_root()?, profile)
    }

    /// Opens the sources of a project whose root is known.
    pub(crate) fn open_at(root: PathBuf, profile: Option<&str>) -> Result<Self, Failure> {
        let mut session = Self::empty(root, profile, CompilerDatabase::new);
        let Self {
            root,
            system,
            db,
            cache,
            ..
        } = &mut session;
        db.sync_files(read_sources(root, system, &BTreeSet::new())?);
        // A source may be named in any way; only the endpoints know which files are theirs.
        let named = cache.remembered("named sources", &fingerprint(db), || unread_sources(db));
        if named.iter().any(|path| root.join(path).is_file()) {
            db.sync_files(read_sources(root, system, &named)?);
        }
        session.config = config::load()?;
        session.follow_profile();
        Ok(session)
    }

    /// A project whose sources come from who keeps it open. The database says what runs again.
    pub(crate) fn kept(root: PathBuf, profile: Option<&str>) -> Self {
        let mut session = Self::empty(root, profile, CompilerDatabase::with_event_log);
        session.db.expect_edits();
        session
    }

    fn empty(
        root: PathBuf,
        profile: Option<&str>,
        database: impl FnOnce(Arc<dyn Binder>) -> CompilerDatabase,
    ) -> Self {
        let system = OsSystem::new(&root);
        let cache = Arc::new(Cache::new(system.clone()));
        let binder = CachedBinder::new(DuckDbBinder::new(), cache.clone());
        let mut db = database(Arc::new(binder));
        let chosen = profile
            .map(str::to_owned)
            .or_else(|| std::env::var("MXCP_PROFILE").ok().filter(|p| !p.is_empty()));
        db.set_profile(chosen);
        Self {
            root,
            system,
            db,
            profile: String::new(),
            config: ConfigFile::default(),
            cache,
            in_use: false,
            snapshot: Cell::new(None),
            dbt: DbtInputs::default(),
            dbt_database: None,
        }
    }

    /// Makes the profile that was asked for the active one, or the site file's own.
    pub(crate) fn follow_profile(&mut self) {
        self.profile = Settings::get(&self.db)
            .profile(&self.db)
            .clone()
            .or_else(|| site(&self.db).map(|site| site.profile.clone()))
            .unwrap_or_else(|| "default".into());
    }

    /// Brings what the database holds into the graph.
    pub(crate) fn load_catalog(&mut self) {
        let project = site(&self.db).map_or_else(String::new, |site| site.project.clone());
        let environment = self.environment(&project);
        self.db.set_environment(environment);
    }

    /// The file of the active profile's database.
    pub(crate) fn database(&self) -> PathBuf {
        if let Some(path) = &self.dbt_database {
            return path.clone();
        }
        if let Some(path) = std::env::var_os("MXCP_DUCKDB_PATH").filter(|p| !p.is_empty()) {
            return std::path::absolute(&path).unwrap_or_else(|_| path.into());
        }
        let configured = site(&self.db)
            .map(|site| site.profile(&self.profile).database)
            .unwrap_or_else(|| format!("data/db-{}.duckdb", self.profile));
        self.root.join(configured)
    }

    fn environment(&mut self, project: &str) -> Environment {
        let path = self.database();
        let shown = self.shown(&path);
        let mut found = introspect(&path);
        if let Err(IntrospectError::Locked { by }) = &found {
            self.in_use = true;
            if let Some(copied) = self.introspect_copy(&path, &shown, by.as_deref()) {
                found = Ok(copied);
            }
        }
        let catalog = self.catalog(found, &shown);
        let files = describe_files(&self.root, &project_file_reads(&self.db));
        self.surroundings(project, catalog, files)
    }

    /// What is known of the world outside, with what was read of the database and of files.
    pub(crate) fn surroundings(
        &self,
        project: &str,
        (catalog, database_problem): Catalog,
        files: BTreeMap<String, Vec<Column>>,
    ) -> Environment {
        Environment {
            catalog,
            live: database_problem.is_none(),
            database_problem,
            user_profiles: self.config.profiles(project),
            secret_names: Some(self.config.secret_names(project)),
            dbt: self.dbt.clone(),
            files,
        }
    }

    fn catalog(&self, found: Result<CatalogSnapshot, IntrospectError>, shown: &str) -> Catalog {
        match found {
            Ok(snapshot) => (Arc::new(snapshot), None),
            Err(error) => (
                Arc::new(self.locked_catalog()),
                Some(database_problem(shown, &error)),
            ),
        }
    }

    /// What the database holds, read so that who wants to write to it at this moment still can: where
    /// it is not too large, from a copy.
    pub(crate) fn glance(&self) -> Catalog {
        let path = self.database();
        let small = path
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.len() <= COPIED_AT_A_GLANCE);
        let copy = small.then(|| Snapshot::take(&path, None));
        let found = match &copy {
            // What is wrong is said of the file itself.
            Some(Ok(copy)) => introspect(copy.path()).or_else(|_| introspect(&path)),
            _ => introspect(&path),
        };
        self.catalog(found, &self.shown(&path))
    }

    /// A path as people know it: relative to the project where it is inside.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.display().to_string()
    }

    /// Keeps the answers for later runs and lets go of the rest: the process is about to end, and
    /// taking a large graph apart would take longer than what is left of it.
    pub(crate) fn leave(self) {
        self.cache.save();
        self.snapshot.take();
        std::mem::forget(self);
    }

    // What the tables of a database in use are, from a copy that is kept for who reads their rows.
    fn introspect_copy(
        &self,
        path: &Path,
        shown: &str,
        by: Option<&str>,
    ) -> Option<CatalogSnapshot> {
        let size = path.metadata().ok()?.len();
        let snapshot = (size <= COPIED_TO_BE_CHECKED)
            .then(|| Snapshot::take(path, by).ok())
            .flatten()?;
        let catalog = introspect(snapshot.path()).ok()?;
        output::eprint(&format!(
            "note: the database `{shown}` is in use by {}; a snapshot of it is read\n",
            snapshot.holder()
        ));
        self.snapshot.set(Some(snapshot));
        Some(catalog)
    }

    // Without a database, the lock remembers what its relations looked like.
    fn locked_catalog(&self) -> CatalogSnapshot {
        self.read_lock()
            .map(|lock| lock.snapshot())
            .unwrap_or_default()
    }

    pub(crate) fn read_lock(&self) -> Option<Lock> {
        let text = std::fs::read_to_string(self.root.join(LOCK_PATH)).ok()?;
        serde_yaml::from_str(&text).ok()
    }

    pub(crate) fn diagnostics(&self) -> Vec<Diagnostic> {
        self.remembered("diagnostics", || project_diagnostics(&self.db))
    }

    /// For a process that lives long: new answers of the engine are kept up to a number of bytes.
    pub(crate) fn remember_at_most(&self, bytes: usize) {
        self.cache.keep_at_most(bytes);
    }

    /// What `work` finds out from the graph alone, if an earlier run did not find it out already.
    pub(crate) fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        question: &str,
        work: impl FnOnce() -> T,
    ) -> T {
        self.cache
            .remembered(question, &fingerprint(&self.db), work)
    }

    /// What the last run kept of the whole project, if nothing has changed since.
    pub(crate) fn recall_whole<T: DeserializeOwned>(&self, question: &str) -> Option<T> {
        self.cache.recall_whole(question, &fingerprint(&self.db))
    }

    pub(crate) fn keep_whole(&self, question: &str, answer: &impl Serialize) {
        self.cache
            .keep_whole(question, &fingerprint(&self.db), answer);
    }

    pub(crate) fn manifest(&self) -> Option<Manifest> {
        mxcp_compiler::manifest::manifest(&self.db, env!("CARGO_PKG_VERSION"))
    }

    /// The manifest of whatever can be tried, for commands that run single endpoints. Errors
    /// in the site file concern everything.
    pub(crate) fn partial_manifest(&self) -> Result<(Manifest, Vec<Diagnostic>), Failure> {
        let diagnostics = self.diagnostics();
        self.check_site()?;
        match mxcp_compiler::manifest::runnable_manifest(&self.db, env!("CARGO_PKG_VERSION")) {
            Some(manifest) => Ok((manifest, diagnostics)),
            None => Err(no_project()),
        }
    }

    /// Fails when the site file has an error.
    pub(crate) fn check_site(&self) -> Result<(), Failure> {
        let Some(file) = self.db.file(SITE_FILE) else {
            return Ok(());
        };
        let Some(error) = file_diagnostics(&self.db, file)
            .iter()
            .find(|d| d.severity == Severity::Error)
        else {
            return Ok(());
        };
        let mut message = format!("{SITE_FILE}: {}", error.message);
        // How to move an old project belongs to every form of the message.
        if let Some(help) = error.help.as_ref().filter(|_| error.code == codes::MX0110) {
            message = format!("{message}; {help}");
        }
        Err(Failure::new(message).help("run `mxcp validate` to see all errors with their places"))
    }

    /// The texts that these diagnostics refer to.
    pub(crate) fn sources_of(&self, diagnostics: &[Diagnostic]) -> Sources {
        let mut sources = Sources::default();
        let files = FileSet::get(&self.db).files(&self.db);
        for d in diagnostics {
            let edits = d.fix.iter().flat_map(|fix| &fix.edits);
            let places = [&d.primary]
                .into_iter()
                .chain(d.labels.iter().map(|label| &label.location))
                .chain(edits.map(|edit| &edit.location));
            for place in places {
                if let Some(file) = files.get(&place.file)
                    && !sources.has(&place.file)
                {
                    sources.add(&place.file, file.content(&self.db));
                }
            }
        }
        sources
    }

    /// The texts that diagnostics refer to.
    pub(crate) fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        for (path, file) in FileSet::get(&self.db).files(&self.db) {
            sources.add(path, file.content(&self.db));
        }
        sources
    }

    /// The virtual environment whose packages Python endpoints may import.
    pub(crate) fn venv(&self) -> Option<PathBuf> {
        std::env::var_os("VIRTUAL_ENV")
            .map(PathBuf::from)
            .into_iter()
            .chain([self.root.join(".venv")])
            .find(|dir| dir.join("pyvenv.cfg").is_file())
    }
}

fn database_problem(shown: &str, error: &IntrospectError) -> DatabaseProblem {
    DatabaseProblem {
        message: format!("the database `{shown}` was not read: {error}"),
        help: Some(
            "tables that no dbt model or seed defines are only known from a readable database or from mxcp.lock"
                .into(),
        ),
    }
}

/// The nearest directory from the current one upwards that holds a site file.
pub(crate) fn find_root() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()
        .map_err(|e| Failure::new(format!("the current directory cannot be read: {e}")))?;
    if let Some(root) = here.ancestors().find(|dir| dir.join(SITE_FILE).is_file()) {
        return Ok(root.to_path_buf());
    }
    let mut failure = no_project();
    if here
        .ancestors()
        .any(|dir| dir.join(OLD_SITE_FILE).is_file())
    {
        failure = failure.help(format!(
            "this project is of an old version: rename {OLD_SITE_FILE} to {SITE_FILE}, write `mxcp: 1` in it, and move the endpoints to tools/, resources/ and prompts/"
        ));
    }
    Err(failure)
}

/// What the site file was called once.
const OLD_SITE_FILE: &str = "raw-site.yml";

pub(crate) fn no_project() -> Failure {
    Failure::new(format!(
        "[{}] No {SITE_FILE} found in current directory or parents",
        codes::MX0001
    ))
    .help("change into a project, or create one here with `mxcp init`")
}

fn read_sources(
    root: &Path,
    system: &OsSystem,
    named: &BTreeSet<String>,
) -> Result<BTreeMap<String, Content>, Failure> {
    let wanted = |path: &str| is_source_file(path) || named.contains(path);
    system.read_tree(&wanted).map_err(|e| {
        Failure::new(format!(
            "the project directory {} cannot be read: {e}",
            root.display()
        ))
    })
}
