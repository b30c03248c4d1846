//! Snapshots: those that cannot be taken, and columns they name that their query does not give.

use mxcp_artifact::Column;
use mxcp_artifact::dbt::SnapshotStrategy;
use mxcp_base::{codes, suggest};
use mxcp_syntax::yaml::join_pointer;

use super::packages::package_of;
use super::places::{config_anchor, start};
use super::snapshots::{Snapshot, snapshots};
use crate::Db;
use crate::finding::{Anchor, Finding};
use crate::sql::{Bound, bind_text};

/// Snapshots that dbt would refuse to take.
pub(super) fn check_snapshots(db: &dyn Db, findings: &mut Vec<Finding>) {
    for snapshot in own(db) {
        if let Err(reason) = &snapshot.spec {
            findings.push(
                Finding::new(
                    codes::MX0430,
                    format!("the snapshot `{}` is left out: {reason}", snapshot.name),
                    start(snapshot.file),
                )
                .help("say in its configuration how a changed row is told"),
            );
        }
    }
}

/// Columns that a snapshot's configuration names and its query does not give.
pub fn check_snapshot_columns(db: &dyn Db, findings: &mut Vec<Finding>) {
    for snapshot in own(db) {
        let Ok(spec) = &snapshot.spec else {
            continue;
        };
        let Some(columns) = columns(db, snapshot) else {
            continue;
        };
        let mut named: Vec<(&str, &str)> = Vec::new();
        named.extend(spec.unique_key.iter().map(|key| ("unique_key", &**key)));
        match &spec.strategy {
            SnapshotStrategy::Timestamp { updated_at } => named.push(("updated_at", updated_at)),
            SnapshotStrategy::Custom { .. } => {}
            SnapshotStrategy::Check { columns } => {
                named.extend(columns.iter().map(|name| ("check_cols", &**name)));
            }
        }
        for (key, name) in named {
            findings.extend(unknown(db, snapshot, &columns, key, name));
        }
    }
}

/// The snapshots of the project itself.
fn own(db: &dyn Db) -> impl Iterator<Item = &Snapshot> {
    snapshots(db)
        .values()
        .filter(|snapshot| package_of(db, snapshot.file.path(db)).is_none())
}

/// The columns of a snapshot's query; `None` when they are not known.
fn columns(db: &dyn Db, snapshot: &Snapshot) -> Option<Vec<Column>> {
    let rendered = super::graph::rendered_snapshot(db, snapshot);
    if !rendered.problems.is_empty() || rendered.dynamic.is_some() {
        return None;
    }
    match bind_text(db, &rendered.sql, &[]).0 {
        Bound::Columns { columns, .. } => Some(columns),
        _ => None,
    }
}

fn unknown(
    db: &dyn Db,
    snapshot: &Snapshot,
    columns: &[Column],
    key: &str,
    name: &str,
) -> Option<Finding> {
    let known = columns.iter().map(|c| c.name.as_str());
    // An expression is left to the engine.
    let is_name = name.chars().all(|c| c == '_' || c.is_alphanumeric())
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name || known.clone().any(|c| c.eq_ignore_ascii_case(name)) {
        return None;
    }
    let in_properties = snapshot.props.as_ref().filter(|(_, props)| {
        let written = props.config.contains_key(key);
        written && !snapshot.config_in_template(key)
    });
    let anchor = match in_properties {
        Some((file, props)) => {
            let config = join_pointer(&props.place.pointer, "config");
            Anchor::value(*file, join_pointer(&config, key))
        }
        None => config_anchor(db, snapshot.file, key, None),
    };
    Some(
        Finding::new(
            codes::MX0419,
            format!(
                "`{key}` names a column `{name}` that `{}` does not have",
                snapshot.name
            ),
            anchor,
        )
        .help_if(suggest::did_you_mean(name, known)),
    )
}
