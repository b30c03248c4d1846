//! The manifest and the lock: deterministic, atomic, and all that serving needs.

use std::fs;

use crate::support::{built_customer_360, copy_of, fixture, run};

const MANIFEST: &str = "target/mxcp/manifest.json";

#[test]
fn two_directories_give_equal_bytes() {
    let one = copy_of(&fixture("customer_360"));
    let two = copy_of(&fixture("customer_360"));
    for dir in [&one, &two] {
        run(dir.path(), &["build"]).ok();
    }
    for file in [MANIFEST, "mxcp.lock"] {
        let read = |dir: &tempfile::TempDir| fs::read(dir.path().join(file)).expect("written");
        assert_eq!(read(&one), read(&two), "{file}");
    }
    let text = fs::read_to_string(one.path().join(MANIFEST)).expect("written");
    assert!(
        !text.contains(&one.path().display().to_string()),
        "no absolute path"
    );
}

#[test]
fn a_database_does_not_change_the_manifest() {
    let without = copy_of(&fixture("customer_360"));
    let with = built_customer_360();
    for dir in [&without, &with] {
        run(dir.path(), &["build"]).ok();
    }
    let read =
        |dir: &tempfile::TempDir| fs::read_to_string(dir.path().join(MANIFEST)).expect("written");
    assert_eq!(read(&without), read(&with));
}

#[test]
fn a_failing_build_leaves_the_last_manifest() {
    let dir = copy_of(&fixture("customer_360"));
    run(dir.path(), &["build"]).ok();
    let before = fs::read(dir.path().join(MANIFEST)).expect("written");
    let lock = fs::read(dir.path().join("mxcp.lock")).expect("written");
    fs::write(dir.path().join("tools/broken.yml"), "tool:\n  name: [\n").expect("writable");
    let failed = run(dir.path(), &["build"]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert!(failed.stderr.contains("MX0101"), "{failed:#?}");
    assert_eq!(
        before,
        fs::read(dir.path().join(MANIFEST)).expect("still there")
    );
    assert_eq!(
        lock,
        fs::read(dir.path().join("mxcp.lock")).expect("still there")
    );
}

#[test]
fn locked_refuses_a_changed_contract() {
    let dir = copy_of(&fixture("customer_360"));
    let missing = run(dir.path(), &["build", "--locked"]);
    assert_eq!(missing.code, 1, "{missing:#?}");
    assert!(
        !dir.path().join(MANIFEST).exists(),
        "nothing is written under --locked"
    );
    run(dir.path(), &["build"]).ok();
    run(dir.path(), &["build", "--locked"]).ok();
    let tool = dir.path().join("tools/get_customer_metrics.yml");
    let text = fs::read_to_string(&tool).expect("there");
    fs::write(&tool, text.replace("gold'", "platinum'")).expect("writable");
    let changed = run(dir.path(), &["build", "--locked"]);
    assert_eq!(changed.code, 1, "{changed:#?}");
    assert!(changed.stderr.contains("mxcp.lock"), "{changed:#?}");
}
