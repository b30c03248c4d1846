//! Select lists: what each item is called and which column it is.

use super::OutputForm;
use super::reader::{Env, Outputs, Reader, Target};
use crate::symbol::{Form, Role};

/// Words that end an expression and are no alias.
const ENDS: [&str; 12] = [
    "END", "NULL", "TRUE", "FALSE", "ASC", "DESC", "LAST", "FIRST", "UNKNOWN", "ROW", "ROWS", "ALL",
];

impl Reader<'_> {
    pub(super) fn items(&mut self, from: usize, end: usize, env: &Env) -> Outputs {
        let mut outputs = Outputs::default();
        let mut at = from;
        if self.is_word(at, "DISTINCT") {
            at += 1;
            if self.is_word(at, "ON") && self.is_symbol(at + 1, "(") {
                let close = self.closing(at + 1, end);
                self.expression(at + 2, close, env, false);
                at = close + 1;
            }
        } else if self.is_word(at, "ALL") {
            at += 1;
        }
        let mut env = env.clone();
        while at < end {
            let stop = self.find_symbol(at, end, ",");
            self.item(at, stop, &env, &mut outputs);
            // Later items may name earlier ones.
            env.selected.clone_from(&outputs.columns);
            at = stop + 1;
        }
        outputs
    }

    fn item(&mut self, from: usize, end: usize, env: &Env, outputs: &mut Outputs) {
        if from >= end {
            return;
        }
        if let Some(star) = self.star(from, end) {
            self.star_item(from, star, end, env, outputs);
            return;
        }
        // `name: expression`.
        if self.name(from).is_some() && self.is_symbol(from + 1, ":") {
            self.expression(from + 2, end, env, false);
            if let Some(name) = self.name(from) {
                let column = self.output(name.clone(), from, OutputForm::Alias, None);
                outputs.columns.push((name, column));
            }
            return;
        }
        let last = end - 1;
        if self.is_alias(from, last)
            && let Some(name) = self.name(last)
        {
            let stop = match self.is_word(last - 1, "AS") {
                true => last - 1,
                false => last,
            };
            let source = self.whole_column(from, stop, env).and_then(|(_, _, c)| c);
            self.expression(from, stop, env, false);
            let column = self.output(name.clone(), last, OutputForm::Alias, source);
            outputs.columns.push((name, column));
            return;
        }
        match self.whole_column(from, end, env) {
            Some((name, token, source))
                if !self.is_one_of(token, &ENDS) || self.is_quoted(token) =>
            {
                let before = self.out.uses.len();
                self.expression(from, end, env, false);
                // The name of the column is the name of the item.
                let range = self.range(token);
                for found in self.out.uses.iter_mut().skip(before) {
                    if found.range == range && matches!(found.target, Target::Column(_)) {
                        found.form = Form::Item;
                    }
                }
                let column = self.output(name.clone(), token, OutputForm::Plain, source);
                outputs.columns.push((name, column));
            }
            _ => {
                self.expression(from, end, env, false);
                // The engine makes up a name.
                outputs.open = true;
            }
        }
    }

    /// Whether the last token of an item is its alias.
    fn is_alias(&self, from: usize, last: usize) -> bool {
        if last <= from || self.name(last).is_none() {
            return false;
        }
        let before = last - 1;
        if self.is_word(before, "AS") {
            return true;
        }
        if self.is_one_of(last, &ENDS) && !self.is_quoted(last) {
            return false;
        }
        // `INTERVAL 1 DAY`, `x COLLATE NOCASE`, `CASE … END` and operators leave no room for one.
        if last >= 2 && (self.is_word(last - 2, "INTERVAL") || self.is_word(before, "COLLATE")) {
            return false;
        }
        let operand = self.name(before).is_some()
            && !self.is_one_of(
                before,
                &[
                    "NOT",
                    "AND",
                    "OR",
                    "IS",
                    "IN",
                    "LIKE",
                    "ILIKE",
                    "BETWEEN",
                    "CASE",
                    "WHEN",
                    "THEN",
                    "ELSE",
                    "DISTINCT",
                    "FROM",
                    "INTERVAL",
                    "DATE",
                    "TIMESTAMP",
                ],
            );
        let literal = self.tokens.get(before).is_some_and(|t| {
            use mxcp_syntax::sql::TokenKind;
            matches!(
                t.kind,
                TokenKind::Number | TokenKind::String | TokenKind::Parameter
            )
        });
        operand || literal || self.closes(before)
    }

    /// The star of `*` and `t.*`, when the item is one.
    fn star(&self, from: usize, end: usize) -> Option<usize> {
        let star = if self.is_symbol(from, "*") {
            from
        } else if self.name(from).is_some()
            && self.is_symbol(from + 1, ".")
            && self.is_symbol(from + 2, "*")
        {
            from + 2
        } else if self.name(from).is_some() && self.is_symbol(from + 1, ".*") {
            from + 1
        } else {
            return None;
        };
        (star < end).then_some(star)
    }

    fn star_item(
        &mut self,
        from: usize,
        star: usize,
        end: usize,
        env: &Env,
        outputs: &mut Outputs,
    ) {
        let mut all = Outputs::default();
        if star == from {
            all = self.everything(env);
        } else {
            let qualifier = self.name(from).unwrap_or_default().to_lowercase();
            let found = env
                .tables
                .iter()
                .find(|(t, _)| t.name == qualifier)
                .cloned();
            match found {
                Some((table, alias)) => {
                    if let Some(alias) = alias {
                        self.note(
                            self.range(from),
                            Target::Alias(alias),
                            Role::Reference,
                            Form::Plain,
                        );
                    } else if let Some(symbol) = table.symbol.clone() {
                        self.note(
                            self.range(from),
                            Target::Symbol(symbol),
                            Role::Reference,
                            Form::Plain,
                        );
                    }
                    self.all_of(&table, &mut all);
                }
                None => all.open = true,
            }
        }
        let mut at = star + 1;
        while at < end {
            let word = self.word(at).map(str::to_uppercase).unwrap_or_default();
            if !self.is_symbol(at + 1, "(") {
                at += 1;
                continue;
            }
            let close = self.closing(at + 1, end);
            match word.as_str() {
                "EXCLUDE" | "EXCEPT" => {
                    for i in at + 2..close {
                        let Some(name) = self.name(i) else { continue };
                        if let Some((_, column)) = all
                            .columns
                            .iter()
                            .find(|(n, _)| n.eq_ignore_ascii_case(&name))
                            .cloned()
                        {
                            self.note(
                                self.range(i),
                                Target::Column(column),
                                Role::Reference,
                                Form::Plain,
                            );
                        }
                        all.columns.retain(|(n, _)| !n.eq_ignore_ascii_case(&name));
                    }
                }
                "REPLACE" | "RENAME" => {
                    self.replaced(at + 2, close, word == "RENAME", env, &mut all);
                }
                _ => self.expression(at + 2, close, env, false),
            }
            at = close + 1;
        }
        outputs.open |= all.open;
        outputs.columns.extend(all.columns);
    }

    /// `expression AS name, …` of `REPLACE`, `old AS new, …` of `RENAME`.
    fn replaced(&mut self, from: usize, end: usize, renames: bool, env: &Env, all: &mut Outputs) {
        let mut at = from;
        while at < end {
            let stop = self.find_symbol(at, end, ",");
            if stop > at + 1
                && self.is_word(stop.saturating_sub(2), "AS")
                && let Some(name) = self.name(stop - 1)
            {
                self.expression(at, stop - 2, env, false);
                let replaced = if renames {
                    self.name(at)
                } else {
                    Some(name.clone())
                };
                let place = replaced.and_then(|r| {
                    all.columns
                        .iter()
                        .position(|(n, _)| n.eq_ignore_ascii_case(&r))
                });
                if renames {
                    let column = self.output(name.clone(), stop - 1, OutputForm::Alias, None);
                    if let Some(place) = place {
                        all.columns[place] = (name, column);
                    }
                } else if let Some(place) = place {
                    let column = all.columns[place].1.clone();
                    self.note(
                        self.range(stop - 1),
                        Target::Column(column),
                        Role::Reference,
                        Form::Plain,
                    );
                }
            }
            at = stop + 1;
        }
    }
}
