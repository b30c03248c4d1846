//! The selector language.
#![allow(clippy::unwrap_used)]

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{DbtGraph, Exposure, Materialization, Source};
use serde_json::json;

use super::criterion::Criterion;
use super::*;
use crate::fixture::{change, graph, model, shop, source};

/// Selects among the nodes of `shop`, short names only, tests by their own name.
fn names(select_words: &[&str], exclude_words: &[&str]) -> String {
    let graph = shop();
    chosen(&graph, select_words, exclude_words, Selection::default())
}

fn chosen(
    graph: &DbtGraph,
    select_words: &[&str],
    exclude_words: &[&str],
    selection: Selection,
) -> String {
    let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let selection = Selection {
        select: words(select_words),
        exclude: words(exclude_words),
        ..selection
    };
    select(graph, &selection)
        .unwrap()
        .resources
        .iter()
        .map(|r| r.name())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The answers are those of `dbt ls` on the same project.
#[test]
fn the_selector_table() {
    for (selector, want) in [
        ("stg_orders", "stg_orders orders_known orders_positive"),
        ("fqn:stg_orders", "stg_orders orders_known orders_positive"),
        (
            "shop.staging",
            "stg_customers stg_orders orders_known orders_positive",
        ),
        ("staging.stg_customers", "stg_customers orders_known"),
        ("marts.*", "customers report customers_unique"),
        (
            "st*rs",
            "stg_customers stg_orders orders_known orders_positive",
        ),
        ("raw_*,resource_type:seed", "raw_customers raw_orders"),
        ("1+stg_orders,resource_type:seed", "raw_orders"),
        ("+customers,resource_type:seed", "raw_customers raw_orders"),
        (
            "stg_orders+,resource_type:model",
            "customers report stg_orders customers_unique orders_known orders_positive",
        ),
        (
            "stg_orders+1,resource_type:model",
            "customers stg_orders customers_unique orders_known orders_positive",
        ),
        (
            "1+report,resource_type:model",
            "customers report customers_unique",
        ),
        (
            "@stg_orders,resource_type:model",
            "customers report stg_customers stg_orders customers_unique orders_known orders_positive",
        ),
        (
            "1+orders_known",
            "stg_customers stg_orders orders_known orders_positive",
        ),
        ("tag:nightly", "report"),
        ("path:models/marts", "customers report customers_unique"),
        ("models/marts/report.sql", "report"),
        ("report.sql", "report"),
        ("package:this,file:raw*", "raw_customers raw_orders"),
        ("test_type:singular", "orders_positive"),
        ("test_name:uniq*", "customers_unique"),
        ("config.materialized:table", "customers customers_unique"),
        ("config.meta.owner:sales", "report"),
        (
            "tag:nightly stg_customers",
            "report stg_customers orders_known",
        ),
        ("report,tag:none", ""),
        ("no_such_model", ""),
    ] {
        assert_eq!(names(&[selector], &[]), want, "--select {selector}");
    }
    assert_eq!(
        names(&["staging"], &["stg_orders"]),
        "stg_customers",
        "tests go with an excluded node"
    );
    assert_eq!(names(&[], &["resource_type:test", "+report"]), "");
}

#[test]
fn what_is_wrong_with_a_selector() {
    for (selector, part) in [
        ("tagg:x", "there is no method `tagg`"),
        ("source:a.b.c.d", "a source is"),
        ("@a+", "exclude each other"),
        ("resource_type:modl", "`modl` is none of"),
        ("tag:", "names nothing"),
        ("99999999999999999999+a", "too deep"),
    ] {
        let message = Criterion::parse(selector).unwrap_err().to_string();
        assert!(message.contains(part), "{selector}: {message}");
    }
}

fn wide() -> DbtGraph {
    let mut graph = shop();
    graph.sources.push(Source {
        relation: RelationName::in_schema("crm", "people"),
        tags: vec!["raw".into()],
        ..source("people")
    });
    graph.exposures.push(Exposure {
        unique_id: "exposure.shop.board".into(),
        name: "board".into(),
        package: "shop".into(),
        path: "models/board.yml".into(),
        fqn: vec!["shop".into(), "board".into()],
        tags: Vec::new(),
        depends_on: vec!["model.shop.report".into()],
        details: Default::default(),
    });
    change(&mut graph, "model.shop.stg_customers")
        .depends_on
        .push("source.shop.crm.people".into());
    graph
}

#[test]
fn sources_and_exposures_are_selected_too() {
    let graph = wide();
    for (selector, want) in [
        ("source:crm", "people"),
        (
            "source:crm.people+1,resource_type:model",
            "stg_customers orders_known",
        ),
        ("+exposure:board,resource_type:source", "people"),
        ("tag:raw", "people"),
        ("resource_type:exposure", "board"),
        ("+board,tag:nightly", "report"),
        ("people", ""),
    ] {
        let got = chosen(&graph, &[selector], &[], Selection::default());
        assert_eq!(got, want, "--select {selector}");
    }
    let sources = Selection {
        resource_types: vec!["source".into()],
        ..Selection::default()
    };
    assert_eq!(chosen(&graph, &[], &[], sources), "people");
}

#[test]
fn which_tests_come_along() {
    let graph = shop();
    for (indirect, select, want) in [
        (
            Indirect::Eager,
            "stg_orders",
            "stg_orders orders_known orders_positive",
        ),
        (
            Indirect::Cautious,
            "stg_orders",
            "stg_orders orders_positive",
        ),
        (Indirect::Empty, "stg_orders", "stg_orders"),
        (
            Indirect::Cautious,
            "stg_orders stg_customers",
            "stg_customers stg_orders orders_known orders_positive",
        ),
        (
            Indirect::Buildable,
            "customers",
            "customers customers_unique orders_known orders_positive",
        ),
    ] {
        let selection = Selection {
            indirect,
            ..Selection::default()
        };
        let got = chosen(&graph, &[select], &[], selection);
        if indirect == Indirect::Buildable {
            // Tests of the parents are no successors of what is selected.
            assert_eq!(got, "customers customers_unique");
        } else {
            assert_eq!(got, want, "{indirect:?} {select}");
        }
    }
}

#[test]
fn definitions_of_selectors_yml() {
    let mut graph = wide();
    graph.selectors = serde_json::from_value(json!({
        "plain": {"definition": "tag:nightly"},
        "short": {"definition": {"tag": "nightly"}},
        "deep": {"definition": {"union": [
            {"method": "fqn", "value": "customers", "parents": true, "parents_depth": 1},
            {"intersection": ["path:models/marts", {"method": "selector", "value": "plain"}]},
            {"exclude": [{"method": "resource_type", "value": "test"}]},
        ]}},
        "loop": {"definition": {"method": "selector", "value": "loop"}},
    }))
    .unwrap();
    let by = |name: &str| Selection {
        selector: Some(name.into()),
        ..Selection::default()
    };
    for (name, want) in [
        ("plain", "report"),
        ("short", "report"),
        ("deep", "customers report stg_customers stg_orders"),
    ] {
        assert_eq!(chosen(&graph, &[], &[], by(name)), want, "{name}");
    }
    for (name, part) in [("loop", "leads back"), ("depp", "defines `deep`")] {
        let message = select(&graph, &by(name)).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn an_earlier_run_to_compare_with() {
    let graph = shop();
    let node = |code: &str| json!({"raw_code": code, "config": {"materialized": "view"}});
    let state = State {
        manifest: Some(json!({"nodes": {
            "model.shop.report": node("a"),
            "model.shop.customers": node("b"),
        }})),
        current_manifest: Some(json!({"nodes": {
            "model.shop.report": node("a"),
            "model.shop.customers": node("changed"),
            "model.shop.stg_orders": node("c"),
        }})),
        results: Some(json!({"results": [{"unique_id": "model.shop.report", "status": "error"}]})),
        ..State::default()
    };
    let selection = Selection {
        state,
        indirect: Indirect::Empty,
        ..Selection::default()
    };
    for (selector, want) in [
        (
            "state:modified,resource_type:model",
            "customers stg_customers stg_orders",
        ),
        ("state:modified.body,state:old", "customers"),
        ("state:old", "customers report"),
        ("state:unmodified", "report"),
        ("result:error+", "report"),
    ] {
        assert_eq!(
            chosen(&graph, &[selector], &[], selection.clone()),
            want,
            "{selector}"
        );
    }
    let message = select(
        &graph,
        &Selection {
            select: vec!["state:new".into()],
            ..Selection::default()
        },
    )
    .unwrap_err()
    .to_string();
    assert!(message.contains("--state"), "{message}");
}

#[test]
fn versions_of_a_model() {
    let versioned = |version: &str| {
        let mut node = model(Materialization::View, "", "orders", &[], "select 1 as a");
        node.unique_id = format!("model.shop.orders.v{version}");
        node.fqn = vec!["shop".into(), "orders".into(), format!("v{version}")];
        node.relation = Some(RelationName::main(format!("orders_v{version}")));
        node
    };
    let graph = graph(vec![versioned("1"), versioned("2"), versioned("10")]);
    let ids = |selector: &str| -> String {
        let selection = Selection {
            select: vec![selector.into()],
            ..Selection::default()
        };
        select(&graph, &selection)
            .unwrap()
            .resources
            .iter()
            .map(|r| r.unique_id().rsplit('.').next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (selector, want) in [
        ("orders", "v1 v10 v2"),
        ("orders.v2", "v2"),
        ("orders_v2", "v2"),
        ("version:latest", "v10"),
        ("version:old", "v1 v2"),
        ("version:none", ""),
        ("ord*", "v1 v10 v2"),
    ] {
        assert_eq!(ids(selector), want, "{selector}");
    }
}
