//! The command line as people and scripts meet it.

use std::fs;

use crate::support::{SITE, built_customer_360, copy_of, fixture, run};

#[test]
fn usage_errors_exit_2_and_help_exits_0() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(run(dir.path(), &["--help"]).code, 0);
    assert_eq!(run(dir.path(), &["no-such-command"]).code, 2);
    assert_eq!(run(dir.path(), &["validate", "--no-such-flag"]).code, 2);
    assert_eq!(
        run(dir.path(), &["run", "tool", "x", "-p", "novalue"]).code,
        2
    );
}

#[test]
fn no_project_is_one_clear_message() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for args in [
        ["validate"].as_slice(),
        &["list"],
        &["build"],
        &["run", "tool", "x"],
        &["test"],
        &["query", "select 1"],
        &["serve", "--transport", "stdio"],
        &["dbt", "build"],
    ] {
        let ran = run(dir.path(), args);
        assert_eq!(ran.code, 1, "{args:?}: {ran:#?}");
        assert!(ran.stderr.contains("No mxcp-site.yml found"), "{ran:#?}");
        assert!(ran.stderr.contains("mxcp init"), "{ran:#?}");
        assert!(ran.stdout.is_empty(), "{ran:#?}");
    }
}

#[test]
fn a_bootstrapped_project_works_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    run(dir.path(), &["init", "hello", "--bootstrap"]).ok();
    let project = dir.path().join("hello");
    run(&project, &["validate"]).ok();
    run(&project, &["test"]).ok();
    let greeting = run(
        &project,
        &[
            "run",
            "tool",
            "hello_world",
            "-p",
            "name=Ada",
            "--json-output",
        ],
    )
    .ok();
    assert_eq!(greeting.json()["result"], "Hello, Ada!");
    let again = run(&project, &["init"]);
    assert_eq!(again.code, 1, "{again:#?}");
    let nested = run(&project, &["init", "inner"]);
    assert_eq!(nested.code, 1, "{nested:#?}");
}

#[test]
fn every_command_works_from_a_subdirectory() {
    let dir = built_customer_360();
    let inside = dir.path().join("tools/customers");
    run(&inside, &["validate"]).ok();
    run(&inside, &["list"]).ok();
    let ran = run(
        &inside,
        &[
            "run",
            "tool",
            "get_customer_metrics",
            "-p",
            "customer_id=cust_123",
            "-u",
            r#"{"role": "admin"}"#,
            "--json-output",
        ],
    )
    .ok();
    assert_eq!(ran.json()["result"]["tier"], "gold");
    assert!(
        !inside.join("dev.duckdb").exists(),
        "the database is relative to the project"
    );
}

