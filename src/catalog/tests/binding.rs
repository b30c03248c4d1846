//! What binds, and to which columns.

use mxcp_artifact::{Relation, RelationName};

use super::{BINDER, columns, columns_of, only, reason_of, request, stub, with_parameters};
use crate::{BindOutcome, BindRequest, Binder};

const FAMILIES: [&str; 36] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "BIGNUM",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(10,2)",
    "DECIMAL(3,3)",
    "VARCHAR",
    "BLOB",
    "BIT",
    "DATE",
    "TIME",
    "TIME_NS",
    "TIME WITH TIME ZONE",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "INTERVAL",
    "UUID",
    "JSON",
    "ENUM('a', 'b''c')",
    "VARCHAR[]",
    "DOUBLE[3]",
    "MAP(VARCHAR, BIGINT)",
    "UNION(n INTEGER, s VARCHAR)",
];

#[test]
fn parameters_and_columns_keep_their_types() {
    let nested = "STRUCT(a INTEGER, \"B c\" STRUCT(d VARCHAR)[])";
    for ty in FAMILIES.iter().chain([&nested]) {
        let mut asked = with_parameters("SELECT $p AS p, c, [$p] AS l FROM one", &[("p", ty)]);
        asked.relations = vec![Relation {
            name: RelationName::main("one"),
            kind: mxcp_artifact::RelationKind::Table,
            columns: vec![mxcp_artifact::Column {
                name: "c".into(),
                ty: mxcp_artifact::SqlType::parse(ty),
                nullable: true,
            }],
        }];
        assert_eq!(columns_of(&asked), format!("p {ty}, c {ty}, l {ty}[]"));
    }
}

#[test]
fn duckdb_dialect_binds() {
    for (sql, wanted) in [
        ("FROM orders SELECT order_id", "order_id BIGINT"),
        (
            "SELECT [t || 'x' FOR t IN tags IF t <> ''] AS l FROM orders",
            "l VARCHAR[]",
        ),
        (
            "SELECT list_transform(tags, lambda t: length(t)) AS l FROM orders",
            "l BIGINT[]",
        ),
        (
            "SELECT order_id FROM orders QUALIFY row_number() OVER (ORDER BY placed) = 1",
            "order_id BIGINT",
        ),
        (
            "SELECT o.order_id, s.amount FROM orders o ASOF JOIN mart.sales s ON o.placed >= s.day",
            "order_id BIGINT, amount DOUBLE",
        ),
        (
            "SELECT address.geo.lat AS lat, address['city'] AS city FROM orders",
            "lat DOUBLE, city VARCHAR",
        ),
        (
            "SELECT sum(total) AS s, max(level) AS m FROM orders, customers GROUP BY ALL",
            "s DECIMAL(38,2), m ENUM('low', 'high')",
        ),
        (
            "PIVOT orders ON customer_id IN (1, 2) USING sum(total) GROUP BY placed",
            "placed DATE, 1 DECIMAL(38,2), 2 DECIMAL(38,2)",
        ),
        ("SELECT note->>'$.a' AS a FROM customers", "a VARCHAR"),
        (
            "SELECT * EXCLUDE (name, note, level) FROM customers",
            "customer_id INTEGER",
        ),
        (
            "WITH orders AS (SELECT placed FROM orders) SELECT * FROM orders",
            "placed DATE",
        ),
        (
            "DESCRIBE orders",
            "column_name VARCHAR, column_type VARCHAR, null VARCHAR, key VARCHAR, default VARCHAR, extra VARCHAR",
        ),
        ("-- nothing here", ""),
    ] {
        assert_eq!(columns(sql), wanted, "{sql}");
    }
}

