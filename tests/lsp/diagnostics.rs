//! Diagnostics: pushed, asked for, of the whole workspace; on broken texts, several projects and
//! changes from outside.

use serde_json::{Value, json};

use super::Client;
use super::client::{capabilities, codes, pulling, uri};
use crate::support::{copy_of, fixture, run};

const METRICS: &str = "tools/get_customer_metrics.yml";

#[test]
fn a_mistake_is_pushed_while_it_is_typed_and_goes_when_it_is_mended() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    assert_eq!(client.codes(METRICS), [""; 0]);
    client.edit(
        METRICS,
        "customer_id, name, email",
        "customer_id, nam, email",
    );
    let found = client.diagnostics(METRICS);
    assert_eq!(codes(&found), ["MX0203"]);
    let one = &found[0];
    assert_eq!(one["severity"], 1);
    assert_eq!(one["source"], "mxcp");
    assert_eq!(one["data"]["explain"], "mxcp explain MX0203");
    assert!(one["message"].as_str().expect("a text").contains("`nam`"));
    assert_eq!(
        client.named(&client.uri(METRICS), &one["range"]),
        format!("{METRICS}:14: nam")
    );
    client.edit(
        METRICS,
        "customer_id, nam, email",
        "customer_id, name, email",
    );
    assert_eq!(client.codes(METRICS), [""; 0]);
    assert_eq!(client.leave(), 0);
}

#[test]
fn an_edit_of_a_model_is_news_of_its_readers_too() {
    let mut client = Client::customer_360();
    let model = "models/marts/customer_360.sql";
    client.open(model);
    client.open(METRICS);
    assert_eq!(client.codes(METRICS), [""; 0]);
    let text = client
        .text(model)
        .replace("lifetime_value", "value_of_life");
    client.change(model, &text);
    let tool = client.uri(METRICS);
    client.until("the tool over the model is told of", |client| {
        codes(&client.pushed[&tool]["diagnostics"]).contains(&"MX0203".to_owned())
    });
    // Files that are not open hear of it as well, without a version.
    let list = client.uri("sql/customer_list.sql");
    client.until("files that are not open", |client| {
        client.pushed.contains_key(&list)
    });
    assert!(client.pushed[&list].get("version").is_none());
    client.change(model, &client.disk(model));
    client.until("all is well again", |client| {
        client
            .pushed
            .values()
            .all(|p| codes(&p["diagnostics"]).is_empty())
    });
}

#[test]
fn a_parameter_without_use_is_faded_and_a_second_place_is_named() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    client.edit(METRICS, "WHERE customer_id = $customer_id", "WHERE true");
    let found = client.diagnostics(METRICS);
    let unused = found
        .as_array()
        .expect("a list")
        .iter()
        .find(|d| d["code"] == "MX0208");
    assert_eq!(unused.expect("it is said")["tags"], json!([1]));
    // Two tools of one name: each names the other.
    client.change(METRICS, &client.disk(METRICS));
    client.edit(
        METRICS,
        "name: get_customer_metrics",
        "name: get_customer_list",
    );
    let found = client.diagnostics(METRICS);
    let twice = found
        .as_array()
        .expect("a list")
        .iter()
        .find(|d| d["code"] == "MX0005")
        .expect("it is said");
    let other = &twice["relatedInformation"][0]["location"]["uri"];
    assert_eq!(*other, json!(client.uri("tools/get_customer_list.yml")));
}

