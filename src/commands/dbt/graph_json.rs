//! The project as dbt's `manifest.json` has it (version 12), for the tools around dbt.

mod around;

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{
    ColumnSpec, Constraint, ConstraintKind, DbtGraph, Materialization, Node, NodeKind, NodeSpec,
    Severity,
};
use mxcp_dbt::Resource;
use serde_json::{Map, Value, json};

use super::open::Opened;
use super::sha256;

/// dbt-core's version whose form the artifacts have.
pub(super) const DBT_VERSION: &str = "1.11.11";

pub(super) fn manifest(opened: &Opened) -> Value {
    let graph = opened.graph();
    let writer = Writer::new(opened, graph);
    let mut nodes = Map::new();
    let mut unit_tests = Map::new();
    for node in &graph.nodes {
        let id = node.unique_id.clone();
        if node.kind() == NodeKind::UnitTest {
            unit_tests.insert(id, writer.unit_test(node));
        } else {
            nodes.insert(id, writer.node(node));
        }
    }
    nodes.extend(writer.operations());
    let sources: Map<String, Value> = graph
        .sources
        .iter()
        .map(|source| (source.unique_id.clone(), writer.source(source)))
        .collect();
    let outside = |kind: &str| -> Map<String, Value> {
        let all = graph.exposures.iter();
        all.filter(|exposure| Resource::Exposure(exposure).kind() == kind)
            .map(|exposure| (exposure.unique_id.clone(), writer.exposure(exposure)))
            .collect()
    };
    let (parents, children) = maps(graph);
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in &graph.nodes {
        if let Some(group) = node.config.get("group").and_then(Value::as_str) {
            groups
                .entry(group.to_owned())
                .or_default()
                .push(node.unique_id.clone());
        }
    }
    json!({
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "dbt_version": DBT_VERSION,
            "generated_at": mxcp_dbt::Moment::now().stamp(),
            "invocation_id": opened.invocation,
            "invocation_started_at": opened.started.stamp(),
            "env": {},
            "project_name": graph.project,
            "project_id": null,
            "user_id": null,
            "send_anonymous_usage_stats": false,
            "adapter_type": "duckdb",
            "quoting": {"database": true, "schema": true, "identifier": true, "column": null},
            "run_started_at": opened.started.stamp(),
        },
        "nodes": nodes,
        "sources": sources,
        "macros": writer.macros(),
        "docs": writer.docs(),
        "exposures": outside("exposure"),
        "metrics": outside("metric"),
        "groups": writer.groups(),
        "selectors": graph.selectors,
        "disabled": writer.disabled(),
        "parent_map": parents,
        "child_map": children,
        "group_map": groups,
        "saved_queries": outside("saved_query"),
        "semantic_models": outside("semantic_model"),
        "unit_tests": unit_tests,
        "functions": {},
    })
}

/// The name of the database as the engine has it.
/// The graph in which every test keeps its failures, unless it says that it does not.
pub(super) fn storing(opened: &Opened) -> DbtGraph {
    let mut graph = opened.graph().clone();
    let names: Vec<Option<RelationName>> = {
        let writer = Writer::new(opened, &graph);
        graph
            .nodes
            .iter()
            .map(|node| writer.kept_as(node))
            .collect()
    };
    for (node, relation) in graph.nodes.iter_mut().zip(names) {
        if let (NodeSpec::Test(test), Some(relation)) = (&mut node.spec, relation) {
            test.store_failures = Some(Materialization::Table);
            node.relation.get_or_insert(relation);
            // Its query may ask whether failures are kept.
            node.live = true;
        }
    }
    graph
}

pub(super) fn database(opened: &Opened) -> String {
    match &opened.target {
        Some(target) => target.database.clone(),
        None => opened
            .session
            .database()
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default(),
    }
}

type Edges = BTreeMap<String, Vec<String>>;

fn maps(graph: &DbtGraph) -> (Edges, Edges) {
    let mut parents: Edges = BTreeMap::new();
    let mut children: Edges = BTreeMap::new();
    for resource in resources(graph) {
        let id = resource.unique_id().to_owned();
        children.entry(id.clone()).or_default();
        let mut list: Vec<String> = resource.depends_on().to_vec();
        list.sort();
        for parent in &list {
            children.entry(parent.clone()).or_default().push(id.clone());
        }
        parents.insert(id, list);
    }
    (parents, children)
}

