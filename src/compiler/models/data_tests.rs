//! Data tests as compiled nodes: generic ones from property files, singular ones from files.

use std::collections::BTreeMap;

use mxcp_artifact::Digest;
use mxcp_artifact::dbt::{Node, NodeSpec};
use mxcp_base::SourceFile;

use super::compile::{inline_ephemeral, unique_id};
use super::index::{
    dbt_project, macro_set, node_name, nodes, properties, property_files, ref_index,
    singular_test_files,
};
use super::node::{Names, fqn, is_enabled, node_properties, render_input, target};
use crate::Db;
use crate::dbt::Problem;
use crate::dbt::tests::{CompiledTest, TestInput, Tested, compile_generic, compile_singular};

/// A compiled generic test and where it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredTest {
    pub(crate) file: SourceFile,
    pub(crate) test: CompiledTest,
}

/// The tests that property files declare on one model or seed.
#[salsa::tracked(returns(ref))]
pub(crate) fn node_tests(db: &dyn Db, node: SourceFile) -> Vec<DeclaredTest> {
    let Some(all) = node_properties(db, node) else {
        return Vec::new();
    };
    let id = unique_id(db, node);
    let name = node_name(db, node);
    all.props
        .all_tests()
        .filter_map(|test| {
            let file = *all.parts.get(test.place.part)?;
            Some(DeclaredTest {
                file,
                test: generic(db, file, test, Tested::Node(name), Some(&id))?,
            })
        })
        .collect()
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
                if let Some(test) = generic(db, file, test, on, None) {
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
    let project = &dbt_project(db)?.def;
    let input = TestInput {
        test,
        on,
        attached_to,
        package: &project.name,
        path: file.path(db),
        project,
        vars: &project.vars_for(&project.name),
        target: &target(db),
        macros: macro_set(db),
    };
    Some(compile_generic(&input, &Names { db }))
}

#[salsa::tracked(returns(as_ref))]
pub(crate) fn singular_test(db: &dyn Db, file: SourceFile) -> Option<CompiledTest> {
    let project = &dbt_project(db)?.def;
    Some(render_input(db, file, |input| {
        compile_singular(input, project, &fqn(db, file), &Names { db })
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

/// All enabled tests that compile.
pub(crate) fn test_nodes(db: &dyn Db) -> Vec<Node> {
    let declared = nodes(db)
        .iter()
        .flat_map(|node| node_tests(db, *node))
        .chain(
            property_files(db)
                .iter()
                .flat_map(|file| source_tests(db, *file)),
        )
        .map(|declared| (declared.file, &declared.test));
    let singular = singular_test_files(db)
        .iter()
        .filter(|file| is_enabled(db, **file))
        .filter_map(|file| Some((*file, singular_test(db, *file)?)));
    declared
        .chain(singular)
        .filter(|(_, test)| test.enabled && test.problems.is_empty() && test.dynamic.is_none())
        .map(|(file, test)| test_node(db, file, test))
        .collect()
}

fn test_node(db: &dyn Db, file: SourceFile, test: &CompiledTest) -> Node {
    let index = ref_index(db);
    let parents: Vec<SourceFile> = test
        .refs
        .iter()
        .filter_map(|(_, name)| index.get(name).copied())
        .collect();
    let mut depends_on: Vec<String> = parents.iter().map(|p| unique_id(db, *p)).collect();
    depends_on.sort();
    Node {
        unique_id: test.unique_id.clone(),
        name: test.name.clone(),
        package: dbt_project(db).map_or_else(String::new, |p| p.def.name.clone()),
        path: file.path(db).to_owned(),
        fqn: test.fqn.clone(),
        tags: test.tags.clone(),
        description: None,
        relation: None,
        depends_on,
        compiled_sql: inline_ephemeral(db, &test.sql, &parents),
        columns: Vec::new(),
        meta: BTreeMap::new(),
        config: BTreeMap::new(),
        live: false,
        digest: Digest::of(test.sql.as_bytes()),
        spec: NodeSpec::Test(test.spec.clone()),
    }
}
