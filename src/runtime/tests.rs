//! Whole calls: a manifest with SQL, Python, a resource and a prompt, on a database of its own.

use std::path::Path;
use std::sync::{Arc, Mutex};

use mxcp_artifact::{EndpointKind, Manifest};
use serde_json::{Map, Value, json};

use crate::testing::{self, Selection, TestOptions};
use crate::{Call, CallError, Options, Runtime, User, UserConfig, Verdict};

// The working directory and the interpreter belong to the process.
pub(crate) static ONE_HOST_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub(crate) fn tool(name: &str, sql: &str, rest: Value) -> Value {
    let mut endpoint = json!({
        "kind": "tool",
        "name": name,
        "path": format!("tools/{name}.yml"),
        "body": {"sql": {"sql": sql, "effects": {}}},
        "input_schema": {},
    });
    for (key, value) in object(rest) {
        endpoint[key] = value;
    }
    endpoint
}

pub(crate) fn manifest(endpoints: Value, python: Value) -> Arc<Manifest> {
    let manifest = json!({
        "format_version": 1,
        "toolchain": {"compiler": "0", "engine": "0"},
        "project": {
            "name": "p", "profile": "dev", "profiles": {},
            "python_path": "python", "plugin_path": "plugins", "site": {"project": "p"},
        },
        "endpoints": endpoints,
        "python": python,
        "sources": {},
    });
    Arc::new(serde_json::from_value(manifest).unwrap())
}

pub(crate) fn options(root: &Path) -> Options {
    Options {
        root: root.to_owned(),
        profile: "dev".into(),
        readonly: false,
        database: None,
        user_config: UserConfig::default(),
        venv: None,
        transport: "cli",
    }
}

fn start(root: &Path, endpoints: Value) -> Runtime {
    Runtime::start(manifest(endpoints, json!([])), options(root)).unwrap()
}

pub(crate) fn call(
    runtime: &Runtime,
    id: &str,
    arguments: Value,
    user: Option<Value>,
) -> Result<Value, String> {
    let mut call = Call::new(EndpointKind::Tool, id, object(arguments));
    call.caller.user = user.map(|user| User::from_cli_context(&object(user)));
    runtime
        .call(&call)
        .map(|outcome| outcome.value)
        .map_err(|error| error.to_string())
}

const OWN_DATA: &str = "user.role != 'admin' && id != user.customer_id";

fn customers() -> Value {
    json!([
        tool(
            "get",
            "SELECT $id AS id, 10.50::DECIMAL(10,2) AS total, DATE '2024-01-31' AS since, 'n' AS notes",
            json!({
                "parameters": [{"name": "id", "type": {"type": "string"}}],
                "return": {"type": "object", "properties": [
                    {"name": "id", "type": {"type": "string"}},
                    {"name": "total", "type": {"type": "number"}},
                    {"name": "since", "type": {"type": "string", "format": "date"}},
                ], "required": ["id"]},
                "policies": {
                    "input": [{"condition": OWN_DATA, "action": "deny", "reason": "only your own"}],
                    "output": [{"condition": "user.role != 'admin'", "action": "filter_fields", "fields": ["notes"]}],
                },
                "tests": [
                    {"name": "lookup", "arguments": [["id", "c1"]], "result_contains": {"total": 10.5}},
                    {"name": "other", "arguments": [["id", "c1"]], "user_context": {"role": "user", "customer_id": "c2"}},
                    {"name": "wrong", "arguments": [["id", "c1"]], "user_context": {"role": "admin"}, "result_contains": {"total": 11}},
                ],
            })
        ),
        tool("raw", "SELECT $undeclared AS v", json!({})),
        tool(
            "bad",
            "SELECT 'x' AS n",
            json!({"return": {"type": "integer"}})
        ),
    ])
}

