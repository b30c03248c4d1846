//! Code actions and lenses: what is offered, and that it does what it says.

use serde_json::{Value, json};

use super::Client;
use super::client::{capabilities, codes, offset};
use crate::support::{copy_of, fixture};

const METRICS: &str = "tools/get_customer_metrics.yml";

/// The actions at a place.
#[track_caller]
fn actions(client: &mut Client, path: &str, marked: &str) -> Vec<Value> {
    let at = client.at(path, marked);
    let range = json!({"start": at["position"], "end": at["position"]});
    let found = client.request(
        "textDocument/codeAction",
        json!({"textDocument": at["textDocument"], "range": range, "context": {"diagnostics": []}}),
    );
    found.as_array().cloned().unwrap_or_default()
}

/// Applies an action to the open file.
#[track_caller]
fn apply(client: &mut Client, path: &str, actions: &[Value], title: &str) {
    let action = actions
        .iter()
        .find(|a| a["title"].as_str().expect("a title").contains(title))
        .unwrap_or_else(|| panic!("no action {title}: {actions:#?}"));
    let changes = action["edit"]["documentChanges"]
        .as_array()
        .expect("a list");
    for change in changes {
        assert_eq!(change["textDocument"]["uri"], json!(client.uri(path)));
        let mut text = client.text(path);
        let mut edits: Vec<&Value> = change["edits"].as_array().expect("a list").iter().collect();
        edits.reverse();
        for edit in edits {
            let start = offset(&text, &edit["range"]["start"]);
            let end = offset(&text, &edit["range"]["end"]);
            text.replace_range(start..end, edit["newText"].as_str().expect("a text"));
        }
        client.change(path, &text);
    }
}

#[test]
fn a_fix_of_a_diagnostic_is_applied() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    client.edit(
        METRICS,
        "customer_id, name, email",
        "customer_id, nam, email",
    );
    assert_eq!(client.codes(METRICS), ["MX0203"]);
    let found = actions(&mut client, METRICS, "customer_id, n|am, email");
    assert_eq!(found[0]["kind"], "quickfix");
    assert_eq!(found[0]["isPreferred"], true);
    assert_eq!(codes(&found[0]["diagnostics"]), ["MX0203"]);
    apply(&mut client, METRICS, &found, "name");
    assert_eq!(client.codes(METRICS), [""; 0]);
    assert!(client.text(METRICS).contains("customer_id, name, email"));
}

#[test]
fn a_parameter_is_declared_with_the_type_of_its_use() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    client.edit(
        METRICS,
        "WHERE customer_id = $customer_id",
        "WHERE customer_id = $customer_id AND signup_date > $since",
    );
    assert!(client.codes(METRICS).contains(&"MX0207".to_owned()));
    let found = actions(&mut client, METRICS, "> $sin|ce");
    apply(
        &mut client,
        METRICS,
        &found,
        "declare the parameter `since`",
    );
    let text = client.text(METRICS);
    assert!(
        text.contains("    - name: since\n      type: string\n      format: date\n"),
        "{text}"
    );
    let left = client.codes(METRICS);
    assert!(!left.contains(&"MX0207".to_owned()), "{left:?}");
    // Without any parameter yet, a list begins.
    let bare = "tools/bare.yml";
    client.open_as(
        bare,
        "mxcp: 1\ntool:\n  name: bare\n  description: Bare\n  source:\n    code: SELECT name FROM customer_360 ORDER BY name LIMIT $n\n",
    );
    assert_eq!(client.codes(bare), ["MX0207"]);
    let found = actions(&mut client, bare, "LIMIT $|n");
    apply(&mut client, bare, &found, "declare the parameter `n`");
    assert_eq!(client.codes(bare), [""; 0]);
    assert!(
        client
            .text(bare)
            .contains("  parameters:\n    - name: n\n      type: integer\n")
    );
}

#[test]
fn return_is_generated_from_the_sql_and_completed() {
    let mut client = Client::customer_360();
    let bare = "tools/bare.yml";
    client.open_as(
        bare,
        "mxcp: 1\ntool:\n  name: bare\n  description: Bare\n  source:\n    code: SELECT name, signup_date, lifetime_value > 5 AS good FROM customer_360\n",
    );
    assert_eq!(client.codes(bare), [""; 0]);
    let found = actions(&mut client, bare, "code: SEL|ECT");
    apply(&mut client, bare, &found, "generate `return`");
    let text = client.text(bare);
    assert!(
        text.contains(
            "  return:\n    type: array\n    items:\n      type: object\n      properties:\n        name: { type: string }\n        signup_date: { type: string, format: date }\n        good: { type: boolean }\n  source:"
        ),
        "{text}"
    );
    assert_eq!(client.codes(bare), [""; 0]);
    client.edit(bare, "SELECT name,", "SELECT name, segment, order_count,");
    let found = actions(&mut client, bare, "code: SEL|ECT");
    apply(&mut client, bare, &found, "2 missing return columns");
    let text = client.text(bare);
    assert!(
        text.contains(
            "        segment: { type: string }\n        order_count: { type: integer }\n"
        ),
        "{text}"
    );
    assert_eq!(client.codes(bare), [""; 0]);
}

