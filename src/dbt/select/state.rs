//! What `state:`, `result:` and `source_status:` compare with: the artifacts of an earlier run.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::RunError;
use crate::dag::Dag;

#[derive(Clone, Debug, Default)]
pub struct State {
    /// Of the folder that `--state` names.
    pub manifest: Option<Value>,
    pub results: Option<Value>,
    pub sources: Option<Value>,
    /// Of the project itself, for comparison.
    pub current_manifest: Option<Value>,
    pub current_sources: Option<Value>,
}

impl State {
    /// Reads the artifacts of a folder; those that are not there are absent.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        Ok(Self {
            manifest: read(folder, "manifest.json")?,
            results: read(folder, "run_results.json")?,
            sources: read(folder, "sources.json")?,
            ..Self::default()
        })
    }

    pub(super) fn matching(
        &self,
        shown: &str,
        what: &str,
        dag: &Dag<'_>,
    ) -> Result<BTreeSet<String>, RunError> {
        let Some(old) = &self.manifest else {
            return Err(RunError::selector(
                shown,
                "there is no manifest to compare with; pass `--state` a folder that holds a `manifest.json`",
            ));
        };
        let empty = Value::Null;
        let new = self.current_manifest.as_ref().unwrap_or(&empty);
        let macros = changed_macros(old, new);
        Ok(dag
            .resources
            .iter()
            .filter(|resource| {
                let id = resource.unique_id();
                let old = manifest_entry(old, id);
                let new_entry = manifest_entry(new, id);
                let changed = |aspects: &[Aspect]| match (old, new_entry) {
                    (None, _) => true,
                    (Some(old), Some(new)) => aspects.iter().any(|aspect| aspect(old, new)),
                    (Some(_), None) => false,
                };
                let by_macros = || uses_changed(new, new_entry, &macros, &mut BTreeSet::new());
                match what {
                    "new" => old.is_none(),
                    "old" => old.is_some(),
                    "modified" => changed(&ALL) || by_macros(),
                    "unmodified" => !(changed(&ALL) || by_macros()),
                    "modified.body" => changed(&[body]),
                    "modified.configs" => changed(&[configs]),
                    "modified.persisted_descriptions" => changed(&[descriptions]),
                    "modified.relation" => changed(&[relation]),
                    "modified.contract" => changed(&[contract]),
                    "modified.macros" => by_macros(),
                    _ => false,
                }
            })
            .map(|resource| resource.unique_id().to_owned())
            .collect())
    }

    pub(super) fn with_result(
        &self,
        shown: &str,
        status: &str,
    ) -> Result<BTreeSet<String>, RunError> {
        let Some(results) = &self.results else {
            return Err(RunError::selector(
                shown,
                "there are no results to compare with; pass `--state` a folder that holds a `run_results.json`",
            ));
        };
        Ok(listed(results)
            .filter(|result| result["status"].as_str() == Some(status))
            .filter_map(|result| result["unique_id"].as_str())
            .map(str::to_owned)
            .collect())
    }

    pub(super) fn with_freshness(
        &self,
        shown: &str,
        status: &str,
    ) -> Result<BTreeSet<String>, RunError> {
        let (Some(old), Some(new)) = (&self.sources, &self.current_sources) else {
            return Err(RunError::selector(
                shown,
                "there is no freshness to compare; run `source freshness` and pass `--state` a folder that holds an older `sources.json`",
            ));
        };
        if status != "fresher" {
            return Ok(BTreeSet::new());
        }
        Ok(listed(new)
            .filter_map(|result| {
                let id = result["unique_id"].as_str()?;
                let at = result["max_loaded_at"].as_str()?;
                let before = listed(old)
                    .find(|other| other["unique_id"].as_str() == Some(id))
                    .and_then(|other| other["max_loaded_at"].as_str());
                before
                    .is_none_or(|before| at > before)
                    .then(|| id.to_owned())
            })
            .collect())
    }
}

