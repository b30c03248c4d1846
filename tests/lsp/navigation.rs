//! Definition, type definition, references and highlights across languages.

use serde_json::{Value, json};

use super::Client;

const METRICS: &str = "tools/get_customer_metrics.yml";

#[track_caller]
pub(super) fn leads(client: &mut Client, method: &str, path: &str, marked: &str, to: &[&str]) {
    let at = client.at(path, marked);
    let found = client.request(&format!("textDocument/{method}"), at);
    assert_eq!(client.places(&found), to, "{method} of {marked}");
}

#[track_caller]
fn references(client: &mut Client, path: &str, marked: &str) -> Vec<String> {
    let mut at = client.at(path, marked);
    at["context"] = json!({"includeDeclaration": true});
    let found = client.request("textDocument/references", at);
    client.places(&found)
}

#[test]
fn definitions_across_languages() {
    let mut client = Client::customer_360();
    let go = "definition";
    leads(
        &mut client,
        go,
        METRICS,
        "= $custo|mer_id",
        &[&format!("{METRICS}:6: customer_id")],
    );
    leads(
        &mut client,
        go,
        METRICS,
        "&& custo|mer_id != user",
        &[&format!("{METRICS}:6: customer_id")],
    );
    leads(
        &mut client,
        go,
        METRICS,
        "- key: customer|_id",
        &[&format!("{METRICS}:6: customer_id")],
    );
    leads(
        &mut client,
        go,
        METRICS,
        "FROM custo|mer_360",
        &["models/marts/customer_360.sql:1: "],
    );
    leads(
        &mut client,
        go,
        METRICS,
        "WHEN lifetime|_value > 10000",
        &["models/marts/customer_360.sql:21: lifetime_value"],
    );
    // Through the star of the model and of a CTE in it.
    leads(
        &mut client,
        go,
        METRICS,
        "customer_id, na|me, email",
        &["models/staging/stg_customers.sql:3: name"],
    );
    let model = "models/marts/customer_360.sql";
    leads(
        &mut client,
        go,
        model,
        "ref('stg_or|ders')",
        &["models/staging/stg_orders.sql:1: "],
    );
    leads(
        &mut client,
        go,
        model,
        "SUM(amo|unt)",
        &["models/staging/stg_orders.sql:6: amount"],
    );
    leads(
        &mut client,
        go,
        model,
        "o|.last_order_date",
        &[&format!("{model}:24: o")],
    );
    leads(
        &mut client,
        go,
        model,
        "o.last_order|_date",
        &[&format!("{model}:14: last_order_date")],
    );
    leads(
        &mut client,
        go,
        model,
        "JOIN order_met|rics",
        &[&format!("{model}:9: order_metrics")],
    );
    leads(
        &mut client,
        go,
        "models/staging/stg_customers.sql",
        "trim(full|_name)",
        &["seeds/raw_customers.csv:1: full_name"],
    );
    let eval = "evals/customer_tools.evals.yml";
    leads(
        &mut client,
        go,
        eval,
        "tool: get_customer|_list",
        &["tools/get_customer_list.yml:3: get_customer_list"],
    );
    leads(
        &mut client,
        go,
        "tools/predict_churn.yml",
        "name: predict|_churn",
        &[
            "python/ml_predictions.py:12: predict_churn",
            "tools/predict_churn.yml:3: predict_churn",
        ],
    );
    leads(
        &mut client,
        go,
        "tools/predict_churn.yml",
        "file: ../python/ml|_predictions",
        &["python/ml_predictions.py:1: "],
    );
    leads(
        &mut client,
        go,
        "python/ml_predictions.py",
        "\"customer_id\": custo|mer_id",
        &["tools/predict_churn.yml:7: customer_id"],
    );
    let list = "sql/customer_list.sql";
    leads(
        &mut client,
        go,
        list,
        "LIMIT $li|mit",
        &["tools/get_customer_list.yml:19: limit"],
    );
    let prompt = "prompts/customer_review.yml";
    leads(
        &mut client,
        go,
        prompt,
        "{{ aud|ience }}",
        &[&format!("{prompt}:11: audience")],
    );
    let yaml = "models/staging/schema.yml";
    leads(
        &mut client,
        go,
        yaml,
        "to: ref('stg_cus|tomers')",
        &["models/staging/stg_customers.sql:1: "],
    );
    leads(
        &mut client,
        go,
        yaml,
        "field: cust|omer_id",
        &["models/staging/stg_customers.sql:2: customer_id"],
    );
}

