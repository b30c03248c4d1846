//! The reader of one text: tokens in, uses, outputs and scopes out.

use std::ops::Range;

use mxcp_syntax::sql::{Token, TokenKind, identifier, tokens};

use crate::symbol::{Form, LocalKind, Role, Symbol};

/// What the text can see beside its own names.
pub trait Catalog {
    /// The relation that a dotted name at an offset stands for.
    fn relation(&self, parts: &[String], at: u32) -> Option<Table>;
}

/// A column as the text sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// Of a stored relation.
    Known(Symbol),
    /// The output with this number of a query in the text.
    Output(usize),
}

/// A relation that is visible somewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The name it is qualified by, folded.
    pub name: String,
    pub symbol: Option<Symbol>,
    pub columns: Vec<(String, Column)>,
    /// There may be columns that are not listed.
    pub open: bool,
}

/// A column of some query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    /// The place that names it.
    pub range: Range<u32>,
    pub form: OutputForm,
    /// The column it is, when it is nothing else.
    pub source: Option<Column>,
    /// It belongs to the text's result.
    pub is_result: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// `… AS name`.
    Alias,
    /// `name` or `t.name`.
    Plain,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Symbol(Symbol),
    Column(Column),
    Parameter(String),
    Cte(usize),
    Alias(usize),
}

/// A name in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub range: Range<u32>,
    pub target: Target,
    pub role: Role,
    pub form: Form,
}

/// A part of the text with the names that can be used there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub range: Range<u32>,
    pub tables: Vec<Table>,
    /// Names of common table expressions.
    pub ctes: Vec<String>,
}

/// Everything about one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    pub uses: Vec<Use>,
    pub outputs: Vec<Output>,
    /// The columns of the result, in order.
    pub result: Vec<(String, Column)>,
    /// The result may have more of them.
    pub open: bool,
    /// From the widest to the narrowest.
    pub scopes: Vec<Scope>,
    pub(crate) ctes: Vec<Cte>,
    pub(crate) aliases: Vec<Alias>,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cte {
    pub(crate) name: String,
    pub(crate) range: Range<u32>,
    /// Its query with the brackets, when they are closed.
    pub(crate) body: Option<Range<u32>>,
    /// It belongs to a statement, not to a query inside one.
    pub(crate) is_outermost: bool,
}

/// Another name for a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) range: Range<u32>,
    /// What it stands for, when that has a name.
    pub(crate) of: Option<Target>,
}

impl Resolved {
    /// Where a local name is defined.
    pub fn local(&self, target: &Target) -> Option<(LocalKind, Range<u32>)> {
        match target {
            Target::Cte(i) => Some((LocalKind::Cte, self.ctes.get(*i)?.range.clone())),
            Target::Alias(i) => Some((LocalKind::Alias, self.aliases.get(*i)?.range.clone())),
            Target::Column(Column::Output(i)) => {
                Some((LocalKind::Column, self.outputs.get(*i)?.range.clone()))
            }
            _ => None,
        }
    }
}

/// Deeper brackets are not followed: the stack is finite.
const MAX_DEPTH: usize = 100;

/// Reads a text.
pub fn resolve(text: &str, catalog: &dyn Catalog) -> Resolved {
    let tokens: Vec<Token> = tokens(text)
        .into_iter()
        .filter(|t| t.kind != TokenKind::Comment)
        .collect();
    let mut reader = Reader {
        text,
        tokens,
        catalog,
        out: Resolved::default(),
        depth: 0,
    };
    let mut at = 0;
    while at < reader.tokens.len() {
        let end = reader.find_symbol(at, reader.tokens.len(), ";");
        let outputs = reader.statement(at, end);
        if !outputs.columns.is_empty() || outputs.open {
            for (_, column) in &outputs.columns {
                if let Column::Output(i) = column
                    && let Some(output) = reader.out.outputs.get_mut(*i)
                {
                    output.is_result = true;
                }
            }
            reader.out.result = outputs.columns;
            reader.out.open = outputs.open;
        }
        at = end + 1;
    }
    reader
        .out
        .scopes
        .sort_by_key(|s| std::cmp::Reverse(s.range.end - s.range.start));
    reader.out
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) catalog: &'a dyn Catalog,
    pub(super) out: Resolved,
    depth: usize,
}

/// The columns of a query.
#[derive(Clone, Debug, Default)]
pub(super) struct Outputs {
    pub(super) columns: Vec<(String, Column)>,
    pub(super) open: bool,
}

/// The names that one query sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Env {
    /// Common table expressions, the nearest last.
    pub(super) ctes: Vec<(usize, Outputs)>,
    pub(super) tables: Vec<(Table, Option<usize>)>,
    /// The tables of the queries around, the nearest first.
    pub(super) outer: Vec<(Table, Option<usize>)>,
    /// What the select list names, for the clauses that may say it again.
    pub(super) selected: Vec<(String, Column)>,
}

