//! What a client reads of an error, and what only the log says.
//!
//! A model can act on a value that does not fit, a limit, a denial or what the author raised. It
//! cannot act on a missing table, a file or a fault in the project: of those it learns that they
//! happened and an id under which the log has the details.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;

use regex::Regex;
use rmcp::ErrorData;
use rmcp::model::ErrorCode;
use serde_json::{Map, Value};

use super::calls::Lost;
use crate::CallError;

/// Who wrote the SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The project: its text is no business of the client.
    Project,
    /// The client itself.
    Client,
}

/// The text for the client. Everything is logged here.
pub(super) fn explain(
    error: &CallError,
    endpoint: &str,
    author: Author,
    given: &Map<String, Value>,
) -> String {
    let (text, hidden) = match error {
        CallError::Failed { message, .. } if quotes_data(message, author, given) => {
            (Cow::Borrowed("the query failed"), true)
        }
        CallError::Failed { message, traceback } => failed(message, traceback.is_some(), author),
        // It may quote a value that output policies have not seen.
        CallError::InvalidOutput(_) => (
            Cow::Borrowed("the result does not have the declared type"),
            true,
        ),
        CallError::NotFound { .. }
        | CallError::Denied { .. }
        | CallError::InvalidInput(_)
        | CallError::Cancelled => (error.to_string().into(), false),
    };
    let traceback = match error {
        CallError::Failed { traceback, .. } => traceback.as_deref().unwrap_or_default(),
        _ => "",
    };
    if hidden {
        let id = id();
        tracing::error!(endpoint, id, traceback, "the call failed: {error}");
        format!("{text} (the server's log has the details under {id})")
    } else {
        if matches!(error, CallError::Failed { .. }) {
            tracing::warn!(endpoint, traceback, "the call failed: {error}");
        }
        text.into_owned()
    }
}

/// A failed resource or prompt: these have no result that could carry an error.
pub(super) fn error_data(
    error: &CallError,
    endpoint: &str,
    given: &Map<String, Value>,
) -> ErrorData {
    let text = explain(error, endpoint, Author::Project, given);
    match error {
        CallError::NotFound { .. } | CallError::InvalidInput(_) => {
            ErrorData::invalid_params(text, None)
        }
        CallError::Denied { .. } => ErrorData::invalid_request(text, None),
        CallError::Failed { .. } | CallError::InvalidOutput(_) | CallError::Cancelled => {
            ErrorData::internal_error(text, None)
        }
    }
}

/// The first of the codes that the protocol leaves to servers.
const BUSY: ErrorCode = ErrorCode(-32000);

pub(super) fn lost(lost: Lost, endpoint: &str) -> ErrorData {
    match lost {
        Lost::Cancelled => ErrorData::internal_error("the call was cancelled", None),
        Lost::Stopped => ErrorData::internal_error("the server is shutting down", None),
        Lost::Refused => ErrorData::new(
            BUSY,
            "the server is busy: too many calls wait already; try again in a moment",
            Some(serde_json::json!({ "retryable": true, "retryAfterMs": 1000 })),
        ),
        Lost::Crashed => {
            let id = id();
            tracing::error!(endpoint, id, "the call crashed");
            ErrorData::internal_error(
                format!("the call failed (the server's log has the details under {id})"),
                None,
            )
        }
    }
}

const SQL: &str = "Failed to execute SQL: ";

fn failed(message: &str, raised: bool, author: Author) -> (Cow<'_, str>, bool) {
    if raised {
        return python(message);
    }
    let Some(text) = message.strip_prefix(SQL) else {
        return (without_paths(message), false);
    };
    match (sql_error_class(text), author) {
        // A limit or a time-out of ours.
        (None, _) => (message.into(), false),
        // DuckDB's classes for values that do not fit, `error()` included.
        (
            Some("Conversion" | "Out of Range" | "Invalid Input" | "Constraint" | "Mismatch Type"),
            _,
        )
        | (Some("Parser" | "Syntax" | "Binder" | "Catalog" | "Not implemented"), Author::Client) => {
            let shown = match author {
                Author::Client => message,
                // What follows shows the line of the SQL.
                Author::Project => message.split("\n\nLINE ").next().unwrap_or(message),
            };
            (without_paths(shown), false)
        }
        (Some("Out of Memory"), _) => {
            let text = "the query needs more memory than it may have; ask for fewer rows or smaller values";
            (Cow::Borrowed(text), true)
        }
        (Some(_), _) => (Cow::Borrowed("the query failed"), true),
    }
}

