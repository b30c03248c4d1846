//! A project that is kept open: its sources, its database, the files that its SQL reads and the user
//! configuration, brought in line with the disk whenever it is time to look.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mxcp_artifact::lock::LOCK_PATH;
use mxcp_artifact::{Column, Digest};
use mxcp_base::{Content, FileSet, OsSystem, Stamp, paths};
use mxcp_catalog::{FileRead, describe_files};
use mxcp_compiler::documents::{endpoint_def, endpoint_files, site};
use mxcp_compiler::inputs::Settings;
use mxcp_compiler::is_source_file;
use mxcp_compiler::site::SITE_FILE;
use mxcp_compiler::sql::files::project_file_reads;

use super::tree::{Seen, Tree};
use super::watcher::{Watcher, Woken};
use crate::commands::config;
use crate::commands::output::Failure;
use crate::commands::session::{Catalog, Session, no_project};

/// Folders that appear while they are looked at are looked at again this often.
const ROUNDS: usize = 8;
/// So many files may be those that the author works at.
const EDITED: usize = 8;
/// A pattern of data files is followed to this many files.
const DATA_FILES: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Added,
    Modified,
    Removed,
}

impl How {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Removed => "removed",
        }
    }
}

/// What is different from the last time, by the path that people know it by.
pub(crate) type Changes = BTreeMap<String, How>;

pub(crate) struct Project {
    pub(crate) session: Session,
    tree: Tree,
    config: Seen,
    /// What was read there last, if anything; outer `None` when that was of no use.
    config_read: Option<Option<Digest>>,
    database: PathBuf,
    database_files: [Seen; 2],
    lock: Seen,
    catalog: Option<Catalog>,
    reads: BTreeSet<FileRead>,
    data: BTreeMap<String, Stamp>,
    columns: BTreeMap<String, Vec<Column>>,
    /// Why the project could not be checked the last time.
    failure: Option<String>,
    started: bool,
}

impl Project {
    pub(crate) fn new(root: PathBuf, profile: Option<&str>) -> Self {
        Self {
            tree: Tree::new(OsSystem::new(&root)),
            session: Session::kept(root, profile),
            config: Seen::default(),
            config_read: None,
            database: PathBuf::new(),
            database_files: Default::default(),
            lock: Seen::default(),
            catalog: None,
            reads: BTreeSet::new(),
            data: BTreeMap::new(),
            columns: BTreeMap::new(),
            failure: None,
            started: false,
        }
    }

    /// Looks at everything. `None` when nothing is different; a failure keeps the project from being
    /// checked until it is mended.
    pub(crate) fn refresh(
        &mut self,
        watcher: &mut Watcher,
        woken: Woken,
    ) -> Option<(Changes, Result<(), Failure>)> {
        let before: BTreeSet<String> = self.paths();
        let mut touched = BTreeSet::new();
        let mut outside = Changes::new();
        let mut result = Ok(());
        for _ in 0..ROUNDS {
            result = self.look(watcher, woken, &mut touched, &mut outside);
            if !watcher.follow(self.tree.folders(), &self.files_to_follow()) {
                break;
            }
        }
        let after = self.paths();
        let mut changes = outside;
        for path in touched {
            let how = match (before.contains(&path), after.contains(&path)) {
                (true, true) => How::Modified,
                (false, true) => How::Added,
                (true, false) => How::Removed,
                // It came and went.
                (false, false) => continue,
            };
            changes.insert(path, how);
        }
        let failure = result.as_ref().err().map(|failure| failure.message.clone());
        let first = !std::mem::replace(&mut self.started, true);
        let news = first || !changes.is_empty() || failure != self.failure;
        self.failure = failure;
        if first {
            // Everything is new, which says nothing.
            changes.clear();
        }
        news.then_some((changes, result))
    }

    fn paths(&self) -> BTreeSet<String> {
        let db = &self.session.db;
        FileSet::get(db).files(db).keys().cloned().collect()
    }

    fn look(
        &mut self,
        watcher: &mut Watcher,
        woken: Woken,
        touched: &mut BTreeSet<String>,
        outside: &mut Changes,
    ) -> Result<(), Failure> {
        let mut changed = self.look_at_sources(watcher)?;
        // Nothing has told whether who writes is done.
        if changed && woken == Woken::Time {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(2) {
                if watcher.rest() == Woken::Stop || !self.look_at_sources(watcher)? {
                    break;
                }
            }
        }
        for _ in 0..2 {
            if !changed {
                break;
            }
            touched.extend(self.sync());
            changed =
                self.tree.name(named_sources(&self.session)) && self.look_at_sources(watcher)?;
        }
        if self.session.db.file(SITE_FILE).is_none() {
            return Err(no_project());
        }
        self.session.follow_profile();
        self.look_outside(!touched.is_empty(), outside)
    }

    /// Brings the sources of the graph in line with those of the disk; returns the paths that differ.
    fn sync(&mut self) -> Vec<String> {
        let db = &mut self.session.db;
        let contents = self.tree.contents();
        let mut edited = Vec::new();
        for (path, file) in FileSet::get(db).files(db) {
            if let (Some(Content::Text(new)), Content::Text(old)) =
                (contents.get(path), file.content(db))
                && new != old
            {
                edited.push((path.clone(), new.clone()));
            }
        }
        // A few files are being worked at, and will change again; many are another state of all.
        if edited.len() > EDITED {
            edited.clear();
        }
        let mut touched = Vec::new();
        for (path, text) in edited {
            db.set_text(&path, &text);
            touched.push(path);
        }
        touched.extend(db.sync_files(contents));
        touched
    }

