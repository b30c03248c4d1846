//! `mxcp test` and `mxcp run` from outside: policies, isolation, reports.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Ran, copy_of, fixture, repository, run};

fn project(name: &str) -> tempfile::TempDir {
    let dir = copy_of(&fixture("compat").join(name));
    if dir.path().join("setup.sql").is_file() {
        std::fs::create_dir_all(dir.path().join("data")).expect("a folder for the database");
        run(dir.path(), &["query", "--file", "setup.sql"]).ok();
    }
    dir
}

fn tool(dir: &Path, name: &str, rest: &[&str]) -> Ran {
    let mut args = vec!["run", "tool", name, "--json-output"];
    args.extend(rest);
    run(dir, &args)
}

#[test]
fn a_condition_that_raises_denies() {
    let dir = project("81_conditions");
    let raised = tool(
        dir.path(),
        "raising",
        &["-p", "id=500", "-u", r#"{"role": "x"}"#],
    );
    assert_eq!(raised.code, 1, "{raised:#?}");
    assert_eq!(
        raised.json()["error"],
        "Policy enforcement failed: Access denied by policy"
    );
    assert!(
        raised.stderr.contains("there is no `department`"),
        "{raised:#?}"
    );
    let reachable = |user: &str| tool(dir.path(), "raising", &["-p", "id=500", "-u", user]);
    assert_eq!(
        reachable(r#"{"department": "hr"}"#).ok().json()["result"],
        500
    );
    assert_eq!(
        reachable(r#"{"department": "it"}"#).json()["error"],
        "Policy enforcement failed: Only hr"
    );
}

#[test]
fn sensitive_fields_go_at_every_depth() {
    let dir = project("81_conditions");
    let filtered = tool(dir.path(), "sensitive_people", &["-u", r#"{"role": "x"}"#]).ok();
    assert_eq!(
        filtered.json()["result"],
        json!([{
            "name": "Ann",
            "manager": {"name": "Bea"},
            "phones": [{"kind": "home"}, {"kind": "work"}],
            "tags": [],
        }])
    );
}

#[test]
fn no_type_of_column_switches_policies_off() {
    let dir = project("81_conditions");
    let people = |role: &str| {
        let user = json!({ "role": role }).to_string();
        tool(dir.path(), "people", &["-u", &user])
    };
    assert_eq!(
        people("guest").json()["error"],
        "Output policy enforcement failed: Not for guests"
    );
    let masked = people("user").ok().json();
    let first = &masked["result"][0];
    assert_eq!(first["id"], "11111111-1111-1111-1111-111111111111");
    assert_eq!(first["salary"], "****");
    assert_eq!(first.get("photo"), None);
}

#[test]
fn one_wrong_test_does_not_keep_the_others_from_running() {
    let dir = project("82_failing_tests");
    let ran = run(
        dir.path(),
        &["test", "tool", "wrong_arguments", "--json-output"],
    );
    assert_eq!(ran.code, 1);
    let statuses: Vec<Value> = ran.json()["result"]["tests"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|test| test["status"].clone())
        .collect();
    assert_eq!(statuses, ["passed", "error", "error", "error", "passed"]);
    // The endpoint itself is fine, and checking still says what is wrong.
    let called = tool(dir.path(), "wrong_arguments", &["-p", "a=1"]).ok();
    assert_eq!(called.json()["result"], 2);
    let checked = run(
        dir.path(),
        &[
            "validate",
            "tools/wrong_arguments.yml",
            "--format",
            "concise",
        ],
    );
    assert!(checked.stdout.contains("MX0701"), "{checked:#?}");
}

#[test]
fn junit_counts_failures_errors_and_what_was_skipped() {
    let dir = project("82_failing_tests");
    let ran = run(dir.path(), &["test", "--junit", "reports/tests.xml"]);
    assert_eq!(ran.code, 1);
    let script = r#"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
cases = root.findall("./testsuite/testcase")
for what in ("failure", "error", "skipped"):
    found = sum(case.find(what) is not None for case in cases)
    counted = root.get({"failure": "failures", "error": "errors", "skipped": "skipped"}[what])
    assert found and str(found) == counted, (what, found, counted)
assert root.get("tests") == str(len(cases)), root.attrib
assert all(float(case.get("time")) >= 0 for case in cases)
names = {suite.get("name") for suite in root}
assert {"tool/errors", "tool/broken_sql", "tools/not_yaml.yml"} <= names, names
"#;
    let parsed = Command::new(repository().join(".venv/bin/python"))
        .args(["-c", script])
        .arg(dir.path().join("reports/tests.xml"))
        .output()
        .expect("Python starts");
    assert!(
        parsed.status.success(),
        "{}",
        String::from_utf8_lossy(&parsed.stderr)
    );
    let left: Vec<_> = std::fs::read_dir(dir.path().join("reports"))
        .expect("the folder was made")
        .collect();
    assert_eq!(left.len(), 1);
    let refused = run(
        dir.path(),
        &["test", "tool", "no_tests", "--junit", "mxcp-site.yml/x.xml"],
    );
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("cannot be written"), "{refused:#?}");
}

#[test]
fn tests_leave_the_database_as_it_was_unless_told_otherwise() {
    let dir = project("84_rolled_back");
    let count = || tool(dir.path(), "count", &[]).ok().json()["result"].clone();
    let before = count();
    let isolated = run(dir.path(), &["test", "--json-output"]);
    assert_eq!(isolated.code, 1, "{isolated:#?}");
    assert_eq!(count(), before);
    let report = isolated.json().to_string();
    assert!(report.contains("mxcp test --no-isolated"), "{report}");
    run(dir.path(), &["test", "tool", "python_add", "--no-isolated"]);
    assert_ne!(count(), before);
}

#[test]
fn debug_adds_the_kind_of_error_and_its_traceback() {
    let dir = project("83_running");
    let raised = tool(dir.path(), "shapes", &["-p", "shape=nope", "--debug"]);
    let envelope = raised.json();
    assert_eq!(envelope["type"], "KeyError");
    let traceback = envelope["traceback"].as_str().expect("a text");
    assert!(traceback.contains("python/shapes.py"), "{traceback}");
    let wrong = tool(dir.path(), "echo", &["-p", "n=x", "--debug"]).json();
    assert_eq!(wrong["type"], "ValidationError");
    let plain = tool(dir.path(), "shapes", &["-p", "shape=nope"]).json();
    assert_eq!(plain.get("traceback"), None);
}

#[test]
fn a_wrong_name_suggests_the_nearest() {
    let dir = project("83_running");
    for (args, hint) in [
        (["run", "tool", "ehco"], "did you mean `echo`?"),
        (["test", "tool", "ehco"], "did you mean `echo`?"),
        (["run", "prompt", "echo"], "there is a tool of that name"),
        (
            ["run", "resource", "data://item/5"],
            "did you mean `data://items/",
        ),
    ] {
        let ran = run(dir.path(), &args);
        assert_eq!(ran.code, 1, "{ran:#?}");
        assert!(ran.stderr.contains(hint), "{ran:#?}");
    }
}
