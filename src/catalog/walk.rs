//! Walks a whole syntax tree and notes what it reads, calls and may do.
//!
//! Every node is visited: common table expressions, subqueries, set operations and data-changing
//! statements inside `WITH` included. Nothing is bound here.

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::json::{Id, Node, Tree};
use crate::names::{chain, targets};
use crate::request::TableRef;
use crate::tokens::{Token, to_range};

/// Positions in a tree count from the start of the text that was parsed.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub sql: &'a str,
    /// The tokens of the statement, positions in `sql`.
    pub tokens: &'a [Token],
    /// Where the parsed text starts in `sql`; negative when a wrapper was put in front.
    pub base: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub relations: Vec<TableRef>,
    pub functions: BTreeSet<String>,
    pub parameters: BTreeSet<String>,
    /// A parameter is an argument of a call, where the engine may look at its value.
    pub value_matters: bool,
    pub writes: bool,
    pub external: bool,
    pub volatile: bool,
    pub opaque: Option<String>,
}

impl Found {
    fn set_opaque(&mut self, reason: String) {
        self.opaque.get_or_insert(reason);
    }
}

/// A relation name visible in part of a query, and the scope around it.
struct Scope {
    parent: Option<usize>,
    name: String,
}

struct Walk<'a> {
    tree: &'a Tree,
    source: Source<'a>,
    facts: &'a Facts,
    /// Relations that earlier statements of the same text create.
    created: &'a BTreeSet<String>,
    scopes: Vec<Scope>,
    found: Found,
}

pub(crate) fn walk(
    tree: &Tree,
    source: Source<'_>,
    facts: &Facts,
    created: &BTreeSet<String>,
) -> Found {
    let mut walk = Walk {
        tree,
        source,
        facts,
        created,
        scopes: Vec::new(),
        found: Found::default(),
    };
    let mut todo: Vec<(Id, Option<usize>, bool)> = vec![(tree.root(), None, false)];
    while let Some((id, scope, in_call)) = todo.pop() {
        match tree.node(id) {
            Node::List(items) => todo.extend(items.iter().map(|i| (*i, scope, in_call))),
            Node::Object(fields) => {
                let inner = walk.scope_of(id, scope, in_call, &mut todo);
                let in_call = walk.visit(id, inner, in_call) || in_call;
                todo.extend(
                    fields
                        .iter()
                        .filter(|(key, _)| key != "cte_map")
                        .map(|(_, value)| (*value, inner, in_call)),
                );
            }
            _ => {}
        }
    }
    let mut found = walk.found;
    found.relations.sort_by_cached_key(|r| {
        let start = r.range.as_ref().map_or(u32::MAX, |r| r.start);
        (start, r.catalog.clone(), r.schema.clone(), r.name.clone())
    });
    found.relations.dedup();
    found
}

