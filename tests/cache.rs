//! `.mxcp/cache` changes time, never output.

use std::fs;
use std::path::Path;

use mxcp_artifact::Digest;

use crate::support::{Ran, SITE, copy_of, finish, fixture, mxcp, repository, run};

const ANSWERS: &str = ".mxcp/cache/answers";
const ALL: [&str; 5] = ["validate", "--format", "json", "--severity", "info"];

fn check(dir: &Path) -> (i32, String) {
    let Ran {
        code,
        stdout,
        stderr,
    } = finish(
        // The user's own `.mxcp` is another one.
        mxcp(dir)
            .args(ALL)
            .env("HOME", dir.join("home"))
            .output()
            .expect("the binary starts"),
    );
    assert_eq!(stderr, "");
    (code, stdout)
}

/// What the same project says when nothing is remembered.
fn check_from_nothing(dir: &Path) -> (i32, String) {
    check(copy_of(dir).path())
}

/// A project with findings of many kinds: in YAML, SQL, dbt models and flows of columns.
fn project() -> tempfile::TempDir {
    let dir = copy_of(&fixture("shop"));
    let tool = |sql: &str| {
        format!(
            "mxcp: 1\ntool:\n  name: extra\n  description: More\n  source:\n    code: |\n      {sql}\n"
        )
    };
    for (name, sql) in [
        ("a", "SELECT nme, 'O''Brien' AS x FROM raw_customers"),
        ("b", "SELECT 1 AS \"a\nb\", $undeclared AS y"),
        ("c", "SELEC 1"),
    ] {
        let path = dir.path().join(format!("tools/extra_{name}.yml"));
        fs::write(path, tool(sql)).expect("a tool can be written");
    }
    dir
}

fn answers(dir: &Path) -> String {
    fs::read_to_string(dir.join(ANSWERS)).expect("there are answers")
}

fn set_answers(dir: &Path, text: impl AsRef<[u8]>) {
    fs::write(dir.join(ANSWERS), text).expect("answers can be written");
}

#[test]
fn cold_warm_and_broken_caches_say_the_same() {
    let dir = project();
    let dir = dir.path();
    let cold = check(dir);
    assert_eq!(cold.0, 1);
    assert!(cold.1.matches("\"code\"").count() >= 4, "{}", cold.1);
    let good = answers(dir);
    assert!(good.lines().count() > 10, "{good}");
    assert_eq!(check(dir), cold);
    assert_eq!(answers(dir), good, "nothing new, nothing written");

    let (header, body) = good.split_once('\n').expect("a header");
    let broken = [
        String::new(),
        header.to_owned(),
        "garbage\n".repeat(100),
        format!(
            "{header}\n{}",
            body.replace("Varchar", "Integer").replace("nme", "nmf")
        ),
        format!("{header}\n{}", body.replace("MX", "MY").replace(":1", ":2")),
        format!("{header}\n{}", body.replace(' ', "")),
        good.lines()
            .map(|line| format!("{}\n", &line[..line.len() * 2 / 3]))
            .collect(),
        format!(
            "{header}\n{}",
            body.lines()
                .map(|l| format!("{}\n", l.get(51..).unwrap_or("")))
                .collect::<String>()
        ),
        format!(
            "{header}\n\n \n  \n0\n{} 9\n{} 0 x\n",
            "0".repeat(32),
            "f".repeat(32)
        ),
        good.get(..good.len() - 7).expect("ASCII").to_owned(),
    ];
    for text in broken {
        set_answers(dir, &text);
        assert_eq!(check(dir), cold, "{text}");
        set_answers(
            dir,
            text.as_bytes().iter().rev().copied().collect::<Vec<u8>>(),
        );
        assert_eq!(check(dir), cold, "{text}");
    }
    set_answers(dir, b"\xff\xfe\0".repeat(1000));
    assert_eq!(check(dir), cold);
    assert_eq!(answers(dir), good, "what was broken is mended");
}

/// The answers with one of them changed, under a check that is right.
fn forged(good: &str, from: &str, to: &str) -> String {
    let forge = |line: &str| -> String {
        let mut parts = line.splitn(4, ' ');
        let (Some(name), Some(age), Some(_), Some(answer)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return format!("{line}\n");
        };
        let answer = answer.replace(from, to);
        let digest = Digest::of(format!("{name} {answer}"));
        let check = digest
            .as_str()
            .rsplit(':')
            .next()
            .expect("hexadecimal digits");
        format!("{name} {age} {} {answer}\n", &check[..16])
    };
    let (header, body) = good.split_once('\n').expect("a header");
    let mut out = format!("{header}\n");
    body.lines().for_each(|line| out.push_str(&forge(line)));
    out
}

