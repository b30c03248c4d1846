//! Symbols, folds, selections, hints, colours and lineage.

use serde_json::{Value, json};

use super::Client;
use super::client::offset;

const METRICS: &str = "tools/get_customer_metrics.yml";
const MODEL: &str = "models/marts/customer_360.sql";

fn of(client: &Client, path: &str) -> Value {
    json!({"textDocument": {"uri": client.uri(path)}})
}

fn names(list: &Value) -> Vec<String> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|s| s["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn symbols_of_documents() {
    let mut client = Client::customer_360();
    let found = client.request("textDocument/documentSymbol", of(&client, METRICS));
    assert_eq!(names(&found), ["get_customer_metrics"]);
    let sections = &found[0]["children"];
    assert_eq!(
        names(sections),
        ["parameters", "return", "source", "policies", "tests"]
    );
    assert_eq!(names(&sections[0]["children"]), ["customer_id"]);
    assert_eq!(
        names(&sections[4]["children"]),
        ["Valid customer lookup", "Policy enforcement for non-admin"]
    );
    let found = client.request("textDocument/documentSymbol", of(&client, MODEL));
    let found = names(&found);
    assert_eq!(found[..2], ["customer_base", "order_metrics"]);
    assert!(found.contains(&"lifetime_value".to_owned()), "{found:?}");
    let found = client.request(
        "textDocument/documentSymbol",
        of(&client, "models/staging/schema.yml"),
    );
    assert_eq!(names(&found), ["stg_customers", "stg_orders"]);
    let found = client.request(
        "textDocument/documentSymbol",
        of(&client, "python/ml_predictions.py"),
    );
    assert_eq!(names(&found), ["load_model", "predict_churn"]);
}

#[test]
fn symbols_of_the_workspace() {
    let mut client = Client::customer_360();
    let found = client.request("workspace/symbol", json!({"query": "custlist"}));
    let mut found = names(&found);
    found.sort();
    assert_eq!(found, ["customers://list", "get_customer_list"]);
    let found = client.request("workspace/symbol", json!({"query": "stg"}));
    let mut found = names(&found);
    found.sort();
    assert_eq!(found, ["stg_customers", "stg_orders"]);
}

#[test]
fn folds_and_selections() {
    let mut client = Client::customer_360();
    let found = client.request("textDocument/foldingRange", of(&client, METRICS));
    let lines: Vec<(u64, u64)> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| {
            (
                f["startLine"].as_u64().expect("a line") + 1,
                f["endLine"].as_u64().expect("a line") + 1,
            )
        })
        .collect();
    // The parameters, and the code.
    assert!(lines.contains(&(5, 8)), "{lines:?}");
    assert!(lines.contains(&(12, 21)), "{lines:?}");
    assert!(lines.iter().all(|(start, end)| start < end));
    let at = client.at(METRICS, "WHEN lifetime|_value > 10000");
    let found = client.request(
        "textDocument/selectionRange",
        json!({"textDocument": at["textDocument"], "positions": [at["position"]]}),
    );
    let text = client.text(METRICS);
    let mut sizes = Vec::new();
    let mut range = &found[0];
    let mut first = String::new();
    while !range["range"].is_null() {
        let (start, end) = (
            offset(&text, &range["range"]["start"]),
            offset(&text, &range["range"]["end"]),
        );
        if first.is_empty() {
            first = text[start..end].to_owned();
        }
        sizes.push(end - start);
        range = &range["parent"];
    }
    assert_eq!(first, "lifetime_value");
    assert!(sizes.len() > 4 && sizes.is_sorted(), "{sizes:?}");
    assert_eq!(sizes.last(), Some(&text.len()));
}

