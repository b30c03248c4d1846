//! The tokens of SQL, as far as the rules need them, and the relations that stand among them.
//!
//! Where a comma or a name could be either a relation or not, it is taken for one.

use super::super::rollback::{blank_end, quoted_end};
use super::Relation;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word, in lower case.
    Word(String),
    /// A quoted name.
    Name(String),
    /// A text.
    Text(String),
    Mark(char),
}

impl Token {
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Word(word) if word == wanted)
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Text(text) => Some(text),
            Self::Mark(_) => None,
        }
    }
}

pub(super) fn tokens(sql: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = blank_end(rest);
        if blank > 0 {
            at += blank;
            continue;
        }
        let end = quoted_end(rest);
        if end > 0 {
            push(&mut out, rest.get(..end).unwrap_or_default());
            at += end;
            continue;
        }
        let Some(next) = rest.chars().next() else {
            break;
        };
        if next.is_alphabetic() {
            // Letters beyond ASCII begin a word, too.
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(rest.len());
            out.push(Token::Word(
                rest.get(..end).unwrap_or_default().to_lowercase(),
            ));
            at += end;
            continue;
        }
        if !next.is_whitespace() {
            out.push(Token::Mark(next));
        }
        at += next.len_utf8();
    }
    out
}

fn push(out: &mut Vec<Token>, piece: &str) {
    let inner = |open: usize, close: usize| {
        let end = piece.len().saturating_sub(close).max(open);
        piece.get(open..end).unwrap_or_default().to_owned()
    };
    // A doubled quote makes two pieces of one token.
    match (piece.as_bytes(), out.last_mut()) {
        ([b'\'', ..], Some(Token::Text(text))) => {
            text.push('\'');
            text.push_str(&inner(1, 1));
        }
        ([b'"', ..], Some(Token::Name(name))) => {
            name.push('"');
            name.push_str(&inner(1, 1));
        }
        ([b'\'', ..], _) => out.push(Token::Text(inner(1, 1))),
        ([b'"', ..], _) => out.push(Token::Name(inner(1, 1))),
        ([b'e' | b'E', b'\'', ..], _) => out.push(Token::Text(inner(2, 1))),
        ([b'$', ..], _) => {
            let tag = piece
                .get(1..)
                .and_then(|rest| rest.find('$'))
                .map_or(0, |at| at + 2);
            out.push(Token::Text(inner(tag, tag)));
        }
        _ => out.push(Token::Word(piece.to_lowercase())),
    }
}

/// What rows may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Relation(Relation),
    Function(String),
}

/// Words after which relations follow.
const BEGIN: [&str; 10] = [
    "describe",
    "desc",
    "from",
    "join",
    "pivot",
    "show",
    "summarize",
    "table",
    "unpivot",
    "using",
];

/// Words that end a list of relations.
const END: [&str; 21] = [
    "as",
    "except",
    "group",
    "having",
    "intersect",
    "into",
    "limit",
    "on",
    "order",
    "pragma",
    "qualify",
    "returning",
    "sample",
    "select",
    "set",
    "union",
    "values",
    "when",
    "where",
    "window",
    "with",
];

/// The relations of a statement, those that merely look like one included.
pub(super) fn relations(all: &[Token]) -> Vec<Source> {
    let mut out = Vec::new();
    // Whether relations are listed, for every open parenthesis.
    let mut listed = vec![false];
    let mut previous: Option<&Token> = None;
    let mut at = 0;
    while let Some(token) = all.get(at) {
        let here = listed.last().copied().unwrap_or_default();
        match token {
            Token::Mark('(') => {
                // The parentheses of a call hold arguments.
                let called = previous.is_some_and(|p| {
                    matches!(p, Token::Word(word)
                    if !BEGIN.contains(&word.as_str()) && !END.contains(&word.as_str()))
                        || matches!(p, Token::Name(_))
                });
                listed.push(here && !called);
            }
            Token::Mark(')') if listed.len() > 1 => {
                listed.pop();
            }
            // `CREATE TABLE` and its like name no source of rows.
            Token::Word(word)
                if word == "table" && previous.is_some_and(|p| p.name().is_some_and(is_verb)) =>
            {
                set(&mut listed, false);
            }
            Token::Word(word) if BEGIN.contains(&word.as_str()) => set(&mut listed, true),
            // `AS` names a relation that was read already; its columns may follow.
            Token::Word(word) if word != "as" && END.contains(&word.as_str()) => {
                set(&mut listed, false);
            }
            token if here && token.name().is_some() => {
                let (source, next) = source(all, at);
                out.extend(source);
                previous = all.get(next - 1);
                at = next;
                continue;
            }
            _ => {}
        }
        previous = Some(token);
        at += 1;
    }
    out
}

fn is_verb(word: &str) -> bool {
    matches!(
        word,
        "create"
            | "alter"
            | "drop"
            | "truncate"
            | "temp"
            | "temporary"
            | "replace"
            | "on"
            | "analyze"
    )
}

fn set(listed: &mut [bool], value: bool) {
    if let Some(last) = listed.last_mut() {
        *last = value;
    }
}

// `name`, `schema.name`, `database.schema.name` or a function, and where to go on.
fn source(all: &[Token], from: usize) -> (Option<Source>, usize) {
    let mut parts = Vec::new();
    let mut at = from;
    while let Some(name) = all.get(at).and_then(Token::name) {
        parts.push(name.to_owned());
        at += 1;
        match all.get(at) {
            Some(Token::Mark('.')) => at += 1,
            _ => break,
        }
    }
    let name = parts.pop().unwrap_or_default();
    let follows_item = from > 0
        && all.get(from - 1).is_some_and(|token| match token {
            Token::Mark(mark) => matches!(mark, ',' | '('),
            Token::Word(word) => BEGIN.contains(&word.as_str()) || word == "lateral",
            _ => false,
        });
    if matches!(all.get(at), Some(Token::Mark('('))) {
        // Columns may follow the name that a relation gets; a function stands where a relation begins.
        let function = follows_item.then(|| Source::Function(name.to_lowercase()));
        return (function, at);
    }
    let schema = parts.pop().unwrap_or_default();
    let database = parts.pop().unwrap_or_default();
    (
        Some(Source::Relation(Relation {
            database,
            schema,
            name,
        })),
        at,
    )
}
