//! `--watch`: every kind of change is noticed, and every revision is what a fresh run would say.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{built_customer_360, fixture, mxcp, repository, run};

/// Far more than anything takes: a test that fails should not fail for want of time.
const PATIENCE: Duration = Duration::from_secs(90);

struct Watch {
    child: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child = mxcp(dir)
            .args(args)
            .args(["--watch", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = child.stdout.take().expect("a pipe");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                let _ = send.send(value);
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.expect("a revision");
        check_schema(&line);
        line
    }

    /// The next revision that `wanted` accepts: a change may be seen in two steps.
    #[track_caller]
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while Instant::now() < end {
            let revision = self.next();
            if wanted(&revision) {
                return revision;
            }
            seen.push(revision.to_string());
        }
        panic!("no such revision among {seen:#?}");
    }

    fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Ends it with a signal; returns the exit code, and how long it took.
    fn end(mut self, signal: &str) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.signal(signal);
        let status = self.child.wait().expect("an end");
        (status.code(), began.elapsed())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check_schema(line: &Value) {
    let read = |name: &str| -> Value {
        let path = repository().join("grammar/schema").join(name);
        serde_json::from_str(&fs::read_to_string(path).expect("a schema")).expect("JSON")
    };
    let mut schema = read("watch.schema.json");
    let mut diagnostics = read("diagnostics.schema.json");
    // The one that is referred to stands in its place, with its definitions beside the others.
    let defs = diagnostics["$defs"].take();
    for (name, def) in defs.as_object().expect("definitions") {
        schema["$defs"][name] = def.clone();
    }
    schema["properties"]["diagnostics"] = json!({ "type": "array", "items": diagnostics["items"] });
    let validator = jsonschema::validator_for(&schema).expect("the schema compiles");
    let errors: Vec<String> = validator.iter_errors(line).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{line}");
}

fn names(revision: &Value, path: &str) -> bool {
    let changed = revision["changed"].as_array();
    changed.is_some_and(|all| all.iter().any(|c| c["path"] == path))
}

fn edit(dir: &Path, path: &str, from: &str, to: &str) {
    let file = dir.join(path);
    let text = fs::read_to_string(&file).expect("a file");
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{path} has no {from:?}");
    fs::write(&file, changed).expect("written");
}

fn codes(revision: &Value) -> Vec<&str> {
    let all = revision["diagnostics"].as_array().expect("diagnostics");
    all.iter()
        .filter(|d| d["severity"] == "error")
        .filter_map(|d| d["code"].as_str())
        .collect()
}

fn every_kind_of_input(args: &[&str]) {
    let dir = built_customer_360();
    let root = dir.path();
    let watch = Watch::start(root, args);
    let first = watch.next();
    assert_eq!(first["status"], "ok", "{first}");
    assert_eq!(first["changed"], json!([]));

    // A model, and what reads it.
    let staging = "models/staging/stg_customers.sql";
    edit(root, staging, "AS email", "AS mail");
    let broken = watch.until(|r| names(r, staging));
    assert_eq!(broken["status"], "error");
    assert!(codes(&broken).contains(&"MX0203"), "{broken}");
    assert!(
        broken["rechecked"]["models"].as_u64() >= Some(2),
        "{broken}"
    );
    edit(root, staging, "AS mail", "AS email");
    assert_eq!(watch.until(|r| names(r, staging))["status"], "ok");

    // A comment in a tool: nothing is bound again.
    let tool = "tools/get_customer_metrics.yml";
    let text = fs::read_to_string(root.join(tool)).expect("a tool");
    fs::write(root.join(tool), format!("{text}# done\n")).expect("written");
    let quiet = watch.until(|r| names(r, tool));
    assert_eq!(quiet["rechecked"]["bindings"], 0, "{quiet}");
    assert_eq!(quiet["rechecked"]["endpoints"], 1, "{quiet}");

    // An editor that writes beside the file and renames.
    fs::write(
        root.join("tools/.x.swp.tmp"),
        text.replace("email,", "emial,"),
    )
    .expect("written");
    fs::rename(root.join("tools/.x.swp.tmp"), root.join(tool)).expect("renamed");
    assert_eq!(codes(&watch.until(|r| names(r, tool))), ["MX0203"]);
    fs::write(root.join(tool), &text).expect("written");
    assert_eq!(watch.until(|r| names(r, tool))["status"], "ok");

    // A new folder with a file in it, its move, its end.
    let python = "python/extra/deep.py";
    fs::create_dir_all(root.join("tools/new")).expect("a folder");
    fs::write(
        root.join("tools/new/extra.yml"),
        "mxcp: 1\ntool:\n  name: extra\n  description: One\n  source: {code: SELECT amout FROM nowhere}\n",
    )
    .expect("written");
    let added = watch.until(|r| names(r, "tools/new/extra.yml"));
    assert_eq!(added["status"], "error", "{added}");
    fs::rename(root.join("tools/new"), root.join("tools/moved")).expect("moved");
    let moved = watch.until(|r| names(r, "tools/moved/extra.yml"));
    assert!(names(&moved, "tools/new/extra.yml"), "{moved}");
    fs::create_dir_all(root.join("python/extra")).expect("a folder");
    fs::write(root.join(python), "def f(:\n").expect("written");
    watch.until(|r| names(r, python));
    fs::remove_dir_all(root.join("tools/moved")).expect("removed");
    fs::remove_dir_all(root.join("python/extra")).expect("removed");
    watch.until(|r| r["status"] == "ok");

    // The site file goes and comes back.
    let site = fs::read(root.join("mxcp-site.yml")).expect("the site file");
    fs::remove_file(root.join("mxcp-site.yml")).expect("removed");
    let gone = watch.until(|r| names(r, "mxcp-site.yml"));
    assert!(
        gone["error"].as_str().is_some_and(|e| e.contains("MX0001")),
        "{gone}"
    );
    fs::write(root.join("mxcp-site.yml"), site).expect("written");
    assert_eq!(watch.until(|r| names(r, "mxcp-site.yml"))["status"], "ok");

    // The user configuration, which is outside.
    let config = root.join(".mxcp/config.yml");
    fs::create_dir_all(root.join(".mxcp")).expect("a folder");
    fs::write(&config, "mxcp: [\n").expect("written");
    let unread = watch.until(|r| r["error"].is_string());
    assert_eq!(unread["status"], "error", "{unread}");
    fs::write(&config, "mxcp: 1\n").expect("written");
    assert_eq!(watch.until(|r| r["error"].is_null())["status"], "ok");

    // The database: a tool reads a table that nobody makes yet.
    fs::write(
        root.join("tools/late.yml"),
        "mxcp: 1\ntool:\n  name: late\n  description: One\n  return: {type: array, items: {type: object}}\n  source: {code: SELECT a FROM made_later}\n",
    )
    .expect("written");
    assert_eq!(
        watch.until(|r| names(r, "tools/late.yml"))["status"],
        "error"
    );
    run(root, &["query", "CREATE TABLE made_later AS SELECT 1 AS a"]).ok();
    let made = watch.until(|r| r["status"] == "ok");
    assert!(names(&made, "dev.duckdb"), "{made}");

    // The end says what a fresh run says.
    let clean = run(root, &["validate", "--format", "json"]).json();
    assert_eq!(made["diagnostics"], clean);
    let (code, took) = watch.end("TERM");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn every_kind_of_input_counts() {
    every_kind_of_input(&["validate"]);
}

#[test]
fn polling_finds_the_same() {
    every_kind_of_input(&["validate", "--poll=50"]);
}

#[test]
fn a_broken_edit_leaves_the_last_manifest() {
    let dir = built_customer_360();
    let root = dir.path();
    let watch = Watch::start(root, &["build"]);
    assert_eq!(watch.next()["built"]["manifest_changed"], true);
    let manifest = || fs::read(root.join("target/mxcp/manifest.json")).expect("a manifest");
    let lock = || fs::read(root.join("mxcp.lock")).expect("a lock");
    let (first, first_lock) = (manifest(), lock());

    let tool = "tools/get_customer_metrics.yml";
    edit(root, tool, "email,", "emial,");
    let broken = watch.until(|r| names(r, tool));
    assert_eq!(broken["status"], "error");
    assert_eq!(broken["built"], Value::Null);
    assert_eq!((manifest(), lock()), (first.clone(), first_lock.clone()));

    edit(root, tool, "emial,", "email,");
    let mended = watch.until(|r| names(r, tool));
    assert_eq!(mended["built"]["manifest_changed"], false, "{mended}");

    edit(root, tool, "tool:\n", "tool:\n  title: Figures\n");
    let renamed = watch.until(|r| names(r, tool));
    assert_eq!(renamed["built"]["lock_changed"], true, "{renamed}");
    let built = (manifest(), lock());
    assert_ne!(built.0, first);

    // What somebody removes is written again.
    fs::remove_file(root.join("mxcp.lock")).expect("removed");
    assert_eq!(
        watch.until(|r| names(r, "mxcp.lock"))["built"]["lock_changed"],
        true
    );
    assert_eq!((manifest(), lock()), built);
    let (code, _) = watch.end("INT");
    assert_eq!(code, Some(0));
    run(root, &["build", "--locked"]).ok();
    assert_eq!((manifest(), lock()), built);
}

#[test]
fn signals_end_a_check_in_progress() {
    let dir = built_customer_360();
    for signal in ["INT", "TERM"] {
        let watch = Watch::start(dir.path(), &["build"]);
        // Long enough for the signals to be waited for, too short for the first check.
        std::thread::sleep(Duration::from_millis(300));
        let (code, took) = watch.end(signal);
        assert_eq!(code, Some(0), "{signal}");
        assert!(took < Duration::from_secs(5), "{signal}: {took:?}");
    }
}

#[test]
fn nobody_reads_it_any_more() {
    let dir = built_customer_360();
    // `head` ends after the first line, and with it the pipe.
    let binary = env!("CARGO_BIN_EXE_mxcp");
    let mut shell = std::process::Command::new("sh");
    for (name, value) in mxcp(dir.path()).get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let script =
        format!("{{ {binary} validate --watch --json; echo $? >code; }} | head -n 1 >first");
    let mut child = shell
        .current_dir(dir.path())
        .args(["-c", &script])
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell");
    let end = Instant::now() + PATIENCE;
    while fs::read(dir.path().join("first"))
        .unwrap_or_default()
        .is_empty()
        && Instant::now() < end
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    edit(
        dir.path(),
        "tools/get_customer_metrics.yml",
        "email,",
        "emial,",
    );
    let end = Instant::now() + PATIENCE;
    while fs::read(dir.path().join("code"))
        .unwrap_or_default()
        .is_empty()
        && Instant::now() < end
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    let code = fs::read_to_string(dir.path().join("code")).unwrap_or_default();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(code, "0\n", "it goes on without a reader");
}

fn tool(i: usize, column: &str) -> String {
    format!(
        "mxcp: 1\ntool:\n  name: t{i}\n  description: Number {i}\n  source:\n    code: SELECT {column} FROM m\n"
    )
}

#[test]
fn a_checkout_of_a_thousand_files_is_a_few_revisions() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path();
    fs::write(
        root.join("mxcp-site.yml"),
        "mxcp: 1\nproject: t\nprofile: default\n",
    )
    .expect("written");
    fs::write(root.join("dbt_project.yml"), "name: t\nprofile: t\n").expect("written");
    fs::create_dir_all(root.join("models")).expect("a folder");
    fs::write(root.join("models/m.sql"), "SELECT 1 AS a, 2 AS b").expect("written");
    let write = |column: &str| {
        for i in 0..1000 {
            let folder = root.join(format!("tools/g{}", i % 20));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(format!("t{i}.yml")), tool(i, column)).expect("written");
        }
    };
    write("a");
    let watch = Watch::start(root, &["validate"]);
    assert_eq!(watch.next()["rechecked"]["endpoints"], 1000);
    write("b");
    let mut seen = 0;
    let mut revisions = 0;
    while seen < 1000 {
        let revision = watch.next();
        assert_eq!(revision["status"], "ok");
        seen += revision["changed"].as_array().map_or(0, Vec::len);
        revisions += 1;
    }
    assert!(revisions <= 5, "{revisions} revisions");
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }
}

