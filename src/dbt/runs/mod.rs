//! Whole runs on a database file.
#![allow(clippy::unwrap_used)]

mod external;
mod incremental;
mod snapshot;
mod templates;
mod testing;

use std::fs;
use std::path::Path;

use duckdb::Connection;
use duckdb::types::FromSql;
use mxcp_artifact::dbt::{
    Constraint, ConstraintKind, DbtGraph, Index, Materialization, Node, Severity,
};
use mxcp_artifact::{RelationName, SqlType};
use tempfile::TempDir;

use crate::fixture::{
    change, declared, graph, model, model_spec, seed, shop, test_spec, write_seeds,
};
use crate::{
    Command, Helpers, NodeResult, Observer, Options, Resource, RunError, Selection, Silent, Status,
    Summary, plan,
};

fn run(
    graph: &DbtGraph,
    command: Command,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Summary, RunError> {
    crate::run(graph, command, options, Helpers::default(), observer)
}

struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_seeds(folder.path());
        Self { folder }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn options(&self) -> Options {
        Options {
            root: self.root().to_path_buf(),
            database: self.root().join("data/shop.duckdb"),
            threads: 4,
            ..Options::default()
        }
    }

    fn run(&self, graph: &DbtGraph, command: Command) -> Summary {
        run(graph, command, &self.options(), &mut Silent).unwrap()
    }

    fn value<T: FromSql>(&self, sql: &str) -> T {
        Connection::open(self.options().database)
            .unwrap()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }
}

fn statuses(summary: &Summary) -> Vec<(&str, Status)> {
    summary
        .results
        .iter()
        .map(|r| (r.name.as_str(), r.status))
        .collect()
}

#[track_caller]
fn message(summary: &Summary, name: &str) -> String {
    let result = summary.results.iter().find(|r| r.name == name).unwrap();
    result.message.clone().unwrap_or_default()
}

#[test]
fn a_build_makes_everything_and_can_be_repeated() {
    let project = Project::new();
    for round in 0..2 {
        let summary = project.run(&shop(), Command::Build);
        assert_eq!(
            statuses(&summary),
            [
                ("raw_customers", Status::Success),
                ("raw_orders", Status::Success),
                ("stg_customers", Status::Success),
                ("stg_orders", Status::Success),
                ("orders_known", Status::Pass),
                ("orders_positive", Status::Pass),
                ("customers", Status::Success),
                ("customers_unique", Status::Pass),
                ("report", Status::Success),
            ],
            "round {round}: {summary:#?}"
        );
        assert_eq!(summary.exit_code(), 0);
        assert_eq!(message(&summary, "raw_orders"), "INSERT 3");
        assert_eq!(summary.results[6].rows_affected, Some(3));
    }
    let names: String = project
        .value("select string_agg(coalesce(name, 'NULL'), '|' order by id) from raw_customers");
    assert_eq!(names, "Ann, \"the\" first|NULL|NULL");
    assert_eq!(
        project.value::<String>("select spent::varchar from report"),
        "16.00"
    );
    assert_eq!(
        project.value::<String>("select string_agg(table_type || ':' || table_name, ' ' order by table_type, table_name) from information_schema.tables"),
        "BASE TABLE:customers BASE TABLE:raw_customers BASE TABLE:raw_orders VIEW:report VIEW:stg_customers VIEW:stg_orders"
    );
}

#[test]
fn a_failing_model_keeps_its_table_and_skips_what_follows() {
    let project = Project::new();
    let mut graph = shop();
    project.run(&graph, Command::Build);
    let customers = change(&mut graph, "model.shop.customers");
    customers.compiled_sql = "select 1 as customer_id,\n  error('no luck') as spent".into();
    model_spec(customers).pre_hooks = vec!["create table trace as select 1 as a".into()];
    let summary = project.run(&graph, Command::Run);
    assert_eq!(
        statuses(&summary),
        [
            ("stg_customers", Status::Success),
            ("stg_orders", Status::Success),
            ("customers", Status::Error),
            ("report", Status::Skipped),
        ]
    );
    assert!(message(&summary, "customers").contains("no luck"));
    assert_eq!(
        message(&summary, "report"),
        "skipped because `customers` failed"
    );
    assert_eq!(summary.exit_code(), 1);
    let counts = summary.counts();
    assert_eq!(
        (counts.pass, counts.error, counts.skip, counts.total),
        (2, 1, 1, 4)
    );
    assert_eq!(project.value::<i64>("select count(*) from customers"), 3);
    assert_eq!(
        project.value::<i64>("select count(*) from duckdb_tables() where table_name in ('trace', 'customers__dbt_tmp')"),
        0,
        "the hook's work is undone with the model's"
    );

    change(&mut graph, "model.shop.customers").compiled_sql = "select 1,\n  nope".into();
    let summary = project.run(&graph, Command::Run);
    let message = message(&summary, "customers");
    assert!(
        message.contains("LINE 2:   nope"),
        "the line of the compiled SQL: {message}"
    );
}

