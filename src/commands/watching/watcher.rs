//! Tells when it is time to look at the project again. What changed is found by looking: events of the
//! system only wake, so that one that is late, lost or wrong costs time and nothing else.
//!
//! Folders are watched one by one, because a project's own `target`, `.venv` and `.git` have thousands that
//! do not matter. Where the system cannot watch, time alone wakes; and where it can, time wakes too,
//! seldom: network file systems accept watches and report nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mxcp_base::system::is_passed_over;
use mxcp_compiler::is_source_file;
use notify::event::{AccessKind, AccessMode, CreateKind, RemoveKind};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// What is written together is looked at together: no event for this long means that it is done.
const QUIET: Duration = Duration::from_millis(40);
/// Something that never rests does not keep everything else waiting.
const RESTLESS: Duration = Duration::from_secs(2);
/// Between two looks where no event wakes.
pub(crate) const POLLING: Duration = Duration::from_millis(500);
/// Between two looks where events wake, for what none tells of.
const SELDOM: Duration = Duration::from_secs(2);
/// Looking may take this part of the time: a large project is looked at less often, up to a limit.
const SHARE: u32 = 20;
const SELDOMMEST: Duration = Duration::from_secs(5);

/// Why it is time to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something was touched, and nothing has been for a moment.
    Touched,
    /// Time went by.
    Time,
    Stop,
}

#[derive(Default)]
struct State {
    touches: u64,
    stop: bool,
    /// Why events cannot be relied on any more.
    lost: Option<String>,
    /// Folders that were removed or moved: their watches are gone, or watch something else.
    stale: Vec<PathBuf>,
    /// Files that matter though their names do not say so, and files outside of the project.
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the waiting, from any thread.
#[derive(Clone)]
pub(crate) struct Stopper(Arc<Shared>);

impl Stopper {
    pub(crate) fn stop(&self) {
        self.0.lock().stop = true;
        self.0.changed.notify_all();
    }
}

pub(crate) struct Watcher {
    shared: Arc<Shared>,
    native: Option<RecommendedWatcher>,
    /// How many touches were answered.
    seen: u64,
    polling: Duration,
    took: Duration,
    note: Option<String>,
}

impl Watcher {
    /// `polling` asks for no events at all.
    pub(crate) fn new(root: &Path, polling: Option<Duration>) -> Self {
        let shared = Arc::new(Shared::default());
        let mut watcher = Self {
            native: None,
            seen: 0,
            polling: polling.unwrap_or(POLLING),
            took: Duration::ZERO,
            note: None,
            shared: Arc::clone(&shared),
        };
        if polling.is_some() {
            return watcher;
        }
        let mut roots = vec![root.to_path_buf()];
        roots.extend(std::fs::canonicalize(root).ok().filter(|r| r != root));
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            notice(&shared, &roots, event);
        });
        match made {
            Ok(native) => watcher.native = Some(native),
            Err(error) => watcher.lose(&said(&error)),
        }
        watcher
    }

    pub(crate) fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    /// What the user should know about how the project is watched, once.
    pub(crate) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    /// Watches these folders and what leads to these files, and nothing else. Whether a folder is new:
    /// what happened in it before is only seen by looking again.
    pub(crate) fn follow(
        &mut self,
        folders: &BTreeSet<PathBuf>,
        files: &BTreeSet<PathBuf>,
    ) -> bool {
        let Some(native) = &mut self.native else {
            return false;
        };
        let mut wanted = folders.clone();
        wanted.extend(files.iter().filter_map(|file| nearest_folder(file)));
        let (old, stale) = {
            let mut state = self.shared.lock();
            state.files.clone_from(files);
            let old = std::mem::replace(&mut state.folders, wanted.clone());
            (old, std::mem::take(&mut state.stale))
        };
        let is_stale = |folder: &Path| stale.iter().any(|gone| folder.starts_with(gone));
        let kept = |folder: &PathBuf| old.contains(folder) && !is_stale(folder);
        let added: Vec<&PathBuf> = wanted.iter().filter(|f| !kept(f)).collect();
        let removed: Vec<&PathBuf> = old.difference(&wanted).collect();
        if added.is_empty() && removed.is_empty() {
            return false;
        }
        let mut failed = None;
        let mut paths = native.paths_mut();
        for folder in removed {
            // It is gone, and its watch with it, more often than not.
            let _ = paths.remove(folder);
        }
        for folder in &added {
            match paths.add(folder, RecursiveMode::NonRecursive) {
                // The next look says that it is not there.
                Ok(())
                | Err(notify::Error {
                    kind: ErrorKind::PathNotFound,
                    ..
                }) => {}
                Err(_) if !folder.is_dir() => {}
                Err(error) => {
                    failed = Some(said(&error));
                    break;
                }
            }
        }
        let committed = paths.commit();
        let added = !added.is_empty();
        if let Some(why) = failed.or_else(|| committed.err().map(|error| said(&error))) {
            self.lose(&why);
        }
        added
    }

    /// How long it takes to look.
    pub(crate) fn took(&mut self, time: Duration) {
        self.took = time;
    }

    /// Waits until it is time to look.
    pub(crate) fn wait(&mut self) -> Woken {
        let lost = self.shared.lock().lost.take();
        if let Some(why) = lost {
            self.lose(&why);
        }
        let every = match self.native {
            Some(_) => SELDOM,
            None => self.polling,
        };
        let end = Instant::now() + every.max((self.took * SHARE).min(SELDOMMEST));
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            if state.stop {
                return Woken::Stop;
            }
            if state.touches != self.seen {
                break;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::Time;
            }
            state = wait_for(&shared, state, left);
        }
        drop(state);
        self.rest()
    }

    /// Waits until nothing has been touched for a moment.
    pub(crate) fn rest(&mut self) -> Woken {
        let shared = Arc::clone(&self.shared);
        let began = Instant::now();
        let mut state = shared.lock();
        let mut quiet_since = began;
        loop {
            if state.stop {
                return Woken::Stop;
            }
            if state.touches != self.seen {
                self.seen = state.touches;
                quiet_since = Instant::now();
            }
            let left = QUIET.saturating_sub(quiet_since.elapsed());
            if left.is_zero() || began.elapsed() >= RESTLESS {
                return Woken::Touched;
            }
            state = wait_for(&shared, state, left);
        }
    }

    fn lose(&mut self, why: &str) {
        self.native = None;
        self.shared.lock().folders.clear();
        self.note = Some(format!(
            "changes are not reported by the system ({why}); files are looked at every {} ms instead",
            self.polling.as_millis()
        ));
    }
}

