//! Parts of the project file that no node has.

use std::collections::BTreeSet;

use mxcp_base::{FileSet, paths};

use super::index::{dbt_project, properties, property_files};
use crate::Db;
use crate::dbt::Problem;
use crate::dbt::keys::unused_paths;
use crate::documents::find_file;

pub(super) fn unused_config(db: &dyn Db) -> Vec<Problem> {
    let Some(project) = dbt_project(db) else {
        return Vec::new();
    };
    let def = &project.def;
    // What packages hold is not read.
    let packages = ["packages.yml", "dependencies.yml"]
        .iter()
        .any(|file| find_file(db, file).is_some());
    let described: BTreeSet<&str> = property_files(db)
        .iter()
        .flat_map(|file| {
            let entries = &properties(db, *file).0;
            entries.models.iter().chain(&entries.seeds)
        })
        .map(|entry| entry.name.as_str())
        .collect();
    let mut problems = Vec::new();
    for (section, tree, dirs) in [
        ("models", &def.models, &def.model_paths),
        ("seeds", &def.seeds, &def.seed_paths),
    ] {
        let mut known: BTreeSet<Vec<String>> = BTreeSet::from([vec![def.name.clone()]]);
        for path in FileSet::get(db).files(db).keys() {
            let below = dirs
                .iter()
                .any(|dir| paths::is_below(path, &paths::directory(dir)));
            if !below {
                continue;
            }
            if let Some(fqn) = def.fqn(dirs, path) {
                for len in 1..=fqn.len() {
                    known.extend(fqn.get(..len).map(<[String]>::to_vec));
                }
            }
        }
        let exists = |path: &[String]| {
            known.contains(path)
                || (packages && path.first() != Some(&def.name))
                || path
                    .last()
                    .is_some_and(|last| described.contains(last.as_str()))
        };
        problems.extend(unused_paths(section, tree, &def.name, &exists));
    }
    problems
}
