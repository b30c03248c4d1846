//! The sources as they were read last. Looking again reads what has changed and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mxcp_base::{Content, OsSystem, Stamp};
use mxcp_compiler::is_source_file;

/// Some file systems count time in steps this wide: within one, a file may change twice and look the same.
const STEP: Duration = Duration::from_secs(2);

pub(super) struct Tree {
    system: OsSystem,
    files: BTreeMap<String, Known>,
    /// Sources that only those who name them know as such.
    named: BTreeSet<String>,
    /// Where to watch for changes.
    folders: BTreeSet<PathBuf>,
}

struct Known {
    stamp: Stamp,
    content: Content,
    /// It changed so recently that it may have changed again since it was read.
    fresh: bool,
}

impl Tree {
    pub(super) fn new(system: OsSystem) -> Self {
        Self {
            system,
            files: BTreeMap::new(),
            named: BTreeSet::new(),
            folders: BTreeSet::new(),
        }
    }

    /// Names sources whatever they are called. Whether that is news.
    pub(super) fn name(&mut self, named: BTreeSet<String>) -> bool {
        let news = self.named != named;
        self.named = named;
        news
    }

    pub(super) fn named(&self) -> &BTreeSet<String> {
        &self.named
    }

    pub(super) fn folders(&self) -> &BTreeSet<PathBuf> {
        &self.folders
    }

    /// Whether any content is new, or gone.
    pub(super) fn look(&mut self) -> io::Result<bool> {
        let named = &self.named;
        let now = SystemTime::now();
        let look = self
            .system
            .look(&|path| is_source_file(path) || named.contains(path))?;
        let before = self.files.len();
        self.files.retain(|path, _| look.files.contains_key(path));
        let mut changed = self.files.len() != before;
        let stale = |path: &str, stamp: &Stamp| {
            self.files
                .get(path)
                .is_none_or(|known| known.fresh || known.stamp != *stamp)
        };
        let to_read: Vec<&str> = look
            .files
            .iter()
            .filter(|(path, stamp)| stale(path, stamp))
            .map(|(path, _)| path.as_str())
            .collect();
        for (path, content) in self.system.read_files(to_read)? {
            let stamp = look.files.get(&path).copied().unwrap_or_default();
            let fresh = is_fresh(&stamp, now);
            changed |= self
                .files
                .get(&path)
                .is_none_or(|known| known.content != content);
            let known = Known {
                stamp,
                content,
                fresh,
            };
            self.files.insert(path, known);
        }
        self.folders = look.folders;
        Ok(changed)
    }

    pub(super) fn contents(&self) -> BTreeMap<String, Content> {
        self.files
            .iter()
            .map(|(path, known)| (path.clone(), known.content.clone()))
            .collect()
    }
}

fn is_fresh(stamp: &Stamp, now: SystemTime) -> bool {
    let age = |at| now.duration_since(at).unwrap_or_default();
    stamp.modified.is_none_or(|at| age(at) < STEP)
}

/// A file that is not a source: when it changed, nothing more.
#[derive(Debug, Default)]
pub(super) struct Seen {
    stamp: Option<Stamp>,
    fresh: bool,
    looked: bool,
}

impl Seen {
    /// Whether it may have changed since the last time it was asked.
    pub(super) fn is_news(&mut self, path: &Path) -> bool {
        let stamp = path.metadata().ok().map(|meta| Stamp::of(&meta));
        let news = !self.looked || self.fresh || stamp != self.stamp;
        self.looked = true;
        self.fresh = stamp.is_some_and(|stamp| is_fresh(&stamp, SystemTime::now()));
        self.stamp = stamp;
        news
    }
}