#[test]
fn a_call_converts_decides_runs_and_checks() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = start(dir.path(), customers());
    assert_eq!(
        call(
            &runtime,
            "get",
            json!({"id": "c1"}),
            Some(json!({"role": "admin"}))
        ),
        Ok(json!({"id": "c1", "total": 10.5, "since": "2024-01-31", "notes": "n"}))
    );
    assert_eq!(
        call(
            &runtime,
            "get",
            json!({"id": "c1"}),
            Some(json!({"customer_id": "c1"}))
        ),
        Ok(json!({"id": "c1", "total": 10.5, "since": "2024-01-31"}))
    );
    assert_eq!(
        call(
            &runtime,
            "get",
            json!({"id": "c1"}),
            Some(json!({"customer_id": "c2"}))
        ),
        Err("Policy enforcement failed: only your own".into())
    );
    // Nobody is authenticated: `user.customer_id` does not exist, and that denies.
    assert_eq!(
        call(&runtime, "get", json!({"id": "c1"}), None),
        Err("Policy enforcement failed: Access denied by policy".into())
    );
    assert_eq!(
        call(&runtime, "get", json!({}), None),
        Err("Required parameter missing: id; expected string, e.g. 'example'".into())
    );
    assert_eq!(
        call(&runtime, "raw", json!({"undeclared": 1}), None),
        Err("Unknown parameter: undeclared; there are no parameters".into())
    );
    assert_eq!(
        call(&runtime, "bad", json!({}), None),
        Err("Output validation failed: Expected integer, got str".into())
    );
    assert_eq!(
        call(&runtime, "nope", json!({}), None),
        Err("Endpoint 'nope' not found in tools".into())
    );
    assert_eq!(
        runtime.query("SELECT $a + 1 AS b", &object(json!({"a": 1}))),
        Ok(json!([{"b": 2}]))
    );
    runtime.shutdown();
    assert!(runtime.query("SELECT 1", &Map::new()).is_err());
}

#[test]
fn tests_of_a_project_are_judged() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = start(dir.path(), customers());
    let selection = Selection {
        kind: Some(EndpointKind::Tool),
        id: Some("get".into()),
    };
    let report = testing::run(&runtime, &selection, &TestOptions::default(), &|_, _| {});
    let mut report = serde_json::to_value(&report).unwrap();
    for test in report["tests"].as_array_mut().unwrap() {
        test["time"] = json!(0);
    }
    assert_eq!(
        report,
        json!({
            "status": "failed", "tests_run": 3, "no_tests": false,
            "tests": [
                {"name": "lookup", "description": "", "status": "passed", "time": 0,
                 "note": format!("input[0]: `{OWN_DATA}` was not applied: there is no `customer_id`; give it under `user_context`")},
                {"name": "other", "description": "", "status": "passed", "time": 0,
                 "note": "denied by policy: only your own; add `denied: true` to say so"},
                {"name": "wrong", "description": "", "status": "failed", "time": 0,
                 "error": "Field 'total' has value 10.5, expected 11"},
            ],
        })
    );
    let all = testing::run(
        &runtime,
        &Selection::default(),
        &TestOptions::default(),
        &|_, _| {},
    );
    let all = serde_json::to_value(&all).unwrap();
    assert_eq!(all["endpoints"][1]["endpoint"], "tool/raw");
    assert_eq!(all["endpoints"][1]["test_results"]["no_tests"], true);
}

#[test]
fn resources_and_prompts_are_called_like_tools() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = start(
        dir.path(),
        json!([
            {
                "kind": "resource", "uri": "item://{id}", "path": "resources/item.yml", "input_schema": {},
                "parameters": [{"name": "id", "type": {"type": "integer"}}],
                "return": {"type": "object"},
                "body": {"sql": {"sql": "SELECT $id AS id", "effects": {}}},
            },
            {
                "kind": "prompt", "name": "greet", "path": "prompts/greet.yml", "input_schema": {},
                "parameters": [{"name": "who", "type": {"type": "string"}}, {"name": "n", "type": {"type": "integer", "default": 1}}],
                "body": {"prompt": {"messages": [{"role": "user", "prompt": "{{ n + 1 }} for {{ who }}"}]}},
                "policies": {"output": [{"condition": "size(response) == 1 && who == 'Bob'", "action": "deny"}]},
            },
        ]),
    );
    let read = |uri: &str| {
        runtime
            .call(&Call::new(EndpointKind::Resource, uri, Map::new()))
            .map(|o| o.value)
    };
    assert_eq!(read("item://42"), Ok(json!({"id": 42})));
    assert!(matches!(read("item://a"), Err(CallError::InvalidInput(_))));
    assert!(matches!(read("other://1"), Err(CallError::NotFound { .. })));
    let greet = |who: &str| {
        let call = Call::new(EndpointKind::Prompt, "greet", object(json!({"who": who})));
        runtime.call(&call)
    };
    assert_eq!(
        greet("Ann").map(|o| o.value),
        Ok(json!([{"prompt": "2 for Ann", "role": "user", "type": null}]))
    );
    let denied = greet("Bob").unwrap_err();
    assert_eq!(
        denied.to_string(),
        "Output policy enforcement failed: Output blocked by policy"
    );
    assert_eq!(
        denied.decision().map(|d| d.verdict.clone()),
        Some(Verdict::Deny)
    );
}

