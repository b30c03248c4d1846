#![allow(clippy::unwrap_used)]

use mxcp_syntax::yaml::parse;
use serde_json::json;

use super::*;

fn lower(text: &str) -> PropertyFile {
    let (file, problems) = lower_properties(&parse(text));
    assert_eq!(problems, []);
    file
}

#[test]
fn every_form_of_a_test() {
    let file = lower(
        r"
models:
  - name: m
    tests:
      - unique: {column_name: id}
      - test_name: not_null
        column_name: amount
        severity: warn
    data_tests:
      - dbt_utils.equal_rowcount:
          arguments: {compare_model: ref('x')}
          config: {where: a > 1}
    columns:
      - name: id
        tests:
          - unique
          - accepted_values: {values: [1, 2], limit: 5, name: mine}
",
    );
    let seen: Vec<_> = file.models[0]
        .all_tests()
        .map(|t| {
            (
                t.test.as_str(),
                json!(t.args),
                json!(t.config),
                t.place.pointer.as_str(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                "unique",
                json!({"column_name": "id"}),
                json!({}),
                "/models/0/tests/0/unique"
            ),
            (
                "not_null",
                json!({"column_name": "amount"}),
                json!({"severity": "warn"}),
                "/models/0/tests/1"
            ),
            (
                "equal_rowcount",
                json!({"compare_model": "ref('x')"}),
                json!({"where": "a > 1"}),
                "/models/0/data_tests/0/dbt_utils.equal_rowcount"
            ),
            (
                "unique",
                json!({"column_name": "id"}),
                json!({}),
                "/models/0/columns/0/tests/0"
            ),
            (
                "accepted_values",
                json!({"values": [1, 2], "column_name": "id"}),
                json!({"limit": 5}),
                "/models/0/columns/0/tests/1/accepted_values"
            ),
        ]
    );
    let named = file.models[0].all_tests().last().unwrap();
    assert_eq!(named.custom_name.as_deref(), Some("mine"));
}

#[test]
fn one_model_in_two_files() {
    let schema = lower(
        "models:\n- name: customer_360\n  tests:\n  - unique:\n      column_name: customer_id\n  columns:\n  - name: lifetime_value\n    tests:\n    - not_null\n",
    );
    let contract = lower(
        "models:\n- name: customer_360\n  contract:\n    enforced: true\n  columns:\n  - name: customer_id\n    data_type: varchar\n    constraints:\n    - type: not_null\n    - type: unique\n  - name: lifetime_value\n    data_type: decimal(10,2)\n",
    );
    let (model, problems) = merge_model(&[&schema.models[0], &contract.models[0]]);
    assert_eq!(problems, []);
    assert!(model.contract.as_ref().unwrap().enforced);
    let columns: Vec<_> = model
        .columns
        .iter()
        .map(|c| (c.spec.name.as_str(), c.place.clone(), c.tests.len()))
        .collect();
    assert_eq!(
        columns,
        [
            (
                "lifetime_value",
                Place {
                    part: 1,
                    pointer: "/models/0/columns/1".into()
                },
                1
            ),
            (
                "customer_id",
                Place {
                    part: 1,
                    pointer: "/models/0/columns/0".into()
                },
                0
            ),
        ]
    );
    assert_eq!(
        model.config_map().get("contract"),
        Some(&json!({"enforced": true}))
    );
}

#[test]
fn contradictions_are_reported_in_the_later_file() {
    let a = lower(
        "models: [{name: m, columns: [{name: x, data_type: int}], config: {materialized: view}}]",
    );
    let b = lower(
        "models: [{name: m, columns: [{name: X, data_type: varchar}], config: {materialized: table}}]",
    );
    let same = lower("models: [{name: m, columns: [{name: x, data_type: integer}]}]");
    let (_, problems) = merge_model(&[&a.models[0], &b.models[0]]);
    let at: Vec<_> = problems.into_iter().map(|(part, p)| (part, p.at)).collect();
    assert_eq!(
        at,
        [
            (1, At::Pointer("/models/0/config/materialized".into())),
            (1, At::Pointer("/models/0/columns/0/data_type".into())),
        ]
    );
    assert_eq!(merge_model(&[&a.models[0], &same.models[0]]).1, []);
}

#[test]
fn mistakes_do_not_hide_the_rest() {
    let (file, problems) = lower_properties(&parse(
        "modles: []\nmodels:\n- description: nameless\n- name: ok\n  columns:\n  - name: a\n    constraints: [{type: notnull}]\n    tests: [{unique: {}, not_null: {}}, not_null]\n",
    ));
    assert_eq!(file.models.len(), 1);
    assert_eq!(file.models[0].columns[0].tests.len(), 1);
    let at: Vec<_> = problems.iter().map(|p| p.at.clone()).collect();
    assert_eq!(
        at,
        [
            At::Key("/modles".into()),
            At::Pointer("/models/0".into()),
            At::Pointer("/models/1/columns/0/constraints/0/type".into()),
            At::Pointer("/models/1/columns/0/tests/0".into()),
        ]
    );
}

#[test]
fn sources_default_their_names() {
    let file = lower(
        "sources:\n- name: raw\n  tables:\n  - name: a\n  - {name: b, identifier: b_codes}\n- {name: other, schema: landing, tables: [{name: c}]}\n",
    );
    let seen: Vec<_> = file
        .sources
        .iter()
        .flat_map(|s| {
            s.tables
                .iter()
                .map(|t| (s.schema.as_str(), t.identifier.as_str()))
        })
        .collect();
    assert_eq!(seen, [("raw", "a"), ("raw", "b_codes"), ("landing", "c")]);
}
