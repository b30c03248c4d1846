//! What the bodies of a module say: imports, calls of the database, awaits, returned values, names that nothing binds.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::Stmt;
use ruff_python_ast::visitor::Visitor;
use text_size::TextRange;

use super::text::Constant;
use crate::SyntaxError;

mod bind;
mod values;
mod walk;

use bind::Binder;
use walk::{Scope, Walk};

/// Facts in source order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub imports: Vec<Import>,
    pub executes: Vec<Execute>,
    /// Reads of a column by name in a row of a call in `executes`.
    pub columns: Vec<ColumnRead>,
    /// `name.attribute` of names that an import binds, under the name the import gives it.
    pub attributes: Vec<Use>,
    pub awaits: Vec<Use>,
    /// Calls of plain names and of imported ones.
    pub calls: Vec<Call>,
    /// Names that are read and bound nowhere in the file, once per place.
    pub undefined: Vec<Use>,
    /// Every name that something in the file binds.
    pub bound: BTreeSet<String>,
    /// Names that are bound more than once, or by something else than a definition.
    pub rebound: BTreeSet<String>,
    /// Of the functions at top level, by the start of their name.
    pub bodies: BTreeMap<u32, Body>,
    pub(super) errors: Vec<SyntaxError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `a.b` of `import a.b` and `from a.b import c`; with leading dots when relative.
    pub module: String,
    /// The imported name, of `from … import`.
    pub name: Option<String>,
    /// The place of the name, or of the module in `import a.b`.
    pub range: TextRange,
    /// The place of the module.
    pub module_range: TextRange,
    /// Whether a failure is caught, or it never runs.
    pub guarded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    pub sql: Constant,
    pub params: Params,
    /// The place of the arguments.
    pub range: TextRange,
    /// Whether an exception of it is caught.
    pub guarded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Params {
    None,
    Named(Vec<(String, TextRange)>),
    Positional(usize),
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRead {
    /// Index of the call.
    pub execute: usize,
    pub name: String,
    pub range: TextRange,
}

/// A name, dotted, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    pub range: TextRange,
    pub guarded: bool,
    pub in_async: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub range: TextRange,
    pub positional: usize,
    pub keywords: Vec<String>,
    pub has_splat: bool,
    /// What becomes of the result.
    pub fate: Fate,
    pub in_async: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The call is a statement.
    Dropped,
    /// Its items, attributes or elements are used at once.
    Opened,
    Other,
}

/// What a function does with its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub is_generator: bool,
    pub returns: Vec<(Value, TextRange)>,
    /// Whether it can end without `return`; unknown counts as no.
    pub falls_through: bool,
}

/// What an expression gives, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Unknown,
    None,
    /// With every text it can be, when they are all written.
    Text(Vec<String>),
    Integer,
    Float,
    Bool,
    /// With the number of items when that is written.
    List(Option<usize>),
    /// The fields that are written; `closed` when there are no others.
    Object {
        fields: Vec<(String, Value)>,
        closed: bool,
    },
}

pub(super) fn read(source: &str, body: &[Stmt]) -> Facts {
    let mut binder = Binder::default();
    binder.visit_body(body);
    let mut walk = Walk {
        source,
        bindings: binder.bindings,
        imported: BTreeMap::new(),
        all: binder.all,
        stored: binder.stored,
        facts: Facts::default(),
        scopes: vec![Scope {
            id: 0,
            is_async: false,
            is_function: false,
        }],
        guards: 0,
        name_guards: 0,
        loops: 0,
        fate: Fate::Other,
        depth: 0,
    };
    for (name, origin, count) in binder.imports {
        if walk.all.get(name.as_str()).copied() == Some(count) {
            // The same import in several functions is one origin.
            walk.imported.entry(name).or_insert(origin);
        }
    }
    walk.facts.bound = walk.all.keys().map(|name| (*name).to_owned()).collect();
    walk.facts.rebound = walk
        .all
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    walk.visit_body(body);
    walk.facts
}
