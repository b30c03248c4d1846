//! Plugin functions.

use super::*;

#[test]
fn plugins_offer_sql_functions() {
    const PLUGIN: &str = r#"
from __future__ import annotations
from dataclasses import dataclass
from decimal import Decimal
from mxcp.plugins import MXCPBasePlugin, udf

@dataclass
class Box:
    width: int
    label: str | None

class MXCPPlugin(MXCPBasePlugin):
    def __init__(self, config):
        super().__init__(config)
        self.prefix = config["prefix"]

    @udf
    def greet(self, name: str | None, times: int) -> str:
        return self.prefix + (name or "nobody") * times

    @udf
    def box(self, sides: list[float]) -> Box:
        return Box(len(sides), None)

    @udf
    def wrong(self, n: Decimal) -> dict[str, int]:
        return "text"

    def not_offered(self, x: int) -> int:
        return x
"#;
    let with_plugin = |source: &str| {
        Project::with(&[("plugins/demo.py", source)], Echo::default(), |config| {
            config.plugins = vec![PluginConfig {
                name: "shop".to_owned(),
                module: "demo".to_owned(),
                config: BTreeMap::from([("prefix".to_owned(), "hi ".to_owned())]),
            }];
        })
    };
    let project = with_plugin(PLUGIN).expect("it starts");
    let udfs = project.host.udfs();
    let shown: Vec<String> = udfs
        .iter()
        .map(|u| {
            let parameters: Vec<_> = u.parameters.iter().map(SqlType::to_string).collect();
            format!("{}({}) {}", u.name, parameters.join(", "), u.returns)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "box_shop(DOUBLE[]) STRUCT(width BIGINT, label VARCHAR)",
            "greet_shop(VARCHAR, BIGINT) VARCHAR",
            "wrong_shop(DECIMAL(18,3)) MAP(VARCHAR, BIGINT)",
        ]
    );
    let rows = vec![
        vec![text("x"), Cell::Int(2)],
        vec![Cell::Null, Cell::Int(1)],
    ];
    assert_eq!(
        project.host.call_udf(1, rows, CallContext::default(), None),
        Ok(vec![text("hi xx"), text("hi nobody")])
    );
    assert_eq!(
        project.host.call_udf(
            0,
            vec![vec![Cell::List(vec![Cell::Float(1.0)])]],
            CallContext::default(),
            None
        ),
        Ok(vec![Cell::Struct(vec![
            ("width".to_owned(), Cell::Int(1)),
            ("label".to_owned(), Cell::Null)
        ])])
    );
    let error = project
        .host
        .call_udf(2, vec![vec![Cell::Null]], CallContext::default(), None)
        .expect_err("wrong type");
    assert!(error.message.contains("`wrong_shop`"), "{error}");
    drop(project);

    let untyped = PLUGIN.replace("times: int", "times");
    let error = with_plugin(&untyped).err().expect("an untyped parameter");
    assert_eq!(
        error.message,
        "plugin `shop`: method `greet`: parameter `times` has no type annotation"
    );
}
