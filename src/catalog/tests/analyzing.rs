//! What a text reads, calls and may do.

use super::{BINDER, at};
use crate::{Binder, SqlErrorKind, Statement, StatementKind};

#[track_caller]
fn only(sql: &str) -> Statement {
    let mut analysis = BINDER.analyze(sql);
    assert_eq!(analysis.errors, [], "{sql}");
    assert_eq!(analysis.statements.len(), 1, "{sql}");
    analysis.statements.remove(0)
}

#[track_caller]
fn reads(sql: &str) -> Vec<String> {
    let statement = only(sql);
    let mut names = Vec::new();
    for table in &statement.relations {
        let parts = [
            table.catalog.as_deref(),
            table.schema.as_deref(),
            Some(table.name.as_str()),
        ];
        let name = parts
            .iter()
            .flatten()
            .copied()
            .collect::<Vec<_>>()
            .join(".");
        if let Some(range) = &table.range {
            assert_eq!(
                sql[range.start as usize..range.end as usize].replace('"', ""),
                name,
                "{sql}"
            );
        } else {
            panic!("{name} has no place in {sql}");
        }
        names.push(name);
    }
    names
}

#[test]
fn relations_are_found_wherever_they_stand() {
    for (sql, wanted) in [
        (
            "SELECT a + $x FROM t WHERE b IN (SELECT c FROM s.u)",
            &["t", "s.u"][..],
        ),
        (
            "WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a) SELECT * FROM b, c",
            &["t", "c"],
        ),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", &["t"]),
        (
            "WITH b AS (SELECT * FROM c), c AS (SELECT 1) SELECT * FROM b",
            &["c"],
        ),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i FROM r, t) SELECT * FROM r",
            &["t"],
        ),
        (
            "SELECT (WITH q AS (SELECT * FROM t) SELECT max(a) FROM q), q.a FROM q",
            &["t", "q"],
        ),
        (
            "SELECT 1 FROM s.q, (WITH q AS (SELECT 1) SELECT * FROM s.q)",
            &["s.q", "s.q"],
        ),
        (
            "FROM \"Big t\" UNION ALL FROM cat.sch.u",
            &["Big t", "cat.sch.u"],
        ),
        (
            "SELECT list_filter([1], lambda x: x IN (SELECT a FROM t))",
            &["t"],
        ),
        ("PIVOT t ON a IN (1) USING sum(b)", &["t"]),
        ("PIVOT t ON a USING sum(b)", &["t"]),
        (
            "WITH q AS (SELECT extract(year FROM d) AS y, b FROM t, u) \
             SELECT * FROM (PIVOT q ON y, year(d) USING sum(b) GROUP BY c), v",
            &["t", "u", "v"],
        ),
        ("SUMMARIZE t", &["t"]),
        ("DESCRIBE t", &["t"]),
        ("TABLE t", &["t"]),
        (
            "SELECT * FROM information_schema.tables, duckdb_tables, range(3)",
            &[],
        ),
        (
            "INSERT INTO s.t (a) SELECT a FROM u WHERE a = $x",
            &["s.t", "u"],
        ),
        (
            "WITH q AS (SELECT * FROM u) INSERT INTO t SELECT * FROM q",
            &["u", "t"],
        ),
        (
            "UPDATE t AS x SET a = u.a FROM u WHERE x.b = u.b",
            &["t", "u"],
        ),
        ("DELETE FROM t USING u WHERE t.a = u.a", &["t", "u"]),
        (
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
            &["t", "u"],
        ),
        ("CREATE OR REPLACE TABLE x AS SELECT * FROM t", &["t"]),
        ("CREATE VIEW x AS WITH q AS (FROM t) FROM q", &["t"]),
        ("COPY (SELECT * FROM t) TO 'x.csv'", &["t"]),
        ("COPY t TO 'x.csv'", &["t"]),
        ("COPY t FROM 'x.csv'", &["t"]),
        ("EXPLAIN SELECT * FROM t", &["t"]),
        ("DROP TABLE t", &["t"]),
        ("DROP TABLE IF EXISTS t", &[]),
        ("ALTER TABLE t ADD COLUMN x INTEGER", &["t"]),
    ] {
        assert_eq!(reads(sql), wanted, "{sql}");
    }
}

