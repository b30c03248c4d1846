//! Incremental models, in the ways dbt-duckdb adds rows.

use mxcp_artifact::dbt::{DbtGraph, IncrementalSpec, Materialization, Node, OnSchemaChange};
use mxcp_artifact::dbt_live::RunFacts;
use serde_json::json;

use super::templates::Scripted;
use super::{Project, message};
use crate::fixture::{change, graph, model, model_spec};
use crate::{Command, Helpers, Moment, Observer, Options, Resource, Silent, Status, Summary};

fn incremental(spec: IncrementalSpec, sql: &str) -> DbtGraph {
    let mut node = model(Materialization::Incremental, "marts", "events", &[], sql);
    node.config.insert(
        "unique_key".into(),
        match spec.unique_key.as_slice() {
            [one] => json!(one),
            many => json!(many),
        },
    );
    model_spec(&mut node).incremental = Some(spec);
    graph(vec![node])
}

fn events(graph: &mut DbtGraph) -> &mut Node {
    change(graph, "model.shop.events")
}

impl Project {
    /// Runs with this SQL in the place of the first one.
    fn again(&self, graph: &mut DbtGraph, sql: &str) -> Summary {
        events(graph).compiled_sql = sql.into();
        self.run(graph, Command::Run)
    }

    fn events(&self) -> String {
        self.value("select string_agg(e::varchar, ' ' order by e::varchar) from events e")
    }
}

fn keyed(strategy: Option<&str>) -> IncrementalSpec {
    IncrementalSpec {
        strategy: strategy.map(str::to_owned),
        unique_key: vec!["id".into()],
        ..IncrementalSpec::default()
    }
}

const FIRST: &str = "select 1 as id, 'a' as name union all select 2, 'b'";
const SECOND: &str = "select 2 as id, 'B' as name union all select 3, 'c'";

#[test]
fn each_strategy_adds_in_its_way() {
    for (spec, want) in [
        (
            keyed(None),
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 3, 'name': c}",
        ),
        (
            keyed(Some("delete+insert")),
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 3, 'name': c}",
        ),
        (
            keyed(Some("merge")),
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 3, 'name': c}",
        ),
        (
            IncrementalSpec::default(),
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 2, 'name': b} {'id': 3, 'name': c}",
        ),
        (
            keyed(Some("append")),
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 2, 'name': b} {'id': 3, 'name': c}",
        ),
        (
            IncrementalSpec {
                unique_key: vec!["id".into(), "name".into()],
                ..keyed(None)
            },
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 2, 'name': b} {'id': 3, 'name': c}",
        ),
        (
            IncrementalSpec {
                merge_exclude_columns: vec!["NAME".into()],
                ..keyed(Some("merge"))
            },
            "{'id': 1, 'name': a} {'id': 2, 'name': b} {'id': 3, 'name': c}",
        ),
        (
            IncrementalSpec {
                predicates: vec!["name = 'nobody'".into()],
                ..keyed(None)
            },
            "{'id': 1, 'name': a} {'id': 2, 'name': B} {'id': 2, 'name': b} {'id': 3, 'name': c}",
        ),
    ] {
        let project = Project::new();
        let what = format!("{spec:?}");
        let mut graph = incremental(spec, FIRST);
        assert_eq!(project.run(&graph, Command::Run).exit_code(), 0, "{what}");
        let summary = project.again(&mut graph, SECOND);
        assert_eq!(summary.exit_code(), 0, "{what}: {summary:#?}");
        assert_eq!(project.events(), want, "{what}");
        assert_eq!(
            project.value::<i64>(
                "select count(*) from duckdb_tables() where table_name like '%dbt_tmp%'"
            ),
            0
        );
    }
}

#[test]
fn merge_clauses_are_written_out() {
    let project = Project::new();
    let mut graph = incremental(keyed(Some("merge")), FIRST);
    project.run(&graph, Command::Run);
    events(&mut graph).config.insert(
        "merge_clauses".into(),
        json!({
            "when_matched": [
                {"action": "delete", "condition": "DBT_INTERNAL_SOURCE.name = 'B'"},
                {"action": "update", "mode": "explicit", "update": {"set_expressions": {"name": "'x'"}}},
            ],
            "when_not_matched": [
                {"action": "insert", "mode": "explicit", "insert": {"columns": ["id", "name"], "values": ["DBT_INTERNAL_SOURCE.id", "'new'"]}},
            ],
        }),
    );
    let summary = project.again(
        &mut graph,
        "select 1 as id, 'A' as name union all select 2, 'B' union all select 3, 'c'",
    );
    assert_eq!(summary.exit_code(), 0, "{summary:#?}");
    assert_eq!(
        project.events(),
        "{'id': 1, 'name': x} {'id': 3, 'name': new}"
    );
}

#[test]
fn new_columns_follow_the_configuration() {
    for (change, want) in [
        (OnSchemaChange::Ignore, "error"),
        (OnSchemaChange::Fail, "error"),
        (
            OnSchemaChange::AppendNewColumns,
            "{'id': 1, 'name': a, 'at': NULL} {'id': 2, 'name': NULL, 'at': 7} {'id': 2, 'name': b, 'at': NULL}",
        ),
        (
            OnSchemaChange::SyncAllColumns,
            "{'id': 1, 'at': NULL} {'id': 2, 'at': 7} {'id': 2, 'at': NULL}",
        ),
    ] {
        let project = Project::new();
        let spec = IncrementalSpec {
            on_schema_change: change,
            ..IncrementalSpec::default()
        };
        let mut graph = incremental(spec, FIRST);
        project.run(&graph, Command::Run);
        let summary = project.again(&mut graph, "select 2 as id, 7 as at");
        if want == "error" {
            assert_eq!(summary.results[0].status, Status::Error, "{change:?}");
            let message = message(&summary, "events");
            assert_eq!(
                message.contains("out of sync"),
                change == OnSchemaChange::Fail,
                "{message}"
            );
            assert_eq!(project.value::<i64>("select count(*) from events"), 2);
        } else {
            assert_eq!(summary.exit_code(), 0, "{summary:#?}");
            assert_eq!(project.events(), want, "{change:?}");
        }
    }
}

