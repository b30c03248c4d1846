//! Takes a text apart into statements and says of each what it is, reads and may do.
//!
//! Queries and data changes are read from the engine's syntax tree. The other statements have
//! none: for those the tokens answer, and in doubt they are said to write.

use std::collections::BTreeSet;

use mxcp_artifact::{Effects, RelationName};

use crate::details::{Details, by_kind, details};
use crate::errors::RawError;
use crate::facts::Facts;
use crate::json::Tree;
use crate::names::{ends, has_word, keyword_kind};
use crate::request::{SqlError, SqlErrorKind, Statement, StatementKind};
use crate::rows::single_row;
use crate::slot::Slot;
use crate::tokens::{Token, statements, to_range};
use crate::walk::{Found, Source, walk};

/// A data change becomes part of a query, which is the form that has a syntax tree.
pub(crate) const WRAP: &str = "WITH __mxcp AS (";
const WRAP_END: &str = ") SELECT 1";

/// One statement with all that is known about it before binding.
pub(crate) struct Parsed {
    pub tokens: Vec<Token>,
    pub statement: Statement,
    /// The syntax tree and where its text starts; absent for statements that have none.
    pub tree: Option<(Tree, i64)>,
    pub parameters: BTreeSet<String>,
    pub value_matters: bool,
    /// What it leaves behind for later statements to read, with the query that defines it.
    pub creates: Option<Created>,
    /// The query inside a `CREATE … AS`, as a byte range of the whole text.
    pub inner: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub name: String,
    pub schema: Option<String>,
    pub is_view: bool,
}

impl Parsed {
    pub(crate) fn span(&self) -> (usize, usize) {
        let start = self.tokens.first().map_or(0, |t| t.start);
        let end = self.tokens.last().map_or(start, |t| t.end);
        (start, end)
    }
}

