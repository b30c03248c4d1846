//! What a server gives to clients that ask for more than there is room for, and to those of old.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Served;
use crate::support::{mxcp, run};

const SITE: &str = "\
mxcp: 1
project: limited
profile: dev
profiles: { dev: { duckdb: { path: DATABASE } } }
sql_tools: { enabled: true }
limits: { rows: 10, bytes: 2000, timeout_ms: 2000, memory_mb: 200 }
";

fn tool(dir: &Path, name: &str, returns: &str, sql: &str) {
    let text = format!(
        "mxcp: 1\ntool:\n  name: {name}\n  description: A tool with a limit\n  parameters:\n    - {{ name: n, type: integer, description: how many }}\n    - {{ name: kind, type: string, default: null, description: a kind }}\n  return: {returns}\n  source:\n    code: |\n      {sql}\n"
    );
    fs::create_dir_all(dir.join("tools")).expect("creatable");
    fs::write(dir.join("tools").join(format!("{name}.yml")), text).expect("writable");
}

fn project(database: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(
        dir.path().join("mxcp-site.yml"),
        SITE.replace("DATABASE", database),
    )
    .expect("writable");
    let rows = "{ type: array, items: { type: object, properties: { a: { type: integer } } } }";
    tool(
        dir.path(),
        "rows",
        rows,
        "SELECT range AS a FROM range($n) WHERE $kind IS NULL",
    );
    tool(
        dir.path(),
        "wide",
        "{ type: array, items: { type: string } }",
        "SELECT repeat('x', 900) AS a FROM range($n) WHERE $kind IS NULL",
    );
    tool(
        dir.path(),
        "one",
        "{ type: string }",
        "SELECT repeat('x', $n) WHERE $kind IS NULL",
    );
    dir
}