    fn look_at_sources(&mut self, watcher: &mut Watcher) -> Result<bool, Failure> {
        let began = Instant::now();
        let changed = self.tree.look().map_err(|e| {
            Failure::new(format!(
                "the project directory {} cannot be read: {e}",
                self.session.root.display()
            ))
        });
        watcher.took(began.elapsed());
        changed
    }

    fn look_outside(&mut self, sources: bool, outside: &mut Changes) -> Result<(), Failure> {
        let mut news = Changes::new();
        if let Some((path, _)) = config::place()
            && (self.config.is_news(&path) || self.config_read.is_none())
        {
            let read = std::fs::read(&path).ok().map(Digest::of);
            if self.config_read.as_ref() != Some(&read) {
                self.config_read = None;
                let shown = self.session.shown(&path);
                if self.failure.is_some() {
                    outside.insert(shown.clone(), How::Modified);
                }
                self.session.config = match config::load() {
                    Ok(config) => config,
                    Err(failure) => {
                        outside.insert(shown, How::Modified);
                        return Err(failure);
                    }
                };
                self.config_read = Some(read);
                news.insert(shown, How::Modified);
            }
        }
        self.look_at_database(&mut news);
        self.look_at_data(sources, &mut news);
        let db = &self.session.db;
        let project = site(db).map_or_else(String::new, |site| site.project.clone());
        let Some(catalog) = self.catalog.clone() else {
            return Ok(());
        };
        let environment = self
            .session
            .surroundings(&project, catalog, self.columns.clone());
        let db = &mut self.session.db;
        if *Settings::get(db).environment(db) != environment {
            db.set_environment(environment);
            outside.extend(news);
        }
        Ok(())
    }

    fn look_at_database(&mut self, news: &mut Changes) {
        let path = self.session.database();
        let moved = path != self.database;
        if moved {
            self.database.clone_from(&path);
            self.database_files = Default::default();
        }
        let mut stale = self.catalog.is_none() || moved;
        let [file, log] = &mut self.database_files;
        stale |= file.is_news(&path);
        stale |= log.is_news(&with_suffix(&path, ".wal"));
        let unread = self
            .catalog
            .as_ref()
            .is_some_and(|(_, problem)| problem.is_some());
        // Without a database the lock remembers what it held; and whoever held it may have let go.
        let lock = self.lock.is_news(&self.session.root.join(LOCK_PATH));
        if !stale && !(unread && (lock || path.is_file())) {
            return;
        }
        self.catalog = Some(self.session.glance());
        let shown = match lock && unread && !stale {
            true => LOCK_PATH.to_owned(),
            false => self.session.shown(&path),
        };
        news.insert(shown, How::Modified);
    }

    fn look_at_data(&mut self, sources: bool, news: &mut Changes) {
        let mut reads_changed = false;
        if sources {
            let reads = project_file_reads(&self.session.db);
            reads_changed = reads != self.reads;
            self.reads = reads;
        }
        let data = self.data_files();
        if !reads_changed && data == self.data {
            return;
        }
        for path in data.keys().chain(self.data.keys()) {
            let how = match (self.data.get(path), data.get(path)) {
                (Some(old), Some(new)) if old == new => continue,
                (Some(_), Some(_)) => How::Modified,
                (Some(_), None) => How::Removed,
                (None, _) => How::Added,
            };
            if !reads_changed {
                news.insert(path.clone(), how);
            }
        }
        self.data = data;
        self.columns = describe_files(&self.session.root, &self.reads);
    }

    /// The files that SQL reads. A pattern stands for everything in the folders that it may reach.
    fn data_files(&self) -> BTreeMap<String, Stamp> {
        let mut found = BTreeMap::new();
        for read in &self.reads {
            let fixed = read.path.find(['*', '?', '[']).map(|at| {
                let before = read.path.get(..at).unwrap_or_default();
                before.rsplit_once('/').map_or("", |(folder, _)| folder)
            });
            match fixed {
                None => collect(&self.session.root, &read.path, &mut found),
                Some(folder) => collect_below(&self.session.root, folder, &mut found),
            }
        }
        found
    }

    fn files_to_follow(&self) -> BTreeSet<PathBuf> {
        let root = &self.session.root;
        let mut files = BTreeSet::from([
            root.join(SITE_FILE),
            root.join(LOCK_PATH),
            self.database.clone(),
        ]);
        files.extend(config::place().map(|(path, _)| path));
        let links: Vec<PathBuf> = files
            .iter()
            .filter_map(|file| std::fs::canonicalize(file).ok())
            .collect();
        files.extend(links);
        files.extend(self.data.keys().map(|path| root.join(path)));
        files.extend(self.reads.iter().map(|read| root.join(&read.path)));
        files.extend(self.tree.named().iter().map(|path| root.join(path)));
        files.retain(|file| !file.as_os_str().is_empty());
        files
    }
}

/// The sources that endpoints name and that their own names do not show to be any.
fn named_sources(session: &Session) -> BTreeSet<String> {
    let db = &session.db;
    endpoint_files(db)
        .iter()
        .filter_map(|file| {
            let reference = endpoint_def(db, *file)?.file.as_deref()?;
            let path = paths::resolve(file.path(db), reference)?;
            (!is_source_file(&path)).then_some(path)
        })
        .collect()
}

fn collect(root: &Path, path: &str, found: &mut BTreeMap<String, Stamp>) {
    if let Ok(meta) = root.join(path).metadata()
        && meta.is_file()
        && found.len() < DATA_FILES
    {
        found.insert(path.to_owned(), Stamp::of(&meta));
    }
}

fn collect_below(root: &Path, folder: &str, found: &mut BTreeMap<String, Stamp>) {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let path = match folder.as_str() {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                _ => collect(root, &path, found),
            }
            if found.len() >= DATA_FILES || open.len() >= DATA_FILES {
                return;
            }
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
