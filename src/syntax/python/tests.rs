#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn signatures_are_read() {
    let text = "\
import os.path, json as js
from mxcp.runtime import db, config as cfg
import numpy

MODEL = None
a, (b, *c) = 1, (2, 3)
x: int = 1
y: int

@on_init
def setup(): pass

try:
    import joblib
except ImportError:
    joblib = None

if True:
    async def predict(customer_id: str, /, limit: int = 10, *rest, flag: 'bool' = False, **more) -> dict[str, float]:
        \"\"\"Predicts.\"\"\"
        return {}

class Model:
    def method(self): pass

with open('f') as handle:
    total: int = 0
for i in range(3): z = i
def setup(again): pass
";
    let module = parse(text);
    assert_eq!(module.errors, []);
    let names: Vec<&str> = module.names.iter().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "MODEL", "Model", "a", "b", "c", "cfg", "db", "handle", "i", "joblib", "js", "numpy",
            "os", "predict", "setup", "total", "x", "z"
        ]
    );
    assert!(!module.star_import);
    let predict = module.function("predict").unwrap();
    assert!(predict.is_async);
    assert_eq!(predict.returns.as_deref(), Some("dict[str, float]"));
    assert_eq!(predict.docstring.as_deref(), Some("Predicts."));
    assert_eq!(&text[predict.name_range], "predict");
    let params: Vec<(&str, ParamKind, bool, Option<&str>)> = predict
        .params
        .iter()
        .map(|p| {
            (
                &text[p.range],
                p.kind,
                p.has_default,
                p.annotation.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        params,
        [
            ("customer_id", ParamKind::PositionalOnly, false, Some("str")),
            ("limit", ParamKind::Positional, true, Some("int")),
            ("rest", ParamKind::VarArgs, false, None),
            ("flag", ParamKind::KeywordOnly, true, Some("'bool'")),
            ("more", ParamKind::VarKeywords, false, None),
        ]
    );
    assert_eq!(module.functions[0].decorators, ["on_init"]);
    assert_eq!(module.function("setup").unwrap().params.len(), 1);
    assert!(parse("from x import *\n").may_define("anything"));
}

#[test]
fn functions_around_an_error_are_kept() {
    let text =
        "\u{feff}def before(a): pass\n\ndef broken(:\n    x = = 1\n\ndef after(b): return b\n";
    let module = parse(text);
    assert!(!module.errors.is_empty());
    assert!(
        module.errors[0]
            .message
            .starts_with(|c: char| !c.is_ascii_uppercase())
    );
    assert_eq!(
        &text[module.function("before").unwrap().params[0].range],
        "a"
    );
    assert_eq!(
        &text[module.function("after").unwrap().params[0].range],
        "b"
    );
}

#[test]
fn hostile_code_is_refused() {
    let mut indented = String::new();
    for depth in 0..300 {
        indented += &format!("{}if x:\n", " ".repeat(depth));
    }
    let texts = [
        "[".repeat(100_000),
        "1+".repeat(100_000),
        "a.".repeat(100_000),
        "not ".repeat(100_000),
        "x=[".repeat(50_000),
        "f(1+".repeat(10_000),
        "lambda: ".repeat(20_000),
        "f\"{".repeat(20_000),
        indented,
    ];
    for text in texts {
        assert_eq!(parse(&text).errors[0].kind, SyntaxErrorKind::TooDeep);
    }
    let data = format!("x = [{}]\n", "(1, 'a'),\n".repeat(20_000));
    assert_eq!(parse(&data).errors, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses(text in "(def |f|\\(|\\)|:|\n|    |=|'|\"\"\"|\\\\|é|import |\\*|,|\\[|@|x){0,30}") {
        for function in parse(&text).functions {
            prop_assert!(text.get(std::ops::Range::<usize>::from(function.range)).is_some());
        }
    }
}
