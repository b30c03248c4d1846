//! Expressions: which columns' values one can see in their results.

use super::{How, MAX_DEPTH, OutputColumn, Outputs, Reader, Scope, Sources, Table};
use super::{add, at_least};
use crate::json::{Id, Node};

/// Functions that tell of a value only whether, how many or how long.
const SILENT: [&str; 46] = [
    "count",
    "count_star",
    "count_if",
    "countif",
    "approx_count_distinct",
    "regr_count",
    "bool_and",
    "bool_or",
    "contains",
    "starts_with",
    "ends_with",
    "prefix",
    "suffix",
    "regexp_matches",
    "regexp_full_match",
    "~~",
    "!~~",
    "~~*",
    "!~~*",
    "~~~",
    "like_escape",
    "not_like_escape",
    "ilike_escape",
    "not_ilike_escape",
    "^@",
    "list_contains",
    "array_contains",
    "list_has",
    "list_has_any",
    "list_has_all",
    "map_contains",
    "isnan",
    "isinf",
    "isfinite",
    "length",
    "len",
    "strlen",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "array_length",
    "cardinality",
    "json_valid",
    "typeof",
    "pg_typeof",
];

/// Functions over rows, for telling how a value came about.
const AGGREGATES: [&str; 38] = [
    "min",
    "max",
    "sum",
    "avg",
    "mean",
    "median",
    "mode",
    "first",
    "last",
    "any_value",
    "arbitrary",
    "arg_min",
    "arg_max",
    "min_by",
    "max_by",
    "string_agg",
    "group_concat",
    "listagg",
    "list",
    "array_agg",
    "histogram",
    "product",
    "fsum",
    "sumkahan",
    "kahan_sum",
    "favg",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "quantile",
    "quantile_cont",
    "quantile_disc",
    "approx_quantile",
    "json_group_array",
    "json_group_object",
];

