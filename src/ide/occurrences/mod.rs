//! Every place of a file where something with a name is written, in any language.
//!
//! Definition, references, highlights, renames and hovers are all read from here.

mod endpoint;
mod properties;
pub(crate) use properties::ref_target;
mod python;
pub use python::callers as python_callers;
mod sql;

use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind};

use crate::names::all_files;
use crate::symbol::{Form, Occurrence, Role, Symbol};

/// The occurrences of one file, by position; a definition stands behind a reference at the same place.
#[salsa::tracked(returns(ref))]
pub fn occurrences(db: &dyn Db, file: SourceFile) -> Vec<Occurrence> {
    let mut found = Found::default();
    match document_kind(db, file) {
        DocumentKind::Endpoint(_) => endpoint::read(db, file, &mut found),
        DocumentKind::Eval => endpoint::read_evals(db, file, &mut found),
        DocumentKind::DbtProperties => properties::read(db, file, &mut found),
        DocumentKind::DbtSeed => properties::read_seed(db, file, &mut found),
        DocumentKind::DbtModel | DocumentKind::DbtTest | DocumentKind::Sql => {
            sql::read(db, file, &mut found);
        }
        DocumentKind::DbtMacro => sql::read_template(db, file, file.text(db), &mut found),
        DocumentKind::Python => python::read(db, file, &mut found),
        _ => {}
    }
    let mut list = found.0;
    list.sort_by(|a, b| {
        let key = |o: &Occurrence| (o.range.start(), o.range.end(), std::cmp::Reverse(o.role));
        key(a).cmp(&key(b)).then_with(|| a.symbol.cmp(&b.symbol))
    });
    list.dedup();
    list
}

#[derive(Default)]
pub(crate) struct Found(Vec<Occurrence>);

impl Found {
    pub(crate) fn add(&mut self, range: TextRange, symbol: Symbol, role: Role) {
        self.add_as(range, symbol, role, Form::Plain);
    }

    pub(crate) fn add_as(&mut self, range: TextRange, symbol: Symbol, role: Role, form: Form) {
        if !range.is_empty() {
            self.0.push(Occurrence {
                range,
                symbol,
                role,
                form,
            });
        }
    }
}

/// The occurrences at an offset, the narrowest and most telling first.
pub fn at(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<&Occurrence> {
    let mut found: Vec<&Occurrence> = occurrences(db, file)
        .iter()
        .filter(|o| o.range.contains_inclusive(offset))
        .collect();
    // Between two names the one that starts here is meant.
    found.sort_by_key(|o| (o.range.end() == offset, o.range.len()));
    found
}

/// Every place of a symbol in the project, by file and position.
pub fn all<'db>(db: &'db dyn Db, symbol: &Symbol) -> Vec<(SourceFile, &'db Occurrence)> {
    let mut found = Vec::new();
    for file in files_with(db, symbol) {
        for occurrence in occurrences(db, file) {
            if occurrence.symbol == *symbol {
                found.push((file, occurrence));
            }
        }
    }
    found
}

/// The files in which a symbol may be written.
fn files_with(db: &dyn Db, symbol: &Symbol) -> Vec<SourceFile> {
    match symbol {
        Symbol::Local { path, .. } => mxcp_compiler::documents::find_file(db, path)
            .into_iter()
            .collect(),
        _ => all_files(db),
    }
}