#[test]
fn renaming_a_staging_column_names_the_model_and_every_broken_tool() {
    let dir = built_customer_360();
    let database = fs::read(dir.path().join("dev.duckdb")).expect("built");
    let model = dir.path().join("models/staging/stg_customers.sql");
    let text = fs::read_to_string(&model).expect("there");
    // `email` flows through `c.*` into the mart and from there into the tools.
    let renamed = text.replacen("AS email", "AS e_mail", 1);
    assert_ne!(text, renamed, "the model has the column");
    fs::write(&model, renamed).expect("writable");
    let ran = run(dir.path(), &["validate", "--format", "concise"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    for tool in [
        "tools/get_customer_metrics.yml",
        "tools/customers/get_customer.yml",
        "sql/customer_list.sql",
        "models/marts/customer_updates.sql",
    ] {
        assert!(
            ran.stdout.lines().any(|l| l.starts_with(tool)
                && l.contains("error[MX0203]")
                && l.contains("`email`")),
            "{tool} is not named: {ran:#?}"
        );
    }
    assert!(
        ran.stdout.contains("tools/get_customer_list.yml:")
            && ran
                .stdout
                .contains("tool `get_customer_list` runs this SQL"),
        "{ran:#?}"
    );
    assert_eq!(
        database,
        fs::read(dir.path().join("dev.duckdb")).expect("still there"),
        "checking changed the database"
    );
}

#[test]
fn a_broken_model_names_everything_that_reads_it() {
    let dir = copy_of(&fixture("customer_360"));
    let model = dir.path().join("models/staging/stg_customers.sql");
    let text = fs::read_to_string(&model).expect("there");
    fs::write(
        &model,
        text.replacen("customer_id", "customer_id AS cid", 1),
    )
    .expect("writable");
    let ran = run(dir.path(), &["validate", "--format", "concise"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(
        ran.stdout.contains("models/marts/customer_360.sql:"),
        "{ran:#?}"
    );
    assert!(
        ran.stdout.contains("tools/get_customer_metrics.yml:"),
        "{ran:#?}"
    );
}

#[test]
fn validate_takes_a_file_or_a_name() {
    let dir = copy_of(&fixture("customer_360"));
    let by_file = run(
        dir.path(),
        &[
            "validate",
            "tools/get_customer_metrics.yml",
            "--json-output",
        ],
    )
    .ok();
    let result = &by_file.json()["result"];
    assert_eq!(result["status"], "ok");
    assert_eq!(result["path"], "tools/get_customer_metrics.yml");
    run(dir.path(), &["validate", "get_customer_metrics"]).ok();
    let unknown = run(dir.path(), &["validate", "tools/nowhere.yml"]);
    assert_eq!(unknown.code, 1, "{unknown:#?}");
}

#[test]
fn explain_prints_the_page() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let page = run(dir.path(), &["explain", "mx0203"]).ok();
    assert!(
        page.stdout.starts_with("# MX0203: unknown column"),
        "{page:#?}"
    );
    assert_eq!(run(dir.path(), &["explain", "MX9999"]).code, 1);
}

#[test]
fn bad_files_are_reported_where_they_are() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    run(dir.path(), &["init", "--project", "p"]).ok();
    fs::write(
        dir.path().join("tools/latin1.yml"),
        b"tool:\n  name: caf\xe9\n",
    )
    .expect("writable");
    fs::write(
        dir.path().join("tools/prompt.yml"),
        "prompt:\n  name: p\n  messages: [{prompt: hi}]\n",
    )
    .expect("writable");
    fs::write(dir.path().join("tools/empty.yml"), "").expect("writable");
    let ran = run(dir.path(), &["validate", "--json-output"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let diagnostics = ran.json()["result"]["diagnostics"].clone();
    let codes: Vec<(&str, &str)> = diagnostics
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| {
            (
                d["file"].as_str().expect("a file"),
                d["code"].as_str().expect("a code"),
            )
        })
        .collect();
    assert_eq!(
        codes,
        [
            ("tools/empty.yml", "MX0105"),
            ("tools/latin1.yml", "MX0002"),
            ("tools/prompt.yml", "MX0003"),
        ]
    );
}

#[test]
fn a_database_that_cannot_be_used_is_explained() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    run(dir.path(), &["init", "--project", "p", "--bootstrap"]).ok();
    fs::write(
        dir.path().join("data/db-default.duckdb"),
        "this is no database, but it is long enough to look like one to a hasty reader",
    )
    .expect("writable");
    let ran = run(
        dir.path(),
        &[
            "run",
            "tool",
            "hello_world",
            "-p",
            "name=x",
            "--json-output",
        ],
    );
    assert_eq!(ran.code, 1, "{ran:#?}");
    let error = ran.json()["error"].as_str().expect("a message").to_owned();
    assert!(error.contains("db-default.duckdb"), "{error}");
    // Checking needs no database.
    run(dir.path(), &["validate"]).ok();
}

#[test]
fn a_locked_database_is_explained_and_checking_goes_on() {
    use std::io::BufRead as _;
    let dir = built_customer_360();
    let script = "import duckdb, sys\nc = duckdb.connect('dev.duckdb')\nprint('held', flush=True)\nsys.stdin.read()";
    let mut holder =
        std::process::Command::new(crate::support::repository().join(".venv/bin/python"))
            .args(["-c", script])
            .current_dir(dir.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python starts");
    let mut line = String::new();
    std::io::BufReader::new(holder.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("python prints");
    assert_eq!(line.trim(), "held");

    let pid = holder.id().to_string();
    for args in [
        ["dbt", "run"].as_slice(),
        &["serve", "--transport", "stdio"],
    ] {
        let ran = run(dir.path(), args);
        assert_eq!(ran.code, 1, "{args:?}: {ran:#?}");
        assert!(ran.stderr.contains(&pid), "{args:?}: {ran:#?}");
        assert!(ran.stderr.contains("dev.duckdb"), "{args:?}: {ran:#?}");
    }
    run(dir.path(), &["validate"]).ok();
    run(dir.path(), &["build"]).ok();

    drop(holder.stdin.take());
    holder.wait().expect("python ends");
    run(dir.path(), &["dbt", "run"]).ok();
}

#[test]
#[cfg(unix)]
fn a_link_does_not_lead_out_of_the_project() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let project = dir.path().join("project");
    for folder in ["tools", "sql"] {
        fs::create_dir_all(project.join(folder)).expect("a directory can be made");
    }
    fs::write(dir.path().join("outside.sql"), "SELECT 'out' AS v").expect("a file");
    fs::write(project.join("mxcp-site.yml"), SITE).expect("a file");
    fs::write(project.join("sql/inside.sql"), "SELECT 'in' AS v").expect("a file");
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, project.join("sql").join(name)).expect("a link");
    };
    link("../../outside.sql", "out.sql");
    link("inside.sql", "in.sql");
    for name in ["in", "out"] {
        let tool = format!(
            "mxcp: 1\ntool:\n  name: {name}\n  description: {name}\n  source: {{file: ../sql/{name}.sql}}\n"
        );
        fs::write(project.join(format!("tools/{name}.yml")), tool).expect("a file");
    }
    let ran = run(&project, &["run", "tool", "in", "--json-output"]).ok();
    assert_eq!(ran.json()["result"][0]["v"], "in");
    let ran = run(&project, &["run", "tool", "out", "--json-output"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let error = ran.json()["error"].to_string();
    assert!(error.contains("outside the project"), "{error}");
}

#[test]
fn fixes_are_applied_when_the_result_checks() {
    let project = copy_of(&fixture("shop"));
    let tool = project.path().join("tools/orders_of.yml");
    let broken = fs::read_to_string(&tool)
        .expect("the tool")
        .replace("  description: \"Orders of", "  descripton: \"Orders of")
        .replace(
            "enum: [paid, open, cancelled, null]",
            "enum: [yes, open, cancelled, null]",
        );
    fs::write(&tool, &broken).expect("the tool is written");
    let seen = run(project.path(), &["validate", "--format", "concise"]);
    assert_eq!(seen.code, 1, "{seen:#?}");
    assert!(seen.stdout.contains("validate --fix"), "{seen:#?}");
    let fixed = run(project.path(), &["validate", "--fix", "--format", "json"]).ok();
    assert_eq!(fixed.json(), serde_json::json!([]));
    assert!(
        fixed.stderr.contains("2 fixes applied; 1 file written"),
        "{fixed:#?}"
    );
    let text = fs::read_to_string(&tool).expect("the tool");
    let wanted = broken
        .replace("descripton", "description")
        .replace("[yes, ", "[\"yes\", ");
    assert_eq!(text, wanted);
}

#[test]
fn a_fix_that_breaks_something_else_is_not_applied() {
    let project = copy_of(&fixture("shop"));
    let tool = project.path().join("tools/revenue.yml");
    // The nearest key is there already, so renaming would declare it twice.
    let broken = fs::read_to_string(&tool).expect("the tool").replace(
        "  name: revenue\n",
        "  name: revenue\n  descripton: again\n",
    );
    fs::write(&tool, &broken).expect("the tool is written");
    let tried = run(project.path(), &["validate", "--fix"]);
    assert_eq!(tried.code, 1, "{tried:#?}");
    assert!(
        tried.stderr.contains("0 fixes applied; 0 files written"),
        "{tried:#?}"
    );
    assert_eq!(fs::read_to_string(&tool).expect("the tool"), broken);
}

#[test]
fn a_comment_lets_a_finding_pass_and_the_tool_is_served() {
    let project = copy_of(&fixture("shop"));
    let tool = project.path().join("tools/order_count.yml");
    let text = fs::read_to_string(&tool).expect("the tool");
    let unused = text.replace("WHERE placed >= $since", "WHERE true");
    fs::write(&tool, &unused).expect("the tool is written");
    let refused = run(project.path(), &["validate", "--format", "concise"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stdout.contains("MX0208"), "{refused:#?}");
    let noted = unused.replace(
        "- name: since",
        "- name: since # mxcp: ignore[MX0208] kept for old clients",
    );
    fs::write(&tool, noted).expect("the tool is written");
    let passed = run(project.path(), &["validate", "--format", "json"]).ok();
    assert_eq!(passed.json(), serde_json::json!([]));
    run(project.path(), &["build"]).ok();
    let manifest = fs::read_to_string(project.path().join("target/mxcp/manifest.json"));
    assert!(manifest.expect("the manifest").contains("order_count"));
}

#[cfg(unix)]
#[test]
fn a_build_does_not_write_through_a_link_that_leads_out() {
    let project = copy_of(&fixture("shop"));
    let outside = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::symlink(outside.path(), project.path().join("target")).expect("a link");
    let refused = run(project.path(), &["build"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.stderr.contains("leads out of the project"),
        "{refused:#?}"
    );
    let written = fs::read_dir(outside.path()).expect("the directory").count();
    assert_eq!(written, 0);
}

#[test]
fn the_schemas_of_all_kinds_are_printed_and_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let listed = run(dir.path(), &["schema"]).ok().stdout;
    let kinds: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for kind in [
        "site",
        "user-config",
        "tool",
        "resource",
        "prompt",
        "evals",
        "watch",
    ] {
        assert!(kinds.contains(&kind), "{listed}");
    }
    run(dir.path(), &["schema", "--all", "out/schemas"]).ok();
    for kind in kinds {
        let printed = run(dir.path(), &["schema", kind]).ok();
        let id = printed.json()["$id"].clone();
        assert_eq!(id, format!("{kind}.schema.json").as_str());
        let file = dir.path().join(format!("out/schemas/{kind}.schema.json"));
        assert_eq!(
            std::fs::read_to_string(file).expect("written"),
            printed.stdout
        );
    }
    let tool = run(dir.path(), &["schema", "tool"]).ok().json();
    let validator = |schema: &serde_json::Value| {
        jsonschema::validator_for(schema).expect("the schema compiles")
    };
    let valid =
        serde_json::json!({"mxcp": 1, "tool": {"name": "t", "source": {"code": "SELECT 1"}}});
    let prompt = serde_json::json!({"mxcp": 1, "prompt": {"name": "t", "messages": []}});
    assert!(validator(&tool).is_valid(&valid));
    assert!(!validator(&tool).is_valid(&prompt));
    let both = run(dir.path(), &["schema", "tool", "--all", "x"]);
    assert_eq!(both.code, 2, "{both:#?}");
}
