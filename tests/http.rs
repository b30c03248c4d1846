//! The server over HTTP: what the protocol, probes, strangers and signals get from it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{built_customer_360, copy_of, finish, fixture, mxcp, repository};

/// A running server; killed when dropped.
pub(crate) struct Served {
    pub(crate) process: Child,
    pub(crate) address: String,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: String,
}

impl Answer {
    /// The message of a JSON answer, or the last one of a stream.
    pub(crate) fn message(&self) -> Value {
        let text = self
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .next_back()
            .unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Served {
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let mut command = mxcp(dir);
        command.args(["serve", "--port", "0"]).args(args);
        Self::of(command)
    }

    /// Started by a shell that does something before.
    pub(crate) fn start_through(dir: &Path, script: &str) -> Self {
        let plain = mxcp(dir);
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(plain.get_program());
        command.args(["serve", "--port", "0"]).current_dir(dir);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            let read = stdout.read_line(&mut line).expect("text");
            assert!(read > 0, "{:?}", process.wait_with_output());
            if let Some(rest) = line.strip_prefix("Listening on http://") {
                break rest.split('/').next().expect("an address").to_owned();
            }
        };
        Self {
            process,
            address,
            stdout,
        }
    }

    pub(crate) fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("settable");
        let head = format!(
            "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        // The server may answer before it has read everything.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = headers.split(' ').nth(1).and_then(|s| s.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            headers: headers.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        let host = match headers.contains("Host:") {
            true => String::new(),
            false => format!("\r\nHost: {}", self.address),
        };
        self.send(&format!("GET {path} HTTP/1.1{host}{headers}"), b"")
    }

    fn post(&self, headers: &str, body: &[u8]) -> Answer {
        let host = match headers.contains("Host:") {
            true => String::new(),
            false => format!("\r\nHost: {}", self.address),
        };
        let accept =
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream";
        self.send(
            &format!("POST /mcp HTTP/1.1{host}\r\n{accept}{headers}"),
            body,
        )
    }

    fn initialize(&self) -> Answer {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}});
        self.post("", request.to_string().as_bytes())
    }

    /// A request of the revision without sessions.
    pub(crate) fn request(&self, method: &str, params: Value) -> Answer {
        self.request_of(&json!({}), method, params)
    }

    /// The same, of a client with these capabilities.
    fn request_of(&self, capabilities: &Value, method: &str, mut params: Value) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}});
        let name = match params
            .get("name")
            .or(params.get("uri"))
            .and_then(Value::as_str)
        {
            Some(name) => format!("\r\nMcp-Name: {name}"),
            None => String::new(),
        };
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post(
            &format!("\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}{name}"),
            request.to_string().as_bytes(),
        )
    }

    fn description(&self, tool: &str) -> String {
        let listed = self.request("tools/list", json!({})).message();
        let tools = listed["result"]["tools"].as_array().expect("a list");
        let found = tools.iter().find(|t| t["name"] == tool).expect("the tool");
        found["description"].as_str().expect("a text").to_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.process.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    fn stderr_until(&mut self, wanted: &str) {
        let stderr = self.process.stderr.as_mut().expect("piped");
        for line in BufReader::new(stderr).lines() {
            if line.expect("text").contains(wanted) {
                return;
            }
        }
        panic!("it never said {wanted:?}");
    }
}

#[test]
fn the_official_client_works_over_http() {
    let dir = built_customer_360();
    let served = Served::start(dir.path(), &[]);
    let ran = finish(
        Command::new(repository().join(".venv/bin/python"))
            .arg(repository().join("tests/support/client.py"))
            .arg(format!("http://{}/mcp", served.address))
            .output()
            .expect("the client starts"),
    );
    assert_eq!(ran.code, 0, "{ran:#?}");
    let seen = ran.json();
    assert_eq!(seen["metrics"]["structuredContent"]["tier"], "gold");
    assert_eq!(seen["denied"]["isError"], true, "{seen:#}");
    assert!(seen["churn"]["structuredContent"]["churn_probability"].is_number());
    let many = seen["many"].as_array().expect("a list");
    assert!(many.len() == 100 && many.iter().all(|error| error == false));
}

