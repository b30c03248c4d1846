//! Types the statements of a request, one after the other, without running any.

use mxcp_artifact::{Column, Relation, RelationKind, RelationName, SqlType};

use crate::analyze::Parsed;
use crate::details::Item;
use crate::errors::{Fail, RawError};
use crate::mask::{Target, collect};
use crate::names::{has_word, mentioned};
use crate::request::{BindOutcome, BindRequest, SqlError, SqlErrorKind, StatementKind};
use crate::samples::{FIRST, NULLS, Samples, literal};
use crate::slot::Slot;
use crate::tokens::TokenKind;

/// What one statement comes to.
enum Typed {
    Columns(Vec<Column>),
    Failed(Vec<SqlError>),
    Opaque(String),
}

/// Types a text that `analyze::parse` took apart.
pub(crate) fn bind(
    slot: &mut Slot,
    sql: &str,
    (statements, syntax): (&[Parsed], &[SqlError]),
    request: &BindRequest,
) -> BindOutcome {
    if let Err(reason) = slot.declare(&request.relations, &request.functions, &mentioned(sql)) {
        return match syntax.is_empty() {
            true => BindOutcome::opaque(reason),
            false => BindOutcome::Failed(syntax.to_vec()),
        };
    }
    let mut errors = syntax.to_vec();
    let binder = Statements { sql, request };
    let mut outcome = Typed::Columns(Vec::new());
    // Relations that earlier statements create, declared for the later ones and dropped at the end.
    let mut temporary: Vec<RelationName> = Vec::new();
    let mut unknown_state = !errors.is_empty();
    for parsed in statements {
        let typed = binder.statement(slot, parsed);
        outcome = match typed {
            Typed::Failed(found) if unknown_state => {
                let _ = found;
                Typed::Opaque("an earlier statement changes what it can see".into())
            }
            Typed::Failed(found) => {
                errors.extend(found);
                Typed::Columns(Vec::new())
            }
            other => other,
        };
        match (&parsed.statement.kind, &outcome) {
            (StatementKind::Create, Typed::Columns(columns)) => {
                let created = binder.created(slot, parsed, columns);
                unknown_state |= created.is_none();
                temporary.extend(created);
                outcome = Typed::Columns(Vec::new());
            }
            (
                StatementKind::Select
                | StatementKind::Insert
                | StatementKind::Update
                | StatementKind::Delete,
                _,
            )
            | (StatementKind::Transaction | StatementKind::Explain, _) => {}
            _ => unknown_state = true,
        }
    }
    for name in temporary {
        if slot.forget(&name).is_err() {
            slot.poisoned = true;
        }
    }
    if !errors.is_empty() {
        errors.extend(undeclared(sql, statements, request));
        errors.sort_by_key(|e| e.range.as_ref().map_or(u32::MAX, |r| r.start));
        return BindOutcome::Failed(errors);
    }
    let missing = undeclared(sql, statements, request);
    if !missing.is_empty() {
        return BindOutcome::Failed(missing);
    }
    match outcome {
        Typed::Columns(columns) => BindOutcome::Bound { columns },
        Typed::Failed(errors) => BindOutcome::Failed(errors),
        Typed::Opaque(reason) => BindOutcome::Opaque { reason },
    }
}

/// Parameters that get no value; the engine refuses to run without.
fn undeclared(sql: &str, statements: &[Parsed], request: &BindRequest) -> Vec<SqlError> {
    let mut errors = Vec::new();
    for parsed in statements {
        // `$x` also reads the variable of that name, which `SET VARIABLE` makes.
        if parsed.statement.kind == StatementKind::Set {
            break;
        }
        for name in &parsed.parameters {
            if request
                .parameters
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name))
            {
                continue;
            }
            let place = parsed.tokens.iter().find(|t| {
                t.kind == TokenKind::Parameter
                    && t.text(sql)
                        .get(1..)
                        .is_some_and(|n| n.eq_ignore_ascii_case(name))
                    || t.is_symbol(sql, "?")
            });
            errors.push(SqlError {
                kind: SqlErrorKind::Other,
                message: format!("no value is given for the parameter `${name}`"),
                range: place.map(crate::tokens::Token::range),
                name: Some(name.clone()),
                candidates: Vec::new(),
            });
        }
    }
    errors
}

