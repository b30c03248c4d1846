//! What templates need during a run, taken out of the query graph: plain data that any thread may use.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{DbtGraph, Materialization, Node, NodeKind};
use mxcp_artifact::dbt_live::{
    Batch, Compiled, Materialized, RunFacts, Templates, UnitTestSql, Warehouse,
};
use serde_json::{Map, Value as Json, json};

use super::data_tests::test_templates;
use super::graph::dbt_graph;
use super::index::{
    analysis_files, dbt_project, find_node, macro_set, node_name, package_index, ref_index,
    source_index,
};
use super::node::{is_ephemeral, node_config, node_relation, target, vars_of};
use super::others::{external, ref_id};
use super::packages::{installed, package_name};
use super::python_models::python_files;
use super::snapshots::snapshots;
use super::unit_nodes::{unit_test_id, unit_tests};
use crate::Db;
use crate::dbt::Resolved;
use crate::dbt::ephemeral::{EphemeralParent, cte_name, inject};
use crate::dbt::live::{
    Link, LiveRef, LiveSource, Output, Rendering, Replaced, World, evaluate, render_live, with_link,
};
use crate::dbt::manifest::{graph_value, node_value};
use crate::dbt::unit_test::{Input, Rows, Typed, UnitTest, csv, expected_sql, fixture_sql};

/// The templates of a project, for a run of its nodes.
#[derive(Debug)]
pub struct LiveTemplates {
    world: Arc<World>,
    graph: DbtGraph,
    nodes: BTreeMap<String, LiveNode>,
    /// Unit tests, with the unique ids of their models.
    tests: BTreeMap<String, (String, UnitTest)>,
    /// Texts of seeds that unit tests read as they are.
    seeds: BTreeMap<String, String>,
}

/// Names and types of a relation's or query's columns.
fn described(link: &Link, relation: &str) -> Result<Vec<Typed>, String> {
    let rows = link
        .query(&format!("describe select * from {relation} as described"))?
        .rows;
    let text = |row: &[Json], i: usize| Some(row.get(i)?.as_str()?.to_owned());
    Ok(rows
        .iter()
        .filter_map(|row| Some((text(row, 0)?, text(row, 1)?)))
        .collect())
}

/// dbt's name of a batch: its start, as far as the size of the batches tells it.
fn batch_id(start: &str, config: &Map<String, Json>) -> String {
    let length = match config.get("batch_size").and_then(Json::as_str) {
        Some("year") => 4,
        Some("month") => 7,
        Some("hour") => 13,
        _ => 10,
    };
    start.chars().take(length).filter(|c| *c != '-').collect()
}

/// A template and what it is rendered with.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveNode {
    pub(super) name: String,
    pub(super) package: String,
    pub(super) path: String,
    pub(super) text: String,
    pub(super) this: Option<RelationName>,
    pub(super) config: Map<String, Json>,
    pub(super) extra: BTreeMap<String, Json>,
    pub(super) pre_hooks: Vec<String>,
    pub(super) post_hooks: Vec<String>,
}