#[test]
fn a_full_refresh_starts_anew_unless_the_model_refuses() {
    let project = Project::new();
    let mut graph = incremental(IncrementalSpec::default(), FIRST);
    project.run(&graph, Command::Run);
    events(&mut graph).compiled_sql = "select 9 as id".into();
    let options = Options {
        facts: RunFacts {
            full_refresh: true,
            ..RunFacts::default()
        },
        ..project.options()
    };
    super::run(&graph, Command::Run, &options, &mut Silent).unwrap();
    assert_eq!(project.events(), "{'id': 9}");
    model_spec(events(&mut graph)).full_refresh = Some(false);
    super::run(&graph, Command::Run, &options, &mut Silent).unwrap();
    assert_eq!(project.events(), "{'id': 9} {'id': 9}");
}

#[test]
fn a_live_model_sees_its_table() {
    let project = Project::new();
    let mut graph = incremental(IncrementalSpec::default(), "");
    events(&mut graph).live = true;
    let templates = Scripted::default().node("model.shop.events", |run, _, warehouse| {
        let there = warehouse
            .query("select count(*)::integer from duckdb_tables() where table_name = 'events'")
            .unwrap();
        assert_eq!(there.columns[0].data_type, "INTEGER");
        assert_eq!(run.which, "run");
        format!("select {} as n", there.rows[0][0])
    });
    let helpers = Helpers {
        templates: Some(&templates),
        python: None,
    };
    let options = Options {
        facts: RunFacts {
            which: "run".into(),
            ..RunFacts::default()
        },
        ..project.options()
    };
    for _ in 0..2 {
        let summary = crate::run(&graph, Command::Run, &options, helpers, &mut Silent).unwrap();
        assert_eq!(summary.exit_code(), 0, "{summary:#?}");
        assert!(summary.results[0].compiled_sql.starts_with("select "));
    }
    assert_eq!(project.events(), "{'n': 0} {'n': 1}");
}

#[test]
fn a_strategy_of_the_project_writes_its_own_statement() {
    let project = Project::new();
    let mut graph = incremental(keyed(Some("odd")), FIRST);
    project.run(&graph, Command::Run);
    events(&mut graph).compiled_sql = SECOND.into();
    let templates = Scripted::default();
    let helpers = Helpers {
        templates: Some(&templates),
        python: None,
    };
    let summary = crate::run(
        &graph,
        Command::Run,
        &project.options(),
        helpers,
        &mut Silent,
    )
    .unwrap();
    assert_eq!(summary.exit_code(), 0, "{summary:#?}");
    assert_eq!(
        project.events(),
        "{'id': 1, 'name': a} {'id': 2, 'name': b} {'id': 3, 'name': c}"
    );
}

#[test]
fn microbatches_replace_their_period() {
    let project = Project::new();
    let spec = IncrementalSpec {
        strategy: Some("microbatch".into()),
        event_time: Some("ts".into()),
        batch_size: Some("day".into()),
        begin: Some("2024-01-01".into()),
        lookback: Some(1),
        ..IncrementalSpec::default()
    };
    let graph = incremental(spec, "");
    let templates = Scripted::default().node("model.shop.events", |run, batch, _| {
        let batch = batch.unwrap();
        let fails = if batch.start.starts_with("2024-01-03") && run.invocation_id == "bad" {
            "error('no luck')"
        } else {
            "1"
        };
        format!(
            "select timestamp '{}' as ts, '{}' as run, {fails} as ok",
            &batch.start[..19],
            run.invocation_id
        )
    });
    let helpers = Helpers {
        templates: Some(&templates),
        python: None,
    };
    let run = |id: &str, now: &str, start: Option<&str>| {
        let options = Options {
            facts: RunFacts {
                invocation_id: id.into(),
                started_at: now.into(),
                ..RunFacts::default()
            },
            event_time_start: start.and_then(Moment::parse),
            ..project.options()
        };
        crate::run(&graph, Command::Run, &options, helpers, &mut Printed).unwrap()
    };
    let rows = || -> String {
        project.value("select string_agg(strftime(ts, '%d') || run, ' ' order by ts) from events")
    };
    assert_eq!(
        message(&run("a", "2024-01-03T10:00:00Z", None), "events"),
        "SUCCESS"
    );
    assert_eq!(rows(), "01a 02a 03a");
    // Today's batch and the one before.
    run("b", "2024-01-04T10:00:00Z", None);
    assert_eq!(rows(), "01a 02a 03b 04b");
    let summary = run("bad", "2024-01-04T10:00:00Z", Some("2024-01-02"));
    assert_eq!(summary.results[0].status, Status::PartialSuccess);
    assert_eq!(message(&summary, "events"), "PARTIAL SUCCESS (2/3)");
    assert_eq!(summary.exit_code(), 1);
    assert_eq!(rows(), "01a 02bad 03b 04bad");
}

/// Notes go to the output of a failing test.
struct Printed;

impl Observer for Printed {
    fn started(&mut self, _: usize, _: usize, _: Resource<'_>) {}
    fn finished(&mut self, _: usize, _: usize, _: &crate::NodeResult) {}
    fn note(&mut self, line: &str) {
        println!("{line}");
    }
}