#[test]
fn lenses_run_test_preview_and_count() {
    let mut client = Client::customer_360();
    let list = "tools/get_customer_list.yml";
    let lenses = client.request(
        "textDocument/codeLens",
        json!({"textDocument": {"uri": client.uri(list)}}),
    );
    let titles: Vec<&str> = lenses
        .as_array()
        .expect("a list")
        .iter()
        .map(|l| l["command"]["title"].as_str().expect("a title"))
        .collect();
    assert_eq!(titles, ["Run tool", "Run 3 tests", "1 reference"]);
    assert_eq!(lenses[0]["command"]["command"], "mxcp.run");
    assert_eq!(
        lenses[0]["command"]["arguments"][0]["name"],
        "get_customer_list"
    );
    let model = "models/marts/customer_360.sql";
    let lenses = client.request(
        "textDocument/codeLens",
        json!({"textDocument": {"uri": client.uri(model)}}),
    );
    let text = lenses.to_string();
    for title in [
        "Preview customer_360",
        "Preview customer_base",
        "Preview order_metrics",
        " references",
    ] {
        assert!(text.contains(title), "{title}: {lenses:#}");
    }
}

/// A guess that no command applies by itself is a quick fix all the same: the name goes, and with it the
/// diagnostic.
#[test]
fn what_was_meant_is_offered() {
    let get = "tools/customers/get_customer.yml";
    let model = "models/marts/customer_360.sql";
    let prompt = "prompts/customer_review.yml";
    let eval = "evals/customer_tools.evals.yml";
    for (path, old, typed, meant) in [
        (
            get,
            "FROM customer_360",
            "FROM custo|mer_36",
            "customer_360",
        ),
        (get, "action: deny", "action: den|i", "deny"),
        (get, "type: string\n", "type: str|in\n", "string"),
        (
            get,
            "- key: customer_id",
            "- key: custo|mr_id",
            "customer_id",
        ),
        (get, "user.role", "us|r.role", "user"),
        (
            get,
            "[\"internal_notes\", \"credit_score\"]",
            "[\"internal_|note\", \"credit_score\"]",
            "internal_notes",
        ),
        (get, "= $customer_id", "= $custo|mer_idd", "customer_id"),
        (
            model,
            "ref('stg_customers')",
            "ref('stg_cust|omer')",
            "stg_customers",
        ),
        (prompt, "{{ audience }}", "{{ aud|ienc }}", "audience"),
        (
            eval,
            "tool: get_customer_list",
            "tool: get_cust|omer_lst",
            "get_customer_list",
        ),
    ] {
        let mut client = Client::customer_360();
        client.open(path);
        client.edit(path, old, &typed.replace('|', ""));
        let broken = client.diagnostics(path);
        let found = actions(&mut client, path, typed);
        let title = format!("change to `{meant}`");
        apply(&mut client, path, &found, &title);
        let left = client.diagnostics(path);
        assert!(
            left.as_array().map(Vec::len) < broken.as_array().map(Vec::len),
            "{typed}: {left:#}"
        );
        assert_eq!(client.text(path), client.disk(path), "{typed}");
    }
}

#[test]
fn a_generated_return_marks_what_is_sensitive() {
    let dir = copy_of(&fixture("helpdesk"));
    let root = dir.path().canonicalize().expect("there");
    let mut client = Client::start(&root, std::slice::from_ref(&root), capabilities());
    let path = "tools/agents.yml";
    client.open(path);
    let text = client.text(path);
    let (start, end) = (
        text.find("  return:").expect("there"),
        text.find("  source:").expect("there"),
    );
    client.change(path, &format!("{}{}", &text[..start], &text[end..]));
    let found = actions(&mut client, path, "FROM stg_ag|ents");
    apply(&mut client, path, &found, "generate `return`");
    let text = client.text(path);
    assert!(text.contains("        name: { type: string }\n"), "{text}");
    assert!(
        text.contains("        contact: { type: string, sensitive: true }\n"),
        "{text}"
    );
}
