//! The SQL of a file with its names looked up in the project.

use std::ops::Range;

use mxcp_artifact::{EndpointKind, RelationName};
use mxcp_base::{FileSet, SourceFile, TextRange, paths};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, find_file};
use mxcp_compiler::ide_support as project;
use mxcp_compiler::index::endpoint_index;
use mxcp_compiler::lower::endpoint::{EndpointDef, Language as SourceLanguage};
use mxcp_compiler::models::model_for_relation;
use mxcp_compiler::relations::{RelationKey, RelationSchema, relation_schema};
use mxcp_compiler::sql::Bound;

use crate::embedded::{Embedded, Language, embedded};
use crate::sql::{Catalog, Column, Resolved, Table, Target, resolve};
use crate::symbol::{LocalKind, Symbol};
use crate::template::{self, Tag, TagKind};

/// A place of a template that stands for a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pub range: Range<usize>,
    pub relation: RelationName,
}

/// The SQL of a file: an endpoint's own, or the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSql {
    pub embedded: Embedded,
    /// The text as SQL: what is Jinja is covered.
    pub sql: String,
    pub tags: Vec<Tag>,
    pub masks: Vec<Mask>,
    pub resolved: Resolved,
}

#[salsa::tracked(returns(as_ref), cycle_result = no_sql)]
pub fn file_sql(db: &dyn Db, file: SourceFile) -> Option<FileSql> {
    let embedded = embedded(db, file)
        .into_iter()
        .find(|e| matches!(e.language, Language::Sql | Language::Template))?;
    if document_kind(db, file) == DocumentKind::DbtMacro {
        return None;
    }
    let (sql, tags, masks) = match embedded.language {
        Language::Template => {
            let tags = template::tags(&embedded.text);
            let sql = template::covered(&embedded.text, &tags);
            let masks = masks(db, &embedded.text, &tags);
            (sql, tags, masks)
        }
        _ => (embedded.text.clone(), Vec::new(), Vec::new()),
    };
    let resolved = resolve(&sql, &Names { db, masks: &masks });
    Some(FileSql {
        embedded,
        sql,
        tags,
        masks,
        resolved,
    })
}

fn no_sql(_db: &dyn Db, _id: salsa::Id, _file: SourceFile) -> Option<FileSql> {
    None
}

fn masks(db: &dyn Db, text: &str, tags: &[Tag]) -> Vec<Mask> {
    let mut found = Vec::new();
    for tag in tags.iter().filter(|t| t.kind == TagKind::Expression) {
        for (call, _) in template::calls(text, tag) {
            let relation = match call.name.as_str() {
                "ref" => {
                    let last = call.args.len().saturating_sub(1);
                    let package = (last > 0).then(|| call.str_arg(0)).flatten();
                    call.str_arg(last)
                        .and_then(|name| project::resolve_ref(db, package, name))
                        .map(|file| project::node_relation(db, file))
                }
                "source" => match (call.str_arg(0), call.str_arg(1)) {
                    (Some(source), Some(table)) => source_relation(db, source, table),
                    _ => None,
                },
                _ => None,
            };
            if let Some(relation) = relation {
                found.push(Mask {
                    range: tag.range.clone(),
                    relation,
                });
                break;
            }
        }
    }
    found
}

/// The tables of declared sources, read once for each state of the property files.
#[salsa::tracked(returns(ref))]
pub fn source_tables(db: &dyn Db) -> Vec<project::SourceTable> {
    project::source_tables(db)
}

pub fn source_relation(db: &dyn Db, source: &str, table: &str) -> Option<RelationName> {
    source_tables(db)
        .iter()
        .find(|t| t.source == source && t.table == table)
        .map(|t| t.relation.clone())
}

/// The names that a text sees in the project.
pub struct Names<'a> {
    pub db: &'a dyn Db,
    pub masks: &'a [Mask],
}

impl Catalog for Names<'_> {
    fn relation(&self, parts: &[String], at: u32) -> Option<Table> {
        let mask = self.masks.iter().find(|m| m.range.start == at as usize);
        let (relation, symbol) = match (mask, parts) {
            (Some(mask), _) => (mask.relation.clone(), None),
            (None, [name]) => (RelationName::main(name), Some(())),
            (None, [schema, name]) => (RelationName::in_schema(schema, name), Some(())),
            (None, [catalog, schema, name]) => (
                RelationName {
                    catalog: Some(catalog.clone()),
                    schema: schema.clone(),
                    name: name.clone(),
                },
                Some(()),
            ),
            _ => return None,
        };
        let mut table = table_of(self.db, &relation)?;
        // The tag itself says which symbol it is, and more exactly.
        if symbol.is_none() {
            table.symbol = None;
        }
        Some(table)
    }
}

