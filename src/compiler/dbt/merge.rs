//! One model described by several property entries. Only real contradictions are reported.

use serde_json::Value as Json;

use super::problem::{At, Problem, code};
use super::properties::{ColumnProps, ModelProps, Place, TestProps};

/// Puts the entries for one model together, in the order given (files sorted by path). Each problem
/// comes with the index of the entry it is in.
pub fn merge_model(parts: &[&ModelProps]) -> (ModelProps, Vec<(usize, Problem)>) {
    let mut problems = Vec::new();
    let mut merged = ModelProps::default();
    for (index, part) in parts.iter().enumerate() {
        let part = stamped(part, index);
        if index == 0 {
            merged = part;
        } else {
            add(&mut merged, part, index, &mut problems);
        }
    }
    (merged, problems)
}

fn stamped(part: &ModelProps, index: usize) -> ModelProps {
    let mut part = part.clone();
    let stamp = |place: &mut Place| place.part = index;
    stamp(&mut part.place);
    part.tests.iter_mut().for_each(|t| stamp(&mut t.place));
    if let Some(contract) = &mut part.contract {
        stamp(&mut contract.place);
    }
    for column in &mut part.columns {
        stamp(&mut column.place);
        column.tests.iter_mut().for_each(|t| stamp(&mut t.place));
    }
    for version in &mut part.versions {
        version.props = stamped(&version.props, index);
    }
    part
}

fn add(
    merged: &mut ModelProps,
    part: ModelProps,
    index: usize,
    problems: &mut Vec<(usize, Problem)>,
) {
    let name = merged.name.clone();
    let mut contradiction = |pointer: String, what: String| {
        problems.push((
            index,
            Problem::new(
                code::DUPLICATE_MODEL,
                At::Pointer(pointer),
                format!("{what} of `{name}` is declared differently in another property file"),
            )
            .help("keep one of the two declarations"),
        ));
    };

    if merged.description.is_none() {
        merged.description = part.description;
    }
    merged.meta.extend(part.meta);
    extend_unique(&mut merged.tags, part.tags);
    for (key, value) in part.config {
        match merged.config.get(&key) {
            Some(known)
                if *known != value && !matches!(known, Json::Array(_) | Json::Object(_)) =>
            {
                contradiction(
                    format!("{}/config/{key}", part.place.pointer),
                    format!("config `{key}`"),
                );
            }
            Some(_) => {
                super::config::merge_value(&mut merged.config, key, value);
            }
            None => {
                merged.config.insert(key, value);
            }
        }
    }
    match (&merged.contract, part.contract) {
        (Some(known), Some(new)) if known.enforced != new.enforced => {
            contradiction(new.place.pointer, "the contract".to_owned());
        }
        (None, Some(new)) => merged.contract = Some(new),
        _ => {}
    }
    for column in part.columns {
        let known = merged
            .columns
            .iter_mut()
            .find(|known| known.spec.name.eq_ignore_ascii_case(&column.spec.name));
        match known {
            None => merged.columns.push(column),
            Some(known) => {
                if let Some(pointer) = add_column(known, column) {
                    contradiction(pointer, format!("the type of column `{}`", known.spec.name));
                }
            }
        }
    }
    extend_unique(&mut merged.constraints, part.constraints);
    extend_tests(&mut merged.tests, part.tests);
    merged.versions.extend(part.versions);
    for (key, value) in part.others {
        merged.others.entry(key).or_insert(value);
    }
}

// The pointer of a type that contradicts the known one.
fn add_column(known: &mut ColumnProps, new: ColumnProps) -> Option<String> {
    if known.spec.description.is_none() {
        known.spec.description = new.spec.description;
    }
    let mut contradiction = None;
    match (&known.spec.data_type, new.spec.data_type) {
        (Some(old), Some(ty)) => {
            let parse = mxcp_artifact::SqlType::parse;
            if parse(old) != parse(&ty) {
                contradiction = Some(format!("{}/data_type", new.place.pointer));
            }
        }
        (None, Some(ty)) => {
            known.spec.data_type = Some(ty);
            // A type mismatch is reported where the type is written.
            known.place = new.place;
        }
        _ => {}
    }
    extend_unique(&mut known.spec.constraints, new.spec.constraints);
    known.quote |= new.quote;
    known.meta.extend(new.meta);
    extend_unique(&mut known.tags, new.tags);
    extend_tests(&mut known.tests, new.tests);
    contradiction
}

fn extend_unique<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

// The same test declared in two files runs once.
fn extend_tests(list: &mut Vec<TestProps>, more: Vec<TestProps>) {
    for test in more {
        let same = |known: &TestProps| {
            known.test == test.test
                && known.namespace == test.namespace
                && known.args == test.args
                && known.config == test.config
                && known.custom_name == test.custom_name
        };
        if !list.iter().any(same) {
            list.push(test);
        }
    }
}