#[test]
fn hints_of_columns_and_parameters() {
    let mut client = Client::customer_360();
    let all = json!({"start": {"line": 0, "character": 0}, "end": {"line": 999, "character": 0}});
    let mut params = of(&client, METRICS);
    params["range"] = all.clone();
    let found = client.request("textDocument/inlayHint", params);
    let text = client.text(METRICS);
    let hints: Vec<String> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|h| {
            let at = offset(&text, &h["position"]);
            let start = text[..at].rfind([' ', '$', '\n']).map_or(0, |i| i + 1);
            format!(
                "{}{}",
                &text[start..at],
                h["label"].as_str().expect("a label")
            )
        })
        .collect();
    assert_eq!(
        hints,
        [
            "customer_id: VARCHAR",
            "name: VARCHAR",
            "email: VARCHAR",
            "lifetime_value: DECIMAL(10,2)",
            "tier: VARCHAR",
            "customer_id: VARCHAR",
        ]
    );
    let mut params = of(&client, MODEL);
    params["range"] = all;
    let found = client.request("textDocument/inlayHint", params);
    assert!(found.to_string().contains(": BIGINT"), "{found}");
}

/// The tokens of a file as `text kind`.
fn colours(client: &mut Client, path: &str) -> Vec<String> {
    let legend =
        client.server["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"].clone();
    let found = client.request("textDocument/semanticTokens/full", of(client, path));
    let text = client.text(path);
    let data: Vec<u64> = found["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|n| n.as_u64().expect("a number"))
        .collect();
    let (mut line, mut character) = (0, 0);
    data.chunks(5)
        .map(|token| {
            character = if token[0] == 0 {
                character + token[1]
            } else {
                token[1]
            };
            line += token[0];
            let start = offset(&text, &json!({"line": line, "character": character}));
            let end = start + usize::try_from(token[2]).expect("small");
            let kind = &legend[usize::try_from(token[3]).expect("small")];
            format!("{} {}", &text[start..end], kind.as_str().expect("a name"))
        })
        .collect()
}

#[test]
fn colours_of_embedded_languages() {
    let mut client = Client::customer_360();
    let found = colours(&mut client, METRICS);
    for token in [
        "SELECT keyword",
        "customer_id property",
        "lifetime_value property",
        "10000 number",
        "'gold' string",
        "customer_360 class",
        "$customer_id parameter",
        "user variable",
        "role variable",
        "customer_id parameter",
        "'anonymous' string",
    ] {
        assert!(
            found.contains(&token.to_owned()),
            "{token} is not in {found:#?}"
        );
    }
    let found = colours(&mut client, MODEL);
    for token in [
        "config function",
        "ref function",
        "'stg_customers' class",
        "customer_base class",
        "o variable",
        "COUNT function",
    ] {
        assert!(
            found.contains(&token.to_owned()),
            "{token} is not in {found:#?}"
        );
    }
    let found = colours(&mut client, "prompts/customer_review.yml");
    for token in ["audience parameter", "if keyword", "'sales' string"] {
        assert!(
            found.contains(&token.to_owned()),
            "{token} is not in {found:#?}"
        );
    }
}

#[test]
fn lineage_is_a_call_hierarchy() {
    let mut client = Client::customer_360();
    let at = client.at(METRICS, "FROM custo|mer_360");
    let items = client.request("textDocument/prepareCallHierarchy", at);
    assert_eq!(names(&items), ["customer_360"]);
    let outgoing = client.request("callHierarchy/outgoingCalls", json!({"item": items[0]}));
    let reads: Vec<&str> = outgoing
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["to"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(reads, ["stg_customers", "stg_orders"]);
    let incoming = client.request("callHierarchy/incomingCalls", json!({"item": items[0]}));
    let mut readers: Vec<&str> = incoming
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["from"]["name"].as_str().expect("a name"))
        .collect();
    readers.sort_unstable();
    assert_eq!(
        readers,
        [
            "customers://list",
            "get_customer",
            "get_customer_list",
            "get_customer_metrics",
            "predict_churn",
            "update_customer"
        ]
    );
    // From a seed upwards.
    let deeper = client.request(
        "callHierarchy/outgoingCalls",
        json!({"item": outgoing[0]["to"]}),
    );
    assert_eq!(deeper[0]["to"]["name"], "raw_customers");
}
