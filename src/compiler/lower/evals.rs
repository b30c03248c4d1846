//! Eval suites as definitions: what the checks need of them.

use mxcp_syntax::yaml::{Node, YamlFile};

use crate::site::string;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvalSuite {
    pub suite: Option<String>,
    pub model: Option<String>,
    /// Whether `tests:` is there, be it empty.
    pub has_tests: bool,
    pub tests: Vec<EvalTest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvalTest {
    pub name: Option<String>,
    /// Whether `assertions:` is a mapping, be it empty.
    pub has_assertions: bool,
    /// Tool name and argument names of each expected call.
    pub must_call: Vec<(Option<String>, Vec<String>)>,
    pub must_not_call: Vec<Option<String>>,
    pub answer_contains: Vec<Option<String>>,
    pub answer_not_contains: Vec<Option<String>>,
}

pub fn lower_evals(yaml: &YamlFile) -> EvalSuite {
    let root = yaml.root();
    let tests = root.and_then(|r| r.get("tests"));
    EvalSuite {
        suite: string(root.and_then(|r| r.get("suite"))),
        model: string(root.and_then(|r| r.get("model"))),
        has_tests: tests.is_some_and(|n| n.kind() == mxcp_syntax::yaml::Kind::Seq),
        tests: tests
            .map(|n| n.items())
            .into_iter()
            .flatten()
            .map(lower_test)
            .collect(),
    }
}

fn lower_test(test: Node<'_>) -> EvalTest {
    let assertions = test.get("assertions");
    let list = |key: &str| {
        assertions
            .and_then(|a| a.get(key))
            .map(|n| n.items())
            .into_iter()
            .flatten()
    };
    let texts = |key: &str| list(key).map(|n| string(Some(n))).collect();
    EvalTest {
        name: string(test.get("name")),
        has_assertions: assertions.is_some_and(|n| n.kind() == mxcp_syntax::yaml::Kind::Map),
        must_call: list("must_call")
            .map(|call| {
                let args = call
                    .get("args")
                    .map(|a| a.entries().map(|(k, _)| k.text.to_owned()).collect())
                    .unwrap_or_default();
                (string(call.get("tool")), args)
            })
            .collect(),
        must_not_call: texts("must_not_call"),
        answer_contains: texts("answer_contains"),
        answer_not_contains: texts("answer_not_contains"),
    }
}