struct Statements<'a> {
    sql: &'a str,
    request: &'a BindRequest,
}

impl Statements<'_> {
    fn statement(&self, slot: &mut Slot, parsed: &Parsed) -> Typed {
        let (start, end) = parsed.span();
        match parsed.statement.kind {
            StatementKind::Select => {
                let changes = !parsed.statement.details.changes.is_empty();
                match (&parsed.statement.opaque, changes) {
                    (Some(reason), false) if parsed.tree.is_some() => {
                        self.mistakes(slot, parsed, reason)
                    }
                    (Some(reason), _) => Typed::Opaque(reason.clone()),
                    (None, true) => self.change(slot, parsed),
                    (None, false) => self.query(slot, parsed, start, end),
                }
            }
            StatementKind::Insert | StatementKind::Update | StatementKind::Delete => {
                self.change(slot, parsed)
            }
            StatementKind::Create => match (&parsed.statement.opaque, parsed.inner) {
                (Some(reason), Some(_)) => Typed::Opaque(reason.clone()),
                (None, Some((start, end))) => self.query(slot, parsed, start, end),
                _ => Typed::Opaque("a definition is not typed before it runs".into()),
            },
            StatementKind::Explain => Typed::Opaque("the plan of a query is not typed".into()),
            StatementKind::Call => Typed::Opaque("`CALL` is not typed before it runs".into()),
            StatementKind::Pragma => Typed::Opaque("`PRAGMA` is not typed before it runs".into()),
            StatementKind::Other(ref word) if word == "MERGE" => self.merge(slot, parsed),
            StatementKind::Other(ref word) => {
                Typed::Opaque(format!("`{word}` is not typed before it runs"))
            }
            _ => Typed::Columns(Vec::new()),
        }
    }

    fn query(&self, slot: &mut Slot, parsed: &Parsed, start: usize, end: usize) -> Typed {
        let samples = Samples::new(&self.request.parameters);
        let text = self.sql.get(start..end).unwrap_or_default();
        let depends = || Typed::Opaque("its columns depend on the value of a parameter".into());
        match settle(slot, &samples, text, Slot::describe) {
            // A field that exists for no sample is still NULL of NULL.
            Settled::Ok(columns, NULLS) if columns.iter().any(|c| c.ty == SqlType::Null) => {
                depends()
            }
            Settled::Ok(columns, _) => {
                if parsed.value_matters
                    && let Ok(others) = slot.describe(text, &samples.arguments(text, NULLS))
                    && !same_shape(&columns, &others)
                {
                    return depends();
                }
                Typed::Columns(as_written(columns, &parsed.statement.details.items))
            }
            Settled::Opaque(reason) => Typed::Opaque(reason),
            Settled::Failed(error, set) => {
                let mut probe = |text: &str| {
                    let arguments = samples.arguments(text, set);
                    slot.describe(text, &arguments).map(|_| ())
                };
                Typed::Failed(self.errors(parsed, start, end, error, &mut probe))
            }
        }
    }

    /// A query whose columns cannot be known may still have errors that can: calls that fit no
    /// function, names outside of what is chosen at run time.
    fn mistakes(&self, slot: &mut Slot, parsed: &Parsed, reason: &str) -> Typed {
        let (start, end) = parsed.span();
        match self.query(slot, parsed, start, end) {
            Typed::Failed(errors)
                if errors.iter().all(|e| {
                    let named = !matches!(e.kind, SqlErrorKind::Binder | SqlErrorKind::Other);
                    // What is chosen at run time is not here: its names are unknown for that reason.
                    // A text that is no SQL is none whatever there is.
                    let unknown = named && e.kind != SqlErrorKind::Syntax;
                    !(unknown && reason.contains("chooses")) && e.range.is_some()
                }) =>
            {
                Typed::Failed(errors)
            }
            _ => Typed::Opaque(reason.to_owned()),
        }
    }

    /// A statement that changes data: planned for its errors, its result read off `RETURNING`.
    fn change(&self, slot: &mut Slot, parsed: &Parsed) -> Typed {
        let (start, end) = parsed.span();
        let samples = Samples::new(&self.request.parameters);
        let text = self.sql.get(start..end).unwrap_or_default();
        // Which keys a relation has is not known here: it has the one that is asked for.
        let keyed = parsed
            .statement
            .details
            .conflict
            .as_ref()
            .is_some_and(|c| slot.add_key(&c.relation, &c.columns));
        let planned = settle(slot, &samples, text, Slot::plan);
        let outcome = self.planned(slot, parsed, &samples, planned);
        if keyed {
            slot.drop_key();
        }
        outcome
    }

    fn planned(
        &self,
        slot: &mut Slot,
        parsed: &Parsed,
        samples: &Samples<'_>,
        planned: Settled<()>,
    ) -> Typed {
        let (start, end) = parsed.span();
        match planned {
            Settled::Failed(error, set) => {
                let mut probe = |text: &str| slot.plan(text, &samples.arguments(text, set));
                return Typed::Failed(self.errors(parsed, start, end, error, &mut probe));
            }
            Settled::Opaque(reason) if parsed.statement.kind == StatementKind::Select => {
                return Typed::Opaque(reason);
            }
            // The result of a data change has the same form whatever the values are.
            Settled::Opaque(_) | Settled::Ok(..) => {}
        }
        if parsed.statement.kind != StatementKind::Select
            && !has_word(self.sql, &parsed.tokens, "RETURNING")
        {
            return Typed::Columns(vec![count_column()]);
        }
        let Some(query) = crate::returning::as_query(self.sql, &parsed.tokens) else {
            return Typed::Opaque("the columns of `RETURNING` are not known before it runs".into());
        };
        match settle(slot, samples, &query, Slot::describe) {
            Settled::Ok(columns, _) => Typed::Columns(columns),
            _ => Typed::Opaque("the columns of `RETURNING` are not known before it runs".into()),
        }
    }

    /// `MERGE` cannot be prepared, so its parameters become constants in the text.
    fn merge(&self, slot: &mut Slot, parsed: &Parsed) -> Typed {
        let (start, end) = parsed.span();
        let mut text = String::new();
        let mut at = start;
        let parameters = parsed
            .tokens
            .iter()
            .filter(|t| t.kind == TokenKind::Parameter);
        for token in parameters {
            let name = token.text(self.sql).get(1..).unwrap_or_default();
            text.push_str(self.sql.get(at..token.start).unwrap_or_default());
            text.push_str(&literal(&self.request.parameters, name));
            at = token.end;
        }
        text.push_str(self.sql.get(at..end).unwrap_or_default());
        match slot.explain(&text) {
            Ok(()) if has_word(self.sql, &parsed.tokens, "RETURNING") => {
                Typed::Opaque("the columns of `RETURNING` are not known before it runs".into())
            }
            Ok(()) => Typed::Columns(vec![count_column()]),
            Err(error) => match error.opaque_reason() {
                Some(reason) => Typed::Opaque(reason),
                None if !parsed.parameters.is_empty() => {
                    Typed::Opaque("a `MERGE` with parameters is not checked before it runs".into())
                }
                None => {
                    let mut probe = |text: &str| slot.explain(text);
                    Typed::Failed(self.errors(parsed, start, end, error, &mut probe))
                }
            },
        }
    }

    fn errors(
        &self,
        parsed: &Parsed,
        start: usize,
        end: usize,
        error: Fail,
        probe: &mut crate::mask::Probe<'_>,
    ) -> Vec<SqlError> {
        let target = Target {
            sql: self.sql,
            start,
            end,
            tokens: &parsed.tokens,
            tree: parsed.tree.as_ref().map(|(tree, base)| (tree, *base)),
        };
        collect(&target, error, probe)
    }

    /// Declares what a `CREATE … AS` leaves behind.
    fn created(
        &self,
        slot: &mut Slot,
        parsed: &Parsed,
        columns: &[Column],
    ) -> Option<RelationName> {
        let created = parsed.creates.as_ref().filter(|_| parsed.inner.is_some())?;
        if has_word(self.sql, &parsed.tokens, "EXISTS") {
            // An older relation of that name may have other columns.
            return None;
        }
        let relation = Relation {
            name: RelationName::in_schema(
                created.schema.as_deref().unwrap_or("main"),
                created.name.as_str(),
            ),
            kind: match created.is_view {
                true => RelationKind::View,
                false => RelationKind::Table,
            },
            columns: columns.to_vec(),
        };
        let folded = relation.name.folded();
        slot.forget(&folded).ok()?;
        match slot.create(folded.clone(), &relation) {
            Ok(()) => Some(folded),
            Err(_) => None,
        }
    }
}

