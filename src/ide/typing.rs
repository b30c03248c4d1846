//! The types of columns that exist in one text only: those of its common table expressions.

use mxcp_artifact::{Column, SqlType, catalog::quote_identifier};
use mxcp_base::SourceFile;
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind};
use mxcp_compiler::ide_support as project;
use mxcp_compiler::sql::{Bound, bind_text, sql_source, used_parameters};

use crate::names::{Names, endpoints_of, file_sql};
use crate::sql::{Resolved, resolve};

/// The columns of a common table expression, as far as the engine can bind its query: what comes
/// behind it may be half typed.
pub fn cte_columns<'db>(db: &'db dyn Db, file: SourceFile, name: &str) -> &'db [Column] {
    columns_of(db, file, name.to_lowercase())
}

/// Kept: a completion asks for each column.
#[salsa::tracked(returns(ref))]
fn columns_of(db: &dyn Db, file: SourceFile, name: String) -> Vec<Column> {
    let is_template =
        document_kind(db, file) != DocumentKind::Sql && endpoints_of(db, file).is_empty();
    let text = match is_template {
        true => project::compiled_sql(db, file),
        false => file_sql(db, file).map(|sql| sql.sql.clone()),
    };
    let Some(text) = text else {
        return Vec::new();
    };
    let resolved = resolve(&text, &Names { db, masks: &[] });
    let body = resolved
        .ctes
        .iter()
        .find(|c| c.is_outermost && c.name.eq_ignore_ascii_case(&name))
        .and_then(|c| c.body.clone());
    let Some(body) = body else {
        return Vec::new();
    };
    let before = text.get(..body.end as usize).unwrap_or_default();
    let query = format!("{before}\nSELECT * FROM {}", quote_identifier(&name));
    let (bound, _) = bind_text(db, &query, &parameters(db, file, &query));
    match bound {
        Bound::Columns { columns, .. } => columns,
        _ => Vec::new(),
    }
}

fn parameters(db: &dyn Db, file: SourceFile, query: &str) -> Vec<(String, Option<SqlType>)> {
    let source = endpoints_of(db, file)
        .first()
        .and_then(|endpoint| sql_source(db, *endpoint));
    match source {
        Some(source) => {
            let mut source = source.clone();
            source.text = query.into();
            used_parameters(&source)
        }
        None => Vec::new(),
    }
}

/// The common table expression that holds a place.
fn cte_at(resolved: &Resolved, at: u32) -> Option<&str> {
    resolved
        .ctes
        .iter()
        .filter(|c| c.is_outermost)
        .filter(|c| {
            let end = c.body.as_ref().map_or(c.range.end, |b| b.end);
            c.range.start <= at && at < end
        })
        .map(|c| c.name.as_str())
        .next_back()
}

/// An output of a common table expression, with its type.
pub fn local_column(
    db: &dyn Db,
    file: SourceFile,
    resolved: &Resolved,
    output: usize,
) -> Option<Column> {
    let output = resolved.outputs.get(output)?;
    let cte = cte_at(resolved, output.range.start)?;
    cte_columns(db, file, cte)
        .iter()
        .find(|c| c.name.eq_ignore_ascii_case(&output.name))
        .cloned()
}
