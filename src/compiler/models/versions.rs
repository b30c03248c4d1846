//! Versions of models: each is a file of its own, and `ref` finds it by the model's name.

use std::collections::BTreeMap;

use super::index::property_files;
use crate::Db;
use crate::dbt::properties::version_order as order;
use crate::documents::parse_yaml;
pub(super) use crate::surface::{version_names, versioned_files};

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_version_names(db: &dyn Db) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in property_files(db) {
        let yaml = parse_yaml(db, *file);
        for model in yaml.lookup("models").into_iter().flat_map(|l| l.items()) {
            let Some(name) = model.get("name").and_then(|n| n.as_str()) else {
                continue;
            };
            let numbers: Vec<&str> = model
                .get("versions")
                .into_iter()
                .flat_map(|list| list.items())
                .filter_map(|version| version.get("v")?.scalar())
                .collect();
            let wanted = model.get("latest_version").and_then(|v| v.scalar());
            let latest = wanted.or_else(|| numbers.iter().copied().max_by_key(|v| order(v)));
            for version in model.get("versions").into_iter().flat_map(|l| l.items()) {
                let Some(number) = version.get("v").and_then(|v| v.scalar()) else {
                    continue;
                };
                let versioned = format!("{name}_v{number}");
                let mut files = vec![match version.get("defined_in").and_then(|f| f.as_str()) {
                    Some(file) => file.to_owned(),
                    None => versioned.clone(),
                }];
                // The latest version may be in a file without a number.
                if latest == Some(number) {
                    files.push(name.to_owned());
                    names.insert(name.to_owned(), files.clone());
                }
                names.insert(versioned, files);
            }
        }
    }
    names
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_versioned_files(db: &dyn Db) -> BTreeMap<String, (String, String)> {
    let mut files = BTreeMap::new();
    for file in property_files(db) {
        let yaml = parse_yaml(db, *file);
        for model in yaml.lookup("models").into_iter().flat_map(|l| l.items()) {
            let Some(name) = model.get("name").and_then(|n| n.as_str()) else {
                continue;
            };
            for version in model.get("versions").into_iter().flat_map(|l| l.items()) {
                let Some(number) = version.get("v").and_then(|v| v.scalar()) else {
                    continue;
                };
                let versioned = format!("{name}_v{number}");
                for stem in version_names(db).get(&versioned).into_iter().flatten() {
                    files
                        .entry(stem.clone())
                        .or_insert_with(|| (name.to_owned(), number.to_owned()));
                }
            }
        }
    }
    files
}
