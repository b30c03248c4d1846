//! `mxcp dbt` over whole projects without an `mxcp-site.yml`, as dbt itself would be called.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::run;

const PROFILES: &str = "shop:\n  target: \"{{ env_var('SHOP_NO_SUCH_TARGET', 'dev') }}\"\n  outputs:\n    dev:\n      type: duckdb\n      path: \"{{ var('file', 'SHOP') | lower }}.duckdb\"\n      threads: \"{{ '2' | as_number }}\"\n    other: {type: postgres, host: \"{{ env_var('SHOP_NO_SUCH_HOST') }}\"}\n";

fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let own = [
        (
            "dbt_project.yml",
            "name: shop\nprofile: \"{{ 'shop' }}\"\nseeds:\n  +post-hook: \"insert into log values ('{{ this.name }}')\"\non-run-start: create table if not exists log (what varchar)\non-run-end:\n  - \"{% for r in results | sort(attribute='node.name') %}insert into log values ('{{ r.node.name }} {{ r.status }}');{% endfor %}\"\n  - insert into log values ('in {{ schemas | join(',') }}')\n",
        ),
        ("profiles.yml", PROFILES),
    ];
    for (name, text) in own.iter().chain(files) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    dir
}

fn results(dir: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(dir.join("target/run_results.json")).expect("results");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let list = json["results"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.iter()
        .map(|result| (text(&result["unique_id"]), text(&result["status"])))
        .filter(|(id, _)| !id.starts_with("operation."))
        .collect()
}

fn owned(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(id, status)| ((*id).to_owned(), (*status).to_owned()))
        .collect()
}

#[test]
fn what_is_wrong_with_one_node_leaves_the_others_to_run() {
    let dir = project(&[
        ("seeds/good.csv", "n\n1\n2\n"),
        ("seeds/bad.csv", "n\n1\nx\n"),
        (
            "seeds/seeds.yml",
            "seeds:\n  - name: bad\n    config: {column_types: {n: integer}}\n",
        ),
        (
            "models/fine.sql",
            "{{ config(materialized='table') }} select n from {{ ref('good') }}",
        ),
        ("models/promised.sql", "select 'x' as n"),
        ("models/below.sql", "select * from {{ ref('promised') }}"),
        (
            "models/m.yml",
            "models:\n  - name: promised\n    config: {contract: {enforced: true}, materialized: table}\n    columns: [{name: n, data_type: integer}]\n  - name: fine\n    data_tests:\n      - unique: {column_name: absent}\n      - not_null: {column_name: n}\n",
        ),
    ]);
    let ran = run(dir.path(), &["dbt", "build"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("MX0405"), "{ran:#?}");
    let mut found = results(dir.path());
    found.sort();
    let statuses: Vec<(&str, &str)> = found
        .iter()
        .map(|(id, status)| (id.split('.').nth(2).unwrap_or_default(), status.as_str()))
        .collect();
    assert_eq!(
        statuses,
        [
            ("below", "skipped"),
            ("fine", "success"),
            ("promised", "error"),
            ("bad", "error"),
            ("good", "success"),
            ("not_null_fine_n", "pass"),
            ("unique_fine_absent", "error"),
        ],
        "{ran:#?}"
    );

    fs::write(
        dir.path().join("models/lost.sql"),
        "select * from {{ ref('nowhere') }}",
    )
    .expect("a file");
    for command in [["dbt", "parse"], ["dbt", "ls"], ["dbt", "seed"]] {
        let ran = run(dir.path(), &command);
        assert_eq!(ran.code, 2, "{ran:#?}");
        assert!(ran.stderr.contains("nowhere"), "{ran:#?}");
    }
}

#[test]
fn templates_around_a_run_know_its_results() {
    let dir = project(&[
        ("seeds/good.csv", "n\n1\n2\n"),
        ("models/fine.sql", "select n from {{ ref('good') }}"),
        (
            "macros/m.sql",
            "{% macro keep(text) %}{% do run_query(\"insert into log values ('\" ~ text ~ \"')\") %}{% call statement('lost') %}delete from log{% endcall %}{% endmacro %}",
        ),
    ]);
    run(dir.path(), &["dbt", "build"]).ok();
    run(
        dir.path(),
        &["dbt", "run-operation", "keep", "--args", "{text: kept}"],
    )
    .ok();
    assert_eq!(
        results(dir.path()),
        owned(&[("macro.shop.keep", "success")])
    );
    let shown = run(
        dir.path(),
        &[
            "dbt",
            "show",
            "--inline",
            "select what from log",
            "--limit",
            "-1",
            "--output",
            "json",
        ],
    )
    .ok();
    for line in ["good", "fine success", "good success", "in main", "kept"] {
        assert!(
            shown.stdout.contains(&format!("\"{line}\"")),
            "{line}: {shown:#?}"
        );
    }
    assert!(dir.path().join("shop.duckdb").is_file());
    let ran = run(dir.path(), &["dbt", "run-operation", "nowhere"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
}

#[test]
fn failures_of_tests_are_kept_and_warnings_taken_for_errors_when_asked() {
    let dir = project(&[
        (
            "models/n.sql",
            "select 1 as n, 'a' as w union all select null, 'b'",
        ),
        (
            "models/m.yml",
            "models:\n  - name: n\n    columns:\n      - name: n\n        data_tests: [{not_null: {config: {severity: warn}}}]\nunit_tests:\n  - name: u\n    model: above\n    given: [{input: ref('n'), rows: [{n: 1}]}]\n    expect: {rows: [{n: 1}]}\n",
        ),
        ("models/above.sql", "select n from {{ ref('n') }}"),
    ]);
    let ran = run(dir.path(), &["dbt", "build", "--store-failures"]).ok();
    assert!(ran.stdout.contains("WARN=1"), "{ran:#?}");
    let shown = run(
        dir.path(),
        &[
            "dbt",
            "show",
            "--inline",
            "select * from main_dbt_test__audit.not_null_n_n",
            "--output",
            "json",
        ],
    )
    .ok();
    assert!(
        shown.stdout.contains("\"w\": \"b\""),
        "every column is kept: {shown:#?}"
    );

    let ran = run(dir.path(), &["dbt", "build", "--warn-error"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let skipped = [
        ("unit_test.shop.above.u", "skipped"),
        ("model.shop.above", "skipped"),
    ];
    let found = results(dir.path());
    for result in owned(&skipped) {
        assert!(found.contains(&result), "{found:?}");
    }
}