/// `DESCRIBE` may spell an alias as the column it hides; results have it as written.
fn as_written(mut columns: Vec<Column>, items: &[Item]) -> Vec<Column> {
    let first = items.iter().position(|i| i.is_star);
    let last = items.iter().rposition(|i| i.is_star);
    let rename = |column: Option<&mut Column>, item: &Item| {
        if let (Some(column), Some(name)) = (column, &item.name)
            && item.column.last().is_none_or(|c| c != name)
            && column.name != *name
            && column.name.eq_ignore_ascii_case(name)
        {
            column.name.clone_from(name);
        }
    };
    for (i, item) in items.iter().enumerate().take(first.unwrap_or(items.len())) {
        rename(columns.get_mut(i), item);
    }
    if let Some(last) = last {
        for (back, item) in items.iter().rev().enumerate().take(items.len() - last - 1) {
            let at = columns.len().checked_sub(back + 1);
            rename(at.and_then(|i| columns.get_mut(i)), item);
        }
    }
    columns
}

fn count_column() -> Column {
    Column {
        name: "Count".into(),
        ty: SqlType::BigInt,
        nullable: true,
    }
}

/// With the set of samples that led to it.
enum Settled<T> {
    Ok(T, usize),
    Failed(Fail, usize),
    Opaque(String),
}

