#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::yaml::parse;

fn schema() -> Schema {
    Schema::compile(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["mxcp", "tool"],
        "additionalProperties": false,
        "properties": {
            "mxcp": { "enum": [1, "1"] },
            "tool": { "$ref": "#/$defs/tool" }
        },
        "$defs": {
            "tool": {
                "type": "object",
                "required": ["name"],
                "unevaluatedProperties": false,
                "properties": {
                    "name": { "type": "string", "pattern": "^[a-z_]+$" },
                    "tags": { "type": "array", "items": { "type": "string" }, "uniqueItems": true },
                    "source": {
                        "type": "object",
                        "properties": { "code": { "type": "string" }, "file": { "type": "string" } },
                        "oneOf": [{ "required": ["code"] }, { "required": ["file"] }]
                    },
                    "limit": { "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "all" }] },
                    "step": {
                        "oneOf": [
                            { "properties": { "kind": { "const": "a" }, "x": { "type": "integer" } }, "required": ["kind"] },
                            { "properties": { "kind": { "const": "b" }, "y": { "type": "integer" } }, "required": ["kind"] }
                        ]
                    }
                }
            }
        }
    }))
    .unwrap()
}

fn run(text: &str) -> Vec<(String, SchemaDetail)> {
    validate(&schema(), &parse(text))
        .into_iter()
        .map(|error| (error.pointer, error.detail))
        .collect()
}

#[test]
fn all_violations_are_found_in_one_run_in_document_order() {
    let found =
        run("mxcp: 2\nextra: 1\ntool:\n  nam: x\n  tags: [a, 1, a]\n  step: {kind: b, y: z}\n");
    assert_eq!(
        found,
        [
            (
                "/mxcp".to_owned(),
                SchemaDetail::Enum {
                    allowed: vec![json!(1), json!("1")],
                    found: json!(2)
                }
            ),
            (
                String::new(),
                SchemaDetail::Unexpected {
                    names: vec!["extra".into()],
                    allowed: vec!["mxcp".into(), "tool".into()]
                }
            ),
            (
                "/tool".to_owned(),
                SchemaDetail::Missing {
                    property: "name".into()
                }
            ),
            (
                "/tool".to_owned(),
                SchemaDetail::Unexpected {
                    names: vec!["nam".into()],
                    allowed: ["limit", "name", "source", "step", "tags"]
                        .map(String::from)
                        .to_vec()
                }
            ),
            ("/tool/tags".to_owned(), SchemaDetail::NotUnique),
            (
                "/tool/tags/1".to_owned(),
                SchemaDetail::Type {
                    expected: vec!["string"],
                    found: "integer"
                }
            ),
            (
                "/tool/step/y".to_owned(),
                SchemaDetail::Type {
                    expected: vec!["integer"],
                    found: "string"
                }
            ),
        ]
    );
}

#[test]
fn alternatives_report_what_is_useful() {
    let one = |text: &str| {
        let mut found = run(&format!("mxcp: 1\ntool:\n  name: x\n  {text}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0).1
    };
    assert_eq!(
        one("source: {}"),
        SchemaDetail::MissingOneOf {
            properties: vec!["code".into(), "file".into()]
        }
    );
    assert_eq!(
        one("source: {code: a, file: b}"),
        SchemaDetail::Exclusive {
            properties: vec!["code".into(), "file".into()]
        }
    );
    assert_eq!(one("limit: 0"), SchemaDetail::Bound { limit: json!(1) });
    assert_eq!(
        one("step: {kind: c}"),
        SchemaDetail::Enum {
            allowed: vec![json!("a"), json!("b")],
            found: json!("c")
        }
    );
    assert_eq!(run("mxcp: 1\ntool: {name: yes_}\n"), []);
    assert_eq!(
        run("")[0].1,
        SchemaDetail::Type {
            expected: vec!["object"],
            found: "null"
        }
    );
}
