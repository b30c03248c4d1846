//! What the SQL does against what the annotations say and the profile allows.

use mxcp_artifact::EndpointKind;
use mxcp_base::{SourceFile, codes};
use mxcp_catalog::{ChangeKind, Statement, StatementKind};

use super::changes;
use crate::Db;
use crate::documents::site;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::inputs::Settings;
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_effects(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    text: &str,
    statements: &[Statement],
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let Some(first) = statements.iter().find(|s| changes(s, text)) else {
        return;
    };
    let start = first.details.changes.first().map_or_else(
        || first.range.start..first.range.start + 1,
        |c| c.range.clone(),
    );
    let word = text
        .get(start.start as usize..start.end as usize)
        .unwrap_or_default()
        .to_uppercase();
    let mut resource = None;
    let hint = |name: &str| Anchor::value(file, def.pointer(&format!("annotations/{name}")));
    let mut contradicts = |name: &str, value: bool, what: &str, at: std::ops::Range<u32>| {
        findings.push(
            Finding::new(
                codes::MX0215,
                format!("`{name}: {value}`, but the SQL {what}"),
                hint(name),
            )
            .label(Anchor::inside(origin, at), "here")
            .help(format!("write `{name}: {}`", !value))
            .fix(
                format!("change to `{}`", !value),
                hint(name),
                (!value).to_string(),
            ),
        );
    };
    if def.kind == EndpointKind::Resource {
        let place = start.clone();
        resource = Some(
            Finding::new(
                codes::MX0219,
                "reading this resource changes data",
                Anchor::inside(origin, place),
            )
            .help("clients read resources at any time: make it a tool"),
        );
    }
    if def.annotations.read_only_hint == Some(true) {
        contradicts("readOnlyHint", true, "changes data", start.clone());
    }
    let change = |wanted: &[ChangeKind]| {
        statements
            .iter()
            .flat_map(|s| &s.details.changes)
            .find(|c| wanted.contains(&c.kind))
            .map(|c| c.range.clone())
    };
    if def.annotations.destructive_hint == Some(false)
        && let Some(at) = change(&[ChangeKind::Delete])
    {
        contradicts("destructiveHint", false, "removes what is there", at);
    }
    if def.annotations.idempotent_hint == Some(true)
        && let Some(at) = change(&[ChangeKind::Insert, ChangeKind::UpdateByOld])
    {
        contradicts("idempotentHint", true, "changes more with each call", at);
    }
    findings.extend(resource);
    // `COPY … TO` writes a file, which a read-only database allows.
    if first.kind == StatementKind::Copy {
        return;
    }
    let elsewhere = statements
        .iter()
        .flat_map(|s| &s.relations)
        .any(|r| r.catalog.is_some());
    let Some(site) = site(db).filter(|_| !elsewhere) else {
        return;
    };
    let profile = Settings::get(db)
        .profile(db)
        .as_deref()
        .unwrap_or(&site.profile);
    if site.profile(profile).readonly {
        findings.push(
            Finding::new(
                codes::MX0216,
                format!("`{word}` cannot run: the profile `{profile}` opens the database read-only"),
                Anchor::inside(origin, start),
            )
            .help("set `enabled: false` on this endpoint, or remove `readonly: true` from the profile"),
        );
    }
}
