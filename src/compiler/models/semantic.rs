//! What the semantic layer declares: semantic models, metrics and saved queries. Nothing is run for them; they stand
//! in the graph, for selectors and for the artifacts.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::Exposure;
use mxcp_base::SourceFile;
use serde_json::{Map, Value as Json, json};

use super::docs::described;
use super::index::{properties, property_files};
use super::sources::{folders, named_ids};
use crate::Db;

/// An entry of a property file, with its file, package and name.
struct Entry<'e> {
    file: SourceFile,
    package: String,
    name: &'e str,
    entry: &'e Json,
}

fn entries<'d>(db: &'d dyn Db, section: &str) -> Vec<Entry<'d>> {
    let mut found = Vec::new();
    for file in property_files(db) {
        let listed = properties(db, *file).0.others.get(section);
        let Some(package) = folders(db, file.path(db)).into_iter().next() else {
            continue;
        };
        for entry in listed.and_then(Json::as_array).into_iter().flatten() {
            let enabled = entry.get("config").and_then(|c| c.get("enabled"));
            let name = entry.get("name").and_then(Json::as_str);
            if let Some(name) = name.filter(|_| enabled != Some(&Json::Bool(false))) {
                found.push(Entry {
                    file: *file,
                    package: package.clone(),
                    name,
                    entry,
                });
            }
        }
    }
    found
}

/// All of them, in the form of exposures: their unique ids say what they are.
pub(super) fn semantic_nodes(db: &dyn Db) -> Vec<Exposure> {
    let models = entries(db, "semantic_models");
    let metrics = entries(db, "metrics");
    // By the name of a measure: where it is declared.
    let mut measures: BTreeMap<&str, String> = BTreeMap::new();
    // Metrics by name, those that a measure makes of itself among them.
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut found = Vec::new();
    for metric in &metrics {
        let id = format!("metric.{}.{}", metric.package, metric.name);
        known.insert(metric.name, id);
    }
    for model in &models {
        let id = format!("semantic_model.{}.{}", model.package, model.name);
        for measure in list(model.entry, "measures") {
            let Some(name) = measure.get("name").and_then(Json::as_str) else {
                continue;
            };
            measures.insert(name, id.clone());
            if measure.get("create_metric") == Some(&Json::Bool(true)) {
                let own = format!("metric.{}.{name}", model.package);
                known.entry(name).or_insert_with(|| own.clone());
                let entry = json!({
                    "name": name, "description": format!("Metric created from measure {name}"), "label": measure.get("label").cloned().unwrap_or_else(|| name.into()),
                    "type": "simple", "type_params": {"measure": name, "expr": name},
                });
                let made = Entry {
                    file: model.file,
                    package: model.package.clone(),
                    name,
                    entry: &entry,
                };
                found.push(metric_node(db, &made, vec![id.clone()]));
            }
        }
        found.push(semantic_model(db, model));
    }
    for metric in &metrics {
        let mut depends_on: Vec<String> = measured(metric.entry)
            .iter()
            .filter_map(|name| measures.get(name.as_str()).cloned())
            .collect();
        let above = metrics_of(metric.entry);
        depends_on.extend(
            above
                .iter()
                .filter_map(|name| known.get(name.as_str()).cloned()),
        );
        depends_on.sort();
        depends_on.dedup();
        found.push(metric_node(db, metric, depends_on));
    }
    for query in entries(db, "saved_queries") {
        let wanted = query.entry.get("query_params").map(|p| list(p, "metrics"));
        let mut depends_on: Vec<String> = wanted
            .into_iter()
            .flatten()
            .filter_map(|name| known.get(name.as_str()?).cloned())
            .collect();
        depends_on.sort();
        depends_on.dedup();
        found.push(saved_query(db, &query, depends_on));
    }
    found
}

fn list<'j>(entry: &'j Json, key: &str) -> impl Iterator<Item = &'j Json> {
    entry
        .get(key)
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
}

/// A name, or the `name` of a mapping.
fn name_of(value: &Json) -> Option<String> {
    let named = value.get("name").unwrap_or(value);
    named.as_str().map(str::to_owned)
}

