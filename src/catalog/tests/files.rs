//! Reading database files without touching them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mxcp_artifact::{RelationKind, RelationName};

use crate::{IntrospectError, introspect};

fn write_database(path: &Path) {
    let conn = duckdb::Connection::open(path).unwrap();
    conn.execute_batch(
        "CREATE TYPE mood AS ENUM('low', 'high');
         CREATE TABLE Orders(id BIGINT NOT NULL, m mood, s STRUCT(a INTEGER, \"B b\" VARCHAR[]));
         CREATE SCHEMA mart;
         CREATE VIEW mart.recent AS SELECT id, now() AS seen FROM Orders;",
    )
    .unwrap();
}

#[test]
fn relations_views_and_schemas_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my shop.duckdb");
    write_database(&path);
    let before = std::fs::read(&path).unwrap();
    let snapshot = introspect(&path).unwrap();
    let orders = snapshot.get(&RelationName::main("orders")).unwrap();
    let texts: Vec<String> = orders
        .columns
        .iter()
        .map(|c| format!("{} {} {}", c.name, c.ty, c.nullable))
        .collect();
    assert_eq!(
        texts,
        [
            "id BIGINT false",
            "m ENUM('low', 'high') true",
            "s STRUCT(a INTEGER, \"B b\" VARCHAR[]) true"
        ]
    );
    let recent = snapshot
        .get(&RelationName::in_schema("mart", "recent"))
        .unwrap();
    assert_eq!(recent.kind, RelationKind::View);
    assert_eq!(recent.columns[1].ty.to_string(), "TIMESTAMP WITH TIME ZONE");
    assert_eq!(snapshot.relations.len(), 2);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn a_missing_file_is_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.duckdb");
    assert_eq!(introspect(&path), Err(IntrospectError::Missing));
    assert!(!path.exists());
}

#[test]
fn other_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.duckdb");
    std::fs::write(&path, "id,name\n".repeat(4_000)).unwrap();
    assert_eq!(introspect(&path), Err(IntrospectError::NotADatabase));
    std::fs::write(&path, "").unwrap();
    assert_eq!(introspect(&path), Err(IntrospectError::NotADatabase));
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}

/// The other process of the test below: holds the write lock until its input ends.
fn hold_the_lock(path: &Path) {
    let _conn = duckdb::Connection::open(path).unwrap();
    println!("held");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().next();
}

#[test]
fn a_writer_is_named() {
    // The test starts itself once more, as the process that writes.
    if let Some(path) = std::env::var_os("MXCP_TEST_LOCK") {
        return hold_the_lock(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("busy.duckdb");
    write_database(&path);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::files::a_writer_is_named", "--nocapture"])
        .env("MXCP_TEST_LOCK", &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|l| l.unwrap().contains("held")));
    let outcome = introspect(&path);
    drop(child.stdin.take());
    child.wait().unwrap();
    match outcome {
        Err(IntrospectError::Locked { by: Some(by) }) => {
            assert!(by.contains(&child.id().to_string()), "{by}")
        }
        other => panic!("{other:?}"),
    }
    assert!(introspect(&path).is_ok());
}