#[test]
fn type_definitions_are_declarations() {
    let mut client = Client::customer_360();
    let go = "typeDefinition";
    leads(
        &mut client,
        go,
        METRICS,
        "WHEN lifetime|_value > 10000",
        &[
            "models/contracts/customer_360.yml:11: lifetime_value",
            "models/schema.yml:9: lifetime_value",
        ],
    );
    leads(
        &mut client,
        go,
        METRICS,
        "= $custo|mer_id",
        &[&format!("{METRICS}:6: customer_id")],
    );
    leads(
        &mut client,
        go,
        METRICS,
        "FROM custo|mer_360",
        &[
            "models/contracts/customer_360.yml:2: customer_360",
            "models/schema.yml:2: customer_360",
        ],
    );
}

#[test]
fn references_of_a_model_a_column_and_a_parameter() {
    let mut client = Client::customer_360();
    let model = references(&mut client, METRICS, "FROM custo|mer_360");
    for place in [
        "models/contracts/customer_360.yml:2: customer_360",
        "models/marts/customer_360.sql:1: ",
        "models/schema.yml:2: customer_360",
        "python/ml_predictions.py:15: customer_360",
        "resources/customer_list.yml:20: customer_360",
        "sql/customer_list.sql:13: customer_360",
        &format!("{METRICS}:20: customer_360"),
    ] {
        assert!(
            model.contains(&place.to_owned()),
            "{place} is not in {model:#?}"
        );
    }
    let amount = references(
        &mut client,
        "models/staging/stg_orders.sql",
        "    amo|unt\n",
    );
    for place in [
        "models/marts/customer_360.sql:13: amount",
        "seeds/raw_orders.csv:1: amount",
    ] {
        // The plain item is a column of the seed; the model's own column is asked for elsewhere.
        let known = amount.contains(&place.to_owned());
        assert_eq!(known, place.starts_with("seeds"), "{place}: {amount:#?}");
    }
    let amount = references(&mut client, "models/marts/customer_360.sql", "SUM(amo|unt)");
    for place in [
        "models/staging/stg_orders.sql:6: amount",
        "models/staging/schema.yml:44: amount",
        "sql/analyze_customer.sql:5: amount",
    ] {
        assert!(
            amount.contains(&place.to_owned()),
            "{place} is not in {amount:#?}"
        );
    }
    let months = references(&mut client, "sql/analyze_customer.sql", "LIMIT $mon|ths");
    assert_eq!(
        months,
        [
            "sql/analyze_customer.sql:17: months",
            "tools/customers/analyze_customer.yml:15: months",
            "tools/customers/analyze_customer.yml:46: months",
        ]
    );
}

#[test]
fn highlights_tell_definitions_from_uses() {
    let mut client = Client::customer_360();
    let model = "models/marts/customer_360.sql";
    let at = client.at(model, "FROM customer_ba|se c");
    let found = client.request("textDocument/documentHighlight", at);
    let kinds: Vec<(u64, u64)> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|h| {
            let line = h["range"]["start"]["line"].as_u64().expect("a line");
            (line + 1, h["kind"].as_u64().expect("a kind"))
        })
        .collect();
    assert_eq!(kinds, [(6, 3), (23, 2)]);
    let nothing = client.at(model, "materialized='ta|ble'");
    let found = client.request("textDocument/definition", nothing);
    assert_eq!(found, Value::Null);
}
