//! SQL of endpoints: where its text comes from, what it refers to, and what it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mxcp_artifact::{Column, Effects, Relation, RelationKind, RelationName, SqlType, TypeDef};
use mxcp_artifact::{Format, TypeKind};
use mxcp_base::{Content, SourceFile, paths};
use mxcp_catalog::{
    Analysis, BindOutcome, BindRequest, FunctionStub, SqlError, SqlErrorKind, TableRef,
};

use crate::Db;
use crate::documents::{endpoint_def, find_file};
use crate::finding::TextOrigin;
use crate::inputs::Settings;
use crate::lower::endpoint::Language;
use crate::relations::{RelationKey, RelationSchema, relation_schema};

pub mod files;
mod late;

pub(crate) use late::CORE_EXTENSIONS;

/// An SQL text as a query key.
#[salsa::interned(debug)]
pub struct SqlText<'db> {
    #[returns(deref)]
    pub text: String,
}

/// A bind request as a query key: equal requests are bound once.
#[salsa::interned(debug)]
pub struct BindKey<'db> {
    #[returns(ref)]
    pub request: BindRequest,
}

#[salsa::tracked(returns(ref))]
pub fn analyze_sql<'db>(db: &'db dyn Db, sql: SqlText<'db>) -> Analysis {
    db.binder().analyze(sql.text(db))
}

#[salsa::tracked(returns(ref))]
pub fn bind_query<'db>(db: &'db dyn Db, key: BindKey<'db>) -> BindOutcome {
    db.binder().bind(key.request(db))
}

/// The SQL of an endpoint and the names and types it may use. A firewall: a changed description,
/// policy or test leaves it equal, so nothing is bound again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlSource {
    pub text: Arc<str>,
    pub origin: TextOrigin,
    /// Declared parameters; a type is missing where it cannot be said before run time.
    pub parameters: Vec<(String, Option<SqlType>)>,
}

/// Why an endpoint has no SQL to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceProblem {
    Outside(String),
    NotFound(String),
    Unreadable(String),
}

/// The text behind `source:`; `None` when the endpoint names none (the schema check says so).
#[salsa::tracked(returns(as_ref))]
pub fn endpoint_source(
    db: &dyn Db,
    file: SourceFile,
) -> Option<Result<(Arc<str>, TextOrigin), SourceProblem>> {
    let def = endpoint_def(db, file)?;
    if let Some(reference) = &def.file {
        let Some(path) = paths::resolve(file.path(db), reference) else {
            return Some(Err(SourceProblem::Outside(reference.clone())));
        };
        let Some(source) = find_file(db, &path) else {
            return Some(Err(SourceProblem::NotFound(path)));
        };
        return Some(match source.content(db) {
            Content::Text(text) => Ok((text.clone(), TextOrigin::File(source))),
            Content::Missing => Err(SourceProblem::NotFound(path)),
            Content::Unreadable(reason) => Err(SourceProblem::Unreadable(reason.to_string())),
        });
    }
    let code = def.code.as_ref()?;
    Some(Ok((
        code.as_str().into(),
        TextOrigin::Scalar(file, def.pointer("source/code")),
    )))
}

#[salsa::tracked(returns(as_ref))]
pub fn sql_source(db: &dyn Db, file: SourceFile) -> Option<SqlSource> {
    let def = endpoint_def(db, file)?;
    if def.language != Language::Sql || !def.enabled {
        return None;
    }
    let (text, origin) = endpoint_source(db, file)?.as_ref().ok()?;
    Some(SqlSource {
        text: text.clone(),
        origin: origin.clone(),
        parameters: def
            .parameters
            .iter()
            .map(|p| (p.name.clone(), p.ty.as_ref().and_then(bound_type)))
            .collect(),
    })
}

/// The SQL type a declared parameter is bound as. `None` when it depends on the value.
pub fn bound_type(ty: &TypeDef) -> Option<SqlType> {
    Some(match ty.kind {
        TypeKind::String => match ty.format {
            Some(Format::Date) => SqlType::Date,
            Some(Format::Time) => SqlType::Time,
            Some(Format::DateTime | Format::Timestamp) => SqlType::Timestamp,
            Some(Format::Email | Format::Uri | Format::Duration) | None => SqlType::Varchar,
        },
        TypeKind::Number => SqlType::Double,
        // Values are bound by magnitude, and nearly all are small: `date + $days` needs INTEGER.
        TypeKind::Integer => SqlType::Integer,
        TypeKind::Boolean => SqlType::Boolean,
        TypeKind::Array => SqlType::list(bound_type(ty.items.as_deref()?)?),
        TypeKind::Object => {
            let properties = ty.properties.as_deref().filter(|p| !p.is_empty())?;
            SqlType::Struct(
                properties
                    .iter()
                    .map(|p| Some((p.name.clone(), bound_type(&p.ty)?)))
                    .collect::<Option<Vec<_>>>()?,
            )
        }
    })
}

