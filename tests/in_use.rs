//! A database that another process holds for writing: what only reads reads a snapshot of it, what
//! writes is told who holds it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ran, SITE, mxcp, run};

/// A second process with the database open for writing, stopped at the end.
struct Writer(Child);

impl Writer {
    fn start(project: &Path) -> Self {
        // What it has written when it settles down to its endless query is in the log only.
        let sql = "INSERT INTO t SELECT range FROM range(1000, 1500); \
                   COPY (SELECT 1) TO 'ready.csv'; \
                   SELECT count(*) FROM range(1000000000) a, range(1000000000) b";
        let child = mxcp(project)
            .args(["query", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the writer starts");
        let writer = Self(child);
        let started = Instant::now();
        while !project.join("ready.csv").exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "it is ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        writer
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let tools = dir.path().join("tools");
    std::fs::create_dir(&tools).expect("a directory can be made");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file is written");
    write(&dir.path().join("mxcp-site.yml"), SITE);
    for (name, sql) in [
        ("read", "SELECT count(*)::INTEGER AS n FROM t"),
        ("write", "INSERT INTO t VALUES (1)"),
    ] {
        let tool = format!(
            "mxcp: 1\ntool:\n  name: {name}\n  description: {name}\n  source: {{code: \"{sql}\"}}\n  tests:\n    - {{name: works, arguments: [], result_length: 1}}\n"
        );
        write(&tools.join(format!("{name}.yml")), &tool);
    }
    let create = "CREATE TABLE t AS SELECT range AS i FROM range(1000)";
    run(dir.path(), &["query", create]).ok();
    dir
}

fn says_a_snapshot_is_read(ran: &Ran) {
    assert!(ran.stderr.contains("a snapshot of it is read"), "{ran:#?}");
    assert!(ran.stderr.contains("`mxcp` (process "), "{ran:#?}");
}

#[test]
fn what_only_reads_reads_a_snapshot() {
    let dir = project();
    let writer = Writer::start(dir.path());
    let sum = "SELECT sum(i) AS s FROM t";
    let ran = run(dir.path(), &["query", sum, "--json-output"]).ok();
    assert_eq!(ran.json()["result"][0]["s"], 1_124_250);
    says_a_snapshot_is_read(&ran);
    let ran = run(dir.path(), &["run", "tool", "read", "--json-output"]).ok();
    assert_eq!(ran.json()["result"][0]["n"], 1500);
    says_a_snapshot_is_read(&ran);
    says_a_snapshot_is_read(&run(dir.path(), &["test", "tool", "read"]).ok());
    says_a_snapshot_is_read(&run(dir.path(), &["validate"]).ok());
    for args in [
        ["query", "DELETE FROM t"].as_slice(),
        &["run", "tool", "write"],
        &["test"],
    ] {
        let ran = run(dir.path(), args);
        assert_eq!(ran.code, 1, "{ran:#?}");
        let wanted = "database `data/db-default.duckdb` is in use by `mxcp` (process ";
        assert!(ran.stderr.contains(wanted), "{ran:#?}");
        assert!(ran.stderr.contains("stop that process"), "{ran:#?}");
    }
    let ran = run(dir.path(), &["run", "tool", "write", "--readonly"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("read-only mode"), "{ran:#?}");
    drop(writer);
    run(dir.path(), &["run", "tool", "write"]).ok();
    let ran = run(dir.path(), &["run", "tool", "read", "--json-output"]).ok();
    assert_eq!(ran.json()["result"][0]["n"], 1501);
    assert!(ran.stderr.is_empty(), "{ran:#?}");
}

#[test]
fn several_processes_read_at_once() {
    let dir = project();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let ran = run(dir.path(), &["run", "tool", "read", "--readonly"]).ok();
                assert!(ran.stderr.is_empty(), "{ran:#?}");
            });
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_of_ten_million_rows_is_refused_early_and_in_little_memory() {
    let dir = project();
    let started = Instant::now();
    let sql = "SELECT range AS i, 'row ' || range AS t, [range] AS l FROM range(10000000)";
    let mut child = mxcp(dir.path())
        .args(["query", sql, "--json-output"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kb = 0u64;
    while child.try_wait().expect("it can be waited for").is_none() {
        // The high-water mark, as long as the process is there to tell.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak_kb = peak_kb.max(mark.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("it ended");
    let envelope: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        envelope["error"],
        "Failed to execute SQL: the result has more than 100000 rows; add a LIMIT or aggregate"
    );
    assert!(envelope.get("result").is_none(), "{envelope}");
    assert!(started.elapsed() < Duration::from_secs(60));
    assert!((1..400_000).contains(&peak_kb), "{peak_kb} kB");
}
