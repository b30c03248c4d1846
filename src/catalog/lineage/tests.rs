//! Queries and the columns their results show.

use mxcp_artifact::RelationName;

use crate::{Binder, DuckDbBinder};

fn known(relation: &RelationName) -> Option<Vec<String>> {
    let columns: &[&str] = match relation.name.as_str() {
        "people" => &["id", "email", "name", "tags"],
        "orders" => &["id", "person", "amount"],
        _ => return None,
    };
    Some(columns.iter().map(|c| (*c).to_owned()).collect())
}

/// `output<relation.column,…; …`, outputs without sources left out.
fn flow(sql: &str) -> String {
    let lineage = DuckDbBinder::new().lineage(sql, &known);
    let shown = lineage
        .columns
        .iter()
        .filter(|c| !c.from.is_empty())
        .map(|c| {
            let from: Vec<String> = c
                .from
                .iter()
                .map(|(source, how)| {
                    let mark = match how {
                        super::How::Direct => "",
                        super::How::Expression => "~",
                        super::How::Aggregate => "*",
                    };
                    format!("{mark}{}.{}", source.relation.name, source.column)
                })
                .collect();
            format!("{}<{}", c.name, from.join(","))
        });
    shown.collect::<Vec<_>>().join("; ")
}

#[test]
fn names_go_through_aliases_tables_and_fields() {
    assert_eq!(
        flow("SELECT p.email AS e, upper(EMAIL) u, p.tags.x FROM people p"),
        "e<people.email; u<~people.email; x<~people.tags"
    );
    assert_eq!(
        flow("FROM people SELECT main.people.name"),
        "name<people.name"
    );
    assert_eq!(
        flow("SELECT email AS e, e || '!' AS f FROM people"),
        "e<people.email; f<~people.email"
    );
    assert_eq!(
        flow("SELECT people FROM people"),
        "people<~people.email,~people.id,~people.name,~people.tags"
    );
}

#[test]
fn stars_expand() {
    assert_eq!(
        flow("SELECT * EXCLUDE (id, tags) REPLACE (lower(name) AS name) FROM people"),
        "email<people.email; name<~people.name"
    );
    assert_eq!(
        flow("SELECT o.*, p.email FROM people p JOIN orders o ON o.person = p.id"),
        "id<orders.id; person<orders.person; amount<orders.amount; email<people.email"
    );
    assert_eq!(
        flow("SELECT * RENAME (email AS mail) FROM people"),
        "id<people.id; mail<people.email; name<people.name; tags<people.tags"
    );
    assert_eq!(
        flow("SELECT max(COLUMNS('email')) FROM people")
            .split("; ")
            .nth(1),
        Some("email<~people.email")
    );
}

#[test]
fn queries_inside_queries() {
    assert_eq!(
        flow(
            "WITH a AS (SELECT email AS x FROM people), b(y) AS (SELECT x FROM a) SELECT y FROM b"
        ),
        "y<people.email"
    );
    assert_eq!(
        flow("SELECT s.m FROM (SELECT max(email) AS m FROM people) s"),
        "m<*people.email"
    );
    assert_eq!(
        flow("SELECT id, (SELECT email FROM people p WHERE p.id = o.person) AS m FROM orders o"),
        "id<orders.id; m<~people.email"
    );
    assert_eq!(
        flow("SELECT amount AS v FROM orders UNION ALL SELECT email FROM people"),
        "v<orders.amount,people.email"
    );
    assert_eq!(
        flow("SELECT id FROM orders UNION BY NAME SELECT email FROM people"),
        "id<orders.id; email<people.email"
    );
    assert_eq!(
        flow(
            "WITH RECURSIVE r AS (SELECT id, email FROM people UNION ALL SELECT id, email FROM r) SELECT email FROM r"
        ),
        "email<people.email"
    );
    assert_eq!(
        flow(
            "SELECT o.id, l.e FROM orders o, LATERAL (SELECT email AS e FROM people WHERE id = o.person) l"
        ),
        "id<orders.id; e<people.email"
    );
}

#[test]
fn rows_and_windows() {
    assert_eq!(
        flow(
            "SELECT string_agg(email, ',') AS s, count(email) AS n, count(DISTINCT email) FROM people"
        ),
        "s<*people.email"
    );
    assert_eq!(
        flow(
            "SELECT first_value(email) OVER (ORDER BY id) AS f, row_number() OVER (ORDER BY email) AS r FROM people"
        ),
        "f<~people.email"
    );
    assert_eq!(
        flow("SELECT list_transform(tags, x -> x || '!') AS t FROM people"),
        "t<~people.tags"
    );
    assert_eq!(
        flow("SELECT u.v FROM people, unnest(tags) AS u(v)"),
        "v<~people.tags"
    );
    assert_eq!(
        flow("SELECT n, v FROM people UNPIVOT (v FOR n IN (email, name))"),
        "n<people.email,people.name; v<people.email,people.name"
    );
}

#[test]
fn questions_about_a_value_do_not_show_it() {
    assert_eq!(
        flow(
            "SELECT email IS NULL, email = 'x', email LIKE 'x%', email IN ('a'), length(email), id IN (SELECT id FROM people), EXISTS (SELECT email FROM people) FROM people"
        ),
        ""
    );
    assert_eq!(
        flow("SELECT CASE WHEN email = 'x' THEN name ELSE 'y' END AS c FROM people"),
        "c<~people.name"
    );
    assert_eq!(
        flow("SELECT id FROM orders EXCEPT SELECT email FROM people"),
        "id<orders.id"
    );
}

#[test]
fn changes_return_columns_too() {
    assert_eq!(
        flow("INSERT INTO people (id) VALUES (1) RETURNING email, upper(name) AS n"),
        "email<people.email; n<~people.name"
    );
    assert_eq!(
        flow("UPDATE people SET name = 'x' RETURNING *")
            .split("; ")
            .nth(1),
        Some("email<people.email")
    );
}

#[test]
fn places_are_those_of_the_text() {
    let sql = "SELECT 1; SELECT id,\n  upper(email) AS e FROM people";
    let lineage = DuckDbBinder::new().lineage(sql, &known);
    let range = lineage.columns[1].range.clone().unwrap();
    assert!(sql[range.start as usize..range.end as usize].starts_with("upper(email)"));
    assert!(lineage.complete);
    assert!(
        DuckDbBinder::new()
            .lineage("SELEC", &known)
            .columns
            .is_empty()
    );
}
