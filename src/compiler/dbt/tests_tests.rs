#![allow(clippy::unwrap_used)]

use mxcp_artifact::{RelationName, SqlType};
use mxcp_syntax::yaml::parse;
use serde_json::json;

use super::super::macros::MacroFile;
use super::super::project::lower_project;
use super::super::properties::lower_properties;
use super::super::render::Resolved;
use super::super::{render_cases, test_cases};
use super::*;

struct World;

impl Resolver for World {
    fn resolve_ref(&self, _: Option<&str>, name: &str) -> Resolved {
        match name {
            "t01_plain" | "t02_config" | "raw_orders" => {
                Resolved::Relation(RelationName::main(name))
            }
            _ => Resolved::Unknown {
                candidates: vec!["t01_plain".into(), "t02_config".into()],
            },
        }
    }

    fn resolve_source(&self, _: &str, _: &str) -> Resolved {
        Resolved::Relation(RelationName::in_schema("landing", "region_codes"))
    }
}

fn compile_all(text: &str) -> Vec<CompiledTest> {
    let (project, _) = lower_project(&parse("name: shop\nvars: {limit_to: 5}\n"));
    let (file, problems) = lower_properties(&parse(text));
    assert_eq!(problems, []);
    let macros = MacroSet::new(
        "shop",
        &[],
        vec![MacroFile {
            package: "shop".into(),
            path: "macros/m.sql".into(),
            text: render_cases::MACROS.into(),
        }],
    );
    let vars = project.vars_for("shop");
    let compile = |test: &TestProps, on: Tested<'_>| {
        let input = TestInput {
            test,
            on,
            attached_to: None,
            package: "shop",
            path: "models/sources.yml",
            project: &project,
            vars: &vars,
            target: &Target::default(),
            env: &Default::default(),
            macros: &macros,
        };
        compile_generic(&input, &World)
    };
    let mut out = Vec::new();
    for model in &file.models {
        out.extend(
            model
                .all_tests()
                .map(|test| compile(test, Tested::Node(&model.name))),
        );
    }
    for source in &file.sources {
        for table in &source.tables {
            let on = Tested::Source {
                source: &source.name,
                table: &table.name,
            };
            let tests = table.columns.iter().flat_map(|column| &column.tests);
            out.extend(tests.map(|test| compile(test, on)));
        }
    }
    out.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    out
}

#[test]
fn tests_have_dbts_ids_names_and_sql() {
    let compiled = compile_all(test_cases::PROPERTIES);
    assert_eq!(compiled.len(), test_cases::CASES.len());
    for (test, (unique_id, alias, sql)) in compiled.iter().zip(test_cases::CASES) {
        assert_eq!(test.unique_id, unique_id);
        assert_eq!(test.short_name, alias);
        assert_eq!(test.problems, [], "{unique_id}");
        assert_eq!(test.sql, sql, "{unique_id}");
    }
    let configured = compiled
        .iter()
        .find(|test| test.name == "not_null_t02_config_amount")
        .unwrap();
    assert_eq!(configured.spec.error_if, ">10");
    assert_eq!(configured.fqn, ["shop", "not_null_t02_config_amount"]);
    let related = compiled
        .iter()
        .find(|test| test.name.starts_with("relationships_t01"))
        .unwrap();
    assert_eq!(related.spec.severity, Severity::Warn);
    assert_eq!(related.spec.limit, Some(10));
    assert_eq!(
        related.refs,
        [
            (None, "t01_plain".to_owned()),
            (None, "t02_config".to_owned())
        ]
    );
}

#[test]
fn mistakes_stand_at_the_test_or_its_argument() {
    let compiled = compile_all(
        "models:\n- name: t01_plain\n  columns:\n  - name: id\n    tests:\n    - uniqe\n    - accepted_values: {vals: [1]}\n    - relationships: {to: ref('t01_plan'), field: id}\n    - dbt_utils.at_least_one\n    - unique: {config: {severity: loud}}\n",
    );
    let mut found: Vec<_> = compiled
        .into_iter()
        .flat_map(|test| test.problems)
        .map(|p| (p.at, p.code, p.help.unwrap_or_default()))
        .collect();
    found.sort_by_key(|(at, ..)| format!("{at:?}"));
    let at = |n: usize, name: &str| At::Pointer(format!("/models/0/columns/0/tests/{n}{name}"));
    assert_eq!(
        found,
        [
            (
                At::Key("/models/0/columns/0/tests/1/accepted_values/vals".into()),
                "MX0414",
                "did you mean `values`?".to_owned()
            ),
            (at(0, ""), "MX0409", "did you mean `unique`?".to_owned()),
            (at(1, "/accepted_values"), "MX0414", String::new()),
            (
                at(2, "/relationships/to"),
                "MX0401",
                "did you mean `t01_plain`?".to_owned()
            ),
            (
                at(3, ""),
                "MX0409",
                "macros of packages are not available yet".to_owned()
            ),
            (at(4, "/unique"), "MX0414", String::new()),
        ]
    );
}

#[test]
fn columns_of_tests_are_checked_by_name() {
    let columns = [Column {
        name: "Customer_ID".into(),
        ty: SqlType::Varchar,
        nullable: true,
    }];
    let test = |column: &str| TestProps {
        test: "unique".into(),
        args: match json!({"column_name": column}) {
            Json::Object(map) => map,
            _ => Map::new(),
        },
        ..TestProps::default()
    };
    let check = |column: &str| unknown_column(&test(column), "m", &columns);
    assert_eq!(check("customer_id"), None);
    assert_eq!(check("\"customer_id\""), None);
    assert_eq!(check("a || b"), None);
    let problem = check("custmer_id").unwrap();
    assert_eq!(problem.help.as_deref(), Some("did you mean `Customer_ID`?"));
    assert_eq!(problem.code, "MX0407");
}