fn call(served: &Served, name: &str, arguments: Value) -> Value {
    let answer = served.request("tools/call", json!({"name": name, "arguments": arguments}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.message()["result"].clone()
}

#[test]
fn a_result_that_is_cut_says_so_and_keeps_its_form() {
    let dir = project("data.duckdb");
    let served = Served::start(dir.path(), &[]);
    let whole = call(&served, "rows", json!({"n": 10}));
    assert_eq!(whole["_meta"]["mxcp/truncated"], Value::Null, "{whole:#}");
    let cut = call(&served, "rows", json!({"n": 11}));
    assert_eq!(cut["isError"], false, "{cut:#}");
    let items = cut["structuredContent"]["result"].as_array().expect("rows");
    assert_eq!(items.len(), 10);
    assert_eq!(
        cut["_meta"]["mxcp/truncated"],
        json!({"reason": "rows", "limit": 10, "rows": 10, "advice": "to see the rest, call again with `kind`"})
    );
    let text = cut["content"][1]["text"].as_str().expect("a notice");
    assert!(text.starts_with("The result was cut: "), "{text}");
    let cut = call(&served, "wide", json!({"n": 9}));
    assert_eq!(cut["_meta"]["mxcp/truncated"]["reason"], "bytes", "{cut:#}");
    assert_eq!(cut["_meta"]["mxcp/truncated"]["rows"], 2, "{cut:#}");
    // A single value has no part that could be left out.
    let one = call(&served, "one", json!({"n": 5000}));
    assert_eq!(one["isError"], true, "{one:#}");
    let cut = call(
        &served,
        "execute_sql_query",
        json!({"sql": "FROM range(100)"}),
    );
    assert_eq!(cut["_meta"]["mxcp/truncated"]["rows"], 10, "{cut:#}");
    // The connections it took are still good.
    for _ in 0..20 {
        call(&served, "rows", json!({"n": 11}));
    }
    let whole = call(&served, "rows", json!({"n": 3}));
    assert_eq!(
        whole["structuredContent"]["result"],
        json!([{"a": 0}, {"a": 1}, {"a": 2}])
    );
}

#[test]
fn free_sql_stays_inside_though_python_may_leave() {
    let dir = project("data.duckdb");
    fs::write(dir.path().join("secret.csv"), "a\nhidden\n").expect("writable");
    fs::create_dir(dir.path().join("python")).expect("creatable");
    fs::write(
        dir.path().join("python/f.py"),
        "def f() -> str:\n    return open('secret.csv').read()\n",
    )
    .expect("writable");
    fs::write(
        dir.path().join("tools/f.yml"),
        "mxcp: 1\ntool:\n  name: f\n  description: Reads a file\n  language: python\n  source: { file: ../python/f.py }\n",
    )
    .expect("writable");
    let served = Served::start(dir.path(), &[]);
    let sql = |sql: &str| call(&served, "execute_sql_query", json!({"sql": sql}));
    for text in [
        "FROM read_csv('secret.csv')",
        "FROM 'secret.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "CREATE TABLE t AS FROM 'secret.csv'",
        "ATTACH 'other.db'",
        "SET threads = 1",
        "FROM duckdb_settings()",
    ] {
        let answer = sql(text);
        assert_eq!(answer["isError"], true, "{text}: {answer:#}");
        assert!(!answer.to_string().contains("hidden"), "{text}: {answer:#}");
    }
    assert!(!dir.path().join("out.csv").exists());
    let made = sql(
        "CREATE TABLE t AS SELECT 1 AS a; INSERT INTO t SELECT a + 1 FROM t; SELECT sum(a) AS s FROM t",
    );
    assert_eq!(
        made["structuredContent"],
        json!({"result": [{"s": 3}]}),
        "{made:#}"
    );
    let again = sql("SELECT count(*) AS n FROM data.main.t, main.t AS u");
    assert_eq!(again["structuredContent"], json!({"result": [{"n": 4}]}));
}

#[test]
fn the_first_transport_is_still_spoken() {
    let dir = project("':memory:'");
    let served = Served::start(dir.path(), &["--transport", "sse"]);
    let mut stream = TcpStream::connect(&served.address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("settable");
    let head = format!(
        "GET /sse HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
        served.address
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut lines = BufReader::new(stream).lines().map(|l| l.expect("text"));
    let mut data = || {
        let line = lines.find(|line| line.starts_with("data: "));
        line.expect("an event")["data: ".len()..].to_owned()
    };
    let path = data();
    assert!(path.starts_with("/messages/?session_id="), "{path}");
    let post = |message: Value| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json",
            served.address
        );
        served.send(&head, message.to_string().as_bytes()).status
    };
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    assert_eq!(post(hello), 202);
    let answer: Value = serde_json::from_str(&data()).expect("JSON");
    assert_eq!(answer["result"]["protocolVersion"], "2024-11-05");
    assert_eq!(
        post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
        202
    );
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "rows", "arguments": {"n": 2}}});
    assert_eq!(post(call), 202);
    let answer: Value = serde_json::from_str(&data()).expect("JSON");
    assert_eq!(answer["id"], 2);
    assert_eq!(
        answer["result"]["structuredContent"]["result"],
        json!([{"a": 0}, {"a": 1}])
    );
    let missing = served.send(
        &format!(
            "POST /messages/?session_id=0 HTTP/1.1\r\nHost: {}",
            served.address
        ),
        b"{}",
    );
    assert_eq!(missing.status, 404);
}

