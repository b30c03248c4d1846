//! A small project for the tests of this crate, as a compiled graph.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mxcp_artifact::dbt::{
    ColumnSpec, Constraint, ConstraintKind, DbtGraph, Materialization, ModelSpec, Node, NodeSpec,
    SeedSpec, Severity, Source, TestSpec,
};
use mxcp_artifact::{Digest, RelationName, SqlType};

fn node(kind: &str, name: &str, path: &str, parents: &[&str], spec: NodeSpec) -> Node {
    let folders = Path::new(path).parent().unwrap().iter().skip(1);
    let mut fqn = vec!["shop".to_owned()];
    fqn.extend(folders.map(|f| f.to_str().unwrap().to_owned()));
    fqn.push(name.to_owned());
    Node {
        unique_id: format!("{kind}.shop.{name}"),
        name: name.into(),
        package: "shop".into(),
        path: path.into(),
        fqn,
        tags: Vec::new(),
        description: None,
        relation: (kind != "test").then(|| RelationName::main(name)),
        depends_on: parents.iter().map(|p| (*p).to_owned()).collect(),
        compiled_sql: String::new(),
        columns: Vec::new(),
        meta: BTreeMap::new(),
        config: BTreeMap::new(),
        live: false,
        digest: Digest::of(name),
        spec,
    }
}

pub(crate) fn seed(name: &str, columns: &[(&str, SqlType)]) -> Node {
    let spec = NodeSpec::Seed(SeedSpec {
        columns: columns
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), ty.clone()))
            .collect(),
        delimiter: ',',
        quote_columns: false,
        indexes: Vec::new(),
    });
    node("seed", name, &format!("seeds/{name}.csv"), &[], spec)
}

pub(crate) fn model(
    materialized: Materialization,
    folder: &str,
    name: &str,
    parents: &[&str],
    sql: &str,
) -> Node {
    let spec = NodeSpec::Model(ModelSpec {
        materialized,
        indexes: Vec::new(),
        contract_enforced: false,
        contract_exact: false,
        constraints: Vec::new(),
        pre_hooks: Vec::new(),
        post_hooks: Vec::new(),
        incremental: None,
        full_refresh: None,
        python: None,
        version: None,
    });
    let path = format!("models/{folder}/{name}.sql");
    Node {
        compiled_sql: sql.into(),
        ..node("model", name, &path, parents, spec)
    }
}

pub(crate) fn data_test(
    path: &str,
    name: &str,
    generic: Option<&str>,
    parents: &[&str],
    sql: &str,
) -> Node {
    let spec = NodeSpec::Test(TestSpec {
        generic: generic.map(str::to_owned),
        column: None,
        attached_to: parents.first().map(|p| (*p).to_owned()),
        arguments: Default::default(),
        severity: Severity::Error,
        error_if: "!= 0".into(),
        warn_if: "!= 0".into(),
        fail_calc: "count(*)".into(),
        limit: None,
        store_failures: None,
    });
    Node {
        compiled_sql: sql.into(),
        ..node("test", name, path, parents, spec)
    }
}

pub(crate) fn declared(name: &str, ty: &str, constraints: &[ConstraintKind]) -> ColumnSpec {
    ColumnSpec {
        name: name.into(),
        data_type: Some(ty.into()),
        constraints: constraints
            .iter()
            .map(|&kind| Constraint::of(kind))
            .collect(),
        ..ColumnSpec::default()
    }
}

pub(crate) fn model_spec(node: &mut Node) -> &mut ModelSpec {
    match &mut node.spec {
        NodeSpec::Model(spec) => spec,
        _ => panic!("{} is not a model", node.unique_id),
    }
}

pub(crate) fn test_spec(node: &mut Node) -> &mut TestSpec {
    match &mut node.spec {
        NodeSpec::Test(spec) => spec,
        _ => panic!("{} is not a test", node.unique_id),
    }
}