impl Reader<'_> {
    /// One entry of a select list, which may stand for many columns.
    pub(super) fn item(&self, id: Id, scope: &Scope<'_>, depth: usize, out: &mut Outputs) {
        let tree = self.tree;
        if tree.text(id, "class") == Some("STAR") && !tree.flag(id, "columns") {
            self.star(id, scope, depth, out);
            return;
        }
        let name = tree.text(id, "alias").unwrap_or_default();
        if let Some(star) = self.columns_inside(id) {
            // `COLUMNS(…)` makes one column of each; which ones it chooses is not decided here.
            let direct = star == id;
            for table in &scope.tables {
                for (column, sources) in visible(table) {
                    let how = if direct { How::Direct } else { How::Expression };
                    out.columns.push(OutputColumn {
                        name: column.clone(),
                        from: at_least(sources.clone(), how),
                        range: self.range(id),
                    });
                }
            }
            out.complete = false;
            return;
        }
        let name = if name.is_empty() && tree.text(id, "class") == Some("COLUMN_REF") {
            tree.texts(id, "column_names")
                .last()
                .copied()
                .unwrap_or_default()
        } else {
            name
        };
        out.columns.push(OutputColumn {
            name: name.to_owned(),
            from: self.sources(id, scope, depth + 1),
            range: self.range(id),
        });
    }

    fn star(&self, id: Id, scope: &Scope<'_>, depth: usize, out: &mut Outputs) {
        let tree = self.tree;
        let wanted = tree
            .text(id, "relation_name")
            .unwrap_or_default()
            .to_lowercase();
        let excluded: Vec<String> = tree
            .texts(id, "exclude_list")
            .iter()
            .map(|name| name.to_lowercase())
            .collect();
        let qualified = |table: &Table, column: &str| {
            tree.list(id, "qualified_exclude_list").iter().any(|entry| {
                let of = tree.text(*entry, "table").unwrap_or_default();
                let name = tree.text(*entry, "column").unwrap_or_default();
                (of.is_empty() || of.eq_ignore_ascii_case(&table.alias))
                    && name.eq_ignore_ascii_case(column)
            })
        };
        let replaced = |column: &str| {
            tree.list(id, "replace_list").iter().find_map(|entry| {
                tree.text(*entry, "key")?
                    .eq_ignore_ascii_case(column)
                    .then(|| tree.field(*entry, "value"))
                    .flatten()
            })
        };
        let renamed = |column: &str| {
            tree.list(id, "rename_list").iter().find_map(|entry| {
                let key = tree.field(*entry, "key")?;
                tree.text(key, "column")?
                    .eq_ignore_ascii_case(column)
                    .then(|| tree.text(*entry, "value"))
                    .flatten()
            })
        };
        for table in &scope.tables {
            if !wanted.is_empty() && table.alias != wanted {
                continue;
            }
            out.complete &= !table.open;
            for (column, sources) in &table.columns {
                let repeated = wanted.is_empty() && table.hidden.contains(column);
                if repeated || excluded.contains(column) || qualified(table, column) {
                    continue;
                }
                let from = match replaced(column) {
                    Some(value) => self.sources(value, scope, depth + 1),
                    None => sources.clone(),
                };
                out.columns.push(OutputColumn {
                    name: renamed(column).unwrap_or(column).to_owned(),
                    from,
                    range: self.range(id),
                });
            }
        }
    }

    /// The `COLUMNS(…)` somewhere in an expression.
    fn columns_inside(&self, id: Id) -> Option<Id> {
        let tree = self.tree;
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match tree.node(id) {
                Node::List(items) => todo.extend(items),
                Node::Object(fields) => {
                    if tree.text(id, "class") == Some("STAR") && tree.flag(id, "columns") {
                        return Some(id);
                    }
                    if tree.text(id, "class") != Some("SUBQUERY") {
                        todo.extend(fields.iter().map(|f| f.1));
                    }
                }
                _ => {}
            }
        }
        None
    }

    pub(super) fn sources(&self, id: Id, scope: &Scope<'_>, depth: usize) -> Sources {
        let tree = self.tree;
        if depth > MAX_DEPTH {
            return Sources::new();
        }
        match tree.text(id, "class").unwrap_or_default() {
            "COLUMN_REF" => column(&tree.texts(id, "column_names"), scope),
            "POSITIONAL_REFERENCE" => {
                let index = tree
                    .number(id, "index")
                    .and_then(|n| usize::try_from(n).ok());
                let mut all = scope.tables.iter().flat_map(visible);
                index
                    .and_then(|n| all.nth(n.checked_sub(1)?))
                    .map(|(_, sources)| sources.clone())
                    .unwrap_or_default()
            }
            "CONSTANT" | "PARAMETER" | "DEFAULT" | "COMPARISON" | "BETWEEN" | "CONJUNCTION"
            | "STAR" => Sources::new(),
            "CASE" => {
                let mut out = Sources::new();
                for check in tree.list(id, "case_checks") {
                    if let Some(then) = tree.field(*check, "then_expr") {
                        add(&mut out, self.sources(then, scope, depth + 1));
                    }
                }
                if let Some(otherwise) = tree.field(id, "else_expr") {
                    add(&mut out, self.sources(otherwise, scope, depth + 1));
                }
                at_least(out, How::Expression)
            }
            "OPERATOR" => {
                let ty = tree.text(id, "type").unwrap_or_default();
                if matches!(
                    ty,
                    "OPERATOR_IS_NULL"
                        | "OPERATOR_IS_NOT_NULL"
                        | "OPERATOR_NOT"
                        | "COMPARE_IN"
                        | "COMPARE_NOT_IN"
                ) {
                    return Sources::new();
                }
                at_least(self.inside(id, scope, depth), How::Expression)
            }
            "SUBQUERY" => {
                if tree.text(id, "subquery_type") != Some("SCALAR") {
                    return Sources::new();
                }
                let query = tree
                    .field(id, "subquery")
                    .and_then(|s| tree.field(s, "node"));
                let mut out = Sources::new();
                if let Some(query) = query {
                    for column in self.query(query, scope, depth + 1).columns {
                        add(&mut out, column.from);
                    }
                }
                at_least(out, How::Expression)
            }
            "FUNCTION" | "WINDOW" => self.call(id, scope, depth),
            "LAMBDA" => {
                let mut inner = Scope::inside(scope);
                if let Some(parameters) = tree.field(id, "lhs") {
                    inner.shadows = self.names(parameters);
                }
                tree.field(id, "expr").map_or_else(Sources::new, |body| {
                    at_least(self.sources(body, &inner, depth + 1), How::Expression)
                })
            }
            _ => at_least(self.inside(id, scope, depth), How::Expression),
        }
    }

    fn call(&self, id: Id, scope: &Scope<'_>, depth: usize) -> Sources {
        let tree = self.tree;
        let name = tree
            .text(id, "function_name")
            .unwrap_or_default()
            .to_lowercase();
        if SILENT.contains(&name.as_str()) {
            return Sources::new();
        }
        let mut out = Sources::new();
        for list in ["arguments", "children"] {
            for argument in tree.list(id, list) {
                let value = tree.field(*argument, "expression").unwrap_or(*argument);
                add(&mut out, self.sources(value, scope, depth + 1));
            }
        }
        if let Some(default) = tree.field(id, "default_expr") {
            add(&mut out, self.sources(default, scope, depth + 1));
        }
        let how = if AGGREGATES.contains(&name.as_str()) {
            How::Aggregate
        } else {
            How::Expression
        };
        at_least(out, how)
    }

    /// Everything in the expressions below a node.
    pub(super) fn inside(&self, id: Id, scope: &Scope<'_>, depth: usize) -> Sources {
        let tree = self.tree;
        let mut out = Sources::new();
        if depth > MAX_DEPTH {
            return out;
        }
        let below: Vec<Id> = match tree.node(id) {
            Node::List(items) => items.clone(),
            Node::Object(fields) => fields
                .iter()
                .filter(|(key, _)| key != "filter" && key != "order_bys")
                .map(|(_, value)| *value)
                .collect(),
            _ => return out,
        };
        for child in below {
            let found = if tree.text(child, "class").is_some() {
                self.sources(child, scope, depth + 1)
            } else {
                self.inside(child, scope, depth + 1)
            };
            add(&mut out, found);
        }
        out
    }

    fn names(&self, id: Id) -> Vec<String> {
        let tree = self.tree;
        let mut names = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match tree.node(id) {
                Node::List(items) => todo.extend(items),
                Node::Object(fields) => {
                    names.extend(
                        tree.texts(id, "column_names")
                            .iter()
                            .map(|n| n.to_lowercase()),
                    );
                    todo.extend(fields.iter().map(|f| f.1));
                }
                _ => {}
            }
        }
        names
    }
}