const PYTHON: &str = r#"
from mxcp.runtime import db, on_init

@on_init
def setup():
    db.execute("CREATE TABLE IF NOT EXISTS notes AS SELECT DATE '2024-01-31' AS day, 1.50::DECIMAL(5,2) AS amount")

def double(n: int, day=None) -> dict:
    row = db.execute("SELECT day, amount, get_username() AS who FROM notes WHERE day = $day", {"day": day})[0]
    return {"n": n * 2, "weekday": row["day"].isoweekday(), "amount": row["amount"], "who": row["who"]}

def broken():
    raise ValueError("boom")
"#;

const PLUGIN: &str = r#"
from mxcp.plugins import MXCPBasePlugin, udf

class MXCPPlugin(MXCPBasePlugin):
    @udf
    def shout(self, text: str) -> str:
        return None if text is None else text.upper() + self._config.get("mark", "")

    @udf
    def pair(self, n: int) -> list[int]:
        return [n, n + 1]
"#;

#[test]
fn python_endpoints_hooks_and_plugins() {
    let _turn = ONE_HOST_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [("python/m.py", PYTHON), ("plugins/shouting.py", PLUGIN)] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let python = |name: &str, function: &str, parameters: Value| {
        tool(
            name,
            "",
            json!({
                "parameters": parameters,
                "return": {"type": "object"},
                "body": {"python": {"file": "python/m.py", "digest": "blake3:0", "function": function}},
            }),
        )
    };
    let endpoints = json!([
        python(
            "double",
            "double",
            json!([
                {"name": "n", "type": {"type": "integer"}},
                {"name": "day", "type": {"type": "string", "format": "date", "default": "2024-01-31"}},
            ])
        ),
        python("broken", "broken", json!([])),
        tool(
            "shout",
            "SELECT shout_s($t) AS v, shout_s(NULL) AS n, sum(len(shout_s('a' || i))) AS l, pair_s(3) AS p FROM range(5000) t(i)",
            json!({"parameters": [{"name": "t", "type": {"type": "string"}}], "return": {"type": "object"}})
        ),
    ]);
    let mut manifest = Arc::unwrap_or_clone(manifest(
        endpoints,
        json!([{"path": "python/m.py", "digest": "blake3:0"}]),
    ));
    manifest.project.plugins =
        serde_json::from_value(json!([{"name": "s", "module": "shouting", "config": "c"}]))
            .unwrap();
    let manifest = Arc::new(manifest);
    let missing = Runtime::start(Arc::clone(&manifest), options(dir.path())).unwrap_err();
    assert!(missing.to_string().contains("`c`"), "{missing}");
    let mut options = options(dir.path());
    options.user_config.plugin_config =
        [("c".to_owned(), [("mark".to_owned(), "!".to_owned())].into())].into();
    let runtime = Runtime::start(manifest, options).unwrap();
    assert_eq!(
        call(
            &runtime,
            "double",
            json!({"n": "4"}),
            Some(json!({"username": "ann"}))
        ),
        Ok(json!({"n": 8, "weekday": 3, "amount": 1.5, "who": "ann"}))
    );
    let failed = runtime
        .call(&Call::new(EndpointKind::Tool, "broken", Map::new()))
        .unwrap_err();
    let CallError::Failed { message, traceback } = failed else {
        panic!("{failed:?}");
    };
    assert!(message.contains("boom"), "{message}");
    assert!(traceback.is_some_and(|t| t.contains("python/m.py")));
    assert_eq!(
        call(&runtime, "shout", json!({"t": "hey"}), None),
        Ok(json!({"v": "HEY!", "n": null, "l": 28_890, "p": [3, 4]}))
    );
    runtime.shutdown();
}

