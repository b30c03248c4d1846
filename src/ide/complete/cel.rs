//! Conditions of policies: parameters, the caller, the result, functions.

use mxcp_artifact::TypeDef;
use mxcp_artifact::contract::type_text;
use mxcp_compiler::documents::endpoint_def;
use mxcp_compiler::ide_support::cel_names;

use super::{Item, ItemKind, Spot};
use crate::names::endpoint_sql;

pub(super) fn complete(spot: &Spot<'_>) -> Vec<Item> {
    let pointer = spot.part.pointer.as_deref().unwrap_or_default();
    let phase = if pointer.contains("policies/output") {
        "output"
    } else {
        "input"
    };
    let names = cel_names(phase);
    let before = spot.before();
    if in_text(before) {
        return Vec::new();
    }
    let mut items = Vec::new();
    if let Some(lead) = before.strip_suffix('.') {
        let path: String = lead
            .chars()
            .rev()
            .take_while(|c| super::is_name(*c) || "[].".contains(*c))
            .collect();
        let path: String = path.chars().rev().collect();
        if path == "user" {
            for name in &names {
                if let Some(field) = name.name.strip_prefix("user.") {
                    items.push(
                        Item::new(field, ItemKind::Column, spot.replace)
                            .detail(&name.detail)
                            .rank(0),
                    );
                }
            }
            return items;
        }
        let steps: Vec<&str> = path
            .split(['.', '[', ']'])
            .filter(|step| !step.is_empty())
            .collect();
        if steps == ["response"] {
            result_columns(spot, &mut items);
        } else if let ["response", inner @ ..] = steps.as_slice() {
            let declared = endpoint_def(spot.db, spot.file).and_then(|d| d.returns.as_ref());
            let ty = member(declared, inner);
            for property in ty.into_iter().flat_map(|t| t.properties.iter().flatten()) {
                items.push(
                    Item::new(&property.name, ItemKind::Column, spot.replace)
                        .detail(type_text(&property.ty))
                        .rank(0),
                );
            }
        }
        for name in names.iter().filter(|n| n.is_method) {
            items.push(
                Item::new(&name.name, ItemKind::Function, spot.replace)
                    .detail(first_line(&name.detail))
                    .rank(4),
            );
        }
        return items;
    }
    items.extend(spot.parameters());
    for name in &names {
        if name.name.contains('.') {
            continue;
        }
        let kind = match name.is_function {
            true => ItemKind::Function,
            false => ItemKind::Variable,
        };
        items.push(
            Item::new(&name.name, kind, spot.replace)
                .detail(first_line(&name.detail))
                .rank(if name.is_function { 5 } else { 1 }),
        );
    }
    items
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Whether a text literal is open.
fn in_text(before: &str) -> bool {
    let mut open = None;
    for c in before.chars() {
        match open {
            None if c == '\'' || c == '"' => open = Some(c),
            Some(quote) if c == quote => open = None,
            _ => {}
        }
    }
    open.is_some()
}

/// The type of a part of a value: names lead into objects, numbers into lists, and a name into the
/// items of a list.
pub(super) fn member<'t>(mut ty: Option<&'t TypeDef>, path: &[&str]) -> Option<&'t TypeDef> {
    for step in path {
        let is_index = step.parse::<usize>().is_ok();
        if is_index && let Some(items) = ty.and_then(|t| t.items.as_deref()) {
            ty = Some(items);
            continue;
        }
        while let Some(items) = ty.and_then(|t| t.items.as_deref()) {
            ty = Some(items);
        }
        let properties = ty?.properties.as_ref()?;
        ty = Some(&properties.iter().find(|p| p.name == *step)?.ty);
    }
    ty
}

/// The names of the result's columns: declared, or those of the SQL.
pub(super) fn result_columns(spot: &Spot<'_>, items: &mut Vec<Item>) {
    for (name, detail) in columns_of(spot.db, spot.file) {
        items.push(
            Item::new(name, ItemKind::Column, spot.replace)
                .detail(detail)
                .rank(0),
        );
    }
}

/// The columns of an endpoint's result with what is known of their types.
pub(super) fn columns_of(
    db: &dyn mxcp_compiler::Db,
    file: mxcp_base::SourceFile,
) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut ty = endpoint_def(db, file).and_then(|d| d.returns.as_ref());
    while let Some(items) = ty.and_then(|t| t.items.as_deref()) {
        ty = Some(items);
    }
    for property in ty.into_iter().flat_map(|t| t.properties.iter().flatten()) {
        found.push((property.name.clone(), type_text(&property.ty)));
    }
    let Some((owner, sql)) = endpoint_sql(db, file) else {
        return found;
    };
    let bound = crate::names::bound_columns(db, owner);
    for column in &bound {
        if !found.iter().any(|(n, _)| *n == column.name) {
            found.push((column.name.clone(), column.ty.to_string()));
        }
    }
    if bound.is_empty() {
        for (name, _) in &sql.resolved.result {
            if !found.iter().any(|(n, _)| n == name) {
                found.push((name.clone(), String::new()));
            }
        }
    }
    found
}