#[test]
fn a_port_in_use_and_a_host_that_is_none_are_told() {
    let dir = project("data.duckdb");
    let first = Served::start(dir.path(), &[]);
    let port = first.address.rsplit(':').next().expect("a port").to_owned();
    for (arguments, wanted) in [
        (
            vec!["--port", &port, "--readonly"],
            "choose another one with --port",
        ),
        (
            vec!["--host", "no-such-host.invalid", "--port", "0"],
            "cannot be listened on",
        ),
    ] {
        let ran = mxcp(dir.path())
            .arg("serve")
            .args(&arguments)
            .output()
            .expect("the binary starts");
        assert_eq!(ran.status.code(), Some(1));
        let text = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn a_row_that_nobody_will_get_is_not_built_to_its_end() {
    let dir = project("data.duckdb");
    // 40 MB for the engine, and ten times that as values.
    tool(
        dir.path(),
        "long",
        "{ type: array }",
        "SELECT range($n) AS l WHERE $kind IS NULL",
    );
    let served = Served::start(dir.path(), &[]);
    let long = call(&served, "long", json!({ "n": 5_000_000 }));
    assert_eq!(long["isError"], true, "{long}");
    let status =
        fs::read_to_string(format!("/proc/{}/status", served.process.id())).expect("alive");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    assert!(peak.is_some_and(|kib| kib < 650 << 10), "{peak:?} KiB");
    let after = call(&served, "rows", json!({ "n": 3 }));
    assert_eq!(after["isError"], false, "{after}");
}

#[test]
fn a_database_that_gave_up_is_opened_again() {
    let dir = project("disk.duckdb");
    tool(
        dir.path(),
        "fill",
        "{ type: integer }",
        "CREATE TABLE IF NOT EXISTS filled (t VARCHAR); INSERT INTO filled SELECT repeat('y', 1000) || range FROM range($n); SELECT count(*) FROM filled WHERE $kind IS NULL",
    );
    tool(
        dir.path(),
        "flush",
        "{ type: array, items: { type: object } }",
        "CHECKPOINT; SELECT $n AS n WHERE $kind IS NULL",
    );
    tool(
        dir.path(),
        "count",
        "{ type: integer }",
        "SELECT count(*) + 0 * $n FROM filled WHERE $kind IS NULL",
    );
    run(dir.path(), &["query", "CREATE TABLE filled (t VARCHAR)"]).ok();
    run(dir.path(), &["build"]).ok();
    // Files of more than 200 KB cannot be written, as on a disk that is full.
    let served = Served::start_through(
        dir.path(),
        "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\"",
    );
    let filled = call(&served, "fill", json!({ "n": 100 }));
    assert_eq!(filled["structuredContent"]["result"], 100, "{filled}");
    let flushed = call(&served, "flush", json!({ "n": 1 }));
    assert_eq!(flushed["isError"], true, "{flushed}");
    assert!(!flushed.to_string().contains("disk.duckdb"), "{flushed}");
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let counted = call(&served, "count", json!({ "n": 1 }));
        if counted["structuredContent"]["result"] == 100 {
            break;
        }
        assert!(Instant::now() < until, "{counted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn built_in_sql_tools_have_limits_and_policies_of_their_own() {
    let dir = project("data.duckdb");
    let site = fs::read_to_string(dir.path().join("mxcp-site.yml")).expect("there");
    let own = "sql_tools:
  enabled: true
  list_tables: { enabled: false }
  get_table_schema:
    policies: { input: [{ condition: \"user.role == 'anonymous'\", action: deny, reason: sign in first }] }
  execute_sql_query:
    rows: 2
    policies: { input: [{ condition: \"sql.contains('secret')\", action: deny, reason: not that table }] }
";
    let site = site.replace("sql_tools: { enabled: true }\n", own);
    fs::write(dir.path().join("mxcp-site.yml"), &site).expect("writable");
    run(dir.path(), &["validate", "--deny-warnings"]).ok();
    let served = Served::start(dir.path(), &[]);
    let query = |sql: &str| call(&served, "execute_sql_query", json!({ "sql": sql }));
    let cut = query("SELECT range AS a FROM range(5)");
    assert_eq!(
        cut["structuredContent"]["result"],
        json!([{"a": 0}, {"a": 1}])
    );
    assert_eq!(cut["_meta"]["mxcp/truncated"]["limit"], 2, "{cut}");
    let denied = query("SELECT * FROM secret_things");
    assert_eq!(
        denied["content"][0]["text"],
        "Error executing tool execute_sql_query: Policy enforcement failed: not that table",
    );
    let denied = call(&served, "get_table_schema", json!({ "table_name": "t" }));
    assert!(denied.to_string().contains("sign in first"), "{denied}");
    let gone = served.request(
        "tools/call",
        json!({ "name": "list_tables", "arguments": {} }),
    );
    assert_eq!(gone.message()["error"]["code"], -32602, "{}", gone.body);

    let broken = site.replace("sql.contains('secret')", "qsl.contains('secret')");
    fs::write(dir.path().join("mxcp-site.yml"), broken).expect("writable");
    let ran = run(dir.path(), &["validate", "--format", "concise"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(
        ran.stdout.contains("mxcp-site.yml:12") && ran.stdout.contains("`qsl`"),
        "{ran:#?}"
    );
}
