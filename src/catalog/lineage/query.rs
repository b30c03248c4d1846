//! Queries and `FROM`: what each relation brings, and what each query passes on.

use mxcp_artifact::RelationName;

use super::{How, MAX_DEPTH, OutputColumn, Outputs, Reader, Scope, SourceColumn, Sources, Table};
use super::{add, at_least};
use crate::json::{Id, Node};

impl Reader<'_> {
    pub(super) fn query(&self, node: Id, outer: &Scope<'_>, depth: usize) -> Outputs {
        let tree = self.tree;
        if depth > MAX_DEPTH {
            return Outputs::default();
        }
        let mut scope = Scope::inside(outer);
        if let Some(map) = tree.field(node, "cte_map") {
            for entry in tree.list(map, "map") {
                let name = tree.text(*entry, "key").unwrap_or_default().to_lowercase();
                let Some(value) = tree.field(*entry, "value") else {
                    continue;
                };
                let Some(query) = tree.field(value, "query_node") else {
                    continue;
                };
                let mut outputs = self.query(query, &scope, depth + 1);
                rename(&mut outputs, &tree.texts(value, "aliases"));
                scope.with.push((name, outputs));
            }
        }
        match tree.text(node, "type").unwrap_or_default() {
            "SELECT_NODE" => self.select(node, scope, depth),
            "SET_OPERATION_NODE" => self.set_operation(node, &scope, depth),
            "RECURSIVE_CTE_NODE" => self.recursive(node, scope, depth),
            "INSERT_QUERY_NODE" => {
                let name = self.relation_name(node, "table", "schema", "catalog");
                scope.tables.push(self.stored(name, ""));
                self.list(tree.list(node, "returning_list"), &mut scope, depth)
            }
            "UPDATE_QUERY_NODE" | "DELETE_QUERY_NODE" | "MERGE_QUERY_NODE" => {
                if let Some(table) = tree.field(node, "table") {
                    self.from(table, &mut scope, depth + 1);
                }
                self.list(tree.list(node, "returning_list"), &mut scope, depth)
            }
            _ => Outputs::default(),
        }
    }

    fn select(&self, node: Id, mut scope: Scope<'_>, depth: usize) -> Outputs {
        if let Some(from) = self.tree.field(node, "from_table") {
            self.from(from, &mut scope, depth + 1);
        }
        self.list(self.tree.list(node, "select_list"), &mut scope, depth)
    }

    fn list(&self, items: &[Id], scope: &mut Scope<'_>, depth: usize) -> Outputs {
        let mut out = Outputs {
            complete: true,
            ..Outputs::default()
        };
        for item in items {
            self.item(*item, scope, depth, &mut out);
            scope.selected = out
                .columns
                .iter()
                .filter(|c| !c.name.is_empty())
                .map(|c| (c.name.to_lowercase(), c.from.clone()))
                .collect();
        }
        out
    }

    fn set_operation(&self, node: Id, scope: &Scope<'_>, depth: usize) -> Outputs {
        let tree = self.tree;
        let mut sides: Vec<Id> = tree.list(node, "children").to_vec();
        if sides.is_empty() {
            sides.extend(["left", "right"].iter().filter_map(|s| tree.field(node, s)));
        }
        let kind = tree.text(node, "setop_type").unwrap_or_default();
        let mut sides = sides
            .into_iter()
            .filter(|id| matches!(tree.node(*id), Node::Object(_)));
        let Some(first) = sides.next() else {
            return Outputs::default();
        };
        let mut out = self.query(first, scope, depth + 1);
        // What is taken away is not shown.
        if kind == "EXCEPT" {
            return out;
        }
        for side in sides {
            let other = self.query(side, scope, depth + 1);
            merge(&mut out, other, kind == "UNION_BY_NAME");
        }
        out
    }

    fn recursive(&self, node: Id, mut scope: Scope<'_>, depth: usize) -> Outputs {
        let tree = self.tree;
        let name = tree
            .text(node, "cte_name")
            .unwrap_or_default()
            .to_lowercase();
        let (Some(left), Some(right)) = (tree.field(node, "left"), tree.field(node, "right"))
        else {
            return Outputs::default();
        };
        let mut out = self.query(left, &scope, depth + 1);
        // A column may take the value of its neighbour only after as many rounds as there are columns;
        // two rounds see what real queries do.
        for _ in 0..2 {
            scope.with.push((name.clone(), out.clone()));
            let step = self.query(right, &scope, depth + 1);
            scope.with.pop();
            merge(&mut out, step, false);
        }
        out
    }

    pub(super) fn from(&self, id: Id, scope: &mut Scope<'_>, depth: usize) {
        let tree = self.tree;
        if depth > MAX_DEPTH {
            scope.tables.push(unknown());
            return;
        }
        let alias = tree.text(id, "alias").unwrap_or_default().to_lowercase();
        let mut table = match tree.text(id, "type").unwrap_or_default() {
            "EMPTY" | "EMPTY_FROM" => return,
            "JOIN" => return self.join(id, scope, depth),
            "BASE_TABLE" => self.base_table(id, scope),
            "SUBQUERY" => {
                let query = tree
                    .field(id, "subquery")
                    .and_then(|s| tree.field(s, "node"));
                query.map_or_else(unknown, |query| {
                    of_outputs(&self.query(query, scope, depth + 1))
                })
            }
            "EXPRESSION_LIST" => self.values(id, scope, depth),
            "TABLE_FUNCTION" => Table {
                others: tree
                    .field(id, "function")
                    .map_or_else(Sources::new, |call| {
                        at_least(self.inside(call, scope, depth + 1), How::Expression)
                    }),
                ..unknown()
            },
            "PIVOT" => self.pivot(id, scope, depth),
            _ => unknown(),
        };
        if !alias.is_empty() {
            table.alias = alias;
        }
        let names = tree.texts(id, "column_name_alias");
        for (column, name) in table.columns.iter_mut().zip(&names) {
            column.0 = name.to_lowercase();
        }
        // `unnest(l) AS u(v)`: the names are given here.
        for name in names.iter().skip(table.columns.len()) {
            let sources = table.others.clone();
            table.columns.push((name.to_lowercase(), sources));
        }
        scope.tables.push(table);
    }

    fn join(&self, id: Id, scope: &mut Scope<'_>, depth: usize) {
        let tree = self.tree;
        let start = scope.tables.len();
        if let Some(left) = tree.field(id, "left") {
            self.from(left, scope, depth + 1);
        }
        let middle = scope.tables.len();
        if let Some(right) = tree.field(id, "right") {
            self.from(right, scope, depth + 1);
        }
        if matches!(tree.text(id, "join_type"), Some("SEMI" | "ANTI")) {
            scope.tables.truncate(middle);
            return;
        }
        let (left, right) = scope.tables.split_at_mut(middle);
        let left = left.get(start..).unwrap_or_default();
        let mut shared: Vec<String> = tree
            .texts(id, "using_columns")
            .iter()
            .map(|name| name.to_lowercase())
            .collect();
        if tree.text(id, "ref_type") == Some("NATURAL") {
            shared.extend(
                left.iter()
                    .flat_map(|t| &t.columns)
                    .map(|(name, _)| name.clone()),
            );
        }
        for table in right {
            let columns = table.columns.iter().map(|(name, _)| name);
            let hidden = columns.filter(|name| shared.contains(name)).cloned();
            table.hidden.extend(hidden);
        }
    }

    fn base_table(&self, id: Id, scope: &Scope<'_>) -> Table {
        let tree = self.tree;
        let name = tree.text(id, "table_name").unwrap_or_default();
        let schema = tree.text(id, "schema_name");
        if schema.is_none_or(|s| s.eq_ignore_ascii_case("recurring")) {
            let folded = name.to_lowercase();
            let mut at = Some(scope);
            while let Some(current) = at {
                if let Some((_, outputs)) = current.with.iter().rev().find(|(n, _)| *n == folded) {
                    return Table {
                        alias: folded,
                        ..of_outputs(outputs)
                    };
                }
                at = current.outer;
            }
        }
        let relation = self.relation_name(id, "table_name", "schema_name", "catalog_name");
        self.stored(relation, name)
    }

    fn relation_name(&self, id: Id, table: &str, schema: &str, catalog: &str) -> RelationName {
        let tree = self.tree;
        RelationName {
            catalog: tree.text(id, catalog).map(str::to_owned),
            schema: tree.text(id, schema).unwrap_or("main").to_owned(),
            name: tree.text(id, table).unwrap_or_default().to_owned(),
        }
        .folded()
    }

    fn stored(&self, relation: RelationName, alias: &str) -> Table {
        let alias = if alias.is_empty() {
            relation.name.clone()
        } else {
            alias.to_lowercase()
        };
        let Some(columns) = (self.known)(&relation) else {
            return Table { alias, ..unknown() };
        };
        let column = |name: String| {
            let source = SourceColumn {
                relation: relation.clone(),
                column: name.to_lowercase(),
            };
            (name.to_lowercase(), Sources::from([(source, How::Direct)]))
        };
        Table {
            alias,
            columns: columns.into_iter().map(column).collect(),
            ..Table::default()
        }
    }

    fn values(&self, id: Id, scope: &Scope<'_>, depth: usize) -> Table {
        let tree = self.tree;
        let mut table = Table::default();
        for row in tree.list(id, "values") {
            let Node::List(cells) = tree.node(*row) else {
                continue;
            };
            for (index, cell) in cells.iter().enumerate() {
                let sources = self.sources(*cell, scope, depth + 1);
                match table.columns.get_mut(index) {
                    Some(column) => add(&mut column.1, sources),
                    None => table.columns.push((format!("col{index}"), sources)),
                }
            }
        }
        table
    }

    /// The columns of the source stay under their names; those that are made have any of the values.
    fn pivot(&self, id: Id, scope: &Scope<'_>, depth: usize) -> Table {
        let tree = self.tree;
        let mut inner = Scope::inside(scope);
        if let Some(source) = tree.field(id, "source") {
            self.from(source, &mut inner, depth + 1);
        }
        let mut others = Sources::new();
        if tree.texts(id, "unpivot_names").is_empty() {
            for aggregate in tree.list(id, "aggregates") {
                let sources = self.sources(*aggregate, &inner, depth + 1);
                add(&mut others, at_least(sources, How::Aggregate));
            }
        } else {
            for pivot in tree.list(id, "pivots") {
                add(&mut others, self.inside(*pivot, &inner, depth + 1));
            }
        }
        let columns = inner
            .tables
            .iter()
            .flat_map(|t| t.columns.iter().filter(|c| !t.hidden.contains(&c.0)))
            .cloned()
            .collect();
        Table {
            columns,
            others,
            open: true,
            ..Table::default()
        }
    }
}

fn unknown() -> Table {
    Table {
        open: true,
        ..Table::default()
    }
}

fn of_outputs(outputs: &Outputs) -> Table {
    Table {
        columns: outputs
            .columns
            .iter()
            .map(|c| (c.name.to_lowercase(), c.from.clone()))
            .collect(),
        open: !outputs.complete,
        ..Table::default()
    }
}

fn rename(outputs: &mut Outputs, names: &[&str]) {
    if outputs.complete {
        for (column, name) in outputs.columns.iter_mut().zip(names) {
            column.name = (*name).to_owned();
        }
    }
}

fn merge(out: &mut Outputs, other: Outputs, by_name: bool) {
    let by_position = !by_name && out.complete && other.complete;
    for (index, column) in other.columns.into_iter().enumerate() {
        let same = |c: &OutputColumn| c.name.eq_ignore_ascii_case(&column.name);
        let place = if by_position {
            (index < out.columns.len()).then_some(index)
        } else {
            out.columns.iter().position(same)
        };
        match place.and_then(|i| out.columns.get_mut(i)) {
            Some(known) => add(&mut known.from, column.from),
            None if by_name => out.columns.push(column),
            None => {}
        }
    }
    out.complete &= other.complete;
}