impl LiveTemplates {
    pub fn new(db: &dyn Db) -> Self {
        let graph = dbt_graph(db).clone();
        let mut live = BTreeMap::new();
        let mut refs = BTreeMap::new();
        let root = dbt_project(db).map_or("", |p| p.def.name.as_str());
        let mut add_ref = |package: &str, name: &str, found: LiveRef| {
            let any = (None, name.to_owned());
            if package == root || !refs.contains_key(&any) {
                refs.insert(any, found.clone());
            }
            refs.insert((Some(package.to_owned()), name.to_owned()), found);
        };
        let files = package_index(db)
            .iter()
            .map(|((_, name), file)| (name.clone(), *file))
            .chain(
                ref_index(db)
                    .iter()
                    .map(|(name, file)| (name.clone(), *file)),
            )
            .chain(
                python_files(db)
                    .iter()
                    .map(|file| (node_name(db, *file).to_owned(), *file)),
            );
        for (name, file) in files {
            let id = super::compile::unique_id(db, file);
            let config = &node_config(db, file).0;
            let package = package_name(db, file.path(db));
            let resolved = match is_ephemeral(db, file) {
                true => Resolved::Ephemeral(node_name(db, file).to_owned()),
                false => Resolved::Relation(node_relation(db, file).clone()),
            };
            let event_time = config.raw.get("event_time").and_then(Json::as_str);
            let found = LiveRef {
                resolved,
                unique_id: id.clone(),
                event_time: event_time.map(str::to_owned),
            };
            add_ref(package, &name, found);
            live.insert(
                id,
                LiveNode {
                    name: node_name(db, file).to_owned(),
                    package: package.to_owned(),
                    path: file.path(db).to_owned(),
                    text: file.text(db).to_owned(),
                    this: Some(node_relation(db, file).clone()),
                    config: config.raw.clone(),
                    extra: BTreeMap::new(),
                    pre_hooks: config.pre_hooks.clone(),
                    post_hooks: config.post_hooks.clone(),
                },
            );
        }
        for (name, snapshot) in snapshots(db) {
            let event_time = snapshot.config.raw.get("event_time").and_then(Json::as_str);
            let found = LiveRef {
                resolved: Resolved::Relation(snapshot.relation.clone()),
                unique_id: snapshot.unique_id(),
                event_time: event_time.map(str::to_owned),
            };
            add_ref(&snapshot.package, name, found);
            live.insert(
                snapshot.unique_id(),
                LiveNode {
                    name: name.clone(),
                    package: snapshot.package.clone(),
                    path: snapshot.file.path(db).to_owned(),
                    text: snapshot.text.clone(),
                    this: Some(snapshot.relation.clone()),
                    config: snapshot.config.raw.clone(),
                    extra: BTreeMap::new(),
                    pre_hooks: snapshot.config.pre_hooks.clone(),
                    post_hooks: snapshot.config.post_hooks.clone(),
                },
            );
        }
        for file in analysis_files(db) {
            let config = &node_config(db, *file).0;
            let template = LiveNode {
                name: node_name(db, *file).to_owned(),
                package: package_name(db, file.path(db)).to_owned(),
                path: file.path(db).to_owned(),
                text: file.text(db).to_owned(),
                config: config.raw.clone(),
                ..LiveNode::default()
            };
            live.insert(super::compile::unique_id(db, *file), template);
        }
        live.extend(test_templates(db));
        let mut tests = BTreeMap::new();
        for (_, test, _) in unit_tests(db) {
            if let Some(model) = ref_id(db, None, &test.model) {
                tests.insert(unit_test_id(&model, &test), (model, test));
            }
        }
        let mut seeds = BTreeMap::new();
        for (_, test) in tests.values() {
            for (input, rows) in &test.given {
                if let (Input::Ref(package, name), None) = (input, rows)
                    && let Some(file) = find_node(db, package.as_deref(), name)
                {
                    seeds.insert(name.clone(), file.text(db).to_owned());
                }
            }
        }
        let packages = installed(db).iter().map(|p| p.def.name.as_str());
        let vars = packages
            .chain([root])
            .map(|package| (package.to_owned(), vars_of(db, package)))
            .collect();
        let sources = source_index(db)
            .iter()
            .map(|(key, relation)| {
                let declared = graph
                    .sources
                    .iter()
                    .find(|s| s.source == key.0 && s.name == key.1);
                let event_time = declared
                    .and_then(|source| source.details.get("event_time"))
                    .and_then(Json::as_str);
                let found = LiveSource {
                    relation: relation.clone(),
                    location: external(db, &key.0, &key.1),
                    event_time: event_time.map(str::to_owned),
                };
                (key.clone(), found)
            })
            .collect();
        let world = World {
            macros: macro_set(db).clone(),
            target: target(db),
            vars,
            refs,
            sources,
            graph: OnceLock::new(),
            docs: super::docs::docs(db).clone(),
        };
        let _ = world.graph.set(graph_value(&graph, &world.target.database));
        Self {
            world: Arc::new(world),
            graph,
            nodes: live,
            tests,
            seeds,
        }
    }

    fn node(&self, unique_id: &str) -> Result<(&LiveNode, Option<&Node>), String> {
        let node = self
            .nodes
            .get(unique_id)
            .ok_or_else(|| format!("there is no node `{unique_id}`"))?;
        Ok((node, self.graph.get(unique_id)))
    }

