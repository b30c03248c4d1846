//! The server as a client meets it: lines of JSON in, lines of JSON out.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mxcp_artifact::{Endpoint, Manifest, schema_json};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::descriptors::Descriptors;
use super::ending::{End, Patience};
use super::stdio::{ServeError, serve};
use crate::{Options, Runtime, UserConfig};

const PATIENCE: Duration = Duration::from_secs(20);

struct Client {
    input: Option<DuplexStream>,
    answers: mpsc::UnboundedReceiver<Value>,
    stop: Option<oneshot::Sender<()>>,
    abort: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), ServeError>>,
    runtime: Arc<Runtime>,
    next: u64,
    _root: TempDir,
}

impl Client {
    fn connect(project: Value, endpoints: Value) -> Self {
        let (mut client, reader) = Self::silent(project, endpoints, Patience::default());
        let (lines, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let value = serde_json::from_str(&line.unwrap()).expect("a line of JSON");
                let _ = lines.send(value);
            }
        });
        client.answers = answers;
        client
    }

    /// A client that does not read what the server says.
    fn silent(project: Value, endpoints: Value, patience: Patience) -> (Self, PipeReader) {
        let root = tempfile::tempdir().unwrap();
        let options = Options {
            root: root.path().to_owned(),
            profile: "dev".into(),
            readonly: false,
            database: None,
            user_config: UserConfig::default(),
            venv: None,
            transport: "stdio",
        };
        let runtime = Runtime::start(Arc::new(manifest(project, endpoints)), options).unwrap();
        let runtime = Arc::new(runtime);
        let (input, server_input) = tokio::io::duplex(1 << 16);
        let (reader, writer) = std::io::pipe().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (abort, aborted) = oneshot::channel();
        let server = tokio::spawn(serve(
            Arc::clone(&runtime),
            server_input,
            File::from(OwnedFd::from(writer)),
            End {
                stop: stopped,
                abort: aborted,
                patience,
            },
        ));
        let client = Self {
            input: Some(input),
            answers: mpsc::unbounded_channel().1,
            stop: Some(stop),
            abort: Some(abort),
            server,
            runtime,
            next: 0,
            _root: root,
        };
        (client, reader)
    }

    async fn initialized(project: Value, endpoints: Value) -> Self {
        let mut client = Self::connect(project, endpoints);
        client.initialize("2025-11-25").await;
        client
    }

    async fn initialize(&mut self, version: &str) -> Value {
        let answer = self
            .request(
                "initialize",
                json!({"protocolVersion": version, "capabilities": {},
                       "clientInfo": {"name": "t", "version": "1"}}),
            )
            .await;
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        answer
    }

    async fn send(&mut self, message: Value) {
        let input = self.input.as_mut().unwrap();
        input
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        id
    }

    async fn receive(&mut self) -> Value {
        timeout(PATIENCE, self.answers.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params).await;
        let answer = self.receive().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The result of a call; errors of the protocol panic.
    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self
            .request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    async fn ended(self) -> Result<(), ServeError> {
        timeout(PATIENCE, self.server).await.unwrap().unwrap()
    }
}

fn manifest(project: Value, endpoints: Value) -> Manifest {
    let mut settings = json!({
        "name": "shop", "profile": "dev", "profiles": {},
        "python_path": "python", "plugin_path": "plugins", "site": {},
    });
    for (key, value) in project.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let mut manifest: Manifest = serde_json::from_value(json!({
        "format_version": 1,
        "toolchain": {"compiler": "9.8.7", "engine": "0"},
        "project": settings,
        "endpoints": [],
        "sources": {},
    }))
    .unwrap();
    manifest.endpoints = endpoints
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| {
            let mut endpoint = endpoint.clone();
            endpoint["path"] = "x.yml".into();
            endpoint["input_schema"] = json!({});
            let mut endpoint: Endpoint = serde_json::from_value(endpoint).unwrap();
            endpoint.input_schema = schema_json::input_schema(&endpoint.parameters);
            endpoint.output_schema = endpoint.returns.as_ref().map(schema_json::output_schema);
            endpoint
        })
        .collect();
    manifest
}

fn sql(text: &str) -> Value {
    json!({"sql": {"sql": text, "effects": {}}})
}

fn tool(name: &str, text: &str) -> Value {
    json!({"kind": "tool", "name": name, "body": sql(text)})
}

