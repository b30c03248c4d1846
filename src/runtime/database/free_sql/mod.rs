//! Keeping SQL that a client wrote inside the database, whatever the project itself may reach.
//!
//! The engine's own switch (`confine`) holds for a whole database, so a project with Python or plugins
//! cannot have it. Here the text is looked at before it runs: an engine that merely prepares a statement
//! has opened its files already. Queries are judged by the engine's own parse tree; for other statements,
//! which it does not print, by their tokens, and what is doubtful is refused. Settings, other databases,
//! files, extensions and what tells of the machine are no business of a client.

mod reach;
mod tokens;

use std::collections::BTreeSet;

use serde_json::Value;

use super::SqlError;
use super::rollback::split;
pub(crate) use reach::Reach;
use tokens::{Token, tokens};

/// What the rules ask of the database.
pub(crate) trait Ask {
    /// The engine's parse tree of queries, as JSON.
    fn tree(&mut self, sql: &str) -> Result<Value, SqlError>;
    fn reach(&mut self, fresh: bool) -> Result<std::sync::Arc<Reach>, SqlError>;
    /// Whether there is a table or view of this name; empty parts are not given.
    fn has_relation(&mut self, relation: &Relation) -> Result<bool, SqlError>;
}

/// A relation as a text names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Relation {
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) name: String,
}

/// Functions of the engine that give rows and stay inside the database.
const ROWS: [&str; 24] = [
    "duckdb_columns",
    "duckdb_constraints",
    "duckdb_functions",
    "duckdb_indexes",
    "duckdb_keywords",
    "duckdb_schemas",
    "duckdb_sequences",
    "duckdb_tables",
    "duckdb_types",
    "duckdb_views",
    "generate_series",
    "generate_subscripts",
    "json_each",
    "json_tree",
    "pg_timezone_names",
    "pragma_show",
    "pragma_table_info",
    "pragma_version",
    "range",
    "repeat",
    "repeat_row",
    "summary",
    "unnest",
    "version",
];

/// Functions and relations that tell of the machine, its settings or other clients.
const TELLING: [&str; 14] = [
    "current_setting",
    "duckdb_connection_count",
    "duckdb_databases",
    "duckdb_extensions",
    "duckdb_external_file_cache",
    "duckdb_log_contexts",
    "duckdb_logs",
    "duckdb_memory",
    "duckdb_secrets",
    "duckdb_settings",
    "duckdb_temporary_files",
    "getenv",
    "pragma_database_list",
    "write_log",
];

/// First words of the statements that are let in, beside queries.
const STATEMENTS: [&str; 28] = [
    "abort",
    "alter",
    "analyze",
    "begin",
    "checkpoint",
    "comment",
    "commit",
    "create",
    "delete",
    "desc",
    "describe",
    "drop",
    "end",
    "from",
    "insert",
    "merge",
    "pivot",
    "rollback",
    "select",
    "show",
    "start",
    "summarize",
    "table",
    "truncate",
    "unpivot",
    "update",
    "values",
    "with",
];

/// Pragmas that only look at tables.
const PRAGMAS: [&str; 4] = ["show", "show_tables", "show_tables_expanded", "table_info"];

/// Fails when the text would leave the database.
pub(crate) fn check(sql: &str, ask: &mut impl Ask) -> Result<(), SqlError> {
    let tree = ask.tree(sql)?;
    if tree.get("error") == Some(&Value::Bool(false)) {
        return check_query(&tree, ask);
    }
    // The engine will say what is wrong with it, and run nothing.
    if tree.get("error_type").and_then(Value::as_str) == Some("parser") {
        return Ok(());
    }
    for range in split(sql) {
        let statement = sql.get(range).unwrap_or_default();
        check_statement(statement, ask)?;
    }
    Ok(())
}

fn check_statement(statement: &str, ask: &mut impl Ask) -> Result<(), SqlError> {
    let tree = ask.tree(statement)?;
    if tree.get("error") == Some(&Value::Bool(false)) {
        return check_query(&tree, ask);
    }
    check_tokens(&tokens(statement), ask)
}

fn check_query(tree: &Value, ask: &mut impl Ask) -> Result<(), SqlError> {
    let mut found = Found::default();
    found.collect(tree);
    for name in &found.functions {
        check_function(name, ask)?;
        if !ask.reach(false)?.knows(name) && !ask.reach(true)?.knows(name) {
            // Looking for it, the engine would load an extension that may have it.
            return Err(SqlError::Refused(format!("there is no function `{name}`")));
        }
    }
    for relation in &found.relations {
        check_relation(relation, ask)?;
    }
    Ok(())
}

