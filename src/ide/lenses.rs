//! What can be done with an endpoint or a model, above its name.

use mxcp_base::{SourceFile, TextRange};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def};
use mxcp_compiler::ide_support as project;

use crate::names::file_sql;
use crate::occurrences::{all, occurrences};
use crate::symbol::{Role, Symbol};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lens {
    pub range: TextRange,
    pub title: String,
    pub command: LensCommand,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LensCommand {
    /// Kind and name.
    Run(String, String),
    Test(String, String),
    /// The model, and the common table expression in it.
    Preview(String, Option<String>),
    References,
}

pub fn lenses(db: &dyn Db, file: SourceFile) -> Vec<Lens> {
    let mut found = Vec::new();
    match document_kind(db, file) {
        DocumentKind::Endpoint(_) => of_endpoint(db, file, &mut found),
        DocumentKind::DbtModel => of_model(db, file, &mut found),
        DocumentKind::DbtMacro => {
            for definition in occurrences(db, file) {
                if definition.role == Role::Definition {
                    found.push(references(db, &definition.symbol, definition.range));
                }
            }
        }
        _ => {}
    }
    found
}

fn references(db: &dyn Db, symbol: &Symbol, range: TextRange) -> Lens {
    let count = all(db, symbol)
        .iter()
        .filter(|(_, o)| o.role == Role::Reference)
        .count();
    Lens {
        range,
        title: match count {
            1 => "1 reference".into(),
            n => format!("{n} references"),
        },
        command: LensCommand::References,
    }
}

fn of_endpoint(db: &dyn Db, file: SourceFile, found: &mut Vec<Lens>) {
    let Some(def) = endpoint_def(db, file) else {
        return;
    };
    let definition = occurrences(db, file)
        .iter()
        .find(|o| o.role == Role::Definition && matches!(o.symbol, Symbol::Endpoint { .. }));
    let (Some(id), Some(definition)) = (def.id(), definition) else {
        return;
    };
    let (kind, id) = (def.kind.to_string(), id.to_owned());
    let range = definition.range;
    found.push(Lens {
        range,
        title: format!("Run {kind}"),
        command: LensCommand::Run(kind.clone(), id.clone()),
    });
    if !def.tests.is_empty() {
        found.push(Lens {
            range,
            title: match def.tests.len() {
                1 => "Run 1 test".into(),
                n => format!("Run {n} tests"),
            },
            command: LensCommand::Test(kind, id),
        });
    }
    found.push(references(db, &definition.symbol, range));
}

fn of_model(db: &dyn Db, file: SourceFile, found: &mut Vec<Lens>) {
    let name = project::node_name(db, file);
    let start = TextRange::default();
    found.push(Lens {
        range: start,
        title: format!("Preview {name}"),
        command: LensCommand::Preview(name.clone(), None),
    });
    let symbol = Symbol::Node {
        path: file.path(db).to_owned(),
    };
    found.push(references(db, &symbol, start));
    if let Some(sql) = file_sql(db, file) {
        for cte in &sql.resolved.ctes {
            found.push(Lens {
                range: sql.embedded.to_file(cte.range.clone()),
                title: format!("Preview {}", cte.name),
                command: LensCommand::Preview(name.clone(), Some(cte.name.clone())),
            });
        }
    }
}
