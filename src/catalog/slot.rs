//! One private in-memory database, locked down, with the shadow relations of the requests so far.
//!
//! Nothing outside this module talks to a connection. Relations stay declared between requests,
//! because creating them is the dearest step; one that a request does not declare but whose name
//! its text mentions is dropped first, so an outcome depends on the request alone.

use std::collections::{BTreeMap, BTreeSet};

use duckdb::{Config, Connection, Error};
use mxcp_artifact::catalog::{quote_identifier, quote_literal};
use mxcp_artifact::{Column, Relation, RelationKind, RelationName, SqlType};

use crate::errors::{Fail, RawError};
use crate::json::Tree;
use crate::request::FunctionStub;
use crate::tame::tame;

/// More shadow relations than this are cheaper to drop with their database than one by one.
const MOST_RELATIONS: usize = 2_000;

pub(crate) struct Slot {
    conn: Connection,
    relations: BTreeMap<RelationName, Relation>,
    schemas: BTreeSet<(Option<String>, String)>,
    catalogs: BTreeSet<String>,
    functions: BTreeMap<String, Vec<FunctionStub>>,
    /// An internal error or a broken transaction: the database must not be used again.
    pub poisoned: bool,
}

impl Slot {
    pub(crate) fn open() -> Result<Self, String> {
        let conn = open_private().map_err(|e| e.to_string())?;
        Ok(Self {
            conn,
            relations: BTreeMap::new(),
            schemas: BTreeSet::new(),
            catalogs: BTreeSet::new(),
            functions: BTreeMap::new(),
            poisoned: false,
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Parses a text without binding it. Only queries have a tree; for other statements that
    /// parse, the engine answers "not implemented".
    pub(crate) fn serialize(&self, sql: &str) -> Result<Tree, Fail> {
        let fail = |e: &Error| Box::new(RawError::parse(&message(e), sql));
        let mut statement = self
            .conn
            .prepare_cached(
                "SELECT json_serialize_sql(?, skip_null := true, skip_empty := true, skip_default := true)::VARCHAR",
            )
            .map_err(|e| fail(&e))?;
        let text: String = statement
            .query_row([sql], |row| row.get(0))
            .map_err(|e| fail(&e))?;
        let tree = Tree::parse(&text).ok_or_else(|| {
            RawError::from_parts("internal", "the syntax tree is not readable", None, None)
        })?;
        let root = tree.root();
        if tree.flag(root, "error") {
            return Err(Box::new(RawError::from_parts(
                tree.text(root, "error_type").unwrap_or_default(),
                tree.text(root, "error_message").unwrap_or_default(),
                tree.text(root, "location"),
                tree.text(root, "position"),
            )));
        }
        Ok(tree)
    }

    /// Types a query. `arguments` are the named values of an `EXECUTE`, empty without parameters.
    pub(crate) fn describe(&mut self, query: &str, arguments: &str) -> Result<Vec<Column>, Fail> {
        if arguments.is_empty() {
            return self.columns("DESCRIBE ", query, "");
        }
        self.run("PREPARE __mxcp AS DESCRIBE ", query)?;
        self.columns("EXECUTE __mxcp", "", arguments)
            .map_err(|mut error| {
                error.start = error
                    .start
                    .and_then(|s| s.checked_sub("PREPARE __mxcp AS DESCRIBE ".len()));
                error
            })
    }

    /// Binds a data-changing statement, which is prepared and planned but never run.
    pub(crate) fn plan(&mut self, statement: &str, arguments: &str) -> Result<(), Fail> {
        const PREFIX: &str = "PREPARE __mxcp AS ";
        self.run(PREFIX, statement)?;
        if arguments.is_empty() {
            return Ok(());
        }
        self.run("EXPLAIN EXECUTE __mxcp", arguments)
            .map_err(|mut error| {
                error.start = error.start.map(|s| s + "EXPLAIN EXECUTE __mxcp".len());
                error.start = error.start.and_then(|s| s.checked_sub(PREFIX.len()));
                error
            })
    }

    /// Gives a relation a key until [`Self::drop_key`]; says whether it did.
    pub(crate) fn add_key(&mut self, relation: &str, columns: &BTreeSet<String>) -> bool {
        let columns: Vec<String> = columns.iter().map(|c| quote_identifier(c)).collect();
        self.batch(&format!(
            "CREATE UNIQUE INDEX __mxcp_key ON {relation} ({})",
            columns.join(", ")
        ))
        .is_ok()
    }

    pub(crate) fn drop_key(&mut self) {
        if self.batch("DROP INDEX __mxcp_key").is_err() {
            self.poisoned = true;
        }
    }

    /// Binds a statement that cannot be prepared.
    pub(crate) fn explain(&mut self, statement: &str) -> Result<(), Fail> {
        self.run("EXPLAIN ", statement)
    }

    fn run(&mut self, prefix: &str, rest: &str) -> Result<(), Fail> {
        let sql = format!("{prefix}{}", tame(rest));
        let outcome = self.conn.execute_batch(&sql);
        outcome.map_err(|e| self.raw(&e, &sql, prefix.len()))
    }

    fn columns(&mut self, prefix: &str, query: &str, suffix: &str) -> Result<Vec<Column>, Fail> {
        let sql = format!("{prefix}{}{suffix}", tame(query));
        let offset = if query.is_empty() { 0 } else { prefix.len() };
        let outcome = (|| {
            let mut statement = self.conn.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut columns = Vec::new();
            while let Some(row) = rows.next()? {
                columns.push(Column {
                    name: row.get(0)?,
                    ty: SqlType::parse(&row.get::<_, String>(1)?),
                    nullable: true,
                });
            }
            Ok::<_, Error>(columns)
        })();
        outcome.map_err(|e| self.raw(&e, &sql, offset))
    }

    fn raw(&mut self, error: &Error, sql: &str, offset: usize) -> Fail {
        let mut raw = RawError::parse(&message(error), sql);
        self.poisoned |= raw.is_fatal();
        raw.start = raw.start.and_then(|s| s.checked_sub(offset));
        Box::new(raw)
    }

    /// Declares what a request may see, and hides what its text mentions but may not see.
    pub(crate) fn declare(
        &mut self,
        relations: &[Relation],
        functions: &[FunctionStub],
        mentioned: &BTreeSet<String>,
    ) -> Result<(), String> {
        let mut wanted: BTreeMap<RelationName, &Relation> = BTreeMap::new();
        for relation in relations {
            wanted.entry(relation.name.folded()).or_insert(relation);
        }
        let spaces: BTreeSet<(Option<String>, String)> = wanted
            .keys()
            .map(|n| (n.catalog.clone(), n.schema.clone()))
            .collect();
        let hidden_space = self.schemas.iter().any(|space| {
            let named = |n: &str| n != "main" && mentioned.contains(n);
            !spaces.contains(space) && (named(&space.1) || space.0.as_deref().is_some_and(named))
        });
        if hidden_space || self.relations.len() + wanted.len() > MOST_RELATIONS {
            *self = Self::open()?;
        }
        let stale: Vec<RelationName> = self
            .relations
            .iter()
            .filter(|(name, relation)| match wanted.get(name) {
                Some(other) => relation != other,
                None => mentioned.contains(&name.name),
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            self.forget(&name)?;
        }
        for (name, relation) in wanted {
            if !self.relations.contains_key(&name) {
                self.create(name, relation)?;
            }
        }
        self.declare_functions(functions)
    }

    pub(crate) fn forget(&mut self, name: &RelationName) -> Result<(), String> {
        if let Some(relation) = self.relations.remove(name) {
            let kind = match relation.kind {
                RelationKind::Table => "TABLE",
                RelationKind::View => "VIEW",
            };
            self.drop(&format!("DROP {kind} {}", relation.name.quoted()))?;
        }
        Ok(())
    }

    pub(crate) fn create(
        &mut self,
        folded: RelationName,
        relation: &Relation,
    ) -> Result<(), String> {
        let name = &relation.name;
        let reason = |why: &str| format!("the relation `{name}` cannot be declared: {why}");
        if relation.columns.is_empty() {
            return Err(format!(
                "the columns of the relation `{name}` are not known"
            ));
        }
        if let Some(catalog) = folded.catalog.as_deref().filter(|c| *c != "memory")
            && !self.catalogs.contains(catalog)
        {
            let quoted = quote_identifier(name.catalog.as_deref().unwrap_or(catalog));
            self.batch(&format!("ATTACH ':memory:' AS {quoted}"))
                .map_err(|e| reason(&e))?;
            self.catalogs.insert(catalog.to_owned());
        }
        let space = (folded.catalog.clone(), folded.schema.clone());
        if !self.schemas.contains(&space) {
            let mut quoted = quote_identifier(&name.schema);
            if let Some(catalog) = &name.catalog {
                quoted = format!("{}.{quoted}", quote_identifier(catalog));
            }
            self.batch(&format!("CREATE SCHEMA IF NOT EXISTS {quoted}"))
                .map_err(|e| reason(&e))?;
            self.schemas.insert(space);
        }
        let mut parts = Vec::new();
        for column in &relation.columns {
            let ty = type_text(&column.ty).ok_or_else(|| {
                reason(&format!(
                    "the type of its column `{}` is not readable",
                    column.name
                ))
            })?;
            let quoted = quote_identifier(&column.name);
            parts.push(match relation.kind {
                RelationKind::Table if column.nullable => format!("{quoted} {ty}"),
                RelationKind::Table => format!("{quoted} {ty} NOT NULL"),
                RelationKind::View => format!("CAST(NULL AS {ty}) AS {quoted}"),
            });
        }
        let (quoted, body) = (name.quoted(), parts.join(", "));
        let sql = match relation.kind {
            RelationKind::Table => format!("CREATE TABLE {quoted} ({body})"),
            RelationKind::View => format!("CREATE VIEW {quoted} AS SELECT {body}"),
        };
        self.batch(&sql).map_err(|e| reason(&e))?;
        self.relations.insert(folded, relation.clone());
        Ok(())
    }

    fn declare_functions(&mut self, stubs: &[FunctionStub]) -> Result<(), String> {
        let mut wanted: BTreeMap<String, Vec<FunctionStub>> = BTreeMap::new();
        for stub in stubs {
            let overloads = wanted.entry(stub.name.to_lowercase()).or_default();
            if overloads
                .iter()
                .all(|o| o.parameters.len() != stub.parameters.len())
            {
                overloads.push(stub.clone());
            }
        }
        // All others go, not only the mentioned ones: the engine would suggest them.
        let stale: Vec<String> = self
            .functions
            .iter()
            .filter(|(name, overloads)| wanted.get(*name) != Some(overloads))
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            self.functions.remove(&name);
            self.drop(&format!("DROP MACRO {}", quote_identifier(&name)))?;
        }
        for (name, overloads) in wanted {
            if self.functions.contains_key(&name) {
                continue;
            }
            let bodies: Option<Vec<String>> = overloads.iter().map(macro_body).collect();
            let bodies = bodies
                .ok_or_else(|| format!("the types of the function `{name}` are not readable"))?;
            self.batch(&format!(
                "CREATE MACRO {}{}",
                quote_identifier(&name),
                bodies.join(", ")
            ))
            .map_err(|e| format!("the function `{name}` cannot be declared: {e}"))?;
            self.functions.insert(name, overloads);
        }
        Ok(())
    }

    /// What is not dropped would be visible to later requests.
    fn drop(&mut self, sql: &str) -> Result<(), String> {
        let outcome = self.batch(sql);
        self.poisoned |= outcome.is_err();
        outcome
    }

    fn batch(&mut self, sql: &str) -> Result<(), String> {
        self.conn
            .execute_batch(sql)
            .map_err(|e| self.raw(&e, sql, 0).message)
    }
}

// The stub reads its arguments, so that an unknown column among them is still an error.
fn macro_body(stub: &FunctionStub) -> Option<String> {
    let names: Vec<String> = (0..stub.parameters.len())
        .map(|i| format!("a{i}"))
        .collect();
    let mut tests = Vec::new();
    for (name, ty) in names.iter().zip(&stub.parameters) {
        tests.push(format!("CAST({name} AS {}) IS NULL", type_text(ty)?));
    }
    let null = format!("CAST(NULL AS {})", type_text(&stub.returns)?);
    let body = match tests.is_empty() {
        true => null,
        false => format!("CASE WHEN {} THEN {null} END", tests.join(" AND ")),
    };
    Some(format!("({}) AS {body}", names.join(", ")))
}

/// A type as SQL, or nothing when a foreign type name could be read as more than a type. Names of
/// fields are quoted, whatever they are: a keyword would not be read otherwise.
pub(crate) fn type_text(ty: &SqlType) -> Option<String> {
    let safe = |name: &str| !name.contains(';') && !name.contains("--") && !name.contains("/*");
    let fields = |word: &str, fields: &[(String, SqlType)]| {
        let fields: Option<Vec<String>> = fields
            .iter()
            .map(|(name, ty)| Some(format!("{} {}", quote_identifier(name), type_text(ty)?)))
            .collect();
        Some(format!("{word}({})", fields?.join(", ")))
    };
    Some(match ty {
        SqlType::Other(name) if !safe(name) || name.trim().is_empty() => return None,
        SqlType::List(item) => format!("{}[]", type_text(item)?),
        SqlType::Array(item, size) => format!("{}[{size}]", type_text(item)?),
        SqlType::Map(key, value) => format!("MAP({}, {})", type_text(key)?, type_text(value)?),
        SqlType::Struct(list) => fields("STRUCT", list)?,
        SqlType::Union(list) => fields("UNION", list)?,
        other => other.to_string(),
    })
}

pub(crate) fn message(error: &Error) -> String {
    match error {
        Error::DuckDBFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    }
}

fn open_private() -> duckdb::Result<Connection> {
    let config = Config::default()
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .max_memory("1GB")?
        .threads(1)?;
    let conn = Connection::open_in_memory_with_flags(config)?;
    // Without the optimizer no constant of the user's is computed ahead of time.
    conn.execute_batch("SET errors_as_json = true; PRAGMA disable_optimizer")?;
    // Only where the time zone extension is part of the library.
    let _ = conn.execute_batch(&format!("SET TimeZone = {}", quote_literal("UTC")));
    conn.execute_batch("SET enable_external_access = false; SET lock_configuration = true")?;
    Ok(conn)
}
