//! Statements that change rows: the relation that they change is as well known as one that is read.

use super::Client;
use super::completion::offers;
use super::hover::says;
use super::navigation::leads;
use super::rename::{apply, rename};
use crate::support::run;

const UPDATE: &str = "tools/customers/update_customer.yml";
const MODEL: &str = "models/marts/customer_updates.sql";

#[test]
fn the_target_of_an_insert_is_a_relation() {
    let mut client = Client::customer_360();
    client.open(UPDATE);
    for marked in [
        "INTO customer_upd|ates (",
        "(customer_id, new_em|ail, contact",
        "excluded.new_em|ail",
        "        new_em|ail = excluded",
        "RETURNING customer_id, new_em|ail",
    ] {
        let column = !marked.contains("upd|ates");
        says(
            &mut client,
            UPDATE,
            marked,
            &[match column {
                true => "column of `customer_updates`",
                false => "table model `customer_updates`",
            }],
        );
        let place = match column {
            true => format!("{MODEL}:9: new_email"),
            false => format!("{MODEL}:1: "),
        };
        leads(&mut client, "definition", UPDATE, marked, &[&place]);
    }
    // What is read in between is not what is changed.
    says(
        &mut client,
        UPDATE,
        "SELECT custo|mer_id, $email",
        &["column of `stg_customers`"],
    );
}

#[test]
fn its_columns_are_offered() {
    let mut client = Client::customer_360();
    client.open(UPDATE);
    for (old, marked) in [
        ("(customer_id, new_email,", "(customer_id, |"),
        ("= excluded.new_email", "= excluded.|"),
        ("RETURNING customer_id", "RETURNING |"),
        ("SET\n        new_email", "SET\n        |"),
    ] {
        offers(
            &mut client,
            UPDATE,
            old,
            marked,
            &["new_email", "contact_preference"],
            &["lifetime_value"],
        );
    }
    offers(
        &mut client,
        UPDATE,
        "SELECT customer_id, $email",
        "SELECT |, $email",
        &["lifetime_value"],
        &["new_email"],
    );
}

#[test]
fn a_rename_reaches_it() {
    for (path, marked, new) in [
        (MODEL, "AS new|_email", "mail"),
        (UPDATE, "INTO customer_up|dates", "requests"),
    ] {
        let mut client = Client::customer_360();
        client.open(path);
        let edit = rename(&mut client, path, marked, new);
        apply(&client, &edit);
        let root = client.root.clone();
        let valid = run(&root, &["validate", "--format", "concise"]);
        assert_eq!(valid.code, 0, "{marked}: {valid:#?}");
        let text = client.disk(UPDATE);
        let count = text.matches(new).count();
        assert!(count >= 1, "{text}");
        assert!(
            !text.contains("INTO customer_updates (customer_id, new_email"),
            "{text}"
        );
    }
}

#[test]
fn lineage_knows_what_writes() {
    let mut client = Client::customer_360();
    client.open(UPDATE);
    let at = client.at(UPDATE, "INTO customer_up|dates");
    let items = client.request("textDocument/prepareCallHierarchy", at);
    let calls = client.request(
        "callHierarchy/incomingCalls",
        serde_json::json!({"item": items[0]}),
    );
    let names: Vec<&str> = calls
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c["from"]["name"].as_str())
        .collect();
    assert_eq!(names, ["update_customer"]);
}
