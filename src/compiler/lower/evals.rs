//! Eval suites as definitions: what the checks need of them.

use mxcp_syntax::yaml::YamlFile;

use crate::site::string;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvalSuite {
    pub suite: Option<String>,
    pub tests: Vec<EvalTest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvalTest {
    pub name: Option<String>,
    /// Tool name and argument names of each expected call.
    pub must_call: Vec<(Option<String>, Vec<String>)>,
    pub must_not_call: Vec<Option<String>>,
}

pub fn lower_evals(yaml: &YamlFile) -> EvalSuite {
    let root = yaml.root();
    let tests = root.and_then(|r| r.get("tests"));
    EvalSuite {
        suite: string(root.and_then(|r| r.get("suite"))),
        tests: tests
            .map(|n| n.items())
            .into_iter()
            .flatten()
            .map(|test| {
                let assertions = test.get("assertions");
                let list = |key: &str| assertions.and_then(|a| a.get(key)).map(|n| n.items());
                EvalTest {
                    name: string(test.get("name")),
                    must_call: list("must_call")
                        .into_iter()
                        .flatten()
                        .map(|call| {
                            let args = call
                                .get("args")
                                .map(|a| a.entries().map(|(k, _)| k.text.to_owned()).collect())
                                .unwrap_or_default();
                            (string(call.get("tool")), args)
                        })
                        .collect(),
                    must_not_call: list("must_not_call")
                        .into_iter()
                        .flatten()
                        .map(|n| string(Some(n)))
                        .collect(),
                }
            })
            .collect(),
    }
}