/// A relation of the project or of its database.
pub fn table_of(db: &dyn Db, relation: &RelationName) -> Option<Table> {
    let folded = relation.folded();
    let key = RelationKey::new(db, folded.clone());
    let name = folded.name.clone();
    if let Some(file) = model_for_relation(db, key) {
        let (columns, open) = node_columns(db, file);
        return Some(Table {
            name,
            symbol: Some(Symbol::Node {
                path: file.path(db).to_owned(),
            }),
            columns: columns
                .iter()
                .map(|(n, s)| (n.clone(), Column::Known(s.clone())))
                .collect(),
            open: *open,
        });
    }
    let described = source_tables(db)
        .iter()
        .find(|t| t.relation.folded() == folded);
    let known = match relation_schema(db, key) {
        RelationSchema::Known(columns) => Some(columns.iter().map(|c| c.name.clone()).collect()),
        RelationSchema::Unknown if described.is_none() => return None,
        _ => None,
    };
    let open = known.is_none();
    let names: Vec<String> = known.unwrap_or_else(|| {
        let described = described.iter().flat_map(|t| &t.columns);
        described.map(|(name, _)| name.clone()).collect()
    });
    Some(Table {
        name,
        symbol: Some(match described {
            Some(table) => Symbol::Source {
                source: table.source.clone(),
                table: table.table.clone(),
            },
            None => Symbol::Relation(folded.clone()),
        }),
        columns: names
            .into_iter()
            .map(|n| {
                let symbol = column_symbol(&folded, &n);
                (n, Column::Known(symbol))
            })
            .collect(),
        open,
    })
}

/// The columns of a stored relation. What its property file promises never to be NULL is said to be so.
pub fn stored_columns(db: &dyn Db, relation: &RelationName) -> Vec<mxcp_artifact::Column> {
    let key = RelationKey::new(db, relation.folded());
    let RelationSchema::Known(columns) = relation_schema(db, key) else {
        return Vec::new();
    };
    let mut columns = columns.to_vec();
    if let Some(file) = model_for_relation(db, key) {
        for column in &mut columns {
            column.nullable &= !project::is_never_null(db, file, &column.name);
        }
    }
    columns
}

pub fn column_symbol(relation: &RelationName, name: &str) -> Symbol {
    Symbol::Column {
        relation: relation.folded(),
        name: name.to_lowercase(),
    }
}

/// The columns of a model or seed with what they stand for: a column that a star passes on is still the
/// column it was. The flag says that there may be more.
#[salsa::tracked(returns(ref), cycle_result = no_columns)]
pub fn node_columns(db: &dyn Db, file: SourceFile) -> (Vec<(String, Symbol)>, bool) {
    let relation = project::node_relation(db, file);
    let mut columns: Vec<(String, Symbol)> = Vec::new();
    let mut open = false;
    if let Some(sql) = file_sql(db, file) {
        open = sql.resolved.open;
        for (name, column) in &sql.resolved.result {
            let symbol = match column {
                Column::Known(symbol) => symbol.clone(),
                Column::Output(_) => column_symbol(&relation, name),
            };
            columns.push((name.clone(), symbol));
        }
    }
    // What the tokens do not tell the engine may.
    if (open || columns.is_empty())
        && let Some(bound) = project::node_columns(db, file)
    {
        for column in bound.iter() {
            if !columns
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(&column.name))
            {
                columns.push((column.name.clone(), column_symbol(&relation, &column.name)));
            }
        }
        open = false;
    }
    (columns, open)
}

fn no_columns(_db: &dyn Db, _id: salsa::Id, _file: SourceFile) -> (Vec<(String, Symbol)>, bool) {
    (Vec::new(), true)
}

/// The file whose text uses an endpoint's parameters and names its columns.
pub fn owner(db: &dyn Db, file: SourceFile) -> String {
    match endpoint_def(db, file) {
        Some(def) => owner_of(db, file, def),
        None => file.path(db).to_owned(),
    }
}