fn shop() -> Value {
    json!([
        {"kind": "tool", "name": "sum", "title": "Sum", "description": "Adds",
         "parameters": [
            {"name": "a", "type": {"type": "integer", "maximum": 100}},
            {"name": "b", "type": {"type": "integer", "default": 5}}
         ],
         "return": {"type": "object", "required": ["total"], "properties": [
            {"name": "total", "type": {"type": "integer"}}, {"name": "note", "type": {"type": "string"}}
         ]},
         "body": sql("SELECT $a + $b AS total, NULL AS note")},
        {"kind": "tool", "name": "names", "return": {"type": "array", "items": {"type": "string"}},
         "body": sql("SELECT * FROM (VALUES ('a'), (NULL)) t(n)")},
        tool("rows", "SELECT 1 AS x, 'é' AS y"),
        tool("broken", "SELECT ssn FROM secret_table"),
        {"kind": "tool", "name": "guarded", "body": sql("SELECT 1"), "policies": {
            "input": [{"condition": "user.role != 'admin'", "action": "deny", "reason": "admins only"}]}},
        {"kind": "tool", "name": "insert", "body": {"sql": {"sql": "SELECT 1", "effects": {"writes": true}}}},
        {"kind": "tool", "name": "slow", "body": sql("SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)")},
        {"kind": "resource", "uri": "config://static", "description": "Static", "body": sql("SELECT 1 AS v")},
        {"kind": "resource", "name": "item", "uri": "item://{kind}/{id}", "mime_type": "text/markdown",
         "parameters": [
            {"name": "kind", "type": {"type": "string", "enum": ["book", "Board", "car"]}},
            {"name": "id", "type": {"type": "integer"}}
         ],
         "return": {"type": "string"}, "body": sql("SELECT $kind || ':' || $id")},
        {"kind": "prompt", "name": "greet", "description": "Greets",
         "parameters": [{"name": "who", "type": {"type": "string"}}, {"name": "n", "type": {"type": "integer", "default": 1}}],
         "body": {"prompt": {"messages": [
            {"role": "system", "prompt": "Be kind"},
            {"role": "assistant", "type": "text", "prompt": "Hello {{ who }} {{ n + 1 }}"}
         ]}}}
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_introduces_itself_as_the_site_file_says() {
    let mut client = Client::connect(json!({}), json!([]));
    let answer = client.initialize("2025-06-18").await;
    let result = &answer["result"];
    assert_eq!(result["protocolVersion"], "2025-06-18");
    assert_eq!(
        result["serverInfo"],
        json!({"name": "shop", "version": "9.8.7"})
    );
    for capability in ["tools", "resources", "prompts", "completions", "logging"] {
        assert!(
            result["capabilities"][capability].is_object(),
            "{capability}"
        );
    }
    assert_eq!(client.request("ping", json!({})).await["result"], json!({}));

    let server = json!({"server": {"name": "n", "title": "T", "version": "1", "instructions": "Ask",
                                   "icons": [{"src": "https://x/i.png", "mimeType": "image/png"}]}});
    let mut client = Client::connect(server, json!([]));
    let answer = client.initialize("1999-01-01").await;
    let result = &answer["result"];
    assert_eq!(result["protocolVersion"], "2025-11-25");
    assert_eq!(result["instructions"], "Ask");
    assert_eq!(
        result["serverInfo"],
        json!({"name": "n", "title": "T", "version": "1",
               "icons": [{"src": "https://x/i.png", "mimeType": "image/png"}]})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_revision_needs_no_handshake() {
    let mut client = Client::connect(json!({}), shop());
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    });
    let answer = client
        .request("server/discover", json!({"_meta": meta}))
        .await;
    let versions = answer["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2024-11-05")));
    let answer = client.request("tools/list", json!({"_meta": meta})).await;
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["cacheScope"], "public");
    let answer = client
        .request("tools/call", json!({"name": "rows", "_meta": meta}))
        .await;
    assert_eq!(
        answer["result"]["content"][0]["text"],
        r#"[{"x":1,"y":"é"}]"#
    );
    let answer = client
        .request(
            "resources/read",
            json!({"uri": "no://where", "_meta": meta}),
        )
        .await;
    assert_eq!(answer["error"]["code"], -32602);
    let answer = client.request("tools/list", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602);
}

