//! Types beside names: of the columns that a query returns, and of the parameters in it.

use mxcp_artifact::SqlType;
use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::endpoint_def;
use mxcp_compiler::sql::bound_type;

use crate::names::{bound_columns, endpoints_of, file_sql};
use crate::sql::Target;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub at: TextSize,
    pub label: String,
    pub is_parameter: bool,
}

/// A type in few letters: what a STRUCT holds is told by the text before it.
fn short(ty: &SqlType) -> String {
    match ty {
        SqlType::Struct(_) => "STRUCT(…)".into(),
        SqlType::List(item) => format!("{}[]", short(item)),
        ty => ty.to_string(),
    }
}

pub fn hints(db: &dyn Db, file: SourceFile, within: TextRange) -> Vec<Hint> {
    let Some(sql) = file_sql(db, file) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let columns = bound_columns(db, file);
    for (name, _) in &sql.resolved.result {
        let output = sql
            .resolved
            .outputs
            .iter()
            .find(|o| o.is_result && o.name == *name);
        let column = columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
        if let (Some(output), Some(column)) = (output, column) {
            found.push(Hint {
                at: sql.embedded.to_file(output.range.clone()).end(),
                label: format!(": {}", short(&column.ty)),
                is_parameter: false,
            });
        }
    }
    for used in &sql.resolved.uses {
        let Target::Parameter(name) = &used.target else {
            continue;
        };
        let ty = endpoints_of(db, file)
            .iter()
            .filter_map(|e| endpoint_def(db, *e))
            .flat_map(|d| &d.parameters)
            .find(|p| p.name == *name)
            .and_then(|p| p.ty.as_ref())
            .and_then(bound_type);
        if let Some(ty) = ty {
            found.push(Hint {
                at: sql.embedded.to_file(used.range.clone()).end(),
                label: format!(": {}", short(&ty)),
                is_parameter: true,
            });
        }
    }
    found.retain(|h| within.contains_inclusive(h.at));
    found.sort_by_key(|h| h.at);
    found
}