    fn rendering(
        &self,
        unique_id: &str,
        run: &RunFacts,
        batch: Option<&Batch>,
    ) -> Result<Rendering, String> {
        let (live, node) = self.node(unique_id)?;
        let mut model = match node {
            Some(node) => node_value(node, &self.world.target.database),
            None => json!({"name": live.name, "unique_id": unique_id}),
        };
        if let Some(batch) = batch
            && let Json::Object(model) = &mut model
        {
            model.insert(
                "batch".to_owned(),
                json!({
                    "id": batch_id(&batch.start, &live.config),
                    "event_time_start": batch.start,
                    "event_time_end": batch.end,
                }),
            );
        }
        Ok(Rendering {
            package: live.package.clone(),
            path: live.path.clone(),
            this: live.this.clone(),
            config: live.config.clone(),
            model,
            extra: live.extra.clone(),
            run: run.clone(),
            batch: batch.cloned(),
            replaced: Replaced::default(),
        })
    }

    fn project(&self, run: &RunFacts) -> Rendering {
        Rendering {
            package: self.graph.project.clone(),
            path: String::new(),
            this: None,
            config: Map::new(),
            model: Json::Null,
            extra: BTreeMap::new(),
            run: run.clone(),
            batch: None,
            replaced: Replaced::default(),
        }
    }

    /// The SQL with the ephemeral nodes it reads, and theirs, in front.
    fn inlined(
        &self,
        link: &Arc<Link>,
        output: &Output,
        run: &RunFacts,
        replaced: &Replaced,
    ) -> Result<String, String> {
        let mut known: BTreeMap<String, EphemeralParent> = BTreeMap::new();
        let mut open = output.ephemeral.clone();
        while let Some(id) = open.pop() {
            let (live, _) = self.node(&id)?;
            if known.contains_key(&live.name) {
                continue;
            }
            let work = Rendering {
                replaced: replaced.clone(),
                ..self.rendering(&id, run, None)?
            };
            let parent = render_live(&self.world, link, &live.text, &work)?;
            known.insert(
                live.name.clone(),
                EphemeralParent {
                    name: live.name.clone(),
                    sql: parent.text,
                    parents: self.names(&parent.ephemeral),
                },
            );
            open.extend(parent.ephemeral);
        }
        let direct = self.names(&output.ephemeral);
        Ok(inject(&output.text, &direct, &|name| known.get(name)))
    }

    fn names(&self, ids: &[String]) -> Vec<String> {
        ids.iter()
            .filter_map(|id| Some(self.nodes.get(id)?.name.clone()))
            .collect()
    }

    /// The rows of an input, with the types of what it stands for.
    fn fixture(
        &self,
        link: &Arc<Link>,
        input: &Input,
        rows: Option<&Rows>,
        model: &LiveNode,
        run: &RunFacts,
    ) -> Result<String, String> {
        let name = input.cte(&model.name);
        let of_seed = match input {
            Input::Ref(_, seed) => self.seeds.get(seed).map(|text| Rows::Dicts(csv(text))),
            _ => None,
        };
        let none = Rows::Dicts(Vec::new());
        let rows = rows.or(of_seed.as_ref()).unwrap_or(&none);
        if let Rows::Sql(text) = rows {
            return Ok(text.clone());
        }
        let relation = match input {
            Input::This => model.this.as_ref().map(RelationName::quoted),
            Input::Source(source, table) => {
                let found = self.world.sources.get(&(source.clone(), table.clone()));
                found.map(|found| {
                    let text = found.location.clone();
                    text.unwrap_or_else(|| found.relation.quoted())
                })
            }
            Input::Ref(package, node) => {
                let key = (package.clone(), node.clone());
                match self.world.resolve(&model.package, &key) {
                    Some(found) => match &found.resolved {
                        Resolved::Relation(relation) => Some(relation.quoted()),
                        _ => {
                            let (parent, _) = self.node(&found.unique_id)?;
                            let work = self.rendering(&found.unique_id, run, None)?;
                            let output = render_live(&self.world, link, &parent.text, &work)?;
                            let sql = self.inlined(link, &output, run, &Replaced::default())?;
                            Some(format!("({sql})"))
                        }
                    },
                    None => return Err(format!("there is no model or seed `{node}`")),
                }
            }
        };
        let columns = match relation {
            Some(relation) => described(link, &relation).map_err(|error| {
                format!("the columns of the input `{name}` are not known, because it is not built: {error}")
            })?,
            None => Vec::new(),
        };
        Ok(format!(
            "-- Fixture for {name}\n{}",
            fixture_sql(rows, &columns, &name)?
        ))
    }