fn visible(table: &Table) -> impl Iterator<Item = &(String, Sources)> {
    table
        .columns
        .iter()
        .filter(|(name, _)| !table.hidden.contains(name))
}

/// A name with its qualifiers: the innermost scope that knows it wins.
fn column(parts: &[&str], scope: &Scope<'_>) -> Sources {
    let parts: Vec<String> = parts.iter().map(|p| p.to_lowercase()).collect();
    let mut at = Some(scope);
    while let Some(current) = at {
        if let [name] = parts.as_slice()
            && current.shadows.contains(name)
        {
            return Sources::new();
        }
        if let Some(found) = qualified(&parts, current).or_else(|| plain(&parts, current)) {
            return found;
        }
        at = current.outer;
    }
    Sources::new()
}

/// `t.c`, `s.t.c`, and a field of either.
fn qualified(parts: &[String], scope: &Scope<'_>) -> Option<Sources> {
    for at in 0..parts.len().saturating_sub(1).min(3) {
        let (Some(alias), Some(name)) = (parts.get(at), parts.get(at + 1)) else {
            break;
        };
        let Some(table) = scope.tables.iter().find(|t| t.alias == *alias) else {
            continue;
        };
        let field = parts.len() > at + 2;
        if let Some((_, sources)) = table.columns.iter().find(|(n, _)| n == name) {
            let how = if field { How::Expression } else { How::Direct };
            return Some(at_least(sources.clone(), how));
        }
        if table.open {
            return Some(table.others.clone());
        }
    }
    None
}

fn plain(parts: &[String], scope: &Scope<'_>) -> Option<Sources> {
    let name = parts.first()?;
    let how = if parts.len() > 1 {
        How::Expression
    } else {
        How::Direct
    };
    // After `USING` the column is that of either side.
    let mut found: Option<Sources> = None;
    for table in &scope.tables {
        if let Some((_, sources)) = table.columns.iter().find(|(n, _)| n == name) {
            add(found.get_or_insert_default(), sources.clone());
        }
    }
    if let Some(sources) = found {
        return Some(at_least(sources, how));
    }
    if let Some((_, sources)) = scope.selected.iter().rev().find(|(n, _)| n == name) {
        return Some(at_least(sources.clone(), how));
    }
    // The whole row of a table.
    if let Some(table) = scope.tables.iter().find(|t| t.alias == *name) {
        let mut all = table.others.clone();
        for (_, sources) in &table.columns {
            add(&mut all, sources.clone());
        }
        return Some(at_least(all, How::Expression));
    }
    let mut others = Sources::new();
    for table in scope.tables.iter().filter(|t| t.open) {
        add(&mut others, table.others.clone());
    }
    (!others.is_empty()).then_some(others)
}
