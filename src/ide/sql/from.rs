//! `FROM`: which relations are read, under which names, and what joins them.

use super::reader::{Alias, Column, Env, Outputs, Reader, Table, Target};
use crate::symbol::{Form, Role};

/// Words between two relations.
const JOINS: [&str; 13] = [
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "CROSS",
    "NATURAL",
    "ASOF",
    "SEMI",
    "ANTI",
    "POSITIONAL",
    "LATERAL",
];
/// Words that cannot be an alias.
const NO_ALIAS: [&str; 12] = [
    "ON",
    "USING",
    "WHERE",
    "TABLESAMPLE",
    "PIVOT",
    "UNPIVOT",
    "SELECT",
    "SET",
    "AT",
    "DEFAULT",
    "VALUES",
    "BY",
];

impl Reader<'_> {
    pub(super) fn from(&mut self, from: usize, end: usize, env: &mut Env) {
        let mut at = from;
        let mut conditions = Vec::new();
        while at < end {
            if self.is_symbol(at, ",") || self.is_one_of(at, &JOINS) {
                at += 1;
            } else if self.is_word(at, "ON") {
                let stop = self.find(at + 1, end, |i| {
                    self.is_symbol(i, ",") || self.is_one_of(i, &JOINS)
                });
                conditions.push((at + 1, stop));
                at = stop;
            } else if self.is_word(at, "USING") && self.is_symbol(at + 1, "(") {
                let close = self.closing(at + 1, end);
                self.using(at + 2, close, env);
                at = close + 1;
            } else {
                let next = self.relation(at, end, env);
                at = next.max(at + 1);
            }
        }
        for (start, stop) in conditions {
            let env = env.clone();
            self.expression(start, stop, &env, false);
        }
    }

    /// A name in `USING` means a column of either side.
    fn using(&mut self, from: usize, to: usize, env: &Env) {
        for i in from..to {
            let Some(name) = self.name(i) else { continue };
            let range = self.range(i);
            for (table, _) in &env.tables {
                let found = table
                    .columns
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(&name));
                if let Some((_, column)) = found {
                    self.note(
                        range.clone(),
                        Target::Column(column.clone()),
                        Role::Reference,
                        Form::Shared,
                    );
                }
            }
        }
    }

    /// One relation with its alias; returns where the next token is.
    fn relation(&mut self, from: usize, end: usize, env: &mut Env) -> usize {
        let mut at = from;
        let mut table = Table {
            open: true,
            ..Table::default()
        };
        let mut of = None;
        if self.is_symbol(at, "(") {
            let close = self.closing(at, end);
            if self.starts_query(at + 1) {
                // A query in `FROM` sees what stands before it only when it is lateral, which it may be.
                let outputs = self.query(at + 1, close, &env.inner());
                table.columns = outputs.columns;
                table.open = outputs.open;
            } else {
                // Joins in brackets.
                self.from(at + 1, close, env);
                return close + 1;
            }
            at = close + 1;
        } else if self.name(at).is_some() {
            let mut parts = Vec::new();
            let first = at;
            while let Some(name) = self.name(at) {
                parts.push(name);
                if !self.is_symbol(at + 1, ".") {
                    at += 1;
                    break;
                }
                at += 2;
            }
            let last = at.saturating_sub(1);
            if self.is_symbol(at, "(") {
                // A table function.
                self.function(last, &parts);
                let close = self.closing(at, end);
                let env = env.clone();
                self.expression(at + 1, close, &env, false);
                at = close + 1;
            } else {
                table = self.named(&parts, first, last, env);
                let noted = self.out.uses.last();
                of = noted
                    .filter(|u| u.range == self.range(last))
                    .map(|u| u.target.clone());
            }
        } else {
            return at + 1;
        }
        self.alias(at, end, table, of, env)
    }

    pub(super) fn named(
        &mut self,
        parts: &[String],
        first: usize,
        last: usize,
        env: &Env,
    ) -> Table {
        let range = self.range(last);
        if let [name] = parts {
            let cte = env.ctes.iter().rev().find(|(i, _)| {
                self.out
                    .ctes
                    .get(*i)
                    .is_some_and(|c| c.name.eq_ignore_ascii_case(name))
            });
            if let Some((index, outputs)) = cte {
                let (index, Outputs { columns, open }) = (*index, outputs.clone());
                self.note(range, Target::Cte(index), Role::Reference, Form::Plain);
                return Table {
                    name: name.to_lowercase(),
                    symbol: None,
                    columns,
                    open,
                };
            }
        }
        match self.catalog.relation(parts, self.range(first).start) {
            Some(table) => {
                if let Some(symbol) = &table.symbol {
                    self.note(
                        range,
                        Target::Symbol(symbol.clone()),
                        Role::Reference,
                        Form::Plain,
                    );
                }
                table
            }
            None => Table {
                name: parts.last().map(|n| n.to_lowercase()).unwrap_or_default(),
                open: true,
                ..Table::default()
            },
        }
    }

    /// `[AS] alias [(columns)]`.
    fn alias(
        &mut self,
        from: usize,
        end: usize,
        mut table: Table,
        of: Option<Target>,
        env: &mut Env,
    ) -> usize {
        let mut at = from;
        let said = self.is_word(at, "AS");
        if said {
            at += 1;
        }
        let mut alias = None;
        let free = said || !(self.is_one_of(at, &JOINS) || self.is_one_of(at, &NO_ALIAS));
        if at < end && free && self.name(at).is_some() {
            alias = Some(self.named_alias(at, &mut table, of));
            at += 1;
            if self.is_symbol(at, "(") {
                let close = self.closing(at, end);
                let outputs = Outputs {
                    columns: std::mem::take(&mut table.columns),
                    open: table.open,
                };
                let renamed = self.renamed(outputs, at + 1, close);
                table.columns = renamed.columns;
                at = close + 1;
            }
        }
        env.tables.push((table, alias));
        if self.is_word(at, "TABLESAMPLE") {
            return self.find(at, end, |i| {
                self.is_symbol(i, ",") || self.is_one_of(i, &JOINS) || self.is_word(i, "ON")
            });
        }
        at
    }

    /// The token gives a relation another name.
    pub(super) fn named_alias(
        &mut self,
        at: usize,
        table: &mut Table,
        of: Option<Target>,
    ) -> usize {
        let name = self.name(at).unwrap_or_default();
        table.name = name.to_lowercase();
        let index = self.out.aliases.len();
        let range = self.range(at);
        self.out.aliases.push(Alias {
            name,
            range: range.clone(),
            of,
        });
        self.note(range, Target::Alias(index), Role::Definition, Form::Plain);
        index
    }

    /// Everything a bare `FROM` yields.
    pub(super) fn everything(&self, env: &Env) -> Outputs {
        let mut all = Outputs::default();
        for (table, _) in &env.tables {
            self.all_of(table, &mut all);
        }
        all
    }

    pub(super) fn all_of(&self, table: &Table, into: &mut Outputs) {
        into.open |= table.open;
        for (name, column) in &table.columns {
            // The right side of `USING` is not repeated, and of two equal names the first is meant.
            if !into
                .columns
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name))
            {
                into.columns.push((name.clone(), column.clone()));
            }
        }
    }

    /// The column that a bare name means.
    pub(super) fn column(&self, name: &str, env: &Env) -> Option<Column> {
        for tables in [&env.tables, &env.outer] {
            for (table, _) in tables {
                if let Some((_, column)) = table
                    .columns
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                {
                    return Some(column.clone());
                }
            }
        }
        None
    }
}