pub(super) fn resources(graph: &DbtGraph) -> impl Iterator<Item = Resource<'_>> {
    graph
        .nodes
        .iter()
        .map(Resource::Node)
        .chain(graph.sources.iter().map(Resource::Source))
        .chain(graph.exposures.iter().map(Resource::Exposure))
}

struct Writer<'a> {
    opened: &'a Opened,
    graph: &'a DbtGraph,
    database: String,
    created_at: Value,
}

impl<'a> Writer<'a> {
    fn new(opened: &'a Opened, graph: &'a DbtGraph) -> Self {
        Self {
            opened,
            graph,
            database: database(opened),
            created_at: serde_json::Number::from_f64(opened.started.seconds())
                .map_or(Value::Null, Value::Number),
        }
    }

    /// Where the failing rows of a test go that says nothing about them.
    fn kept_as(&self, node: &Node) -> Option<RelationName> {
        let NodeSpec::Test(test) = &node.spec else {
            return None;
        };
        let says = ["store_failures", "store_failures_as"]
            .iter()
            .any(|key| node.config.get(*key).is_some_and(|value| !value.is_null()));
        (test.store_failures.is_none() && !says).then(|| {
            let schema = format!("{}_dbt_test__audit", self.schema());
            RelationName::in_schema(schema, self.test_alias(node))
        })
    }

    fn in_package<'p>(&'p self, path: &'p str) -> &'p str {
        mxcp_compiler::models::in_package(&self.opened.session.db, path).1
    }

    fn disabled(&self) -> Value {
        let mut found = Map::new();
        for node in self.opened.disabled() {
            let kind = node.unique_id.split('.').next().unwrap_or_default();
            let entry = json!([{
                "unique_id": node.unique_id,
                "name": node.name,
                "resource_type": kind,
                "package_name": node.package,
                "path": below_root(&node.path),
                "original_file_path": node.path,
                "fqn": node.fqn,
                "config": {"enabled": false},
            }]);
            found.insert(node.unique_id.clone(), entry);
        }
        Value::Object(found)
    }

