#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// Column types and row counts recorded from dbt's agate helper and adapter.
const ORACLE: &str = include_str!("agate.json");

#[test]
fn types_are_those_of_dbt() {
    let cases: Vec<Json> = serde_json::from_str(ORACLE).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let text = case["csv"].as_str().unwrap();
        let seed = read(
            text,
            case["delimiter"].as_str().unwrap().chars().next().unwrap(),
        );
        let columns: Vec<Json> = seed
            .columns
            .iter()
            .map(|c| json!([c.name, c.seed_type.sql()]))
            .collect();
        let found = json!([columns, seed.rows]);
        let expected = json!([case["columns"], case["rows"]]);
        if found != expected {
            wrong.push(format!(
                "{}: {text:?}\n  found    {found}\n  expected {expected}",
                case["name"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_keep_their_text() {
    let seed = read(
        "\u{feff}id,name\r\n1,\"a \"\"b\"\"\"\r\n\r\n2,null\r\n",
        ',',
    );
    let rows: Vec<Vec<&str>> = seed.rows().map(|row| row.iter().collect()).collect();
    assert_eq!(rows, [["1", "a \"b\""], ["2", "null"]]);
    assert_eq!(seed.errors, []);
    assert_eq!(seed.column_index("NAME"), Some(1));
    let one = read("a\n\n1\n\n", ',');
    assert_eq!(
        one.rows()
            .map(|row| row.get(0).unwrap())
            .collect::<Vec<_>>(),
        ["", "1", ""]
    );
    assert_eq!(read("a\r\n\r\n1\r\n", ',').rows, 2);
}

#[test]
fn rows_of_another_width_are_reported() {
    let text = "a,b\n1,2\n\né,2,3\n4\n";
    let seed = read(text, ',');
    let shown: Vec<(&str, &str)> = seed
        .errors
        .iter()
        .map(|e| (&text[e.range], &*e.message))
        .collect();
    assert_eq!(
        shown,
        [
            (
                "é,2,3",
                "row 2 has 3 values, but the header names 2 columns"
            ),
            ("4", "row 3 has 1 value, but the header names 2 columns"),
        ]
    );
    assert_eq!(&text[seed.header_range], "a,b");
    assert_eq!(seed.rows().nth(2).unwrap().get(1), None);
    assert_eq!(read("", ',').errors[0].message, "the seed is empty");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_reads(text in "[a1,\"\r\n;é \u{feff}.-:T]{0,40}") {
        let seed = read(&text, ',');
        prop_assert_eq!(seed.rows, seed.rows().len());
        for error in &seed.errors {
            prop_assert!(text.get(std::ops::Range::<usize>::from(error.range)).is_some());
        }
        prop_assert!(text.get(std::ops::Range::<usize>::from(seed.header_range)).is_some());
    }
}