pub(crate) fn graph(mut nodes: Vec<Node>) -> DbtGraph {
    nodes.sort_by(|a, b| a.unique_id.cmp(&b.unique_id));
    DbtGraph {
        project: "shop".into(),
        nodes,
        ..DbtGraph::default()
    }
}

/// The node of this unique id, to be changed by a test.
pub(crate) fn change<'g>(graph: &'g mut DbtGraph, unique_id: &str) -> &'g mut Node {
    graph
        .nodes
        .iter_mut()
        .find(|n| n.unique_id == unique_id)
        .unwrap()
}

/// Two seeds, two staging views (over an ephemeral model), a table, a report and three tests.
pub(crate) fn shop() -> DbtGraph {
    use Materialization::{Table, View};
    let mut report = model(
        View,
        "marts",
        "report",
        &["model.shop.customers"],
        "select count(*) as n, sum(spent) as spent from \"main\".\"customers\"",
    );
    report.tags = vec!["nightly".into()];
    report.meta = BTreeMap::from([("owner".to_owned(), "sales".into())]);
    graph(vec![
        seed(
            "raw_customers",
            &[("id", SqlType::Integer), ("name", SqlType::Varchar)],
        ),
        seed(
            "raw_orders",
            &[
                ("id", SqlType::Integer),
                ("customer_id", SqlType::Integer),
                ("amount", SqlType::Decimal(10, 2)),
                ("day", SqlType::Date),
            ],
        ),
        model(
            View,
            "staging",
            "stg_customers",
            &["seed.shop.raw_customers"],
            "select id as customer_id, name from \"main\".\"raw_customers\" -- as it comes",
        ),
        model(
            View,
            "staging",
            "stg_orders",
            &["seed.shop.raw_orders"],
            "select * from \"main\".\"raw_orders\"",
        ),
        model(
            Table,
            "marts",
            "customers",
            &["model.shop.stg_customers", "model.shop.stg_orders"],
            "select c.customer_id, c.name, coalesce(sum(o.amount), 0) as spent\nfrom \"main\".\"stg_customers\" c left join \"main\".\"stg_orders\" o using (customer_id)\ngroup by all order by 1",
        ),
        report,
        data_test(
            "tests/orders_positive.sql",
            "orders_positive",
            None,
            &["model.shop.stg_orders"],
            "select * from \"main\".\"stg_orders\" where amount <= 0",
        ),
        data_test(
            "models/schema.yml",
            "orders_known",
            Some("relationships"),
            &["model.shop.stg_customers", "model.shop.stg_orders"],
            "select * from \"main\".\"stg_orders\" where customer_id not in (select customer_id from \"main\".\"stg_customers\")",
        ),
        data_test(
            "models/marts/schema.yml",
            "customers_unique",
            Some("unique"),
            &["model.shop.customers"],
            "select customer_id from \"main\".\"customers\" group by 1 having count(*) > 1",
        ),
    ])
}

/// The seed files of `shop`.
pub(crate) fn write_seeds(root: &Path) {
    fs::create_dir_all(root.join("seeds")).unwrap();
    fs::write(
        root.join("seeds/raw_customers.csv"),
        "id,name\n1,\"Ann, \"\"the\"\" first\"\n2,\n3,\"\"\n",
    )
    .unwrap();
    fs::write(
        root.join("seeds/raw_orders.csv"),
        "id,customer_id,amount,day\n1,1,10.50,2024-01-31\n2,1,4.5,2024-02-01\n3,2,1,\n",
    )
    .unwrap();
}

/// A table of the source `crm`.
pub(crate) fn source(name: &str) -> Source {
    Source {
        unique_id: format!("source.shop.crm.{name}"),
        source: "crm".into(),
        name: name.into(),
        package: "shop".into(),
        path: "models/sources.yml".into(),
        fqn: vec!["shop".into(), "crm".into(), name.into()],
        relation: RelationName::main(name),
        tags: Vec::new(),
        description: None,
        columns: Vec::new(),
        meta: std::collections::BTreeMap::new(),
        freshness: None,
        location: None,
        details: Default::default(),
    }
}