    /// The package and name of a materialisation's macro.
    fn materialization(&self, name: &str) -> Option<(String, String)> {
        super::node::custom_materialization(&self.world.macros, name)
    }
}

impl Templates for LiveTemplates {
    fn compile(
        &self,
        unique_id: &str,
        run: &RunFacts,
        batch: Option<&Batch>,
        warehouse: &dyn Warehouse,
    ) -> Result<Compiled, String> {
        let (live, node) = self.node(unique_id)?;
        let work = self.rendering(unique_id, run, batch)?;
        with_link(warehouse, |link| {
            // The text of a seed is its rows; its hooks alone are templates.
            let output = match node.map(Node::kind) {
                Some(NodeKind::Seed) => Output::default(),
                _ => render_live(&self.world, &link, &live.text, &work)?,
            };
            let sql = self.inlined(&link, &output, run, &Replaced::default())?;
            let mut config = live.config.clone();
            crate::dbt::config::merge(&mut config, output.config);
            let hooks = |list: &[String]| -> Result<Vec<String>, String> {
                list.iter()
                    .map(|hook| {
                        let work = Rendering {
                            config: config.clone(),
                            ..work.clone()
                        };
                        Ok(render_live(&self.world, &link, hook, &work)?.text)
                    })
                    .collect()
            };
            let known = node.is_some_and(|node| {
                config.iter().all(|(k, v)| match k.as_str() {
                    // These add up when they are merged with themselves.
                    "tags" | "pre-hook" | "post-hook" | "packages" | "grants" => true,
                    _ => node.config.get(k) == Some(v) || live.config.get(k) == Some(v),
                })
            });
            Ok(Compiled {
                sql,
                pre_hooks: hooks(&live.pre_hooks)?,
                post_hooks: hooks(&live.post_hooks)?,
                config: if known { Map::new() } else { config },
            })
        })
    }