#[test]
fn no_value_of_a_parameter_is_taken_for_an_error() {
    for (sql, parameters, wanted) in [
        (
            "SELECT order_id FROM orders LIMIT $n OFFSET $n",
            &[("n", "BIGINT")][..],
            "order_id BIGINT",
        ),
        (
            "SELECT order_id FROM orders WHERE customer_id IN $l",
            &[("l", "BIGINT[]")],
            "order_id BIGINT",
        ),
        (
            "SELECT date_trunc($p, placed) AS d FROM orders",
            &[("p", "VARCHAR")],
            "d TIMESTAMP",
        ),
        (
            "SELECT round(total, $n) AS r FROM orders",
            &[("n", "BIGINT")],
            "r DECIMAL(10,1)",
        ),
        (
            "SELECT placed + to_days($n::INTEGER) AS d FROM orders",
            &[("n", "BIGINT")],
            "d TIMESTAMP",
        ),
        (
            "SELECT strptime(name, $f) AS t FROM customers",
            &[("f", "VARCHAR")],
            "t TIMESTAMP",
        ),
        (
            "SELECT quantile_cont(total, $q) AS q FROM orders",
            &[("q", "DOUBLE")],
            "q DECIMAL(10,2)",
        ),
        (
            "SELECT order_id FROM orders WHERE ($c IS NULL OR customer_id = $c)",
            &[("c", "BIGINT")],
            "order_id BIGINT",
        ),
        (
            "SELECT CAST($d AS DATE) AS d",
            &[("d", "VARCHAR")],
            "d DATE",
        ),
        (
            "SELECT list_sort(tags, $o) AS l FROM orders",
            &[("o", "VARCHAR")],
            "l VARCHAR[]",
        ),
        (
            "INSERT INTO orders(order_id, placed) VALUES ($i, $d)",
            &[("i", "VARCHAR"), ("d", "VARCHAR")],
            "Count BIGINT",
        ),
    ] {
        assert_eq!(
            columns_of(&with_parameters(sql, parameters)),
            wanted,
            "{sql}"
        );
    }
}

#[test]
fn what_depends_on_data_is_opaque() {
    for sql in [
        "PIVOT orders ON customer_id USING sum(total)",
        "SELECT * FROM (PIVOT orders ON customer_id USING sum(total)) p WHERE p.anything = 1",
        "SELECT * FROM read_csv('x.csv')",
        "SELECT * FROM 'x.parquet'",
        "FROM query('SELECT 1')",
        "SELECT getvariable('x')",
        "SELECT st_point(1, 2)",
        "SELECT nextval('s')",
        "PRAGMA table_info('orders')",
    ] {
        reason_of(&request(sql));
    }
    for (sql, ty) in [
        ("SELECT * FROM read_csv($f)", "VARCHAR"),
        ("FROM query_table($f)", "VARCHAR"),
        ("SELECT address[$f] FROM orders", "VARCHAR"),
        ("SELECT COLUMNS($f) FROM orders", "VARCHAR"),
    ] {
        reason_of(&with_parameters(sql, &[("f", ty)]));
    }
}

#[test]
fn data_changes_have_a_result_too() {
    for (sql, wanted) in [
        ("INSERT INTO orders(order_id) VALUES (1)", "Count BIGINT"),
        (
            "INSERT INTO orders(order_id) VALUES ($x) RETURNING order_id, placed",
            "order_id BIGINT, placed DATE",
        ),
        (
            "UPDATE orders AS o SET total = $x WHERE o.order_id = 1 RETURNING o.total AS t",
            "t DECIMAL(10,2)",
        ),
        (
            "DELETE FROM orders USING customers c WHERE orders.customer_id = c.customer_id RETURNING orders.placed",
            "placed DATE",
        ),
        (
            "WITH i AS (INSERT INTO orders(order_id) VALUES (1) RETURNING *) SELECT placed FROM i",
            "placed DATE",
        ),
        (
            "MERGE INTO orders o USING customers c ON o.customer_id = c.customer_id WHEN MATCHED THEN DELETE",
            "Count BIGINT",
        ),
    ] {
        assert_eq!(
            columns_of(&with_parameters(sql, &[("x", "BIGINT")])),
            wanted,
            "{sql}"
        );
    }
}

