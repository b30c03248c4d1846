//! Every mistake of a text, each at its place.

use super::{at, errors_of, only, request, stub, with_parameters};
use crate::{BindRequest, SqlErrorKind};

#[track_caller]
fn places(sql: &str) -> Vec<(SqlErrorKind, &str)> {
    let mut asked = with_parameters(sql, &[("x", "BIGINT")]);
    asked.functions = vec![stub("score", &["BIGINT"], "DOUBLE")];
    errors_of(&asked)
        .iter()
        .map(|e| (e.kind, at(sql, e)))
        .collect()
}

use SqlErrorKind::{
    Ambiguous, Binder, Other, Syntax, UnknownColumn, UnknownFunction, UnknownTable,
};

#[test]
fn one_mistake_is_placed() {
    for (sql, kind, place) in [
        ("SELECT totl FROM orders", UnknownColumn, "totl"),
        ("SELECT orders.totl FROM orders", UnknownColumn, "totl"),
        ("SELECT x.total FROM orders o", UnknownColumn, "x"),
        ("SELECT address.town FROM orders", UnknownColumn, "town"),
        (
            "SELECT o.address.geo.lon FROM orders o",
            UnknownColumn,
            "lon",
        ),
        ("SELECT 1 FROM main.ordrs", UnknownTable, "ordrs"),
        ("SELECT 1 FROM nowhere.orders x", UnknownTable, "orders"),
        ("SELECT summ(total) FROM orders", UnknownFunction, "summ"),
        ("SELECT score(totl) FROM orders", UnknownColumn, "totl"),
        (
            "SELECT customer_id FROM orders, customers",
            Ambiguous,
            "customer_id",
        ),
        ("SELECT sum(name) FROM customers", Binder, "sum(name)"),
        ("SELECT name + $x FROM customers", Binder, "+"),
        ("SELECT placed, sum(total) FROM orders", Binder, "placed"),
        (
            "SELECT * EXCLUDE (nme) FROM customers",
            UnknownColumn,
            "nme",
        ),
        ("UPDATE orders SET totl = 1", UnknownColumn, "totl"),
        (
            "INSERT INTO orders(order_id, totl) VALUES (1, 2)",
            UnknownColumn,
            "totl",
        ),
        ("INSERT INTO ordrs VALUES (1)", UnknownTable, "ordrs"),
        ("DELETE FROM orders WHERE totl = 1", UnknownColumn, "totl"),
        (
            "CREATE TABLE x AS SELECT totl FROM orders",
            UnknownColumn,
            "totl",
        ),
        (
            "WITH q AS (SELECT placed FROM orders) SELECT total FROM q",
            UnknownColumn,
            "total",
        ),
        ("SELECT $y", Other, "$y"),
        ("SELECT order_id,, total FROM orders", Syntax, ","),
        ("SELEC 1", Syntax, "SELEC"),
        ("SELECT $x + ?", Syntax, "SELECT"),
        ("SELECT 'é', totl FROM orders", UnknownColumn, "totl"),
        ("SELECT\u{a0}totl FROM\u{3000}orders", UnknownColumn, "totl"),
    ] {
        assert_eq!(places(sql), [(kind, place)], "{sql}");
    }
}

#[test]
fn independent_mistakes_are_all_found() {
    assert_eq!(
        places(
            "SELECT summ(total), totl, b, sum(placd) FROM orders WHERE xx = 1 GROUP BY yy ORDER BY zz"
        ),
        [
            (UnknownFunction, "summ"),
            (UnknownColumn, "totl"),
            (UnknownColumn, "b"),
            (UnknownColumn, "placd"),
            (UnknownColumn, "xx"),
            (UnknownColumn, "yy"),
            (UnknownColumn, "zz"),
        ]
    );
    assert_eq!(
        places("WITH q AS (SELECT totl FROM orders) SELECT totl, upper(nope) FROM q"),
        [(UnknownColumn, "totl"), (UnknownColumn, "nope")]
    );
    assert_eq!(
        places("SELECT a.x, b.y, c.totl FROM nope a JOIN neither b ON a.x = b.y, orders c"),
        [
            (UnknownColumn, "totl"),
            (UnknownTable, "nope"),
            (UnknownTable, "neither")
        ]
    );
    assert_eq!(
        places("SELECT 1 +; SELECT totl FROM orders"),
        [(Syntax, "+")]
    );
    assert_eq!(
        places("SELECT totl FROM orders; SELECT nme FROM customers"),
        [(UnknownColumn, "totl"), (UnknownColumn, "nme")]
    );
}

#[test]
fn a_replacement_is_not_reported_as_a_mistake() {
    for sql in [
        "WITH q AS (SELECT plced AS d FROM orders) SELECT date_trunc('day', d) FROM q",
        "SELECT order_id, sum(total) FROM orders GROUP BY ordr_id",
        "SELECT total FROM orders ORDER BY ttal",
        "SELECT upper(nme) || 1 FROM customers",
        "SELECT list_transform(tgs, lambda t: t.a + 1) FROM orders",
        "SELECT ttal + placed FROM orders",
        "WITH q AS (SELECT custmer_id FROM orders) SELECT customer_id FROM q",
        "SELECT grouping(placed), sum(total) FROM orders GROUP BY ROLLUP (plced)",
    ] {
        assert_eq!(places(sql).len(), 1, "{sql}: {:?}", places(sql));
    }
    let both = places("SELECT ttal, sum(name) FROM customers");
    assert_eq!(both, [(UnknownColumn, "ttal"), (Binder, "sum(name)")]);
}

#[test]
fn messages_are_the_engines_sentence_and_candidates_are_apart() {
    let errors = errors_of(&request("SELECT custmer_id FROM customers"));
    assert_eq!(
        errors[0].message,
        "referenced column \"custmer_id\" not found in FROM clause"
    );
    assert_eq!(errors[0].name.as_deref(), Some("custmer_id"));
    assert_eq!(
        errors[0].candidates.first().map(String::as_str),
        Some("customer_id")
    );
    let errors = errors_of(&request("SELECT * FROM custmers"));
    assert_eq!(errors[0].name.as_deref(), Some("custmers"));
    assert!(errors[0].candidates.is_empty());
    let errors = errors_of(&request("SELECT address.cty FROM orders"));
    assert_eq!(errors[0].candidates, ["city"]);
}

#[test]
fn suggestions_come_from_this_request() {
    let binder = crate::DuckDbBinder::new();
    let asked = BindRequest {
        relations: only(&["orders"]),
        ..request("SELECT get_usrname()")
    };
    let mut before = asked.clone();
    before.functions = vec![stub("get_username", &[], "VARCHAR")];
    let fresh = crate::Binder::bind(&binder, &asked);
    crate::Binder::bind(&binder, &before);
    assert_eq!(crate::Binder::bind(&binder, &asked), fresh);
}
