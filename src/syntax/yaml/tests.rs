#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::SyntaxErrorKind;

/// Values recorded from PyYAML's `safe_load`: dates as ISO text, NaN and infinities as null, integers that fit no JSON
/// number as digits.
const ORACLE: &str = include_str!("tests/pyyaml.json");

fn oracle() -> Vec<(String, String, Json)> {
    let cases: Vec<Json> = serde_json::from_str(ORACLE).unwrap();
    let text = |case: &Json, key: &str| case[key].as_str().unwrap().to_owned();
    cases
        .iter()
        .map(|case| {
            (
                text(case, "name"),
                text(case, "yaml"),
                case["value"].clone(),
            )
        })
        .collect()
}

/// Equality by value: numbers keep their digits, and `1e3` and `1000.0` have different ones.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            a.as_i128() == b.as_i128() && a.as_f64() == b.as_f64()
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn values_equal_pyyaml() {
    let mut wrong = Vec::new();
    for (name, yaml, expected) in oracle() {
        let file = parse(&yaml);
        let real: Vec<_> = file
            .errors
            .iter()
            .filter(|error| error.kind != SyntaxErrorKind::DuplicateKey)
            .collect();
        let found = file.to_json();
        if !same(&found, &expected) || !real.is_empty() {
            wrong.push(format!(
                "{name}: {yaml:?}\n  found    {found}\n  expected {expected}\n  {real:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every scalar of the oracle's documents maps exactly, character by character.
#[test]
fn scalars_map_back_to_the_source() {
    fn check(name: &str, node: Node<'_>) {
        for (_, value) in node.entries() {
            check(name, value);
        }
        for item in node.items() {
            check(name, item);
        }
        let Some(text) = node.scalar() else { return };
        let map = node.scalar_map();
        let source = node.file().text();
        for (at, c) in text.char_indices() {
            let at = u32::try_from(at).unwrap();
            let end = at + u32::try_from(c.len_utf8()).unwrap();
            let range = map.map_range(at..end);
            let shown = &source[range];
            let exact = shown.chars().eq([c])
                || (c == ' ' || c == '\n') && shown.trim().is_empty() && !shown.is_empty()
                || shown.starts_with('\\')
                || shown == "''";
            assert!(
                exact,
                "{name}: {c:?} at {at} of {text:?} maps to {range:?} {shown:?} of {source:?}"
            );
            assert_eq!(
                map.unmap_offset(range.start().into()),
                Some(at),
                "{name}: {c:?} of {source:?}"
            );
        }
    }
    for (name, yaml, _) in oracle() {
        let file = parse(&yaml);
        if let Some(root) = file.root() {
            check(&name, root);
        }
    }
}

fn slice(file: &YamlFile, range: TextRange) -> &str {
    &file.text()[range]
}

#[test]
fn ranges_are_those_of_keys_and_values() {
    let text = "é: 1\ntool:\n  name: &n \"x\"\n  # note\n  list:\n    - a: 1\n      b: [1, 2] # c\n    - *n\n  code: |\n    SELECT 1\n    FROM t\n\n  none:\n";
    let file = parse(text);
    assert_eq!(file.errors, []);
    let value = |pointer: &str| slice(&file, file.value_range(pointer).unwrap());
    let key = |pointer: &str| slice(&file, file.key_range(pointer).unwrap());
    assert_eq!(value("é"), "1");
    assert_eq!(key("/tool/name"), "name");
    assert_eq!(value("/tool/name"), "\"x\"");
    assert_eq!(value("tool/list"), "- a: 1\n      b: [1, 2] # c\n    - *n");
    assert_eq!(value("tool/list/0"), "a: 1\n      b: [1, 2]");
    assert_eq!(value("tool/list/0/b"), "[1, 2]");
    assert_eq!(value("tool/list/1"), "*n");
    assert_eq!(file.lookup("tool/list/1").unwrap().as_str(), Some("x"));
    assert_eq!(value("tool/code"), "|\n    SELECT 1\n    FROM t");
    let none = file.value_range("tool/none").unwrap();
    assert!(none.is_empty());
    assert!(file.text()[..none.start().into()].ends_with("none:"));
    assert_eq!(slice(&file, file.closest_range("tool/list/0/c")), "a");
    assert_eq!(slice(&file, file.closest_range("tool/name/c/d")), "name");
    assert_eq!(slice(&file, file.closest_range("nothing")), "é");
    assert_eq!(
        file.comments()
            .iter()
            .map(|(_, text)| *text)
            .collect::<Vec<_>>(),
        ["# note", "# c"]
    );
    let code = file.lookup("tool/code").unwrap();
    let from = u32::try_from(code.as_str().unwrap().find("FROM").unwrap()).unwrap();
    assert_eq!(slice(&file, code.map_range(from..from + 6)), "FROM t");
    let at = u32::try_from(text.find("[1").unwrap()).unwrap();
    assert_eq!(file.pointer_at(at + 1).unwrap().pointer, "/tool/list/0/b/0");
}

#[test]
fn errors_are_worded_and_placed() {
    let cases = [
        ("a:\n\tb: 2\n", "\t", "a tab is used as indentation"),
        ("a: 1\nb: 'x\n", "'x", "the quote opened here is not closed"),
        (
            "a: \"x\nb: 2\n",
            "\"x",
            "the quote opened here is not closed",
        ),
        (
            "a: \"x\nb: 2\nc: \"y\"\n",
            "\"x",
            "the quote opened here is not closed",
        ),
        ("a: [1, 2\nb: 3\n", "[", "the `[` opened here is not closed"),
        ("a: [1 {\n", "{", "expected `,` or `]` here"),
        (
            "a: b: c\n",
            ":",
            "a value cannot hold a second `: ` on the same line",
        ),
        (
            "t:\n  name: x\n   desc: y\n",
            "desc",
            "`desc` continues the value above it",
        ),
        (
            "a:\n  b: 1\n c: 2\n",
            "c: 2",
            "the indentation of this line fits nothing above it",
        ),
        ("a: @x\n", "@", "a value cannot start with `@`"),
        (
            "a: *x\n",
            "*x",
            "`*x` refers to an anchor that is not defined above it",
        ),
        (
            "a: \"1\\q\"\n",
            "\\q",
            "unknown escape `\\q` in a \"…\" string",
        ),
        ("a: 1\nb\nc: 2\n", "b", "expected `:` after `b`"),
        ("a: 'x' y\n", "y", "unexpected text after the closing quote"),
        (
            "a: 1\n- b\n",
            "- b",
            "a list item stands among mapping keys",
        ),
    ];
    for (text, at, message) in cases {
        let file = parse(text);
        let found = &file.errors[0];
        assert_eq!(
            (slice(&file, found.range), &*found.message),
            (at, message),
            "{text:?}"
        );
    }
    let file = parse("a: 1\nb: 2\na: 3\n");
    assert_eq!(file.errors[0].kind, SyntaxErrorKind::DuplicateKey);
    assert_eq!(
        file.errors[0].message,
        "duplicate key `a`: it is already on line 1"
    );
    assert_eq!(u32::from(file.errors[0].range.start()), 10);
    let kinds = |text: &str| {
        parse(text)
            .errors
            .iter()
            .map(|e| e.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds("a: 1\n---\nb: 2\n"),
        [SyntaxErrorKind::MultipleDocuments]
    );
    assert_eq!(kinds("a: {{ b }}\n"), [SyntaxErrorKind::InvalidKey]);
    assert_eq!(kinds("a: 2024-13-45\n"), [SyntaxErrorKind::InvalidValue]);
    assert_eq!(
        kinds("a: !foo b\nc: !!int x\n"),
        [SyntaxErrorKind::UnknownTag, SyntaxErrorKind::InvalidValue]
    );
    assert_eq!(kinds("a: &a [*a]\n"), [SyntaxErrorKind::AliasCycle]);
}

#[test]
fn quoted_text_may_go_on_at_any_indentation() {
    let text = "a:\n  b: \"p\n  q é\nr\" # c\n  c: 'x\n\n y'\nd: 1\n";
    let file = parse(text);
    assert_eq!(file.errors, []);
    assert_eq!(
        file.to_json(),
        json!({"a": {"b": "p q é r", "c": "x\ny"}, "d": 1})
    );
    let twice = parse("a: 'é'#é\nb: []# c\nc: \"x\ny\"\nd: *no\n");
    assert_eq!(
        twice.to_json(),
        json!({"a": "é", "b": [], "c": "x y", "d": null})
    );
    assert_eq!(slice(&twice, twice.errors[0].range), "*no");
    let node = file.lookup("a/b").unwrap();
    assert_eq!(slice(&file, node.map_range(4..6)), "é");
    assert_eq!(
        slice(&file, file.value_range("a/b").unwrap()),
        "\"p\n  q é\nr\""
    );
}

#[test]
fn what_stands_before_an_error_is_kept() {
    let file = parse("tool:\n  name: x\n  list:\n    - a\n  bad: [1\n  more: 2\n");
    assert_eq!(file.errors.len(), 1);
    assert_eq!(file.lookup("tool/name").unwrap().as_str(), Some("x"));
    assert_eq!(file.lookup("tool/list/0").unwrap().as_str(), Some("a"));
}

#[test]
fn hostile_documents_are_bounded() {
    for deep in [
        "[".repeat(10_000),
        "- ".repeat(10_000),
        "{a: ".repeat(10_000),
    ] {
        let file = parse(&deep);
        assert!(!file.errors.is_empty());
        let _ = file.to_json();
    }
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{items}]\n");
    }
    let file = parse(&bomb);
    assert!(
        file.errors
            .iter()
            .any(|e| e.kind == SyntaxErrorKind::AliasBudget)
    );
    let _ = file.to_json();
    let mut merges = String::from("a: &a\n");
    for key in 0..2_000 {
        merges += &format!("  k{key}: 1\n");
    }
    for key in 0..2_000 {
        merges += &format!("b{key}:\n  <<: *a\n");
    }
    assert!(
        parse(&merges)
            .errors
            .iter()
            .any(|e| e.kind == SyntaxErrorKind::AliasBudget)
    );
    assert_eq!(
        parse(&" ".repeat(MAX_BYTES + 1)).errors[0].kind,
        SyntaxErrorKind::TooLarge
    );
}

fn arbitrary_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e6f64..1e6).prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        "[a-z: #'\"\n\\-\\[{|>&*!%@0-9._~]{0,16}".prop_map(Json::from),
        proptest::sample::select(vec![
            "yes",
            "010",
            "1:30",
            "~",
            "2024-01-01",
            "<<",
            "=",
            "1_0",
            ".inf",
            "0x1",
            "null",
            "1e3"
        ])
        .prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            proptest::collection::btree_map("[a-zé 0-9_:-]{1,8}", inner, 0..5)
                .prop_map(|map| json!(map)),
        ]
    })
}

