//! The database layer against a real DuckDB.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mxcp_artifact::manifest::Limits;
use mxcp_artifact::{TypeDef, TypeKind};
use mxcp_python::Cell;
use serde_json::{Value, json};

use super::SqlError;
use super::bind::declared_type;
use super::execute::{Argument, Bounds, run};
use super::ffi::Engine;
use super::functions::{self, Facts, Registry};
use super::json::JsonBuild;
use super::pool::Pool;
use super::watchdog::{Cancel, Watchdog};

pub(super) struct Db {
    _dir: tempfile::TempDir,
    pool: Pool,
    watchdog: Watchdog,
    limits: Limits,
    cancel: Cancel,
}

impl Db {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pool = pool(&dir.path().join("t.duckdb"), "READ_WRITE");
        Self {
            _dir: dir,
            pool,
            watchdog: Watchdog::default(),
            limits: Limits::default(),
            cancel: Cancel::default(),
        }
    }

    fn run_as(&self, facts: Facts, sql: &str, args: &[Argument]) -> Result<Value, SqlError> {
        let mut lease = self.pool.lease(Arc::new(facts))?;
        let table = run(
            &mut lease,
            sql,
            args,
            &JsonBuild::default(),
            &|_, _| None,
            &Bounds {
                limits: &self.limits,
                watchdog: &self.watchdog,
                cancel: &self.cancel,
                exact: false,
                cut: false,
            },
        )?;
        Ok(crate::output::shape_rows(table, None).unwrap())
    }

    pub(super) fn run(&self, sql: &str, args: &[(&str, Cell)]) -> Result<Value, SqlError> {
        let args: Vec<Argument> = args
            .iter()
            .map(|(name, value)| Argument {
                name: (*name).to_owned(),
                value: value.clone(),
                ty: None,
            })
            .collect();
        self.run_as(Facts::default(), sql, &args)
    }

    #[track_caller]
    fn value(&self, expression: &str) -> Value {
        self.run(&format!("SELECT {expression} AS v"), &[]).unwrap()[0]["v"].clone()
    }
}

fn pool(path: &Path, mode: &str) -> Pool {
    let engine = Engine::open(path.to_str().unwrap(), &[("access_mode", mode)]).unwrap();
    let engine = Arc::new(engine);
    let registry = Arc::new(Registry::default());
    let mut connection = engine.connect().unwrap();
    functions::register(&mut connection, &registry).unwrap();
    drop(connection);
    Pool::new(engine, registry, Duration::from_secs(5), None, None)
}

fn exact(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap()
}

