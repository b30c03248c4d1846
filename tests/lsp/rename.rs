//! Rename: one edit over all languages, refused where it would break something, and the project
//! builds equal but for the name.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::Client;
use super::client::offset;
use crate::support::run;

/// The texts of a project and its paths, as an edit leaves them.
pub(super) type Files = BTreeMap<String, String>;

pub(super) fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("it can be listed") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").to_string_lossy();
            if name.starts_with(".mxcp") || name.starts_with("target") {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.insert(name.into_owned(), text);
            }
        }
    }
    found
}

/// Applies an edit to the files on the disk, as an editor would.
pub(super) fn apply(client: &Client, edit: &Value) {
    let prefix = client.uri("");
    let path = |uri: &Value| {
        let uri = uri.as_str().expect("an address");
        uri.strip_prefix(&prefix)
            .expect("in the project")
            .to_owned()
    };
    for change in edit["documentChanges"].as_array().expect("a list") {
        if change["kind"] == "rename" {
            std::fs::rename(
                client.root.join(path(&change["oldUri"])),
                client.root.join(path(&change["newUri"])),
            )
            .expect("it can be renamed");
            continue;
        }
        let path = path(&change["textDocument"]["uri"]);
        let mut text = client.disk(&path);
        let mut edits: Vec<(usize, usize, String)> = change["edits"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|e| {
                (
                    offset(&text, &e["range"]["start"]),
                    offset(&text, &e["range"]["end"]),
                    e["newText"].as_str().expect("a text").to_owned(),
                )
            })
            .collect();
        edits.sort();
        for (start, end, new) in edits.into_iter().rev() {
            text.replace_range(start..end, &new);
        }
        std::fs::write(client.root.join(path), text).expect("it can be written");
    }
}

/// Tells the server that everything may have changed.
pub(super) fn told(client: &mut Client) {
    let uri = client.uri("dbt_project.yml");
    client.notify(
        "workspace/didChangeWatchedFiles",
        json!({"changes": [{"uri": uri, "type": 2}]}),
    );
}

/// The contract of the project: its lock, without what names the sources.
pub(super) fn contract(root: &Path) -> String {
    run(root, &["build"]).ok();
    let lock = std::fs::read_to_string(root.join("mxcp.lock")).expect("a lock");
    let lock: serde_yaml::Value = serde_yaml::from_str(&lock).expect("YAML");
    let endpoints = &lock["endpoints"];
    let mut out = String::new();
    for (name, lines) in endpoints.as_mapping().expect("endpoints") {
        for line in lines.as_sequence().expect("lines") {
            out.push_str(&format!(
                "{}: {}\n",
                name.as_str().expect("a name"),
                line.as_str().expect("a text")
            ));
        }
    }
    out
}

pub(super) fn rename(client: &mut Client, path: &str, marked: &str, new: &str) -> Value {
    let at = client.at(path, marked);
    client.request("textDocument/prepareRename", at.clone());
    let mut params = at;
    params["newName"] = json!(new);
    client.request("textDocument/rename", params)
}

