//! What stands around the nodes in `manifest.json`: unit tests, sources, exposures, macros, docs
//! blocks and the statements around a run.

use mxcp_artifact::dbt::{Node, NodeSpec};
use serde_json::{Map, Value, json};

use super::Writer;
use crate::commands::dbt::sha256;

impl Writer<'_> {
    /// The statements around a run are nodes for dbt.
    pub(super) fn operations(&self) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for hook in self.graph.hooks() {
            let (project, when, i, sql) = (&hook.package, hook.when(), hook.index, &hook.sql);
            {
                let name = format!("{project}-{when}-{i}");
                let id = format!("operation.{project}.{name}");
                let value = json!({
                    "database": self.database,
                    "schema": self.schema(),
                    "name": name,
                    "resource_type": "operation",
                    "package_name": project,
                    "path": format!("hooks/{name}.sql"),
                    "original_file_path": "./dbt_project.yml",
                    "unique_id": id,
                    "fqn": [project, "hooks", name],
                    "alias": name,
                    "checksum": {"name": "sha256", "checksum": sha256::hex(sql.as_bytes())},
                    "config": {"enabled": true, "materialized": "view", "tags": [], "meta": {}},
                    "tags": [when],
                    "description": "",
                    "columns": {},
                    "meta": {},
                    "group": null,
                    "docs": {"show": true, "node_color": null},
                    "patch_path": null,
                    "build_path": null,
                    "unrendered_config": {},
                    "created_at": self.created_at,
                    "relation_name": null,
                    "raw_code": sql,
                    "doc_blocks": [],
                    "language": "sql",
                    "refs": [],
                    "sources": [],
                    "metrics": [],
                    "functions": [],
                    "depends_on": {"macros": self.opened.ecosystem().called.get(&id), "nodes": []},
                    "compiled_path": null,
                    "contract": {"enforced": false, "alias_types": true, "checksum": null},
                    "index": i,
                });
                found.push((id, value));
            }
        }
        found
    }

    pub(super) fn unit_test(&self, node: &Node) -> Value {
        let model = match &node.spec {
            NodeSpec::UnitTest(unit) => self
                .graph
                .get(&unit.model)
                .map_or_else(|| unit.model.clone(), |model| model.name.clone()),
            _ => String::new(),
        };
        json!({
            "model": model,
            "given": node.config.get("given").cloned().unwrap_or_else(|| json!([])),
            "expect": node.config.get("expect").cloned()
                .unwrap_or_else(|| json!({"rows": [], "format": "dict", "fixture": null})),
            "name": node.name,
            "resource_type": "unit_test",
            "package_name": node.package,
            "path": file_name(&node.path),
            "original_file_path": node.path,
            "unique_id": node.unique_id,
            "fqn": node.fqn,
            "description": self.described(node.description.as_deref()),
            "overrides": null,
            "depends_on": {"macros": [], "nodes": node.depends_on},
            "config": {"tags": node.tags, "meta": node.meta, "enabled": true, "static_analysis": null},
            "checksum": sha256::hex(json!(node).to_string().as_bytes()),
            "schema": self.schema(),
            "created_at": self.created_at,
            "versions": null,
            "version": null,
        })
    }

    pub(super) fn source(&self, source: &mxcp_artifact::dbt::Source) -> Value {
        let relation = &source.relation;
        let database = relation
            .catalog
            .clone()
            .unwrap_or_else(|| self.database.clone());
        let age = |age: &Option<mxcp_artifact::dbt::Age>| match age {
            Some(age) => json!({"count": age.count, "period": age.period}),
            None => json!({"count": null, "period": null}),
        };
        let freshness = source.freshness.as_ref().map(|freshness| {
            json!({
                "warn_after": age(&freshness.warn_after),
                "error_after": age(&freshness.error_after),
                "filter": freshness.filter,
            })
        });
        // dbt's empty rule, where no table of the source has one.
        let ruled = self
            .graph
            .sources
            .iter()
            .any(|other| other.source == source.source && other.freshness.is_some());
        let freshness = freshness.or_else(|| {
            let none = || age(&None);
            (!ruled).then(|| json!({"warn_after": none(), "error_after": none(), "filter": null}))
        });
        let field = source
            .freshness
            .as_ref()
            .and_then(|f| f.loaded_at_field.clone());
        let query = source
            .freshness
            .as_ref()
            .and_then(|f| f.loaded_at_query.clone());
        let detail = |key: &str| {
            source
                .details
                .get(key)
                .cloned()
                .unwrap_or_else(|| "".into())
        };
        json!({
            "database": database,
            "schema": relation.schema,
            "name": source.name,
            "resource_type": "source",
            "package_name": source.package,
            "path": source.path,
            "original_file_path": source.path,
            "unique_id": source.unique_id,
            "fqn": source.fqn,
            "source_name": source.source,
            "source_description": detail("source_description"),
            "loader": detail("loader"),
            "identifier": relation.name,
            "quoting": {"database": null, "schema": null, "identifier": null, "column": null},
            "loaded_at_field": field,
            "loaded_at_query": query,
            "freshness": freshness,
            "external": source.details.get("external"),
            "description": self.described(source.description.as_deref()),
            "columns": self.columns(&source.columns),
            "meta": source.meta,
            "source_meta": source.details.get("source_meta").cloned().unwrap_or_else(|| json!({})),
            "tags": source.tags,
            "config": {
                "enabled": true, "event_time": source.details.get("event_time"), "freshness": freshness,
                "loaded_at_field": field, "loaded_at_query": query,
                "meta": source.meta, "tags": source.tags, "static_analysis": null,
            },
            "patch_path": null,
            "unrendered_config": {},
            "relation_name": match (&source.location, source.details.get("plain")) {
                (Some(text), Some(_)) if relation.catalog.is_none() => {
                    format!("\"{database}\".{text}")
                }
                (Some(text), _) => text.clone(),
                _ => self.written([&database, &relation.schema, &relation.name]),
            },
            "created_at": self.created_at,
            "unrendered_database": null,
            "unrendered_schema": relation.schema,
            "doc_blocks": [],
        })
    }

    pub(super) fn exposure(&self, exposure: &mxcp_artifact::dbt::Exposure) -> Value {
        let kind = mxcp_dbt::Resource::Exposure(exposure).kind();
        if kind != "exposure" {
            return self.semantic(exposure, kind);
        }
        let said = |key: &str| exposure.details.get(key).cloned().unwrap_or(Value::Null);
        let mut config = json!({"enabled": true, "tags": exposure.tags, "meta": {}});
        let mut meta = Map::new();
        for layer in [said("meta"), said("config")["meta"].clone()] {
            if let Value::Object(map) = layer {
                meta.extend(map);
            }
        }
        config["meta"] = meta.clone().into();
        let owner = said("owner");
        let text = |key: &str| exposure.details.get(key).and_then(Value::as_str);
        json!({
            "name": exposure.name,
            "resource_type": "exposure",
            "package_name": exposure.package,
            "path": file_name(&exposure.path),
            "original_file_path": exposure.path,
            "unique_id": exposure.unique_id,
            "fqn": exposure.fqn,
            "type": text("type").unwrap_or("dashboard"),
            "owner": {"email": owner["email"], "name": owner["name"]},
            "description": text("description").unwrap_or_default(),
            "label": said("label"),
            "maturity": said("maturity"),
            "meta": meta,
            "tags": exposure.tags,
            "config": config,
            "unrendered_config": {},
            "url": said("url"),
            "depends_on": {"macros": [], "nodes": exposure.depends_on},
            "refs": [],
            "sources": [],
            "metrics": [],
            "created_at": self.created_at,
        })
    }

    /// A metric, semantic model or saved query.
    fn semantic(&self, node: &mxcp_artifact::dbt::Exposure, kind: &str) -> Value {
        let mut value = json!({
            "name": node.name,
            "resource_type": kind,
            "package_name": node.package,
            "path": super::below_root(&node.path),
            "original_file_path": node.path,
            "unique_id": node.unique_id,
            "fqn": node.fqn,
            "unrendered_config": {},
            "depends_on": {"macros": [], "nodes": node.depends_on},
            "created_at": self.created_at,
        });
        let Some(map) = value.as_object_mut() else {
            return value;
        };
        map.extend(node.details.clone());
        if kind != "semantic_model" {
            map.insert("tags".into(), json!(node.tags));
            return value;
        }
        let read = node.depends_on.first().and_then(|id| self.graph.get(id));
        map.insert(
            "refs".into(),
            json!(
                read.map(|m| json!({"name": m.name, "package": null, "version": null}))
                    .as_slice()
            ),
        );
        let relation = read.and_then(|model| model.relation.as_ref());
        let relation = relation.map(|relation| {
            let database = relation.catalog.as_ref().unwrap_or(&self.database);
            json!({
                "alias": relation.name, "schema_name": relation.schema, "database": database,
                "relation_name": format!("\"{database}\".\"{}\".\"{}\"", relation.schema, relation.name),
            })
        });
        map.insert("node_relation".into(), json!(relation));
        value
    }

    pub(super) fn groups(&self) -> Map<String, Value> {
        self.opened
            .ecosystem()
            .groups
            .iter()
            .map(|group| {
                let value = json!({
                    "name": group.name,
                    "resource_type": "group",
                    "package_name": group.package,
                    "path": file_name(&group.path),
                    "original_file_path": group.path,
                    "unique_id": group.unique_id,
                    "owner": group.entry.get("owner"),
                    "description": group.entry.get("description"),
                    "config": {"meta": group.entry.get("config").and_then(|c| c.get("meta")).cloned().unwrap_or_else(|| json!({}))},
                });
                (group.unique_id.clone(), value)
            })
            .collect()
    }

    pub(super) fn macros(&self) -> Map<String, Value> {
        self.opened
            .ecosystem()
            .macros
            .iter()
            .map(|entry| {
                let value = json!({
                    "name": entry.name,
                    "resource_type": "macro",
                    "package_name": entry.package,
                    "path": entry.path,
                    "original_file_path": entry.path,
                    "unique_id": entry.unique_id,
                    "macro_sql": entry.sql,
                    "depends_on": {"macros": entry.calls},
                    "description": "",
                    "meta": {},
                    "docs": {"show": true, "node_color": null},
                    "config": {"meta": {}, "docs": {"show": true, "node_color": null}},
                    "patch_path": null,
                    "arguments": [],
                    "created_at": self.created_at,
                    "supported_languages": null,
                });
                (entry.unique_id.clone(), value)
            })
            .collect()
    }

    pub(super) fn docs(&self) -> Map<String, Value> {
        self.opened
            .ecosystem()
            .docs
            .iter()
            .map(|(id, (name, path, text))| {
                let value = json!({
                    "name": name,
                    "resource_type": "doc",
                    "package_name": self.opened.project,
                    "path": file_name(path),
                    "original_file_path": path,
                    "unique_id": id,
                    "block_contents": text,
                });
                (id.clone(), value)
            })
            .collect()
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