#[test]
fn what_a_plugin_does_is_not_known() {
    let tool = |name: &str, sql: &str| {
        json!({"kind": "tool", "name": name, "path": "t.yml", "input_schema": {},
               "body": {"sql": {"sql": sql, "effects": {}}}})
    };
    let endpoints = json!([
        tool("plain", "SELECT 1"),
        tool("sends", "SELECT Send_Mail('x')")
    ]);
    let project = json!({"plugins": [{"name": "mail", "module": "mail"}]});
    let descriptors = Descriptors::new(Arc::new(manifest(project, endpoints)));
    let hint = |name: &str| {
        let (tool, _) = descriptors.tool(name).unwrap();
        tool.annotations.as_ref().and_then(|a| a.read_only_hint)
    };
    assert_eq!(hint("plain"), Some(true));
    assert_eq!(hint("sends"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_the_wrong_kind_are_refused() {
    let mut client = Client::initialized(json!({}), shop()).await;
    for (method, params) in [
        ("tools/list", json!({"cursor": 5})),
        ("tools/list", json!([1])),
        ("prompts/list", json!({"cursor": []})),
        ("resources/list", json!({"cursor": {}})),
        ("resources/templates/list", json!("x")),
        ("resources/subscribe", json!({"uri": 5})),
        ("tools/call", json!(5)),
        ("tools/call", json!({"name": "sum", "arguments": [1]})),
        ("logging/setLevel", json!({"level": "loud"})),
    ] {
        let answer = client.request(method, params.clone()).await;
        assert_eq!(
            answer["error"]["code"], -32602,
            "{method} {params}: {answer}"
        );
    }
    let input = client.input.as_mut().unwrap();
    input.write_all(b"{broken\n").await.unwrap();
    let answer = timeout(PATIENCE, client.answers.recv()).await.unwrap();
    assert_eq!(answer.unwrap()["error"]["code"], -32600);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_in_order_with_what_is_known_of_them() {
    let project = json!({"sql_tools": {"enabled": true, "descriptions": {"list_tables": "Mine"}}});
    let mut client = Client::initialized(project, shop()).await;
    let answer = client.request("tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "broken",
            "execute_sql_query",
            "get_table_schema",
            "guarded",
            "insert",
            "list_tables",
            "names",
            "rows",
            "slow",
            "sum"
        ]
    );
    let find = |name: &str| tools.iter().find(|t| t["name"] == name).unwrap();
    assert_eq!(find("list_tables")["description"], "Mine");
    assert_eq!(
        find("insert")["annotations"],
        json!({"readOnlyHint": false})
    );
    let sum = find("sum");
    assert_eq!(sum["title"], "Sum");
    assert_eq!(sum["annotations"], json!({"readOnlyHint": true}));
    assert_eq!(sum["inputSchema"]["required"], json!(["a"]));
    assert_eq!(sum["outputSchema"]["required"], json!(["total"]));
    assert!(answer["result"].get("nextCursor").is_none());
    let answer = client.request("tools/list", json!({"cursor": "7"})).await;
    assert_eq!(answer["error"]["code"], -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_errors_of_tools_are_for_the_model() {
    let mut client = Client::initialized(json!({}), shop()).await;
    assert_eq!(
        client.call("sum", json!({"a": "2"})).await,
        json!({"content": [{"type": "text", "text": r#"{"total":7,"note":null}"#}],
               "structuredContent": {"total": 7, "note": null}, "isError": false})
    );
    assert_eq!(
        client.call("names", json!({})).await["structuredContent"],
        json!({"result": ["a", null]})
    );
    assert!(
        client
            .call("rows", json!({}))
            .await
            .get("structuredContent")
            .is_none()
    );
    for (tool, arguments, text) in [
        (
            "sum",
            json!({}),
            "Error executing tool sum: Required parameter missing: a; expected integer, e.g. 1",
        ),
        (
            "sum",
            json!({"a": 1, "z": 1}),
            "Error executing tool sum: Unknown parameter: z; expected a, b",
        ),
        (
            "guarded",
            json!({}),
            "Error executing tool guarded: Policy enforcement failed: admins only",
        ),
    ] {
        let result = client.call(tool, arguments).await;
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["text"], text);
    }
    let result = client.call("broken", json!({})).await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Error executing tool broken: the query failed ("),
        "{text}"
    );

    for (method, params, code) in [
        ("tools/call", json!({"name": "nope"}), -32602),
        ("tools/call", json!({}), -32602),
        ("no/such", json!({}), -32601),
    ] {
        let answer = client.request(method, params).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_tools_show_the_database_and_the_clients_own_mistakes() {
    let mut client =
        Client::initialized(json!({"sql_tools": {"enabled": true}, "limits": {"rows": 10, "bytes": 1000, "timeout_ms": 10000}}), json!([])).await;
    let answer = client
        .call("execute_sql_query", json!({"sql": "CREATE TABLE kv(k VARCHAR NOT NULL, v INT); CREATE SCHEMA s; CREATE VIEW s.w AS SELECT 1 AS one"}))
        .await;
    assert_eq!(
        answer["structuredContent"],
        json!({"result": []}),
        "{answer}"
    );
    assert_eq!(
        client.call("list_tables", json!({})).await["structuredContent"],
        json!({"result": [{"name": "kv", "type": "BASE TABLE"}, {"name": "s.w", "type": "VIEW"}]})
    );
    assert_eq!(
        client
            .call("get_table_schema", json!({"table_name": "KV"}))
            .await["structuredContent"],
        json!({"result": [
            {"name": "k", "type": "VARCHAR", "nullable": "NO"},
            {"name": "v", "type": "INTEGER", "nullable": "YES"}
        ]})
    );
    for (tool, arguments, part) in [
        (
            "get_table_schema",
            json!({"table_name": "w"}),
            "There is no table 'w'",
        ),
        (
            "get_table_schema",
            json!({}),
            "Required parameter missing: table_name",
        ),
        ("list_tables", json!({"x": 1}), "Unknown parameter: x"),
        ("execute_sql_query", json!({"sql": 5}), "Expected string"),
        (
            "execute_sql_query",
            json!({"sql": "SELEC 1"}),
            "LINE 1: SELEC 1",
        ),
        (
            "execute_sql_query",
            json!({"sql": "INSERT INTO kv SELECT range, 1 FROM range(11) RETURNING *"}),
            "more than 10 rows",
        ),
        (
            "execute_sql_query",
            json!({"sql": "SET threads = 1"}),
            "stays inside the database",
        ),
    ] {
        let result = client.call(tool, arguments).await;
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_and_read() {
    let mut client = Client::initialized(json!({}), shop()).await;
    let list = client.request("resources/list", json!({})).await;
    assert_eq!(
        list["result"]["resources"],
        json!([{"uri": "config://static", "name": "config://static", "description": "Static"}])
    );
    let list = client.request("resources/templates/list", json!({})).await;
    assert_eq!(
        list["result"]["resourceTemplates"],
        json!([{"uriTemplate": "item://{kind}/{id}", "name": "item", "mimeType": "text/markdown"}])
    );
    let answer = client
        .request("resources/read", json!({"uri": "config://static"}))
        .await;
    assert_eq!(
        answer["result"]["contents"],
        json!([{"uri": "config://static", "mimeType": "application/json",
                "text": "[\n  {\n    \"v\": 1\n  }\n]"}])
    );
    let answer = client
        .request("resources/read", json!({"uri": "item://b%6Fok/7"}))
        .await;
    assert_eq!(
        answer["result"]["contents"],
        json!([{"uri": "item://b%6Fok/7", "mimeType": "text/markdown", "text": "book:7"}])
    );
    for (uri, code) in [
        ("nope://x", -32002),
        // A name is no URI.
        ("item", -32002),
        ("item://{kind}/{id}", -32602),
        ("item://book/x", -32602),
    ] {
        let answer = client.request("resources/read", json!({"uri": uri})).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_have_roles_and_arguments() {
    let mut client = Client::initialized(json!({}), shop()).await;
    let list = client.request("prompts/list", json!({})).await;
    assert_eq!(
        list["result"]["prompts"],
        json!([{"name": "greet", "description": "Greets", "arguments": [
            {"name": "who", "required": true}, {"name": "n", "required": false}
        ]}])
    );
    let answer = client
        .request(
            "prompts/get",
            json!({"name": "greet", "arguments": {"who": "Ann", "n": "4"}}),
        )
        .await;
    assert_eq!(
        answer["result"]["messages"],
        json!([
            {"role": "user", "content": {"type": "text", "text": "Be kind"}},
            {"role": "assistant", "content": {"type": "text", "text": "Hello Ann 5"}}
        ])
    );
    for (params, text) in [
        (
            json!({"name": "greet"}),
            "Missing required arguments of prompt greet: `who`",
        ),
        (json!({"name": "zzz"}), "Unknown prompt: zzz"),
    ] {
        let answer = client.request("prompts/get", params).await;
        assert_eq!(answer["error"]["code"], -32602);
        assert_eq!(answer["error"]["message"], text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_values_complete_arguments() {
    let mut client = Client::initialized(json!({}), shop()).await;
    let ask = |argument: &str, value: &str| {
        json!({"ref": {"type": "ref/resource", "uri": "item://{kind}/{id}"},
               "argument": {"name": argument, "value": value}})
    };
    let answer = client
        .request("completion/complete", ask("kind", "bo"))
        .await;
    assert_eq!(
        answer["result"]["completion"],
        json!({"values": ["book", "Board"], "total": 2, "hasMore": false})
    );
    let answer = client.request("completion/complete", ask("id", "")).await;
    assert_eq!(answer["result"]["completion"]["values"], json!([]));
    let answer = client.request("completion/complete", ask("nope", "")).await;
    assert_eq!(answer["error"]["code"], -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_calls_free_their_connections() {
    let mut client = Client::initialized(json!({}), shop()).await;
    let started = Instant::now();
    // More than there are connections.
    let many = std::thread::available_parallelism().map_or(1, usize::from) * 2 + 1;
    for _ in 0..many {
        let id = client.begin("tools/call", json!({"name": "slow"})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client
            .send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
            .await;
    }
    // The protocol wants no answer to a cancelled request; the next one has its own.
    assert_eq!(client.call("sum", json!({"a": 1})).await["isError"], false);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_sent_before_the_end_and_a_second_signal_hurries_it() {
    let mut client = Client::initialized(json!({}), shop()).await;
    for _ in 0..20 {
        client.begin("tools/call", json!({"name": "rows"})).await;
    }
    client.input = None;
    for _ in 0..20 {
        client.receive().await;
    }
    client.ended().await.unwrap();

    let mut client = Client::initialized(json!({}), shop()).await;
    client.begin("tools/call", json!({"name": "slow"})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    client.stop.take().unwrap().send(()).unwrap();
    client.abort.take().unwrap().send(()).unwrap();
    assert_eq!(
        client.receive().await["error"]["message"],
        "the server is shutting down"
    );
    client.ended().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_cannot_hold_the_server() {
    let patience = Patience {
        calls: Duration::from_millis(200),
        answers: Duration::from_millis(200),
        output: Duration::from_millis(200),
    };
    let big = tool("big", "SELECT repeat('x', 10000000) AS text");
    let (mut client, _reader) = Client::silent(json!({}), json!([big]), patience);
    client
        .begin(
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": {},
                   "clientInfo": {"name": "t", "version": "1"}}),
        )
        .await;
    client.begin("tools/call", json!({"name": "big"})).await;
    client.input = None;
    client.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reaches_neither_files_nor_the_network() {
    let settings = json!({"sql_tools": {"enabled": true}});
    let mut client = Client::initialized(settings, shop()).await;
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("out.csv").display().to_string();
    for sql in [
        format!("COPY (SELECT 1) TO '{file}'"),
        format!("ATTACH '{file}' AS other"),
        "SELECT * FROM read_text('/etc/hostname')".to_owned(),
        "SELECT * FROM '/etc/hostname.csv'".to_owned(),
        "CREATE TABLE t AS SELECT * FROM glob('/etc/*')".to_owned(),
        "INSTALL httpfs".to_owned(),
        "SET enable_external_access = true".to_owned(),
        format!("EXPORT DATABASE '{file}'"),
    ] {
        let result = client
            .call("execute_sql_query", json!({ "sql": sql }))
            .await;
        assert_eq!(result["isError"], true, "{sql}: {result}");
    }
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_manifest_is_what_clients_see() {
    let mut client = Client::initialized(json!({}), shop()).await;
    client.request("tools/list", json!({})).await;
    client.runtime.replace(Arc::new(manifest(
        json!({}),
        json!([tool("fresh", "SELECT 2 AS two")]),
    )));
    // The project of the test has other resources and prompts, too.
    for list in ["tools", "resources", "prompts"] {
        let told = client.receive().await;
        let method = format!("notifications/{list}/list_changed");
        assert_eq!(told["method"], method.as_str(), "{told}");
    }
    let list = client.request("tools/list", json!({})).await;
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(
        client.call("fresh", json!({})).await["content"][0]["text"],
        r#"[{"two":2}]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_not_end_the_service() {
    let mut client = Client::connect(json!({}), shop());
    client
        .send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}))
        .await;
    let early = client.request("tools/list", json!({})).await;
    assert_eq!(early["error"]["code"], -32602);
    client
        .send(json!({"jsonrpc": "2.0", "id": 9, "result": {}}))
        .await;
    client.initialize("2025-11-25").await;
    let input = client.input.as_mut().unwrap();
    input
        .write_all(b"{not json\n\n\xff\xfe\n[]\n")
        .await
        .unwrap();
    let id = client.begin("ping", json!({})).await;
    loop {
        let answer = client.receive().await;
        if answer["id"] == id {
            assert_eq!(answer["result"], json!({}));
            break;
        }
        assert!(answer["error"].is_object(), "{answer}");
    }
}
