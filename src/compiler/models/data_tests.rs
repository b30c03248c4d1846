//! Data tests as compiled nodes: generic ones from property files, singular ones from files.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::{Node, NodeSpec};
use mxcp_artifact::{Digest, RelationName};
use mxcp_base::SourceFile;

use super::compile::{inline_ephemeral, unique_id};
use super::index::{
    dbt_project, find_node, macro_set, node_name, nodes, properties, property_files,
    singular_test_files,
};
use super::live::LiveNode;
use super::node::{
    Names, fqn, is_enabled, node_properties, render_input, target, vars_of, yaml_context_of,
};
use super::others::{ref_id, source_id};
use super::packages::{package_name, project_of};
use super::python_models::python_files;
use super::snapshots::snapshots;
use crate::Db;
use crate::dbt::problem::code;
use crate::dbt::properties::TestProps;
use crate::dbt::tests::{CompiledTest, TestInput, Tested, compile_generic, compile_singular};
use crate::dbt::values::{custom_name, render_yaml};
use crate::dbt::{Problem, Resource};
use crate::documents::{DocumentKind, document_kind};
use crate::inputs::dbt_inputs;
use crate::surface::property_index;

/// A compiled generic test and where it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredTest {
    pub(crate) file: SourceFile,
    pub(crate) test: CompiledTest,
}

/// The tests that property files declare on one model or seed.
#[salsa::tracked(returns(ref))]
pub(crate) fn node_tests(db: &dyn Db, node: SourceFile) -> Vec<DeclaredTest> {
    let id = unique_id(db, node);
    let on = match super::compile::version(db, node) {
        Some((model, version)) => Tested::Version { model, version },
        None => Tested::Node(node_name(db, node)),
    };
    let all = node_properties(db, node).into_iter();
    let own = all.flat_map(|all| {
        let tests = all.props.all_tests();
        tests.filter_map(|test| Some((*all.parts.get(test.place.part)?, test)))
    });
    own.chain(misplaced(db, node))
        .filter_map(|(file, test)| {
            Some(DeclaredTest {
                file,
                test: generic(db, file, test, on, Some(&id))?,
            })
        })
        .collect()
}

