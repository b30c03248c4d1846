//! Functions of SQL: those of the engine, and what its grammar writes like one.

use std::sync::LazyLock;

use mxcp_catalog::Signature;
use mxcp_compiler::Db;

/// Name, parameters, result, text.
type Special = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const SPECIAL: [Special; 11] = [
    (
        "case",
        &["WHEN condition THEN value", "ELSE value END"],
        "T",
        "The value of the first condition that holds; written without brackets.",
    ),
    (
        "cast",
        &["expression AS type"],
        "type",
        "The value as another type; fails when it does not fit.",
    ),
    (
        "coalesce",
        &["expression T", "... T"],
        "T",
        "The first value that is not NULL.",
    ),
    (
        "columns",
        &["pattern VARCHAR"],
        "columns",
        "Every column whose name matches.",
    ),
    (
        "exists",
        &["query"],
        "BOOLEAN",
        "Whether the query has a row.",
    ),
    (
        "extract",
        &["part FROM timestamp"],
        "BIGINT",
        "A part of a date or a time.",
    ),
    (
        "grouping",
        &["column"],
        "BIGINT",
        "Which columns the row is not grouped by.",
    ),
    (
        "ifnull",
        &["expression T", "otherwise T"],
        "T",
        "The first value, or the second when that is NULL.",
    ),
    (
        "try",
        &["expression T"],
        "T",
        "The value, or NULL when it cannot be computed.",
    ),
    (
        "try_cast",
        &["expression AS type"],
        "type",
        "The value as another type, or NULL when it does not fit.",
    ),
    (
        "unpack",
        &["columns"],
        "arguments",
        "The columns as arguments of their own.",
    ),
];

static FORMS: LazyLock<Vec<Signature>> = LazyLock::new(|| {
    let form = |(name, parameters, returns, text): Special| Signature {
        name: name.to_owned(),
        kind: "scalar".to_owned(),
        parameters: parameters.iter().map(|p| ((*p).to_owned(), None)).collect(),
        varargs: None,
        returns: Some(returns.to_owned()),
        description: Some(text.to_owned()),
    };
    SPECIAL.into_iter().map(form).collect()
});

/// Every form of every function.
pub fn all(db: &dyn Db) -> impl Iterator<Item = &Signature> {
    db.binder().signatures().iter().chain(FORMS.iter())
}

/// The forms of one function.
pub fn forms<'db>(db: &'db dyn Db, name: &str) -> Vec<&'db Signature> {
    all(db).filter(|s| s.name == name).collect()
}