#[test]
fn both_eras_and_the_probes_are_answered() {
    let dir = built_customer_360();
    let served = Served::start(dir.path(), &[]);
    for probe in ["/healthz", "/readyz", "/metrics"] {
        // A probe comes by whatever address it found.
        let answer = served.get(probe, "\r\nHost: 10.1.2.3:8000");
        assert_eq!(answer.status, 200, "{probe}: {}", answer.body);
    }
    assert_eq!(served.get("/nothing", "").status, 404);

    let begun = served.initialize();
    assert_eq!(begun.status, 200);
    assert_eq!(
        begun.message()["result"]["serverInfo"]["name"],
        "my-project"
    );
    let session = begun
        .header("mcp-session-id")
        .expect("a session")
        .to_owned();
    let headers = format!("\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25");
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "get_customer_metrics", "arguments": {"customer_id": "cust_123"}}});
    served.post(
        &headers,
        br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    );
    let called = served.post(&headers, call.to_string().as_bytes()).message();
    assert_eq!(
        called["result"]["structuredContent"]["tier"], "gold",
        "{called:#}"
    );
    let ended = served.send(
        &format!("DELETE /mcp HTTP/1.1\r\nHost: {}{headers}", served.address),
        b"",
    );
    assert!(ended.status < 300, "{}", ended.status);
    let gone = served.post(&headers, call.to_string().as_bytes());
    assert_eq!(gone.status, 404, "{}", gone.body);

    let found = served.request("server/discover", json!({})).message();
    let versions = found["result"]["supportedVersions"]
        .as_array()
        .expect("a list");
    assert!(versions.iter().any(|v| v == "2026-07-28"), "{found:#}");
    let arguments =
        json!({"name": "get_customer_metrics", "arguments": {"customer_id": "cust_123"}});
    let called = served.request("tools/call", arguments).message();
    assert_eq!(
        called["result"]["structuredContent"]["tier"], "gold",
        "{called:#}"
    );

    let metrics = served.get("/metrics", "").body;
    let counted = "mxcp_call_duration_seconds_count{method=\"tools/call\",name=\"get_customer_metrics\",outcome=\"ok\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn python_code_gives_content_and_asks_its_client() {
    let dir = copy_of(&fixture("conformance"));
    let served = Served::start(dir.path(), &[]);
    let call = |capabilities: &Value, name: &str, more: Value| {
        let mut params = json!({"name": name, "arguments": {}});
        if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
            params.extend(more);
        }
        served
            .request_of(capabilities, "tools/call", params)
            .message()
    };
    let mixed = call(&json!({}), "test_multiple_content_types", json!({}));
    let kinds: Vec<&str> = mixed["result"]["content"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|block| block["type"].as_str())
        .collect();
    assert_eq!(kinds, ["text", "image", "resource"], "{mixed:#}");
    let read = served.request("resources/read", json!({"uri": "test://static-binary"}));
    let contents = &read.message()["result"]["contents"][0];
    assert_eq!(contents["mimeType"], "image/png");
    assert!(contents["blob"].is_string(), "{contents:#}");

    // A client that takes no questions is told what it lacks.
    let tool = "test_input_required_result_multi_round";
    let refused = call(&json!({}), tool, json!({}));
    assert_eq!(refused["error"]["code"], -32021, "{refused:#}");
    let able = json!({"elicitation": {}});
    let first = call(&able, tool, json!({}));
    assert_eq!(first["result"]["resultType"], "input_required", "{first:#}");
    assert!(
        first["result"]["inputRequests"]["step1"].is_object(),
        "{first:#}"
    );
    let state = first["result"]["requestState"].as_str().expect("a state");
    let answer = |name: &str, key: &str, value: &str, state: &str| {
        json!({"requestState": state,
               "inputResponses": {name: {"action": "accept", "content": {key: value}}}})
    };
    let second = call(&able, tool, answer("step1", "name", "Ada", state));
    let open = &second["result"]["inputRequests"];
    assert!(
        open["step2"].is_object() && open["step1"].is_null(),
        "{second:#}"
    );
    let later = second["result"]["requestState"].as_str().expect("a state");
    let done = call(&able, tool, answer("step2", "color", "blue", later));
    assert_eq!(
        done["result"]["content"][0]["text"], "Ada likes blue",
        "{done:#}"
    );
    // What the client keeps can neither be changed nor used for another call.
    let forged = call(
        &able,
        tool,
        answer(
            "step2",
            "color",
            "blue",
            &later.replacen(&later[8..12], "AAAA", 1),
        ),
    );
    assert_eq!(forged["error"]["code"], -32602, "{forged:#}");
    let other = call(
        &able,
        "test_input_required_result_request_state",
        answer("step2", "color", "blue", later),
    );
    assert_eq!(other["error"]["code"], -32602, "{other:#}");
}

