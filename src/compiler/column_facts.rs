//! What property files promise about the columns of a relation: which are unique, which refer to
//! another relation, which values they have.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::dbt::ConstraintKind;
use mxcp_artifact::{RelationKind, RelationName};
use mxcp_base::{FileSet, Shelf, SourceFile, paths};
use mxcp_catalog::Rows;

use crate::Db;
use crate::documents::{DocumentKind, document_kind};
use crate::inputs::Settings;
use crate::models::{model_for_relation, node_config, node_properties, render_model};
use crate::relations::RelationKey;
use crate::sql::{SqlText, analyze_sql};
use crate::surface::indexes_elsewhere;

/// Column names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    pub unique: BTreeSet<String>,
    /// Columns that hold keys of another relation.
    pub references: BTreeSet<String>,
    pub accepted: BTreeMap<String, Vec<String>>,
    /// Whether several columns together are promised to be unique, or something of the kind.
    pub other_keys: bool,
    /// The keys that the relation is built with; nothing when they may come from elsewhere.
    pub keys: Option<Vec<BTreeSet<String>>>,
    /// Whether the relation holds all rows of something, as far as can be told.
    pub many: bool,
}

#[salsa::tracked(returns(ref))]
pub fn column_facts<'db>(db: &'db dyn Db, key: RelationKey<'db>) -> ColumnFacts {
    let mut facts = ColumnFacts::default();
    let Some(file) = model_for_relation(db, key) else {
        let relation = Settings::get(db).environment(db).catalog.get(key.name(db));
        facts.many = relation.is_some_and(|r| r.kind == RelationKind::Table);
        return facts;
    };
    facts.many = match document_kind(db, file) {
        DocumentKind::DbtSeed => true,
        _ => {
            let rendered = render_model(db, file);
            let analysis = analyze_sql(db, SqlText::new(db, rendered.sql.clone()));
            match analysis.statements.as_slice() {
                [one] => matches!(one.details.rows, Rows::Many(_)) && !one.single_row,
                _ => false,
            }
        }
    };
    facts.keys = keys(db, file);
    let Some(properties) = node_properties(db, file) else {
        return facts;
    };
    let unique = |kind| matches!(kind, ConstraintKind::Unique | ConstraintKind::PrimaryKey);
    let props = &properties.props;
    facts.other_keys = props.constraints.iter().any(|c| unique(c.kind))
        || props.tests.iter().any(|t| t.test.contains("unique"));
    for column in &props.columns {
        let name = column.spec.name.to_lowercase();
        if column.spec.constraints.iter().any(|c| unique(c.kind)) {
            facts.unique.insert(name.clone());
        }
        for test in &column.tests {
            match test.test.as_str() {
                "unique" => {
                    facts.unique.insert(name.clone());
                }
                "relationships" => {
                    facts.references.insert(name.clone());
                }
                "accepted_values" => {
                    let arguments = test
                        .args
                        .get("arguments")
                        .unwrap_or(&serde_json::Value::Null);
                    let values = test.args.get("values").or_else(|| arguments.get("values"));
                    let texts: Option<Vec<String>> = values
                        .and_then(serde_json::Value::as_array)
                        .map(|v| v.iter().map(|v| v.as_str().map(str::to_owned)).collect())
                        .unwrap_or_default();
                    // A template among them may be anything.
                    if let Some(texts) = texts.filter(|t| !t.iter().any(|t| t.contains("{{")))
                        && test.config.get("where").is_none()
                    {
                        facts.accepted.insert(name.clone(), texts);
                    }
                }
                other => facts.other_keys |= other.contains("unique"),
            }
        }
    }
    facts
}

/// The facts of a relation of the default schema.
pub fn facts_of<'db>(db: &'db dyn Db, name: &str) -> &'db ColumnFacts {
    column_facts(
        db,
        RelationKey::new(db, RelationName::main(name.to_lowercase())),
    )
}

/// The unique indexes and constraints of a model or seed that becomes a table.
fn keys(db: &dyn Db, file: SourceFile) -> Option<Vec<BTreeSet<String>>> {
    let config = &node_config(db, file).0;
    let is_seed = document_kind(db, file) == DocumentKind::DbtSeed;
    let is_table = matches!(config.materialized.as_str(), "table" | "incremental");
    let hooked = !config.pre_hooks.is_empty() || !config.post_hooks.is_empty();
    if !(is_seed || is_table) || hooked || *indexes_elsewhere(db) {
        return None;
    }
    let folded = |names: &[String]| names.iter().map(|n| n.trim().to_lowercase()).collect();
    let mut keys: Vec<BTreeSet<String>> = config
        .indexes
        .iter()
        .filter(|index| index.unique)
        .map(|index| folded(&index.columns))
        .collect();
    let unique = |kind| matches!(kind, ConstraintKind::Unique | ConstraintKind::PrimaryKey);
    if let Some(properties) = node_properties(db, file) {
        let props = &properties.props;
        let listed = props.constraints.iter().filter(|c| unique(c.kind));
        keys.extend(listed.map(|c| folded(&c.columns)));
        for column in &props.columns {
            if column.spec.constraints.iter().any(|c| unique(c.kind)) {
                keys.push(BTreeSet::from([column.spec.name.to_lowercase()]));
            }
        }
    }
    Some(keys)
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_indexes_elsewhere(db: &dyn Db) -> bool {
    let shelves = FileSet::get(db).shelves(db);
    shelves.iter().any(|shelf| makes_keys(db, *shelf))
}

#[salsa::tracked(returns(copy))]
fn makes_keys(db: &dyn Db, shelf: Shelf) -> bool {
    let is_code =
        |file: &SourceFile| matches!(paths::extension(file.path(db)), "py" | "sql" | "yml");
    let mut files = shelf.files(db).iter().filter(|file| is_code(file));
    files.any(|file| names_keys(db, *file))
}

/// A firewall over the text.
#[salsa::tracked(returns(copy))]
fn names_keys(db: &dyn Db, file: SourceFile) -> bool {
    let text = file.text(db).to_lowercase();
    text.contains("unique index") || text.contains("add primary key")
}