fn wait_for<'s>(
    shared: &'s Shared,
    state: MutexGuard<'s, State>,
    time: Duration,
) -> MutexGuard<'s, State> {
    let waited = shared.changed.wait_timeout(state, time);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// The folder itself cannot be watched for a file before it exists.
fn nearest_folder(file: &Path) -> Option<PathBuf> {
    let folder = file.ancestors().skip(1).find(|dir| dir.is_dir())?;
    Some(folder.to_path_buf())
}

fn said(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the limit of watched folders is reached, see fs.inotify.max_user_watches".to_owned()
        }
        ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE) => {
            "the limit of watching processes is reached, see fs.inotify.max_user_instances"
                .to_owned()
        }
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::Generic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Too many open files; for watches it means too many watching processes.
const EMFILE: i32 = 24;

fn notice(shared: &Shared, roots: &[PathBuf], event: notify::Result<notify::Event>) {
    let mut state = shared.lock();
    match event {
        Ok(event) if event.need_rescan() => {}
        Ok(event) => {
            if !matters(&mut state, roots, &event) {
                return;
            }
        }
        Err(error) => {
            if matches!(
                error.kind,
                ErrorKind::PathNotFound | ErrorKind::WatchNotFound
            ) {
                return;
            }
            state.lost = Some(said(&error));
        }
    }
    state.touches += 1;
    drop(state);
    shared.changed.notify_all();
}

fn matters(state: &mut State, roots: &[PathBuf], event: &notify::Event) -> bool {
    // Reading files is what looking does.
    if let EventKind::Access(kind) = event.kind
        && kind != AccessKind::Close(AccessMode::Write)
    {
        return false;
    }
    let of_folder = matches!(
        event.kind,
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder)
    );
    let mut matters = false;
    for path in &event.paths {
        let is_watched = state.folders.contains(path);
        // One that is made again is another one.
        if is_watched {
            state.stale.push(path.clone());
        }
        matters |= is_watched || concerns(state, roots, path, of_folder);
    }
    matters
}

fn concerns(state: &State, roots: &[PathBuf], path: &Path, of_folder: bool) -> bool {
    // A log beside a database, or one of the folders that lead to a file.
    let is_beside = |file: &PathBuf| {
        file.starts_with(path)
            || (file.parent() == path.parent()
                && name(path)
                    .strip_prefix(name(file))
                    .is_some_and(|rest| rest.starts_with('.')))
    };
    if state.files.iter().any(is_beside) {
        return true;
    }
    let Some(inside) = roots.iter().find_map(|root| path.strip_prefix(root).ok()) else {
        // Where linked files lie.
        return state.folders.iter().any(|f| path.parent() == Some(f))
            && is_source_file(name(path));
    };
    let passed_over =
        |part: std::path::Component<'_>| part.as_os_str().to_str().is_some_and(is_passed_over);
    if inside.components().any(passed_over) {
        return false;
    }
    is_source_file(&inside.to_string_lossy()) || of_folder || path.is_dir()
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default()
}