#[test]
fn strangers_and_nonsense_are_refused() {
    let dir = built_customer_360();
    let site = dir.path().join("mxcp-site.yml");
    let text = fs::read_to_string(&site).expect("there");
    fs::write(
        &site,
        format!("{text}\nlimits: {{body_bytes: 100000, sessions: 2}}\n"),
    )
    .expect("writable");
    let served = Served::start(dir.path(), &["--allowed-origin", "https://app.example.com"]);
    for (headers, status) in [
        ("\r\nHost: evil.example", 403),
        ("\r\nOrigin: http://evil.example", 403),
        ("\r\nOrigin: null", 403),
        ("\r\nOrigin: https://app.example.com", 200),
    ] {
        let answer = served.post(headers, br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#);
        assert_eq!(answer.status, status, "{headers}: {}", answer.body);
        if status == 200 {
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some("https://app.example.com")
            );
        }
    }
    let deep = format!("{}1{}", "[".repeat(40_000), "]".repeat(40_000));
    let large = vec![b' '; 200_000];
    for (body, status) in [
        (b"{".as_slice(), 400),
        (b"[]", 400),
        (b"\"\xff\xfe\"", 400),
        (deep.as_bytes(), 400),
        (&large, 413),
    ] {
        let answer = served.post("", body);
        // What is not the protocol may also be called a medium that is not supported.
        let refused = answer.status == status || (status == 400 && answer.status == 415);
        assert!(
            refused,
            "{} for {} bytes: {}",
            answer.status,
            body.len(),
            answer.body
        );
    }
    // One session is open already.
    assert_eq!(served.initialize().status, 200);
    let full = served.initialize();
    assert_eq!(full.status, 503, "{}", full.body);
    assert_eq!(full.message()["error"]["data"]["retryable"], true);
    // Those who need no session are not concerned.
    assert_eq!(served.request("tools/list", json!({})).status, 200);
}

#[test]
fn stateless_needs_no_beginning() {
    let dir = built_customer_360();
    let served = Served::start(dir.path(), &["--stateless"]);
    let listed = served.post("", br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert_eq!(listed.header("mcp-session-id"), None);
    assert!(listed.message()["result"]["tools"].is_array());
}

#[test]
fn a_reload_serves_what_the_sources_have_become() {
    let dir = built_customer_360();
    let tool = dir.path().join("tools/get_customer_metrics.yml");
    let text = fs::read_to_string(&tool).expect("there");
    let before = "description:";
    assert!(text.contains(before));
    let changed = text.replacen(before, "title: Fresh\n  description:", 1);
    for watch in [false, true] {
        fs::write(&tool, &text).expect("writable");
        let mut served = Served::start(dir.path(), if watch { &["--watch"] } else { &[] });
        let title = |served: &Served| {
            let listed = served.request("tools/list", json!({})).message();
            let tools = listed["result"]["tools"]
                .as_array()
                .cloned()
                .expect("a list");
            let found = tools
                .into_iter()
                .find(|t| t["name"] == "get_customer_metrics");
            found.expect("the tool")["title"].clone()
        };
        assert_eq!(title(&served), Value::Null);
        assert!(!served.description("get_customer_metrics").is_empty());
        fs::write(&tool, &changed).expect("writable");
        if !watch {
            served.signal("HUP");
        }
        served.stderr_until("note: reloaded");
        assert_eq!(title(&served), "Fresh");
        fs::write(&tool, "mxcp: 1\ntool: [").expect("writable");
        if !watch {
            served.signal("HUP");
        }
        served.stderr_until("what was served before is still served");
        assert_eq!(title(&served), "Fresh");
    }
}

#[test]
fn a_signal_ends_the_server_cleanly() {
    let dir = built_customer_360();
    let mut served = Served::start(dir.path(), &[]);
    served.initialize();
    served.signal("TERM");
    let started = Instant::now();
    let status = served.process.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10));
    let mut rest = String::new();
    served.stdout.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
}

#[test]
fn addresses_and_headers_may_be_as_people_write_them() {
    let dir = built_customer_360();
    let served = Served::start(dir.path(), &[]);
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}});
    let head = format!(
        "POST /mcp/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: */*",
        served.address
    );
    let answer = served.send(&head, request.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let list = served.request("tools/list", json!({"cursor": 5}));
    assert_eq!(list.message()["error"]["code"], -32602, "{}", list.body);
}
