//! Completion and signature help, in texts that are being typed.

use serde_json::Value;

use super::Client;
use super::client::mark;

const METRICS: &str = "tools/get_customer_metrics.yml";

/// The labels offered after a text was typed in the place of another one; `|` is the cursor.
#[track_caller]
pub(super) fn offered(client: &mut Client, path: &str, old: &str, marked: &str) -> Vec<Value> {
    let original = client.text(path);
    let new = marked.replacen(mark(marked), "", 1);
    client.edit(path, old, &new);
    let at = client.at(path, marked);
    let list = client.request("textDocument/completion", at);
    client.change(path, &original);
    list["items"].as_array().cloned().unwrap_or_default()
}

#[track_caller]
pub(super) fn offers(
    client: &mut Client,
    path: &str,
    old: &str,
    marked: &str,
    wanted: &[&str],
    not: &[&str],
) {
    let items = offered(client, path, old, marked);
    let labels: Vec<&str> = items.iter().filter_map(|i| i["label"].as_str()).collect();
    for name in wanted {
        assert!(
            labels.contains(name),
            "{marked} does not offer {name}: {labels:?}"
        );
    }
    for name in not {
        assert!(!labels.contains(name), "{marked} offers {name}");
    }
}

#[test]
fn sql_in_yaml() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    let select = "customer_id, name, email, lifetime_value,";
    offers(
        &mut client,
        METRICS,
        select,
        "li|,",
        &["lifetime_value", "list_transform", "customer_360"],
        &["date_trunc"],
    );
    offers(
        &mut client,
        METRICS,
        "FROM customer_360",
        "FROM cu|",
        &["customer_360", "stg_customers", "raw_orders"],
        &["lifetime_value"],
    );
    offers(
        &mut client,
        METRICS,
        "= $customer_id",
        "= $|",
        &["customer_id"],
        &["lifetime_value"],
    );
    // An alias, a join that is not finished, a column of one side only.
    offers(
        &mut client,
        METRICS,
        "FROM customer_360\n",
        "FROM customer_360 c JOIN stg_orders o ON o.|\n",
        &["order_date", "amount"],
        &["segment"],
    );
    offers(
        &mut client,
        METRICS,
        "WHERE customer_id = $customer_id",
        "WHERE se|",
        &["segment"],
        &[],
    );
    // Types and texts come along.
    let items = offered(&mut client, METRICS, select, "customer_|,");
    let column = items
        .iter()
        .find(|i| i["label"] == "customer_id")
        .expect("offered");
    assert_eq!(column["detail"], "VARCHAR NOT NULL");
    let text = column["documentation"]["value"].as_str().expect("a text");
    assert!(text.contains("Unique customer identifier"), "{text}");
    assert_eq!(column["textEdit"]["newText"], "customer_id");
}

#[test]
fn sql_files_and_templates() {
    let mut client = Client::customer_360();
    let sql = "sql/analyze_customer.sql";
    client.open(sql);
    offers(
        &mut client,
        sql,
        "FROM monthly",
        "FROM mo|",
        &["monthly", "customer_360"],
        &[],
    );
    offers(
        &mut client,
        sql,
        "LIMIT $months",
        "LIMIT $|",
        &["months", "customer_id"],
        &[],
    );
    offers(
        &mut client,
        sql,
        "SELECT\n    month,",
        "SELECT\n    re|,",
        &["revenue"],
        &["amount"],
    );
    let model = "models/marts/customer_360.sql";
    client.open(model);
    offers(
        &mut client,
        model,
        "ref('stg_orders')",
        "ref('|')",
        &["stg_orders", "raw_orders"],
        &["customer_360"],
    );
    offers(
        &mut client,
        model,
        "{{ ref('stg_orders') }}",
        "{{ ref('s|",
        &["stg_orders"],
        &[],
    );
    offers(
        &mut client,
        model,
        "{{ ref('stg_orders') }}",
        "{{ r|",
        &["ref", "run_query"],
        &[],
    );
    offers(
        &mut client,
        model,
        "FROM {{ ref('stg_orders') }}",
        "FROM st|",
        &["ref('stg_orders')"],
        &[],
    );
    offers(
        &mut client,
        model,
        "SUM(amount)",
        "SUM(a|)",
        &["amount", "abs"],
        &["segment"],
    );
    offers(
        &mut client,
        model,
        "o.last_order_date",
        "o.|",
        &["last_order_date", "order_count"],
        &["name"],
    );
}

