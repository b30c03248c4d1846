//! `ON CONFLICT` on columns that are no key of the model or seed that is written to.

use std::collections::BTreeSet;

use mxcp_base::codes;
use mxcp_catalog::Statement;

use crate::Db;
use crate::column_facts::facts_of;
use crate::finding::{Anchor, Finding, TextOrigin};

pub(super) fn check_conflicts(
    db: &dyn Db,
    statement: &Statement,
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let Some(conflict) = &statement.details.conflict else {
        return;
    };
    let name = conflict.relation.rsplit('.').next().unwrap_or_default();
    let name = name.trim_matches('"');
    let Some(keys) = &facts_of(db, name).keys else {
        return;
    };
    if keys.contains(&conflict.columns) {
        return;
    }
    let list = |columns: &BTreeSet<String>| {
        let names: Vec<String> = columns.iter().map(|c| format!("`{c}`")).collect();
        names.join(", ")
    };
    let help = match keys.first() {
        Some(key) => format!("its key is {}", list(key)),
        None => {
            "give the model a unique index: `indexes=[{'columns': […], 'unique': True}]`".into()
        }
    };
    findings.push(
        Finding::new(
            codes::MX0220,
            format!(
                "{} is no key of `{name}`: DuckDB refuses `ON CONFLICT`",
                list(&conflict.columns)
            ),
            Anchor::inside(origin, conflict.range.clone()),
        )
        .help(help),
    );
}
