//! Docs blocks, and descriptions that name them.

use std::collections::BTreeMap;

use mxcp_base::{FileSet, paths};

use crate::Db;
use crate::dbt::{MacroKind, lower_macros};

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

/// A description with `{{ doc('name') }}` replaced by the block's text.
pub(super) fn described(db: &dyn Db, text: &str) -> String {
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
        match name.and_then(|name| docs(db).get(&name)) {
            Some(block) => out.push_str(block),
            None => out.push_str(whole),
        }
        rest = rest.get(start + end + 2..).unwrap_or("");
    }
    out + rest
}