#[track_caller]
fn check(path: &str, marked: &str, old: &str, new: &str, places: usize) -> Client {
    let mut client = Client::customer_360();
    let before = contract(&client.root);
    let edit = rename(&mut client, path, marked, new);
    let edits: usize = edit["documentChanges"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["edits"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(edits, places, "{edit:#}");
    apply(&client, &edit);
    let valid = run(&client.root, &["validate", "--format", "concise"]);
    assert_eq!(valid.code, 0, "{valid:#?}");
    let after = contract(&client.root);
    assert!(
        modulo(&after, new, old) == modulo(&before, new, old),
        "{before}\n{after}"
    );
    client
}

/// The lines of a text, sorted, with one name in the place of another.
pub(super) fn modulo(text: &str, name: &str, other: &str) -> Vec<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let whole = !rest[..at].ends_with(is_name) && !rest[at + name.len()..].starts_with(is_name);
        out.push_str(&rest[..at]);
        out.push_str(if whole { other } else { name });
        rest = &rest[at + name.len()..];
    }
    out.push_str(rest);
    let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_parameter_in_yaml_sql_cel_and_tests() {
    let client = check(
        "tools/get_customer_metrics.yml",
        "= $custo|mer_id",
        "customer_id",
        "buyer",
        4 + 1,
    );
    let text = client.disk("tools/get_customer_metrics.yml");
    assert!(text.contains("WHERE customer_id = $buyer"), "{text}");
    assert!(text.contains("&& buyer != user.customer_id"), "{text}");
    assert!(text.contains("- key: buyer"), "{text}");
}

#[test]
fn a_parameter_of_an_sql_file_and_of_python() {
    let client = check(
        "tools/customers/analyze_customer.yml",
        "- name: mon|ths",
        "months",
        "how_many",
        3,
    );
    assert!(
        client
            .disk("sql/analyze_customer.sql")
            .contains("LIMIT $how_many")
    );
    let client = check(
        "tools/predict_churn.yml",
        "- name: customer|_id",
        "customer_id",
        "buyer",
        1 + 2 + 4,
    );
    let python = client.disk("python/ml_predictions.py");
    assert!(python.contains("def predict_churn(buyer: str)"), "{python}");
    assert!(python.contains("{\"customer_id\": buyer})"), "{python}");
}

#[test]
fn a_tool_with_its_python_function_and_its_evals() {
    let client = check(
        "tools/predict_churn.yml",
        "name: predict|_churn",
        "predict_churn",
        "foresee",
        2,
    );
    assert!(
        client
            .disk("python/ml_predictions.py")
            .contains("def foresee(")
    );
    let client = check(
        "evals/customer_tools.evals.yml",
        "tool: get_customer|_list",
        "get_customer_list",
        "all_customers",
        2,
    );
    assert!(
        client
            .disk("tools/get_customer_list.yml")
            .contains("name: all_customers")
    );
}

#[test]
fn a_model_with_its_file_and_everything_that_reads_it() {
    let client = check(
        "tools/get_customer_metrics.yml",
        "FROM custo|mer_360",
        "customer_360",
        "whole_customer",
        8,
    );
    assert!(
        client
            .root
            .join("models/marts/whole_customer.sql")
            .is_file()
    );
    assert!(
        client
            .disk("python/ml_predictions.py")
            .contains("FROM whole_customer")
    );
    assert!(
        client
            .disk("models/schema.yml")
            .contains("name: whole_customer")
    );
    let client = check(
        "models/marts/customer_360.sql",
        "ref('stg_or|ders')",
        "stg_orders",
        "orders_clean",
        3,
    );
    assert!(
        client
            .disk("sql/analyze_customer.sql")
            .contains("FROM orders_clean")
    );
}

#[test]
fn a_column_with_its_readers_and_its_entries() {
    let mut client = check(
        "models/marts/customer_360.sql",
        "SUM(amo|unt)",
        "amount",
        "total",
        4,
    );
    // The model reads the seed's column under its old name; who read the model reads the new one.
    assert!(
        client
            .disk("models/staging/stg_orders.sql")
            .contains("amount AS total")
    );
    assert!(
        client
            .disk("sql/analyze_customer.sql")
            .contains("SUM(total)")
    );
    told(&mut client);
    let client = check(
        "models/marts/customer_360.sql",
        "COALESCE(o.lifetime_value, 0) as lifetime|_value",
        "lifetime_value",
        "worth",
        12,
    );
    // The contract of the tool is what it was: its SQL says so.
    let metrics = client.disk("tools/get_customer_metrics.yml");
    assert!(metrics.contains("worth AS lifetime_value,"), "{metrics}");
    assert!(
        client
            .disk("models/contracts/customer_360.yml")
            .contains("name: worth")
    );
}

#[test]
fn a_common_table_expression_and_an_alias() {
    let client = check(
        "models/marts/customer_360.sql",
        "JOIN order_met|rics",
        "order_metrics",
        "sums",
        2,
    );
    assert!(
        client
            .disk("models/marts/customer_360.sql")
            .contains("LEFT JOIN sums o")
    );
    let client = check(
        "models/marts/customer_360.sql",
        "base c|\n",
        "c",
        "customer",
        2,
    );
    assert!(
        client
            .disk("models/marts/customer_360.sql")
            .contains("customer.*")
    );
}

#[test]
fn what_would_break_is_refused_with_a_reason() {
    let mut client = Client::customer_360();
    for (path, marked, new, reason) in [
        (
            "models/staging/stg_customers.sql",
            "AS customer|_id",
            "key",
            "`ON`",
        ),
        (
            "tools/get_customer_metrics.yml",
            "= $custo|mer_id",
            "two words",
            "is no name",
        ),
        (
            "tools/customers/analyze_customer.yml",
            "- name: mon|ths",
            "customer_id",
            "already",
        ),
        (
            "tools/get_customer_list.yml",
            "name: get_cust|omer_list",
            "predict_churn",
            "already",
        ),
        (
            "sql/analyze_customer.sql",
            "date_tr|unc(",
            "x",
            "function of the engine",
        ),
        (
            "resources/customer_list.yml",
            "customers://|list",
            "x",
            "URI",
        ),
        (
            "models/marts/customer_360.sql",
            "ref('stg_or|ders')",
            "stg_customers",
            "already",
        ),
        (
            "sql/analyze_customer.sql",
            "FROM mon|thly",
            "orders",
            "uses the name",
        ),
        (
            "sql/analyze_customer.sql",
            "FROM mon|thly",
            "having",
            "would break",
        ),
    ] {
        let mut params = client.at(path, marked);
        params["newName"] = json!(new);
        let said = client.refused("textDocument/rename", params);
        assert!(said.contains(reason), "{marked}: {said}");
    }
    let at = client.at("tools/get_customer_metrics.yml", "descrip|tion:");
    client.refused("textDocument/prepareRename", at);
}
