//! Reads DuckDB's error texts, JSON or plain, into [`SqlError`]s.

use std::ops::Range;

use serde_json::Value;

use crate::request::{SqlError, SqlErrorKind};

/// One error as the engine gave it, positions still in the text that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawError {
    /// DuckDB's exception class: `Binder`, `Catalog`, `Conversion`, …
    pub class: String,
    pub subtype: String,
    /// For catalogue errors: `Table`, `Scalar Function`, `Type`, …
    pub entry: String,
    pub message: String,
    pub name: Option<String>,
    pub candidates: Vec<String>,
    /// The signature of a call no overload accepts.
    pub call: Option<String>,
    pub start: Option<usize>,
    pub len: usize,
}

/// Boxed, because it is large and most calls succeed.
pub(crate) type Fail = Box<RawError>;

impl RawError {
    /// Reads `Binder Error: {json}`, or the same error as plain text with a caret line.
    pub(crate) fn parse(text: &str, sent: &str) -> Self {
        let json = text
            .find('{')
            .and_then(|at| text.get(at..))
            .and_then(|body| serde_json::from_str::<Value>(body).ok());
        match json {
            Some(value) if value.get("exception_message").is_some() => Self::from_json(&value),
            _ => Self::from_text(text, sent),
        }
    }

    fn from_json(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        Self::finish(
            text("exception_type").unwrap_or_default(),
            &text("exception_message").unwrap_or_default(),
            value,
        )
    }

    /// The error object of `json_serialize_sql`.
    pub(crate) fn from_parts(
        class: &str,
        message: &str,
        location: Option<&str>,
        position: Option<&str>,
    ) -> Self {
        let value = serde_json::json!({ "location": location, "position": position });
        Self::finish(class.to_owned(), message, &value)
    }

    fn finish(class: String, message: &str, value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let span = text("location").and_then(|l| {
            let (start, len) = l.trim_matches(['[', ']']).split_once(',')?;
            Some((start.trim().parse().ok()?, len.trim().parse().ok()?))
        });
        let (start, len) = match span {
            Some((start, len)) => (Some(start), len),
            None => (text("position").and_then(|p| p.parse().ok()), 0),
        };
        let mut candidates = quoted_candidates(message);
        if candidates.is_empty()
            && let Some(list) = text("candidates").filter(|_| text("call").is_none())
        {
            candidates = list
                .split(',')
                .map(|c| c.trim().to_owned())
                .filter(|c| !c.is_empty())
                .collect();
        }
        Self {
            class,
            subtype: text("error_subtype").unwrap_or_default(),
            entry: text("type").unwrap_or_default(),
            message: sentence(message),
            name: text("name"),
            candidates,
            call: text("call"),
            start,
            len,
        }
    }

    fn from_text(text: &str, sent: &str) -> Self {
        let (class, message) = text.split_once(" Error: ").unwrap_or(("", text));
        let mut error = Self::finish(class.to_owned(), message, &Value::Null);
        error.start = caret(text, sent);
        error
    }

