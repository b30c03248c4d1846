//! Python models: what their code says to dbt, read without running it.

use mxcp_base::SourceFile;
use mxcp_base::{FileSet, paths};
use mxcp_syntax::python::{DbtCall, dbt_calls};
use serde_json::{Map, Value as Json};

use super::packages::project_of;
use crate::Db;
use crate::dbt::config::merge;
use crate::dbt::statics::{RefUse, SourceUse, StaticRefs};
use crate::documents::python_module;
pub(crate) use crate::surface::python_files;

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_python_files(db: &dyn Db) -> Vec<SourceFile> {
    FileSet::get(db)
        .files(db)
        .iter()
        .filter(|(path, _)| paths::extension(path) == "py")
        .filter(|(path, file)| {
            project_of(db, path).is_some_and(|(def, inside)| {
                let below = |d: &String| paths::is_below(inside, &paths::directory(d));
                def.model_paths.iter().any(below)
            }) && python_module(db, **file).function("model").is_some()
        })
        .map(|(_, file)| *file)
        .collect()
}

/// The names a Python model mentions.
pub(super) fn mentions(text: &str) -> StaticRefs {
    let mut out = StaticRefs::default();
    for call in dbt_calls(text) {
        let range = call.range.start().into()..call.range.end().into();
        match call.name.as_str() {
            "ref" => match reference(&call) {
                Some((package, name)) => out.refs.push(RefUse {
                    package,
                    name,
                    range,
                }),
                None => out.computed = true,
            },
            "source" => match call.args.as_slice() {
                [Some(Json::String(source)), Some(Json::String(table))] => {
                    out.sources.push(SourceUse {
                        source: source.clone(),
                        table: table.clone(),
                        range,
                    });
                }
                _ => out.computed = true,
            },
            "config" => {
                for (key, value) in call.kwargs {
                    match value {
                        Some(value) => merge(&mut out.config, Map::from_iter([(key, value)])),
                        None => out.computed = true,
                    }
                }
            }
            _ => {}
        }
    }
    out.config
        .entry("materialized")
        .or_insert_with(|| Json::from("table"));
    out
}

fn reference(call: &DbtCall) -> Option<(Option<String>, String)> {
    let version = call.kwargs.iter().find(|(k, _)| k == "version" || k == "v");
    let version = match version {
        None => None,
        Some((_, value)) => Some(mxcp_values::repr::text(value.as_ref()?)),
    };
    let named = |name: &String| match &version {
        Some(version) => format!("{name}_v{version}"),
        None => name.clone(),
    };
    match call.args.as_slice() {
        [Some(Json::String(name))] => Some((None, named(name))),
        [Some(Json::String(package)), Some(Json::String(name))] => {
            Some((Some(package.clone()), named(name)))
        }
        _ => None,
    }
}
