//! What several tests need: projects in memory, copies of fixtures, and running the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use mxcp_base::{MemorySystem, System as _};
use mxcp_catalog::{Binder, DuckDbBinder};
use mxcp_compiler::{CompilerDatabase, is_source_file};

pub(crate) const SITE: &str = "mxcp: 1\nproject: test\nprofile: default\n";

/// One binder for the whole test binary: its answers depend on the request alone.
pub(crate) fn binder() -> Arc<dyn Binder> {
    static BINDER: OnceLock<Arc<DuckDbBinder>> = OnceLock::new();
    BINDER.get_or_init(|| Arc::new(DuckDbBinder::new())).clone()
}

/// A compiler database over files in memory, with an event log.
pub(crate) fn database(system: &MemorySystem) -> CompilerDatabase {
    let mut db = CompilerDatabase::with_event_log(binder());
    sync(&mut db, system);
    db
}

pub(crate) fn sync(db: &mut CompilerDatabase, system: &MemorySystem) {
    let files = system
        .read_tree(&is_source_file)
        .expect("memory can be read");
    db.sync_files(files);
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    repository().join("fixtures").join(name)
}

/// A private copy of a directory, without what building it leaves behind.
pub(crate) fn copy_of(source: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    copy_tree(source, dir.path());
    dir
}

/// [`copy_of`], to a place of the caller's choice.
pub(crate) fn copy_to(source: &Path, target: &Path) {
    copy_tree(source, target);
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in std::fs::read_dir(from).expect("the fixture can be listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if name == "target" || name == ".mxcp" || name == "__pycache__" {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            copy_tree(&path, &to.join(name));
        } else if path.extension().is_none_or(|e| e != "duckdb" && e != "wal") {
            std::fs::copy(&path, to.join(name)).expect("a file can be copied");
        }
    }
}

/// The binary with a clean environment in a directory.
pub(crate) fn mxcp(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxcp"));
    command.current_dir(dir);
    for (name, _) in std::env::vars() {
        if name.starts_with("MXCP_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", dir)
        .env("VIRTUAL_ENV", repository().join(".venv"))
        .env("NO_COLOR", "1");
    command
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Ran {
    finish(mxcp(dir).args(args).output().expect("the binary starts"))
}

pub(crate) fn finish(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `fixtures/customer_360`, copied, with its database built.
pub(crate) fn built_customer_360() -> tempfile::TempDir {
    // Building takes a while, so it happens once; every caller gets a copy with the database.
    static BUILT: OnceLock<tempfile::TempDir> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let dir = copy_of(&fixture("customer_360"));
        run(dir.path(), &["dbt", "build"]).ok();
        dir
    });
    let copy = copy_of(built.path());
    std::fs::copy(
        built.path().join("dev.duckdb"),
        copy.path().join("dev.duckdb"),
    )
    .expect("the database can be copied");
    copy
}
