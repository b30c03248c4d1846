//! Where the values come from that clients are offered for the arguments of prompts and resources: the
//! query that `completion:` gives, or the column that the SQL compares a parameter with.
//!
//! What is derived shows no more than the endpoint does: its own conditions stay, nothing sensitive and
//! nothing that an output policy removes is offered, and unless the author asks for them no values that
//! tell single rows apart, which one may know but not list.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_artifact::endpoint::TYPED;
use mxcp_artifact::{Action, Completion, EndpointKind, RelationName, SqlType, TypeDef, TypeKind};
use mxcp_base::SourceFile;

use crate::Db;
use crate::documents::endpoint_def;
use crate::index::endpoint_index;
use crate::lineage::{How, SourceColumn, cause, endpoint_lineage, of_text, sensitive_source};
use crate::lower::endpoint::{CompletionDef, EndpointDef, Language, ParameterDef};
use crate::sql::{Bound, SqlText, analyze_sql, bind_text, bound_type, sql_source};

/// The most values that are looked at for one answer.
const MOST_VALUES: usize = 1000;

/// What is offered for the arguments that a client can complete: the protocol knows none of tools.
pub(crate) fn completions(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
) -> BTreeMap<String, Completion> {
    if def.kind == EndpointKind::Tool {
        return BTreeMap::new();
    }
    def.parameters
        .iter()
        .filter_map(|parameter| {
            let found = match (def.kind, &parameter.completion) {
                (EndpointKind::Prompt, None) => of_tools(db, def, parameter),
                _ => own(db, file, def, parameter),
            };
            Some((parameter.name.clone(), found?))
        })
        .collect()
}

fn own(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    parameter: &ParameterDef,
) -> Option<Completion> {
    let sql = match &parameter.completion {
        Some(CompletionDef::Off) => return Some(Completion::default()),
        Some(CompletionDef::Sql(text)) => written(db, def, text),
        Some(CompletionDef::Column) | None => derived(db, file, def, parameter),
    };
    Some(Completion {
        sql: Some(sql?),
        tool: None,
    })
}

/// A prompt runs nothing: its arguments are for the tools that its messages name.
fn of_tools(db: &dyn Db, def: &EndpointDef, parameter: &ParameterDef) -> Option<Completion> {
    let ty = parameter.ty.as_ref()?;
    if ty.allowed.is_some() || ty.sensitive {
        return None;
    }
    let index = endpoint_index(db);
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let texts = def.messages.iter().map(|message| message.prompt.as_str());
    let words = texts.flat_map(|text| text.split(|c| !in_name(c)));
    let names: Vec<&str> = words.map(|word| word.trim_end_matches('.')).collect();
    for name in names {
        let Some([file]) = index
            .by_id
            .get(&(EndpointKind::Tool, name.to_owned()))
            .map(Vec::as_slice)
        else {
            continue;
        };
        let Some(tool) = endpoint_def(db, *file) else {
            continue;
        };
        let same = |p: &&ParameterDef| {
            p.name == parameter.name && p.ty.as_ref().is_some_and(|other| other.kind == ty.kind)
        };
        let Some(theirs) = tool.parameters.iter().find(same) else {
            continue;
        };
        let found = own(db, *file, tool, theirs);
        let has_values = |ty: &TypeDef| ty.allowed.is_some() || !ty.examples.is_empty();
        if found.is_some() || theirs.ty.as_ref().is_some_and(has_values) {
            return Some(Completion {
                tool: Some(name.to_owned()),
                sql: found.and_then(|found| found.sql),
            });
        }
    }
    None
}

/// The query of `completion:`, if it can be asked. What is wrong with it is reported where it stands.
fn written(db: &dyn Db, def: &EndpointDef, text: &str) -> Option<String> {
    let analysis = analyze_sql(db, SqlText::new(db, text.to_owned()));
    let [statement] = analysis.statements.as_slice() else {
        return None;
    };
    let effects = &statement.effects;
    if !analysis.errors.is_empty() || effects.writes || effects.external {
        return None;
    }
    let shows = |column| sensitive_source(db, column).is_some();
    if of_text(db, text).columns.iter().any(shows) {
        return None;
    }
    let text = text.trim_end().trim_end_matches(';');
    let sql = offer(text, None);
    match bind_text(db, &sql, &parameters(def, &sql)).0 {
        Bound::Columns { .. } | Bound::Opaque(_) => Some(sql),
        Bound::Failed { .. } | Bound::Poisoned => None,
    }
}

