//! A small client of the protocol that shares no code with the server.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{copy_of, fixture, mxcp};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    next: i32,
    /// Answers that came before they were waited for.
    responses: BTreeMap<i32, Value>,
    /// The last diagnostics pushed for an address.
    pub(super) pushed: BTreeMap<String, Value>,
    /// Requests that came from the server.
    pub(super) asked: Vec<Value>,
    pub(super) shown: Vec<String>,
    pub(super) server: Value,
    pub(super) root: PathBuf,
    texts: BTreeMap<String, (i32, String)>,
    _dir: Option<tempfile::TempDir>,
}

/// What a client can do that pushes nothing back: UTF-8 positions, edits that rename files.
pub(super) fn capabilities() -> Value {
    json!({
        "general": {"positionEncodings": ["utf-8", "utf-16"]},
        "workspace": {
            "workspaceEdit": {"documentChanges": true, "resourceOperations": ["rename"]},
            "didChangeWatchedFiles": {"dynamicRegistration": true},
        },
        "textDocument": {"completion": {"completionItem": {"snippetSupport": true}}},
    })
}

/// The same, for a client that asks for diagnostics.
pub(super) fn pulling() -> Value {
    let mut all = capabilities();
    all["textDocument"]["diagnostic"] = json!({"dynamicRegistration": false});
    all["workspace"]["diagnostics"] = json!({"refreshSupport": true});
    all
}

impl Client {
    /// A client with a private copy of `fixtures/customer_360` open.
    pub(super) fn customer_360() -> Self {
        let dir = copy_of(&fixture("customer_360"));
        let root = dir.path().canonicalize().expect("the copy is there");
        let mut client = Self::start(&root, std::slice::from_ref(&root), capabilities());
        client._dir = Some(dir);
        client
    }

    pub(super) fn start(home: &Path, roots: &[PathBuf], capabilities: Value) -> Self {
        let mut child = mxcp(home)
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            while let Some(message) = read(&mut stdout) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut client = Self {
            child,
            stdin,
            messages,
            next: 0,
            responses: BTreeMap::new(),
            pushed: BTreeMap::new(),
            asked: Vec::new(),
            shown: Vec::new(),
            server: Value::Null,
            root: roots.first().cloned().unwrap_or_default(),
            texts: BTreeMap::new(),
            _dir: None,
        };
        let folders: Vec<Value> = roots
            .iter()
            .map(|root| json!({"uri": uri(root), "name": "project"}))
            .collect();
        client.server = client.request(
            "initialize",
            json!({"processId": null, "rootUri": null, "workspaceFolders": folders, "capabilities": capabilities}),
        );
        client.notify("initialized", json!({}));
        client
    }

    pub(super) fn uri(&self, path: &str) -> String {
        uri(&self.root.join(path))
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let stdin = self.stdin.as_mut().expect("the server listens");
        write!(stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("the server reads");
        stdin.flush().expect("the server reads");
    }

    pub(super) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and returns its number.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> i32 {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        self.next
    }

    /// The whole response to a request; what else arrives is kept.
    pub(super) fn response(&mut self, id: i32) -> Value {
        loop {
            if let Some(response) = self.responses.remove(&id) {
                return response;
            }
            let message = self.receive();
            if message["method"].is_null()
                && let Some(id) = message["id"].as_i64().and_then(|id| i32::try_from(id).ok())
            {
                self.responses.insert(id, message);
            }
        }
    }

    #[track_caller]
    pub(super) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let mut response = self.response(id);
        assert!(response.get("error").is_none(), "{method}: {response:#}");
        response["result"].take()
    }

    /// The error of a request that must fail.
    #[track_caller]
    pub(super) fn refused(&mut self, method: &str, params: Value) -> String {
        let id = self.ask(method, params);
        let response = self.response(id);
        let error = response["error"]["message"].as_str();
        error
            .unwrap_or_else(|| panic!("{method} did not fail: {response:#}"))
            .to_owned()
    }

    /// The next message; requests of the server are answered, notifications remembered.
    fn receive(&mut self) -> Value {
        let message = self
            .messages
            .recv_timeout(PATIENCE)
            .expect("the server answers");
        if let Some(method) = message["method"].as_str() {
            match method {
                "textDocument/publishDiagnostics" => {
                    let uri = message["params"]["uri"].as_str().expect("an address");
                    self.pushed
                        .insert(uri.to_owned(), message["params"].clone());
                }
                "window/showMessage" => {
                    let text = message["params"]["message"].as_str().expect("a text");
                    self.shown.push(text.to_owned());
                }
                _ => {}
            }
            if !message["id"].is_null() {
                self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": null}));
                self.asked.push(message.clone());
            }
        }
        message
    }

