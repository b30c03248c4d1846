//! The only door to the operating system for the compiler's front half.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Content;

/// File access as the compiler needs it. Paths are relative to the project root, with `/`.
pub trait System: Send + Sync {
    /// Every file below the root that `wanted` accepts, with its content.
    fn read_tree(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Content>>;

    /// What tells that a file has changed, for every file that [`Self::read_tree`] would read.
    fn stamps(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Stamp>>;

    /// The text of one file that the compiler wrote itself; `None` when there is none, or more than
    /// `limit` bytes of it.
    fn read_back(&self, path: &str, limit: u64) -> Option<String>;

    /// Writes a file so that readers see the old or the new content and nothing between.
    fn write(&self, path: &str, text: &str) -> io::Result<()>;
}

/// A file's time of change, its size, and which file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub modified: Option<std::time::SystemTime>,
    pub bytes: u64,
    /// Where the system tells: its number, and when anything of it changed. A program can set the
    /// time of change back; a file that takes another's place may have its size and time.
    pub identity: (u64, i64, i64),
}

impl Stamp {
    pub fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            modified: meta.modified().ok(),
            bytes: meta.len(),
            identity: identity(meta),
        }
    }
}

#[cfg(unix)]
fn identity(meta: &std::fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;

    (meta.ino(), meta.ctime(), meta.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

/// What a look at the project found, without reading any file.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The files that were asked for.
    pub files: BTreeMap<String, Stamp>,
    /// Every folder that was looked into, and those that hold what linked files stand for.
    pub folders: BTreeSet<PathBuf>,
}

/// Directories that never hold project sources.
const SKIPPED: [&str; 8] = [
    ".git",
    ".mxcp",
    ".venv",
    "venv",
    "target",
    "node_modules",
    "__pycache__",
    ".duckdb",
];

/// Whether a folder of this name is passed over: nothing below it is a source.
pub fn is_passed_over(folder: &str) -> bool {
    SKIPPED.contains(&folder)
}

/// The real file system below a root directory.
#[derive(Clone, Debug)]
pub struct OsSystem {
    root: PathBuf,
}

impl OsSystem {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The files that `wanted` accepts with their stamps, and the folders to watch for others.
    pub fn look(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<Look> {
        let mut look = Look::default();
        let mut folders = BTreeSet::new();
        self.walk_folders(
            &self.root,
            "",
            wanted,
            &mut |path, file, linked| {
                let Ok(meta) = file.metadata() else {
                    return;
                };
                if linked
                    && let Ok(target) = std::fs::canonicalize(file)
                    && let Some(folder) = target.parent()
                {
                    look.folders.insert(folder.to_path_buf());
                }
                look.files.insert(path, Stamp::of(&meta));
            },
            &mut |folder| {
                folders.insert(folder.to_path_buf());
            },
        )?;
        look.folders.extend(folders);
        Ok(look)
    }

    /// The contents of some files. Those that are gone are left out.
    pub fn read_files<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<BTreeMap<String, Content>> {
        let home = std::fs::canonicalize(&self.root)?;
        let mut out = BTreeMap::new();
        for path in paths {
            let file = self.root.join(path);
            let content = content(&home, &file, file.is_symlink());
            if matches!(content, Content::Unreadable(_)) && !file.exists() {
                continue;
            }
            out.insert(path.to_owned(), content);
        }
        Ok(out)
    }

    fn walk(
        &self,
        dir: &Path,
        prefix: &str,
        wanted: &dyn Fn(&str) -> bool,
        found: &mut dyn FnMut(String, &Path, bool),
    ) -> io::Result<()> {
        self.walk_folders(dir, prefix, wanted, found, &mut |_| {})
    }

    fn walk_folders(
        &self,
        dir: &Path,
        prefix: &str,
        wanted: &dyn Fn(&str) -> bool,
        found: &mut dyn FnMut(String, &Path, bool),
        entered: &mut dyn FnMut(&Path),
    ) -> io::Result<()> {
        entered(dir);
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}/{name}")
            };
            let kind = entry.file_type()?;
            // Linked directories are not followed: they may leave the project or loop.
            if kind.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    // A directory that cannot be listed hides its files and nothing else.
                    let _ = self.walk_folders(&entry.path(), &path, wanted, found, entered);
                }
            } else if wanted(&path) {
                let file = entry.path();
                // The system is asked once more only of what is not plainly a file.
                if kind.is_file() || file.is_file() {
                    found(path, &file, kind.is_symlink());
                }
            }
        }
        Ok(())
    }
}