/// The emitter writes YAML 1.2, so these strings come unquoted and PyYAML reads something else.
fn reads_alike(value: &Json) -> bool {
    match value {
        // Line breaks of YAML 1.1 alone: the emitter leaves them as they are.
        Json::String(text) if text.contains(['\u{85}', '\u{2028}', '\u{2029}']) => false,
        Json::String(text) => {
            text.contains('\n') || resolve::plain(text) == Kind::String || quoted_by_emitter(text)
        }
        Json::Array(items) => items.iter().all(reads_alike),
        Json::Object(map) => map
            .iter()
            .all(|(key, value)| key != "<<" && reads_alike(value)),
        Json::Number(number) => !number.to_string().contains('e'),
        _ => true,
    }
}

fn quoted_by_emitter(text: &str) -> bool {
    let emitted = serde_yaml::to_string(text).unwrap();
    emitted.starts_with(['\'', '"', '|'])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn emitted_documents_read_back(value in arbitrary_value()) {
        prop_assume!(reads_alike(&value));
        // Through JSON text, because the emitter does not know numbers that keep their digits.
        let emitted: serde_yaml::Value = serde_yaml::from_str(&value.to_string()).unwrap();
        let text = serde_yaml::to_string(&emitted).unwrap();
        let file = parse(&text);
        prop_assert_eq!(&file.errors, &[], "{}", text);
        prop_assert!(same(&file.to_json(), &value), "{}", text);
    }

    #[test]
    fn any_text_parses(text in "[a-c:\\-\\[\\]{}'\"|>&*!%#@,?~<\\\\ \t\r\n\u{feff}é0-9]{0,60}") {
        let file = parse(&text);
        let _ = (file.to_json(), file.comments());
        for error in &file.errors {
            prop_assert!(text.get(std::ops::Range::<usize>::from(error.range)).is_some());
        }
        for at in 0..=u32::try_from(text.len()).unwrap() {
            if let Some(found) = file.pointer_at(at)
                && let Some(node) = file.lookup(&found.pointer)
            {
                let _ = node.unmap_offset(at);
            }
        }
    }
}