/// Tries samples until one succeeds. An error counts only when no sample avoids or changes it.
fn settle<T>(
    slot: &mut Slot,
    samples: &Samples<'_>,
    text: &str,
    attempt: fn(&mut Slot, &str, &str) -> Result<T, Fail>,
) -> Settled<T> {
    let arguments = samples.arguments(text, FIRST);
    let first = match attempt(slot, text, &arguments) {
        Ok(value) => return Settled::Ok(value, FIRST),
        Err(error) => error,
    };
    if first.is_fatal() {
        return Settled::Opaque(format!("the engine cannot bind it: {}", first.message));
    }
    if let Some(reason) = first.opaque_reason() {
        return Settled::Opaque(reason);
    }
    if arguments.is_empty() || is_about_a_name(&first) {
        return Settled::Failed(first, FIRST);
    }
    let mut same = true;
    for set in samples.others() {
        match attempt(slot, text, &samples.arguments(text, set)) {
            Ok(value) => return Settled::Ok(value, set),
            Err(error) if is_about_a_name(&error) => return Settled::Failed(error, set),
            // The types of the samples are part of a call's signature: their width is no evidence.
            Err(error) => same &= error.message == first.message || error.call.is_some(),
        }
    }
    match same {
        true => Settled::Failed(first, FIRST),
        false => Settled::Opaque("it depends on the value of a parameter".into()),
    }
}

/// No value of a parameter makes an unknown name known. A struct field may be chosen by one.
fn is_about_a_name(error: &RawError) -> bool {
    error.start.is_some()
        && matches!(
            error.kind(),
            SqlErrorKind::UnknownTable
                | SqlErrorKind::UnknownColumn
                | SqlErrorKind::UnknownFunction
                | SqlErrorKind::Ambiguous
                | SqlErrorKind::Syntax
        )
}

/// Equal names and types; the scale of a decimal may follow a value, and what the engine makes of
/// a NULL may have no type.
fn same_shape(columns: &[Column], of_nulls: &[Column]) -> bool {
    let decimal = |ty: &SqlType| matches!(ty, SqlType::Decimal(..));
    columns.len() == of_nulls.len()
        && columns.iter().zip(of_nulls).all(|(l, r)| {
            let same = l.ty == r.ty || r.ty == SqlType::Null || decimal(&l.ty) && decimal(&r.ty);
            l.name == r.name && same
        })
}
