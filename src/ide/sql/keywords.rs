//! The words of SQL: what completion offers, what colours show, and what is no call before a bracket.

/// As they are written, in the order of a query.
pub const PHRASES: [&str; 43] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "QUALIFY",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "CROSS JOIN",
    "ASOF JOIN",
    "ON",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DISTINCT",
    "UNION ALL",
    "WITH",
    "EXISTS",
    "OVER",
    "PARTITION BY",
    "FILTER",
    "DESC",
    "ASC",
    "EXCLUDE",
    "REPLACE",
    "VALUES",
];

/// Words of other statements and of rarer clauses.
const OTHERS: [&str; 34] = [
    "RIGHT",
    "FULL",
    "OUTER",
    "NATURAL",
    "POSITIONAL",
    "SEMI",
    "ANTI",
    "EXCEPT",
    "INTERSECT",
    "RECURSIVE",
    "INSERT",
    "INTO",
    "UPDATE",
    "SET",
    "DELETE",
    "CREATE",
    "TABLE",
    "VIEW",
    "RETURNING",
    "TRUE",
    "FALSE",
    "INTERVAL",
    "PIVOT",
    "UNPIVOT",
    "LATERAL",
    "WINDOW",
    "NULLS",
    "FIRST",
    "LAST",
    "CONFLICT",
    "DO",
    "NOTHING",
    "COLLATE",
    "MATERIALIZED",
];

/// Keywords that are functions too.
const CALLED: [&str; 7] = ["LEFT", "RIGHT", "REPLACE", "FIRST", "LAST", "LIKE", "ILIKE"];

fn in_phrases(word: &str) -> bool {
    PHRASES
        .iter()
        .flat_map(|phrase| phrase.split(' '))
        .any(|part| part.eq_ignore_ascii_case(word))
}

pub fn is_keyword(word: &str) -> bool {
    in_phrases(word) || OTHERS.iter().any(|other| other.eq_ignore_ascii_case(word))
}

/// Whether a word before a bracket names a function.
pub fn is_called(word: &str) -> bool {
    !is_keyword(word)
        || CALLED
            .iter()
            .any(|called| called.eq_ignore_ascii_case(word))
}