#[test]
fn a_failing_test_stops_what_it_guards() {
    let project = Project::new();
    let mut graph = shop();
    let orders = project.root().join("seeds/raw_orders.csv");
    fs::write(
        &orders,
        "id,customer_id,amount,day\n1,1,-5,\n2,1,0,\n3,9,7,\n",
    )
    .unwrap();
    let positive = change(&mut graph, "test.shop.orders_positive");
    test_spec(positive).severity = Severity::Warn;
    let summary = project.run(&graph, Command::Build);
    assert_eq!(
        statuses(&summary)[4..],
        [
            ("orders_known", Status::Fail),
            ("orders_positive", Status::Warn),
            ("customers", Status::Skipped),
            ("customers_unique", Status::Skipped),
            ("report", Status::Skipped),
        ]
    );
    assert_eq!(
        message(&summary, "orders_known"),
        "Got 1 result, configured to fail if != 0"
    );
    assert_eq!(
        message(&summary, "orders_positive"),
        "Got 2 results, configured to warn if != 0"
    );
    assert_eq!(
        summary.get("test.shop.orders_positive").unwrap().failures,
        Some(2)
    );

    let known = test_spec(change(&mut graph, "test.shop.orders_known"));
    known.error_if = "> 1".into();
    known.limit = Some(1);
    let summary = project.run(&graph, Command::Build);
    assert_eq!(statuses(&summary)[4], ("orders_known", Status::Warn));
    assert_eq!(statuses(&summary)[8], ("report", Status::Success));
    assert_eq!(summary.exit_code(), 0, "warnings do not fail a build");
}

#[test]
fn fail_fast_starts_nothing_more() {
    let project = Project::new();
    fs::remove_file(project.root().join("seeds/raw_customers.csv")).unwrap();
    let options = Options {
        fail_fast: true,
        threads: 1,
        ..project.options()
    };
    let summary = run(&shop(), Command::Seed, &options, &mut Silent).unwrap();
    assert_eq!(
        statuses(&summary),
        [
            ("raw_customers", Status::Error),
            ("raw_orders", Status::Skipped)
        ]
    );
    assert_eq!(message(&summary, "raw_orders"), "Skipping due to fail_fast");
}

#[test]
fn a_view_becomes_a_table_and_back() {
    let project = Project::new();
    let mut graph = shop();
    project.run(&graph, Command::Build);
    let kind = |kind: Materialization, graph: &mut DbtGraph| {
        model_spec(change(graph, "model.shop.stg_orders")).materialized = kind;
        assert_eq!(project.run(graph, Command::Run).exit_code(), 0);
        project.value::<String>(
            "select table_type from information_schema.tables where table_name = 'stg_orders'",
        )
    };
    assert_eq!(kind(Materialization::Table, &mut graph), "BASE TABLE");
    assert_eq!(kind(Materialization::View, &mut graph), "VIEW");
}

fn contracted() -> DbtGraph {
    let mut node = model(
        Materialization::Table,
        "marts",
        "priced",
        &[],
        "select 'x' as note, 2.5::decimal(10, 2) as price, 1::bigint as id",
    );
    node.relation = Some(RelationName::in_schema("Mart", "priced"));
    node.columns = vec![
        declared("id", "int8", &[ConstraintKind::PrimaryKey]),
        declared("price", "decimal(10,2)", &[ConstraintKind::NotNull]),
        declared("note", "text", &[]),
    ];
    let spec = model_spec(&mut node);
    spec.contract_enforced = true;
    spec.contract_exact = true;
    spec.constraints = vec![Constraint {
        expression: Some("price < 100".into()),
        ..Constraint::of(ConstraintKind::Check)
    }];
    spec.indexes = vec![Index {
        columns: vec!["price".into()],
        unique: false,
    }];
    spec.post_hooks = vec!["insert into \"Mart\".\"priced\" values (2, 3, 'hook')".into()];
    graph(vec![node])
}

