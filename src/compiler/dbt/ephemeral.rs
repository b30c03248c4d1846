//! Ephemeral parents as common table expressions, placed where dbt places them.

use std::collections::BTreeSet;

/// The name of the common table expression that stands for an ephemeral model.
pub fn cte_name(model: &str) -> String {
    format!("__dbt__cte__{model}")
}

/// A compiled ephemeral model, before anything is inlined into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EphemeralParent {
    /// The model's name (its alias where it has one): what `cte_name` is given.
    pub name: String,
    pub sql: String,
    /// Names of the ephemeral models it refers to, in the order of reference.
    pub parents: Vec<String>,
}

/// Inlines the ephemeral models `direct` (in the order of reference) and, transitively, their own
/// ephemeral parents. `get` finds one by name; unknown names and loops are left out.
pub fn inject<'a>(
    sql: &str,
    direct: &[String],
    get: &dyn Fn(&str) -> Option<&'a EphemeralParent>,
) -> String {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in direct {
        visit(name, get, &mut seen, &mut order);
    }
    let ctes: Vec<String> = order
        .iter()
        .map(|parent| format!(" {} as (\n{}\n)", cte_name(&parent.name), parent.sql))
        .collect();
    prepend(sql, &ctes)
}

// Parents before children, each once.
fn visit<'a>(
    name: &str,
    get: &dyn Fn(&str) -> Option<&'a EphemeralParent>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<&'a EphemeralParent>,
) {
    if !seen.insert(name.to_owned()) {
        return;
    }
    let Some(parent) = get(name) else { return };
    for above in &parent.parents {
        visit(above, get, seen, order);
    }
    order.push(parent);
}

fn prepend(sql: &str, ctes: &[String]) -> String {
    if ctes.is_empty() {
        return sql.to_owned();
    }
    let all = ctes.join(", ");
    let start = skip_space(sql, 0);
    let first = skip_trivia(sql, 0);
    match keyword(sql, first, "with") {
        Some(after) => {
            let next = skip_trivia(sql, after);
            // The list starts behind `recursive` when there is one.
            let after = keyword(sql, next, "recursive").unwrap_or(after);
            let at = skip_space(sql, after);
            let (head, tail) = sql.split_at(at);
            format!("{head}{all}, {tail}")
        }
        None => {
            let (head, tail) = sql.split_at(start);
            format!("{head}with{all} {tail}")
        }
    }
}

// Just after `word` at `at`, when it stands there as a whole word.
fn keyword(sql: &str, at: usize, word: &str) -> Option<usize> {
    let end = at + word.len();
    let found = sql.get(at..end)?;
    let rest = sql.get(end..)?;
    let whole = !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric());
    (found.eq_ignore_ascii_case(word) && whole).then_some(end)
}

fn skip_space(sql: &str, at: usize) -> usize {
    let rest = sql.get(at..).unwrap_or("");
    at + (rest.len() - rest.trim_start().len())
}

// White space and comments.
fn skip_trivia(sql: &str, mut at: usize) -> usize {
    loop {
        at = skip_space(sql, at);
        let rest = sql.get(at..).unwrap_or("");
        let skipped = if rest.starts_with("--") {
            rest.find('\n').map_or(rest.len(), |end| end + 1)
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            return at;
        };
        at += skipped;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parents() -> BTreeMap<String, EphemeralParent> {
        let of = |name: &str, sql: &str, parents: &[&str]| {
            let parent = EphemeralParent {
                name: name.into(),
                sql: sql.into(),
                parents: parents.iter().map(|p| (*p).to_owned()).collect(),
            };
            (name.to_owned(), parent)
        };
        BTreeMap::from([
            of("eph_a", "select 1 as id, 'x' as name", &[]),
            of(
                "eph_b",
                "with q as (select * from __dbt__cte__eph_a) select * from q",
                &["eph_a"],
            ),
        ])
    }

    #[track_caller]
    fn check(sql: &str, direct: &[&str], expected: &str) {
        let parents = parents();
        let direct: Vec<String> = direct.iter().map(|d| (*d).to_owned()).collect();
        assert_eq!(inject(sql, &direct, &|name| parents.get(name)), expected);
    }

    // Expected texts are dbt-core's own output.
    #[test]
    fn as_dbt_places_them() {
        let a = " __dbt__cte__eph_a as (\nselect 1 as id, 'x' as name\n)";
        let b = " __dbt__cte__eph_b as (\nwith q as (select * from __dbt__cte__eph_a) select * from q\n)";
        check(
            "select * from __dbt__cte__eph_b",
            &["eph_b"],
            &format!("with{a}, {b} select * from __dbt__cte__eph_b"),
        );
        check(
            "-- leading comment\nwith a as (\n    select * from __dbt__cte__eph_b\n), b as (select * from __dbt__cte__eph_a)\nselect * from a join b using (id)",
            &["eph_b", "eph_a"],
            &format!(
                "-- leading comment\nwith {a}, {b}, a as (\n    select * from __dbt__cte__eph_b\n), b as (select * from __dbt__cte__eph_a)\nselect * from a join b using (id)"
            ),
        );
        check(
            "WITH RECURSIVE n(i) AS (select 1)\nselect * from n, __dbt__cte__eph_a",
            &["eph_a"],
            &format!("WITH RECURSIVE {a}, n(i) AS (select 1)\nselect * from n, __dbt__cte__eph_a"),
        );
        check("select withdrawn from t", &[], "select withdrawn from t");
    }
}