    fn node(&self, node: &Node) -> Value {
        let kind = node.kind();
        let database = node
            .relation
            .as_ref()
            .and_then(|relation| relation.catalog.clone())
            .unwrap_or_else(|| self.database.clone());
        let (schema, alias) = match &node.relation {
            Some(relation) => (relation.schema.clone(), relation.name.clone()),
            None if kind == NodeKind::Test => (
                format!("{}_dbt_test__audit", self.schema()),
                self.test_alias(node),
            ),
            None => (self.schema().to_owned(), node.name.clone()),
        };
        let raw = self.raw_code(node);
        let checksum = match kind {
            NodeKind::Test => json!({"name": "none", "checksum": ""}),
            _ => json!({
                "name": "sha256",
                "checksum": sha256::hex(self.text(&node.path).trim().as_bytes()),
            }),
        };
        let keeps_relation = match &node.spec {
            NodeSpec::Test(test) => test.store_failures.is_some(),
            NodeSpec::Analysis => false,
            _ => node.relation.is_some(),
        };
        let (refs, sources) = self.references(node);
        let mut entry = json!({
            "database": database,
            "schema": schema,
            "name": node.name,
            "resource_type": kind.as_str(),
            "package_name": node.package,
            "path": below_root(self.in_package(&node.path)),
            "original_file_path": self.in_package(&node.path),
            "unique_id": node.unique_id,
            "fqn": node.fqn,
            "alias": alias,
            "checksum": checksum,
            "config": self.config(node),
            "tags": node.tags,
            "description": self.described(node.description.as_deref()),
            "columns": self.columns(&node.columns),
            "meta": node.meta,
            "group": self.group_of(node),
            "docs": docs_of(node),
            "patch_path": self.opened.ecosystem().patches.get(&node.unique_id)
                .map(|path| {
                    let (package, path) = mxcp_compiler::models::in_package(&self.opened.session.db, path);
                    format!("{package}://{path}")
                }),
            "build_path": null,
            "unrendered_config": {},
            "created_at": self.created_at,
            "relation_name": keeps_relation.then(|| self.written([&database, &schema, &alias])),
            "raw_code": raw,
            "doc_blocks": [],
        });
        let Some(map) = entry.as_object_mut() else {
            return entry;
        };
        if kind == NodeKind::Seed {
            map.insert("root_path".into(), Value::Null);
            map.insert("depends_on".into(), json!({"macros": []}));
            return entry;
        }
        let language = match &node.spec {
            NodeSpec::Model(model) if model.python.is_some() => "python",
            _ => "sql",
        };
        let contract = json!({
            "enforced": matches!(&node.spec, NodeSpec::Model(model) if model.contract_enforced),
            "alias_types": true, "checksum": null,
        });
        for (key, value) in [
            ("language", json!(language)),
            ("refs", refs),
            ("sources", sources),
            ("metrics", json!([])),
            ("functions", json!([])),
            (
                "depends_on",
                json!({"macros": self.opened.ecosystem().called.get(&node.unique_id), "nodes": node.depends_on}),
            ),
            ("compiled_path", Value::Null),
            ("contract", contract),
        ] {
            map.insert(key.into(), value);
        }
        if !node.compiled_sql.is_empty() {
            map.insert("compiled".into(), true.into());
            map.insert("compiled_code".into(), node.compiled_sql.clone().into());
            map.insert("extra_ctes_injected".into(), true.into());
            map.insert("extra_ctes".into(), json!([]));
        }
        match &node.spec {
            NodeSpec::Model(model) => {
                map.insert(
                    "access".into(),
                    node.config
                        .get("access")
                        .filter(|access| !access.is_null())
                        .cloned()
                        .unwrap_or_else(|| "protected".into()),
                );
                let constraints: Vec<Value> = model
                    .constraints
                    .iter()
                    .map(|constraint| {
                        let mut value = self.constraint(constraint);
                        value["columns"] = json!(constraint.columns);
                        value
                    })
                    .collect();
                map.insert("constraints".into(), json!(constraints));
                let version = model.version.as_ref();
                map.insert("version".into(), json!(version.map(|v| &v.number)));
                map.insert("latest_version".into(), json!(version.map(|v| &v.latest)));
                let date = version.and_then(|v| v.deprecation_date.as_ref());
                map.insert("deprecation_date".into(), json!(date));
                map.insert("primary_key".into(), json!([]));
                map.insert("time_spine".into(), Value::Null);
            }
            NodeSpec::Test(test) if test.generic.is_some() => {
                map.insert("column_name".into(), json!(test.column));
                map.insert("file_key_name".into(), Value::Null);
                map.insert("attached_node".into(), json!(test.attached_to));
                let generic = test.generic.as_deref().unwrap_or_default();
                let (namespace, name) = match generic.split_once('.') {
                    Some((package, name)) => (Some(package), name),
                    None => (None, generic),
                };
                map.insert(
                    "test_metadata".into(),
                    json!({"name": name, "kwargs": test.arguments, "namespace": namespace}),
                );
            }
            _ => {}
        }
        entry
    }

    fn text(&self, path: &str) -> String {
        self.opened
            .session
            .db
            .file(path)
            .map(|file| file.text(&self.opened.session.db).to_owned())
            .unwrap_or_default()
    }

    fn raw_code(&self, node: &Node) -> String {
        match &node.spec {
            NodeSpec::Seed(_) => String::new(),
            NodeSpec::Test(test) => match &test.generic {
                Some(name) => {
                    let name = name.rsplit_once('.').map_or(name.as_str(), |(_, n)| n);
                    format!("{{{{ test_{name}(**_dbt_generic_test_kwargs) }}}}")
                }
                None => self.text(&node.path).trim().to_owned(),
            },
            NodeSpec::Model(model) => match &model.python {
                Some(code) => code.trim().to_owned(),
                None => self.text(&node.path).trim().to_owned(),
            },
            NodeSpec::Analysis => self.text(&node.path).trim().to_owned(),
            NodeSpec::Snapshot(_) | NodeSpec::UnitTest(_) => self.text(&node.path),
        }
    }