/// What binding an endpoint's SQL said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    Columns {
        columns: Vec<Column>,
        single_row: bool,
    },
    /// With the tables that were found nowhere.
    Failed {
        errors: Vec<SqlError>,
        missing: Vec<TableRef>,
    },
    Opaque(String),
    /// Something it reads is broken and reported there.
    Poisoned,
}

/// Resolves the relations an SQL text reads and binds it against their schemas.
pub fn bind_text(
    db: &dyn Db,
    text: &str,
    parameters: &[(String, Option<SqlType>)],
) -> (Bound, Vec<RelationName>) {
    let replaced = mxcp_catalog::with_relations(text, files::file_columns(db));
    let (text, of_files) = match &replaced {
        Some((text, columns)) => (text.as_str(), Some(columns)),
        None => (text, None),
    };
    let key = SqlText::new(db, text.to_owned());
    let analysis = analyze_sql(db, key);
    if !analysis.errors.is_empty() {
        let failed = Bound::Failed {
            errors: analysis.errors.clone(),
            missing: Vec::new(),
        };
        return (failed, Vec::new());
    }
    let mut relations: BTreeMap<RelationName, Relation> = BTreeMap::new();
    let mut missing = Vec::new();
    // A macro of the database expands to SQL that only the database has.
    let mut opaque = analysis
        .statements
        .iter()
        .flat_map(|s| &s.functions)
        .find(|name| database_macros(db).contains(*name))
        .map(|name| format!("`{name}` is a macro of the database"));
    let mut poisoned = false;
    let mut file_relations: Vec<Relation> = Vec::new();
    for table in analysis.statements.iter().flat_map(|s| &s.relations) {
        let name = relation_name(table);
        if let Some(columns) = of_files.and_then(|files| files.get(&table.name))
            && table.schema.is_none()
        {
            file_relations.push(Relation {
                name,
                kind: RelationKind::Table,
                columns: columns.clone(),
            });
            continue;
        }
        let name = in_own_catalog(db, name);
        let mut schema = relation_schema(db, RelationKey::new(db, name.folded()));
        if *schema == RelationSchema::Unknown && is_own_catalog(db, name.catalog.as_deref()) {
            // The project's database under its own name: known without it, bound with it.
            let known = RelationName {
                catalog: None,
                ..name.clone()
            };
            schema = relation_schema(db, RelationKey::new(db, known.folded()));
        }
        match schema {
            RelationSchema::Known(columns) => {
                relations.entry(name.folded()).or_insert_with(|| Relation {
                    name: name.clone(),
                    kind: RelationKind::Table,
                    columns: columns.to_vec(),
                });
            }
            RelationSchema::Poisoned => poisoned = true,
            RelationSchema::Opaque(reason) => opaque = Some(reason.clone()),
            RelationSchema::Unknown => missing.push(table.clone()),
        }
    }
    let reads: Vec<RelationName> = relations
        .values()
        .map(|r| match is_own_catalog(db, r.name.catalog.as_deref()) {
            true => RelationName {
                catalog: None,
                ..r.name.clone()
            },
            false => r.name.clone(),
        })
        .collect();
    if poisoned {
        return (Bound::Poisoned, reads);
    }
    if let Some(reason) = opaque {
        return (Bound::Opaque(reason), reads);
    }
    let untyped = parameters.iter().find(|(_, ty)| ty.is_none());
    let request = BindRequest {
        sql: text.to_owned(),
        parameters: parameters
            .iter()
            .map(|(name, ty)| (name.clone(), ty.clone().unwrap_or(SqlType::Null)))
            .collect(),
        relations: relations.into_values().chain(file_relations).collect(),
        functions: runtime_functions(db),
    };
    let outcome = bind_query(db, BindKey::new(db, request));
    let bound = match (outcome, untyped) {
        (BindOutcome::Bound { columns }, None) => Bound::Columns {
            columns: columns.clone(),
            single_row: analysis.statements.last().is_some_and(|s| s.single_row),
        },
        (BindOutcome::Failed(errors), None) => Bound::Failed {
            errors: errors.clone(),
            missing,
        },
        (BindOutcome::Opaque { reason }, None) => Bound::Opaque(reason.clone()),
        (outcome, Some((name, _))) => without_types(outcome, name, missing),
    };
    (late::without_late_names(db, bound, analysis), reads)
}