#[test]
fn a_database_that_cannot_be_opened_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let told = |change: &dyn Fn(&mut Options)| {
        let mut options = options(dir.path());
        change(&mut options);
        Runtime::start(manifest(json!([]), json!([])), options)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        told(&|o| o.readonly = true),
        "database `data/db-dev.duckdb` does not exist, and profile `dev` is opened read-only; create it first, e.g. with `mxcp dbt build`"
    );
    let text = told(&|o| {
        o.database = Some(":memory:".into());
        o.readonly = true;
    });
    assert!(text.contains("is in memory"), "{text}");
    std::fs::write(
        dir.path().join("x.duckdb"),
        "no database at all, but long enough to look at it",
    )
    .unwrap();
    let text = told(&|o| o.database = Some("x.duckdb".into()));
    assert!(text.contains("is not a DuckDB database"), "{text}");
}

fn writers() -> Value {
    let test = |name: &str, rest: Value| {
        let mut test = json!({"name": name});
        for (key, value) in object(rest) {
            test[key] = value;
        }
        test
    };
    let returns = json!({"type": "integer"});
    json!([
        tool(
            "add",
            "INSERT INTO notes VALUES (2); SELECT count(*) FROM notes",
            json!({
                "body": {"sql": {"sql": "INSERT INTO notes VALUES (2); SELECT count(*) FROM notes", "effects": {"writes": true}}},
                "return": returns,
                "tests": [
                    test("first", json!({"result": 2})),
                    test("second", json!({"result": 2})),
                ],
            })
        ),
        tool(
            "bracketed",
            "",
            json!({
                "body": {"sql": {"sql": "BEGIN; DELETE FROM notes; COMMIT; SELECT count(*) FROM notes", "effects": {"writes": true}}},
                "return": returns,
                "tests": [test("empties", json!({"result": 0}))],
            })
        ),
        tool(
            "count",
            "SELECT count(*) FROM notes",
            json!({"return": returns, "tests": [test("as set up", json!({"result": 1}))]})
        ),
        tool(
            "undo",
            "",
            json!({
                "body": {"sql": {"sql": "DELETE FROM notes; ROLLBACK", "effects": {"writes": true}}},
                "tests": [test("says why not", json!({"expect_error": "mxcp test --no-isolated"}))],
            })
        ),
    ])
}

#[test]
fn what_tests_write_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = start(dir.path(), writers());
    let none = Map::new();
    runtime
        .query("CREATE TABLE notes AS SELECT 1 AS id", &none)
        .unwrap();
    let run = |persist: bool| {
        let options = TestOptions {
            persist,
            ..TestOptions::default()
        };
        let done = std::sync::atomic::AtomicUsize::new(0);
        let report = testing::run(&runtime, &Selection::default(), &options, &|_, all| {
            assert_eq!(all, 5);
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 5);
        let report = serde_json::to_value(&report).unwrap();
        let results: Vec<String> = report["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|e| e["test_results"]["tests"].as_array().unwrap().clone())
            .map(|t| format!("{}: {} {}", t["name"], t["status"], t["error"]).replace('"', ""))
            .collect();
        results
    };
    let expected = [
        "first: passed null",
        "second: passed null",
        "empties: passed null",
        "as set up: passed null",
        "says why not: passed null",
    ];
    assert_eq!(run(false), expected);
    assert_eq!(run(false), expected);
    assert_eq!(
        runtime.query("SELECT count(*) AS n FROM notes", &none),
        Ok(json!([{"n": 1}]))
    );
    // In their order, each seeing what the one before left.
    assert_eq!(
        run(true)[1],
        "second: failed Result does not match expected output.\\nExpected: 2\\nGot: 3"
    );
    assert_eq!(
        runtime.query("SELECT count(*) AS n FROM notes", &none),
        Ok(json!([{"n": 0}]))
    );
}
