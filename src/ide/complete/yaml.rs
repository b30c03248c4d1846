//! YAML: keys and values from the grammar, and the names of the project where it expects them.

use mxcp_artifact::{EndpointKind, TypeDef};
use mxcp_base::{FileSet, SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, parse_yaml};
use mxcp_compiler::ide_support as project;
use mxcp_compiler::index::endpoint_index;
use mxcp_compiler::lower::endpoint::{EndpointDef, Language};

use super::cel::columns_of;
use super::yaml_place::{What, YamlPlace, place};
use super::{Item, ItemKind};
use crate::hover::signature;
use crate::names::{endpoint, node_columns};
use crate::schema::{self, Shape};

pub(super) fn complete(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<Item> {
    let text = file.text(db);
    let Some(place) = place(text, offset.into()) else {
        return Vec::new();
    };
    let start = u32::try_from(place.start).unwrap_or(u32::MAX);
    let range = TextRange::new(TextSize::from(start).min(offset), offset);
    let mut items = Vec::new();
    names(db, file, &place, range, &mut items);
    let Some(kind) = schema::of_file(db, file) else {
        return items;
    };
    if matches!(place.what, What::Key | What::Item) {
        keys(db, file, kind, &place, range, &mut items);
    }
    if matches!(place.what, What::Value | What::Item) {
        for value in schema::values(kind, &place.pointer) {
            items.push(Item::new(value, ItemKind::Value, range).rank(1));
        }
        for value in schema::examples(kind, &place.pointer) {
            items.push(Item::new(value, ItemKind::Value, range).rank(1));
        }
    }
    items
}

fn keys(
    db: &dyn Db,
    file: SourceFile,
    kind: mxcp_compiler::check::documents::Schema,
    place: &YamlPlace,
    range: TextRange,
    items: &mut Vec<Item>,
) {
    let there: Vec<String> = parse_yaml(db, file)
        .lookup(&place.pointer)
        .into_iter()
        .flat_map(|node| node.entries())
        // The key that is being typed is not there yet.
        .filter(|(key, _)| !key.range.contains_inclusive(range.end()))
        .map(|(key, _)| key.text.to_owned())
        .collect();
    for key in schema::keys(kind, &place.pointer) {
        if there.contains(&key.name) {
            continue;
        }
        let deeper = " ".repeat(place.indent + 2);
        let insert = match key.shape {
            Shape::Scalar => format!("{}: ", key.name),
            Shape::Map => format!("{}:\n{deeper}", key.name),
            Shape::List => format!("{}:\n{deeper}- ", key.name),
        };
        let mut item = Item::new(&key.name, ItemKind::Key, range)
            .insert(insert)
            .docs(key.description)
            .rank(if key.required { 1 } else { 2 });
        if key.required {
            item = item.detail("required");
        }
        items.push(item);
    }
}

/// Names of the project by the pattern of the place.
fn names(
    db: &dyn Db,
    file: SourceFile,
    place: &YamlPlace,
    range: TextRange,
    items: &mut Vec<Item>,
) {
    let segments: Vec<String> = mxcp_syntax::yaml::pointer_segments(&place.pointer).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match document_kind(db, file) {
        DocumentKind::Endpoint(_) => of_endpoint(db, file, place, &parts, range, items),
        DocumentKind::Eval => of_evals(db, file, place, &parts, range, items),
        DocumentKind::DbtProperties => of_properties(db, file, place, &parts, range, items),
        DocumentKind::Site if parts == ["profile"] => {
            let site = parse_yaml(db, file).root();
            let profiles = site.and_then(|root| root.get("profiles"));
            for (key, _) in profiles.into_iter().flat_map(|p| p.entries()) {
                items.push(Item::new(key.text, ItemKind::Value, range).rank(0));
            }
        }
        _ => {}
    }
}

fn of_endpoint(
    db: &dyn Db,
    file: SourceFile,
    place: &YamlPlace,
    parts: &[&str],
    range: TextRange,
    items: &mut Vec<Item>,
) {
    let def = endpoint_def(db, file);
    match parts {
        [_, "tests", _, "arguments", _, "key"] => {
            for parameter in def.into_iter().flat_map(|d| &d.parameters) {
                let ty = parameter.ty.as_ref();
                let mut item = Item::new(&parameter.name, ItemKind::Parameter, range).rank(0);
                item.detail = ty.map(mxcp_artifact::contract::type_text);
                item.docs = ty.and_then(|t| t.description.clone());
                items.push(item);
            }
        }
        [_, "tests", _, "arguments", _, "value"] => {
            let key = format!("{}/key", place.pointer.trim_end_matches("/value"));
            let name = parse_yaml(db, file)
                .lookup(&key)
                .and_then(|n| n.scalar().map(str::to_owned));
            let parameter = def
                .into_iter()
                .flat_map(|d| &d.parameters)
                .find(|p| Some(&p.name) == name.as_ref());
            let ty = parameter.and_then(|p| p.ty.as_ref());
            values_of(ty, range, items);
        }
        [_, "tests", _, "user_context"] if place.what != What::Value => {
            user_context(place, range, items);
        }
        [_, "source", "file"] => files(db, file, range, items),
        [.., "required", _] => {
            let object = place.pointer.rsplitn(3, '/').last().unwrap_or_default();
            let properties = parse_yaml(db, file).lookup(&format!("{object}/properties"));
            for (key, _) in properties.into_iter().flat_map(|p| p.entries()) {
                items.push(Item::new(key.text, ItemKind::Column, range).rank(0));
            }
        }
        [_, "policies", _, _, "fields", _] | [_, "tests", _, "result_not_contains", _] => {
            for (name, detail) in columns_of(db, file) {
                items.push(
                    Item::new(name, ItemKind::Column, range)
                        .detail(detail)
                        .rank(0),
                );
            }
        }
        [
            _,
            "tests",
            _,
            "result" | "result_contains" | "result_contains_item",
        ]
        | [_, "tests", _, "result", _]
        | [_, "tests", _, "result_contains_all", _]
            if place.what != What::Value
                && parts.get(4).is_none_or(|i| i.parse::<usize>().is_ok()) =>
        {
            for (name, detail) in columns_of(db, file) {
                items.push(
                    Item::new(&name, ItemKind::Column, range)
                        .insert(format!("{name}: "))
                        .detail(detail)
                        .rank(0),
                );
            }
        }
        [_, "tests", _, claim, path @ ..] if claim.starts_with("result") => {
            let ty = def.and_then(|d| d.returns.as_ref());
            let ty = super::cel::member(ty, path);
            if place.what != What::Value {
                for property in ty.into_iter().flat_map(|t| t.properties.iter().flatten()) {
                    items.push(
                        Item::new(&property.name, ItemKind::Column, range)
                            .insert(format!("{}: ", property.name))
                            .detail(mxcp_artifact::contract::type_text(&property.ty))
                            .rank(0),
                    );
                }
            }
            if place.what != What::Key {
                values_of(ty, range, items);
            }
        }
        [_, "return" | "return_", .., "properties"] if place.what == What::Key => {
            let declared = def.and_then(|d| d.returns.as_ref());
            let names = crate::actions::row_names(declared);
            for column in crate::actions::result_columns(db, file) {
                if !names.contains(&column.name) {
                    items.push(
                        Item::new(&column.name, ItemKind::Column, range)
                            .insert(format!(
                                "{}: {}",
                                column.name,
                                crate::actions::type_in_yaml(&column.ty)
                            ))
                            .detail(column.ty.to_string())
                            .rank(0),
                    );
                }
            }
        }
        _ => {}
    }
}

/// What a value may be, or is in the examples.
fn values_of(ty: Option<&TypeDef>, range: TextRange, items: &mut Vec<Item>) {
    let allowed = ty.into_iter().flat_map(|t| t.allowed.iter().flatten());
    for value in allowed.chain(ty.into_iter().flat_map(|t| &t.examples)) {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        items.push(Item::new(text, ItemKind::Value, range).rank(0));
    }
}

/// The fields of a caller that policies know.
fn user_context(place: &YamlPlace, range: TextRange, items: &mut Vec<Item>) {
    let deeper = " ".repeat(place.indent + 2);
    for name in project::cel_names("input") {
        if let Some(field) = name.name.strip_prefix("user.") {
            let insert = match name.detail.as_str() {
                "list" => format!("{field}:\n{deeper}- "),
                _ => format!("{field}: "),
            };
            items.push(
                Item::new(field, ItemKind::Key, range)
                    .insert(insert)
                    .detail(&name.detail)
                    .rank(0),
            );
        }
    }
}

/// Files of the project that an endpoint may run, as it has to write them.
fn files(db: &dyn Db, file: SourceFile, range: TextRange, items: &mut Vec<Item>) {
    let is_python = endpoint_def(db, file).is_some_and(|d| d.language == Language::Python);
    for (path, source) in FileSet::get(db).files(db) {
        let kind = document_kind(db, *source);
        let fits = match kind {
            DocumentKind::Sql => !is_python,
            DocumentKind::Python => true,
            _ => false,
        };
        if !fits {
            continue;
        }
        let written = relative(file.path(db), path);
        items.push(Item::new(written, ItemKind::File, range).rank(0));
    }
}

/// A path as seen from a file.
fn relative(from: &str, to: &str) -> String {
    let mut here: Vec<&str> = from.split('/').collect();
    here.pop();
    let there: Vec<&str> = to.split('/').collect();
    let same = here
        .iter()
        .zip(&there)
        .take_while(|(a, b)| a == b)
        .count()
        .min(there.len().saturating_sub(1));
    let mut out = "../".repeat(here.len() - same);
    out.push_str(&there[same..].join("/"));
    out
}

fn of_evals(
    db: &dyn Db,
    file: SourceFile,
    place: &YamlPlace,
    parts: &[&str],
    range: TextRange,
    items: &mut Vec<Item>,
) {
    match parts {
        ["tests", _, "assertions", "must_call", _, "tool"]
        | [
            "tests",
            _,
            "assertions",
            "must_not_call" | "expected_tool",
            _,
        ] => {
            for name in endpoint_index(db).tools() {
                let def = endpoint(db, EndpointKind::Tool, name).and_then(|f| endpoint_def(db, f));
                let mut item = Item::new(name, ItemKind::Tool, range).rank(0);
                item.detail = def.map(signature);
                item.docs = def.and_then(|d| d.description.clone());
                items.push(item);
            }
        }
        ["tests", _, "user_context"] if place.what != What::Value => {
            user_context(place, range, items);
        }
        ["tests", _, "assertions", "must_call", _, "args", name] if place.what != What::Key => {
            let call = place.pointer.rsplitn(3, '/').last().unwrap_or_default();
            let def = tool_of(db, file, call);
            let parameter = def
                .into_iter()
                .flat_map(|d| &d.parameters)
                .find(|p| p.name == *name);
            values_of(parameter.and_then(|p| p.ty.as_ref()), range, items);
        }
        ["tests", _, "assertions", "must_call", _, "args"] if place.what != What::Value => {
            let def = tool_of(db, file, place.pointer.trim_end_matches("/args"));
            for parameter in def.into_iter().flat_map(|d| &d.parameters) {
                let ty = parameter.ty.as_ref();
                let mut item = Item::new(&parameter.name, ItemKind::Parameter, range)
                    .insert(format!("{}: ", parameter.name))
                    .rank(0);
                item.detail = ty.map(mxcp_artifact::contract::type_text);
                items.push(item);
            }
        }
        _ => {}
    }
}

/// The tool that an assertion of an eval is about.
fn tool_of<'db>(db: &'db dyn Db, file: SourceFile, call: &str) -> Option<&'db EndpointDef> {
    let tool = parse_yaml(db, file).lookup(&format!("{call}/tool"))?;
    endpoint_def(db, endpoint(db, EndpointKind::Tool, tool.scalar()?)?)
}