#[test]
fn what_is_pushed_is_what_validate_says() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    client.edit(METRICS, "type: object", "type: objekt");
    client.edit(METRICS, "lifetime_value > 5000", "lifetime_value > 'x'");
    let pushed = client.diagnostics(METRICS);
    std::fs::write(client.root.join(METRICS), client.text(METRICS)).expect("it can be written");
    let said = run(&client.root, &["validate", "--format", "json"]).json();
    let of_file: Vec<&Value> = said
        .as_array()
        .expect("a list")
        .iter()
        .filter(|d| d["file"] == METRICS)
        .collect();
    assert!(!of_file.is_empty());
    let place = |line: &Value, column: &Value| {
        (
            line.as_u64().expect("a line"),
            column.as_u64().expect("a column"),
        )
    };
    let expected: Vec<_> = of_file
        .iter()
        .map(|d| (d["code"].clone(), place(&d["line"], &d["column"])))
        .collect();
    let got: Vec<_> = pushed
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| {
            let start = &d["range"]["start"];
            let (line, column) = place(&start["line"], &start["character"]);
            (d["code"].clone(), (line + 1, column + 1))
        })
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn a_client_that_asks_is_not_pushed_to() {
    let dir = copy_of(&fixture("customer_360"));
    let root = dir.path().canonicalize().expect("there");
    let mut client = Client::start(&root, std::slice::from_ref(&root), pulling());
    client.open(METRICS);
    client.edit(
        METRICS,
        "customer_id, name, email",
        "customer_id, nam, email",
    );
    let document = json!({"textDocument": {"uri": client.uri(METRICS)}});
    let report = client.request("textDocument/diagnostic", document.clone());
    assert_eq!(report["kind"], "full");
    assert_eq!(codes(&report["items"]), ["MX0203"]);
    // Nothing new: nothing is said twice.
    let mut again = document.clone();
    again["previousResultId"] = report["resultId"].clone();
    let report = client.request("textDocument/diagnostic", again.clone());
    assert_eq!(report["kind"], "unchanged");
    // Of the whole workspace, each file with a finding, and no other.
    let all = client.request("workspace/diagnostic", json!({"previousResultIds": []}));
    let of_tool = |all: &Value| {
        let items = all["items"].as_array().expect("a list");
        assert!(items.len() < 5, "{all:#}");
        let ours = items.iter().find(|i| i["uri"] == uri(&root.join(METRICS)));
        ours.cloned().unwrap_or_default()
    };
    let item = of_tool(&all);
    assert_eq!(codes(&item["items"]), ["MX0203"]);
    let known = json!({"uri": item["uri"], "value": item["resultId"]});
    let all = client.request(
        "workspace/diagnostic",
        json!({"previousResultIds": [known.clone()]}),
    );
    assert_eq!(of_tool(&all)["kind"], "unchanged");
    // Mended: the client is told so although the file has nothing to say.
    client.change(METRICS, &client.disk(METRICS));
    let all = client.request(
        "workspace/diagnostic",
        json!({"previousResultIds": [known]}),
    );
    assert_eq!(of_tool(&all)["kind"], "full");
    assert_eq!(of_tool(&all)["items"], json!([]));
    assert!(client.pushed.is_empty(), "{:#?}", client.pushed);
}

#[test]
fn changes_outside_the_editor_count() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    assert_eq!(client.codes(METRICS), [""; 0]);
    client.until("the server asks for news of files", |client| {
        client
            .asked
            .iter()
            .any(|r| r["method"] == "client/registerCapability")
    });
    // As a checkout does it: one file is gone, another one is new.
    let path = client.root.join("models/marts/customer_360.sql");
    let text = std::fs::read_to_string(&path).expect("there");
    std::fs::remove_file(&path).expect("it can go");
    let changes = json!({"changes": [{"uri": uri(&path), "type": 3}]});
    client.notify("workspace/didChangeWatchedFiles", changes);
    let tool = client.uri(METRICS);
    client.until("the tool lost its table", |client| {
        codes(&client.pushed[&tool]["diagnostics"]).contains(&"MX0202".to_owned())
    });
    std::fs::write(&path, text).expect("it can come back");
    let changes = json!({"changes": [{"uri": uri(&path), "type": 1}]});
    client.notify("workspace/didChangeWatchedFiles", changes);
    client.until("the table is back", |client| {
        codes(&client.pushed[&tool]["diagnostics"]).is_empty()
    });
    // A buffer outranks the disk.
    client.edit(
        METRICS,
        "customer_id, name, email",
        "customer_id, nam, email",
    );
    assert_eq!(client.codes(METRICS), ["MX0203"]);
    let changes = json!({"changes": [{"uri": client.uri(METRICS), "type": 2}]});
    client.notify("workspace/didChangeWatchedFiles", changes);
    // And closing it without saving brings the disk back.
    client.close(METRICS);
    client.until("the file on the disk is well", |client| {
        codes(&client.pushed[&tool]["diagnostics"]).is_empty()
    });
}