#[test]
fn every_type_has_its_json() {
    let db = Db::new();
    for (expression, wanted) in [
        ("1::TINYINT", json!(1)),
        ("18446744073709551615::UBIGINT", json!(u64::MAX)),
        ("(SELECT sum(x) FROM range(4) t(x))", json!(6)),
        (
            "170141183460469231731687303715884105727::HUGEINT",
            exact("170141183460469231731687303715884105727"),
        ),
        (
            "340282366920938463463374607431768211455::UHUGEINT",
            exact("340282366920938463463374607431768211455"),
        ),
        (
            "(-12345678901234567890123)::BIGNUM",
            exact("-12345678901234567890123"),
        ),
        ("10.50::DECIMAL(10,2)", json!(10.5)),
        (
            "12345678901234567890.123::DECIMAL(30,3)",
            exact("12345678901234567890.123"),
        ),
        ("0.1::FLOAT", json!(0.1)),
        ("'nan'::DOUBLE", Value::Null),
        ("'-inf'::DOUBLE", Value::Null),
        ("NULL::DOUBLE", Value::Null),
        ("true", json!(true)),
        ("DATE '2024-01-31'", json!("2024-01-31")),
        ("TIME '10:11:12.5'", json!("10:11:12.500000")),
        ("'10:11:12+02'::TIMETZ", json!("10:11:12+02:00")),
        (
            "TIMESTAMP '2024-01-31 10:11:12'",
            json!("2024-01-31T10:11:12"),
        ),
        (
            "'2024-01-31 10:11:12.000000001'::TIMESTAMP_NS",
            json!("2024-01-31T10:11:12.000000001"),
        ),
        (
            "'2024-01-31 10:11:12'::TIMESTAMP_S",
            json!("2024-01-31T10:11:12"),
        ),
        (
            "'2024-01-31 10:11:12+02'::TIMESTAMPTZ",
            json!("2024-01-31T08:11:12+00:00"),
        ),
        ("INTERVAL '1 day 90 minutes'", json!("P1DT1H30M")),
        ("'infinity'::DATE", json!("infinity")),
        (
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID",
            json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        ("'ab'::BLOB", json!("YWI=")),
        ("'0101'::BIT", json!("0101")),
        ("'b'::ENUM('a', 'b')", json!("b")),
        ("'{\"a\": 1}'::JSON", json!("{\"a\": 1}")),
        ("[1, NULL, 3]", json!([1, null, 3])),
        ("[[DATE '2024-01-31'], []]", json!([["2024-01-31"], []])),
        ("[1, 2]::INTEGER[2]", json!([1, 2])),
        (
            "{'a': 'a text beyond inlining', 'b': {'c': [1.5]}}",
            json!({"a": "a text beyond inlining", "b": {"c": [1.5]}}),
        ),
        ("MAP {'k': 1, 'l': NULL}", json!({"k": 1, "l": null})),
        ("MAP {1: 'x'}", json!({"1": "x"})),
        (
            "union_value(num := 2)::UNION(str VARCHAR, num INTEGER)",
            json!(2),
        ),
        ("NULL", Value::Null),
        ("row(1, 'x', NULL)", json!([1, "x", null])),
        (
            "{'b': [1, NULL, 'x'::VARIANT], 'a': DATE '2024-01-31'}::VARIANT",
            json!({"a": "2024-01-31", "b": [1, null, "x"]}),
        ),
        (
            "MAP {'nan'::DOUBLE: 1, 'inf'::DOUBLE: 2}",
            json!({"NaN": 1, "Infinity": 2}),
        ),
        (
            "MAP {1::VARIANT: 'a', '1'::VARIANT: 'b'}",
            json!([{"key": 1, "value": "a"}, {"key": "1", "value": "b"}]),
        ),
    ] {
        assert_eq!(db.value(expression), wanted, "{expression}");
    }
}

#[test]
fn many_rows_come_in_order() {
    let db = Db::new();
    let rows = db
        .run(
            "SELECT i, [i, i + 1] AS l, {'s': 'row ' || i} AS s FROM range(5000) t(i)",
            &[],
        )
        .unwrap();
    assert_eq!(
        rows[4999],
        json!({"i": 4999, "l": [4999, 5000], "s": {"s": "row 4999"}})
    );
}

#[test]
fn parameters_are_bound_by_type() {
    let db = Db::new();
    let args = |value: Value| -> Vec<(&'static str, Cell)> {
        let Value::Object(fields) = value else {
            return Vec::new();
        };
        fields
            .into_iter()
            .map(|(name, value)| (&*name.leak(), Cell::from_json(&value)))
            .collect()
    };
    let one = |sql: &str, values: Value| db.run(sql, &args(values)).unwrap()[0]["v"].clone();
    assert_eq!(one("SELECT typeof($n) AS v", json!({"n": 5})), "INTEGER");
    assert_eq!(
        one("SELECT typeof($n) AS v", json!({"n": 1i64 << 40})),
        "BIGINT"
    );
    assert_eq!(one("SELECT typeof($N) AS v", json!({"n": 1.5})), "DOUBLE");
    assert_eq!(
        one(
            "SELECT DATE '2024-01-01' + $n AS v",
            json!({"n": 5, "unused": 1})
        ),
        "2024-01-06"
    );
    assert_eq!(
        one(
            "SELECT count(*) AS v FROM range(9) t(x) WHERE x IN (SELECT unnest($ids))",
            json!({"ids": [1, 3, 99]})
        ),
        2
    );
    assert_eq!(one("SELECT len($ids) AS v", json!({"ids": []})), 0);
    assert_eq!(
        one(
            "SELECT $o.key || '/' || $o.l[2] AS v",
            json!({"o": {"key": "a", "l": [1, 2]}})
        ),
        "a/2"
    );
    assert_eq!(one("SELECT $x IS NULL AS v", json!({"x": null})), true);
    assert_eq!(db.run("SELECT $x", &[]), Err(SqlError::Missing("x".into())));
    let bound = |cell: Cell| {
        db.run("SELECT typeof($c) AS t, $c AS v", &[("c", cell)])
            .unwrap()[0]
            .clone()
    };
    assert_eq!(
        bound(Cell::Decimal("-1.50".into())),
        json!({"t": "DECIMAL(3,2)", "v": -1.5})
    );
    assert_eq!(
        bound(Cell::Date { days: 19_753 }),
        json!({"t": "DATE", "v": "2024-01-31"})
    );
    assert_eq!(
        bound(Cell::Uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into()))["t"],
        "UUID"
    );
    assert_eq!(
        bound(Cell::Map(vec![(
            Cell::Text("a".into()),
            Cell::Bytes(vec![1])
        )]))["t"],
        "MAP(VARCHAR, BLOB)"
    );
}