#[test]
fn an_enforced_contract_is_the_tables_definition() {
    let project = Project::new();
    let mut graph = contracted();
    for _ in 0..2 {
        let summary = project.run(&graph, Command::Run);
        assert_eq!(summary.exit_code(), 0, "{summary:#?}");
    }
    assert_eq!(
        project.value::<String>("select sql from duckdb_tables()"),
        "CREATE TABLE Mart.priced(id BIGINT PRIMARY KEY, price DECIMAL(10,2) NOT NULL, note VARCHAR, CHECK((price < 100)));"
    );
    assert_eq!(project.value::<i64>("select count(*) from Mart.priced"), 2);
    assert_eq!(
        project.value::<i64>("select count(*) from duckdb_indexes()"),
        1
    );

    let violations: [(&str, &str); 6] = [
        ("null, 1, ''", "NOT NULL constraint failed: priced.price"),
        ("1, n, '' from range(2) t(n), range(2)", "duplicate key"),
        ("500, 1, ''", "CHECK constraint failed"),
        (
            "2.5, 1",
            "`note` VARCHAR is declared, and the query does not return it",
        ),
        (
            "2.5, 1, '', 4",
            "`more` INTEGER is returned, and not declared",
        ),
        ("2.5, 1, 3", "`note` is INTEGER, declared VARCHAR"),
    ];
    for (sql, want) in violations {
        let names = ["price", "id", "note", "more"];
        let values = sql.split(" from ").next().unwrap();
        let names = names[..values.split(", ").count()].join(", ");
        change(&mut graph, "model.shop.priced").compiled_sql = format!(
            "select * replace (price::decimal(10, 2) as price, id::bigint as id) from (select {sql}) t({names})"
        );
        let summary = project.run(&graph, Command::Run);
        let message = message(&summary, "priced");
        assert!(message.contains(want), "{sql}: {message}");
    }
    assert_eq!(
        project.value::<i64>("select count(*) from Mart.priced"),
        2,
        "the table from before the violations is still there"
    );
}

#[test]
fn a_views_contract_is_checked() {
    let project = Project::new();
    let mut graph = contracted();
    let node = change(&mut graph, "model.shop.priced");
    let spec = model_spec(node);
    spec.materialized = Materialization::View;
    spec.post_hooks.clear();
    node.compiled_sql = "select 'x' as note, 2.5 as price, 1 as id".into();
    let message = message(&project.run(&graph, Command::Run), "priced");
    assert!(
        message.contains(
            "`id` is INTEGER, declared BIGINT; `price` is DECIMAL(2,1), declared DECIMAL(10,2)"
        ),
        "{message}"
    );
}