fn leads_out(home: &Path, path: &Path) -> bool {
    path.is_symlink() && std::fs::canonicalize(path).is_ok_and(|target| !target.starts_with(home))
}

fn content(home: &Path, file: &Path, linked: bool) -> Content {
    if linked && leads_out(home, file) {
        return Content::Unreadable("it is a link to a file outside the project".into());
    }
    read(file)
}

fn read(path: &Path) -> Content {
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text.into()),
            Err(e) => Content::Unreadable(
                format!(
                    "it is not valid UTF-8 (byte {})",
                    e.utf8_error().valid_up_to()
                )
                .into(),
            ),
        },
        Err(e) => Content::Unreadable(e.to_string().into()),
    }
}

impl System for OsSystem {
    fn read_tree(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Content>> {
        let mut out = BTreeMap::new();
        let home = std::fs::canonicalize(&self.root)?;
        self.walk(&self.root, "", wanted, &mut |path, file, linked| {
            out.insert(path, content(&home, file, linked));
        })?;
        Ok(out)
    }

    fn stamps(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Stamp>> {
        let mut out = BTreeMap::new();
        self.walk(&self.root, "", wanted, &mut |path, file, _| {
            let stamp = file.metadata().ok().map(|meta| Stamp::of(&meta));
            out.insert(path, stamp.unwrap_or_default());
        })?;
        Ok(out)
    }

    fn read_back(&self, path: &str, limit: u64) -> Option<String> {
        let path = self.root.join(path);
        // Neither a pipe, which never ends, nor a link to somebody else's file.
        let there = path.metadata().ok()?;
        if !there.is_file()
            || there.len() > limit
            || leads_out(&std::fs::canonicalize(&self.root).ok()?, &path)
        {
            return None;
        }
        std::fs::read_to_string(path).ok()
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let target = self.root.join(path);
        let home = std::fs::canonicalize(&self.root)?;
        // A link in the project must not make a build write somewhere else.
        let there = target.ancestors().skip(1).find(|dir| dir.exists());
        if let Some(dir) = there
            && !std::fs::canonicalize(dir)?.starts_with(&home)
        {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("`{}` leads out of the project", dir.display()),
            ));
        }
        write_atomically(&target, text.as_bytes())
    }
}

/// Writes beside the target and renames over it: readers see the old bytes or the new ones.
pub fn write_atomically(target: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;

    let dir = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let mut part = new_file(dir)?;
    part.write_all(bytes)?;
    part.persist(target).map_err(|error| error.error)?;
    Ok(())
}

// Temporary files are for their owner alone; what is written here is for whoever the umask lets in.
#[cfg(unix)]
fn new_file(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;

    tempfile::Builder::new()
        .prefix(".part-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(dir)
}

#[cfg(not(unix))]
fn new_file(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".part-").tempfile_in(dir)
}

/// Files in memory, for tests.
#[derive(Clone, Debug, Default)]
pub struct MemorySystem {
    files: Arc<Mutex<BTreeMap<String, String>>>,
}

impl MemorySystem {
    pub fn new<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let files = files
            .into_iter()
            .map(|(path, text)| (path.into(), text.into()))
            .collect();
        Self {
            files: Arc::new(Mutex::new(files)),
        }
    }

    pub fn set(&self, path: &str, text: &str) {
        self.lock().insert(path.to_owned(), text.to_owned());
    }

    pub fn remove(&self, path: &str) {
        self.lock().remove(path);
    }

    pub fn get(&self, path: &str) -> Option<String> {
        self.lock().get(path).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl System for MemorySystem {
    fn read_tree(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Content>> {
        Ok(self
            .lock()
            .iter()
            .filter(|(path, _)| wanted(path))
            .map(|(path, text)| (path.clone(), Content::Text(text.as_str().into())))
            .collect())
    }

    fn stamps(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Stamp>> {
        let files = self.read_tree(wanted)?;
        let stamps = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
        let stamp = |content: &Content| match content {
            Content::Text(text) => Stamp {
                modified: None,
                // There is no clock here: the text itself stands in for size and time.
                bytes: std::hash::BuildHasher::hash_one(&stamps, text),
                ..Stamp::default()
            },
            Content::Missing | Content::Unreadable(_) => Stamp::default(),
        };
        Ok(files
            .iter()
            .map(|(path, c)| (path.clone(), stamp(c)))
            .collect())
    }

    fn read_back(&self, path: &str, limit: u64) -> Option<String> {
        self.get(path).filter(|text| text.len() as u64 <= limit)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        self.set(path, text);
        Ok(())
    }
}
