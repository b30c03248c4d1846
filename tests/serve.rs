//! The server before a real client: the official Python SDK over stdio.

use std::fs;
use std::process::Command;

use crate::support::{built_customer_360, finish, repository, run};

/// Runs the client script against a project; it prints what it saw as JSON.
fn client(dir: &std::path::Path) -> serde_json::Value {
    let ran = finish(
        Command::new(repository().join(".venv/bin/python"))
            .arg(repository().join("tests/support/client.py"))
            .arg(env!("CARGO_BIN_EXE_mxcp"))
            .arg(dir)
            .env("VIRTUAL_ENV", repository().join(".venv"))
            .output()
            .expect("the client starts"),
    );
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.json()
}

#[test]
fn serves_from_the_manifest_alone() {
    let dir = built_customer_360();
    run(dir.path(), &["build"]).ok();
    for folder in ["tools", "resources", "prompts", "models", "seeds", "evals"] {
        // The model file of `predict_churn` lives among the dbt models.
        let path = dir.path().join(folder);
        if folder == "models" {
            for inner in ["staging", "marts", "contracts"] {
                fs::remove_dir_all(path.join(inner)).expect("removable");
            }
            continue;
        }
        fs::remove_dir_all(path).expect("removable");
    }
    // A root-level source is no reason to build again either.
    fs::remove_file(dir.path().join("dbt_project.yml")).expect("removable");
    fs::remove_dir_all(dir.path().join("sql")).expect("removable");
    let manifest = dir.path().join("target/mxcp/manifest.json");
    let before = fs::read(&manifest).expect("built");
    let seen = client(dir.path());
    assert_eq!(before, fs::read(&manifest).expect("still there"));
    let tools: Vec<&str> = seen["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|t| t.as_str())
        .collect();
    assert!(tools.contains(&"get_customer_metrics"), "{seen:#}");
    assert!(tools.contains(&"predict_churn"), "{seen:#}");
    assert!(seen["resources"].as_u64() > Some(0), "{seen:#}");
    assert!(seen["prompts"].as_u64() > Some(0), "{seen:#}");

    let metrics = &seen["metrics"];
    assert_ne!(metrics["isError"], true, "{metrics:#}");
    assert_eq!(metrics["structuredContent"]["tier"], "gold", "{metrics:#}");
    assert_eq!(
        metrics["structuredContent"]["customer_id"], "cust_123",
        "{metrics:#}"
    );
    // Nobody is signed in, so nobody may see a customer's notes.
    assert_eq!(seen["denied"]["isError"], true, "{seen:#}");
    assert!(
        seen["denied"]["content"][0]["text"]
            .as_str()
            .is_some_and(|t| t.contains("Policy enforcement failed")),
        "{seen:#}"
    );
    assert_eq!(seen["wrong"]["isError"], true, "{seen:#}");
    let churn = &seen["churn"]["structuredContent"];
    assert_eq!(churn["customer_id"], "cust_123", "{seen:#}");
    assert!(churn["churn_probability"].is_number(), "{seen:#}");
    let many = seen["many"].as_array().expect("a list");
    assert!(
        many.len() == 100 && many.iter().all(|error| error == false),
        "{seen:#}"
    );
    assert!(seen["read"]["contents"][0]["text"].is_string(), "{seen:#}");
    assert!(
        seen["prompt"]["messages"][0]["content"]["text"].is_string(),
        "{seen:#}"
    );
}

#[test]
fn a_changed_python_file_is_not_served_without_its_sources() {
    let dir = built_customer_360();
    run(dir.path(), &["build"]).ok();
    for folder in ["tools", "resources", "prompts", "sql"] {
        fs::remove_dir_all(dir.path().join(folder)).expect("removable");
    }
    let python = dir.path().join("python/ml_predictions.py");
    let text = fs::read_to_string(&python).expect("there");
    fs::write(&python, format!("{text}\n# changed\n")).expect("writable");
    let ran = run(dir.path(), &["serve", "--transport", "stdio"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("python/ml_predictions.py"), "{ran:#?}");
}

#[test]
fn a_profile_that_nobody_declared_is_not_served() {
    let dir = built_customer_360();
    let refused = run(
        dir.path(),
        &["serve", "--transport", "stdio", "--profile", "prodution"],
    );
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("no profile `prodution` is declared")
            && refused.stderr.contains("did you mean `production`?"),
        "{refused:#?}"
    );
}

#[test]
fn what_keeps_a_server_from_starting_is_told_to_programs_by_file() {
    let dir = built_customer_360();
    fs::write(
        dir.path().join("tools/broken.yml"),
        "mxcp: 1\ntool:\n  name: broken\n  description: A broken tool\n  parameters:\n    - { name: a, type: string, description: unused }\n  source: { code: \"SELECT $b FROM nowhere\" }\n",
    )
    .expect("writable");
    let ran = run(
        dir.path(),
        &["serve", "--transport", "stdio", "--json-output"],
    );
    assert_eq!(ran.code, 1, "{ran:#?}");
    let told = ran.json();
    assert_eq!(told["status"], "error");
    assert_eq!(told["message"], "Found 1 endpoint(s) with errors");
    let failed = told["failed_endpoints"].as_array().expect("a list");
    assert_eq!(failed.len(), 1, "{told:#}");
    assert_eq!(failed[0]["path"], "tools/broken.yml");
    let error = failed[0]["error"].as_str().expect("a text");
    assert!(error.contains("`$b`") && error.contains("`a`"), "{error}");
}
