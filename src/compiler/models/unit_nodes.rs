//! Unit tests as nodes of the graph.

use mxcp_artifact::Digest;
use mxcp_artifact::dbt::{Node, NodeSpec, UnitTestSpec};
use mxcp_base::{FileSet, SourceFile, paths};
use serde_json::{Map, Value as Json};

use super::index::{properties, property_files};
use super::others::ref_id;
use super::packages::{package_of, project_of};
use super::sources::folders;
use crate::Db;
use crate::dbt::unit_test::UnitTest;

/// The unit tests that property files declare, with their entries.
pub(super) fn unit_tests(db: &dyn Db) -> Vec<(SourceFile, UnitTest, Json)> {
    let mut found = Vec::new();
    for file in property_files(db) {
        // The tests of packages are their own business.
        if package_of(db, file.path(db)).is_some() {
            continue;
        }
        let Some(Json::Array(entries)) = properties(db, *file).0.others.get("unit_tests") else {
            continue;
        };
        let fixture = |name: &str, format: &str| fixture(db, file.path(db), name, format);
        for entry in entries {
            let enabled = entry.get("config").and_then(|c| c.get("enabled"));
            if enabled == Some(&Json::Bool(false)) {
                continue;
            }
            if let Some(test) = UnitTest::read(entry, &fixture) {
                found.push((*file, test, entry.clone()));
            }
        }
    }
    found
}

/// The text of a fixture: a file of that name in a folder `fixtures` below a test path.
fn fixture(db: &dyn Db, near: &str, name: &str, format: &str) -> Option<String> {
    let (def, _) = project_of(db, near)?;
    let name = name.trim_end_matches(".csv").trim_end_matches(".sql");
    FileSet::get(db)
        .files(db)
        .iter()
        .find(|(path, _)| {
            let below = |d: &String| paths::is_below(path, &paths::directory(d));
            paths::stem(path) == name
                && paths::extension(path) == if format == "sql" { "sql" } else { "csv" }
                && path.contains("fixtures/")
                && def.test_paths.iter().any(below)
        })
        .map(|(_, file)| file.text(db).to_owned())
}

/// The unique id of a unit test of a model.
pub(super) fn unit_test_id(model_id: &str, test: &UnitTest) -> String {
    let package = model_id.split('.').nth(1).unwrap_or_default();
    format!("unit_test.{package}.{}.{}", test.model, test.name)
}

pub(super) fn unit_test_nodes(db: &dyn Db) -> Vec<Node> {
    unit_tests(db)
        .into_iter()
        .filter_map(|(file, test, entry)| {
            let model = ref_id(db, None, &test.model)?;
            let config = match entry.get("config") {
                Some(Json::Object(map)) => map.clone(),
                _ => Map::new(),
            };
            let mut fqn = folders(db, file.path(db));
            let package = fqn.first().cloned().unwrap_or_default();
            fqn.extend([test.model.clone(), test.name.clone()]);
            let tags = match config.get("tags") {
                Some(Json::Array(tags)) => tags.iter().map(mxcp_values::repr::text).collect(),
                Some(Json::String(tag)) => vec![tag.clone()],
                _ => Vec::new(),
            };
            let meta = match config.get("meta") {
                Some(Json::Object(meta)) => meta.clone().into_iter().collect(),
                _ => Default::default(),
            };
            Some(Node {
                unique_id: unit_test_id(&model, &test),
                name: test.name.clone(),
                package,
                path: file.path(db).to_owned(),
                fqn,
                tags,
                description: entry
                    .get("description")
                    .and_then(Json::as_str)
                    .map(str::to_owned),
                relation: None,
                // dbt's own: the rows stand for everything else.
                depends_on: vec![model.clone()],
                compiled_sql: String::new(),
                columns: Vec::new(),
                meta,
                config: [
                    ("enabled", Json::Bool(true)),
                    ("meta", Json::Object(Map::new())),
                    ("tags", Json::Array(Vec::new())),
                    ("static_analysis", Json::Null),
                ]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .chain(config)
                .collect(),
                live: true,
                digest: Digest::of(entry.to_string().as_bytes()),
                spec: NodeSpec::UnitTest(UnitTestSpec { model }),
            })
        })
        .collect()
}