fn read(folder: &Path, name: &str) -> Result<Option<Value>, RunError> {
    let path = folder.join(name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(RunError::Database {
                message: format!("{} cannot be read: {error}", path.display()),
            });
        }
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| RunError::Database {
            message: format!("{} is not JSON: {error}", path.display()),
        })
}

fn listed(artifact: &Value) -> impl Iterator<Item = &Value> {
    artifact["results"].as_array().into_iter().flatten()
}

/// What a `manifest.json` says of a resource of any kind.
pub fn manifest_entry<'v>(manifest: &'v Value, unique_id: &str) -> Option<&'v Value> {
    [
        "nodes",
        "sources",
        "exposures",
        "metrics",
        "semantic_models",
        "saved_queries",
        "unit_tests",
    ]
    .iter()
    .find_map(|kind| manifest.get(kind)?.get(unique_id))
}

type Aspect = fn(&Value, &Value) -> bool;

const ALL: [Aspect; 6] = [body, configs, descriptions, relation, contract, place];

/// Whether both have the key and differ in it.
fn differs(old: &Value, new: &Value, key: &str) -> bool {
    matches!((old.get(key), new.get(key)), (Some(old), Some(new)) if old != new)
}

fn body(old: &Value, new: &Value) -> bool {
    let code = |node: &Value| {
        node["raw_code"]
            .as_str()
            .map(|code| code.trim().to_owned())
            .filter(|code| !code.is_empty())
    };
    match (code(old), code(new)) {
        (Some(old), Some(new)) => old != new,
        _ => differs(old, new, "checksum"),
    }
}

/// What both know: other versions of dbt write other keys.
fn configs(old: &Value, new: &Value) -> bool {
    match (old["config"].as_object(), new["config"].as_object()) {
        (Some(old), Some(new)) => old
            .iter()
            .any(|(key, value)| new.get(key).is_some_and(|other| other != value)),
        _ => false,
    }
}

fn descriptions(old: &Value, new: &Value) -> bool {
    let persisted = |what: &str| new["config"]["persist_docs"][what].as_bool() == Some(true);
    (persisted("relation") && differs(old, new, "description"))
        || (persisted("columns") && {
            let texts = |node: &Value| -> Vec<(String, String)> {
                node["columns"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, column)| (name.clone(), column["description"].to_string()))
                    .collect()
            };
            texts(old) != texts(new)
        })
}

fn relation(old: &Value, new: &Value) -> bool {
    ["schema", "alias", "identifier"]
        .iter()
        .any(|key| differs(old, new, key))
}

fn contract(old: &Value, new: &Value) -> bool {
    let enforced = |node: &Value| node["contract"]["enforced"].as_bool() == Some(true);
    if !enforced(old) && !enforced(new) {
        return false;
    }
    let columns = |node: &Value| -> Vec<(String, String, String)> {
        node["columns"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, column)| {
                (
                    name.clone(),
                    column["data_type"].to_string(),
                    column["constraints"].to_string(),
                )
            })
            .collect()
    };
    enforced(old) != enforced(new) || columns(old) != columns(new)
}

fn place(old: &Value, new: &Value) -> bool {
    differs(old, new, "fqn") || differs(old, new, "freshness")
}

fn changed_macros(old: &Value, new: &Value) -> BTreeSet<String> {
    let (Some(old), Some(new)) = (old["macros"].as_object(), new["macros"].as_object()) else {
        return BTreeSet::new();
    };
    let text = |entry: &Value| entry["macro_sql"].as_str().map(|s| s.trim().to_owned());
    new.iter()
        .filter(|(id, entry)| old.get(*id).is_none_or(|old| text(old) != text(entry)))
        .map(|(id, _)| id.clone())
        .collect()
}

fn uses_changed(
    manifest: &Value,
    entry: Option<&Value>,
    changed: &BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    let Some(used) = entry.and_then(|entry| entry["depends_on"]["macros"].as_array()) else {
        return false;
    };
    used.iter().filter_map(Value::as_str).any(|id| {
        changed.contains(id)
            || (seen.insert(id.to_owned())
                && uses_changed(manifest, manifest["macros"].get(id), changed, seen))
    })
}