/// The values of the column that the SQL compares a parameter with.
pub(crate) fn derived(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    parameter: &ParameterDef,
) -> Option<String> {
    let ty = parameter.ty.as_ref()?;
    let scalar = !matches!(ty.kind, TypeKind::Array | TypeKind::Object);
    if !scalar || ty.sensitive || ty.allowed.is_some() || def.language != Language::Sql {
        return None;
    }
    // What may be denied after it was read cannot be offered before.
    let denies = |action: Option<Action>| action.is_none_or(|action| action == Action::Deny);
    if def.output_policies.iter().any(|p| denies(p.action)) {
        return None;
    }
    let source = sql_source(db, file)?;
    let values = mxcp_syntax::sql::choices(&source.text, &parameter.name)?;
    let lineage = of_text(db, &values);
    let [column] = lineage.columns.as_slice() else {
        return None;
    };
    if !lineage.complete || column.from.is_empty() {
        return None;
    }
    let open = |source: &SourceColumn| cause(db, source).is_none() && !hides(db, file, def, source);
    if !column.from.keys().all(open) {
        return None;
    }
    let repeating = match (&parameter.completion, column.from.iter().next()) {
        (Some(CompletionDef::Column), _) => None,
        (_, Some((source, How::Direct))) if column.from.len() == 1 => Some(source),
        _ => return None,
    };
    let sql = offer(&values, repeating);
    match bind_text(db, &sql, &parameters(def, &sql)).0 {
        Bound::Columns { .. } => Some(sql),
        Bound::Failed { .. } | Bound::Opaque(_) | Bound::Poisoned => None,
    }
}

/// Whether the result of the endpoint hides this column from anybody.
fn hides(db: &dyn Db, file: SourceFile, def: &EndpointDef, source: &SourceColumn) -> bool {
    let mut hidden = BTreeSet::new();
    for policy in &def.output_policies {
        let fields = policy.fields.iter().flatten();
        hidden.extend(fields.filter_map(|field| field.rsplit('.').next().map(str::to_lowercase)));
    }
    if let Some(returns) = &def.returns {
        sensitive(returns, &mut hidden);
    }
    hidden.contains(&source.column)
        || endpoint_lineage(db, file).columns.iter().any(|column| {
            hidden.contains(&column.name.to_lowercase()) && column.from.contains_key(source)
        })
}

fn sensitive(ty: &TypeDef, into: &mut BTreeSet<String>) {
    if let Some(items) = &ty.items {
        sensitive(items, into);
    }
    for property in ty.properties.iter().flatten() {
        if property.ty.sensitive || ty.sensitive {
            into.insert(property.name.to_lowercase());
        }
        sensitive(&property.ty, into);
    }
}

/// Those of the values that begin with what was typed. With a column, they are offered only where each
/// stands in several rows of its relation on average.
fn offer(values: &str, repeating: Option<&SourceColumn>) -> String {
    let repeats = repeating.map_or_else(String::new, |source| {
        let column = quoted(&source.column);
        format!(
            "\n  AND (SELECT count({column}) >= 2 * count(DISTINCT {column}) FROM {})",
            relation(&source.relation)
        )
    });
    format!(
        "SELECT value, count(*) OVER () AS total\n\
         FROM (SELECT DISTINCT CAST(value AS VARCHAR) AS value FROM (\n{values}\n) AS found(value))\n\
         WHERE starts_with(lower(value), lower(${TYPED})){repeats}\n\
         ORDER BY value\n\
         LIMIT {MOST_VALUES}"
    )
}

fn relation(name: &RelationName) -> String {
    let parts = name.catalog.iter().chain([&name.schema, &name.name]);
    parts.map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The parameters that a text uses, with their types.
pub(crate) fn parameters(def: &EndpointDef, text: &str) -> Vec<(String, Option<SqlType>)> {
    let mut found: Vec<(String, Option<SqlType>)> = Vec::new();
    for used in mxcp_syntax::sql::parameters(text) {
        if found.iter().any(|(name, _)| *name == used.name) {
            continue;
        }
        let same = |p: &&ParameterDef| p.name.eq_ignore_ascii_case(&used.name);
        let ty = match def.parameters.iter().find(same) {
            Some(declared) => declared.ty.as_ref().and_then(bound_type),
            None if used.name == TYPED => Some(SqlType::Varchar),
            None => Some(SqlType::Null),
        };
        found.push((used.name, ty));
    }
    found
}