#[test]
fn a_saved_site_file_chooses_another_database() {
    let dir = copy_of(&fixture("customer_360"));
    let root = dir.path().canonicalize().expect("the copy is there");
    // This client has no news of files: a save is all the server hears.
    let mut without = capabilities();
    without["workspace"]
        .as_object_mut()
        .expect("an object")
        .remove("didChangeWatchedFiles");
    let mut client = Client::start(&root, std::slice::from_ref(&root), without);
    let site = "mxcp-site.yml";
    // Why the database was not read is said when a table is missed.
    client.open(METRICS);
    client.edit(METRICS, "FROM customer_360", "FROM nowhere");
    assert_eq!(client.codes(METRICS), ["MX0202"]);
    client.open(site);
    assert_eq!(client.codes(site), ["MX0801"]);
    client.edit(site, "path: dev.duckdb", "path: other.duckdb");
    std::fs::write(root.join(site), client.text(site)).expect("it can be written");
    let uri = client.uri(site);
    let document = json!({"textDocument": {"uri": uri}});
    client.notify("textDocument/didSave", document);
    client.until("the other database is looked for", |client| {
        let found = client.pushed[&uri]["diagnostics"].to_string();
        found.contains("`other.duckdb`") && !found.contains("`dev.duckdb`")
    });
    assert_eq!(client.leave(), 0);
}

#[test]
fn a_file_that_is_not_saved_yet_is_part_of_the_project() {
    let mut client = Client::customer_360();
    let new = "tools/new_tool.yml";
    client.open_as(
        new,
        "mxcp: 1\ntool:\n  name: new_tool\n  description: New\n  source:\n    code: SELECT nothing FROM customer_360\n",
    );
    assert_eq!(client.codes(new), ["MX0203"]);
    let uri = client.uri(new);
    client.close(new);
    client.until("it never was", |client| {
        codes(&client.pushed[&uri]["diagnostics"]).is_empty()
    });
}

#[test]
fn positions_count_as_the_client_does() {
    let dir = copy_of(&fixture("customer_360"));
    let root = dir.path().canonicalize().expect("there");
    let tool = "mxcp: 1\ntool:\n  name: umlaut\n  description: x\n  source:\n    code: \"SELECT '😀ü' AS s, nam FROM customer_360\"\n";
    for (encodings, name, expected) in [
        (json!(["utf-8"]), "utf-8", 33),
        (json!(["utf-16"]), "utf-16", 30),
        (json!(["utf-32"]), "utf-32", 29),
        (Value::Null, "utf-16", 30),
    ] {
        let mut all = capabilities();
        all["general"]["positionEncodings"] = encodings;
        let mut client = Client::start(&root, std::slice::from_ref(&root), all);
        assert_eq!(client.server["capabilities"]["positionEncoding"], name);
        client.open_as("tools/umlaut.yml", tool);
        let found = client.diagnostics("tools/umlaut.yml");
        assert_eq!(found[0]["code"], "MX0203", "{found:#}");
        assert_eq!(found[0]["range"]["start"]["character"], expected, "{name}");
    }
}

