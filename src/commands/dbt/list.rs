//! `ls`: what is selected, one per line.

use mxcp_dbt::Resource;
use serde_json::{Map, Value, json};

use super::cli::{Args, Listing};
use super::graph_json;
use super::nodes::selected;
use super::open::Opened;
use super::progress::Log;
use super::{run_error, usage};
use crate::commands::CLEAN;
use crate::commands::output;

/// dbt's keys for `--output json`.
const KEYS: [&str; 10] = [
    "alias",
    "name",
    "package_name",
    "depends_on",
    "tags",
    "config",
    "resource_type",
    "source_name",
    "original_file_path",
    "unique_id",
];

pub(super) fn run(args: &Args, opened: &Opened, listing: &Listing) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let mut options = match opened.options(args, "list", &listing.selection) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    // `--models` is about models, where all kinds are listed.
    if !listing.selection.models.is_empty() && options.selection.resource_types.is_empty() {
        options.selection.resource_types = vec!["model".into()];
    }
    // Analyses are listed when asked for.
    if options.selection.resource_types.is_empty() {
        let left_out = &mut options.selection.exclude_resource_types;
        left_out.push("analysis".into());
    }
    let selected = match selected(opened, &options) {
        Ok(selected) => selected,
        Err(error) => return run_error(args, &error),
    };
    if args.json_output {
        let ids: Vec<&str> = selected.resources.iter().map(|r| r.unique_id()).collect();
        output::print_ok(&json!(ids));
        return CLEAN;
    }
    let log = Log::new(args);
    for warning in &selected.warnings {
        log.line(warning);
    }
    if selected.resources.is_empty() {
        log.line("No nodes selected!");
        return CLEAN;
    }
    let manifest = if listing.output == "json" {
        graph_json::manifest(opened)
    } else {
        Value::Null
    };
    let text: String = selected
        .resources
        .iter()
        .map(|resource| format!("{}\n", line(*resource, listing, &manifest)))
        .collect();
    output::print(&text);
    CLEAN
}

fn line(resource: Resource<'_>, listing: &Listing, manifest: &Value) -> String {
    match listing.output.as_str() {
        "name" => resource.search_name(),
        "path" => resource.path().to_owned(),
        "json" => {
            let entry = mxcp_dbt::manifest_entry(manifest, resource.unique_id())
                .cloned()
                .unwrap_or_default();
            let mut shown = Map::new();
            if listing.output_keys.is_empty() {
                for (key, value) in entry.as_object().into_iter().flatten() {
                    if KEYS.contains(&key.as_str()) {
                        shown.insert(key.clone(), value.clone());
                    }
                }
            } else {
                for key in &listing.output_keys {
                    let found = key
                        .split('.')
                        .try_fold(&entry, |value, part| value.get(part));
                    if let Some(value) = found {
                        shown.insert(key.clone(), value.clone());
                    }
                }
            }
            spaced(&Value::Object(shown))
        }
        _ => resource.selector(),
    }
}

/// JSON as dbt prints it: with a space after every comma and colon.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spaced).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), spaced(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
