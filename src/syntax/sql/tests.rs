#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

/// What DuckDB's own tokenizer and parser say about each text.
const ORACLE: &str = include_str!("duckdb.json");

#[test]
fn tokens_agree_with_duckdb() {
    let cases: Vec<Json> = serde_json::from_str(ORACLE).unwrap();
    for case in &cases {
        let text = case["sql"].as_str().unwrap();
        let mut names: Vec<String> = parameters(text).into_iter().map(|p| p.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(Json::from(names), case["parameters"], "{text}");
        assert_eq!(
            Json::from(statements(text).len()),
            case["statements"],
            "{text}"
        );
        let starts = |kind: TokenKind| -> Vec<u32> {
            let tokens = tokens(text);
            tokens
                .iter()
                .filter(|t| t.kind == kind)
                .map(|t| t.range.start().into())
                .collect()
        };
        assert_eq!(
            Json::from(starts(TokenKind::Comment)),
            case["comments"],
            "{text}"
        );
        assert_eq!(
            Json::from(starts(TokenKind::String)),
            case["strings"],
            "{text}"
        );
    }
}

#[test]
fn ranges_are_byte_ranges() {
    let text = "-- é\nselect 'ü', $ñame, ? from \"Ä\"\"b\" -- end\n;\n/* x */ select ä from Ä";
    let parts: Vec<&str> = statements(text)
        .into_iter()
        .map(|range| &text[range])
        .collect();
    assert_eq!(
        parts,
        ["select 'ü', $ñame, ? from \"Ä\"\"b\"", "select ä from Ä"]
    );
    let found = parameters(text);
    assert_eq!(&text[found[0].range], "$ñame");
    assert_eq!(
        (found[1].name.as_str(), found[1].kind),
        ("1", ParameterKind::Positional)
    );
    assert_eq!(find_identifier(text, "ä\"B").len(), 1);
    assert_eq!(find_identifier(text, "Ä").len(), 2);
    assert_eq!(
        find_identifier("select 'name', name, \"Name\", t.NAME -- name", "name").len(),
        3
    );
}

#[test]
fn comments_start_inside_operators() {
    let text = "select 8 //* $no */ $yes";
    assert_eq!(parameters(text).len(), 1);
}

#[test]
fn unclosed_tokens_run_to_the_end() {
    for text in [
        "select 'a",
        "select \"a",
        "select /* a",
        "select $$a",
        "select $t$ a $",
        "select e'\\",
        "$",
        "/*/",
    ] {
        let last = tokens(text).last().copied().unwrap();
        assert_eq!(usize::from(last.range.end()), text.len(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tokens are in order, never overlap, and leave out nothing but white space.
    #[test]
    fn tokens_cover_the_text(text in "[a-c$?'\"/*\\-;.0-9eE \n:éx]{0,40}") {
        let mut at = 0;
        for token in tokens(&text) {
            let range = std::ops::Range::<usize>::from(token.range);
            prop_assert!(text[at..range.start].trim().is_empty());
            prop_assert!(!range.is_empty());
            at = range.end;
        }
        prop_assert!(text[at..].trim().is_empty());
        let _ = (parameters(&text), statements(&text), find_identifier(&text, "a"));
    }
}

#[test]
fn choices_are_the_values_of_what_a_parameter_is_compared_with() {
    let of = |text: &str| choices(text, "region");
    let some = |text: &str| of(text).unwrap_or_else(|| panic!("nothing derived from {text}"));
    assert_eq!(
        some(
            "SELECT * FROM customers c WHERE NOT deleted AND c.region = $region ORDER BY 1 LIMIT 5"
        ),
        "SELECT DISTINCT c.region FROM customers c WHERE (NOT deleted)"
    );
    assert_eq!(
        some(
            "WITH a AS (SELECT 1 AS region) SELECT count(*) FROM a WHERE ($region IS NULL OR lower(region) = lower($region)) GROUP BY region"
        ),
        "WITH a AS (SELECT 1 AS region) SELECT DISTINCT region FROM a"
    );
    assert_eq!(
        some("SELECT 1 FROM t WHERE region = coalesce($region, region) AND placed >= $since"),
        "SELECT DISTINCT region FROM t WHERE ($since IS NULL OR (placed >= $since))"
    );
    assert_eq!(
        some("SELECT * FROM t WHERE $Region = region"),
        "SELECT DISTINCT region FROM t"
    );
    for text in [
        "SELECT 1 FROM t WHERE region <> $region",
        "SELECT 1 FROM t WHERE region = $region OR secret = 1",
        "SELECT region, count(*) FROM t WHERE region = $region GROUP BY 1 HAVING count(*) > 10",
        "SELECT 1 FROM t WHERE region = $region QUALIFY row_number() OVER () = 1",
        "SELECT 1 FROM t WHERE region = $region AND owner = md5($region)",
        "SELECT 1 FROM read_csv($region) WHERE region = $region",
        "SELECT 1 FROM t WHERE region = $region UNION SELECT 2",
        "SELECT 1; SELECT 1 FROM t WHERE region = $region",
        "DELETE FROM t WHERE region = $region",
        "SELECT 1 FROM t WHERE region || 'x' = $region",
        "not SQL",
    ] {
        assert_eq!(of(text), None, "{text}");
    }
}