    /// The graph keeps where references lead; their names are read off that.
    fn references(&self, node: &Node) -> (Value, Value) {
        let mut refs = Vec::new();
        let mut sources = Vec::new();
        for parent in &node.depends_on {
            if let Some(parent) = self.graph.get(parent) {
                refs.push(json!({
                    "name": parent.name,
                    "package": (parent.package != node.package).then(|| parent.package.clone()),
                    "version": Resource::Node(parent).version(),
                }));
            } else if let Some(source) = self.graph.sources.iter().find(|s| &s.unique_id == parent)
            {
                sources.push(json!([source.source, source.name]));
            }
        }
        (json!(refs), json!(sources))
    }

    /// dbt's defaults below what is configured.
    fn config(&self, node: &Node) -> Value {
        let mut config = json!({
            "enabled": true, "alias": null, "schema": null, "database": null,
            "tags": node.tags, "meta": node.meta, "group": null, "static_analysis": null,
            "materialized": Resource::Node(node).materialized(),
        });
        if node.kind() == NodeKind::Test {
            config["schema"] = "dbt_test__audit".into();
        }
        if let Some(map) = config.as_object_mut() {
            match &node.spec {
                NodeSpec::Test(test) => {
                    let severity = match test.severity {
                        Severity::Error => "ERROR",
                        Severity::Warn => "WARN",
                    };
                    for (key, value) in [
                        ("severity", json!(severity)),
                        ("store_failures", Value::Null),
                        ("store_failures_as", Value::Null),
                        ("where", Value::Null),
                        ("limit", json!(test.limit)),
                        ("fail_calc", json!(test.fail_calc)),
                        ("warn_if", json!(test.warn_if)),
                        ("error_if", json!(test.error_if)),
                    ] {
                        map.insert(key.into(), value);
                    }
                }
                spec => {
                    let more = json!({
                        "incremental_strategy": null, "batch_size": null, "lookback": 1, "begin": null,
                        "persist_docs": {}, "post-hook": [], "pre-hook": [], "quoting": {},
                        "column_types": {}, "full_refresh": null, "unique_key": null,
                        "on_schema_change": "ignore", "on_configuration_change": "apply", "grants": {},
                        "packages": [], "docs": {"show": true, "node_color": null},
                        "contract": {"enforced": false, "alias_types": true}, "event_time": null,
                        "concurrent_batches": null,
                    });
                    map.extend(more.as_object().cloned().unwrap_or_default());
                    match spec {
                        NodeSpec::Model(model) => {
                            map.insert(
                                "contract".into(),
                                json!({"enforced": model.contract_enforced, "alias_types": true}),
                            );
                            map.insert("access".into(), "protected".into());
                            map.insert("freshness".into(), Value::Null);
                        }
                        NodeSpec::Seed(seed) => {
                            map.insert("delimiter".into(), seed.delimiter.to_string().into());
                            map.insert("quote_columns".into(), Value::Null);
                        }
                        _ => {}
                    }
                }
            }
            map.extend(node.config.clone());
            // A hook may be written as plain text; dbt always lists them as mappings.
            for key in ["pre-hook", "post-hook"] {
                if let Some(Value::Array(hooks)) = map.get_mut(key) {
                    for hook in hooks.iter_mut() {
                        if hook.is_string() {
                            *hook = json!({"sql": hook, "transaction": true, "index": null});
                        }
                    }
                }
            }
        }
        config
    }

