//! What clients are offered while an argument is typed: from SQL, and never more than they may see.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{finish, mxcp, run};

/// Asks a server over stdio; the answers in the order of the questions.
pub(crate) fn asked(dir: &Path, requests: &[(&str, Value)]) -> Vec<Value> {
    let mut server = mxcp(dir)
        .args(["serve", "--transport", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = server.stdin.take().expect("piped");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (id, (method, params)) in requests.iter().enumerate() {
        let mut params = params.clone();
        params["_meta"] = meta.clone();
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(input, "{request}").expect("it reads");
    }
    drop(input);
    let ran = finish(server.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, 0, "{ran:#?}");
    let mut answers = vec![Value::Null; requests.len()];
    for line in ran.stdout.lines() {
        let answer: Value = serde_json::from_str(line).expect("JSON");
        if let Some(at) = answer["id"]
            .as_u64()
            .and_then(|id| usize::try_from(id).ok())
        {
            answers[at] = answer;
        }
    }
    assert!(!answers.contains(&Value::Null), "{ran:#?}");
    answers
}

const SITE: &str = "\
mxcp: 1
project: offers
profile: dev
profiles: { dev: { duckdb: { path: offers.duckdb } } }
";

const DATA: &str = "
CREATE TABLE customers (id VARCHAR, region VARCHAR, token VARCHAR, mail VARCHAR, hidden BOOLEAN);
INSERT INTO customers SELECT 'c' || range, ['north', 'North East', 'south', 'west'][1 + range % 4], 't' || range, 'm' || (range // 10), range % 4 = 3 FROM range(400);
";

const RESOURCE: &str = r#"mxcp: 1
resource:
  uri: "customers://{region}/{token}/{mail}"
  description: Customers of a region
  parameters:
    - { name: region, type: string }
    - { name: token, type: string, examples: [t-example] }
    - { name: mail, type: string }
  source:
    code: |
      SELECT id, mail FROM customers
      WHERE region = $region AND token = $token AND mail = $mail AND NOT hidden
  policies:
    output:
      - { condition: "user.role != 'staff'", action: mask_fields, fields: [mail] }
"#;

const OWN: &str = r#"mxcp: 1
resource:
  uri: "own://{id}/{region}"
  description: Only what belongs to one
  parameters:
    - { name: id, type: string, completion: true }
    - name: region
      type: string
      completion: "SELECT region FROM customers WHERE $id IS NULL OR id = $id"
  source: { code: "SELECT mail FROM customers WHERE id = $id AND region = $region" }
  policies:
    input:
      - { condition: "id != 'c7'", action: deny, reason: not yours }
"#;

const TOOL: &str = r#"mxcp: 1
tool:
  name: by_region
  description: Customers of a region
  parameters:
    - { name: region, type: string, description: a region }
    - { name: level, type: string, enum: [high, low], description: a level }
  source: { code: "SELECT id FROM customers WHERE region = $region AND $level <> ''" }
"#;

const PROMPT: &str = r#"mxcp: 1
prompt:
  name: look
  description: Look at a region
  parameters:
    - { name: region, type: string }
    - { name: level, type: string }
    - { name: who, type: string, completion: "SELECT 'a' || range FROM range(150)" }
    - { name: quiet, type: string, completion: false, examples: [never] }
  messages:
    - { role: user, prompt: "Call `by_region` for {{ region }}, {{ level }}, {{ who }} and {{ quiet }}." }
"#;

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (path, text) in [
        ("mxcp-site.yml", SITE),
        ("resources/customers.yml", RESOURCE),
        ("resources/own.yml", OWN),
        ("tools/by_region.yml", TOOL),
        ("prompts/look.yml", PROMPT),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creatable");
        fs::write(path, text).expect("writable");
    }
    let database = duckdb::Connection::open(dir.path().join("offers.duckdb")).expect("a database");
    database.execute_batch(DATA).expect("valid SQL");
    drop(database);
    dir
}

fn of_resource(uri: &str, argument: &str, typed: &str) -> (&'static str, Value) {
    let params = json!({
        "ref": {"type": "ref/resource", "uri": uri},
        "argument": {"name": argument, "value": typed},
    });
    ("completion/complete", params)
}

fn of_prompt(argument: &str, typed: &str) -> (&'static str, Value) {
    let params = json!({
        "ref": {"type": "ref/prompt", "name": "look"},
        "argument": {"name": argument, "value": typed},
    });
    ("completion/complete", params)
}

#[test]
fn arguments_are_completed_from_sql() {
    let dir = project();
    run(dir.path(), &["validate", "--deny-warnings"]).ok();
    let customers = "customers://{region}/{token}/{mail}";
    let own = "own://{id}/{region}";
    let mut of_seven = of_resource(own, "region", "");
    of_seven.1["context"] = json!({"arguments": {"id": "c7"}});
    let mut of_eight = of_resource(own, "region", "");
    of_eight.1["context"] = json!({"arguments": {"id": "c8"}});
    let answers = asked(
        dir.path(),
        &[
            // The condition of the endpoint hides `west`; case does not matter.
            of_resource(customers, "region", ""),
            of_resource(customers, "region", "NORTH"),
            // Whoever knows a token may use it; nobody gets a list of them.
            of_resource(customers, "token", ""),
            // An output policy masks it.
            of_resource(customers, "mail", ""),
            // Of 400 values the caller may use one.
            of_resource(own, "id", ""),
            // A policy that cannot be decided denies.
            of_resource(own, "region", ""),
            of_seven,
            of_eight,
            // A prompt completes what the tool it names is given.
            of_prompt("region", "s"),
            of_prompt("level", ""),
            of_prompt("who", "a1"),
            of_prompt("who", ""),
            of_prompt("quiet", ""),
            of_prompt("region", "x' OR 1=1 --"),
        ],
    );
    let offered: Vec<&Value> = answers
        .iter()
        .map(|answer| &answer["result"]["completion"])
        .collect();
    let exactly = |values: Value| {
        let total = values.as_array().map_or(0, Vec::len);
        json!({"values": values, "total": total, "hasMore": false})
    };
    let some = |values: Value| json!({"values": values, "hasMore": false});
    let none = json!({"values": [], "total": 0, "hasMore": false});
    assert_eq!(
        *offered[0],
        exactly(json!(["North East", "north", "south"]))
    );
    assert_eq!(*offered[1], exactly(json!(["North East", "north"])));
    assert_eq!(*offered[2], exactly(json!(["t-example"])));
    assert_eq!(offered[3]["values"], json!([]));
    assert_eq!(*offered[4], some(json!(["c7"])));
    assert_eq!(*offered[5], none);
    assert_eq!(*offered[6], exactly(json!(["west"])));
    assert_eq!(*offered[7], none);
    assert_eq!(*offered[8], exactly(json!(["south"])));
    assert_eq!(*offered[9], exactly(json!(["high", "low"])));
    assert_eq!(offered[10]["total"], 61);
    assert_eq!(offered[11]["values"].as_array().map(Vec::len), Some(100));
    assert_eq!(offered[11]["total"], 150);
    assert_eq!(offered[11]["hasMore"], true);
    assert_eq!(offered[12]["values"], json!([]));
    assert_eq!(offered[13]["values"], json!([]));
}

#[test]
fn the_manifest_holds_the_whole_query() {
    let dir = project();
    run(dir.path(), &["build"]).ok();
    let text = fs::read_to_string(dir.path().join("target/mxcp/manifest.json")).expect("built");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let endpoints = manifest["endpoints"].as_array().expect("a list");
    let of = |name: &str| {
        let found = endpoints
            .iter()
            .find(|e| e["name"] == name || e["uri"].as_str().is_some_and(|u| u.starts_with(name)));
        &found.unwrap_or_else(|| panic!("no {name}"))["completions"]
    };
    assert!(of("by_region").is_null());
    let derived = of("customers://")["region"]["sql"]
        .as_str()
        .expect("a query");
    for part in [
        "SELECT DISTINCT region FROM customers",
        "(NOT hidden)",
        "starts_with(lower(value), lower($mxcp_typed))",
        "2 * count(DISTINCT \"region\") FROM \"main\".\"customers\"",
    ] {
        assert!(derived.contains(part), "{derived}");
    }
    assert_eq!(of("look")["region"]["tool"], "by_region");
}

#[test]
fn a_completion_that_breaks_is_found_where_it_stands() {
    let dir = project();
    fs::write(
        dir.path().join("resources/own.yml"),
        OWN.replace("SELECT region FROM", "SELECT regon FROM"),
    )
    .expect("writable");
    let ran = run(dir.path(), &["validate", "--format", "concise"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(
        ran.stdout.contains("resources/own.yml:9:27") && ran.stdout.contains("no column `regon`"),
        "{ran:#?}"
    );
}
