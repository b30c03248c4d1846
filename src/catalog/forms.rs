//! Statements without a syntax tree of their own: what their tokens, or the query inside them, tell.

use std::collections::BTreeSet;

use crate::analyze::{Created, Parsed, Reader, base, finish, is_pivot};
use crate::facts::Facts;
use crate::names::{chain, ends, has_word, targets, unquoted};
use crate::request::{StatementKind, TableRef};
use crate::tokens::{Token, TokenKind, to_range};
use crate::walk::{Found, walk};

impl Reader<'_> {
    /// A `PIVOT` whose columns come from the data: the one kind of query without a tree.
    pub(crate) fn dynamic_query(&self, tokens: &[Token]) -> Parsed {
        let mut found = self
            .with_values(tokens)
            .unwrap_or_else(|| self.by_tokens(tokens));
        let reason = match is_pivot(self.sql, tokens) {
            true => "`PIVOT` without `IN` takes its columns from the data",
            false => "the engine cannot describe this form before it runs",
        };
        found.writes |= ["INSERT", "UPDATE", "DELETE", "MERGE"]
            .iter()
            .any(|w| has_word(self.sql, tokens, w));
        found.opaque = Some(reason.to_owned());
        finish(tokens.to_vec(), StatementKind::Select, found, None)
    }

    /// Reads a `PIVOT` as if it named its values, which gives it a tree. Its later positions are
    /// off by what was added, so relations there are placed by name.
    fn with_values(&self, tokens: &[Token]) -> Option<Found> {
        let (sql, (start, end)) = (self.sql, ends(tokens));
        if !is_pivot(sql, tokens) {
            return None;
        }
        let mut text = String::new();
        let mut at = start;
        // Per bracket: whether the list of a `PIVOT … ON` is being read, and has its values.
        let mut lists = vec![(false, false, false)];
        for token in tokens {
            let (pivot, on, named) = lists.last_mut()?;
            let ends_item = [")", ","].iter().any(|s| token.is_symbol(sql, s))
                || ["USING", "GROUP", "ORDER", "LIMIT"]
                    .iter()
                    .any(|w| token.is_word(sql, w));
            if *on && ends_item {
                if !*named {
                    text.push_str(sql.get(at..token.start)?);
                    text.push_str(" IN (NULL) ");
                    at = token.start;
                }
                *named = false;
                *on = token.is_symbol(sql, ",");
            }
            if token.is_word(sql, "PIVOT") || token.is_word(sql, "PIVOT_WIDER") {
                *pivot = true;
            } else if *pivot && token.is_word(sql, "ON") {
                (*pivot, *on, *named) = (false, true, false);
            } else if *on && token.is_word(sql, "IN") {
                *named = true;
            } else if token.is_symbol(sql, "(") {
                lists.push((false, false, false));
            } else if token.is_symbol(sql, ")") {
                lists.pop();
            }
        }
        text.push_str(sql.get(at..end)?);
        if matches!(lists.last(), Some((_, true, false))) {
            text.push_str(" IN (NULL)");
        }
        let tree = self.slot.serialize(&text).ok()?;
        Some(walk(
            &tree,
            self.source(tokens, base(start)),
            self.facts,
            self.created,
        ))
    }

    pub(crate) fn create(&self, tokens: &[Token]) -> Parsed {
        let sql = self.sql;
        let object = tokens.iter().take(6).position(|t| {
            ["TABLE", "VIEW", "MACRO", "FUNCTION"]
                .iter()
                .any(|w| t.is_word(sql, w))
        });
        let is = |word: &str| {
            object
                .and_then(|i| tokens.get(i))
                .is_some_and(|t| t.is_word(sql, word))
        };
        let relation = is("TABLE") || is("VIEW");
        let body = tokens
            .iter()
            .position(|t| t.is_word(sql, "AS"))
            .filter(|_| relation);
        let query = body
            .map(|i| &tokens[i + 1..])
            .filter(|rest| !rest.is_empty());
        let mut inner = None;
        let mut parameters = BTreeSet::new();
        let mut found = match query.and_then(|q| Some((q, self.statement(q).ok()?))) {
            Some((query, parsed)) if parsed.statement.kind == StatementKind::Select => {
                inner = Some(ends(query));
                parameters.clone_from(&parsed.parameters);
                Found {
                    relations: parsed.statement.relations,
                    functions: parsed.statement.functions.into_iter().collect(),
                    external: parsed.statement.effects.external,
                    volatile: parsed.statement.effects.volatile,
                    opaque: parsed.statement.opaque,
                    ..Found::default()
                }
            }
            _ => Found::default(),
        };
        found.writes = true;
        found.parameters = parameters;
        let creates = object.filter(|_| relation).and_then(|i| {
            let skip = tokens
                .iter()
                .skip(i + 1)
                .take_while(|t| ["IF", "NOT", "EXISTS"].iter().any(|w| t.is_word(sql, w)))
                .count();
            let first = i + 1 + skip;
            let (_, last) = chain(sql, tokens, first)?;
            Some(Created {
                name: unquoted(tokens.get(last)?, sql)?,
                schema: (last > first)
                    .then(|| unquoted(tokens.get(last - 2)?, sql))
                    .flatten(),
                is_view: is("VIEW"),
            })
        });
        let mut parsed = finish(tokens.to_vec(), StatementKind::Create, found, None);
        parsed.creates = creates;
        parsed.inner = inner;
        parsed
    }

    /// Reads what follows `EXPLAIN`; only `EXPLAIN ANALYZE` runs it.
    pub(crate) fn explain(&self, tokens: &[Token]) -> Parsed {
        let sql = self.sql;
        let mut at = 1;
        let mut runs = false;
        if tokens.get(at).is_some_and(|t| t.is_symbol(sql, "(")) {
            while let Some(token) = tokens.get(at) {
                runs |= token.is_word(sql, "ANALYZE");
                at += 1;
                if token.is_symbol(sql, ")") {
                    break;
                }
            }
        } else if tokens.get(at).is_some_and(|t| t.is_word(sql, "ANALYZE")) {
            runs = true;
            at += 1;
        }
        let mut found = Found::default();
        if let Some(rest) = tokens.get(at..).filter(|r| !r.is_empty())
            && let Ok(inner) = self.statement(rest)
        {
            found.relations = inner.statement.relations;
            found.functions = inner.statement.functions.into_iter().collect();
            found.parameters = inner.parameters;
            if runs {
                found.writes = inner.statement.effects.writes;
                found.external = inner.statement.effects.external;
            }
        }
        found.volatile = true;
        found.opaque = Some("the plan of a query is not typed".into());
        finish(tokens.to_vec(), StatementKind::Explain, found, None)
    }

    /// `CALL f()` reads like `FROM f()`, which has the same length.
    pub(crate) fn call(&self, tokens: &[Token]) -> Parsed {
        let (start, end) = ends(tokens);
        let text = self.sql.get(start + 4..end).unwrap_or_default();
        let mut found = match self.slot.serialize(&format!("FROM{text}")) {
            Ok(tree) => walk(
                &tree,
                self.source(tokens, base(start)),
                self.facts,
                self.created,
            ),
            Err(_) => Found::default(),
        };
        found.writes = true;
        finish(tokens.to_vec(), StatementKind::Call, found, None)
    }

    /// Relations by the keywords in front of them, parameters by their sign.
    pub(crate) fn by_tokens(&self, tokens: &[Token]) -> Found {
        let sql = self.sql;
        let mut found = Found::default();
        let optional = has_word(sql, tokens, "EXISTS");
        let ctes: BTreeSet<String> = tokens
            .windows(3)
            .filter(|w| {
                w[1].is_word(sql, "AS")
                    && (w[2].is_symbol(sql, "(") || w[2].kind == TokenKind::Word)
            })
            .filter_map(|w| w[0].name(sql))
            .collect();
        for (start, last) in targets(sql, tokens) {
            let Some(token) = tokens.get(last) else {
                continue;
            };
            let Some(name) = unquoted(token, sql) else {
                continue;
            };
            let folded = name.to_lowercase();
            let parts: Vec<String> = tokens
                .iter()
                .filter(|t| t.start >= start && t.start < token.start)
                .filter_map(|t| unquoted(t, sql))
                .collect();
            let schema = parts.last().cloned();
            let hidden =
                schema.is_none() && (ctes.contains(&folded) || self.created.contains(&folded));
            if token.kind == TokenKind::String || schema.is_none() && Facts::is_file_name(&name) {
                found.external = true;
            } else if !(optional || hidden || self.facts.is_system_view(schema.as_deref(), &name)) {
                found.relations.push(TableRef {
                    catalog: parts
                        .len()
                        .checked_sub(2)
                        .and_then(|i| parts.get(i))
                        .cloned(),
                    schema,
                    name,
                    range: Some(to_range(start, token.end)),
                });
            }
        }
        for token in tokens.iter().filter(|t| t.kind == TokenKind::Parameter) {
            found
                .parameters
                .extend(token.text(sql).get(1..).map(str::to_owned));
        }
        for pair in tokens.windows(2) {
            if pair[0].kind == TokenKind::Word
                && pair[1].is_symbol(sql, "(")
                && let Some(name) = pair[0].name(sql)
                && self.facts.functions.contains(&name)
            {
                found.volatile |= self.facts.is_volatile(&name);
                found.external |= Facts::reads_files(&name);
                found.functions.insert(name);
            }
        }
        found
    }
}
