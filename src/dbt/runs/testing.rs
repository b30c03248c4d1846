//! Unit tests, kept failures, hooks outside the transaction, materialisations of the project.

use mxcp_artifact::dbt::{Age, Freshness, Materialization, Node, NodeSpec, Source, UnitTestSpec};
use mxcp_artifact::dbt_live::UnitTestSql;
use mxcp_artifact::{RelationKind, RelationName};
use serde_json::json;

use super::templates::Scripted;
use super::{Project, message, statuses};
use crate::fixture::{change, data_test, graph, model, model_spec, shop, source, test_spec};
use crate::{Command, Helpers, Observer, Resource, Silent, Status};

fn unit_test(name: &str, model: &str) -> Node {
    Node {
        unique_id: format!("unit_test.shop.report.{name}"),
        spec: NodeSpec::UnitTest(UnitTestSpec {
            model: model.into(),
        }),
        relation: None,
        ..data_test("models/schema.yml", name, None, &[model], "")
    }
}

#[test]
fn a_unit_test_runs_before_its_model_and_prints_what_differs() {
    let project = Project::new();
    let mut graph = shop();
    for name in ["good", "bad"] {
        graph.nodes.push(unit_test(name, "model.shop.report"));
    }
    graph.nodes.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    let mut templates = Scripted::default();
    let columns = vec!["id".to_owned(), "name".to_owned()];
    for (name, expected) in [
        ("good", "select 1::smallint as id, 'x' as name"),
        (
            "bad",
            "select 2 as id, 'x' as name union all select 3, null",
        ),
    ] {
        templates.unit_tests.insert(
            format!("unit_test.shop.report.{name}"),
            UnitTestSql {
                actual: "select 1 as id, 'x' as name".into(),
                expected: expected.into(),
                columns: columns.clone(),
            },
        );
    }
    let helpers = Helpers {
        templates: Some(&templates),
        python: None,
    };
    let summary = crate::run(
        &graph,
        Command::Build,
        &project.options(),
        helpers,
        &mut Silent,
    )
    .unwrap();
    let statuses = statuses(&summary);
    let end = &statuses[statuses.len() - 3..];
    assert_eq!(
        end,
        [
            ("bad", Status::Fail),
            ("good", Status::Pass),
            ("report", Status::Skipped)
        ]
    );
    assert_eq!(
        message(&summary, "bad"),
        "\nactual differs from expected:\n\n@@ ,id ,name\n→  ,2→1,x\n---,3  ,NULL\n"
    );
}

#[test]
fn failing_rows_are_kept_where_asked() {
    let project = Project::new();
    let mut graph = shop();
    let test = change(&mut graph, "test.shop.orders_positive");
    test.compiled_sql = "select 1 as bad union all select 2".into();
    test.relation = Some(RelationName::in_schema("audit", "positive"));
    test_spec(test).store_failures = Some(Materialization::Table);
    for kind in [Materialization::Table, Materialization::View] {
        test_spec(change(&mut graph, "test.shop.orders_positive")).store_failures =
            Some(kind.clone());
        let summary = project.run(&graph, Command::Build);
        let result = summary.get("test.shop.orders_positive").unwrap();
        assert_eq!(result.failures, Some(2));
        assert_eq!(result.relation.as_deref(), Some("\"audit\".\"positive\""));
        assert_eq!(
            project.value::<i64>("select sum(bad)::bigint from audit.positive"),
            3,
            "{kind:?}"
        );
    }
}

#[test]
fn a_hook_outside_the_transaction_stays() {
    let project = Project::new();
    let mut node = model(Materialization::Table, "", "t", &[], "select error('no')");
    model_spec(&mut node).pre_hooks = vec![
        "create table if not exists outside as select 1 as a".into(),
        "create table inside as select 1 as a".into(),
    ];
    node.config.insert(
        "pre-hook".into(),
        json!([{"sql": "", "transaction": false}, {"sql": "", "transaction": true}]),
    );
    let summary = project.run(&graph(vec![node]), Command::Run);
    assert_eq!(summary.exit_code(), 1);
    assert_eq!(
        project.value::<String>("select string_agg(table_name) from duckdb_tables()"),
        "outside"
    );
}

#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn started(&mut self, _: usize, _: usize, _: Resource<'_>) {}
    fn finished(&mut self, _: usize, _: usize, _: &crate::NodeResult) {}
    fn note(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }
}

