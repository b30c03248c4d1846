//! What is offered and said at places that a first version of a text has.

use super::Client;
use super::client::capabilities;
use super::completion::{offered, offers};
use super::hover::says;
use crate::support::{copy_of, fixture};

const GET: &str = "tools/customers/get_customer.yml";
const ANALYZE: &str = "sql/analyze_customer.sql";
const MODEL: &str = "models/marts/customer_360.sql";

/// What is offered in a file of a fixture: the label, or more of them.
#[track_caller]
fn offers_in(project: &str, path: &str, old: &str, marked: &str, wanted: &[&str], not: &[&str]) {
    let dir = copy_of(&fixture(project));
    let root = dir.path().canonicalize().expect("there");
    let mut client = Client::start(&root, std::slice::from_ref(&root), capabilities());
    client.open(path);
    offers(&mut client, path, old, marked, wanted, not);
}

#[test]
fn local_names_have_types() {
    let mut client = Client::customer_360();
    client.open(ANALYZE);
    says(
        &mut client,
        ANALYZE,
        "FROM mon|thly",
        &[
            "common table expression `monthly`",
            "| `orders` | `BIGINT` |",
        ],
    );
    says(
        &mut client,
        ANALYZE,
        "SUM(reve|nue) OVER",
        &["revenue DECIMAL(38,2)"],
    );
    let items = offered(&mut client, ANALYZE, "    revenue,\n", "    re|,\n");
    let revenue = items
        .iter()
        .find(|i| i["label"] == "revenue")
        .expect("offered");
    assert_eq!(revenue["detail"], "DECIMAL(38,2)");
    client.open(MODEL);
    // An alias of a common table expression is not the table that it reads.
    says(
        &mut client,
        MODEL,
        "customer_base c|\n",
        &[
            "alias `c` of",
            "common table expression `customer_base`",
            "`segment`",
        ],
    );
    says(
        &mut client,
        MODEL,
        "MAX(order_date) as last_or|der_date",
        &["last_order_date DATE"],
    );
}

#[test]
fn what_is_never_null_is_said() {
    let mut client = Client::customer_360();
    client.open(GET);
    // By the tests of its model; by a constraint; not at all.
    says(
        &mut client,
        GET,
        "'id': customer|_id",
        &["customer_id VARCHAR NOT NULL"],
    );
    says(
        &mut client,
        GET,
        "WHEN lifetime|_value > 10000",
        &["lifetime_value DECIMAL(10,2) NOT NULL"],
    );
    says(
        &mut client,
        GET,
        "credit|_score\n      FROM",
        &["credit_score INTEGER\n"],
    );
}

#[test]
fn forms_of_the_grammar_are_functions_too() {
    let mut client = Client::customer_360();
    client.open(GET);
    says(
        &mut client,
        GET,
        "CA|ST(lifetime",
        &["cast(expression AS type)"],
    );
    offers(
        &mut client,
        GET,
        "        credit_score\n",
        "        co|\n",
        &["coalesce", "count"],
        &[],
    );
    client.open(MODEL);
    says(
        &mut client,
        MODEL,
        "COALE|SCE(o.order",
        &["coalesce(", "not NULL"],
    );
}

#[test]
fn parts_of_a_result() {
    let mut client = Client::customer_360();
    client.open(GET);
    let output = "condition: \"user.role != 'admin'\"\n        action: filter";
    offers(
        &mut client,
        GET,
        output,
        "condition: \"response.customer.|\"\n        action: filter",
        &["tier", "email"],
        &["credit_score"],
    );
    offers(
        &mut client,
        GET,
        "      result:\n        customer:\n",
        "      result:\n        |\n",
        &["customer", "credit_score"],
        &["tier"],
    );
    offers(
        &mut client,
        GET,
        "          tier: \"gold\"\n",
        "          |\n",
        &["tier"],
        &["credit_score"],
    );
    offers(
        &mut client,
        GET,
        "tier: \"gold\"\n",
        "tier: |\n",
        &["gold", "silver"],
        &["tier"],
    );
    offers(
        &mut client,
        GET,
        "        role: \"user\"\n",
        "        |\n",
        &["permissions"],
        &["tier"],
    );
}

#[test]
fn values_that_other_files_or_the_grammar_know() {
    let mut client = Client::customer_360();
    client.open(GET);
    offers(
        &mut client,
        GET,
        "  tags: [\"customers\", \"read\"]\n",
        "  |\n",
        &["tags"],
        &["return_"],
    );
    for (path, old, marked, wanted) in [
        (
            "mxcp-site.yml",
            "profile: development",
            "profile: |",
            "production",
        ),
        (
            "dbt_project.yml",
            "+materialized: view",
            "+materialized: |",
            "table",
        ),
        (
            "models/staging/schema.yml",
            "field: customer_id",
            "field: |",
            "segment",
        ),
        (
            "models/staging/schema.yml",
            "          - not_null\n          - unique\n",
            "          - |\n          - unique\n",
            "not_null",
        ),
        (
            "prompts/customer_review.yml",
            "role: system",
            "role: |",
            "assistant",
        ),
        (
            "evals/customer_tools.evals.yml",
            "args: {}",
            "args: { tier: | }",
            "gold",
        ),
    ] {
        client.open(path);
        offers(&mut client, path, old, marked, &[wanted], &[]);
    }
    client.open("tools/predict_churn.yml");
    offers(
        &mut client,
        "tools/predict_churn.yml",
        "file: ../python/ml_predictions.py",
        "file: ../|",
        &["../python/ml_predictions.py"],
        &["../sql/customer_list.sql"],
    );
    offers_in(
        "fleet",
        "tools/route.yml",
        "required: [lat, lon]",
        "required: [|]",
        &["lat", "lon"],
        &[],
    );
}

#[test]
fn jinja_by_its_place() {
    let mut client = Client::customer_360();
    client.open(MODEL);
    offers(
        &mut client,
        MODEL,
        "ref('stg_customers')",
        "ref(|",
        &["stg_customers"],
        &["adapter"],
    );
    offers(
        &mut client,
        MODEL,
        "config(\n    materialized='table'",
        "config(\n    |",
        &["materialized", "tags"],
        &["adapter"],
    );
    offers(
        &mut client,
        MODEL,
        "materialized='table'",
        "materialized='|'",
        &["view", "incremental"],
        &["adapter"],
    );
    offers_in(
        "helpdesk",
        "prompts/answer.yml",
        "{{ loop.index }}",
        "{{ loop.| }}",
        &["index", "last"],
        &["tone"],
    );
    offers_in(
        "helpdesk",
        "prompts/answer.yml",
        "{{ point | trim }}",
        "{{ po¦ }}",
        &["point", "points"],
        &[],
    );
}