#[test]
fn declared_nulls_keep_their_type() {
    let db = Db::new();
    let typeof_null = |ty: Value| {
        let ty: TypeDef = serde_json::from_value(ty).unwrap();
        let argument = Argument {
            name: "p".into(),
            value: Cell::Null,
            ty: Some(declared_type(&ty)),
        };
        db.run_as(Facts::default(), "SELECT typeof($p) AS v", &[argument])
            .unwrap()[0]["v"]
            .clone()
    };
    assert_eq!(
        typeof_null(json!({"type": "string", "format": "date"})),
        "DATE"
    );
    assert_eq!(
        typeof_null(json!({"type": "array", "items": {"type": "number"}})),
        "DOUBLE[]"
    );
    let object =
        json!({"type": "object", "properties": [{"name": "a", "type": {"type": "integer"}}]});
    assert_eq!(typeof_null(object.clone()), "STRUCT(a INTEGER)");
    // A declared property that is not given is null, and can be used.
    let ty: TypeDef = serde_json::from_value(object).unwrap();
    let argument = Argument {
        name: "p".into(),
        value: Cell::Struct(vec![("b".into(), Cell::Int(2))]),
        ty: Some(declared_type(&ty)),
    };
    assert_eq!(
        db.run_as(Facts::default(), "SELECT $p.a AS a, $p.b AS b", &[argument]),
        Ok(json!([{"a": null, "b": 2}]))
    );
    assert_eq!(
        declared_type(&TypeDef::new(TypeKind::Object)).to_string(),
        "\"NULL\""
    );
}

#[test]
fn scripts_run_in_order_and_give_the_last_result() {
    let db = Db::new();
    assert_eq!(db.run("CREATE TABLE t (a INTEGER)", &[]), Ok(json!([])));
    assert_eq!(
        db.run("INSERT INTO t VALUES (1), ($x)", &[("x", Cell::Int(2))]),
        Ok(json!([{"Count": 2}]))
    );
    assert_eq!(
        db.run("INSERT INTO t VALUES (3) RETURNING a", &[]),
        Ok(json!([{"a": 3}]))
    );
    let script = "-- first\nCREATE TEMP TABLE s AS SELECT a FROM t WHERE a > $x; SELECT count(*) AS n FROM s;";
    for _ in 0..2 {
        // The temporary table of one call is not there in the next.
        assert_eq!(
            db.run(script, &[("x", Cell::Int(1))]),
            Ok(json!([{"n": 2}]))
        );
    }
    assert_eq!(
        db.run("SELECT a AS x, a + 1 AS x FROM t WHERE a = 1", &[]),
        Ok(json!([{"x": 1, "x_1": 2}]))
    );
    assert_eq!(
        db.run("PIVOT (SELECT 'k' AS k, 1 AS v) ON k USING sum(v)", &[]),
        Ok(json!([{"k": 1}]))
    );
    assert!(matches!(
        db.run("-- nothing", &[]),
        Err(SqlError::Engine(_))
    ));
    let Err(SqlError::Engine(text)) = db.run("SELECT nope FROM t", &[]) else {
        panic!("the column does not exist");
    };
    assert!(text.starts_with("Binder Error"), "{text}");
    // A transaction that a script leaves open does not reach the next caller.
    db.run("BEGIN; INSERT INTO t VALUES (9)", &[]).unwrap();
    assert_eq!(
        db.run("SELECT count(*) AS n FROM t", &[]),
        Ok(json!([{"n": 3}]))
    );
}

#[test]
fn too_many_rows_roll_a_change_back() {
    let mut db = Db::new();
    db.run("CREATE TABLE t AS SELECT range AS a FROM range(10000)", &[])
        .unwrap();
    db.limits.rows = 100;
    let change = "UPDATE t SET a = -1 RETURNING a";
    for change in [
        change,
        "BEGIN; UPDATE t SET a = -1 RETURNING a",
        "WITH x AS (UPDATE t SET a = -1 RETURNING a) SELECT * FROM x",
    ] {
        for _ in 0..2 {
            assert_eq!(db.run(change, &[]), Err(SqlError::TooManyRows(100)));
            assert_eq!(
                db.run("SELECT count(*) AS n FROM t WHERE a = -1", &[]),
                Ok(json!([{"n": 0}]))
            );
        }
    }
    db.limits.rows = 10_000;
    assert_eq!(
        db.run(change, &[]).unwrap().as_array().map(Vec::len),
        Some(10_000)
    );
    assert_eq!(
        db.run("SELECT count(*) AS n FROM t WHERE a = -1", &[]),
        Ok(json!([{"n": 10_000}]))
    );
}

