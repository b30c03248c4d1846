//! A private copy of a database that another process holds for writing, so that it can be read.
//!
//! DuckDB allows one writer and nobody beside it, and its lock is advisory: the files can be copied.
//! The copy is consistent because of the order in which DuckDB writes. What a commit in the log
//! refers to is in the database file before the commit is, and until the next checkpoint no block
//! that the current header or the log needs is used again. So the log is copied first, then the
//! database, and if the headers are the same before and after, no checkpoint came between. A torn
//! end of the log is a commit that has not happened, and every block has a checksum.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::ffi::Engine;

/// The two headers that DuckDB writes in turn lie behind the main one.
const HEADERS: u64 = 3 * 4096;
/// How often a copy is tried while the file keeps quiet, and then while only its header does.
const QUIET_ATTEMPTS: u32 = 3;
const ATTEMPTS: u32 = 8;

/// A copy of a database in use. Its files go when it is dropped.
#[derive(Debug)]
pub struct Snapshot {
    dir: TempDir,
    file: PathBuf,
    holder: Option<String>,
}

impl Snapshot {
    /// Copies a database. `by` is what DuckDB says of the process that holds it, e.g.
    /// `/usr/bin/python3.11 (PID 1234)`.
    pub fn take(database: &Path, by: Option<&str>) -> Result<Self, String> {
        let name = database
            .file_name()
            .ok_or_else(|| "the database has no file name".to_owned())?;
        let failed = |e: io::Error| format!("it cannot be copied to be read: {e}");
        let mut pause = Duration::from_millis(20);
        for attempt in 0..ATTEMPTS {
            // Nobody else may enter the directory. The file keeps its name: SQL may use it as the
            // name of the database.
            let dir = tempfile::Builder::new()
                .prefix("mxcp-snapshot-")
                .tempdir()
                .map_err(failed)?;
            let file = dir.path().join(name);
            if copy(database, &file, attempt < QUIET_ATTEMPTS).map_err(failed)? {
                return Ok(Self {
                    dir,
                    file,
                    holder: by.and_then(process),
                });
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        Err("it changes faster than it can be copied to be read; try again later".into())
    }

    /// Where the copy is. It is to be opened for reading only: what is written to it is lost.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The process that holds the database, if DuckDB named it.
    pub fn holder(&self) -> String {
        self.holder
            .clone()
            .unwrap_or_else(|| "another process".to_owned())
    }

    /// Removes the names of the files, once DuckDB has them open: then nothing is left behind
    /// however the process ends. The directory stays for what DuckDB may have to swap out.
    pub(super) fn forget_files(&self) {
        // Where open files cannot be removed, the directory's end takes them.
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_file(beside(&self.file, ".wal"));
    }

    /// What DuckDB needs to know beside the path.
    pub(super) fn open(&self) -> Result<Engine, String> {
        let swap = self.dir.path().join("swap");
        let path = self.file.to_str().unwrap_or_default();
        let engine = Engine::open(
            path,
            &[
                ("access_mode", "READ_ONLY"),
                ("temp_directory", swap.to_str().unwrap_or_default()),
            ],
        )?;
        Ok(engine)
    }
}

/// Whether DuckDB's message says that another process holds the file.
pub(crate) fn is_lock(message: &str) -> bool {
    message.contains("Could not set lock")
}

/// The process that DuckDB's message names, e.g. `/usr/bin/python3.11 (PID 1234)`.
pub(crate) fn lock_holder(message: &str) -> Option<&str> {
    let rest = message.split("lock is held in ").nth(1)?;
    let end = rest.find(" (PID ")?;
    rest.get(..=end + rest.get(end..)?.find(')')?)
}

/// `` `python3.11` (process 1234) ``, or that it is not known.
pub(crate) fn in_words(by: Option<&str>) -> String {
    by.and_then(process)
        .unwrap_or_else(|| "another process".to_owned())
}

fn process(by: &str) -> Option<String> {
    let (program, rest) = by.split_once(" (PID ")?;
    let (pid, _) = rest.split_once(')')?;
    let program = program.rsplit('/').next().unwrap_or(program);
    Some(format!("`{program}` (process {pid})"))
}

/// Copies log and database. `false`: a checkpoint came between, or, where that is asked for, any
/// other write to the database file.
fn copy(from: &Path, to: &Path, quiet: bool) -> io::Result<bool> {
    let before = State::of(from)?;
    if before.checkpointing {
        return Ok(false);
    }
    match fs::copy(beside(from, ".wal"), beside(to, ".wal")) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    fs::copy(from, to)?;
    let after = State::of(from)?;
    let kept = before.headers == after.headers && !after.checkpointing;
    Ok(kept && (!quiet || (before.size, before.modified) == (after.size, after.modified)))
}

struct State {
    headers: Vec<u8>,
    size: u64,
    modified: Option<SystemTime>,
    /// The log is being folded into the database.
    checkpointing: bool,
}

impl State {
    fn of(database: &Path) -> io::Result<Self> {
        let file = File::open(database)?;
        let facts = file.metadata()?;
        let mut headers = Vec::new();
        file.take(HEADERS).read_to_end(&mut headers)?;
        Ok(Self {
            headers,
            size: facts.len(),
            modified: facts.modified().ok(),
            checkpointing: [".wal.checkpoint", ".wal.recovery"]
                .iter()
                .any(|end| beside(database, end).exists()),
        })
    }
}

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_holder() {
        let message = "IO Error: Could not set lock on file \"/p/db.duckdb\": Conflicting lock is held in /usr/bin/python3.11 (PID 4321). See also https://duckdb.org/docs/connect/concurrency";
        assert!(is_lock(message));
        assert_eq!(
            in_words(lock_holder(message)),
            "`python3.11` (process 4321)"
        );
        let unnamed = "IO Error: Could not set lock on file";
        assert_eq!(in_words(lock_holder(unnamed)), "another process");
    }

    #[test]
    fn a_checkpoint_in_progress_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("d.duckdb");
        fs::write(&database, [1; 20_000]).unwrap();
        fs::write(beside(&database, ".wal"), [2; 100]).unwrap();
        let to = dir.path().join("copy.duckdb");
        fs::write(beside(&database, ".wal.checkpoint"), []).unwrap();
        assert!(!copy(&database, &to, true).unwrap());
        fs::remove_file(beside(&database, ".wal.checkpoint")).unwrap();
        assert!(copy(&database, &to, true).unwrap());
        assert_eq!(fs::read(&to).unwrap(), [1; 20_000]);
        assert_eq!(fs::read(beside(&to, ".wal")).unwrap(), [2; 100]);
    }
}