    /// Waits until something is as it should be.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, mut is: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < end, "never: {what}; {:#?}", self.pushed);
            let message = self.messages.recv_timeout(PATIENCE);
            let Ok(message) = message else {
                panic!("never: {what}; {:#?}", self.pushed)
            };
            self.take(message);
        }
    }

    fn take(&mut self, message: Value) {
        let (sender, mut rest) = channel();
        sender.send(message).expect("there is room");
        drop(sender);
        std::mem::swap(&mut self.messages, &mut rest);
        self.receive();
        std::mem::swap(&mut self.messages, &mut rest);
    }

    /// The codes pushed for a file, after the server has seen its present version.
    #[track_caller]
    pub(super) fn codes(&mut self, path: &str) -> Vec<String> {
        codes(&self.diagnostics(path))
    }

    /// The diagnostics pushed for the present version of an open file.
    #[track_caller]
    pub(super) fn diagnostics(&mut self, path: &str) -> Value {
        let uri = self.uri(path);
        let version = self.texts[path].0;
        self.until(&format!("diagnostics of {path} v{version}"), |client| {
            client
                .pushed
                .get(&uri)
                .is_some_and(|p| p["version"] == json!(version))
        });
        self.pushed[&uri]["diagnostics"].clone()
    }

    pub(super) fn disk(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path))
            .unwrap_or_else(|e| panic!("{path} cannot be read: {e}"))
    }

    /// The text of a file as the client has it.
    pub(super) fn text(&self, path: &str) -> String {
        match self.texts.get(path) {
            Some((_, text)) => text.clone(),
            None => self.disk(path),
        }
    }

    pub(super) fn open(&mut self, path: &str) {
        let text = self.disk(path);
        self.open_as(path, &text);
    }

    pub(super) fn open_as(&mut self, path: &str, text: &str) {
        self.texts.insert(path.to_owned(), (1, text.to_owned()));
        let document =
            json!({"uri": self.uri(path), "languageId": "yaml", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document}));
    }

    /// Replaces the whole text of an open file.
    pub(super) fn change(&mut self, path: &str, text: &str) {
        self.changes(path, text, json!([{"text": text}]));
    }

    /// Changes an open file by replacing one piece of it, as typing does.
    #[track_caller]
    pub(super) fn edit(&mut self, path: &str, old: &str, new: &str) {
        let text = self.text(path);
        let at = text
            .find(old)
            .unwrap_or_else(|| panic!("{path} has no {old:?}"));
        let range = json!({"start": position(&text, at), "end": position(&text, at + old.len())});
        let changed = text.replacen(old, new, 1);
        self.changes(path, &changed, json!([{"range": range, "text": new}]));
    }

    fn changes(&mut self, path: &str, text: &str, changes: Value) {
        let entry = self.texts.get_mut(path).expect("the file is open");
        entry.0 += 1;
        entry.1 = text.to_owned();
        let version = entry.0;
        let uri = self.uri(path);
        self.notify(
            "textDocument/didChange",
            json!({"textDocument": {"uri": uri, "version": version}, "contentChanges": changes}),
        );
    }

    pub(super) fn close(&mut self, path: &str) {
        self.texts.remove(path);
        let document = json!({"uri": self.uri(path)});
        self.notify("textDocument/didClose", json!({"textDocument": document}));
    }

    /// The parameters of a question about the place of `|` in the first match of a marked text.
    #[track_caller]
    pub(super) fn at(&self, path: &str, marked: &str) -> Value {
        let mark = mark(marked);
        let bar = marked.find(mark).expect("the place is marked");
        let plain = marked.replacen(mark, "", 1);
        let text = self.text(path);
        let found = text
            .find(&plain)
            .unwrap_or_else(|| panic!("{path} has no {plain:?}"));
        json!({
            "textDocument": {"uri": self.uri(path)},
            "position": position(&text, found + bar),
        })
    }

    /// The text that a range of a file covers, after its path: `tools/a.yml: name`.
    pub(super) fn named(&self, uri: &str, range: &Value) -> String {
        let prefix = format!("{}/", self.uri("").trim_end_matches('/'));
        let path = uri.strip_prefix(&prefix).unwrap_or(uri).to_owned();
        let text = self.text(&path);
        let start = offset(&text, &range["start"]);
        let end = offset(&text, &range["end"]);
        let line = range["start"]["line"].as_u64().expect("a line") + 1;
        format!("{path}:{line}: {}", &text[start..end])
    }

    /// A list of locations as texts, sorted.
    pub(super) fn places(&self, locations: &Value) -> Vec<String> {
        let list = match locations {
            Value::Array(list) => list.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        let mut places: Vec<String> = list
            .iter()
            .map(|l| self.named(l["uri"].as_str().expect("an address"), &l["range"]))
            .collect();
        places.sort();
        places
    }

    /// Leaves as the protocol wants it and returns the server's exit code.
    pub(super) fn leave(mut self) -> i32 {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        self.child
            .wait()
            .expect("the server ends")
            .code()
            .unwrap_or(-1)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sign for a place: another one where the text itself has bars.
pub(super) fn mark(marked: &str) -> char {
    match marked.contains('¦') {
        true => '¦',
        false => '|',
    }
}

/// The codes of errors and warnings.
pub(super) fn codes(diagnostics: &Value) -> Vec<String> {
    diagnostics
        .as_array()
        .expect("a list")
        .iter()
        .filter(|d| d["severity"] != 3)
        .map(|d| d["code"].as_str().expect("a code").to_owned())
        .collect()
}

/// UTF-8 positions.
pub(super) fn position(text: &str, at: usize) -> Value {
    let before = &text[..at];
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    json!({"line": line, "character": at - start})
}

pub(super) fn offset(text: &str, position: &Value) -> usize {
    let line = usize::try_from(position["line"].as_u64().expect("a line")).expect("small");
    let character = position["character"].as_u64().expect("a character");
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    start + usize::try_from(character).expect("small")
}

pub(super) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn read(from: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(n) = line.strip_prefix("Content-Length: ") {
            length = n.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