#[test]
fn effects_cover_every_node() {
    for (sql, flags) in [
        ("SELECT a FROM t", "---"),
        (
            "WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM a",
            "w--",
        ),
        ("SELECT (SELECT nextval('s'))", "w-v"),
        ("SELECT now()", "--v"),
        ("SELECT current_date", "--v"),
        ("SELECT ago(INTERVAL 1 DAY)", "--v"),
        ("SELECT 1 WHERE random() > 0.5", "--v"),
        ("SELECT * FROM t TABLESAMPLE 10%", "--v"),
        ("SELECT * FROM read_csv('x.csv')", "-e-"),
        ("SELECT * FROM t JOIN 's3://b/x.parquet' USING (a)", "-e-"),
        ("SELECT * FROM glob('*')", "-e-"),
        ("SELECT * FROM some_extension_scan('x')", "-e-"),
        ("SELECT * FROM range(3), unnest([1])", "---"),
        ("INSERT INTO t SELECT * FROM read_json('x')", "we-"),
        ("COPY t TO 'x.csv'", "we-"),
        ("ATTACH 'x.db'", "we-"),
        ("INSTALL httpfs", "we-"),
        ("DROP TABLE t", "w--"),
        ("CREATE TABLE x AS SELECT random()", "w-v"),
        ("SET threads = 1", "---"),
        ("BEGIN", "---"),
        ("EXPLAIN INSERT INTO t VALUES (1)", "--v"),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "w-v"),
        ("CALL pragma_version()", "w--"),
        ("CHECKPOINT", "w--"),
    ] {
        let effects = only(sql).effects;
        let flag = |on: bool, c: char| if on { c } else { '-' };
        let found: String = [
            flag(effects.writes, 'w'),
            flag(effects.external, 'e'),
            flag(effects.volatile, 'v'),
        ]
        .iter()
        .collect();
        assert_eq!(found, flags, "{sql}");
    }
}

#[test]
fn one_row_is_proved_or_not_claimed() {
    for sql in [
        "SELECT count(*), max(a) FROM t",
        "SELECT a FROM t ORDER BY b LIMIT 1",
        "SELECT 1, $x",
        "VALUES (1)",
        "SELECT a FROM t UNION SELECT b FROM u LIMIT 1",
        "INSERT INTO t VALUES (1)",
    ] {
        assert!(only(sql).single_row, "{sql}");
    }
    for sql in [
        "SELECT a FROM t",
        "SELECT sum(a) FROM t GROUP BY b",
        "SELECT sum(a) FROM t GROUP BY ALL",
        "SELECT sum(a) FROM t GROUP BY GROUPING SETS ((a), ())",
        "SELECT sum(a) OVER () FROM t",
        "SELECT unnest([1, 2])",
        "SELECT unnest(list(a)) FROM t",
        "SELECT a FROM t LIMIT 1%",
        "SELECT a FROM t LIMIT $n",
        "SELECT (SELECT max(a) FROM t) FROM u",
        "VALUES (1), (2)",
        "SELECT max(a) FROM t UNION ALL SELECT 1",
        "INSERT INTO t VALUES (1) RETURNING *",
    ] {
        assert!(!only(sql).single_row, "{sql}");
    }
}

#[test]
fn statements_and_their_kinds() {
    let sql =
        " /* ; */ SELECT ';' ;;\n CREATE TEMP TABLE x AS SELECT 1; FROM x -- end\n; LOAD json";
    let analysis = BINDER.analyze(sql);
    let found: Vec<(&StatementKind, &str)> = analysis
        .statements
        .iter()
        .map(|s| (&s.kind, &sql[s.range.start as usize..s.range.end as usize]))
        .collect();
    assert_eq!(
        found,
        [
            (&StatementKind::Select, "SELECT ';'"),
            (&StatementKind::Create, "CREATE TEMP TABLE x AS SELECT 1"),
            (&StatementKind::Select, "FROM x"),
            (&StatementKind::Load, "LOAD json"),
        ]
    );
    assert_eq!(analysis.statements[2].relations, []);
    assert_eq!(only("VACUUM").kind, StatementKind::Other("VACUUM".into()));
}

#[test]
fn a_syntax_error_does_not_hide_the_rest() {
    let sql = "SELECT 1; SELECT FROM WHERE; SELECT 'abc";
    let analysis = BINDER.analyze(sql);
    assert_eq!(analysis.statements.len(), 1);
    let found: Vec<(SqlErrorKind, &str)> = analysis
        .errors
        .iter()
        .map(|e| (e.kind, at(sql, e)))
        .collect();
    assert_eq!(
        found,
        [
            (SqlErrorKind::Syntax, "WHERE"),
            (SqlErrorKind::Syntax, "'abc")
        ]
    );
    assert!(analysis.errors.iter().all(|e| e.range.is_some()));
}

#[test]
fn functions_and_depth() {
    let statement = only(
        "SELECT Sum(a), count(*), upper(b) || 'x', row_number() OVER () FROM t, generate_series(1, 2)",
    );
    assert_eq!(
        statement.functions,
        ["count", "generate_series", "row_number", "sum", "upper"]
    );
    assert!(BINDER.functions().contains("date_trunc"));
    let deep = format!("SELECT a {} FROM t", "|| a ".repeat(300));
    assert_eq!(reads(&deep), ["t"]);
}