// A value that cannot be converted is quoted. It may come from a table, where policies have not seen it.
fn quotes_data(message: &str, author: Author, given: &Map<String, Value>) -> bool {
    static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"^Failed to execute SQL: Conversion Error: [^'"]*['"](.*)['"]"#).ok()
    });
    if author == Author::Client {
        return false;
    }
    let text = message.lines().next().unwrap_or_default();
    let quoted = VALUE
        .as_ref()
        .and_then(|value| value.captures(text)?.get(1));
    let Some(quoted) = quoted.map(|quoted| quoted.as_str()) else {
        return false;
    };
    // What stands between the first quote and the last may be more than the value.
    !given.values().any(|value| {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            value => Cow::Owned(value.to_string()),
        };
        !text.is_empty() && (quoted.contains(text.as_ref()) || text.contains(quoted))
    })
}

// `Binder` of `Binder Error: …`.
fn sql_error_class(text: &str) -> Option<&str> {
    let (class, _) = text.split_once(" Error: ")?;
    let words = class
        .chars()
        .all(|c| c.is_ascii_alphabetic() || c == ' ' || c == '/');
    (words && class.len() <= 30).then_some(class)
}

// What the author's code raises is meant to be read, but for the faults of code and its surroundings.
fn python(message: &str) -> (Cow<'_, str>, bool) {
    let class = message.split(": ").next().unwrap_or(message);
    let internal = [
        "AttributeError",
        "BrokenPipeError",
        "FileExistsError",
        "FileNotFoundError",
        "ImportError",
        "IndentationError",
        "IsADirectoryError",
        "ModuleNotFoundError",
        "NameError",
        "NotADirectoryError",
        "OSError",
        "PermissionError",
        "RecursionError",
        "SyntaxError",
        "UnboundLocalError",
    ]
    .contains(&class)
        || message
            .split_once(": ")
            .is_some_and(|(_, text)| sql_error_class(text).is_some());
    if internal {
        (Cow::Borrowed("the function failed"), true)
    } else {
        (without_paths(message), false)
    }
}

// Of an absolute path only the last part stays.
fn without_paths(text: &str) -> Cow<'_, str> {
    static PATH: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(^|[\s"'(=])(?:/[^/\s"':)]+)+/([^/\s"':)]+)"#).ok());
    match PATH.as_ref() {
        Some(path) => path.replace_all(text, "$1…/$2"),
        None => Cow::Borrowed(text),
    }
}

// Unique enough to find a line in a log.
fn id() -> String {
    let hash = RandomState::new().build_hasher().finish();
    format!("{:08x}", hash >> 32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(message: &str, raised: bool, author: Author) -> String {
        let error = CallError::Failed {
            message: message.into(),
            traceback: raised.then(|| "Traceback".into()),
        };
        let given = json!({"s": "abc"});
        explain(&error, "t", author, given.as_object().unwrap())
    }

    #[test]
    fn a_client_reads_what_it_can_act_on() {
        let conversion = "Failed to execute SQL: Conversion Error: Could not convert string 'abc' to INT32\n\nLINE 1: SELECT CAST($s AS INTEGER)\n               ^";
        assert_eq!(
            shown(conversion, false, Author::Project),
            "Failed to execute SQL: Conversion Error: Could not convert string 'abc' to INT32"
        );
        assert_eq!(shown(conversion, false, Author::Client), conversion);
        let rows =
            "Failed to execute SQL: the result has more than 10 rows; add a LIMIT or aggregate";
        assert_eq!(shown(rows, false, Author::Project), rows);
        let raised = "ValueError: no customer 'x'";
        assert_eq!(shown(raised, true, Author::Project), raised);
        let several = "No results returned";
        assert_eq!(shown(several, false, Author::Project), several);
    }

    #[test]
    fn a_client_learns_nothing_of_the_inside() {
        for (message, raised) in [
            (
                "Failed to execute SQL: Catalog Error: Table with name salaries does not exist!",
                false,
            ),
            (
                "Failed to execute SQL: Conversion Error: Could not convert string 'ssn 7' to INT32 when casting from source column hidden",
                false,
            ),
            (
                "Failed to execute SQL: Binder Error: column \"ssn\" not found\n\nLINE 1: SELECT ssn",
                false,
            ),
            (
                "Failed to execute SQL: IO Error: Cannot open file \"/srv/app/data.csv\"",
                false,
            ),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: '/srv/app/model.pkl'",
                true,
            ),
            (
                "RuntimeError: Catalog Error: Table with name salaries does not exist!",
                true,
            ),
        ] {
            let text = shown(message, raised, Author::Project);
            for secret in ["salaries", "ssn", "srv"] {
                assert!(!text.contains(secret), "{text}");
            }
            assert!(
                text.contains("the server's log has the details under "),
                "{text}"
            );
        }
        let output = CallError::InvalidOutput("Invalid date format: 123-45-6789".into());
        assert!(!explain(&output, "t", Author::Project, &Map::new()).contains("6789"));
        assert_eq!(
            shown(
                "ValueError: cannot read '/srv/app/x/model.pkl' of https://a.b/c/d",
                true,
                Author::Project
            ),
            "ValueError: cannot read '…/model.pkl' of https://a.b/c/d"
        );
    }
}