/// Tests of a node that stand under the word for another kind of node: dbt takes them, and nothing else there.
fn misplaced(db: &dyn Db, node: SourceFile) -> Vec<(SourceFile, &TestProps)> {
    let other = match document_kind(db, node) {
        DocumentKind::DbtSeed => Resource::Model,
        DocumentKind::DbtModel => Resource::Seed,
        _ => return Vec::new(),
    };
    let name = node_name(db, node);
    let key = |resource| {
        (
            package_name(db, node.path(db)).to_owned(),
            resource,
            name.to_owned(),
        )
    };
    let index = property_index(db);
    // A node of that kind and name has them for itself.
    if find_node(db, None, name) != Some(node) || !index.contains_key(&key(other)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for file in index.get(&key(other)).into_iter().flatten() {
        let listed = &properties(db, *file).0;
        let entries = match other {
            Resource::Model => &listed.models,
            _ => &listed.seeds,
        };
        for entry in entries.iter().filter(|entry| entry.name == name) {
            found.extend(entry.all_tests().map(|test| (*file, test)));
        }
    }
    found
}

/// The tests that one property file declares on tables of sources.
#[salsa::tracked(returns(ref))]
pub(crate) fn source_tests(db: &dyn Db, file: SourceFile) -> Vec<DeclaredTest> {
    let mut found = Vec::new();
    for source in &properties(db, file).0.sources {
        for table in &source.tables {
            let on = Tested::Source {
                source: &source.name,
                table: &table.name,
            };
            let tests = table
                .tests
                .iter()
                .chain(table.columns.iter().flat_map(|c| &c.tests));
            for test in tests {
                if let Some(mut test) = generic(db, file, test, on, None) {
                    let more = source.tags.iter().chain(&table.tags);
                    test.tags.extend(more.cloned());
                    test.tags.sort();
                    test.tags.dedup();
                    found.push(DeclaredTest { file, test });
                }
            }
        }
    }
    found
}

fn generic(
    db: &dyn Db,
    file: SourceFile,
    test: &crate::dbt::properties::TestProps,
    on: Tested<'_>,
    attached_to: Option<&str>,
) -> Option<CompiledTest> {
    let (own, path) = project_of(db, file.path(db))?;
    let project = &dbt_project(db)?.def;
    let input = TestInput {
        test,
        on,
        attached_to,
        package: &own.name,
        path,
        project,
        vars: &vars_of(db, &own.name),
        target: &target(db),
        macros: macro_set(db),
        env: &dbt_inputs(db).env,
    };
    Some(compile_generic(&input, &Names { db }))
}

#[salsa::tracked(returns(as_ref))]
pub(crate) fn singular_test(db: &dyn Db, file: SourceFile) -> Option<CompiledTest> {
    let project = &dbt_project(db)?.def;
    let context = yaml_context_of(db, file.path(db));
    let declared = node_properties(db, file).map(|p| p.props.config_map());
    let (declared, _) = render_yaml(&declared.unwrap_or_default().into(), &context, "");
    let declared = declared.as_object().cloned().unwrap_or_default();
    let fqn = fqn(db, file);
    Some(render_input(db, file, |input| {
        compile_singular(input, project, &fqn, &declared, &Names { db })
    }))
}

/// Problems of the tests that `file` declares.
pub(crate) fn test_problems(db: &dyn Db, file: SourceFile, nodes: &[SourceFile]) -> Vec<Problem> {
    nodes
        .iter()
        .flat_map(|node| node_tests(db, *node))
        .chain(source_tests(db, file))
        .filter(|declared| declared.file == file)
        .flat_map(|declared| declared.test.problems.iter().cloned())
        .collect()
}

/// Generic tests of every kind of node, with the files that declare them.
fn declared(db: &dyn Db) -> impl Iterator<Item = (SourceFile, &CompiledTest)> {
    let python = python_files(db)
        .iter()
        .filter(|file| is_enabled(db, **file));
    nodes(db)
        .iter()
        .chain(python)
        .flat_map(|node| node_tests(db, *node))
        .chain(
            property_files(db)
                .iter()
                .flat_map(|file| source_tests(db, *file)),
        )
        .chain(snapshot_tests(db))
        .map(|declared| (declared.file, &declared.test))
}

/// The tests that property files declare on snapshots.
#[salsa::tracked(returns(ref))]
fn snapshot_tests(db: &dyn Db) -> Vec<DeclaredTest> {
    let mut found = Vec::new();
    for (name, snapshot) in snapshots(db) {
        let Some((file, props)) = &snapshot.props else {
            continue;
        };
        let id = snapshot.unique_id();
        for test in props.all_tests() {
            if let Some(test) = generic(db, *file, test, Tested::Node(name), Some(&id)) {
                found.push(DeclaredTest { file: *file, test });
            }
        }
    }
    found
}

/// All enabled tests that compile.
pub(crate) fn test_nodes(db: &dyn Db) -> Vec<Node> {
    let declared = declared(db);
    let singular = singular_test_files(db)
        .iter()
        .filter(|file| is_enabled(db, **file))
        .filter_map(|file| Some((*file, singular_test(db, *file)?)));
    declared
        .chain(singular)
        .filter(|(_, test)| test.enabled && runs(test))
        .map(|(file, test)| test_node(db, file, test))
        .collect()
}

fn runs(test: &CompiledTest) -> bool {
    test.fails_late || test.problems.iter().all(Problem::is_accepted)
}

/// Whether a file holds nothing that stops dbt when it reads the project: nodes may still fail when they run, and
/// tests of nodes that are not there are left out.
pub fn is_readable(db: &dyn Db, file: SourceFile) -> bool {
    let harmless = |test: &CompiledTest| {
        let unknown = |p: &Problem| matches!(p.code, code::UNKNOWN_REF | code::UNKNOWN_SOURCE);
        let mut problems = test.problems.iter();
        test.fails_late || problems.all(|p| p.is_accepted() || unknown(p))
    };
    match document_kind(db, file) {
        DocumentKind::DbtModel | DocumentKind::DbtAnalysis => super::compile::fails_late(db, file),
        DocumentKind::DbtTest => singular_test(db, file).is_some_and(harmless),
        DocumentKind::DbtProperties => declared(db)
            .filter(|(declared_in, _)| *declared_in == file)
            .all(|(_, test)| harmless(test)),
        _ => false,
    }
}

/// Tests that are switched off, with their files.
pub(super) fn disabled_tests(db: &dyn Db) -> impl Iterator<Item = (SourceFile, &CompiledTest)> {
    let singular = singular_test_files(db)
        .iter()
        .filter_map(|file| Some((*file, singular_test(db, *file)?)));
    let all = declared(db).chain(singular);
    all.filter(|(_, test)| !test.enabled)
}

/// The macros that tests call, by unique id.
pub(super) fn called_by_tests(db: &dyn Db) -> Vec<(String, Vec<String>)> {
    let singular = singular_test_files(db)
        .iter()
        .filter_map(|file| singular_test(db, *file));
    let all = declared(db).map(|(_, test)| test).chain(singular);
    all.map(|test| (test.unique_id.clone(), test.macros.clone()))
        .collect()
}

fn test_node(db: &dyn Db, file: SourceFile, test: &CompiledTest) -> Node {
    let parents: Vec<SourceFile> = test
        .refs
        .iter()
        .filter_map(|(package, name)| find_node(db, package.as_deref(), name))
        .collect();
    let refs = test.refs.iter();
    let sources = test.sources.iter();
    let mut depends_on: Vec<String> = refs
        .filter_map(|(package, name)| ref_id(db, package.as_deref(), name))
        .chain(sources.filter_map(|(source, table)| source_id(db, source, table)))
        .collect();
    depends_on.sort();
    depends_on.dedup();
    let unknown = test.dynamic.is_some() || !test.problems.is_empty();
    let mut spec = test.spec.clone();
    spec.store_failures = test.stored();
    // Failures are kept in a schema of their own; the name is there when they are not.
    let relation = Some({
        let text = |key: &str| test.config.get(key).and_then(|v| v.as_str());
        let schema = text("schema").unwrap_or("dbt_test__audit");
        let context = yaml_context_of(db, file.path(db));
        let node = serde_json::json!({
            "name": test.name, "resource_type": "test", "fqn": test.fqn, "config": test.config,
            "unique_id": test.unique_id, "tags": test.tags,
        });
        let made = custom_name("generate_schema_name", Some(schema), &node, &context);
        let short = (test.short_name != test.name).then_some(test.short_name.as_str());
        let alias = text("alias").or(short);
        let named = custom_name("generate_alias_name", alias, &node, &context);
        RelationName::in_schema(
            made.ok().flatten().unwrap_or_else(|| {
                crate::dbt::config::schema_name(&context.target.schema, Some(schema))
            }),
            named
                .ok()
                .flatten()
                .unwrap_or_else(|| alias.unwrap_or(&test.short_name).to_owned()),
        )
    });
    Node {
        unique_id: test.unique_id.clone(),
        name: test.name.clone(),
        package: package_name(db, file.path(db)).to_owned(),
        path: file.path(db).to_owned(),
        fqn: test.fqn.clone(),
        tags: test.tags.clone(),
        description: match &test.description {
            Some(text) => Some(super::docs::described(db, file.path(db), text)),
            None => node_properties(db, file)
                .filter(|_| spec.generic.is_none())
                .and_then(|p| p.props.description.as_deref())
                .map(|text| super::docs::described(db, file.path(db), text)),
        },
        relation,
        depends_on,
        compiled_sql: match unknown {
            true => String::new(),
            false => inline_ephemeral(db, &test.sql, &parents),
        },
        columns: Vec::new(),
        meta: match test.config.get("meta") {
            Some(serde_json::Value::Object(meta)) => meta.clone().into_iter().collect(),
            _ => BTreeMap::new(),
        },
        config: crate::dbt::printed(&test.config, crate::dbt::Resource::Test),
        live: test.live || unknown,
        digest: Digest::of(test.sql.as_bytes()),
        spec: NodeSpec::Test(spec),
    }
}

/// The templates of the tests in the graph, for a run.
pub(super) fn test_templates(db: &dyn Db) -> Vec<(String, LiveNode)> {
    let declared = declared(db);
    let singular = singular_test_files(db)
        .iter()
        .filter_map(|file| Some((*file, singular_test(db, *file)?)));
    declared
        .chain(singular)
        .map(|(file, test)| {
            let (text, extra) = match &test.template {
                Some((text, extra)) => (text.clone(), extra.iter().cloned().collect()),
                None => (file.text(db).to_owned(), BTreeMap::new()),
            };
            let node = LiveNode {
                name: test.name.clone(),
                package: package_name(db, file.path(db)).to_owned(),
                path: file.path(db).to_owned(),
                text,
                config: test.config.clone(),
                extra,
                ..LiveNode::default()
            };
            (test.unique_id.clone(), node)
        })
        .collect()
}