#[test]
fn each_file_belongs_to_the_nearest_project() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().canonicalize().expect("there");
    let make = |name: &str, table: &str| {
        let home = root.join(name);
        std::fs::create_dir_all(home.join("tools")).expect("it can be made");
        std::fs::create_dir_all(home.join("models")).expect("it can be made");
        let write = |path: &str, text: String| {
            std::fs::write(home.join(path), text).expect("it can be written");
        };
        write(
            "mxcp-site.yml",
            format!("mxcp: 1\nproject: {table}\nprofile: default\n"),
        );
        write(
            "dbt_project.yml",
            format!("name: {table}\nprofile: {table}\n"),
        );
        write(&format!("models/{table}.sql"), "SELECT 1 AS id".into());
        write(
            "tools/t.yml",
            format!(
                "mxcp: 1\ntool:\n  name: t\n  description: T\n  source:\n    code: SELECT id FROM {table}\n"
            ),
        );
    };
    make("a", "first");
    make("a/inner", "second");
    make("b", "third");
    // The client opens the folder above them all; projects are found by their files.
    let mut client = Client::start(&root, std::slice::from_ref(&root), capabilities());
    for path in ["a/tools/t.yml", "a/inner/tools/t.yml", "b/tools/t.yml"] {
        client.open(path);
        assert_eq!(client.codes(path), [""; 0], "{path}");
        client.edit(path, "SELECT id", "SELECT idd");
        assert_eq!(client.codes(path), ["MX0203"], "{path}");
    }
}

#[test]
fn no_text_is_too_broken() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    let whole = client.disk(METRICS);
    let mut cut = 0;
    // Every prefix on the way to the whole text, in uneven steps, and some that no one would type.
    while cut < whole.len() {
        client.change(METRICS, &whole[..cut]);
        cut += 37;
        while !whole.is_char_boundary(cut.min(whole.len())) {
            cut += 1;
        }
    }
    for text in [
        "",
        "\u{feff}",
        "tool: {",
        "tool:\n\t- :",
        "- - - [",
        "&a [*a]",
        "tool:\n  source:\n    code: |\n      SELECT ' FROM (((",
        "tool:\n  source:\n    code: \"SELECT $",
        "\0\0",
    ] {
        client.change(METRICS, text);
        client.diagnostics(METRICS);
    }
    client.change(METRICS, &whole);
    assert_eq!(client.codes(METRICS), [""; 0]);
    assert_eq!(client.leave(), 0);
}

#[test]
fn a_project_that_cannot_be_opened_is_said_and_nothing_else_breaks() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().canonicalize().expect("there");
    std::fs::write(root.join("notes.yml"), "a: [").expect("it can be written");
    let mut client = Client::start(&root, std::slice::from_ref(&root), pulling());
    client.open("notes.yml");
    let document = json!({"textDocument": {"uri": client.uri("notes.yml")}});
    let report = client.request("textDocument/diagnostic", document);
    assert_eq!(report["items"], json!([]));
    let error = client.refused("textDocument/unheardOf", json!({}));
    assert!(error.contains("textDocument/unheardOf"), "{error}");
    assert_eq!(client.leave(), 0);
}

#[test]
fn an_edit_interrupts_questions_and_they_are_answered_all_the_same() {
    let mut client = Client::customer_360();
    client.open(METRICS);
    let text = client.text(METRICS);
    for i in 0..30 {
        let at = client.at(METRICS, "FROM custo|mer_360");
        let hover = client.ask("textDocument/hover", at.clone());
        let symbols = client.ask("workspace/symbol", json!({"query": ""}));
        client.change(METRICS, &format!("{text}# {i}\n"));
        let answer = client.response(hover);
        let shown = answer["result"]["contents"]["value"].as_str();
        assert!(
            shown.is_some_and(|s| s.contains("customer_360")),
            "{answer:#}"
        );
        let answer = client.response(symbols);
        assert!(answer["result"].is_array(), "{answer:#}");
    }
    // What is withdrawn is answered once, with a result or with the protocol's word for it.
    let mut params = client.at(METRICS, "FROM custo|mer_360");
    params["newName"] = json!("another_name");
    let id = client.ask("textDocument/rename", params);
    client.notify("$/cancelRequest", json!({"id": id}));
    let answer = client.response(id);
    let code = &answer["error"]["code"];
    assert!(
        answer["result"].is_object() || *code == -32800,
        "{answer:#}"
    );
    assert_eq!(client.codes(METRICS), [""; 0]);
    assert_eq!(client.leave(), 0);
}
