//! Expressions: columns, qualifiers, functions and parameters in them, and the queries inside.

use mxcp_syntax::sql::TokenKind;

use super::keywords::is_called;
use super::reader::{Column, Env, Reader, Target};
use crate::symbol::{Form, Role, Symbol};

impl Reader<'_> {
    /// Notes the names of an expression. Where `named` is set, a name of the select list wins.
    pub(super) fn expression(&mut self, from: usize, end: usize, env: &Env, named: bool) {
        self.deeper(|reader| reader.expression_inside(from, end, env, named));
    }

    fn expression_inside(&mut self, from: usize, end: usize, env: &Env, named: bool) {
        let mut at = from;
        while at < end {
            if self.is_symbol(at, "(") && self.starts_query(at + 1) {
                let close = self.closing(at, end);
                self.query(at + 1, close, &env.inner());
                at = close + 1;
            } else if self.starts_query(at) && self.is_one_of(at, &["SELECT"]) {
                // `INSERT INTO t SELECT …`.
                self.query(at, end, &env.inner());
                return;
            } else {
                at = self.operand(at, end, env, named);
            }
        }
    }

    fn operand(&mut self, at: usize, end: usize, env: &Env, named: bool) -> usize {
        let Some(token) = self.tokens.get(at).copied() else {
            return end;
        };
        match token.kind {
            TokenKind::Parameter => {
                let name = self.text[token.range].trim_start_matches('$').to_owned();
                let mut range = self.range(at);
                if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    // The sign is none of the name.
                    range.start += 1;
                    let target = Target::Parameter(name);
                    self.note(range, target, Role::Reference, Form::Plain);
                }
                at + 1
            }
            TokenKind::Word | TokenKind::QuotedIdentifier => self.path(at, end, env, named),
            _ => at + 1,
        }
    }

    /// A dotted name; returns where the next token is.
    fn path(&mut self, from: usize, end: usize, env: &Env, named: bool) -> usize {
        // A type or an alias follows `AS` and `::`, a field follows a dot.
        if from > 0
            && (self.is_word(from - 1, "AS")
                || self.is_symbol(from - 1, "::")
                || self.is_field(from))
        {
            return from + 1;
        }
        let mut tokens = vec![from];
        let mut at = from + 1;
        while at + 1 < end && self.is_field(at + 1) && self.name(at + 1).is_some() {
            tokens.push(at + 1);
            at += 2;
        }
        let names: Vec<String> = tokens.iter().filter_map(|i| self.name(*i)).collect();
        let Some(last) = tokens.last().copied().filter(|_| !names.is_empty()) else {
            return at;
        };
        if self.is_symbol(at, "(") {
            // A method of a column, or a function.
            if tokens.len() > 1
                && self.resolve_path(
                    &tokens[..tokens.len() - 1],
                    &names[..names.len() - 1],
                    env,
                    named,
                )
            {
                self.function(last, std::slice::from_ref(&names[names.len() - 1]));
            } else {
                self.function(last, &names);
            }
            return at;
        }
        // A named argument and a key are no columns.
        if self.is_symbol(at, ":=") || self.is_symbol(at, "=>") {
            return at;
        }
        self.resolve_path(&tokens, &names, env, named);
        at
    }

    fn resolve_path(&mut self, tokens: &[usize], names: &[String], env: &Env, named: bool) -> bool {
        let (Some(first), Some(name)) = (tokens.first().copied(), names.first()) else {
            return false;
        };
        if tokens.len() > 1 {
            for skip in 0..tokens.len() - 1 {
                let qualifier = &names[skip];
                let found = env
                    .tables
                    .iter()
                    .chain(&env.outer)
                    .find(|(t, _)| t.name == qualifier.to_lowercase())
                    .cloned();
                let Some((table, alias)) = found else {
                    continue;
                };
                let range = self.range(tokens[skip]);
                if let Some(alias) = alias {
                    self.note(range, Target::Alias(alias), Role::Reference, Form::Plain);
                } else if let Some(symbol) = &table.symbol {
                    self.note(
                        range,
                        Target::Symbol(symbol.clone()),
                        Role::Reference,
                        Form::Plain,
                    );
                } else if let Some((cte, _)) = env.ctes.iter().rev().find(|(i, _)| {
                    self.out
                        .ctes
                        .get(*i)
                        .is_some_and(|c| c.name.eq_ignore_ascii_case(qualifier))
                }) {
                    let cte = *cte;
                    self.note(range, Target::Cte(cte), Role::Reference, Form::Plain);
                }
                let wanted = &names[skip + 1];
                let column = table
                    .columns
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(wanted));
                if let Some((_, column)) = column {
                    let range = self.range(tokens[skip + 1]);
                    self.note(
                        range,
                        Target::Column(column.clone()),
                        Role::Reference,
                        Form::Plain,
                    );
                }
                return true;
            }
        }
        let selected = env
            .selected
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, c)| c.clone());
        let column = match named {
            true => selected.or_else(|| self.column(name, env)),
            false => self.column(name, env).or(selected),
        };
        match column {
            Some(column) => {
                self.note(
                    self.range(first),
                    Target::Column(column),
                    Role::Reference,
                    Form::Plain,
                );
                true
            }
            None => false,
        }
    }

    /// A call.
    pub(super) fn function(&mut self, token: usize, names: &[String]) {
        let Some(name) = names.last() else { return };
        if self.is_quoted(token) || !is_called(name) {
            return;
        }
        let symbol = Symbol::Function {
            name: name.to_lowercase(),
        };
        self.note(
            self.range(token),
            Target::Symbol(symbol),
            Role::Reference,
            Form::Plain,
        );
    }

    /// The column that a part of the text is, when it is nothing else; with its last token.
    pub(super) fn whole_column(
        &self,
        from: usize,
        end: usize,
        env: &Env,
    ) -> Option<(String, usize, Option<Column>)> {
        let mut at = from;
        let mut names = vec![self.name(at)?];
        while self.is_symbol(at + 1, ".") && self.name(at + 2).is_some() {
            at += 2;
            names.push(self.name(at)?);
        }
        if at + 1 != end {
            return None;
        }
        let last = names.last()?.clone();
        let column = match names.as_slice() {
            [name] => self.column(name, env),
            [.., qualifier, name] => env
                .tables
                .iter()
                .chain(&env.outer)
                .find(|(t, _)| t.name == qualifier.to_lowercase())
                .and_then(|(t, _)| t.columns.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)))
                .map(|(_, c)| c.clone()),
            [] => None,
        };
        Some((last, at, column))
    }
}