#[test]
fn what_is_known_is_not_asked_again() {
    let dir = project();
    let dir = dir.path();
    let cold = check(dir);
    let told = answers(dir);
    // An answer that nobody would give shows where it came from.
    set_answers(dir, forged(&told, "`nme`", "`forged`"));
    let warm = check(dir);
    assert_eq!(warm.1, cold.1.replace("`nme`", "`forged`"));
    assert_ne!(warm.1, cold.1);
    // Another program's answers are not read, however whole they are.
    let other = forged(&told, "`nme`", "`forged`").replacen("mxcp-cache 1 ", "mxcp-cache 1 9", 1);
    set_answers(dir, other);
    assert_eq!(check(dir), cold);
}

#[test]
fn the_engine_is_asked_only_for_what_changed() {
    let dir = project();
    let dir = dir.path();
    check(dir);
    // The answers for the whole project are void after an edit; those of the engine are not.
    set_answers(
        dir,
        forged(&answers(dir), "\"name\":\"nme\"", "\"name\":\"forged\""),
    );
    let path = dir.join("tools/revenue.yml");
    let text = fs::read_to_string(&path).expect("a tool");
    fs::write(&path, format!("{text}\n# a comment\n")).expect("it can be written");
    let warm = check(dir);
    assert!(warm.1.contains("`forged`"), "{}", warm.1);
}

#[test]
fn every_edit_is_seen() {
    let dir = project();
    let dir = dir.path();
    let mut last = check(dir);
    let edit = |path: &str, from: &str, to: &str| {
        let path = dir.join(path);
        let text = fs::read_to_string(&path).expect("a file of the project");
        assert!(text.contains(from), "{path:?}");
        fs::write(&path, text.replace(from, to)).expect("it can be written");
    };
    let edits: [&dyn Fn(); 8] = [
        &|| edit("tools/extra_a.yml", "nme", "naam"),
        &|| edit("tools/extra_c.yml", "SELEC 1", "SELECT oops"),
        &|| edit("tools/extra_c.yml", "name: extra", "name: other extra"),
        &|| edit("seeds/raw_customers.csv", "name", "nom"),
        &|| edit("mxcp-site.yml", "mxcp: 1", "mxcp: 1\nnonsense: 1"),
        &|| edit("tools/extra_b.yml", "$undeclared", "$order"),
        &|| fs::remove_file(dir.join("tools/extra_c.yml")).expect("it is there"),
        &|| fs::write(dir.join("tools/latin.yml"), b"\xe9").expect("it can be written"),
    ];
    for (number, change) in edits.iter().enumerate() {
        change();
        let now = check(dir);
        assert_ne!(now, last, "edit {number} changes nothing");
        assert_eq!(now, check_from_nothing(dir), "edit {number}");
        last = now;
    }
}

#[test]
fn a_new_table_is_seen() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path();
    fs::create_dir_all(dir.join("tools")).expect("a folder");
    fs::create_dir_all(dir.join("data")).expect("a folder");
    fs::write(dir.join("mxcp-site.yml"), SITE).expect("a file");
    let tool = "mxcp: 1\ntool:\n  name: t\n  description: d\n  source: {code: SELECT i FROM t}\n";
    fs::write(dir.join("tools/t.yml"), tool).expect("a file");
    let without = run(dir, &["validate"]);
    assert_eq!(without.code, 1, "{without:#?}");
    run(dir, &["query", "CREATE TABLE t AS SELECT 1 AS i"]).ok();
    run(dir, &["validate"]).ok();
    run(dir, &["query", "ALTER TABLE t RENAME COLUMN i TO j"]).ok();
    let renamed = run(dir, &["validate"]);
    assert_eq!(renamed.code, 1, "{renamed:#?}");
    assert!(renamed.stdout.contains("`i`"), "{renamed:#?}");
    run(dir, &["query", "DROP TABLE t"]).ok();
    let dropped = run(dir, &["validate"]);
    assert_eq!(dropped.code, 1, "{dropped:#?}");
    assert_ne!(dropped.stdout, renamed.stdout);
}

#[test]
fn other_commands_say_the_same_too() {
    let dir = copy_of(&fixture("shop"));
    run(dir.path(), &["dbt", "build"]).ok();
    run(dir.path(), &["build"]).ok();
    for args in [
        ["list", "--json-output"].as_slice(),
        &["build", "--json-output"],
        &["run", "tool", "revenue", "--json-output"],
        &["test", "--json-output"],
        &["dbt", "test"],
        &["validate", "--json-output"],
    ] {
        let manifest = || fs::read(dir.path().join("target/mxcp/manifest.json")).ok();
        let _ = fs::remove_dir_all(dir.path().join(".mxcp"));
        let (cold, written) = (run(dir.path(), args), manifest());
        assert!(!cold.stdout.is_empty(), "{args:?}: {cold:#?}");
        for _ in 0..2 {
            let warm = run(dir.path(), args);
            assert_eq!(warm.code, cold.code, "{args:?}: {warm:#?}");
            if !args.contains(&"test") && !args.contains(&"dbt") {
                assert_eq!(warm.stdout, cold.stdout, "{args:?}");
            }
            assert_eq!(manifest(), written, "{args:?}");
        }
    }
}