#[test]
fn several_statements_bind_in_order_and_none_runs() {
    let sql = "DROP TABLE orders; CREATE TABLE x(i INTEGER); SELECT placed FROM orders";
    assert_eq!(columns(sql), "placed DATE");
    assert_eq!(columns("SELECT placed FROM orders"), "placed DATE");
    assert_eq!(
        columns(
            "CREATE TEMP TABLE big AS SELECT order_id, total FROM orders; SELECT total FROM big"
        ),
        "total DECIMAL(10,2)"
    );
    assert!(matches!(
        BINDER.bind(&request("SELECT * FROM big")),
        BindOutcome::Failed(_)
    ));
    reason_of(&request(
        "ATTACH 'other.db' AS other; SELECT * FROM other.t",
    ));
    assert_eq!(columns("SET threads = 1; SELECT 1 AS one"), "one INTEGER");
}

#[test]
fn functions_of_the_runtime_are_known_by_their_stub() {
    let mut asked = request("SELECT get_username() AS u, score(order_id, 'x') AS s FROM orders");
    asked.functions = vec![
        stub("get_username", &[], "VARCHAR"),
        stub("score", &["BIGINT", "VARCHAR"], "DOUBLE[]"),
    ];
    assert_eq!(columns_of(&asked), "u VARCHAR, s DOUBLE[]");
    asked.functions.pop();
    assert!(matches!(BINDER.bind(&asked), BindOutcome::Failed(_)));
}

#[test]
fn other_databases_are_stood_in_for() {
    let mut asked = request("SELECT u.id, o.order_id FROM crm.public.users u, orders o");
    asked.relations.push(Relation {
        name: RelationName {
            catalog: Some("crm".into()),
            schema: "public".into(),
            name: "users".into(),
        },
        ..only(&["customers"]).remove(0)
    });
    asked.sql = asked.sql.replace("u.id", "u.name");
    assert_eq!(columns_of(&asked), "name VARCHAR, order_id BIGINT");
}

#[test]
fn an_outcome_depends_on_the_request_alone() {
    let binder = crate::DuckDbBinder::new();
    let asked: Vec<BindRequest> = [
        ("SELECT placed FROM orders", &["orders"][..]),
        ("SELECT placed FROM orders", &[]),
        ("SELECT amount FROM mart.sales", &["customers"]),
        ("SELECT amount FROM mart.sales", &["sales"]),
        ("SELECT nmae FROM customers", &["customers"]),
        (
            "SELECT name FROM customers, sales",
            &["customers", "orders"],
        ),
    ]
    .iter()
    .map(|(sql, names)| BindRequest {
        relations: only(names),
        ..request(sql)
    })
    .collect();
    let fresh: Vec<BindOutcome> = asked
        .iter()
        .map(|r| crate::DuckDbBinder::new().bind(r))
        .collect();
    for order in [[0, 1, 2, 3, 4, 5], [5, 3, 2, 0, 4, 1], [3, 2, 1, 0, 5, 4]] {
        for i in order {
            assert_eq!(binder.bind(&asked[i]), fresh[i], "{}", asked[i].sql);
        }
    }
}

#[test]
fn the_engines_own_examples_are_never_refused() {
    let conn = duckdb::Connection::open_in_memory().unwrap();
    let mut statement = conn
        .prepare("SELECT DISTINCT unnest(examples) AS e FROM duckdb_functions() ORDER BY e")
        .unwrap();
    let examples: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut bound = 0;
    for example in examples {
        let sql = format!("SELECT {example}");
        if conn.execute_batch(&sql).is_err() {
            continue;
        }
        match BINDER.bind(&request(&sql)) {
            BindOutcome::Bound { columns } => bound += usize::from(!columns.is_empty()),
            other => panic!("{sql}\n{other:#?}"),
        }
    }
    assert!(bound > 400, "{bound}");
}
