//! The projects of `fixtures/compat`, with what the Python product printed for them.

use std::path::Path;
use std::process::Command;

use crate::support::repository;

#[test]
fn existing_projects_behave_the_same() {
    let output = Command::new(repository().join(".venv/bin/python"))
        .arg(repository().join("fixtures/compat/record.py"))
        .arg("--check")
        .arg(Path::new(env!("CARGO_BIN_EXE_mxcp")))
        .env("VIRTUAL_ENV", repository().join(".venv"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("the recorder starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
