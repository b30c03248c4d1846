//! Snapshots over changing rows.

use mxcp_artifact::dbt::{
    DbtGraph, HardDeletes, Materialization, Node, NodeSpec, SnapshotSpec, SnapshotStrategy,
};

use super::{Project, message};
use crate::fixture::{change, graph, model};
use crate::{Command, Status};

const SNAP: &str = "snapshot.shop.snap";

fn snapshot(strategy: SnapshotStrategy, hard_deletes: HardDeletes) -> DbtGraph {
    let spec = SnapshotSpec {
        strategy,
        unique_key: vec!["id".into()],
        hard_deletes,
        valid_to_current: None,
        column_names: std::collections::BTreeMap::new(),
        pre_hooks: Vec::new(),
        post_hooks: Vec::new(),
    };
    let model = model(Materialization::Table, "", "snap", &[], "");
    graph(vec![Node {
        unique_id: SNAP.into(),
        spec: NodeSpec::Snapshot(spec),
        ..model
    }])
}

fn spec(graph: &mut DbtGraph) -> &mut SnapshotSpec {
    match &mut change(graph, SNAP).spec {
        NodeSpec::Snapshot(spec) => spec,
        _ => panic!("not a snapshot"),
    }
}

impl Project {
    fn snap(&self, graph: &mut DbtGraph, rows: &str) {
        change(graph, SNAP).compiled_sql = format!("select * from (values {rows}) t(id, name, ts)");
        let summary = self.run(graph, Command::Snapshot);
        assert_eq!(summary.exit_code(), 0, "{summary:#?}");
        assert_eq!(message(&summary, "snap"), "OK");
    }

    /// Versions with whether they are current.
    fn versions(&self) -> String {
        self.value("select string_agg(id || name || case when dbt_valid_to is null then '+' else '' end, ' ' order by id, name) from snap")
    }
}

const A: &str = "(1, 'a', timestamp '2024-01-01'), (2, 'b', timestamp '2024-01-01')";
const B: &str = "(1, 'a', timestamp '2024-01-01'), (2, 'c', timestamp '2024-01-02')";

#[test]
fn by_timestamp() {
    let project = Project::new();
    let mut graph = snapshot(
        SnapshotStrategy::Timestamp {
            updated_at: "ts".into(),
        },
        HardDeletes::Ignore,
    );
    for rows in [A, B, B] {
        project.snap(&mut graph, rows);
    }
    assert_eq!(project.versions(), "1a+ 2b 2c+");
    assert_eq!(
        project.value::<String>(
            "select string_agg(column_name || ' ' || column_type, ', ') from (describe snap)"
        ),
        "id INTEGER, name VARCHAR, ts TIMESTAMP, dbt_scd_id VARCHAR, dbt_updated_at TIMESTAMP, dbt_valid_from TIMESTAMP, dbt_valid_to TIMESTAMP"
    );
    assert!(
        project.value::<bool>("select bool_and(dbt_scd_id = md5(id || '|' || ts::varchar) and dbt_valid_from = ts and coalesce(dbt_valid_to, '2024-01-02') = '2024-01-02') from snap")
    );
}

#[test]
fn by_columns_with_deletions() {
    for (deletes, want) in [
        (HardDeletes::Ignore, "1a+ 2b 2c+"),
        (HardDeletes::Invalidate, "1a 2b 2c+"),
        (HardDeletes::NewRecord, "1a 1a+ 2b 2c+"),
    ] {
        let project = Project::new();
        let mut graph = snapshot(
            SnapshotStrategy::Check {
                columns: Vec::new(),
            },
            deletes,
        );
        project.snap(&mut graph, A);
        project.snap(&mut graph, B);
        for _ in 0..2 {
            project.snap(&mut graph, "(2, 'c', timestamp '2024-01-02')");
        }
        assert_eq!(project.versions(), want, "{deletes:?}");
        if deletes == HardDeletes::NewRecord {
            assert_eq!(
                project.value::<String>("select string_agg(id || name || dbt_is_deleted, ' ' order by id, dbt_valid_from) from snap"),
                "1aFalse 1aTrue 2bFalse 2cFalse"
            );
            // It comes back.
            project.snap(&mut graph, A);
            assert_eq!(project.versions(), "1a 1a 1a+ 2b 2b+ 2c");
        }
    }
}

#[test]
fn names_and_the_end_of_the_current_version_can_be_chosen() {
    let project = Project::new();
    let mut graph = snapshot(
        SnapshotStrategy::Check {
            columns: vec!["name".into()],
        },
        HardDeletes::Ignore,
    );
    let spec = spec(&mut graph);
    spec.valid_to_current = Some("timestamp '9999-12-31'".into());
    spec.column_names
        .insert("dbt_valid_to".into(), "until".into());
    for rows in [A, B] {
        project.snap(&mut graph, rows);
    }
    let current = |condition: &str| {
        project.value::<i64>(&format!("select count(*) from snap where {condition}"))
    };
    assert_eq!(current("until = timestamp '9999-12-31'"), 2);
    assert_eq!(current("until < now()::timestamp + interval 1 hour"), 1);
}

#[test]
fn new_columns_are_added_and_views_refused() {
    let project = Project::new();
    let mut graph = snapshot(
        SnapshotStrategy::Check {
            columns: Vec::new(),
        },
        HardDeletes::Ignore,
    );
    project.snap(&mut graph, "(1, 'a', timestamp '2024-01-01')");
    change(&mut graph, SNAP).compiled_sql =
        "select 1 as id, 'a' as name, timestamp '2024-01-01' as ts, 5 as more".into();
    assert_eq!(project.run(&graph, Command::Snapshot).exit_code(), 0);
    assert_eq!(
        project.value::<String>(
            "select string_agg(coalesce(more, 0)::varchar, ' ' order by dbt_valid_from) from snap"
        ),
        "0 5"
    );
    change(&mut graph, SNAP).relation = Some(mxcp_artifact::RelationName::main("v"));
    duckdb::Connection::open(project.options().database)
        .unwrap()
        .execute_batch("create view v as select 1 as id")
        .unwrap();
    let summary = project.run(&graph, Command::Snapshot);
    assert_eq!(summary.results[0].status, Status::Error);
    assert!(message(&summary, "snap").contains("currently exists as a view"));
}
