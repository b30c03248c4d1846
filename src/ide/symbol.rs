//! Names of things, and the places where they are written.
//!
//! Two places belong together exactly when their symbols are equal, whatever language they stand in.

use mxcp_artifact::{EndpointKind, RelationName};
use mxcp_base::TextRange;

/// One thing that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Symbol {
    Endpoint {
        kind: EndpointKind,
        id: String,
    },
    /// `owner` is the file whose text uses it: the SQL file of the endpoints that share one.
    Parameter {
        owner: String,
        name: String,
    },
    /// A column of an endpoint's result; `owner` as for parameters.
    Result {
        owner: String,
        name: String,
    },
    /// A model or seed, by its file.
    Node {
        path: String,
    },
    Source {
        source: String,
        table: String,
    },
    /// A table that only the database defines.
    Relation(RelationName),
    /// A column of a stored relation, both names folded.
    Column {
        relation: RelationName,
        name: String,
    },
    /// Something that exists in one text only, by the place of its definition.
    Local {
        path: String,
        at: u32,
        kind: LocalKind,
    },
    Macro {
        name: String,
    },
    /// A function of SQL.
    Function {
        name: String,
    },
    /// A function of a Python file.
    Python {
        path: String,
        name: String,
    },
    File {
        path: String,
    },
    /// A name that CEL itself offers: `user`, `user.role`, `response`.
    Cel {
        path: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LocalKind {
    Cte,
    Alias,
    Column,
}

/// What a place does with its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Definition,
    /// A place that describes it: an entry of a property file.
    Declaration,
    Reference,
}

/// How the name is written, which says how another name has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The name and nothing else.
    Plain,
    /// An item of a select list that is a column and gives the result its name: both change by an `AS`.
    Item,
    /// `USING (name)`: the name of two columns at once.
    Shared,
    /// It stands for the symbol under another name, such as a relation with an alias.
    Other,
}

/// A place where a symbol is written, as bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Occurrence {
    pub range: TextRange,
    pub symbol: Symbol,
    pub role: Role,
    pub form: Form,
}
