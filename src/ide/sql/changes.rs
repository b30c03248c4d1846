//! Statements that change rows: the relation that they change, its columns, and what they return.

use super::reader::{Column, Env, Outputs, Reader, Table, Target};
use crate::symbol::{Form, Role};

impl Reader<'_> {
    /// `INSERT INTO t (columns) … ON CONFLICT … RETURNING …`.
    pub(super) fn insert(&mut self, from: usize, end: usize, around: &Env) -> Outputs {
        let into = self.find(from, end, |i| self.is_word(i, "INTO"));
        let (mut target, mut at) = self.changed(into + 1, end);
        let mut alias = None;
        if self.is_word(at, "AS") && self.name(at + 1).is_some() {
            let named = self.named_alias(at + 1, &mut target, None);
            alias = Some(named);
            at += 2;
        }
        if self.is_symbol(at, "(") && !self.starts_query(at + 1) {
            let close = self.closing(at, end);
            self.columns_of(at + 1, close, &target);
            let list = Env {
                tables: vec![(target.clone(), alias)],
                ..Env::default()
            };
            let range = self.span(at, close);
            self.scope(range, &list);
            at = close + 1;
        }
        let by_name = self.is_word(at, "BY") && self.is_word(at + 1, "NAME");
        if self.is_word(at, "BY") {
            at += 2;
        }
        let returning = self.find(at, end, |i| self.is_word(i, "RETURNING"));
        let conflict = self.find(at, returning, |i| {
            self.is_word(i, "ON") && self.is_word(i + 1, "CONFLICT")
        });
        if self.is_word(at, "VALUES") {
            let none = around.inner_of_same();
            self.expression(at + 1, conflict, &none, false);
        } else if at < conflict {
            let given = self.query(at, conflict, &around.inner_of_same());
            if by_name {
                self.shared(&given, &target);
            }
        }
        let mut changed = Env {
            tables: vec![(target.clone(), alias)],
            ..around.inner_of_same()
        };
        if conflict < returning {
            // The row that was to be inserted.
            let excluded = Table {
                name: "excluded".into(),
                symbol: None,
                ..target
            };
            let mut both = changed.clone();
            both.tables.push((excluded, None));
            self.expression(conflict + 2, returning, &both, false);
            let range = self.span(conflict, returning);
            self.scope(range, &both);
        }
        if returning >= end {
            return Outputs::default();
        }
        let outputs = self.items(returning + 1, end, &changed);
        changed.selected.clone_from(&outputs.columns);
        let range = self.span(returning, end);
        self.scope(range, &changed);
        outputs
    }

    /// The relation that a statement changes, and the token behind its name.
    fn changed(&mut self, from: usize, end: usize) -> (Table, usize) {
        let mut parts = Vec::new();
        let mut at = from;
        while at < end
            && let Some(name) = self.name(at)
        {
            parts.push(name);
            at += 1;
            if !self.is_symbol(at, ".") {
                break;
            }
            at += 1;
        }
        let Some(last) = at.checked_sub(1).filter(|_| !parts.is_empty()) else {
            let open = Table {
                open: true,
                ..Table::default()
            };
            return (open, at);
        };
        // A common table expression cannot be changed.
        let table = self.named(&parts, from, last, &Env::default());
        (table, at)
    }

    /// A list of a relation's columns.
    fn columns_of(&mut self, from: usize, to: usize, table: &Table) {
        for i in from..to {
            let Some(name) = self.name(i) else { continue };
            let found = table
                .columns
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(&name));
            if let Some((_, column)) = found {
                let target = Target::Column(column.clone());
                self.note(self.range(i), target, Role::Reference, Form::Plain);
            }
        }
    }

    /// `BY NAME`: the query and the relation call the column the same, so neither changes alone.
    fn shared(&mut self, given: &Outputs, table: &Table) {
        for (name, column) in &given.columns {
            let known = table
                .columns
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name));
            if let (Some((_, known)), Column::Output(i)) = (known, column)
                && let Some(range) = self.out.outputs.get(*i).map(|o| o.range.clone())
            {
                for column in [known, column] {
                    let target = Target::Column(column.clone());
                    self.note(range.clone(), target, Role::Reference, Form::Shared);
                }
            }
        }
    }
}