fn of_properties(
    db: &dyn Db,
    file: SourceFile,
    place: &YamlPlace,
    parts: &[&str],
    range: TextRange,
    items: &mut Vec<Item>,
) {
    match parts {
        ["models" | "seeds", _, "name"] => {
            for (name, _) in project::refs(db) {
                items.push(Item::new(name, ItemKind::Model, range).rank(0));
            }
        }
        ["models" | "seeds", index, "columns", _, "name"] => {
            let name = parse_yaml(db, file)
                .lookup(&format!("{}/{index}/name", parts[0]))
                .and_then(|n| n.scalar().map(str::to_owned));
            let node = name.and_then(|n| project::resolve_ref(db, None, &n));
            for (name, _) in node.into_iter().flat_map(|n| &node_columns(db, n).0) {
                items.push(Item::new(name, ItemKind::Column, range).rank(0));
            }
        }
        [.., "field"] => {
            let to = format!("{}/to", place.pointer.trim_end_matches("/field"));
            let target = parse_yaml(db, file)
                .lookup(&to)
                .and_then(|n| crate::occurrences::ref_target(db, n.as_str()?));
            for (name, _) in target.into_iter().flat_map(|n| &node_columns(db, n).0) {
                items.push(Item::new(name, ItemKind::Column, range).rank(0));
            }
        }
        [.., "to"] => {
            for (name, _) in project::refs(db) {
                items.push(Item::new(format!("ref('{name}')"), ItemKind::Model, range).rank(0));
            }
        }
        _ => {}
    }
}
