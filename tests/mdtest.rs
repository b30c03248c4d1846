//! Language behaviour as annotated Markdown: the pages of `grammar/codes` and `tests/mdtest`.
//!
//! A heading with at least one file below it is a test. A line with a backticked path names the
//! fenced block that follows; `catalog.sql` is DDL for the live catalogue. Comments in the files
//! say what is expected: `# error: [MX0203] "part of the message"` at the end of a line is about
//! that line, on a line of its own about the next one. Every error and warning must be expected.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use mxcp_base::render::{Sources, to_json};
use mxcp_base::{FileSet, MemorySystem};
use mxcp_compiler::diagnostics::project_diagnostics;
use mxcp_compiler::inputs::Environment;

use crate::support::{SITE, database};

#[derive(Debug, Default)]
struct Case {
    title: String,
    files: BTreeMap<String, String>,
}

/// Splits a page into its cases.
fn cases(page: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut headings: Vec<String> = Vec::new();
    let mut current = Case::default();
    let mut path: Option<String> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let level = line.chars().take_while(|c| *c == '#').count();
        if level > 0 && line[level..].starts_with(' ') {
            cases.push(std::mem::take(&mut current));
            headings.truncate(level - 1);
            headings.push(line[level..].trim().to_owned());
            current.title = format!("{page}: {}", headings.join(" / "));
        } else if let Some(name) = named_file(line) {
            path = Some(name.to_owned());
        } else if line.starts_with("```") {
            let mut body = String::new();
            for line in lines.by_ref().take_while(|l| !l.starts_with("```")) {
                body.push_str(line);
                body.push('\n');
            }
            if let Some(path) = path.take() {
                current.files.insert(path, body);
            }
        } else if !line.trim().is_empty() {
            path = None;
        }
    }
    cases.push(current);
    cases.retain(|c| !c.files.is_empty());
    cases
}

fn named_file(line: &str) -> Option<&str> {
    let line = line.trim().trim_end_matches(':');
    let name = line.strip_prefix('`')?.strip_suffix('`')?;
    (!name.contains('`') && !name.contains(' ') && name.contains('.')).then_some(name)
}

#[derive(Debug)]
struct Expected {
    line: u64,
    severity: &'static str,
    code: String,
    part: String,
}

/// The assertions of a file.
fn expectations(text: &str) -> Vec<Expected> {
    let mut found = Vec::new();
    // Comments on lines of their own wait for the next line that is not one of them.
    let mut waiting: Vec<Expected> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let number = i as u64 + 1;
        let (first, assertions) = assertions(line);
        let alone = first.is_some_and(|at| matches!(line[..at].trim(), "#" | "--" | "{#"));
        if alone {
            waiting.extend(assertions);
            continue;
        }
        for mut expected in waiting.drain(..).chain(assertions) {
            expected.line = number;
            found.push(expected);
        }
    }
    found
}

fn assertions(line: &str) -> (Option<usize>, Vec<Expected>) {
    let mut first = None;
    let mut found = Vec::new();
    for severity in ["error", "warning", "info"] {
        let marker = format!("{severity}: [MX");
        let mut from = 0;
        while let Some(at) = line[from..].find(&marker).map(|i| from + i) {
            from = at + marker.len();
            let before = line[..at].trim_end();
            if !(before.ends_with('#') || before.ends_with("--")) {
                continue;
            }
            first = Some(first.map_or(at, |f: usize| f.min(at)));
            let rest = &line[at + severity.len() + 3..];
            let code = rest[..6].to_owned();
            let part = rest[7..]
                .trim_start()
                .strip_prefix('"')
                .and_then(|r| r.rfind('"').map(|end| &r[..end]))
                .unwrap_or("")
                .to_owned();
            found.push(Expected {
                line: 0,
                severity,
                code,
                part,
            });
        }
    }
    (first, found)
}

/// Checks one case; returns what differs.
fn check(case: &Case) -> Vec<String> {
    let mut files = case.files.clone();
    let ddl = files.remove("catalog.sql");
    files
        .entry("mxcp-site.yml".into())
        .or_insert_with(|| SITE.to_owned());
    let mut db = database(&MemorySystem::new(files.clone()));
    if let Some(ddl) = ddl {
        let catalog = match mxcp_catalog::snapshot_from_ddl(&ddl) {
            Ok(catalog) => Arc::new(catalog),
            Err(e) => return vec![format!("catalog.sql: {e}")],
        };
        let environment = Environment {
            catalog,
            live: true,
            ..Environment::default()
        };
        db.set_environment(environment);
    }
    let mut sources = Sources::default();
    for (path, file) in FileSet::get(&db).files(&db) {
        sources.add(path, file.content(&db));
    }
    let found = to_json(&project_diagnostics(&db), &sources);
    let mut found: Vec<_> = found.as_array().cloned().unwrap_or_default();
    let mut problems = Vec::new();
    for (path, text) in &files {
        for expected in expectations(text) {
            let position = found.iter().position(|d| {
                d["file"] == **path
                    && d["line"].as_u64().unwrap_or(1) == expected.line
                    && d["severity"] == expected.severity
                    && d["code"] == expected.code
                    && d["message"]
                        .as_str()
                        .is_some_and(|m| m.contains(&expected.part))
            });
            match position {
                Some(i) => {
                    found.remove(i);
                }
                None => problems.push(format!(
                    "not found: {path}:{} {}[{}] …{}…",
                    expected.line, expected.severity, expected.code, expected.part
                )),
            }
        }
    }
    for d in found {
        if d["severity"] != "info" {
            problems.push(format!(
                "unexpected: {}:{} {}[{}] {}",
                d["file"].as_str().unwrap_or(""),
                d["line"],
                d["severity"].as_str().unwrap_or(""),
                d["code"].as_str().unwrap_or(""),
                d["message"].as_str().unwrap_or("")
            ));
        }
    }
    problems
}

fn check_pages(dir: &Path) -> usize {
    let mut pages: Vec<_> = std::fs::read_dir(dir)
        .expect("the directory can be listed")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.sort();
    let filter = std::env::var("MDTEST_FILTER").unwrap_or_default();
    let mut count = 0;
    let mut report = String::new();
    for page in pages {
        let name = page
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
        let text = std::fs::read_to_string(&page).expect("a page can be read");
        for case in cases(&name, &text) {
            if !case.title.contains(&filter) {
                continue;
            }
            count += 1;
            let problems = check(&case);
            if !problems.is_empty() {
                let _ = writeln!(report, "{}\n  {}", case.title, problems.join("\n  "));
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
    count
}

#[test]
fn code_pages_are_true() {
    let count = check_pages(&crate::support::repository().join("grammar/codes"));
    assert!(
        count > 80 || std::env::var_os("MDTEST_FILTER").is_some(),
        "only {count} examples were found"
    );
}

#[test]
fn language_behaves_as_written() {
    let count = check_pages(&crate::support::repository().join("tests/mdtest"));
    assert!(count > 0 || std::env::var_os("MDTEST_FILTER").is_some());
}