    /// Internal and fatal errors leave the database unusable.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(
            self.class.to_ascii_uppercase().as_str(),
            "INTERNAL" | "FATAL" | "TRANSACTIONCONTEXT" | "OUT OF MEMORY" | "INTERRUPT"
        )
    }

    /// Why the error says nothing about the query itself, if so.
    pub(crate) fn opaque_reason(&self) -> Option<String> {
        let named = |what: &str| match &self.name {
            Some(name) => format!("{what} `{name}` is not known at build time"),
            None => format!("{what} is not known at build time"),
        };
        if self.class.eq_ignore_ascii_case("Permission") {
            return Some("it reads a file or the network, which is not done at build time".into());
        }
        if let Some((_, rest)) = self.message.split_once("it exists in the ")
            && let Some((extension, _)) = rest.split_once(" extension")
        {
            return Some(format!("it needs the DuckDB extension `{extension}`"));
        }
        match self.entry.as_str() {
            "Sequence" => Some(named("the sequence")),
            "configuration parameter" => Some(named("the setting")),
            "Secret" => Some(named("the secret")),
            _ if self.message.contains("configuration has been locked") => {
                Some("it changes settings when it is bound".into())
            }
            _ if self.message.contains("does not support time travel") => {
                Some("the versions of a relation are not known at build time".into())
            }
            _ if self.message.contains("UNIQUE/PRIMARY KEY") => {
                Some("the keys of the target table are not known at build time".into())
            }
            _ if self.class.eq_ignore_ascii_case("IO")
                || self.class.eq_ignore_ascii_case("HTTP") =>
            {
                Some("it reads a file or the network, which is not done at build time".into())
            }
            _ if self.class.eq_ignore_ascii_case("Missing Extension") => {
                Some("it needs a DuckDB extension that is not loaded at build time".into())
            }
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> SqlErrorKind {
        let message = self.message.as_str();
        if self.class.eq_ignore_ascii_case("parser") || self.class.eq_ignore_ascii_case("syntax") {
            return SqlErrorKind::Syntax;
        }
        if self.class.eq_ignore_ascii_case("catalog") {
            if matches!(self.entry.as_str(), "Table" | "View")
                || message.starts_with("table with name") && message.contains("does not exist")
            {
                return SqlErrorKind::UnknownTable;
            }
            if matches!(self.entry.as_str(), "Type" | "Collation") {
                return SqlErrorKind::UnknownType;
            }
            if self.entry.ends_with("Function") || self.entry.ends_with("Macro") {
                return SqlErrorKind::UnknownFunction;
            }
            return SqlErrorKind::Other;
        }
        if self.subtype == "COLUMN_NOT_FOUND" || self.missing_name().is_some() {
            return SqlErrorKind::UnknownColumn;
        }
        if message.starts_with("ambiguous reference") {
            return SqlErrorKind::Ambiguous;
        }
        if self.class.eq_ignore_ascii_case("binder") {
            SqlErrorKind::Binder
        } else {
            SqlErrorKind::Other
        }
    }

    /// The name the error is about: given, or quoted in the sentence.
    pub(crate) fn subject(&self) -> Option<String> {
        if let Some(name) = &self.name {
            return Some(name.clone());
        }
        self.missing_name().or_else(|| {
            let relevant = self.message.starts_with("ambiguous reference")
                || self.message.starts_with("table with name")
                || self.message.starts_with("cannot extract field")
                || self.message.starts_with("type with name")
                || self.message.starts_with("collation with name")
                || self.message.starts_with("window \"");
            let text = relevant.then(|| first_quoted(&self.message))??;
            // The catalogue writes a qualified name in one pair of quotes.
            match self.message.starts_with("table with name") {
                true => text.rsplit('.').next().map(str::to_owned),
                false => Some(text),
            }
        })
    }

    // Unknown columns that the engine reports without saying so in a field.
    fn missing_name(&self) -> Option<String> {
        let message = self.message.as_str();
        if let Some((_, rest)) = message.split_once("does not have a column named ") {
            return first_quoted(rest);
        }
        if let Some((_, rest)) = message.split_once("does not have a column with name ") {
            return first_quoted(rest);
        }
        if let Some(rest) = message.strip_prefix("referenced update column ") {
            return rest
                .split_whitespace()
                .next()
                .map(|n| n.trim_matches('"').to_owned());
        }
        let known = [
            "referenced table ",
            "could not find key ",
            "referenced column ",
        ];
        if known.iter().any(|k| message.starts_with(k))
            || message.starts_with("column ")
                && (message.contains("list not found in ")
                    || message.contains("does not exist on "))
        {
            return first_quoted(message)
                .or_else(|| message.split_whitespace().nth(2).map(str::to_owned));
        }
        None
    }

    /// The error with its position moved into the user's text by `locate`.
    pub(crate) fn into_error(self, range: Option<Range<u32>>) -> SqlError {
        let kind = self.kind();
        // Only a query's direct dependencies are in the shadow database: its suggestions are noise.
        let candidates = match kind {
            SqlErrorKind::UnknownTable => Vec::new(),
            _ => self.candidates.clone(),
        };
        SqlError {
            kind,
            name: self.subject(),
            message: self.message,
            range,
            candidates,
        }
    }
}

/// The first sentence or two, without candidates, advice on settings, and the caret block.
fn sentence(message: &str) -> String {
    const ENDS: [&str; 9] = [
        "\nDid you mean",
        "\n\nDid you mean",
        "\nCandidate",
        "\n\nCandidate",
        "\n\tCandidate",
        "\n\nLINE ",
        "\nLINE ",
        "\n\nPlease try",
        "\n*",
    ];
    let end = ENDS.iter().filter_map(|e| message.find(e)).min();
    let text = message
        .get(..end.unwrap_or(message.len()))
        .unwrap_or(message);
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while text.ends_with(['.', '!']) {
        text.pop();
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // An acronym keeps its capitals: `WHERE clause cannot contain …`.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text,
    }
}

fn quoted_candidates(message: &str) -> Vec<String> {
    const LABELS: [&str; 5] = [
        "Candidate bindings:",
        "Candidate tables:",
        "Candidate Entries:",
        "Did you mean:",
        "Did you mean ",
    ];
    let Some(list) = LABELS
        .iter()
        .find_map(|l| message.split_once(l).map(|(_, rest)| rest))
    else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut rest = list.lines().next().unwrap_or_default();
    while let Some((name, after)) = rest.split_once('"').and_then(|(_, r)| r.split_once('"')) {
        names.push(name.to_owned());
        rest = after;
    }
    names
}

fn first_quoted(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(['"', '\''])?;
    rest.split_once(['"', '\''])
        .map(|(name, _)| name.to_owned())
}

// `LINE 2: …` and a caret under the place; the only position a plain-text error has.
fn caret(text: &str, sent: &str) -> Option<usize> {
    let (_, block) = text.split_once("LINE ")?;
    let (number, _) = block.split_once(':')?;
    let line: usize = number.parse().ok()?;
    let mut lines = block.lines();
    let shown = lines.next()?.get(number.len() + 2..)?;
    let column = lines
        .next()?
        .find('^')?
        .checked_sub("LINE ".len() + number.len() + 2)?;
    let start: usize = sent
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let source = sent.get(start..)?.lines().next()?;
    // A long line is shown as an excerpt between dots.
    let excerpt = shown.trim_start_matches("...").trim_end_matches("...");
    let cut = shown.len() - shown.trim_start_matches("...").len();
    let offset = source.find(excerpt.trim_end())?;
    let within = excerpt
        .char_indices()
        .nth(column.checked_sub(cut)?)
        .map_or(excerpt.len(), |c| c.0);
    Some(start + offset + within)
}

#[cfg(test)]
mod tests {
    use super::RawError;
    use crate::request::SqlErrorKind;

    #[test]
    fn json_errors_give_kind_name_place_and_candidates() {
        let text = r#"Binder Error: {"exception_type":"Binder","exception_message":"Referenced column \"foo\" not found in FROM clause!\nCandidate bindings: \"fo\", \"of\"","name":"foo","location":"[29,3]","position":"29","candidates":"fo","error_subtype":"COLUMN_NOT_FOUND"}"#;
        let error = RawError::parse(text, "");
        assert_eq!(error.kind(), SqlErrorKind::UnknownColumn);
        assert_eq!((error.start, error.len), (Some(29), 3));
        assert_eq!(
            error.message,
            "referenced column \"foo\" not found in FROM clause"
        );
        assert_eq!(error.candidates, ["fo", "of"]);
    }

    #[test]
    fn plain_errors_are_placed_by_their_caret() {
        let sent = "select 1,\n  foo from t";
        let text =
            "Parser Error: syntax error at or near \"foo\"\n\nLINE 2:   foo from t\n          ^";
        let error = RawError::parse(text, sent);
        assert_eq!(error.kind(), SqlErrorKind::Syntax);
        assert_eq!(error.start, sent.find("foo"));
    }

    #[test]
    fn what_the_shadow_cannot_know_is_opaque() {
        for (class, entry, message) in [
            ("Permission", "", "Cannot access file \"a\""),
            (
                "Catalog",
                "Sequence",
                "Sequence with name foo does not exist!",
            ),
            (
                "Catalog",
                "",
                "Scalar Function with name \"x\" is not in the catalog, but it exists in the spatial extension.",
            ),
        ] {
            let json = serde_json::json!({"exception_type": class, "type": entry, "exception_message": message});
            assert!(
                RawError::parse(&json.to_string(), "")
                    .opaque_reason()
                    .is_some(),
                "{message}"
            );
        }
    }
}
