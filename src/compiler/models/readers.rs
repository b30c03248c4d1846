//! Who reads a node: what its error should name, because it stays silent itself.

use std::collections::{BTreeSet, HashSet};

use mxcp_base::SourceFile;

use super::index::{model_files, node_name, relation_index};
use super::node::{is_enabled, is_ephemeral, mentions};
use crate::Db;
use crate::documents::{endpoint_def, endpoint_files};
use crate::finding::Anchor;
use crate::sql::{SqlText, analyze_sql, endpoint_source};

/// Everything that cannot be checked because this node is broken, nearest first.
pub(crate) fn readers(db: &dyn Db, broken: SourceFile) -> Vec<(Anchor, String)> {
    let mut labels = Vec::new();
    let mut reached = HashSet::from([broken]);
    let mut open = vec![broken];
    while let Some(node) = open.pop() {
        let name = node_name(db, node);
        for file in model_files(db) {
            let reads = mentions(db, *file).0.refs.iter().find(|r| r.name == name);
            if let Some(reference) = reads
                && is_enabled(db, *file)
                && reached.insert(*file)
            {
                let range = mxcp_base::TextRange::new(
                    reference.range.start.into(),
                    reference.range.end.into(),
                );
                labels.push((
                    Anchor::text(*file, range),
                    format!("model `{}` reads it", node_name(db, *file)),
                ));
                open.push(*file);
            }
        }
    }
    let relations: BTreeSet<_> = relation_index(db)
        .iter()
        .filter(|(_, file)| reached.contains(file) && !is_ephemeral(db, **file))
        .map(|(name, _)| name.clone())
        .collect();
    for file in endpoint_files(db) {
        let (Some(def), Some(Ok((text, origin)))) =
            (endpoint_def(db, *file), endpoint_source(db, *file))
        else {
            continue;
        };
        if !def.enabled || def.language != crate::lower::endpoint::Language::Sql {
            continue;
        }
        let analysis = analyze_sql(db, SqlText::new(db, text.to_string()));
        let table = analysis
            .statements
            .iter()
            .flat_map(|s| &s.relations)
            .find(|t| {
                let schema = t.schema.as_deref().unwrap_or("main");
                relations
                    .contains(&mxcp_artifact::RelationName::in_schema(schema, &t.name).folded())
            });
        if let Some(table) = table {
            let anchor = match &table.range {
                Some(range) => Anchor::inside(origin, range.clone()),
                None => Anchor::origin(origin),
            };
            labels.push((
                anchor,
                format!(
                    "{} `{}` reads it and is not checked until it is mended",
                    def.kind,
                    def.id().unwrap_or_default()
                ),
            ));
        }
    }
    labels
}