    /// A test belongs to whom its model belongs to.
    fn group_of(&self, node: &Node) -> Value {
        let of = match &node.spec {
            NodeSpec::Test(test) => test.attached_to.as_ref().and_then(|id| self.graph.get(id)),
            _ => Some(node),
        };
        of.and_then(|node| node.config.get("group"))
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// The schema of the target.
    fn schema(&self) -> &str {
        self.opened
            .target
            .as_ref()
            .map_or("main", |target| target.schema.as_str())
    }

    /// dbt shortens the names of tests that are too long for some databases.
    fn test_alias(&self, node: &Node) -> String {
        let NodeSpec::Test(test) = &node.spec else {
            return node.name.clone();
        };
        if let Some(alias) = node.config.get("alias").and_then(Value::as_str) {
            return alias.to_owned();
        }
        let Some(generic) = test.generic.as_deref().filter(|_| node.name.len() > 63) else {
            return node.name.clone();
        };
        let tested = test
            .attached_to
            .as_ref()
            .and_then(|id| self.graph.get(id))
            .map_or("", |tested| tested.name.as_str());
        let start: String = format!("{}_{tested}", generic.replace('.', "_"))
            .chars()
            .take(30)
            .collect();
        format!(
            "{start}_{}",
            mxcp_compiler::models::short_digest(&node.name)
        )
    }

    /// A description with its docs blocks filled in.
    fn described(&self, text: Option<&str>) -> String {
        let mut out = String::new();
        let mut rest = text.unwrap_or_default();
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((call, after)) = after.split_once("}}") else {
                break;
            };
            out.push_str(before);
            let name = call
                .trim()
                .strip_prefix("doc(")
                .and_then(|call| call.strip_suffix(')'))
                .map(|arguments| {
                    let last = arguments.rsplit(',').next().unwrap_or_default();
                    last.trim().trim_matches(['\'', '"']).to_owned()
                });
            let block = name.and_then(|name| {
                let docs = &self.opened.ecosystem().docs;
                docs.values().find(|(found, _, _)| *found == name)
            });
            match block {
                Some((_, _, text)) => out.push_str(text),
                None => out.push_str(&format!("{{{{{call}}}}}")),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// The name of a relation, quoted as the project says.
    fn written(&self, parts: [&str; 3]) -> String {
        let parts = parts.iter().zip(self.opened.ecosystem().plain);
        let parts: Vec<String> = parts
            .map(|(part, plain)| match plain {
                true => (*part).to_owned(),
                false => format!("\"{part}\""),
            })
            .collect();
        parts.join(".")
    }

    fn constraint(&self, constraint: &Constraint) -> Value {
        // A name without its database is one in the run's own.
        let to = constraint
            .to
            .as_ref()
            .map(|to| match to.matches("\".\"").count() {
                1 => format!("\"{}\".{to}", self.database),
                _ => to.clone(),
            });
        json!({
            "type": constraint_name(constraint.kind),
            "name": constraint.name,
            "expression": constraint.expression,
            "warn_unenforced": constraint.warn_unenforced.unwrap_or(true),
            "warn_unsupported": constraint.warn_unsupported.unwrap_or(true),
            "to": to,
            "to_columns": constraint.to_columns,
        })
    }

    fn columns(&self, columns: &[ColumnSpec]) -> Map<String, Value> {
        columns
            .iter()
            .map(|column| {
                let constraints = column.constraints.iter();
                let constraints: Vec<Value> = constraints.map(|c| self.constraint(c)).collect();
                let value = json!({
                    "name": column.name,
                    "description": self.described(column.description.as_deref()),
                    "meta": column.meta,
                    "data_type": column.data_type,
                    "constraints": constraints,
                    "quote": column.quote.then_some(true),
                    "config": {"meta": column.meta, "tags": column.tags},
                    "tags": column.tags,
                    "granularity": null,
                    "doc_blocks": [],
                });
                (column.name.clone(), value)
            })
            .collect()
    }
}

/// How a node is shown in dbt's pages.
fn docs_of(node: &Node) -> Value {
    let mut docs = json!({"show": true, "node_color": null});
    if let (Some(map), Some(Value::Object(said))) = (docs.as_object_mut(), node.config.get("docs"))
    {
        map.extend(said.clone());
    }
    docs
}

fn constraint_name(kind: ConstraintKind) -> &'static str {
    match kind {
        ConstraintKind::NotNull => "not_null",
        ConstraintKind::Unique => "unique",
        ConstraintKind::PrimaryKey => "primary_key",
        ConstraintKind::ForeignKey => "foreign_key",
        ConstraintKind::Check => "check",
        ConstraintKind::Custom => "custom",
    }
}

/// Without the folder of the kind, e.g. `models/`.
fn below_root(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, rest)| rest)
}
