//! Nodes in the form of dbt's manifest, as `model` and `graph` show them to templates.

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{
    ColumnSpec, Constraint, ConstraintKind, DbtGraph, Node, NodeKind, Source,
};
use serde_json::{Map, Value as Json, json};

fn constraint(constraint: &Constraint) -> Json {
    let kind = match constraint.kind {
        ConstraintKind::NotNull => "not_null",
        ConstraintKind::Unique => "unique",
        ConstraintKind::PrimaryKey => "primary_key",
        ConstraintKind::ForeignKey => "foreign_key",
        ConstraintKind::Check => "check",
        ConstraintKind::Custom => "custom",
    };
    json!({
        "type": kind, "name": constraint.name, "expression": constraint.expression,
        "columns": constraint.columns, "to": constraint.to, "to_columns": constraint.to_columns,
    })
}

fn columns(columns: &[ColumnSpec]) -> Json {
    let entries = columns.iter().map(|column| {
        let value = json!({
            "name": column.name,
            "description": column.description.as_deref().unwrap_or(""),
            "data_type": column.data_type,
            "constraints": column.constraints.iter().map(constraint).collect::<Vec<_>>(),
            "meta": column.meta,
            "tags": column.tags,
            "quote": column.quote.then_some(true),
        });
        (column.name.clone(), value)
    });
    Json::Object(entries.collect())
}

fn place(relation: Option<&RelationName>, database: &str) -> (Json, Json, Json) {
    match relation {
        Some(name) => (
            Json::from(name.catalog.as_deref().unwrap_or(database)),
            Json::from(name.schema.as_str()),
            Json::from(name.name.as_str()),
        ),
        None => (Json::from(database), Json::Null, Json::Null),
    }
}

/// The names behind what a node depends on.
fn refs(depends_on: &[String]) -> Vec<Json> {
    let named = depends_on.iter().filter_map(|id| {
        let mut parts = id.splitn(4, '.');
        let kind = parts.next()?;
        let (_, name) = (parts.next()?, parts.next()?);
        let version = parts.next().map(|v| v.trim_start_matches('v'));
        let is_node = matches!(kind, "model" | "seed" | "snapshot");
        is_node.then(|| json!({"name": name, "package": null, "version": version}))
    });
    named.collect()
}

/// dbt's `model` of a node.
pub(crate) fn node_value(node: &Node, database: &str) -> Json {
    let (database, schema, alias) = place(node.relation.as_ref(), database);
    let config: Map<String, Json> = node.config.clone().into_iter().collect();
    let mut value = json!({
        "unique_id": node.unique_id,
        "name": node.name,
        "resource_type": node.kind().as_str(),
        "package_name": node.package,
        "path": node.path.split_once('/').map_or(node.path.as_str(), |(_, rest)| rest),
        "original_file_path": node.path,
        "fqn": node.fqn,
        "database": database,
        "schema": schema,
        "alias": if alias.is_null() { Json::from(node.name.as_str()) } else { alias },
        "tags": node.tags,
        "meta": node.meta,
        "description": node.description.as_deref().unwrap_or(""),
        "columns": columns(&node.columns),
        "depends_on": {"nodes": node.depends_on, "macros": []},
        "refs": refs(&node.depends_on),
        "config": config,
        "language": "sql",
        "compiled_code": node.compiled_sql,
    });
    if let Json::Object(map) = &mut value {
        let relation = node.relation.as_ref().map(RelationName::quoted);
        map.insert("relation_name".to_owned(), Json::from(relation));
        if let mxcp_artifact::dbt::NodeSpec::Model(spec) = &node.spec {
            let constraints: Vec<Json> = spec.constraints.iter().map(constraint).collect();
            map.insert("constraints".to_owned(), Json::from(constraints));
            map.insert(
                "access".to_owned(),
                node.config.get("access").cloned().unwrap_or_default(),
            );
            map.insert(
                "group".to_owned(),
                node.config.get("group").cloned().unwrap_or_default(),
            );
            let version = spec.version.as_ref();
            map.insert("version".to_owned(), json!(version.map(|v| &v.number)));
            map.insert(
                "latest_version".to_owned(),
                json!(version.map(|v| &v.latest)),
            );
            if spec.python.is_some() {
                map.insert("language".to_owned(), Json::from("python"));
            }
        }
        if let mxcp_artifact::dbt::NodeSpec::Test(spec) = &node.spec {
            map.insert("column_name".to_owned(), Json::from(spec.column.clone()));
            map.insert(
                "attached_node".to_owned(),
                Json::from(spec.attached_to.clone()),
            );
            let generic = spec.generic.as_ref().map(|name| {
                let (namespace, name) = match name.split_once('.') {
                    Some((namespace, name)) => (Some(namespace), name),
                    None => (None, name.as_str()),
                };
                json!({"name": name, "namespace": namespace})
            });
            map.insert("test_metadata".to_owned(), Json::from(generic));
        }
    }
    value
}

fn source_value(source: &Source, database: &str) -> Json {
    let (database, schema, identifier) = place(Some(&source.relation), database);
    json!({
        "unique_id": source.unique_id,
        "name": source.name,
        "source_name": source.source,
        "resource_type": "source",
        "package_name": source.package,
        "path": source.path,
        "original_file_path": source.path,
        "fqn": source.fqn,
        "database": database,
        "schema": schema,
        "identifier": identifier,
        "relation_name": source.relation.quoted(),
        "tags": source.tags,
        "meta": source.meta,
        "description": source.description.as_deref().unwrap_or(""),
        "columns": columns(&source.columns),
        "config": {"enabled": true},
    })
}

/// dbt's `graph`.
pub(crate) fn graph_value(graph: &DbtGraph, database: &str) -> Json {
    let nodes: Map<String, Json> = graph
        .nodes
        .iter()
        .filter(|node| node.kind() != NodeKind::UnitTest)
        .map(|node| (node.unique_id.clone(), node_value(node, database)))
        .collect();
    let mut nodes = nodes;
    for hook in graph.hooks() {
        let (package, when, i, sql) = (&hook.package, hook.when(), hook.index, &hook.sql);
        {
            let name = format!("{package}-{when}-{i}");
            let id = format!("operation.{package}.{name}");
            let value = json!({
                "unique_id": id,
                "name": name,
                "resource_type": "operation",
                "package_name": package,
                "path": format!("hooks/{name}.sql"),
                "original_file_path": "./dbt_project.yml",
                "fqn": [package, "hooks", name],
                "alias": name,
                "tags": [when],
                "depends_on": {"nodes": [], "macros": []},
                "config": {"enabled": true, "materialized": "view"},
                "raw_code": sql,
                "index": i,
            });
            nodes.insert(id, value);
        }
    }
    let sources: Map<String, Json> = graph
        .sources
        .iter()
        .map(|source| (source.unique_id.clone(), source_value(source, database)))
        .collect();
    let exposures: Map<String, Json> = graph
        .exposures
        .iter()
        .map(|exposure| {
            let value = json!({
                "unique_id": exposure.unique_id,
                "name": exposure.name,
                "resource_type": "exposure",
                "package_name": exposure.package,
                "fqn": exposure.fqn,
                "tags": exposure.tags,
                "depends_on": {"nodes": exposure.depends_on, "macros": []},
            });
            (exposure.unique_id.clone(), value)
        })
        .collect();
    json!({
        "nodes": nodes,
        "sources": sources,
        "exposures": exposures,
        "metrics": {},
        "groups": {},
        "semantic_models": {},
        "saved_queries": {},
    })
}
