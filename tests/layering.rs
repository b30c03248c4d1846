//! The folders are the layers: which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::support::repository;

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    let text = String::from_utf8(output.expect("rustc runs").stdout).expect("rustc prints text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// Direct and indirect dependencies of every workspace crate, by package name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    // A build fetches only what this platform needs, so ask for no more.
    let platform = host();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", &platform])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let name_of: BTreeMap<&str, &str> = array(&metadata["packages"])
        .iter()
        .map(|p| (text(&p["id"]), text(&p["name"])))
        .collect();
    let edges: BTreeMap<&str, Vec<&str>> = array(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let normal = array(&node["deps"])
                .iter()
                .filter(|d| array(&d["dep_kinds"]).iter().any(|k| k["kind"].is_null()))
                .map(|d| text(&d["pkg"]))
                .collect();
            (text(&node["id"]), normal)
        })
        .collect();
    array(&metadata["workspace_members"])
        .iter()
        .map(|member| {
            let mut reached = BTreeSet::new();
            let mut open = vec![text(member)];
            while let Some(id) = open.pop() {
                for next in edges.get(id).into_iter().flatten() {
                    if reached.insert(name_of[next].to_owned()) {
                        open.push(next);
                    }
                }
            }
            (name_of[text(member)].to_owned(), reached)
        })
        .collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn crates_depend_only_downwards() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("mxcp_base", [].as_slice()),
        ("mxcp_syntax", &[]),
        ("mxcp_artifact", &[]),
        ("mxcp_catalog", &["mxcp_artifact"]),
        (
            "mxcp_compiler",
            &[
                "mxcp_artifact",
                "mxcp_base",
                "mxcp_catalog",
                "mxcp_syntax",
                "mxcp_values",
            ],
        ),
        ("mxcp_dbt", &["mxcp_artifact"]),
        (
            "mxcp_ide",
            &[
                "mxcp_artifact",
                "mxcp_base",
                "mxcp_catalog",
                "mxcp_compiler",
                "mxcp_syntax",
                "mxcp_values",
            ],
        ),
        (
            "mxcp_lsp",
            &[
                "mxcp_artifact",
                "mxcp_base",
                "mxcp_catalog",
                "mxcp_compiler",
                "mxcp_ide",
                "mxcp_syntax",
                "mxcp_values",
            ],
        ),
        ("mxcp_python", &["mxcp_artifact"]),
        ("mxcp_values", &["mxcp_artifact"]),
        (
            "mxcp_runtime",
            &["mxcp_artifact", "mxcp_python", "mxcp_values"],
        ),
    ]);
    for (name, reached) in dependencies() {
        if name == "mxcp" {
            continue;
        }
        let ours: BTreeSet<&str> = reached
            .iter()
            .map(String::as_str)
            .filter(|d| d.starts_with("mxcp"))
            .collect();
        let allowed: BTreeSet<&str> = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no place in the layers"))
            .iter()
            .copied()
            .collect();
        assert_eq!(ours, allowed, "dependencies of {name}");
    }
}

#[test]
fn layers_do_not_reach_what_they_must_not_know() {
    let all = dependencies();
    for (name, forbidden) in [
        // The served process has no compiler in it.
        (
            "mxcp_runtime",
            ["salsa", "miette", "sqlparser", "saphyr-parser"].as_slice(),
        ),
        (
            "mxcp_artifact",
            &["salsa", "miette", "duckdb", "minijinja", "pyo3"],
        ),
        (
            "mxcp_syntax",
            &["salsa", "miette", "duckdb", "pyo3", "rmcp"],
        ),
        ("mxcp_base", &["duckdb", "pyo3", "rmcp", "minijinja"]),
        ("mxcp_catalog", &["salsa", "miette", "pyo3", "rmcp"]),
        (
            "mxcp_values",
            &["salsa", "miette", "duckdb", "pyo3", "rmcp", "minijinja"],
        ),
        ("mxcp_compiler", &["pyo3", "rmcp", "clap"]),
        (
            "mxcp_dbt",
            &["salsa", "miette", "minijinja", "pyo3", "rmcp"],
        ),
        ("mxcp_ide", &["pyo3", "rmcp", "clap", "lsp-server"]),
        ("mxcp_lsp", &["pyo3", "rmcp", "clap"]),
        ("mxcp_python", &["salsa", "miette", "duckdb", "rmcp"]),
    ] {
        for crate_name in forbidden {
            assert!(
                !all[name].contains(*crate_name),
                "{name} must not reach {crate_name}"
            );
        }
    }
}

#[test]
fn only_the_server_of_editors_knows_the_types_of_their_protocol() {
    for (name, reached) in dependencies() {
        let knows = reached.contains("gen-lsp-types") || reached.contains("lsp-server");
        assert_eq!(
            knows,
            matches!(name.as_str(), "mxcp_lsp" | "mxcp"),
            "{name}"
        );
    }
    // The command line starts the server and sees no message.
    assert_eq!(
        users_of("gen_lsp_types", |path| !path.starts_with("src/lsp/")),
        [""; 0]
    );
    assert_eq!(
        users_of("lsp_server", |path| !path.starts_with("src/lsp/")),
        [""; 0]
    );
}

#[test]
fn only_the_renderers_know_miette() {
    assert_eq!(
        users_of("miette::", |_| true),
        ["src/base/render/graphical.rs"]
    );
}

/// The sources, among those that `wanted` picks, whose code has this word.
fn users_of(word: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut users = Vec::new();
    let mut open = vec![repository().join("src")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("src can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source can be read");
                if text
                    .lines()
                    .any(|l| !l.trim_start().starts_with("//") && l.contains(word))
                {
                    let path = path
                        .strip_prefix(repository())
                        .expect("below the repository")
                        .to_string_lossy()
                        .into_owned();
                    if wanted(&path) {
                        users.push(path);
                    }
                }
            }
        }
    }
    users
}