#[test]
fn a_bad_seed_row_names_file_and_line() {
    let project = Project::new();
    let typed = |ty: SqlType| graph(vec![seed("s", &[("a", ty), ("b", SqlType::Varchar)])]);
    let load = |text: &[u8], ty: SqlType| {
        fs::write(project.root().join("seeds/s.csv"), text).unwrap();
        let summary = project.run(&typed(ty), Command::Seed);
        (summary.results[0].status, message(&summary, "s"))
    };
    assert_eq!(load(b"a,b\n1,x\n", SqlType::Integer).0, Status::Success);
    for (text, ty, want) in [
        (
            &b"a,b\n1,x\n2,y,z\n"[..],
            SqlType::Integer,
            "seeds/s.csv:3: the row has 3 values, the header has 2",
        ),
        (
            b"a,b\n1,\"x\ny\"\n2\n",
            SqlType::Integer,
            "seeds/s.csv:4: the row has 1 value,",
        ),
        (
            b"a,b\n1,x\nten,y\n",
            SqlType::Integer,
            "seeds/s.csv:3: the value `ten` of the column `a` is not of type INTEGER",
        ),
        (
            b"a,b\n2024-01-01,x\n2024-13-01,y\n",
            SqlType::Date,
            "seeds/s.csv:3: the value `2024-13-01` of the column `a` is not of type DATE",
        ),
        (b"a,b\n1,\"x\n", SqlType::Integer, "seeds/s.csv:2: "),
        (
            b"a,b\n1,\xff\n",
            SqlType::Integer,
            "seeds/s.csv:2: value 2 is not UTF-8",
        ),
        (
            b"a,b,c\n",
            SqlType::Integer,
            "seeds/s.csv:1: the header has 3 columns, but 2 when",
        ),
    ] {
        let (status, message) = load(text, ty);
        assert_eq!(status, Status::Error);
        assert!(message.starts_with(want), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    assert_eq!(
        project.value::<String>("select b from s"),
        "x",
        "the old rows stay"
    );
}

#[test]
fn seed_values_are_those_of_dbt() {
    let project = Project::new();
    fs::write(
        project.root().join("seeds/s.csv"),
        "\u{feff}flag,day,at,text\r\ntrue,31/12/2024,2024-01-02 10:11:12,null\r\nf,01/12/2024,2024-01-02T10:11:12,#x\r\n,,,'q'\r\n",
    )
    .unwrap();
    let graph = graph(vec![seed(
        "s",
        &[
            ("flag", SqlType::Boolean),
            ("day", SqlType::Date),
            ("at", SqlType::Timestamp),
            ("text", SqlType::Varchar),
        ],
    )]);
    let summary = project.run(&graph, Command::Seed);
    assert_eq!(summary.exit_code(), 0, "{summary:#?}");
    assert_eq!(
        project.value::<String>("select string_agg(s::varchar, ' ' order by rowid) from s"),
        "{'flag': true, 'day': 2024-12-31, 'at': '2024-01-02 10:11:12', 'text': 'null'} \
         {'flag': false, 'day': 2024-12-01, 'at': '2024-01-02 10:11:12', 'text': #x} \
         {'flag': NULL, 'day': NULL, 'at': NULL, 'text': '\\'q\\''}"
    );
}

/// Writes down what it is told.
#[derive(Default)]
struct Log(Vec<String>);

impl Observer for Log {
    fn started(&mut self, index: usize, total: usize, item: Resource<'_>) {
        self.0
            .push(format!("{index}/{total} start {}", item.name()));
    }
    fn finished(&mut self, index: usize, total: usize, result: &NodeResult) {
        self.0
            .push(format!("{index}/{total} {} {}", result.status, result.name));
    }
}

#[test]
fn the_observer_sees_every_node() {
    let project = Project::new();
    let mut graph = shop();
    model_spec(change(&mut graph, "model.shop.stg_orders")).materialized =
        Materialization::Ephemeral;
    let options = Options {
        selection: Selection {
            select: vec!["+customers".into()],
            exclude: vec!["resource_type:test".into()],
            ..Selection::default()
        },
        threads: 1,
        ..project.options()
    };
    change(&mut graph, "model.shop.customers").compiled_sql = "select nope".into();
    let mut log = Log::default();
    run(&graph, Command::Build, &options, &mut log).unwrap();
    assert_eq!(
        log.0,
        [
            "1/4 start raw_customers",
            "1/4 success raw_customers",
            "2/4 start raw_orders",
            "2/4 success raw_orders",
            "3/4 start stg_customers",
            "3/4 success stg_customers",
            "4/4 start customers",
            "4/4 error customers",
        ]
    );
    assert_eq!(plan(&graph, Command::Build, &options).unwrap().len(), 4);
}

#[test]
fn many_models_in_parallel() {
    let project = Project::new();
    let mut nodes: Vec<Node> = (0..30)
        .map(|i| {
            let mut node = model(
                Materialization::Table,
                "many",
                &format!("m{i:02}"),
                &[],
                "select i, i % 7 as k from range(2000) t(i)",
            );
            let spec = model_spec(&mut node);
            spec.indexes = vec![Index {
                columns: vec!["i".into()],
                unique: true,
            }];
            // Every transaction writes the same row, so they conflict and must be tried again.
            spec.post_hooks = vec!["update built set n = n + 1".into()];
            node
        })
        .collect();
    let parents: Vec<String> = nodes.iter().map(|n| n.unique_id.clone()).collect();
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    let all: Vec<String> = (0..30).map(|i| format!("from m{i:02}")).collect();
    nodes.push(model(
        Materialization::View,
        "many",
        "total",
        &parents,
        &all.join(" union all "),
    ));
    let graph = graph(nodes);
    fs::create_dir_all(project.root().join("data")).unwrap();
    Connection::open(project.options().database)
        .unwrap()
        .execute_batch("create table built as select 0 as n")
        .unwrap();
    for _ in 0..2 {
        let summary = project.run(&graph, Command::Run);
        assert_eq!(summary.counts().pass, 31, "{:#?}", summary.results);
    }
    assert_eq!(project.value::<i64>("select count(*) from total"), 60_000);
    assert_eq!(project.value::<i32>("select n from built"), 60);
}

#[test]
fn what_keeps_a_run_from_starting() {
    let project = Project::new();
    let graph = shop();
    let mut options = project.options();

    options.selection.select = vec!["nothing_like_it".into()];
    let summary = run(&graph, Command::Build, &options, &mut Silent).unwrap();
    assert!(summary.is_empty());
    assert_eq!(summary.exit_code(), 0);
    assert!(!options.database.exists(), "nothing to run opens nothing");

    options.selection.select.clear();
    options.database = project.root().join("notes.txt");
    fs::write(&options.database, "not a database".repeat(1000)).unwrap();
    assert!(matches!(
        run(&graph, Command::Build, &options, &mut Silent),
        Err(RunError::NotADatabase { .. })
    ));

    let looped =
        |name: &str, parent: &str| model(Materialization::View, "", name, &[parent], "select 1");
    let cycle = crate::fixture::graph(vec![
        looped("a", "model.shop.b"),
        looped("b", "model.shop.a"),
    ]);
    assert_eq!(
        plan(&cycle, Command::Run, &options).unwrap_err(),
        RunError::Cycle {
            nodes: vec!["a".into(), "b".into()]
        }
    );
}