fn owner_of(db: &dyn Db, file: SourceFile, def: &EndpointDef) -> String {
    let path = file.path(db);
    match &def.file {
        Some(reference) if def.language == SourceLanguage::Sql => {
            paths::resolve(path, reference).unwrap_or_else(|| path.to_owned())
        }
        _ => path.to_owned(),
    }
}

/// The endpoints whose names and columns belong to a file: itself, or those that run it.
#[salsa::tracked(returns(ref))]
pub fn endpoints_of(db: &dyn Db, file: SourceFile) -> Vec<SourceFile> {
    let path = file.path(db);
    mxcp_compiler::documents::endpoint_files(db)
        .iter()
        .copied()
        .filter(|endpoint| *endpoint == file || owner(db, *endpoint) == path)
        .collect()
}

/// The endpoint of a kind and name.
pub fn endpoint(db: &dyn Db, kind: EndpointKind, id: &str) -> Option<SourceFile> {
    endpoint_index(db)
        .by_id
        .get(&(kind, id.to_owned()))?
        .first()
        .copied()
}

/// The SQL that an endpoint runs, and the file that holds it.
pub fn endpoint_sql(db: &dyn Db, file: SourceFile) -> Option<(SourceFile, &FileSql)> {
    let owner = find_file(db, &owner(db, file))?;
    Some((owner, file_sql(db, owner)?))
}

/// What a name in a file's SQL stands for.
pub fn symbol(db: &dyn Db, file: SourceFile, sql: &FileSql, target: &Target) -> Option<Symbol> {
    let path = file.path(db);
    Some(match target {
        Target::Symbol(symbol) => symbol.clone(),
        Target::Parameter(name) => Symbol::Parameter {
            owner: path.to_owned(),
            name: name.clone(),
        },
        Target::Column(Column::Known(symbol)) => symbol.clone(),
        Target::Column(Column::Output(i)) if sql.resolved.outputs.get(*i)?.is_result => {
            let name = &sql.resolved.outputs.get(*i)?.name;
            match document_kind(db, file) {
                DocumentKind::DbtModel => column_symbol(&project::node_relation(db, file), name),
                DocumentKind::Endpoint(_) | DocumentKind::Sql => Symbol::Result {
                    owner: path.to_owned(),
                    name: name.to_lowercase(),
                },
                _ => local(path, sql, target)?,
            }
        }
        Target::Column(Column::Output(_)) | Target::Cte(_) | Target::Alias(_) => {
            local(path, sql, target)?
        }
    })
}

fn local(path: &str, sql: &FileSql, target: &Target) -> Option<Symbol> {
    let (kind, range): (LocalKind, Range<u32>) = sql.resolved.local(target)?;
    let at = sql.embedded.to_file(range).start();
    Some(Symbol::Local {
        path: path.to_owned(),
        at: at.into(),
        kind,
    })
}

/// What a column of an endpoint's result stands for.
pub fn result_symbol(db: &dyn Db, endpoint: SourceFile, name: &str) -> Symbol {
    if let Some((file, sql)) = endpoint_sql(db, endpoint) {
        let column = sql
            .resolved
            .result
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        if let Some((_, column)) = column
            && let Some(symbol) = symbol(db, file, sql, &Target::Column(column.clone()))
        {
            return symbol;
        }
    }
    Symbol::Result {
        owner: owner(db, endpoint),
        name: name.to_lowercase(),
    }
}

/// The types of the columns of a file's SQL, when it binds.
pub fn bound_columns(db: &dyn Db, file: SourceFile) -> Vec<mxcp_artifact::Column> {
    match document_kind(db, file) {
        DocumentKind::DbtModel | DocumentKind::DbtSeed => project::node_columns(db, file)
            .map(|c| c.to_vec())
            .unwrap_or_default(),
        DocumentKind::Endpoint(_) | DocumentKind::Sql => endpoints_of(db, file)
            .first()
            .and_then(|e| mxcp_compiler::sql::bind_endpoint(db, *e))
            .map(|b| match &b.bound {
                Bound::Columns { columns, .. } => columns.clone(),
                _ => Vec::new(),
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The files of the project.
pub fn all_files(db: &dyn Db) -> Vec<SourceFile> {
    FileSet::get(db).files(db).values().copied().collect()
}

/// A range of a tag's call, in the file.
pub fn shifted(base: usize, range: TextRange) -> TextRange {
    let base = u32::try_from(base).unwrap_or(u32::MAX);
    range.checked_add(base.into()).unwrap_or(range)
}
