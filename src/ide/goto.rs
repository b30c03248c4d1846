//! Where something is defined, described and used.

use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::find_file;

use crate::Place;
use crate::names::{FileSql, file_sql, symbol, table_of};
use crate::occurrences::{all, at, occurrences};
use crate::symbol::{LocalKind, Occurrence, Role, Symbol};

/// The range that an answer is about, and where it leads.
pub type Targets = (TextRange, Vec<Place>);

/// The occurrences of the narrowest name at an offset; what it refers to comes before what it defines.
pub fn named(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<&Occurrence> {
    let found = at(db, file, offset);
    let Some(range) = found.first().map(|o| o.range) else {
        return Vec::new();
    };
    let mut found: Vec<&Occurrence> = found.into_iter().filter(|o| o.range == range).collect();
    found.sort_by_key(|o| std::cmp::Reverse(o.role));
    found
}

fn places(db: &dyn Db, symbol: &Symbol, role: Role) -> Vec<Place> {
    all(db, symbol)
        .into_iter()
        .filter(|(_, o)| o.role == role)
        .map(|(file, o)| Place::new(file.path(db), o.range))
        .collect()
}

fn start_of(path: &str) -> Place {
    Place::new(path, TextRange::default())
}

/// The places that define a symbol.
pub fn definitions(db: &dyn Db, symbol: &Symbol) -> Vec<Place> {
    match symbol {
        // The file is the model.
        Symbol::Node { path } | Symbol::File { path } => vec![start_of(path)],
        _ => {
            let mut found = places(db, symbol, Role::Definition);
            if found.is_empty() {
                found = places(db, symbol, Role::Declaration);
            }
            found
        }
    }
}

pub fn definition(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<Targets> {
    let named = named(db, file, offset);
    let range = named.first()?.range;
    let mut found: Vec<Place> = Vec::new();
    // A plain column in a select list is one of a relation, and that is where it comes from.
    let refers = named.iter().any(|o| o.role == Role::Reference);
    for occurrence in named
        .iter()
        .filter(|o| !refers || o.role == Role::Reference)
    {
        found.extend(definitions(db, &occurrence.symbol));
    }
    found.sort();
    found.dedup();
    (!found.is_empty()).then_some((range, found))
}

/// Where the type of a name is said: the entry of a property file, the parameter, the `return`; for an
/// alias, the relation.
pub fn type_definition(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<Targets> {
    let named = named(db, file, offset);
    let range = named.first()?.range;
    let mut found = Vec::new();
    for occurrence in named {
        match &occurrence.symbol {
            Symbol::Local {
                at,
                kind: LocalKind::Alias,
                ..
            } => {
                let aliased = file_sql(db, file).and_then(|sql| aliased(db, file, sql, *at));
                found.extend(aliased.into_iter().flat_map(|s| definitions(db, &s)));
            }
            Symbol::Parameter { .. } => {
                found.extend(places(db, &occurrence.symbol, Role::Definition));
            }
            symbol => {
                let declared = places(db, symbol, Role::Declaration);
                found.extend(match declared.is_empty() {
                    true => definitions(db, symbol),
                    false => declared,
                });
            }
        }
    }
    found.sort();
    found.dedup();
    (!found.is_empty()).then_some((range, found))
}

/// What an alias stands for.
pub fn aliased(db: &dyn Db, file: SourceFile, sql: &FileSql, at: u32) -> Option<Symbol> {
    let alias = sql
        .resolved
        .aliases
        .iter()
        .find(|a| u32::from(sql.embedded.to_file(a.range.clone()).start()) == at)?;
    if let Some(target) = &alias.of {
        return symbol(db, file, sql, target);
    }
    // A tag stands for the relation when nothing but `AS` is between.
    let start = alias.range.start as usize;
    let mask = sql
        .masks
        .iter()
        .filter(|m| m.range.end <= start)
        .max_by_key(|m| m.range.end)?;
    let between = sql.sql.get(mask.range.end..start)?.trim();
    match between.is_empty() || between.eq_ignore_ascii_case("as") {
        true => table_of(db, &mask.relation)?.symbol,
        false => None,
    }
}

/// Every place of the name at an offset.
pub fn references(
    db: &dyn Db,
    file: SourceFile,
    offset: TextSize,
    with_definitions: bool,
) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    let named = named(db, file, offset);
    let refers = named.iter().any(|o| o.role == Role::Reference);
    for occurrence in named
        .iter()
        .filter(|o| !refers || o.role == Role::Reference)
    {
        for (file, o) in all(db, &occurrence.symbol) {
            if with_definitions || o.role != Role::Definition {
                found.push(Place::new(file.path(db), o.range));
            }
        }
        if with_definitions && let Symbol::Node { path } = &occurrence.symbol {
            found.push(start_of(path));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The places of the same name in this file, and whether each defines it.
pub fn highlights(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<(TextRange, bool)> {
    let symbols: Vec<&Symbol> = named(db, file, offset).iter().map(|o| &o.symbol).collect();
    let mut found: Vec<(TextRange, bool)> = occurrences(db, file)
        .iter()
        .filter(|o| symbols.contains(&&o.symbol))
        .map(|o| (o.range, o.role == Role::Definition))
        .collect();
    found.sort_by_key(|(range, defines)| (range.start(), !*defines));
    found.dedup_by_key(|(range, _)| *range);
    found
}

/// The file of a symbol that is one.
pub fn node_file(db: &dyn Db, symbol: &Symbol) -> Option<SourceFile> {
    match symbol {
        Symbol::Node { path } => find_file(db, path),
        _ => None,
    }
}