#[test]
fn a_materialisation_of_the_project_runs_its_macro() {
    let project = Project::new();
    let node = model(
        Materialization::Custom("special".into()),
        "",
        "t",
        &[],
        "create view t as select 1 as a",
    );
    let mut templates = Scripted::default();
    let graph = graph(vec![node]);
    let run = |templates: &Scripted, notes: &mut Notes| {
        let helpers = Helpers {
            templates: Some(templates),
            python: None,
        };
        crate::run(&graph, Command::Run, &project.options(), helpers, notes).unwrap()
    };
    let mut notes = Notes::default();
    let summary = run(&templates, &mut notes);
    assert!(message(&summary, "t").contains("there is no materialization `special`"));
    templates.custom = Some("special".into());
    let summary = run(&templates, &mut notes);
    assert_eq!(message(&summary, "t"), "MADE 1");
    assert_eq!(notes.0, ["made"]);
    assert_eq!(
        project.value::<String>("select id from special_log"),
        "model.shop.t"
    );
    assert_eq!(project.value::<i32>("select a from t"), 1);
}

#[test]
fn descriptions_become_comments() {
    let project = Project::new();
    let mut node = model(Materialization::View, "", "v", &[], "select 1 as a");
    node.description = Some("it's a view".into());
    node.columns = vec![crate::fixture::declared("A", "integer", &[])];
    node.columns[0].description = Some("one".into());
    node.config.insert(
        "persist_docs".into(),
        json!({"relation": true, "columns": true}),
    );
    let mut graph = graph(vec![node]);
    for kind in [RelationKind::View, RelationKind::Table] {
        if kind == RelationKind::Table {
            model_spec(change(&mut graph, "model.shop.v")).materialized = Materialization::Table;
        }
        let summary = project.run(&graph, Command::Run);
        assert_eq!(summary.exit_code(), 0, "{summary:#?}");
        assert_eq!(
            project.value::<String>("select comment from (select comment, view_name as n from duckdb_views() union all select comment, table_name from duckdb_tables()) where n = 'v'"),
            "it's a view"
        );
        assert_eq!(
            project.value::<String>("select comment from duckdb_columns() where table_name = 'v'"),
            "one"
        );
    }
}

#[test]
fn statements_around_a_run_are_results_too() {
    let project = Project::new();
    let mut graph = shop();
    graph.on_run_start = vec!["create or replace table log as select {{ one }} as n".into()];
    graph.on_run_end = vec!["insert into log values (2)".into(), "nonsense".into()];
    let templates = Scripted::default();
    let helpers = Helpers {
        templates: Some(&templates),
        python: None,
    };
    let summary = crate::run(
        &graph,
        Command::Seed,
        &project.options(),
        helpers,
        &mut Silent,
    )
    .unwrap();
    let ids: Vec<&str> = summary
        .results
        .iter()
        .map(|result| result.unique_id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "operation.shop.shop-on-run-start-0",
            "seed.shop.raw_customers",
            "seed.shop.raw_orders",
            "operation.shop.shop-on-run-end-0",
            "operation.shop.shop-on-run-end-1",
        ]
    );
    assert_eq!(
        summary.results[0].compiled_sql,
        "create or replace table log as select 1 as n"
    );
    assert_eq!(summary.results[4].status, Status::Error);
    assert_eq!(summary.exit_code(), 1);
    assert_eq!(project.value::<i64>("select sum(n)::bigint from log"), 3);
}

#[test]
fn a_test_of_a_source_waits_for_what_makes_its_table() {
    let project = Project::new();
    let mut graph = shop();
    graph.sources.push(source("customers"));
    let sql = "select * from \"main\".\"customers\" where customer_id is null";
    graph.nodes.push(data_test(
        "models/sources.yml",
        "a_source_test",
        None,
        &["source.shop.crm.customers"],
        sql,
    ));
    graph.nodes.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    let summary = project.run(&graph, Command::Build);
    assert!(statuses(&summary).contains(&("a_source_test", Status::Pass)));
}

#[test]
fn sources_tell_how_old_they_are() {
    let project = Project::new();
    let mut graph = shop();
    let age = |count: u32, period: &str| {
        Some(Age {
            count,
            period: period.into(),
        })
    };
    for (name, at, zone) in [
        ("fresh", "now() - interval 1 minute", "timestamptz"),
        ("old", "now() - interval 2 hour", "timestamptz"),
        ("stale", "'2020-01-01'", "timestamp"),
        ("broken", "''", "varchar"),
    ] {
        graph.sources.push(Source {
            freshness: Some(Freshness {
                loaded_at_query: Some(format!("select cast({at} as {zone})")),
                warn_after: age(1, "hour"),
                error_after: age(1, "day"),
                ..Freshness::default()
            }),
            ..source(name)
        });
    }
    let summary =
        crate::freshness(&graph, &project.options(), Helpers::default(), &mut Silent).unwrap();
    let verdicts: Vec<(&str, &str)> = summary
        .results
        .iter()
        .map(|result| (result.name.as_str(), result.status.as_str()))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("broken", "runtime error"),
            ("fresh", "pass"),
            ("old", "warn"),
            ("stale", "error"),
        ]
    );
    assert_eq!(summary.exit_code(), 1);
    let json = summary.json();
    assert_eq!(json[3]["max_loaded_at"], "2020-01-01T00:00:00+00:00");
    assert_eq!(json[2]["criteria"]["warn_after"]["period"], "hour");
}