#[derive(Default)]
struct Found {
    functions: BTreeSet<String>,
    relations: BTreeSet<Relation>,
}

impl Found {
    fn collect(&mut self, node: &Value) {
        match node {
            Value::Object(fields) => {
                let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
                if !text("function_name").is_empty() && text("class") != "WINDOW" {
                    self.functions.insert(text("function_name").to_lowercase());
                }
                if !text("table_name").is_empty() {
                    self.relations.insert(Relation {
                        database: text("catalog_name").to_owned(),
                        schema: text("schema_name").to_owned(),
                        name: text("table_name").trim_matches('"').to_owned(),
                    });
                }
                fields.values().for_each(|value| self.collect(value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.collect(value)),
            _ => {}
        }
    }
}

fn check_function(name: &str, ask: &mut impl Ask) -> Result<(), SqlError> {
    let reach = ask.reach(false)?;
    if TELLING.contains(&name)
        || reach.leaves(name)
        || (reach.gives_rows(name) && !ROWS.contains(&name))
    {
        return Err(refused(&format!("`{name}`")));
    }
    Ok(())
}

fn check_relation(relation: &Relation, ask: &mut impl Ask) -> Result<(), SqlError> {
    let name = relation.name.to_lowercase();
    if TELLING.contains(&name.as_str()) {
        return Err(refused(&format!("`{name}`")));
    }
    // The engine reads a file where no table has its name; a file's name has an ending or a path.
    let dotted = !relation.schema.is_empty() || !relation.database.is_empty();
    if (dotted || name.contains(['.', '/', '\\', ':', '*', '?', '[']))
        && !ask.has_relation(relation)?
    {
        let parts = [&relation.database, &relation.schema, &relation.name];
        let whole: Vec<&str> = parts
            .iter()
            .map(|p| p.as_str())
            .filter(|p| !p.is_empty())
            .collect();
        return Err(SqlError::Refused(format!(
            "there is no table `{}`, and files cannot be read here",
            whole.join(".")
        )));
    }
    Ok(())
}

fn refused(what: &str) -> SqlError {
    SqlError::Refused(format!(
        "{what} is not available here: this SQL stays inside the database"
    ))
}

fn check_tokens(all: &[Token], ask: &mut impl Ask) -> Result<(), SqlError> {
    let mut rest = all;
    while rest.first().is_some_and(|token| token.is("explain")) {
        rest = after_explain(rest);
    }
    let word = |index: usize| match rest.get(index) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let allowed = match word(0) {
        "" => matches!(rest.first(), Some(Token::Mark('('))),
        "pragma" => return check_pragma(rest, ask),
        "update" => word(1) != "extensions",
        "create" | "drop" | "alter" => {
            !(1..5).any(|index| matches!(word(index), "secret" | "database" | "trigger"))
        }
        first => STATEMENTS.contains(&first),
    };
    if !allowed {
        return Err(refused(&format!("`{}`", word(0).to_uppercase())));
    }
    if rest.contains(&Token::Mark(';')) {
        return Err(SqlError::Refused(
            "the statements cannot be told apart".to_owned(),
        ));
    }
    for pair in rest.windows(2) {
        if let [Token::Word(name) | Token::Name(name), Token::Mark('(')] = pair {
            check_function(&name.to_lowercase(), ask)?;
        }
    }
    for relation in tokens::relations(rest) {
        match relation {
            tokens::Source::Relation(relation) => check_relation(&relation, ask)?,
            tokens::Source::Function(name) => {
                if !ask.reach(false)?.knows(&name) && !ask.reach(true)?.knows(&name) {
                    return Err(SqlError::Refused(format!("there is no function `{name}`")));
                }
            }
        }
    }
    Ok(())
}

fn check_pragma(all: &[Token], ask: &mut impl Ask) -> Result<(), SqlError> {
    if !PRAGMAS
        .iter()
        .any(|pragma| all.get(1).is_some_and(|token| token.is(pragma)))
    {
        return Err(refused("this `PRAGMA`"));
    }
    for token in all.iter().skip(2) {
        if let Token::Text(name) | Token::Name(name) = token {
            let relation = Relation {
                name: name.clone(),
                ..Relation::default()
            };
            check_relation(&relation, ask)?;
        }
    }
    Ok(())
}

// `EXPLAIN`, `EXPLAIN ANALYZE`, `EXPLAIN (FORMAT json)`.
fn after_explain(all: &[Token]) -> &[Token] {
    let mut rest = all.get(1..).unwrap_or_default();
    if rest.first().is_some_and(|token| token.is("analyze")) {
        rest = rest.get(1..).unwrap_or_default();
    }
    let options = matches!(rest, [Token::Mark('('), Token::Word(word), ..]
        if matches!(word.as_str(), "format" | "analyze"));
    if options && let Some(close) = rest.iter().position(|token| *token == Token::Mark(')')) {
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    rest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Answers as an empty database with one table `s.t` would, and without parse trees.
    struct Tokens;

    impl Ask for Tokens {
        fn tree(&mut self, _sql: &str) -> Result<Value, SqlError> {
            Ok(Value::Null)
        }

        fn reach(&mut self, _fresh: bool) -> Result<Arc<Reach>, SqlError> {
            Ok(Arc::new(Reach::of(
                &["upper", "range", "read_csv", "glob", "load_it"],
                &["range", "read_csv", "glob"],
                &["load_it"],
            )))
        }

        fn has_relation(&mut self, relation: &Relation) -> Result<bool, SqlError> {
            Ok(relation.schema == "s" && relation.name == "t")
        }
    }

    #[test]
    fn statements_that_stay_inside_pass() {
        for sql in [
            "INSERT INTO t(a, b) VALUES ('x.csv', upper('y'))",
            "CREATE TABLE u AS SELECT * FROM range(3)",
            "UPDATE t SET a = 'a.csv' WHERE b IN (SELECT b FROM s.t, u)",
            "DELETE FROM t USING u WHERE t.a = u.a AND t.f = '/etc/x.csv'",
            "CREATE OR REPLACE VIEW v AS SELECT t.a FROM t JOIN u ON t.a = u.a",
            "EXPLAIN ANALYZE SELECT 1; EXPLAIN (FORMAT json) DELETE FROM t",
            "PRAGMA table_info('t')",
            "CREATE TEMP TABLE IF NOT EXISTS t(a INTEGER); ALTER TABLE t ADD COLUMN b INTEGER",
            "CREATE TABLE t(a INTEGER); INSERT INTO t(a) VALUES (1), (2)",
            "WITH x(a) AS (SELECT 1) INSERT INTO t SELECT a FROM x AS y(b)",
            "-- a comment\nINSERT INTO t SELECT 'it''s', \"b.c\" FROM u WHERE x = 'a.b' ORDER BY 'z.csv'",
            "",
        ] {
            assert_eq!(check(sql, &mut Tokens), Ok(()), "{sql}");
        }
    }

    #[test]
    fn statements_that_leave_are_refused() {
        for sql in [
            "COPY t TO 'x'",
            "/* a */ ATTACH 'x'",
            "INSTALL x",
            "LOAD x",
            "SET threads = 1",
            "PRAGMA database_list",
            "PRAGMA table_info('x.csv')",
            "INSERT INTO t TABLE 'x.csv'",
            "CREATE TABLE t AS TABLE 'x.csv'",
            "UPDATE EXTENSIONS",
            "CALL range(3)",
            "CREATE PERSISTENT SECRET s (TYPE s3)",
            "CREATE OR REPLACE TEMPORARY SECRET s (TYPE s3)",
            "EXPLAIN ANALYZE COPY t TO 'x'",
            "SELECT 1; EXPORT DATABASE 'x'",
            "INSERT INTO t SELECT * FROM read_csv('x')",
            "INSERT INTO t SELECT * FROM \"READ_CSV\" ('x')",
            "INSERT INTO t FROM 'x.csv'",
            "INSERT INTO t FROM \"x.csv\"",
            "INSERT INTO t SELECT * FROM u, x.csv",
            "INSERT INTO t SELECT * FROM (u JOIN 'x.parquet' ON true)",
            "INSERT INTO t SELECT * FROM a : 'x.csv'",
            "CREATE MACRO m(p) AS TABLE SELECT * FROM glob(p)",
            "INSERT INTO t SELECT load_it('x')",
            "INSERT INTO t SELECT * FROM read_xlsx('x')",
            "DELETE FROM t USING 'x.csv' AS x WHERE true",
            "PIVOT 'x.csv' ON a",
            "EXPLAIN FROM 'x.csv'",
            "CREATE TABLE u AS SELECT * FROM duckdb_databases",
        ] {
            assert!(
                matches!(check(sql, &mut Tokens), Err(SqlError::Refused(_))),
                "{sql}"
            );
        }
    }
}
