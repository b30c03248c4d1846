//! Why a run could not start. What goes wrong inside a node is a result, not an error of this kind.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError {
    /// Another process holds the database's lock.
    Locked {
        database: PathBuf,
        /// The holder's process id and program, when the engine names them.
        pid: Option<u32>,
        program: Option<String>,
    },
    NotADatabase {
        database: PathBuf,
    },
    Permission {
        database: PathBuf,
    },
    /// Any other reason why the database does not open.
    Open {
        database: PathBuf,
        message: String,
    },
    /// A statement that prepares the run failed, e.g. creating a schema.
    Database {
        message: String,
    },
    /// A selector that cannot be understood.
    Selector {
        selector: String,
        message: String,
    },
    /// Nodes that depend on each other, in order.
    Cycle {
        nodes: Vec<String>,
    },
}

impl RunError {
    pub(crate) fn selector(selector: &str, message: impl Into<String>) -> Self {
        Self::Selector {
            selector: selector.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn database(error: &duckdb::Error) -> Self {
        Self::Database {
            message: error.to_string(),
        }
    }

    /// Reads the reason out of the engine's message: it has no codes for these cases.
    pub(crate) fn opening(database: &Path, message: &str) -> Self {
        let database = database.to_path_buf();
        if message.contains("Could not set lock on file") {
            let (program, pid) = lock_holder(message);
            Self::Locked {
                database,
                pid,
                program,
            }
        } else if message.contains("not a valid DuckDB database file") {
            Self::NotADatabase { database }
        } else if message.contains("Permission denied") || message.contains("Read-only file system")
        {
            Self::Permission { database }
        } else {
            Self::Open {
                database,
                message: message.to_owned(),
            }
        }
    }
}

/// The engine says `Conflicting lock is held in <program> (PID <number>)`.
fn lock_holder(message: &str) -> (Option<String>, Option<u32>) {
    let Some((_, rest)) = message.split_once("lock is held in ") else {
        return (None, None);
    };
    let Some((program, rest)) = rest.split_once(" (PID ") else {
        return (None, None);
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let program = Path::new(program.trim())
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    (program, digits.parse().ok())
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked {
                database,
                pid,
                program,
            } => {
                write!(
                    f,
                    "the database `{}` is open in another process",
                    database.display()
                )?;
                match (pid, program) {
                    (Some(pid), Some(program)) => write!(f, " (`{program}`, pid {pid})")?,
                    (Some(pid), None) => write!(f, " (pid {pid})")?,
                    _ => {}
                }
                f.write_str("; stop that process, or run against another database file")
            }
            Self::NotADatabase { database } => write!(
                f,
                "`{}` is not a DuckDB database; move the file away, or name another database",
                database.display()
            ),
            Self::Permission { database } => write!(
                f,
                "no permission to write the database `{}`; change its permissions and those of its folder, or name another database",
                database.display()
            ),
            Self::Open { database, message } => write!(
                f,
                "the database `{}` does not open: {message}",
                database.display()
            ),
            Self::Database { message } => f.write_str(message),
            Self::Selector { selector, message } => {
                write!(f, "invalid selector `{selector}`: {message}")
            }
            Self::Cycle { nodes } => {
                f.write_str("these nodes depend on each other: ")?;
                for (i, node) in nodes.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" -> ")?;
                    }
                    write!(f, "`{node}`")?;
                }
                f.write_str("; remove one of the references")
            }
        }
    }
}

impl std::error::Error for RunError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_message_names_its_holder() {
        let error = RunError::opening(
            Path::new("data/app.duckdb"),
            "IO Error: Could not set lock on file \"data/app.duckdb\": Conflicting lock is held in /usr/bin/mxcp (PID 4711). See also https://duckdb.org",
        );
        assert_eq!(
            error,
            RunError::Locked {
                database: "data/app.duckdb".into(),
                pid: Some(4711),
                program: Some("mxcp".into()),
            }
        );
        assert!(error.to_string().contains("pid 4711"));
    }
}