impl Env {
    /// What a query inside this one sees to begin with.
    pub(super) fn inner(&self) -> Self {
        let mut outer = self.tables.clone();
        outer.extend(self.outer.iter().cloned());
        Self {
            ctes: self.ctes.clone(),
            outer,
            ..Self::default()
        }
    }
}

impl Reader<'_> {
    pub(super) fn word(&self, i: usize) -> Option<&str> {
        let token = self.tokens.get(i)?;
        (token.kind == TokenKind::Word).then(|| &self.text[token.range])
    }

    pub(super) fn is_word(&self, i: usize, word: &str) -> bool {
        self.word(i).is_some_and(|w| w.eq_ignore_ascii_case(word))
    }

    pub(super) fn is_one_of(&self, i: usize, words: &[&str]) -> bool {
        self.word(i)
            .is_some_and(|w| words.iter().any(|word| w.eq_ignore_ascii_case(word)))
    }

    pub(super) fn is_symbol(&self, i: usize, symbol: &str) -> bool {
        self.tokens
            .get(i)
            .is_some_and(|t| t.kind == TokenKind::Symbol && &self.text[t.range] == symbol)
    }

    /// Whether a word goes on a dotted name. A keyword behind a dot and a blank does not: the name is
    /// being typed.
    pub(super) fn is_field(&self, i: usize) -> bool {
        if i == 0 || !self.is_symbol(i - 1, ".") {
            return false;
        }
        let adjacent = match (self.tokens.get(i - 1), self.tokens.get(i)) {
            (Some(dot), Some(word)) => dot.range.end() == word.range.start(),
            _ => false,
        };
        adjacent
            || !self.is_one_of(
                i,
                &[
                    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT",
                    "JOIN", "LEFT", "INNER", "ON", "AND", "OR", "UNION",
                ],
            )
    }

    /// The name at a token, as written without quotes.
    pub(super) fn name(&self, i: usize) -> Option<String> {
        identifier(self.text, *self.tokens.get(i)?).map(|name| name.into_owned())
    }

    pub(super) fn is_quoted(&self, i: usize) -> bool {
        self.tokens
            .get(i)
            .is_some_and(|t| t.kind == TokenKind::QuotedIdentifier)
    }

    pub(super) fn range(&self, i: usize) -> Range<u32> {
        self.tokens
            .get(i)
            .map_or(0..0, |t| t.range.start().into()..t.range.end().into())
    }

    /// The bytes from one token to before another.
    pub(super) fn span(&self, from: usize, to: usize) -> Range<u32> {
        let start = self.range(from).start;
        // A clause reaches to where the next one starts: a name may be typed in between.
        let end = match self.tokens.get(to) {
            Some(token) => token.range.start().into(),
            None => u32::try_from(self.text.len()).unwrap_or(u32::MAX),
        };
        start..end.max(start)
    }

    pub(super) fn opens(&self, i: usize) -> bool {
        ["(", "[", "{"].iter().any(|s| self.is_symbol(i, s))
    }

    pub(super) fn closes(&self, i: usize) -> bool {
        [")", "]", "}"].iter().any(|s| self.is_symbol(i, s))
    }

    /// The closing bracket for an opening one, or the end.
    pub(super) fn closing(&self, open: usize, end: usize) -> usize {
        let mut depth = 0usize;
        for i in open..end {
            if self.opens(i) {
                depth += 1;
            } else if self.closes(i) {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i;
                }
            }
        }
        end
    }

    /// The first token of a kind outside brackets.
    pub(super) fn find(&self, from: usize, end: usize, is: impl Fn(usize) -> bool) -> usize {
        let mut i = from;
        while i < end {
            if is(i) {
                return i;
            }
            i = if self.opens(i) {
                self.closing(i, end) + 1
            } else {
                i + 1
            };
        }
        end
    }

    pub(super) fn find_symbol(&self, from: usize, end: usize, symbol: &str) -> usize {
        self.find(from, end, |i| self.is_symbol(i, symbol))
    }

    pub(super) fn note(&mut self, range: Range<u32>, target: Target, role: Role, form: Form) {
        self.out.uses.push(Use {
            range,
            target,
            role,
            form,
        });
    }

    /// Whether this is a statement's own query.
    pub(super) fn is_outermost(&self) -> bool {
        self.depth == 1
    }

    /// Runs a deeper step, unless the text is nested beyond reason.
    pub(super) fn deeper<T: Default>(&mut self, step: impl FnOnce(&mut Self) -> T) -> T {
        if self.depth >= MAX_DEPTH {
            return T::default();
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }
}
