//! Hover: what each kind of name says, in every language of a project.

use super::Client;

const METRICS: &str = "tools/get_customer_metrics.yml";

#[track_caller]
pub(super) fn says(client: &mut Client, path: &str, marked: &str, words: &[&str]) {
    let at = client.at(path, marked);
    let hover = client.request("textDocument/hover", at);
    let text = hover["contents"]["value"].as_str().unwrap_or_default();
    for word in words {
        assert!(
            text.contains(word),
            "{marked} does not say {word:?}: {text}"
        );
    }
}

#[test]
fn parameters_columns_and_tables_of_embedded_sql() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    says(
        &mut client,
        METRICS,
        "WHERE customer_id = $custo|mer_id",
        &[
            "parameter `customer_id`",
            "string",
            "Customer ID to look up",
            "VARCHAR",
        ],
    );
    says(
        &mut client,
        METRICS,
        "FROM custo|mer_360",
        &[
            "table model `customer_360`",
            "| `lifetime_value` | `DECIMAL(10,2)`",
            "Compiled:",
            "customer_base",
        ],
    );
    says(
        &mut client,
        METRICS,
        "WHEN lifetime_val|ue > 10000",
        &[
            "lifetime_value DECIMAL(10,2)",
            "column of `customer_360`",
            "from `stg_orders.amount`, aggregated",
        ],
    );
    // Through `c.*` the column is that of the staging model, with its description.
    says(
        &mut client,
        METRICS,
        "WHERE customer|_id =",
        &[
            "customer_id VARCHAR",
            "column of `stg_customers`",
            "format: cust_XXX",
            "from `raw_customers.id`",
        ],
    );
    says(
        &mut client,
        METRICS,
        "END as tie|r",
        &[
            "tier VARCHAR",
            "in the result of tool `get_customer_metrics`",
        ],
    );
    says(
        &mut client,
        METRICS,
        "user.ro|le !=",
        &["user.role: string"],
    );
    says(
        &mut client,
        METRICS,
        "&& customer|_id != user",
        &["parameter `customer_id`"],
    );
}

#[test]
fn functions_models_and_keys() {
    let mut client = Client::customer_360();
    let sql = "sql/analyze_customer.sql";
    client.open(sql);
    says(
        &mut client,
        sql,
        "date_tr|unc(",
        &["date_trunc(", "TIMESTAMP"],
    );
    says(
        &mut client,
        sql,
        "FROM mon|thly",
        &["common table expression `monthly`", "`revenue`"],
    );
    says(
        &mut client,
        sql,
        "LIMIT $mon|ths",
        &["parameter `months`", "integer", "= 12"],
    );
    let model = "models/marts/customer_360.sql";
    client.open(model);
    says(
        &mut client,
        model,
        "ref('stg_cust|omers')",
        &["model `stg_customers`", "names and addresses cleaned"],
    );
    says(
        &mut client,
        model,
        "SUM(amou|nt)",
        &["column of `stg_orders`"],
    );
    says(&mut client, model, "    c|.*,", &["alias `c`"]);
    let list = "tools/get_customer_list.yml";
    client.open(list);
    says(&mut client, list, "readOnly|Hint", &["`readOnlyHint`:"]);
    says(
        &mut client,
        list,
        "tool_name_is_elsewhere"
            .replace("tool_name_is_elsewhere", "name: get_cust|omer_list")
            .as_str(),
        &["tool get_customer_list(tier:", "3 tests"],
    );
    let eval = "evals/customer_tools.evals.yml";
    client.open(eval);
    says(
        &mut client,
        eval,
        "tool: get_customer|_list",
        &["tool get_customer_list("],
    );
    let python = "python/ml_predictions.py";
    client.open(python);
    says(
        &mut client,
        python,
        "def load|_model",
        &["def load_model()", "Load ML model"],
    );
    says(
        &mut client,
        python,
        "def predict_churn(cust|omer_id",
        &["Customer ID to predict churn for"],
    );
    says(
        &mut client,
        python,
        "FROM custo|mer_360",
        &["model `customer_360`"],
    );
    let schema = "models/staging/schema.yml";
    client.open(schema);
    says(
        &mut client,
        schema,
        "name: sig|nup_date",
        &["signup_date DATE"],
    );
}

#[test]
fn half_typed_texts_still_say_what_they_can() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    client.edit(
        METRICS,
        "WHERE customer_id = $customer_id",
        "WHERE (customer_id = $customer_id AND",
    );
    says(
        &mut client,
        METRICS,
        "(customer|_id =",
        &["column of `stg_customers`"],
    );
    let model = "models/marts/customer_360.sql";
    client.open(model);
    client.edit(
        model,
        "FROM customer_base c",
        "FROM customer_base c JOIN {{ ref('",
    );
    says(
        &mut client,
        model,
        "ref('stg_ord|ers')",
        &["model `stg_orders`"],
    );
}