fn caller(name: &str) -> Facts {
    Facts {
        username: Some(name.into()),
        headers: Some(BTreeMap::from([(
            "x-team".to_owned(),
            format!("team of {name}"),
        )])),
        ..Facts::default()
    }
}

#[test]
fn the_caller_is_right_on_every_thread_and_call() {
    let db = Db::new();
    db.run("SET GLOBAL threads = 8", &[]).unwrap();
    db.run("CREATE VIEW me AS SELECT get_username() AS u", &[])
        .unwrap();
    for name in ["ann", "bob", "ann"] {
        let run = |sql: &str| db.run_as(caller(name), sql, &[]).unwrap()[0].clone();
        // The same texts each time: a kept plan would show the previous caller.
        assert_eq!(run("SELECT get_username() AS v")["v"], name);
        assert_eq!(run("SELECT u AS v FROM me")["v"], name);
        assert_eq!(
            run("SELECT get_request_header('X-Team') AS v")["v"],
            format!("team of {name}")
        );
        // Not constant, over enough rows for several threads, more of them than the machine has.
        let rows = run(
            "SELECT count(*) AS n, count(DISTINCT h) AS d, min(h) AS h FROM (SELECT get_request_header(if(i % 2 = 0, 'x-team', 'X-TEAM')) AS h FROM range(3000000) t(i))",
        );
        assert_eq!(
            rows,
            json!({"n": 3_000_000, "d": 1, "h": format!("team of {name}")})
        );
    }
    assert_eq!(db.value("get_username()"), Value::Null);
    assert_eq!(db.value("get_request_headers_json()"), Value::Null);
}

#[test]
fn limits_and_cancellation_end_statements() {
    let mut db = Db::new();
    db.limits.rows = 100;
    assert_eq!(
        db.run("SELECT * FROM range(10000000)", &[]),
        Err(SqlError::TooManyRows(100))
    );
    db.limits.bytes = 1000;
    assert_eq!(
        db.run("SELECT repeat('x', 5000) AS v", &[]),
        Err(SqlError::TooManyBytes(1000))
    );
    db.limits.timeout_ms = 100;
    let endless = "SELECT count(*) FROM range(1000000000) a, range(1000000) b";
    let started = Instant::now();
    assert_eq!(db.run(endless, &[]), Err(SqlError::TimedOut(100)));
    assert!(started.elapsed() < Duration::from_secs(20));
    db.limits.timeout_ms = 60_000;
    let cancel = db.cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        cancel.cancel();
    });
    assert_eq!(db.run(endless, &[]), Err(SqlError::Cancelled));
    thread.join().unwrap();
    assert_eq!(db.run("SELECT 1", &[]), Err(SqlError::Cancelled));
    db.cancel = Cancel::default();
    assert_eq!(db.value("1"), 1);
}

#[test]
fn a_read_only_database_refuses_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.duckdb");
    let writable = Engine::open(path.to_str().unwrap(), &[]).unwrap();
    let mut connection = Arc::new(writable).connect().unwrap();
    connection.batch("CREATE TABLE t (a INTEGER)").unwrap();
    drop(connection);
    let db = Db {
        pool: pool(&path, "READ_ONLY"),
        _dir: dir,
        watchdog: Watchdog::default(),
        limits: Limits::default(),
        cancel: Cancel::default(),
    };
    for (sql, ty) in [
        ("CREATE TABLE u (a INTEGER)", "CREATE"),
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("TRUNCATE t", "DELETE"),
        (
            "MERGE INTO t USING (SELECT 1 AS a) x ON t.a = x.a WHEN MATCHED THEN DELETE",
            "MERGE_INTO",
        ),
    ] {
        let Err(SqlError::Engine(text)) = db.run(sql, &[]) else {
            panic!("the database is read-only");
        };
        let wanted = format!("statement of type \"{ty}\" on database \"t\"");
        assert!(text.contains(&wanted), "{sql}: {text}");
    }
    assert_eq!(
        db.run_as(caller("ann"), "SELECT get_username() AS v", &[]),
        Ok(json!([{"v": "ann"}]))
    );
}

#[test]
fn connections_are_shared_by_many_callers() {
    let db = Db::new();
    std::thread::scope(|scope| {
        for i in 0..20 {
            let db = &db;
            scope.spawn(move || {
                let name = format!("user {i}");
                for _ in 0..20 {
                    let rows = db.run_as(caller(&name), "SELECT get_username() AS v", &[]);
                    assert_eq!(rows, Ok(json!([{"v": name}])));
                }
            });
        }
    });
}