/// The measures that a metric is made of.
fn measured(entry: &Json) -> Vec<String> {
    let Some(params) = entry.get("type_params") else {
        return Vec::new();
    };
    let conversion = params.get("conversion_type_params");
    let of = |params: &Json, key: &str| params.get(key).and_then(name_of);
    let mut found: Vec<String> = of(params, "measure").into_iter().collect();
    for key in ["base_measure", "conversion_measure"] {
        found.extend(conversion.and_then(|params| of(params, key)));
    }
    found
}

/// The metrics that a metric is made of.
fn metrics_of(entry: &Json) -> Vec<String> {
    let Some(params) = entry.get("type_params") else {
        return Vec::new();
    };
    let mut found: Vec<String> = list(params, "metrics").filter_map(name_of).collect();
    for key in ["numerator", "denominator"] {
        found.extend(params.get(key).and_then(name_of));
    }
    let cumulative = params.get("cumulative_type_params");
    found.extend(cumulative.and_then(|c| c.get("metric")).and_then(name_of));
    found
}

fn text(entry: &Json, key: &str) -> Json {
    entry.get(key).cloned().unwrap_or(Json::Null)
}

fn meta(entry: &Json) -> Json {
    let config = entry.get("config").and_then(|config| config.get("meta"));
    config
        .or_else(|| entry.get("meta"))
        .cloned()
        .unwrap_or_else(|| json!({}))
}

fn config(entry: &Json, more: Json) -> Json {
    let mut config = json!({"enabled": true, "group": null, "meta": meta(entry)});
    if let (Some(config), Json::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
    }
    if let (Some(config), Some(Json::Object(said))) = (config.as_object_mut(), entry.get("config"))
    {
        config.extend(said.clone());
    }
    config
}

fn node(
    db: &dyn Db,
    of: &Entry<'_>,
    kind: &str,
    depends_on: Vec<String>,
    details: Json,
) -> Exposure {
    let path = of.file.path(db);
    let mut fqn = folders(db, path);
    fqn.push(of.name.to_owned());
    let mut details: Map<String, Json> = details.as_object().cloned().unwrap_or_default();
    let description = of.entry.get("description").and_then(Json::as_str);
    let mut description = description.map(|text| described(db, path, text));
    if kind == "metric" {
        description = Some(description.unwrap_or_default());
    }
    details.insert("description".to_owned(), json!(description));
    details.insert("label".to_owned(), text(of.entry, "label"));
    let tags = of.entry.get("config").and_then(|config| config.get("tags"));
    let tags = match tags.or_else(|| of.entry.get("tags")) {
        Some(Json::Array(tags)) => tags.iter().map(mxcp_values::repr::text).collect(),
        Some(Json::String(tag)) => vec![tag.clone()],
        _ => Vec::new(),
    };
    Exposure {
        unique_id: format!("{kind}.{}.{}", of.package, of.name),
        name: of.name.to_owned(),
        package: of.package.clone(),
        path: path.to_owned(),
        fqn,
        tags,
        depends_on,
        details: details.into_iter().collect(),
    }
}

/// Entries with these keys, each as written or with what stands for nothing.
fn filled(entry: &Json, key: &str, defaults: &Json) -> Vec<Json> {
    let with = |item: &Json| {
        let mut out = defaults.clone();
        for (key, value) in out.as_object_mut().into_iter().flatten() {
            if let Some(said) = item.get(key.as_str()) {
                *value = said.clone();
            }
        }
        out["config"] = json!({"meta": meta(item)});
        out
    };
    list(entry, key).map(with).collect()
}

fn semantic_model(db: &dyn Db, model: &Entry<'_>) -> Exposure {
    let entry = model.entry;
    let of = text(entry, "model");
    let depends_on = named_ids(db, std::slice::from_ref(&of));
    let dimensions: Vec<Json> = filled(
        entry,
        "dimensions",
        &json!({"name": null, "type": null, "description": null, "label": null, "is_partition": false,
            "type_params": null, "expr": null, "metadata": null}),
    )
    .into_iter()
    .map(|mut dimension| {
        if let Some(params) = dimension["type_params"].as_object_mut() {
            params.entry("validity_params").or_insert(Json::Null);
        }
        dimension
    })
    .collect();
    let details = json!({
        "model": of,
        "defaults": text(entry, "defaults"),
        "entities": filled(entry, "entities", &json!({"name": null, "type": null, "description": null,
            "label": null, "role": null, "expr": null})),
        "measures": filled(entry, "measures", &json!({"name": null, "agg": null, "description": null,
            "label": null, "create_metric": false, "expr": null, "agg_params": null,
            "non_additive_dimension": null, "agg_time_dimension": null})),
        "dimensions": dimensions,
        "metadata": null,
        "primary_entity": text(entry, "primary_entity"),
        "config": config(entry, json!({})),
        "group": text(&config(entry, json!({})), "group"),
    });
    node(db, model, "semantic_model", depends_on, details)
}

