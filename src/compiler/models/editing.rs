//! What editors ask of models, seeds and sources: see [`crate::ide_support`].

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::ConstraintKind;
use mxcp_base::SourceFile;

use super::docs::described;
use super::index::{find_node, macro_files, node_name, property_files, ref_index, sources};
use super::marks::model_sql;
use super::node::{node_config, node_properties, node_relation};
use crate::Db;
use crate::dbt::properties::TestProps;
use crate::documents::{DocumentKind, document_kind};
use crate::ide_support::SourceTable;

pub(crate) fn refs(db: &dyn Db) -> Vec<(String, SourceFile)> {
    ref_index(db)
        .iter()
        .map(|(name, file)| (name.clone(), *file))
        .collect()
}

pub(crate) fn resolve_ref(db: &dyn Db, package: Option<&str>, name: &str) -> Option<SourceFile> {
    find_node(db, package, name)
}

pub(crate) fn name(db: &dyn Db, file: SourceFile) -> String {
    node_name(db, file).to_owned()
}

pub(crate) fn relation(db: &dyn Db, file: SourceFile) -> RelationName {
    node_relation(db, file).clone()
}

pub(crate) fn description(db: &dyn Db, file: SourceFile) -> Option<String> {
    let text = node_properties(db, file)?.props.description.as_deref()?;
    Some(described(db, file.path(db), text))
}

pub(crate) fn column(
    db: &dyn Db,
    file: SourceFile,
    column: &str,
) -> Option<(Option<String>, Option<String>)> {
    let spec = &node_properties(db, file)?
        .props
        .columns
        .iter()
        .find(|c| c.spec.name.eq_ignore_ascii_case(column))?
        .spec;
    let path = file.path(db);
    let text = spec
        .description
        .as_deref()
        .map(|text| described(db, path, text));
    Some((text, spec.data_type.clone()))
}

pub(crate) fn is_never_null(db: &dyn Db, file: SourceFile, column: &str) -> bool {
    let Some(properties) = node_properties(db, file) else {
        return false;
    };
    let props = &properties.props;
    let same = |name: &str| name.eq_ignore_ascii_case(column);
    // With a `where` it speaks of some rows only.
    let promises = |test: &TestProps| test.test == "not_null" && !test.config.contains_key("where");
    let of_model = props.tests.iter().filter(|t| promises(t)).any(|test| {
        let name = test.args.get("column_name").and_then(|n| n.as_str());
        name.is_some_and(same)
    });
    of_model
        || props.columns.iter().any(|c| {
            let not_null =
                |kind| matches!(kind, ConstraintKind::NotNull | ConstraintKind::PrimaryKey);
            same(&c.spec.name)
                && (c.spec.constraints.iter().any(|c| not_null(c.kind))
                    || c.tests.iter().any(promises))
        })
}

pub(crate) fn materialized(db: &dyn Db, file: SourceFile) -> String {
    match document_kind(db, file) {
        DocumentKind::DbtSeed => "seed".into(),
        _ => node_config(db, file).0.materialized.clone(),
    }
}

pub(crate) fn compiled(db: &dyn Db, file: SourceFile) -> Option<String> {
    model_sql(db, file).map(str::to_owned)
}

pub(crate) fn source_tables(db: &dyn Db) -> Vec<SourceTable> {
    let mut found = Vec::new();
    for file in property_files(db) {
        for source in sources(db, *file) {
            for table in &source.tables {
                let text = table.description.as_deref();
                found.push(SourceTable {
                    source: source.name.clone(),
                    table: table.name.clone(),
                    relation: source.relation(table),
                    file: *file,
                    pointer: table.place.pointer.clone(),
                    description: text.map(|text| described(db, file.path(db), text)),
                    columns: table
                        .columns
                        .iter()
                        .map(|c| (c.spec.name.clone(), c.spec.description.clone()))
                        .collect(),
                });
            }
        }
    }
    found
}

pub(crate) fn macros(db: &dyn Db) -> Vec<SourceFile> {
    macro_files(db).clone()
}