/// Parses every statement on its own, so that one mistake does not hide the others.
pub(crate) fn parse(slot: &Slot, facts: &Facts, sql: &str) -> (Vec<Parsed>, Vec<SqlError>) {
    let mut parsed = Vec::new();
    let mut errors = Vec::new();
    let mut created = BTreeSet::new();
    if let Some(at) = sql.find('\0') {
        errors.push(SqlError {
            kind: SqlErrorKind::Syntax,
            message: "the text contains a NUL character".into(),
            range: Some(to_range(at, at + 1)),
            name: None,
            candidates: Vec::new(),
        });
        return (parsed, errors);
    }
    let all = statements(sql);
    for tokens in &all {
        let reader = Reader {
            slot,
            facts,
            sql,
            created: &created,
        };
        match reader.statement(tokens) {
            Ok(statement) => {
                if let Some(c) = &statement.creates {
                    created.insert(c.name.to_lowercase());
                }
                parsed.push(statement);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty()
        && all.len() > 1
        && slot.serialize(sql).err().is_some_and(|e| !is_syntax(&e))
    {
        // A body with semicolons of its own (CREATE TRIGGER): the engine reads it as one statement.
        let tokens: Vec<Token> = all.concat();
        return (vec![whole(sql, tokens)], Vec::new());
    }
    (parsed, errors)
}

fn is_syntax(error: &RawError) -> bool {
    error.class.eq_ignore_ascii_case("parser") || error.class.eq_ignore_ascii_case("syntax")
}

fn whole(sql: &str, tokens: Vec<Token>) -> Parsed {
    let found = Found {
        writes: true,
        ..Found::default()
    };
    let kind = keyword_kind(sql, &tokens);
    finish(tokens, kind, found, None)
}

pub(crate) fn finish(
    tokens: Vec<Token>,
    kind: StatementKind,
    found: Found,
    tree: Option<(Tree, i64)>,
) -> Parsed {
    let mut reads: Vec<RelationName> = found
        .relations
        .iter()
        .map(|r| RelationName {
            catalog: r.catalog.clone(),
            schema: r.schema.clone().unwrap_or_else(|| "main".to_owned()),
            name: r.name.clone(),
        })
        .collect();
    reads.sort();
    reads.dedup();
    let start = tokens.first().map_or(0, |t| t.start);
    let end = tokens.last().map_or(start, |t| t.end);
    Parsed {
        statement: Statement {
            range: to_range(start, end),
            kind,
            relations: found.relations,
            functions: found.functions.into_iter().collect(),
            effects: Effects {
                reads,
                writes: found.writes,
                external: found.external,
                volatile: found.volatile,
            },
            opaque: found.opaque,
            single_row: false,
            details: Details::default(),
        },
        tokens,
        tree,
        parameters: found.parameters,
        value_matters: found.value_matters,
        creates: None,
        inner: None,
    }
}

pub(crate) struct Reader<'a> {
    pub slot: &'a Slot,
    pub facts: &'a Facts,
    pub sql: &'a str,
    pub created: &'a BTreeSet<String>,
}

impl Reader<'_> {
    pub(crate) fn statement(&self, tokens: &[Token]) -> Result<Parsed, SqlError> {
        let (start, end) = ends(tokens);
        let text = self.sql.get(start..end).unwrap_or_default();
        let kind = keyword_kind(self.sql, tokens);
        match self.slot.serialize(text) {
            Ok(tree) => {
                let found = walk(
                    &tree,
                    self.source(tokens, base(start)),
                    self.facts,
                    self.created,
                );
                let single = single_row(&tree, self.facts);
                let mut parsed = finish(
                    tokens.to_vec(),
                    StatementKind::Select,
                    found,
                    Some((tree, base(start))),
                );
                parsed.statement.single_row = single;
                self.describe(&mut parsed);
                Ok(parsed)
            }
            Err(error)
                if is_syntax(&error)
                    || error.message.starts_with("mixing named")
                    || error.message.starts_with("enum value: unrecognized") =>
            {
                Err(self.syntax(*error, tokens))
            }
            Err(_) => {
                let mut parsed = self.without_tree(tokens, kind);
                self.describe(&mut parsed);
                Ok(parsed)
            }
        }
    }

    fn describe(&self, parsed: &mut Parsed) {
        let kind = &parsed.statement.kind;
        parsed.statement.details = match &parsed.tree {
            Some((tree, at)) => details(tree, *at, self.sql, &parsed.tokens, self.facts, kind),
            None if parsed.statement.effects.writes => by_kind(&parsed.tokens, kind),
            None => Details::default(),
        };
    }

    pub(crate) fn source<'s>(&'s self, tokens: &'s [Token], base: i64) -> Source<'s> {
        Source {
            sql: self.sql,
            tokens,
            base,
        }
    }

    fn syntax(&self, error: RawError, tokens: &[Token]) -> SqlError {
        let (start, end) = ends(tokens);
        let range = match error.start {
            Some(at) => {
                let from = (start + at).min(end);
                let token = tokens.iter().find(|t| t.start <= from && from < t.end);
                match token {
                    Some(token) => to_range(from, token.end.max(from + error.len)),
                    None => to_range(from, (from + error.len).min(self.sql.len())),
                }
            }
            None => crate::unplaced::by_message(self.sql, tokens, &error)
                .map(|r| to_range(r.start, r.end))
                .or_else(|| tokens.first().map(Token::range))
                .unwrap_or(0..0),
        };
        let mut error = error.into_error(Some(range));
        error.kind = SqlErrorKind::Syntax;
        error
    }

    /// A statement that parses but is no query.
    fn without_tree(&self, tokens: &[Token], kind: StatementKind) -> Parsed {
        let wrapped = match kind {
            StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Copy => self.wrapped(tokens),
            _ => None,
        };
        if let Some((tree, found)) = wrapped {
            let returning = has_word(self.sql, tokens, "RETURNING");
            let (start, _) = ends(tokens);
            let at = base(start) - base(WRAP.len());
            let mut parsed = finish(tokens.to_vec(), kind, found, Some((tree, at)));
            parsed.statement.single_row = !returning;
            return parsed;
        }
        match kind {
            StatementKind::Select => self.dynamic_query(tokens),
            StatementKind::Create => self.create(tokens),
            StatementKind::Explain => self.explain(tokens),
            StatementKind::Call => self.call(tokens),
            _ => {
                let mut found = self.by_tokens(tokens);
                match kind {
                    StatementKind::Set | StatementKind::Transaction => found.relations.clear(),
                    StatementKind::Attach | StatementKind::Load | StatementKind::Copy => {
                        found.external = true;
                        found.writes = true;
                    }
                    _ => found.writes = true,
                }
                finish(tokens.to_vec(), kind, found, None)
            }
        }
    }

    fn wrapped(&self, tokens: &[Token]) -> Option<(Tree, Found)> {
        let (start, end) = ends(tokens);
        let text = format!("{WRAP}{}{WRAP_END}", self.sql.get(start..end)?);
        let tree = self.slot.serialize(&text).ok()?;
        let source = self.source(tokens, base(start) - base(WRAP.len()));
        let found = walk(&tree, source, self.facts, self.created);
        Some((tree, found))
    }
}

pub(crate) fn base(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

pub(crate) fn is_change_word(sql: &str, token: &Token) -> bool {
    ["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"]
        .iter()
        .any(|w| token.is_word(sql, w))
}

pub(crate) fn is_pivot(sql: &str, tokens: &[Token]) -> bool {
    has_word(sql, tokens, "PIVOT") || has_word(sql, tokens, "PIVOT_WIDER")
}
