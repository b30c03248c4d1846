//! A whole selection as a tree: criteria, united, intersected, taken away. From the words of the
//! command line, or from a definition of `selectors.yml`.

use mxcp_artifact::dbt::DbtGraph;
use serde_json::{Map, Value};

use super::{Criterion, Indirect, Selection};
use crate::RunError;

#[derive(Clone, Debug)]
pub(super) enum Spec {
    Criterion(Criterion),
    Group(Group),
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) operation: Operation,
    pub(super) parts: Vec<Spec>,
    pub(super) indirect: Indirect,
    /// The words, where it is worth a warning that they select nothing.
    pub(super) expected: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Intersection,
    /// The first without the others.
    Difference,
}

const EVERYTHING: [&str; 7] = [
    "fqn:*",
    "source:*",
    "exposure:*",
    "metric:*",
    "semantic_model:*",
    "saved_query:*",
    "unit_test:*",
];

impl Spec {
    pub(super) fn of(graph: &DbtGraph, selection: &Selection) -> Result<Self, RunError> {
        if let Some(name) = &selection.selector {
            return named(graph, name, &mut Vec::new());
        }
        if selection.select.is_empty() && selection.exclude.is_empty() {
            let default = graph.selectors.iter().find(|(_, entry)| {
                entry.get("definition").is_some()
                    && entry.get("default").and_then(Value::as_bool) == Some(true)
            });
            if let Some((name, _)) = default {
                return named(graph, name, &mut Vec::new());
            }
        }
        let included = if selection.select.is_empty() {
            let all: Vec<String> = EVERYTHING.iter().map(|s| (*s).to_owned()).collect();
            union(&all, selection.indirect, false)?
        } else {
            union(&selection.select, selection.indirect, true)?
        };
        let excluded = union(&selection.exclude, selection.indirect, true)?;
        Ok(group(Operation::Difference, vec![included, excluded]))
    }
}

fn group(operation: Operation, parts: Vec<Spec>) -> Spec {
    Spec::Group(Group {
        operation,
        parts,
        indirect: Indirect::Eager,
        expected: None,
    })
}

fn union(words: &[String], indirect: Indirect, expected: bool) -> Result<Spec, RunError> {
    let mut parts = Vec::new();
    for word in words.iter().flat_map(|w| w.split_whitespace()) {
        let criteria = word
            .split(',')
            .map(|part| Criterion::parse(part).map(Spec::Criterion))
            .collect::<Result<Vec<_>, _>>()?;
        parts.push(Spec::Group(Group {
            operation: Operation::Intersection,
            parts: criteria,
            indirect,
            expected: expected.then(|| word.to_owned()),
        }));
    }
    Ok(Spec::Group(Group {
        operation: Operation::Union,
        parts,
        indirect,
        expected: None,
    }))
}

fn named(graph: &DbtGraph, name: &str, open: &mut Vec<String>) -> Result<Spec, RunError> {
    let Some(entry) = graph.selectors.get(name) else {
        let known: Vec<String> = graph.selectors.keys().map(|k| format!("`{k}`")).collect();
        let known = if known.is_empty() {
            "selectors.yml defines none".to_owned()
        } else {
            format!("selectors.yml defines {}", known.join(", "))
        };
        return Err(RunError::selector(
            name,
            format!("there is no selector of this name; {known}"),
        ));
    };
    if open.iter().any(|other| other == name) {
        return Err(RunError::selector(
            name,
            "its definition leads back to itself",
        ));
    }
    open.push(name.to_owned());
    let definition = entry.get("definition").unwrap_or(entry);
    let spec = definition_of(graph, name, definition, open)?;
    open.pop();
    Ok(spec)
}

fn definition_of(
    graph: &DbtGraph,
    name: &str,
    definition: &Value,
    open: &mut Vec<String>,
) -> Result<Spec, RunError> {
    match definition {
        Value::String(text) => Criterion::parse(text).map(Spec::Criterion),
        Value::Object(map) => {
            for (key, operation) in [
                ("union", Operation::Union),
                ("intersection", Operation::Intersection),
            ] {
                if let Some(parts) = map.get(key) {
                    return set(graph, name, operation, parts, open);
                }
            }
            single(graph, name, map, open)
        }
        other => Err(RunError::selector(
            name,
            format!("a definition is a text or a mapping, not `{other}`"),
        )),
    }
}

fn set(
    graph: &DbtGraph,
    name: &str,
    operation: Operation,
    parts: &Value,
    open: &mut Vec<String>,
) -> Result<Spec, RunError> {
    let Some(parts) = parts.as_array() else {
        return Err(RunError::selector(
            name,
            "`union` and `intersection` take a list",
        ));
    };
    let mut included = Vec::new();
    let mut excluded = None;
    for part in parts {
        match part.get("exclude") {
            Some(exclude) if part.as_object().is_some_and(|map| map.len() == 1) => {
                if excluded.is_some() {
                    return Err(RunError::selector(
                        name,
                        "there is more than one `exclude` in a list; put all in one",
                    ));
                }
                excluded = Some(exclusions(graph, name, exclude, open)?);
            }
            _ => included.push(definition_of(graph, name, part, open)?),
        }
    }
    let included = group(operation, included);
    Ok(match excluded {
        None => included,
        Some(excluded) => group(Operation::Difference, vec![included, excluded]),
    })
}

fn exclusions(
    graph: &DbtGraph,
    name: &str,
    list: &Value,
    open: &mut Vec<String>,
) -> Result<Spec, RunError> {
    let Some(list) = list.as_array() else {
        return Err(RunError::selector(name, "`exclude` takes a list"));
    };
    let parts = list
        .iter()
        .map(|part| definition_of(graph, name, part, open))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(group(Operation::Union, parts))
}

fn single(
    graph: &DbtGraph,
    name: &str,
    map: &Map<String, Value>,
    open: &mut Vec<String>,
) -> Result<Spec, RunError> {
    if map.get("method").and_then(Value::as_str) == Some("selector") {
        let other = map.get("value").and_then(Value::as_str).unwrap_or_default();
        return named(graph, other, open);
    }
    let mut rest = map.clone();
    let excluded = rest.remove("exclude");
    let base = Spec::Criterion(Criterion::of_definition(name, &rest)?);
    Ok(match excluded {
        None => base,
        Some(list) => group(
            Operation::Difference,
            vec![base, exclusions(graph, name, &list, open)?],
        ),
    })
}