fn metric_node(db: &dyn Db, metric: &Entry<'_>, depends_on: Vec<String>) -> Exposure {
    let entry = metric.entry;
    let input = |value: &Json| {
        let mut out = json!({"name": name_of(value), "filter": null, "alias": null,
            "join_to_timespine": false, "fill_nulls_with": null});
        if let (Some(out), Json::Object(said)) = (out.as_object_mut(), value) {
            out.extend(said.clone());
        }
        out["filter"] = filter(&text(&out, "filter"));
        out
    };
    let of_metric = |value: &Json| {
        let mut out = json!({"name": name_of(value), "filter": null, "alias": null,
            "offset_window": null, "offset_to_grain": null});
        if let (Some(out), Json::Object(said)) = (out.as_object_mut(), value) {
            out.extend(said.clone());
        }
        out["filter"] = filter(&text(&out, "filter"));
        out
    };
    let params = text(entry, "type_params");
    let one = |key: &str, of: &dyn Fn(&Json) -> Json| params.get(key).map_or(Json::Null, of);
    let measures: Vec<Json> = params.get("measure").map(&input).into_iter().collect();
    let details = json!({
        "type": text(entry, "type"),
        "type_params": {
            "measure": one("measure", &input),
            "input_measures": measures,
            "numerator": one("numerator", &of_metric),
            "denominator": one("denominator", &of_metric),
            "expr": text(&params, "expr"),
            "window": text(&params, "window"),
            "grain_to_date": text(&params, "grain_to_date"),
            "metrics": list(&params, "metrics").map(of_metric).collect::<Vec<_>>(),
            "conversion_type_params": text(&params, "conversion_type_params"),
            "cumulative_type_params": text(&params, "cumulative_type_params"),
        },
        "filter": filter(&text(entry, "filter")),
        "metadata": null,
        "time_granularity": text(entry, "time_granularity"),
        "meta": meta(entry),
        "config": config(entry, json!({})),
        "sources": [], "refs": [], "metrics": [],
        "group": text(&config(entry, json!({})), "group"),
    });
    node(db, metric, "metric", depends_on, details)
}

/// A condition, in the form of the artifact.
fn filter(said: &Json) -> Json {
    let conditions: Vec<Json> = match said {
        Json::String(text) => vec![json!({"where_sql_template": text})],
        Json::Array(all) => all
            .iter()
            .map(|text| json!({"where_sql_template": text}))
            .collect(),
        _ => return Json::Null,
    };
    json!({"where_filters": conditions})
}

fn saved_query(db: &dyn Db, query: &Entry<'_>, depends_on: Vec<String>) -> Exposure {
    let entry = query.entry;
    let params = text(entry, "query_params");
    let listed = |key: &str| params.get(key).cloned().unwrap_or_else(|| json!([]));
    let exports: Vec<Json> = list(entry, "exports")
        .map(|export| {
            let said = text(export, "config");
            let mut config =
                json!({"export_as": null, "schema_name": null, "alias": null, "database": null});
            for (key, from) in [
                ("export_as", "export_as"),
                ("schema_name", "schema"),
                ("alias", "alias"),
            ] {
                config[key] = text(&said, from);
            }
            json!({"name": text(export, "name"), "config": config, "unrendered_config": said})
        })
        .collect();
    let details = json!({
        "query_params": {
            "metrics": listed("metrics"), "group_by": listed("group_by"),
            "where": filter(&text(&params, "where")), "order_by": listed("order_by"),
            "limit": text(&params, "limit"),
        },
        "exports": exports,
        "metadata": null,
        "config": config(entry, json!({"export_as": null, "schema": null, "cache": {"enabled": false}})),
        "group": text(&config(entry, json!({})), "group"),
        "refs": [],
    });
    node(db, query, "saved_query", depends_on, details)
}