    fn materialize(
        &self,
        unique_id: &str,
        name: &str,
        compiled_sql: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<Materialized, String> {
        let (live, _) = self.node(unique_id)?;
        let Some((package, macro_name)) = self.materialization(name) else {
            return Err(format!("there is no materialisation `{name}`"));
        };
        let mut work = self.rendering(unique_id, run, None)?;
        let hooks = |list: &[String]| -> Json {
            list.iter()
                .enumerate()
                .map(|(i, sql)| json!({"sql": sql, "transaction": true, "index": i}))
                .collect()
        };
        work.extra.extend([
            ("sql".to_owned(), Json::from(compiled_sql)),
            ("compiled_code".to_owned(), Json::from(compiled_sql)),
            ("pre_hooks".to_owned(), hooks(&live.pre_hooks)),
            ("post_hooks".to_owned(), hooks(&live.post_hooks)),
        ]);
        if let Json::Object(model) = &mut work.model {
            for key in ["compiled_code", "compiled_sql"] {
                model.insert(key.to_owned(), Json::from(compiled_sql));
            }
        }
        let call = format!("{package}.{macro_name}()");
        let (relations, rows_affected) = with_link(warehouse, |link| {
            evaluate(&self.world, &link, &call, &work, |value, changed| {
                (crate::dbt::live::relations_of(&value), changed)
            })
        })?;
        Ok(Materialized {
            relations,
            message: "OK".to_owned(),
            rows_affected,
        })
    }

    fn unit_test(
        &self,
        unique_id: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<UnitTestSql, String> {
        let (model, test) = self
            .tests
            .get(unique_id)
            .ok_or_else(|| format!("there is no unit test `{unique_id}`"))?;
        let (live, _) = self.node(model)?;
        let mut work = self.rendering(model, run, None)?;
        for (key, value) in &test.env_vars {
            let text = mxcp_values::repr::text(value);
            work.replaced.env_vars.insert(key.clone(), text);
        }
        work.replaced.on = true;
        work.replaced.macros.extend(test.macros.clone());
        work.replaced.vars.extend(test.vars.clone());
        for (input, _) in &test.given {
            let cte = cte_name(&input.cte(&test.model));
            match input {
                Input::Ref(package, name) => {
                    work.replaced
                        .refs
                        .insert((package.clone(), name.clone()), cte);
                }
                Input::Source(source, table) => {
                    let key = (source.clone(), table.clone());
                    work.replaced.sources.insert(key, cte);
                }
                Input::This => work.replaced.this = Some(cte),
            }
        }
        with_link(warehouse, |link| {
            let mut fixtures = BTreeMap::new();
            let mut order = Vec::new();
            for (input, rows) in &test.given {
                let name = input.cte(&test.model);
                let sql = self.fixture(&link, input, rows.as_ref(), live, run)?;
                order.push(name.clone());
                fixtures.insert(
                    name.clone(),
                    EphemeralParent {
                        name,
                        sql,
                        parents: Vec::new(),
                    },
                );
            }
            let output = render_live(&self.world, &link, &live.text, &work)?;
            let sql = self.inlined(&link, &output, run, &work.replaced)?;
            // As dbt meets them in the template.
            order.sort_by_key(|name| output.text.find(&cte_name(name)).unwrap_or(usize::MAX));
            // Ephemeral models that are no inputs may read the inputs, so these come first.
            let actual = inject(&sql, &order, &|name| fixtures.get(name));
            let columns = described(&link, &format!("({actual})"))?;
            let (expected, columns) = expected_sql(test.expect.as_ref(), &columns, &actual)?;
            Ok(UnitTestSql {
                actual,
                expected,
                columns,
            })
        })
    }

    fn render(
        &self,
        template: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<String, String> {
        let work = self.project(run);
        with_link(warehouse, |link| {
            let output = render_live(&self.world, &link, template, &work)?;
            self.inlined(&link, &output, run, &work.replaced)
        })
    }

    fn render_in(
        &self,
        package: &str,
        template: &str,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<String, String> {
        let work = Rendering {
            package: package.to_owned(),
            ..self.project(run)
        };
        with_link(warehouse, |link| {
            Ok(render_live(&self.world, &link, template, &work)?.text)
        })
    }

    fn call_macro(
        &self,
        name: &str,
        arguments: &BTreeMap<String, Json>,
        run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<Json, String> {
        let is_name =
            |text: &str| !text.is_empty() && text.chars().all(|c| c == '_' || c.is_alphanumeric());
        if !name.split('.').all(is_name) {
            return Err(format!("`{name}` is no name of a macro"));
        }
        let macros = &self.world.macros;
        let called = match name.split_once('.') {
            Some((package, own)) => macros.contains(package, own).then(|| name.to_owned()),
            None if macros.callable(&self.graph.project, name) => Some(name.to_owned()),
            // dbt looks in every package.
            None => {
                let packages = macros.package_names();
                let found = packages
                    .iter()
                    .find(|package| macros.contains(package, name));
                found.map(|package| format!("{package}.{name}"))
            }
        };
        let Some(name) = called else {
            return Err(format!("there is no macro `{name}`"));
        };
        let mut work = self.project(run);
        let mut parts = Vec::new();
        for (argument, value) in arguments {
            if !is_name(argument) {
                return Err(format!("`{argument}` is no name of an argument"));
            }
            parts.push(format!("{argument}=__arg_{argument}"));
            work.extra
                .insert(format!("__arg_{argument}"), value.clone());
        }
        let call = format!("{name}({})", parts.join(", "));
        with_link(warehouse, |link| {
            evaluate(&self.world, &link, &call, &work, |value, _| {
                crate::dbt::live::json_value(&value)
            })
        })
    }

    fn defines(&self, materialization: &Materialization) -> bool {
        self.materialization(materialization.as_str()).is_some()
    }
}