#[test]
fn keys_and_values_of_yaml() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    offers(
        &mut client,
        METRICS,
        "  return:",
        "  an|\n  return:",
        &["annotations", "tags", "language"],
        &["parameters", "uri"],
    );
    offers(
        &mut client,
        METRICS,
        "  return:",
        "  language: |\n  return:",
        &["python", "sql"],
        &[],
    );
    offers(
        &mut client,
        METRICS,
        "      type: string",
        "      type: |",
        &["string", "integer", "boolean"],
        &[],
    );
    offers(
        &mut client,
        METRICS,
        "      type: string",
        "      type: string\n      for|",
        &["format", "enum", "default"],
        &["type", "name"],
    );
    offers(
        &mut client,
        METRICS,
        "action: deny",
        "action: |",
        &["deny", "mask_fields"],
        &[],
    );
    // Of a broken file too.
    offers(
        &mut client,
        METRICS,
        "  return:\n    type: object",
        "  return: {\n  ta|",
        &[],
        &["parameters_"],
    );
    let items = offered(&mut client, METRICS, "  return:", "  la|\n  return:");
    let key = items
        .iter()
        .find(|i| i["label"] == "language")
        .expect("offered");
    assert_eq!(key["textEdit"]["newText"], "language: ");
    assert!(
        key["documentation"]["value"]
            .as_str()
            .expect("a text")
            .contains("language")
    );
    client.open("mxcp-site.yml");
    let site = client.text("mxcp-site.yml");
    client.change("mxcp-site.yml", &format!("{site}\nserv"));
    let at = client.at("mxcp-site.yml", "\nserv|");
    let list = client.request("textDocument/completion", at);
    assert!(list.to_string().contains("\"label\":\"server\""), "{list}");
}

#[test]
fn names_of_the_project_in_yaml() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    offers(
        &mut client,
        METRICS,
        "- key: customer_id",
        "- key: |",
        &["customer_id"],
        &[],
    );
    let eval = "evals/customer_tools.evals.yml";
    client.open(eval);
    offers(
        &mut client,
        eval,
        "tool: get_customer_list",
        "tool: |",
        &["get_customer_list", "predict_churn"],
        &["customer_review"],
    );
    offers(
        &mut client,
        eval,
        "args: {}",
        "args:\n            |",
        &["tier", "limit"],
        &[],
    );
    let list = "tools/get_customer_list.yml";
    client.open(list);
    offers(
        &mut client,
        list,
        "file: ../sql/customer_list.sql",
        "file: |",
        &["../sql/customer_list.sql", "../python/ml_predictions.py"],
        &[],
    );
    offers(
        &mut client,
        list,
        "fields: [\"email\"]",
        "fields: [|]",
        &["email", "tier"],
        &[],
    );
    offers(
        &mut client,
        list,
        "          value: \"gold\"",
        "          value: |",
        &["gold", "silver"],
        &[],
    );
    offers(
        &mut client,
        list,
        "      result_contains:\n        tier: \"gold\"",
        "      result_contains:\n        |",
        &["email", "lifetime_value"],
        &[],
    );
    let yaml = "models/staging/schema.yml";
    client.open(yaml);
    offers(
        &mut client,
        yaml,
        "- name: signup_date\n",
        "- name: |\n",
        &["signup_date", "segment"],
        &["order_id"],
    );
    offers(
        &mut client,
        yaml,
        "to: ref('stg_customers')",
        "to: |",
        &["ref('stg_orders')"],
        &[],
    );
}

#[test]
fn policies_and_prompts() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    let condition = "user.role != 'anonymous' &&";
    offers(
        &mut client,
        METRICS,
        condition,
        "user.| &&",
        &["role", "email", "permissions"],
        &["customer_id"],
    );
    offers(
        &mut client,
        METRICS,
        condition,
        "cu| &&",
        &["customer_id", "user", "size"],
        &["response"],
    );
    let list = "tools/get_customer_list.yml";
    client.open(list);
    offers(
        &mut client,
        list,
        "user.role != 'admin'",
        "response[0].|",
        &["tier", "email"],
        &[],
    );
    let prompt = "prompts/customer_review.yml";
    client.open(prompt);
    offers(
        &mut client,
        prompt,
        "{{ audience }}",
        "{{ a| }}",
        &["audience", "customer_id"],
        &[],
    );
    offers(
        &mut client,
        prompt,
        "{{ audience }}",
        "{{ audience | u¦ }}",
        &["upper", "title"],
        &["audience"],
    );
}

#[test]
fn nothing_is_offered_in_texts_and_comments() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    let items = offered(&mut client, METRICS, "THEN 'gold'", "THEN 'go|");
    assert!(items.is_empty(), "{items:#?}");
    let items = offered(&mut client, METRICS, "# Without authentication", "# With|");
    assert!(items.is_empty(), "{items:#?}");
}

#[test]
fn signatures_of_functions_and_of_tools() {
    let mut client = Client::customer_360();
    let sql = "sql/analyze_customer.sql";
    client.open(sql);
    let at = client.at(sql, "date_trunc('month', |order_date)");
    let help = client.request("textDocument/signatureHelp", at);
    assert_eq!(help["activeParameter"], 1);
    let label = help["signatures"][0]["label"].as_str().expect("a label");
    assert!(label.starts_with("date_trunc("), "{label}");
    // A call that is not closed.
    client.edit(
        sql,
        "round(revenue / SUM(revenue) OVER (), 4)",
        "round(revenue, ",
    );
    let at = client.at(sql, "round(revenue, |");
    let help = client.request("textDocument/signatureHelp", at);
    assert_eq!(help["activeParameter"], 1, "{help}");
    let list = "tools/get_customer_list.yml";
    client.open(list);
    let at = client.at(list, "        - key: limit\n          value: |5");
    let help = client.request("textDocument/signatureHelp", at);
    let label = help["signatures"][0]["label"].as_str().expect("a label");
    assert!(
        label.starts_with("get_customer_list(tier: string"),
        "{label}"
    );
    assert_eq!(help["activeParameter"], 1);
}