#[test]
fn random_edits_end_where_a_fresh_run_begins() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("p");
    crate::support::copy_to(&fixture("clinic"), &root);
    let files: Vec<_> = {
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.extension().and_then(|e| e.to_str()) {
                    _ if path.is_dir() => open.push(path),
                    Some("yml" | "sql" | "py" | "csv") => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    };
    let texts: Vec<String> = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a text"))
        .collect();
    let watch = Watch::start(&root, &["validate"]);
    let mut last = watch.next();
    let mut numbers = Numbers(0x6d78_6370);
    for _ in 0..8 {
        for _ in 0..=numbers.below(12) {
            let i = numbers.below(files.len());
            let (file, text) = (&files[i], &texts[i]);
            let parent = file.parent().expect("a folder");
            match numbers.below(8) {
                0 => drop(fs::remove_file(file)),
                1 => {
                    let other = &files[numbers.below(files.len())];
                    let _ = fs::rename(file, other);
                }
                2 => {
                    let away = parent.with_extension("away");
                    let _ = fs::rename(parent, &away).and_then(|()| fs::rename(&away, parent));
                }
                3 => {
                    let _ = fs::remove_dir_all(parent.join("extra"));
                    let _ = fs::create_dir_all(parent.join("extra"));
                    let _ = fs::write(parent.join("extra").join("copy.yml"), text);
                }
                4 => {
                    let at = text
                        .char_indices()
                        .nth(numbers.below(text.chars().count().max(1)));
                    let _ = fs::write(file, &text[..at.map_or(0, |(at, _)| at)]);
                }
                5 => drop(fs::write(
                    file,
                    text.replacen("SELECT", "SELECT nothing,", 1),
                )),
                6 => {
                    let part = parent.join(".part");
                    let _ = fs::write(&part, format!("{text}\n# once more\n"));
                    let _ = fs::rename(&part, file);
                }
                _ => {
                    let _ = fs::create_dir_all(parent);
                    let _ = fs::write(file, text);
                }
            }
            std::thread::sleep(Duration::from_millis(numbers.below(30) as u64));
        }
        if !root.join("mxcp-site.yml").exists() {
            let site = files
                .iter()
                .position(|f| f.ends_with("mxcp-site.yml"))
                .expect("a site");
            fs::write(&files[site], &texts[site]).expect("written");
        }
        let clean = run(&root, &["validate", "--format", "json"]);
        let clean: Value = serde_json::from_str(&clean.stdout).expect("JSON");
        // It may still be on its way, but it has to arrive.
        let end = Instant::now() + PATIENCE;
        while last["diagnostics"] != clean || last["error"].is_string() {
            let left = end.saturating_duration_since(Instant::now());
            match watch.lines.recv_timeout(left) {
                Ok(revision) => last = revision,
                // What is different is what the failure is about.
                Err(_) => panic!("watched: {last:#}\nfresh: {clean:#}"),
            }
        }
    }
}
