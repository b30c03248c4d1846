//! What a database contains, as data: relation names, columns and their types.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SqlType;

/// A relation's name inside one database. `schema` is `main` unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationName {
    /// The attached catalogue, when it is not the project's own database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    pub schema: String,
    pub name: String,
}

impl RelationName {
    pub fn main(name: impl Into<String>) -> Self {
        Self {
            catalog: None,
            schema: "main".into(),
            name: name.into(),
        }
    }

    pub fn in_schema(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            catalog: None,
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// DuckDB compares identifiers without case; this is the form to compare by.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self {
            catalog: self.catalog.as_ref().map(|c| c.to_lowercase()),
            schema: self.schema.to_lowercase(),
            name: self.name.to_lowercase(),
        }
    }

    /// The quoted SQL form, e.g. `"main"."orders"`.
    pub fn quoted(&self) -> String {
        let mut out = String::new();
        if let Some(catalog) = &self.catalog {
            out.push_str(&quote_identifier(catalog));
            out.push('.');
        }
        out.push_str(&quote_identifier(&self.schema));
        out.push('.');
        out.push_str(&quote_identifier(&self.name));
        out
    }
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(catalog) = &self.catalog {
            write!(f, "{catalog}.")?;
        }
        if self.schema != "main" || self.catalog.is_some() {
            write!(f, "{}.", self.schema)?;
        }
        f.write_str(&self.name)
    }
}

/// Quotes an identifier so that DuckDB reads it literally.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text as an SQL string literal.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: SqlType,
    /// `false` only where the engine guarantees it.
    pub nullable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelationKind {
    Table,
    View,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Relation {
    pub name: RelationName,
    pub kind: RelationKind,
    pub columns: Vec<Column>,
}

/// The relations of one database at one moment, sorted by folded name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CatalogSnapshot {
    pub relations: Vec<Relation>,
    /// Lower-case names of the macros that were created in it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub functions: BTreeSet<String>,
}

impl CatalogSnapshot {
    pub fn new(mut relations: Vec<Relation>) -> Self {
        relations.sort_by_key(|r| r.name.folded());
        Self {
            relations,
            functions: BTreeSet::new(),
        }
    }

    #[must_use]
    pub fn with_functions(mut self, functions: BTreeSet<String>) -> Self {
        self.functions = functions;
        self
    }

    /// Finds a relation without regard to case.
    pub fn get(&self, name: &RelationName) -> Option<&Relation> {
        let wanted = name.folded();
        self.relations
            .binary_search_by_key(&wanted, |r| r.name.folded())
            .ok()
            .and_then(|i| self.relations.get(i))
    }
}