const LAYER: &str = ".mxcp/cache/dbt";

/// What `dbt` says and writes, without what tells one run from another.
fn compiled(dir: &Path) -> (String, String) {
    let _ = fs::remove_dir_all(dir.join("target"));
    let listed = run(dir, &["dbt", "--quiet", "ls", "--output", "json"]).ok();
    run(dir, &["dbt", "parse"]).ok();
    let text = fs::read_to_string(dir.join("target/manifest.json")).expect("a manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    manifest["metadata"] = serde_json::Value::Null;
    for kind in ["nodes", "sources", "macros", "exposures", "unit_tests"] {
        for entry in manifest[kind]
            .as_object_mut()
            .expect("a mapping")
            .values_mut()
        {
            entry["created_at"] = serde_json::Value::Null;
        }
    }
    (listed.stdout, manifest.to_string())
}

/// The kept layer with another text in it, under a check that is right.
fn forged_layer(text: &str, from: &str, to: &str) -> String {
    let (head, answer) = text.split_once('\n').expect("two lines");
    let answer = answer.replace(from, to);
    let digest = Digest::of(&answer);
    let hex = digest
        .as_str()
        .rsplit(':')
        .next()
        .expect("hexadecimal digits");
    let (head, _) = head.rsplit_once(' ').expect("a check");
    format!("{head} {}\n{answer}", &hex[..32])
}

#[test]
fn a_kept_dbt_layer_is_the_one_that_would_be_compiled() {
    let dir = copy_of(&fixture("shop"));
    let dir = dir.path();
    let cold = compiled(dir);
    let layer = || fs::read_to_string(dir.join(LAYER)).expect("a kept layer");
    let good = layer();
    assert_eq!(compiled(dir), cold);
    assert_eq!(layer(), good, "nothing new, nothing written");

    // What nobody would compile shows where it came from.
    let forge = |from: &str| forged_layer(&good, from, "\"name\":\"forged\"");
    let name = good
        .split("\"name\":")
        .nth(1)
        .and_then(|rest| Some(format!("\"name\":{}", rest.split(',').next()?)))
        .expect("a node");
    fs::write(dir.join(LAYER), forge(&name)).expect("it can be written");
    assert_ne!(compiled(dir), cold, "{name}");
    // Of another program, not whole, or no text at all.
    let other = forge(&name).replacen("mxcp-cache 1 ", "mxcp-cache 1 9", 1);
    let torn = forge(&name)[..good.len() / 2].to_owned();
    let unchecked = good.replace(&name, "\"name\":\"forged\"");
    for text in [other, torn, unchecked, "\n".to_owned(), String::new()] {
        fs::write(dir.join(LAYER), &text).expect("it can be written");
        assert_eq!(compiled(dir), cold, "{}", text.get(..200).unwrap_or(&text));
    }
    assert_eq!(layer(), good, "what was broken is mended");
}

#[test]
fn a_kept_dbt_layer_is_void_after_any_edit() {
    let dir = copy_of(&fixture("shop"));
    let dir = dir.path();
    let mut last = compiled(dir);
    let append = |path: &str, text: &str| {
        let path = dir.join(path);
        let old = fs::read_to_string(&path).expect("a file of the project");
        fs::write(&path, old + text).expect("it can be written");
    };
    let model = model_of(dir);
    let edits: [&dyn Fn(); 3] = [
        &|| append(&model, "\n-- a comment\n"),
        &|| append("dbt_project.yml", "\nvars: {unheard_of: 1}\n"),
        &|| fs::write(dir.join("models/extra_model.sql"), "select 1 as one").expect("a file"),
    ];
    for (number, change) in edits.iter().enumerate() {
        change();
        let now = compiled(dir);
        assert_eq!(now, compiled(copy_of(dir).path()), "edit {number}");
        // A setting that nothing reads changes nothing, and is not taken for one that does.
        assert!(now != last || number == 1, "edit {number} changes nothing");
        last = now;
    }
    let with = run(dir, &["dbt", "--quiet", "ls", "--vars", "{unheard_of: 2}"]).ok();
    assert_eq!(with.stdout, run(dir, &["dbt", "--quiet", "ls"]).ok().stdout);
}

/// The first model in SQL.
fn model_of(dir: &Path) -> String {
    let mut open = vec![dir.join("models")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|e| e == "sql") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    let path = found.first().expect("a model");
    let path = path.strip_prefix(dir).expect("it is below");
    path.to_str().expect("a text").to_owned()
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_that_leads_out() {
    for (link, inside) in [
        (".mxcp", ""),
        (".mxcp/cache", ".mxcp"),
        (ANSWERS, ".mxcp/cache"),
    ] {
        let dir = project();
        let outside = tempfile::tempdir().expect("a temporary directory");
        let (_, expected) = check_from_nothing(dir.path());
        fs::create_dir_all(dir.path().join(inside)).expect("a folder");
        let target = match link {
            ANSWERS => outside.path().join("mine"),
            _ => outside.path().to_owned(),
        };
        fs::write(outside.path().join("mine"), "mine").expect("a file");
        std::os::unix::fs::symlink(&target, dir.path().join(link)).expect("a link");
        for _ in 0..2 {
            assert_eq!(check(dir.path()).1, expected, "{link}");
        }
        let left: Vec<_> = fs::read_dir(outside.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left, ["mine"], "{link}");
        let mine = fs::read_to_string(outside.path().join("mine")).expect("a file");
        assert_eq!(mine, "mine", "{link}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_no_error() {
    let dir = project();
    let expected = check_from_nothing(dir.path());
    fs::write(dir.path().join(".mxcp"), "a file").expect("a file");
    assert_eq!(check(dir.path()), expected);
    fs::remove_file(dir.path().join(".mxcp")).expect("a file");
    fs::create_dir_all(dir.path().join(ANSWERS)).expect("a folder");
    assert_eq!(check(dir.path()), expected);
    let left = fs::read_dir(dir.path().join(".mxcp/cache"))
        .expect("a folder")
        .count();
    assert_eq!(left, 1, "nothing half-written stays");
}

#[test]
fn processes_at_once_do_no_harm() {
    let dir = project();
    let expected = check_from_nothing(dir.path());
    for _ in 0..3 {
        let _ = fs::remove_dir_all(dir.path().join(".mxcp"));
        let children: Vec<_> = (0..6)
            .map(|_| {
                mxcp(dir.path())
                    .args(ALL)
                    .stdout(std::process::Stdio::piped())
                    .spawn()
                    .expect("the binary starts")
            })
            .collect();
        for child in children {
            let done = child.wait_with_output().expect("it ends");
            assert_eq!(String::from_utf8_lossy(&done.stdout), expected.1);
        }
        assert_eq!(check(dir.path()), expected);
    }
}

#[test]
fn secrets_are_not_remembered() {
    let dir = project();
    fs::create_dir_all(dir.path().join(".mxcp")).expect("a folder");
    let config = "mxcp: 1\nprojects:\n  shop:\n    profiles:\n      default:\n        secrets:\n          - name: crm\n            type: custom\n            parameters: {key: hunter2, other: \"${SHOP_KEY}\"}\n";
    let path = dir.path().join("config.yml");
    fs::write(&path, config).expect("a file");
    let ran = mxcp(dir.path())
        .args(ALL)
        .env("MXCP_CONFIG", &path)
        .env("SHOP_KEY", "hunter3")
        .output()
        .expect("the binary starts");
    assert_eq!(ran.status.code(), Some(1));
    let text = answers(dir.path());
    assert!(!text.contains("hunter"), "{text}");
}

// An input that is not part of the fingerprint would make old answers pass for new ones.
#[test]
fn the_fingerprint_knows_every_input() {
    let mut found = Vec::new();
    let mut open = vec![repository().join("src")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).expect("the sources can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let mut lines = text.lines();
                while let Some(line) = lines.next() {
                    if line.trim_start().starts_with("#[salsa::input") {
                        let name = lines.find_map(|l| {
                            let line = l.trim().trim_start_matches("pub(crate) ");
                            line.trim_start_matches("pub ").strip_prefix("struct ")
                        });
                        let name = name.unwrap_or_default().trim_end_matches(" {");
                        found.push(name.to_owned());
                    }
                }
            }
        }
    }
    found.sort();
    // A shelf is a share of the file set, and the surface is collected from all others.
    assert_eq!(
        found,
        ["FileSet", "Settings", "Shelf", "SourceFile", "Surface"]
    );
    let inputs = fs::read_to_string(repository().join("src/compiler/inputs.rs")).expect("a file");
    let body = inputs
        .split("pub struct Settings {")
        .nth(1)
        .expect("the settings");
    let body = body.split('}').next().expect("their end");
    assert_eq!(
        body.matches("pub ").count(),
        2,
        "a new setting belongs into `fingerprint`"
    );
}