impl Walk<'_> {
    /// Opens the scope of a node's `WITH` list: each entry sees the ones before it, a recursive one
    /// also itself, and the node sees them all.
    fn scope_of(
        &mut self,
        id: Id,
        scope: Option<usize>,
        in_call: bool,
        todo: &mut Vec<(Id, Option<usize>, bool)>,
    ) -> Option<usize> {
        let tree = self.tree;
        let Some(map) = tree.field(id, "cte_map") else {
            return scope;
        };
        let mut current = scope;
        for entry in tree.list(map, "map") {
            let Some(value) = tree.field(*entry, "value") else {
                continue;
            };
            let name = tree.text(*entry, "key").unwrap_or_default().to_lowercase();
            let outer = current;
            self.scopes.push(Scope {
                parent: current,
                name,
            });
            current = Some(self.scopes.len() - 1);
            let recursive = tree
                .field(value, "query_node")
                .is_some_and(|node| tree.text(node, "type") == Some("RECURSIVE_CTE_NODE"));
            todo.push((value, if recursive { current } else { outer }, in_call));
        }
        current
    }

    fn is_cte(&self, scope: Option<usize>, name: &str) -> bool {
        let mut at = scope;
        while let Some(scope) = at.and_then(|i| self.scopes.get(i)) {
            if scope.name == name {
                return true;
            }
            at = scope.parent;
        }
        false
    }

    fn has_parameter(&self, id: Id) -> bool {
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match self.tree.node(id) {
                Node::List(items) => todo.extend(items),
                Node::Object(fields) => {
                    if self.tree.text(id, "class") == Some("PARAMETER") {
                        return true;
                    }
                    todo.extend(fields.iter().map(|f| f.1));
                }
                _ => {}
            }
        }
        false
    }

    /// Notes one node; says whether parameters below it are arguments of a call.
    fn visit(&mut self, id: Id, scope: Option<usize>, in_call: bool) -> bool {
        let tree = self.tree;
        let class = tree.text(id, "class").unwrap_or_default();
        let ty = tree.text(id, "type").unwrap_or_default();
        if tree
            .field(id, "sample")
            .is_some_and(|s| !matches!(tree.node(s), Node::Null))
        {
            self.found.volatile = true;
        }
        match class {
            "FUNCTION" | "WINDOW" => return self.call(id),
            "PARAMETER" => {
                if let Some(name) = tree.text(id, "identifier") {
                    self.found.parameters.insert(name.to_owned());
                }
                self.found.value_matters |= in_call;
            }
            "COLUMN_REF" => {
                if let [name] = tree.texts(id, "column_names")[..]
                    && Facts::is_value_function(&name.to_lowercase())
                {
                    self.found.volatile = true;
                }
            }
            "OPERATOR" => return ty.ends_with("EXTRACT") || ty == "ARRAY_SLICE",
            "STAR" if tree.flag(id, "columns") && self.has_parameter(id) => {
                self.found
                    .set_opaque("`COLUMNS` chooses by the value of a parameter".into());
            }
            _ => {}
        }
        match ty {
            "BASE_TABLE" => self.relation(id, "table_name", "schema_name", "catalog_name", scope),
            "SHOW_REF" if tree.text(id, "show_type") != Some("SHOW_SPECIAL") => {
                self.relation(id, "table_name", "schema_name", "catalog_name", scope);
            }
            "TABLE_FUNCTION" => {
                self.table_function(id, scope);
                return true;
            }
            "INSERT_QUERY_NODE" => {
                self.found.writes = true;
                self.relation(id, "table", "schema", "catalog", scope);
            }
            "UPDATE_QUERY_NODE" | "DELETE_QUERY_NODE" | "MERGE_QUERY_NODE" => {
                self.found.writes = true
            }
            "COPY_QUERY_NODE" => {
                self.found.writes = true;
                self.found.external = true;
                if let Some(info) = tree.field(id, "info") {
                    self.relation(info, "table", "schema", "catalog", scope);
                }
            }
            "PIVOT" => {
                let enumerated = tree.list(id, "pivots").iter().any(|p| {
                    tree.text(*p, "pivot_enum").is_some() || tree.field(*p, "subquery").is_some()
                });
                if enumerated {
                    self.found.set_opaque(
                        "`PIVOT` over an enum or a query takes its columns from the data".into(),
                    );
                }
            }
            _ => {}
        }
        false
    }

    fn call(&mut self, id: Id) -> bool {
        let tree = self.tree;
        let name = tree
            .text(id, "function_name")
            .unwrap_or_default()
            .to_lowercase();
        let name = match name.as_str() {
            "count_star" => "count".to_owned(),
            _ => name,
        };
        if tree.flag(id, "is_operator")
            || !name.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            return false;
        }
        self.found.volatile |= self.facts.is_volatile(&name);
        self.found.writes |= Facts::changes_state(&name);
        if name == "getvariable" {
            self.found
                .set_opaque("`getvariable` has no type before the variable is set".into());
        }
        self.found.functions.insert(name);
        true
    }

    /// Relations that are given as constants: `query_table('t')`, `query_table(['t', 'u'])`.
    fn relations_by_name(&mut self, function: Id, scope: Option<usize>) -> bool {
        let tree = self.tree;
        let mut names: Vec<(String, Option<u64>)> = Vec::new();
        let first = tree
            .list(function, "arguments")
            .first()
            .and_then(|a| tree.field(*a, "expression"));
        let Some(first) = first else {
            return false;
        };
        let items = match tree.text(first, "function_name") {
            Some("list_value") => tree
                .list(first, "arguments")
                .iter()
                .filter_map(|a| tree.field(*a, "expression"))
                .collect(),
            _ => vec![first],
        };
        for item in items {
            let column = tree.texts(item, "column_names");
            let literal = tree.field(item, "literal");
            let name = match (column.as_slice(), literal) {
                ([name], _) => (*name).to_owned(),
                ([], Some(literal)) if tree.text(literal, "kind") == Some("STRING") => {
                    tree.text(literal, "text").unwrap_or_default().to_owned()
                }
                _ => return false,
            };
            names.push((name, tree.number(item, "query_location")));
        }
        for (name, location) in names {
            if self.is_cte(scope, &name.to_lowercase()) {
                continue;
            }
            let mut parts: Vec<String> = name.split('.').map(str::to_owned).collect();
            let Some(name) = parts.pop() else {
                return false;
            };
            let range = location
                .and_then(|l| i64::try_from(l).ok())
                .and_then(|l| usize::try_from(l + self.source.base).ok())
                .and_then(|start| self.source.tokens.iter().find(|t| t.start == start))
                .map(Token::range);
            self.found.relations.push(TableRef {
                schema: parts.pop(),
                catalog: parts.pop(),
                name,
                range,
            });
        }
        true
    }

    fn table_function(&mut self, id: Id, scope: Option<usize>) {
        let tree = self.tree;
        let Some(function) = tree.field(id, "function") else {
            return;
        };
        let name = tree
            .text(function, "function_name")
            .unwrap_or_default()
            .to_lowercase();
        let named = matches!(
            name.as_str(),
            "query_table" | "pragma_table_info" | "pragma_show" | "pragma_storage_info"
        ) && self.relations_by_name(function, scope);
        if named {
            // Its relations are written there.
        } else if matches!(
            name.as_str(),
            "query" | "query_table" | "json_execute_serialized_sql"
        ) {
            self.found
                .set_opaque(format!("`{name}` chooses what it reads at run time"));
        } else if self.facts.reads_outside(&name) {
            self.found.external = true;
            if self.facts.functions.contains(&name) {
                self.found.set_opaque(format!(
                    "`{name}` takes its columns from files that are not read at build time"
                ));
            }
        }
    }

    fn relation(&mut self, id: Id, table: &str, schema: &str, catalog: &str, scope: Option<usize>) {
        let tree = self.tree;
        let Some(name) = tree.text(id, table) else {
            return;
        };
        let (schema, catalog) = (tree.text(id, schema), tree.text(id, catalog));
        let folded = name.to_lowercase();
        let own = schema.is_none() || schema.is_some_and(|s| s.eq_ignore_ascii_case("recurring"));
        if own && self.is_cte(scope, &folded) || schema.is_none() && self.created.contains(&folded)
        {
            return;
        }
        if catalog.is_none() && self.facts.is_system_view(schema, name) {
            return;
        }
        if schema.is_none() && Facts::is_file_name(name) {
            self.found.external = true;
            self.found.set_opaque(format!(
                "`{name}` names a file, and files are not read at build time"
            ));
            return;
        }
        let range = self.place(tree.number(id, "query_location"), &folded);
        self.found.relations.push(TableRef {
            catalog: catalog.map(str::to_owned),
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
            range,
        });
    }

    /// The qualified name at a position, or the first one like it after a keyword that takes one.
    fn place(&self, location: Option<u64>, name: &str) -> Option<std::ops::Range<u32>> {
        let Source { sql, tokens, base } = self.source;
        if let Some(start) = location
            .and_then(|l| i64::try_from(l).ok())
            .and_then(|l| usize::try_from(l + base).ok())
            && let Some(first) = tokens.iter().position(|t| t.start == start)
            && let Some((start, last)) = chain(sql, tokens, first)
            && tokens.get(last).and_then(|t| t.name(sql)).as_deref() == Some(name)
        {
            return tokens.get(last).map(|t| to_range(start, t.end));
        }
        let is_it =
            |last: usize| tokens.get(last).and_then(|t| t.name(sql)).as_deref() == Some(name);
        let target = targets(sql, tokens)
            .into_iter()
            .find(|(_, last)| is_it(*last));
        if let Some((start, last)) = target {
            return tokens.get(last).map(|t| to_range(start, t.end));
        }
        let mut same = (0..tokens.len()).filter(|i| is_it(*i));
        let only = same.next().filter(|_| same.next().is_none())?;
        tokens.get(only).map(Token::range)
    }
}
