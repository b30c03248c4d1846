//! Renames at random places of every fixture.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Client;
use super::client::{capabilities, position};
use super::rename::{Files, apply, contract, files, modulo, told};
use crate::support::{copy_of, fixture, run};

/// A generator without a state of the machine: the same renames in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % below.max(1)
    }
}

/// The five kinds of names, by what a hover says of them first.
const KINDS: [(&str, &str); 7] = [
    ("parameter", "**parameter `"),
    ("tool", "```text\ntool "),
    ("local", "alias `"),
    ("local", "common table expression `"),
    ("model", "**seed `"),
    ("model", " model `"),
    ("column", "```sql"),
];

fn kind_of(hover: &str) -> Option<&'static str> {
    let first = hover.split("\n\n").next()?;
    KINDS
        .iter()
        .find(|(_, sign)| first.contains(sign))
        .map(|(kind, _)| *kind)
}

/// Each fixture, with the kinds of names that can be renamed in it.
const PROJECTS: [(&str, u64, &[&str]); 5] = [
    (
        "customer_360",
        7,
        &["parameter", "tool", "model", "column", "local"],
    ),
    ("shop", 11, &["parameter", "tool", "model", "column"]),
    ("clinic", 13, &["parameter", "tool", "model", "column"]),
    ("fleet", 17, &["parameter", "tool", "local"]),
    (
        "helpdesk",
        19,
        &["parameter", "tool", "model", "column", "local"],
    ),
];

/// Renames at random places of every fixture, of every kind of name: each leaves a project that builds
/// equal but for the name, and renaming back gives the bytes that were there.
///
/// `MXCP_RENAME_SEED=7` goes other ways through the fixtures.
#[test]
fn random_renames_keep_the_contract_and_can_be_undone() {
    let other: u64 = std::env::var("MXCP_RENAME_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_default();
    let mut undone = 0;
    for (name, seed, kinds) in PROJECTS {
        let seed = seed + 1000 * other;
        let done = renames(name, seed, kinds);
        undone += done.get("undone").copied().unwrap_or_default();
        for kind in kinds {
            assert!(
                done.get(kind).is_some_and(|n| *n > 0),
                "{name}, seed {seed}: no {kind} was renamed: {done:?}"
            );
        }
    }
    assert!(undone >= 10, "only {undone} were undone");
}

/// At most so many renames of one kind in one fixture: each runs the program twice.
const OF_EACH: usize = 2;

/// Renames until there were enough of each kind; returns how many there were.
fn renames(name: &str, seed: u64, kinds: &[&'static str]) -> BTreeMap<&'static str, usize> {
    let dir = copy_of(&fixture(name));
    let root = dir.path().canonicalize().expect("there");
    let mut client = Client::start(&root, std::slice::from_ref(&root), capabilities());
    let original = files(&root);
    let before = contract(&root);
    let code = run(&root, &["validate", "--format", "concise"]).code;
    let words = words(&original);
    let mut dice = Dice(seed);
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for tries in 0..2000 {
        if kinds.iter().all(|kind| done.get(kind) == Some(&OF_EACH)) {
            break;
        }
        let (path, at) = &words[dice.roll(words.len())];
        let params = json!({
            "textDocument": {"uri": client.uri(path)},
            "position": position(&original[path], *at),
        });
        let id = client.ask("textDocument/prepareRename", params.clone());
        let Some(old) = client.response(id)["result"]["placeholder"]
            .as_str()
            .map(str::to_owned)
        else {
            continue;
        };
        let hover = client.request("textDocument/hover", params.clone());
        let Some(kind) = hover["contents"]["value"].as_str().and_then(kind_of) else {
            continue;
        };
        if done.get(kind) == Some(&OF_EACH) {
            continue;
        }
        let new = format!("renamed_{tries}");
        let mut there = params.clone();
        there["newName"] = json!(new);
        let id = client.ask("textDocument/rename", there);
        let answer = client.response(id);
        if answer.get("error").is_some() {
            continue;
        }
        let what = format!("{name}, seed {seed}: the {kind} {old} in {path} at {at}");
        apply(&client, &answer["result"]);
        told(&mut client);
        assert_ne!(files(&root), original, "{what} did not change");
        let valid = run(&root, &["validate", "--format", "concise"]);
        assert_eq!(valid.code, code, "{what}: {valid:#?}");
        let after = contract(&root);
        let bare = old.trim_start_matches('$');
        assert!(
            modulo(&after, &new, bare) == modulo(&before, &new, bare),
            "{what}:\n{before}\n{after}"
        );
        // Renaming back gives the bytes that were there, unless an `AS` had to be put in, or the old name
        // means something else there too.
        if !answer["result"].to_string().contains(" AS ") {
            let mut back = place_of(&client, &new).expect("the name is somewhere");
            back["newName"] = json!(bare);
            let id = client.ask("textDocument/rename", back);
            let edit = client.response(id);
            if edit.get("error").is_none() {
                apply(&client, &edit["result"]);
                let now = files(&root);
                for (path, text) in &original {
                    assert_eq!(now.get(path), Some(text), "{what} and back, {path}");
                }
                *done.entry("undone").or_default() += 1;
            }
        }
        *done.entry(kind).or_default() += 1;
        for (path, text) in &original {
            std::fs::write(root.join(path), text).expect("it can be written");
        }
        for path in files(&root).keys() {
            if !original.contains_key(path) && path != "mxcp.lock" {
                std::fs::remove_file(root.join(path)).expect("it can go");
            }
        }
        told(&mut client);
    }
    done
}

/// Where a word starts, in the files that an author writes.
fn words(files: &Files) -> Vec<(String, usize)> {
    const FOLDERS: [&str; 7] = [
        "tools/",
        "models/",
        "sql/",
        "evals/",
        "resources/",
        "prompts/",
        "python/",
    ];
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (path, text) in files {
        if !FOLDERS.iter().any(|d| path.starts_with(d)) || path.ends_with(".md") {
            continue;
        }
        let mut before = ' ';
        for (at, c) in text.char_indices() {
            if is_name(c) && !is_name(before) {
                found.push((path.clone(), at));
            }
            before = c;
        }
    }
    found
}

/// A place where a name is written in the project as it is on the disk.
fn place_of(client: &Client, name: &str) -> Option<Value> {
    let found = files(&client.root)
        .into_iter()
        .filter(|(path, _)| path != "mxcp.lock")
        .find_map(|(path, text)| Some((text.find(name)?, path, text)))?;
    let (at, path, text) = found;
    Some(json!({
        "textDocument": {"uri": client.uri(&path)},
        "position": position(&text, at + 1),
    }))
}