/// What can be said although the type of a parameter is unknown: names that do not exist.
fn without_types(outcome: &BindOutcome, parameter: &str, missing: Vec<TableRef>) -> Bound {
    let errors: Vec<SqlError> = match outcome {
        BindOutcome::Failed(errors) => errors
            .iter()
            .filter(|e| {
                matches!(
                    e.kind,
                    SqlErrorKind::Syntax
                        | SqlErrorKind::UnknownTable
                        | SqlErrorKind::UnknownColumn
                        | SqlErrorKind::UnknownFunction
                )
            })
            .cloned()
            .collect(),
        BindOutcome::Bound { .. } | BindOutcome::Opaque { .. } => Vec::new(),
    };
    if errors.is_empty() {
        return Bound::Opaque(format!(
            "the type of `${parameter}` is known only when it is called"
        ));
    }
    Bound::Failed { errors, missing }
}

/// A firewall over the environment: a changed table does not reach queries that only ask for macros.
#[salsa::tracked(returns(ref))]
pub fn database_macros(db: &dyn Db) -> BTreeSet<String> {
    Settings::get(db).environment(db).catalog.functions.clone()
}

fn relation_name(table: &TableRef) -> RelationName {
    RelationName {
        catalog: table.catalog.clone(),
        schema: table.schema.clone().unwrap_or_else(|| "main".into()),
        name: table.name.clone(),
    }
}

/// DuckDB names a database after its file.
fn own_catalog(db: &dyn Db) -> Option<String> {
    let site = crate::documents::site(db)?;
    let profile = Settings::get(db).profile(db);
    let settings = site.profile(profile.as_deref().unwrap_or(&site.profile));
    let file = settings.database.rsplit(['/', '\\']).next()?;
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    (!stem.is_empty()).then(|| stem.to_lowercase())
}

fn is_own_catalog(db: &dyn Db, catalog: Option<&str>) -> bool {
    catalog.is_some_and(|c| own_catalog(db).is_some_and(|own| own.eq_ignore_ascii_case(c)))
}

/// In `a.b` the first part is a schema, or else the database.
fn in_own_catalog(db: &dyn Db, name: RelationName) -> RelationName {
    let is_database = name.catalog.is_none()
        && name.schema != "main"
        && is_own_catalog(db, Some(&name.schema))
        && *relation_schema(db, RelationKey::new(db, name.folded())) == RelationSchema::Unknown;
    match is_database {
        true => RelationName {
            catalog: Some(name.schema),
            schema: "main".into(),
            name: name.name,
        },
        false => name,
    }
}

/// Functions that the runtime adds to DuckDB: the caller's identity, and those of plugins.
fn runtime_functions(db: &dyn Db) -> Vec<FunctionStub> {
    let text = |name: &str, parameters: Vec<SqlType>| FunctionStub {
        name: name.to_owned(),
        parameters,
        returns: SqlType::Varchar,
    };
    let mut functions = vec![
        text("get_username", vec![]),
        text("get_user_email", vec![]),
        text("get_user_provider", vec![]),
        text("get_user_external_token", vec![]),
        text("get_request_header", vec![SqlType::Varchar]),
        text("get_request_headers_json", vec![]),
    ];
    functions.extend(crate::plugins::plugin_functions(db).iter().cloned());
    functions
}

/// The bound SQL of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundEndpoint {
    pub bound: Bound,
    pub reads: Vec<RelationName>,
}

#[salsa::tracked(returns(as_ref))]
pub fn bind_endpoint(db: &dyn Db, file: SourceFile) -> Option<BoundEndpoint> {
    let source = sql_source(db, file)?;
    let (bound, reads) = bind_text(db, &source.text, &used_parameters(source));
    Some(BoundEndpoint { bound, reads })
}

/// Declared parameters that the text uses, under the spelling it uses: a difference of case is
/// reported by itself and is none to DuckDB.
pub fn used_parameters(source: &SqlSource) -> Vec<(String, Option<SqlType>)> {
    let mut used = Vec::new();
    for parameter in mxcp_syntax::sql::parameters(&source.text) {
        if used.iter().any(|(name, _)| *name == parameter.name) {
            continue;
        }
        let declared = source
            .parameters
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&parameter.name));
        // An undeclared parameter is reported by itself; its type must not make binding fail.
        let ty = declared.map_or(Some(SqlType::Null), |(_, ty)| ty.clone());
        used.push((parameter.name.clone(), ty));
    }
    used
}

/// Effects of all statements together.
pub fn effects(analysis: &Analysis) -> Effects {
    let mut all = Effects::default();
    for statement in &analysis.statements {
        let e = &statement.effects;
        all.writes |= e.writes;
        all.external |= e.external;
        all.volatile |= e.volatile;
        all.reads.extend(e.reads.iter().cloned());
    }
    all.reads.sort();
    all.reads.dedup();
    all
}
