//! Statements and queries: `WITH`, set operations, and the clauses of one `SELECT`.

use super::reader::{Column, Cte, Env, Outputs, Reader, Scope, Table, Target};
use crate::symbol::{Form, Role};

/// Words that start a clause of a query.
const CLAUSES: [&str; 16] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "QUALIFY",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "SET",
    "VALUES",
    "RETURNING",
    "INTO",
    "USING",
    "SAMPLE",
];

impl Reader<'_> {
    pub(super) fn statement(&mut self, from: usize, end: usize) -> Outputs {
        let env = Env::default();
        self.query(from, end, &env)
    }

    /// Whether a bracket holds a query.
    pub(super) fn starts_query(&self, i: usize) -> bool {
        self.is_one_of(
            i,
            &[
                "SELECT", "WITH", "FROM", "VALUES", "INSERT", "UPDATE", "DELETE", "PIVOT",
                "UNPIVOT",
            ],
        ) || (self.is_symbol(i, "(") && self.starts_query_inside(i))
    }

    fn starts_query_inside(&self, open: usize) -> bool {
        let mut i = open;
        while self.is_symbol(i, "(") {
            i += 1;
        }
        self.is_one_of(i, &["SELECT", "WITH", "FROM"])
    }

    /// A query with what surrounds it visible.
    pub(super) fn query(&mut self, from: usize, end: usize, around: &Env) -> Outputs {
        self.deeper(|reader| reader.query_inside(from, end, around))
    }

    fn query_inside(&mut self, from: usize, end: usize, around: &Env) -> Outputs {
        let mut env = around.clone();
        let mut at = from;
        if self.is_word(at, "WITH") {
            at = self.with(at + 1, end, &mut env);
        }
        // A query in brackets of its own.
        if self.is_symbol(at, "(") && self.starts_query(at + 1) {
            let close = self.closing(at, end);
            let outputs = self.query(at + 1, close, &env.inner_of_same());
            self.set_operation(close + 1, end, &env, &outputs);
            return outputs;
        }
        if self.is_word(at, "INSERT") {
            return self.insert(at, end, &env);
        }
        let stop = self.find(at, end, |i| {
            self.is_one_of(i, &["UNION", "INTERSECT", "EXCEPT"])
        });
        // `* EXCEPT (…)` is no set operation.
        let stop = if self.is_word(stop, "EXCEPT")
            && self.is_symbol(stop + 1, "(")
            && !self.starts_query(stop + 2)
        {
            end
        } else {
            stop
        };
        let outputs = self.select(at, stop, &env);
        self.set_operation(stop, end, &env, &outputs);
        outputs
    }

    /// The right side of `UNION` and its kin; the names of the left side count.
    fn set_operation(&mut self, from: usize, end: usize, env: &Env, left: &Outputs) {
        let mut at = from;
        if !self.is_one_of(at, &["UNION", "INTERSECT", "EXCEPT"]) {
            if at < end {
                let mut ordered = env.clone();
                ordered.selected = left.columns.clone();
                self.expression(at, end, &ordered, true);
            }
            return;
        }
        let mut by_name = false;
        while self.is_one_of(
            at,
            &[
                "UNION",
                "INTERSECT",
                "EXCEPT",
                "ALL",
                "DISTINCT",
                "BY",
                "NAME",
            ],
        ) {
            by_name |= self.is_word(at, "NAME");
            at += 1;
        }
        let right = self.query(at, end, env);
        if by_name {
            // Both sides name the column; neither can change alone.
            for (name, column) in right.columns.iter().chain(&left.columns) {
                let other =
                    |c: &Outputs| c.columns.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
                if let Column::Output(i) = column
                    && other(left)
                    && other(&right)
                    && let Some(range) = self.out.outputs.get(*i).map(|o| o.range.clone())
                {
                    self.note(
                        range,
                        Target::Column(column.clone()),
                        Role::Reference,
                        Form::Shared,
                    );
                }
            }
        }
    }

    /// `name [(columns)] AS [NOT MATERIALIZED] (query), …`; returns where the query itself starts.
    fn with(&mut self, from: usize, end: usize, env: &mut Env) -> usize {
        let mut at = from;
        if self.is_word(at, "RECURSIVE") {
            at += 1;
        }
        while at < end {
            let Some(name) = self
                .name(at)
                .filter(|_| !self.is_one_of(at, &["SELECT", "FROM"]))
            else {
                return at;
            };
            let index = self.out.ctes.len();
            let range = self.range(at);
            let is_outermost = self.is_outermost();
            self.out.ctes.push(Cte {
                name: name.clone(),
                range: range.clone(),
                body: None,
                is_outermost,
            });
            self.note(range, Target::Cte(index), Role::Definition, Form::Plain);
            at += 1;
            let mut columns = None;
            if self.is_symbol(at, "(") && !self.starts_query(at + 1) {
                let close = self.closing(at, end);
                columns = Some((at + 1, close));
                at = close + 1;
            }
            if self.is_word(at, "USING") {
                at = self.find(at, end, |i| self.is_word(i, "AS"));
            }
            while self.is_one_of(at, &["AS", "NOT", "MATERIALIZED"]) {
                at += 1;
            }
            if !self.is_symbol(at, "(") {
                return at;
            }
            let close = self.closing(at, end);
            let body = self.range(at).start..self.range(close).end;
            if close < end
                && let Some(cte) = self.out.ctes.get_mut(index)
            {
                cte.body = Some(body);
            }
            let mut visible = env.clone();
            // A recursive one sees itself.
            visible.ctes.push((
                index,
                Outputs {
                    columns: Vec::new(),
                    open: true,
                },
            ));
            let mut outputs = self.query(at + 1, close, &visible.inner_of_same());
            if let Some((from, to)) = columns {
                outputs = self.renamed(outputs, from, to);
            }
            env.ctes.push((index, outputs));
            at = close + 1;
            if !self.is_symbol(at, ",") {
                return at;
            }
            at += 1;
        }
        at
    }

    /// The outputs under the names of a list in brackets.
    pub(super) fn renamed(&mut self, outputs: Outputs, from: usize, to: usize) -> Outputs {
        let mut columns = outputs.columns;
        let mut position = 0;
        for i in from..to {
            let Some(name) = self.name(i) else { continue };
            let source = columns.get(position).map(|(_, c)| c.clone());
            let output = self.output(name.clone(), i, super::OutputForm::Alias, source);
            match columns.get_mut(position) {
                Some(column) => *column = (name, output),
                None => columns.push((name, output)),
            }
            position += 1;
        }
        Outputs {
            columns,
            open: outputs.open,
        }
    }

    /// A name for a column that the text gives.
    pub(super) fn output(
        &mut self,
        name: String,
        token: usize,
        form: super::OutputForm,
        source: Option<Column>,
    ) -> Column {
        let range = self.range(token);
        let column = Column::Output(self.out.outputs.len());
        self.out.outputs.push(super::Output {
            name,
            range: range.clone(),
            form,
            source,
            is_result: false,
        });
        let form = match form {
            super::OutputForm::Alias => Form::Plain,
            super::OutputForm::Plain => Form::Item,
        };
        self.note(
            range,
            Target::Column(column.clone()),
            Role::Definition,
            form,
        );
        column
    }

    /// One `SELECT`, or a statement that changes rows.
    fn select(&mut self, from: usize, end: usize, around: &Env) -> Outputs {
        let mut env = Env {
            selected: Vec::new(),
            ..around.clone()
        };
        env.tables.clear();
        let clauses = self.split(from, end);
        // What is changed comes before what is read: its columns are meant by `SET`.
        if self.is_one_of(
            from,
            &["UPDATE", "PIVOT", "UNPIVOT", "SUMMARIZE", "DESCRIBE"],
        ) {
            let stop = clauses.first().map_or(end, |c| c.1);
            self.from(from + 1, stop, &mut env);
        }
        // What is read comes first: the select list stands before it and means it.
        for (start, stop) in &clauses {
            if self.is_word(*start, "FROM")
                || self.is_word(*start, "INTO")
                || (self.is_word(*start, "USING") && !self.is_symbol(start + 1, "("))
            {
                self.from(start + 1, *stop, &mut env);
            }
        }
        let mut outputs = Outputs::default();
        let has_list = clauses
            .iter()
            .any(|(start, _)| self.is_word(*start, "SELECT"));
        for (start, stop) in &clauses {
            if self.is_word(*start, "SELECT") || self.is_word(*start, "RETURNING") {
                outputs = self.items(start + 1, *stop, &env);
            }
        }
        if !has_list && self.is_word(from, "FROM") {
            // `FROM t` is `SELECT * FROM t`.
            outputs = self.everything(&env);
        }
        env.selected = outputs.columns.clone();
        for (start, stop) in &clauses {
            if self.is_one_of(*start, &["SELECT", "FROM", "RETURNING", "INTO"]) {
                continue;
            }
            let ordered = self.is_one_of(*start, &["ORDER"]);
            if self.is_word(*start, "SELECT") {
                continue;
            }
            if self.is_word(*start, "SET") {
                self.expression(start + 1, *stop, &env, false);
                continue;
            }
            if self.is_word(*start, "USING") && !self.is_symbol(start + 1, "(") {
                continue;
            }
            let skip = usize::from(self.is_one_of(*start, &CLAUSES));
            self.expression(start + skip, *stop, &env, ordered);
        }
        // `INSERT INTO t … SELECT …`, `CREATE TABLE t AS SELECT …`: what stands before the first clause.
        let range = self.span(from, end);
        self.scope(range, &env);
        outputs
    }

    pub(super) fn scope(&mut self, range: std::ops::Range<u32>, env: &Env) {
        let tables: Vec<Table> = env
            .tables
            .iter()
            .chain(&env.outer)
            .map(|(table, _)| table.clone())
            .collect();
        let ctes = env
            .ctes
            .iter()
            .filter_map(|(i, _)| Some(self.out.ctes.get(*i)?.name.clone()))
            .collect();
        self.out.scopes.push(Scope {
            range,
            tables,
            ctes,
        });
    }

    /// The clauses of a query: from a keyword to before the next one.
    fn split(&self, from: usize, end: usize) -> Vec<(usize, usize)> {
        let mut starts = Vec::new();
        let mut at = from;
        while at < end {
            let next = self.find(at, end, |i| self.starts_clause(i));
            if next >= end {
                break;
            }
            starts.push(next);
            at = next + 1;
        }
        if starts.first() != Some(&from) && from < end {
            starts.insert(0, from);
        }
        let mut clauses = Vec::new();
        for (i, start) in starts.iter().enumerate() {
            clauses.push((*start, starts.get(i + 1).copied().unwrap_or(end)));
        }
        clauses
    }

    fn starts_clause(&self, i: usize) -> bool {
        if !self.is_one_of(i, &CLAUSES) || self.is_field(i) {
            return false;
        }
        // `IS [NOT] DISTINCT FROM`.
        if self.is_word(i, "FROM") && i > 0 && self.is_word(i - 1, "DISTINCT") {
            return false;
        }
        // `JOIN … USING (…)` belongs to its join.
        if self.is_word(i, "USING") {
            return !self.is_symbol(i + 1, "(");
        }
        // `GROUP BY` and `ORDER BY`, not columns of these names.
        if self.is_one_of(i, &["GROUP", "ORDER"]) {
            return self.is_word(i + 1, "BY");
        }
        // A column may be called so.
        if self.is_one_of(i, &["VALUES", "SET", "OFFSET", "WINDOW", "SAMPLE"]) {
            return !self.is_symbol(i + 1, ".") && !self.is_symbol(i + 1, ",");
        }
        true
    }
}

impl Env {
    /// The same names, for a query that stands for this one.
    pub(super) fn inner_of_same(&self) -> Self {
        Self {
            ctes: self.ctes.clone(),
            outer: self.outer.clone(),
            ..Self::default()
        }
    }
}
