//! What the project's own Python may add to the database before an endpoint is called: `on_init`
//! hooks and plugins create tables, register functions and attach databases. Nothing is run to find
//! out; their texts are searched for the statements, so the answer is "may", never "does".

use std::collections::{BTreeMap, BTreeSet};

use mxcp_base::{FileSet, SourceFile, paths};

use crate::Db;
use crate::documents::{DocumentKind, document_kind, site, site_paths};
use crate::surface::starting_files;

/// What the text of one Python file may make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Lower-case names of tables and views.
    relations: BTreeSet<String>,
    /// Lower-case names of macros.
    functions: BTreeSet<String>,
    /// Whether it makes relations whose names are not written there.
    other_relations: bool,
    /// Whether it registers functions whose names are not written there.
    other_functions: bool,
    attaches: bool,
    /// Whether it has a hook that runs before the first call.
    at_start: bool,
}

/// How sure it is that a name exists at run time although nothing else knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file that makes it.
    Written(String),
    /// A file that makes things of this kind under names of its own.
    Possible(String),
}

impl Origin {
    pub fn file(&self) -> &str {
        match self {
            Self::Written(file) | Self::Possible(file) => file,
        }
    }
}

/// Where a relation that nothing else knows may come from.
pub fn relation_origin(db: &dyn Db, catalog: Option<&str>, name: &str) -> Option<Origin> {
    let name = name.to_lowercase();
    let made = starting_files(db);
    made.iter()
        .find(|(_, made)| made.relations.contains(&name) || (catalog.is_some() && made.attaches))
        .map(|(path, _)| Origin::Written(path.clone()))
        .or_else(|| {
            made.iter()
                .find(|(_, made)| made.other_relations || made.attaches)
                .map(|(path, _)| Origin::Possible(path.clone()))
        })
}

/// Where a function that nothing else knows may come from.
pub fn function_origin(db: &dyn Db, name: &str) -> Option<Origin> {
    let name = name.to_lowercase();
    let made = starting_files(db);
    made.iter()
        .find(|(_, made)| made.functions.contains(&name))
        .map(|(path, _)| Origin::Written(path.clone()))
        .or_else(|| {
            made.iter()
                .find(|(_, made)| made.other_functions)
                .map(|(path, _)| Origin::Possible(path.clone()))
        })
}

/// Whether any Python or SQL of the project makes a relation of this name, at whatever time.
pub fn made_by_any_code(db: &dyn Db, catalog: Option<&str>, name: &str) -> bool {
    let name = name.to_lowercase();
    FileSet::get(db).files(db).values().any(|file| {
        matches!(
            document_kind(db, *file),
            DocumentKind::Python | DocumentKind::Sql | DocumentKind::Endpoint(_)
        ) && {
            let made = made(db, *file);
            made.relations.contains(&name) || (made.attaches && catalog.is_some())
        }
    })
}

/// Whether a file makes relations whose names are not written there.
pub fn makes_other_relations(db: &dyn Db, file: SourceFile) -> bool {
    let made = made(db, file);
    made.other_relations || made.attaches
}

/// The files with a say before the first call. Without a hook or a plugin nothing runs that early.
#[salsa::tracked(returns(ref))]
pub(crate) fn collect_starting_files(db: &dyn Db) -> BTreeMap<String, Made> {
    let dirs = site_paths(db);
    let plugins = site(db).is_some_and(|site| !site.plugins.is_empty());
    let files: Vec<(String, Made)> = FileSet::get(db)
        .files(db)
        .iter()
        .filter(|(path, file)| {
            document_kind(db, **file) == DocumentKind::Python
                && (paths::is_below(path, &dirs.python)
                    || (plugins && paths::is_below(path, &dirs.plugins)))
        })
        .map(|(path, file)| (path.clone(), made(db, *file).clone()))
        .collect();
    let hooked = plugins || files.iter().any(|(_, made)| made.at_start);
    files
        .into_iter()
        .filter(|(_, made)| hooked && *made != Made::default())
        .collect()
}

#[salsa::tracked(returns(ref))]
fn made(db: &dyn Db, file: SourceFile) -> Made {
    read(file.text(db))
}

fn read(text: &str) -> Made {
    let mut made = Made {
        at_start: text.contains("on_init"),
        // The last two: a script of its own, read from a file.
        other_relations: [
            ".to_sql(",
            ".to_table(",
            ".register(",
            ".create(",
            ".read_text(",
            ".read()",
        ]
        .iter()
        .any(|call| text.contains(call)),
        other_functions: text.contains(".create_function("),
        ..Made::default()
    };
    let mut words = words(text).into_iter().peekable();
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_str() {
            "create" => created(&mut words, &mut made),
            "attach" => made.attaches = true,
            _ => {}
        }
    }
    made
}

/// What follows `CREATE`.
fn created(words: &mut std::iter::Peekable<std::vec::IntoIter<&str>>, made: &mut Made) {
    let mut kind = None;
    // `OR REPLACE TEMP TABLE IF NOT EXISTS` is the longest that may stand before a name.
    for _ in 0..8 {
        let Some(word) = words.peek().copied() else {
            return;
        };
        let folded = word.to_ascii_lowercase();
        match (folded.as_str(), kind) {
            ("or" | "replace" | "temp" | "temporary" | "unique", None)
            | ("if" | "not" | "exists", Some(_)) => {}
            ("table" | "view", None) => kind = Some(true),
            ("macro" | "function", None) => kind = Some(false),
            (_, None) => return,
            (name, Some(relation)) => {
                // `main."visits"`: the name is the next word.
                if name.ends_with('.') {
                    words.next();
                    continue;
                }
                match (
                    word.starts_with(|c: char| c.is_alphabetic() || c == '_'),
                    relation,
                ) {
                    (true, true) => made.relations.insert(last_part(name)),
                    (true, false) => made.functions.insert(last_part(name)),
                    // `{table}` in an f-string, or a quote before a variable.
                    (false, true) => std::mem::replace(&mut made.other_relations, true),
                    (false, false) => std::mem::replace(&mut made.other_functions, true),
                };
                return;
            }
        }
        words.next();
    }
}

fn last_part(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// Names and runs of other characters; double quotes around a name are dropped.
fn words(text: &str) -> Vec<&str> {
    let name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = name(first);
        let end = rest.find(|c| name(c) != same).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let trimmed = word.trim().trim_matches('"').trim();
        if !trimmed.is_empty() {
            words.push(trimmed);
        }
        rest = tail;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn statements_are_found_in_strings() {
        let made = read(
            "from mxcp.runtime import db, on_init\n\
             @on_init\n\
             def setup():\n    \
                 db.execute(\"CREATE TABLE IF NOT EXISTS visits (n INTEGER)\")\n    \
                 db.execute('create or replace temp view main.\"recent\" as select 1')\n    \
                 db.execute(\"CREATE OR REPLACE MACRO twice(x) AS x * 2\")\n",
        );
        assert!(made.at_start && !made.other_relations && !made.attaches);
        assert_eq!(
            made.relations.iter().collect::<Vec<_>>(),
            ["recent", "visits"]
        );
        assert_eq!(made.functions.iter().collect::<Vec<_>>(), ["twice"]);
    }

    #[test]
    fn names_that_are_not_written_may_be_any() {
        let made = read("db.execute(f\"CREATE TABLE {name} AS SELECT 1\")");
        assert!(made.other_relations && made.relations.is_empty());
        assert!(read("con.create_function('f', f)").other_functions);
        assert!(read("db.execute(\"ATTACH 'x.db' AS x\")").attaches);
        assert!(!read("# we create a report here\nx = 1\n").other_relations);
    }
}
