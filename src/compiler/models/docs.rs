//! Docs blocks, and descriptions that name them.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::ColumnSpec;
use mxcp_base::{FileSet, SourceFile, paths};

use super::node::yaml_context_of;
use crate::Db;
use crate::dbt::properties::ColumnProps;
use crate::dbt::values::render_yaml;
use crate::dbt::{MacroKind, ModelProps, lower_macros};

/// The texts of `{% docs name %}` blocks by name.
#[salsa::tracked(returns(ref))]
pub(super) fn docs(db: &dyn Db) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, file) in FileSet::get(db).files(db) {
        if paths::extension(path) != "md" || !file.text(db).contains("{% docs") {
            continue;
        }
        let text = file.text(db);
        for def in lower_macros(text).0 {
            let whole = text.get(def.range.start as usize..def.range.end as usize);
            if def.kind == MacroKind::Docs
                && let Some(whole) = whole
                && let (Some(start), Some(end)) = (whole.find("%}"), whole.rfind("{%"))
            {
                let inner = whole.get(start + 2..end).unwrap_or("").trim();
                found.entry(def.name).or_insert_with(|| inner.to_owned());
            }
        }
    }
    found
}

/// A description with its Jinja rendered, `{{ doc('name') }}` above all.
pub(super) fn described(db: &dyn Db, path: &str, text: &str) -> String {
    let mut out = rendered(db, path, text, true);
    // A template loses its last line break.
    if ["{{", "{%", "{#"].iter().any(|start| text.contains(start)) && text.ends_with('\n') {
        out.pop();
    }
    out
}

fn rendered(db: &dyn Db, path: &str, text: &str, with_docs: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest.get(start..).and_then(|tail| tail.find("}}")) else {
            break;
        };
        let whole = rest.get(start..start + end + 2).unwrap_or("");
        let call = mxcp_syntax::jinja::scan(whole).calls.into_iter().next();
        let name = call.filter(|call| call.name == "doc").and_then(|call| {
            call.str_arg(call.args.len().saturating_sub(1))
                .map(str::to_owned)
        });
        out.push_str(rest.get(..start).unwrap_or(""));
        let block = name.filter(|_| with_docs);
        match block.and_then(|name| docs(db).get(&name)) {
            Some(block) => out.push_str(&rendered(db, path, block, false)),
            None => {
                let context = yaml_context_of(db, path);
                match render_yaml(&whole.into(), &context, "").0 {
                    serde_json::Value::String(text) => out.push_str(&text),
                    other => out.push_str(&mxcp_values::repr::text(&other)),
                }
            }
        }
        rest = rest.get(start + end + 2..).unwrap_or("");
    }
    out + rest
}

/// The columns that a property entry declares, as a compiled node has them.
pub(super) fn described_columns(
    db: &dyn Db,
    file: SourceFile,
    columns: &[ColumnProps],
) -> Vec<ColumnSpec> {
    let mut specs: Vec<ColumnSpec> = columns.iter().map(|c| c.spec.clone()).collect();
    for spec in &mut specs {
        if let Some(text) = spec.description.as_mut().filter(|text| text.contains("{{")) {
            *text = described(db, file.path(db), text);
        }
        for constraint in &mut spec.constraints {
            super::graph::point(db, constraint);
        }
    }
    specs
}

pub(super) fn column_specs(
    db: &dyn Db,
    file: SourceFile,
    props: Option<&ModelProps>,
) -> Vec<ColumnSpec> {
    props.map_or_else(Vec::new, |props| {
        described_columns(db, file, &props.columns)
    })
}
