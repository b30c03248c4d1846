//! Projects that were not written for this program: what runs is not refused, what cannot be
//! resolved is missed only where it is needed.

use std::fs;
use std::path::Path;

use crate::support::{Ran, finish, mxcp, run};

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let site = ("mxcp-site.yml", "mxcp: 1\nproject: p\nprofile: default\n");
    for (path, text) in std::iter::once(&site).chain(files) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
        fs::write(path, text).expect("writable");
    }
    dir
}

fn with_config(dir: &Path, args: &[&str]) -> Ran {
    finish(
        mxcp(dir)
            .args(args)
            .env("MXCP_CONFIG", dir.join("config.yml"))
            .output()
            .expect("the program starts"),
    )
}

const CONFIG: &str = "\
mxcp: 1
projects:
  p:
    profiles:
      default:
        secrets:
          - { name: lake, type: s3, parameters: { KEY_ID: '${NOBODY_SETS_THIS}' } }
          - { name: safe, type: custom, parameters: { key: 'vault://secret/x#y' } }
          - { name: open, type: custom, parameters: { key: 'plain' } }
        auth:
          provider: keycloak
          keycloak: { client_id: '${NOBODY_SETS_THIS}' }
";

#[test]
fn a_command_that_needs_no_secret_runs_without_it() {
    let dir = project(&[
        ("config.yml", CONFIG),
        (
            "tools/one.yml",
            "mxcp: 1\ntool:\n  name: one\n  source: { code: SELECT 1 AS one }\n",
        ),
        (
            "tools/keys.yml",
            "mxcp: 1\ntool:\n  name: keys\n  language: python\n  source: { file: ../python/keys.py }\n",
        ),
        (
            "python/keys.py",
            "from mxcp.runtime import config\n\ndef keys():\n    return [config.get_secret(n) for n in ('lake', 'open')]\n",
        ),
    ]);
    for args in [
        ["list"].as_slice(),
        &["validate"],
        &["query", "SELECT 1"],
        &["run", "tool", "one"],
    ] {
        with_config(dir.path(), args).ok();
    }
    let ran = with_config(dir.path(), &["run", "tool", "one"]).ok();
    assert!(
        ran.stderr
            .contains("the secret `lake` is left out: Environment variable NOBODY_SETS_THIS"),
        "{ran:#?}"
    );
    // Python may ask for it.
    let ran = with_config(dir.path(), &["run", "tool", "keys", "--json-output"]);
    assert_eq!(
        ran.json()["error"],
        "Environment variable NOBODY_SETS_THIS is not set"
    );
    // A server would answer its clients with errors for ever.
    let served = with_config(dir.path(), &["serve", "--transport", "stdio"]);
    assert_eq!(served.code, 1, "{served:#?}");
    assert!(served.stderr.contains("NOBODY_SETS_THIS"), "{served:#?}");
}

#[test]
fn what_a_call_checks_again_keeps_nothing_from_being_served() {
    let dir = project(&[
        (
            "tools/flag.yml",
            "mxcp: 1\ntool:\n  name: flag\n  return: { type: object, properties: { up: { type: integer } } }\n  source: { code: SELECT true AS up }\n",
        ),
        (
            "tools/absent.yml",
            "mxcp: 1\ntool:\n  name: absent\n  language: python\n  source: { file: ../python/none.py }\n",
        ),
        ("python/none.py", "x = 1\n"),
        (
            "prompts/tool.yml",
            "mxcp: 1\ntool:\n  name: elsewhere\n  source: { code: SELECT 1 }\n",
        ),
    ]);
    assert_eq!(run(dir.path(), &["validate"]).code, 1);
    let served = run(dir.path(), &["serve", "--transport", "stdio"]).ok();
    for code in ["MX0302", "MX0501"] {
        assert!(served.stderr.contains(code), "{code}: {served:#?}");
    }
    run(
        dir.path(),
        &["run", "tool", "flag", "--skip-output-validation"],
    )
    .ok();
    let failed = run(dir.path(), &["run", "tool", "flag"]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert!(failed.stderr.contains("MX0302"), "{failed:#?}");
    assert!(failed.stderr.contains("Expected integer"), "{failed:#?}");

    fs::write(
        dir.path().join("tools/broken.yml"),
        "mxcp: 1\ntool:\n  name: broken\n  source: { code: SELECT n FROM nowhere }\n",
    )
    .expect("writable");
    let refused = run(dir.path(), &["serve", "--transport", "stdio"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stderr.contains("MX0202"), "{refused:#?}");
    run(
        dir.path(),
        &["serve", "--transport", "stdio", "--ignore-errors"],
    )
    .ok();
    // The database has the last word, and may have changed.
    let tried = run(dir.path(), &["run", "tool", "broken"]);
    assert_eq!(tried.code, 1, "{tried:#?}");
    run(dir.path(), &["query", "CREATE TABLE nowhere (n INTEGER)"]).ok();
    run(dir.path(), &["run", "tool", "broken"]).ok();
}

#[test]
fn an_old_site_file_says_how_to_move() {
    let dir = project(&[(
        "mxcp-site.yml",
        "mxcp: 1.0.0\nproject: p\nprofile: default\n",
    )]);
    for args in [["list"].as_slice(), &["run", "tool", "x"], &["test"]] {
        let ran = run(dir.path(), args);
        assert_eq!(ran.code, 1, "{args:?}: {ran:#?}");
        assert!(ran.stderr.contains("write `mxcp: 1`"), "{args:?}: {ran:#?}");
    }
    let older = tempfile::tempdir().expect("a temporary directory");
    fs::write(older.path().join("raw-site.yml"), "raw: 1.0.0\n").expect("writable");
    let ran = run(older.path(), &["list"]);
    assert!(ran.stderr.contains("rename raw-site.yml"), "{ran:#?}");
}
