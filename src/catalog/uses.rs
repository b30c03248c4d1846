//! Where parameters stand, and what a select list holds.

use crate::details::{
    Constant, ConstantKind, Item, ParameterUse, Reader, TextPlace, TextUse, UsePlace,
};
use crate::facts::Facts;
use crate::json::Id;
use crate::names::unquoted;
use crate::tokens::{Token, TokenKind};

impl Reader<'_> {
    pub(crate) fn uses(&self, objects: &[Id]) -> Vec<ParameterUse> {
        let tree = self.tree;
        let mut uses = Vec::new();
        let mut note = |id: Id, place: UsePlace| {
            if let Some(name) = self.parameter(id) {
                uses.push(ParameterUse {
                    name: name.to_owned(),
                    range: self.range(id),
                    place,
                });
            }
        };
        for id in objects {
            let class = tree.text(*id, "class").unwrap_or_default();
            let ty = tree.text(*id, "type").unwrap_or_default();
            match (class, ty) {
                ("COMPARISON", _) => {
                    let (left, right) = (tree.field(*id, "left"), tree.field(*id, "right"));
                    if let (Some(left), Some(right)) = (left, right) {
                        for (one, other) in [(left, right), (right, left)] {
                            if let Some(column) = self.column(other) {
                                note(one, UsePlace::Column(column));
                            }
                        }
                    }
                }
                ("OPERATOR", "COMPARE_IN" | "COMPARE_NOT_IN") => {
                    let children = tree.list(*id, "children");
                    if let Some(column) = children.first().and_then(|c| self.column(*c)) {
                        for child in children.iter().skip(1) {
                            note(*child, UsePlace::Column(column.clone()));
                        }
                    }
                }
                ("BETWEEN", _) => {
                    let input = tree.field(*id, "input").and_then(|i| self.column(i));
                    for bound in ["lower", "upper"] {
                        if let (Some(column), Some(bound)) = (&input, tree.field(*id, bound)) {
                            note(bound, UsePlace::Column(column.clone()));
                        }
                    }
                }
                ("FUNCTION", _) => self.call(*id, false, &mut note),
                (_, "TABLE_FUNCTION") => {
                    if let Some(function) = tree.field(*id, "function") {
                        self.call(function, true, &mut note);
                    }
                }
                (_, "LIMIT_MODIFIER") => {
                    for part in ["limit", "offset"] {
                        if let Some(value) = tree.field(*id, part) {
                            note(value, UsePlace::Limit);
                        }
                    }
                }
                (_, "INSERT_QUERY_NODE") => self.insert(*id, &mut note),
                _ => {}
            }
            let columns = tree.texts(*id, "columns");
            for (column, value) in columns.iter().zip(tree.list(*id, "expressions")) {
                note(*value, UsePlace::Assigned(vec![(*column).to_owned()]));
            }
        }
        uses.sort_by_key(|u| u.range.as_ref().map_or(u32::MAX, |r| r.start));
        uses.dedup();
        uses
    }

    /// Text constants by what they stand for; `TRY` and `TRY_CAST` are asked for a reason.
    pub(crate) fn texts(&self, objects: &[Id]) -> Vec<TextUse> {
        let tree = self.tree;
        let tries = self.tokens.iter().any(|t| t.is_word(self.sql, "TRY"));
        let mut found = Vec::new();
        let text = |id: Id| {
            let literal = tree.field(id, "literal")?;
            let is_text = tree.text(id, "class") == Some("CONSTANT")
                && tree.text(literal, "kind") == Some("STRING");
            is_text.then(|| tree.text(literal, "text").unwrap_or_default().to_owned())
        };
        let mut note = |id: Id, place: TextPlace| {
            if let Some(text) = text(id) {
                // `DATE '…'` has no place of its own in the tree.
                let token = || {
                    let same = |t: &&Token| {
                        t.kind == TokenKind::String
                            && unquoted(t, self.sql).as_deref() == Some(&text)
                    };
                    self.tokens.iter().find(same).map(Token::range)
                };
                let range = self.range(id).or_else(token);
                found.push(TextUse { text, range, place });
            }
        };
        for id in objects.iter().filter(|_| !tries) {
            match tree.text(*id, "class").unwrap_or_default() {
                "COMPARISON" => {
                    let (left, right) = (tree.field(*id, "left"), tree.field(*id, "right"));
                    if let (Some(left), Some(right)) = (left, right) {
                        let equal = matches!(
                            tree.text(*id, "type").unwrap_or_default(),
                            "COMPARE_EQUAL" | "COMPARE_NOTEQUAL"
                        );
                        for (one, other) in [(left, right), (right, left)] {
                            if let Some(column) = self.column(other) {
                                note(one, TextPlace::Column(column));
                            } else if let (true, Some(name)) = (equal, self.parameter(other)) {
                                note(one, TextPlace::Parameter(name.to_owned()));
                            }
                        }
                    }
                }
                "OPERATOR" if tree.text(*id, "type") == Some("COMPARE_IN") => {
                    let children = tree.list(*id, "children");
                    let first = children.first();
                    let place = first
                        .and_then(|c| self.column(*c))
                        .map(TextPlace::Column)
                        .or_else(|| {
                            let name = first.and_then(|c| self.parameter(*c))?;
                            Some(TextPlace::Parameter(name.to_owned()))
                        });
                    if let Some(place) = place {
                        for child in children.iter().skip(1) {
                            note(*child, place.clone());
                        }
                    }
                }
                "CAST" if !tree.flag(*id, "try_cast") => {
                    let ty = tree
                        .field(*id, "type_expr")
                        .and_then(|t| tree.text(t, "type_name"));
                    if let (Some(child), Some(ty)) = (tree.field(*id, "child"), ty) {
                        note(child, TextPlace::Cast(ty.to_owned()));
                    }
                }
                _ => {}
            }
        }
        found.sort_by_key(|u| u.range.as_ref().map_or(u32::MAX, |r| r.start));
        found
    }

    fn call(&self, id: Id, is_table: bool, note: &mut dyn FnMut(Id, UsePlace)) {
        let tree = self.tree;
        let name = tree
            .text(id, "function_name")
            .unwrap_or_default()
            .to_lowercase();
        let arguments: Vec<Id> = tree
            .list(id, "arguments")
            .iter()
            .filter_map(|a| tree.field(*a, "expression"))
            .collect();
        // `x IN $list` is `contains($list, x)` in the tree.
        if name == "contains"
            && let [list, value] = arguments[..]
            && let Some(column) = self.column(value)
        {
            note(list, UsePlace::ListOf(column));
        }
        let place = match name.as_str() {
            "query" | "query_table" | "json_execute_serialized_sql" => {
                UsePlace::Relation(name.clone())
            }
            "getenv" => UsePlace::File(name.clone()),
            _ if Facts::reads_files(&name) && (is_table || name != "glob") => {
                UsePlace::File(name.clone())
            }
            _ => return,
        };
        if let Some(first) = arguments.first() {
            self.inside(*first, &place, note);
        }
    }

    /// A parameter anywhere in an argument: in a list of names, or glued to other texts.
    fn inside(&self, id: Id, place: &UsePlace, note: &mut dyn FnMut(Id, UsePlace)) {
        use crate::json::Node;
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match self.tree.node(id) {
                Node::List(items) => todo.extend(items),
                Node::Object(fields) => {
                    note(id, place.clone());
                    todo.extend(fields.iter().map(|f| f.1));
                }
                _ => {}
            }
        }
    }

    /// The values of an `INSERT` by the columns they go to.
    fn insert(&self, id: Id, note: &mut dyn FnMut(Id, UsePlace)) {
        let tree = self.tree;
        let Some(node) = tree
            .field(id, "select_statement")
            .and_then(|s| tree.field(s, "node"))
        else {
            return;
        };
        let table = tree.text(id, "table").unwrap_or_default();
        let columns = tree.texts(id, "columns");
        let from = tree.field(node, "from_table");
        let rows: Vec<Vec<Id>> = match from {
            Some(from) if tree.text(from, "type") == Some("EXPRESSION_LIST") => tree
                .list(from, "values")
                .iter()
                .map(|row| match tree.node(*row) {
                    crate::json::Node::List(items) => items.clone(),
                    _ => Vec::new(),
                })
                .collect(),
            _ => vec![tree.list(node, "select_list").to_vec()],
        };
        let by_name = self
            .tokens
            .windows(2)
            .any(|w| w[0].is_word(self.sql, "BY") && w[1].is_word(self.sql, "NAME"));
        for row in rows {
            for (i, value) in row.into_iter().enumerate() {
                if by_name {
                    if let Some(column) = tree.text(value, "alias") {
                        note(
                            value,
                            UsePlace::Assigned(vec![table.to_owned(), column.to_owned()]),
                        );
                    }
                    continue;
                }
                let place = match (columns.get(i), columns.is_empty()) {
                    (Some(column), _) => {
                        UsePlace::Assigned(vec![table.to_owned(), (*column).to_owned()])
                    }
                    (None, true) => UsePlace::Position(table.to_owned(), i),
                    (None, false) => continue,
                };
                note(value, place);
            }
        }
    }

    fn parameter(&self, id: Id) -> Option<&str> {
        (self.tree.text(id, "class") == Some("PARAMETER"))
            .then(|| self.tree.text(id, "identifier"))?
    }

    fn column(&self, id: Id) -> Option<Vec<String>> {
        let names = self.tree.texts(id, "column_names");
        (self.tree.text(id, "class") == Some("COLUMN_REF") && !names.is_empty())
            .then(|| names.iter().map(|n| (*n).to_owned()).collect())
    }

    pub(crate) fn items(&self, node: Id) -> Vec<Item> {
        self.items_of(node, "select_list", &mut Vec::new(), 0)
    }

    pub(crate) fn returned(&self, node: Id) -> Vec<Item> {
        self.items_of(node, "returning_list", &mut Vec::new(), 0)
    }

    fn items_of(
        &self,
        node: Id,
        list: &str,
        ctes: &mut Vec<(String, Id)>,
        depth: usize,
    ) -> Vec<Item> {
        let tree = self.tree;
        if let Some(map) = tree.field(node, "cte_map") {
            for entry in tree.list(map, "map") {
                let body = tree
                    .field(*entry, "value")
                    .and_then(|v| tree.field(v, "query_node"));
                if let (Some(name), Some(body)) = (tree.text(*entry, "key"), body) {
                    ctes.push((name.to_lowercase(), body));
                }
            }
        }
        let mut items: Vec<Item> = tree
            .list(node, list)
            .iter()
            .map(|id| self.item(*id))
            .collect();
        // A column of the one query that is read has the constants that it has there.
        if let Some(from) = tree.field(node, "from_table").filter(|_| depth < 10)
            && let Some(inner) = self.query_of(from, ctes)
            && items.iter().any(|i| !i.column.is_empty())
        {
            let inner = self.items_of(inner, "select_list", ctes, depth + 1);
            for item in &mut items {
                let Some(name) = item.column.last() else {
                    continue;
                };
                let mut same = inner.iter().filter(|i| {
                    i.is_star
                        || i.name
                            .as_ref()
                            .is_some_and(|n| n.eq_ignore_ascii_case(name))
                });
                if let (Some(source), None) = (same.next(), same.next())
                    && !source.is_star
                {
                    item.constants = source.constants.clone();
                    item.fields = source.fields.clone();
                }
            }
        }
        items
    }

    /// The query whose rows a `FROM` is made of, when it is a single one without column names of its own.
    fn query_of(&self, from: Id, ctes: &[(String, Id)]) -> Option<Id> {
        let tree = self.tree;
        if !tree.texts(from, "column_name_alias").is_empty() {
            return None;
        }
        match tree.text(from, "type")? {
            "SUBQUERY" => tree.field(tree.field(from, "subquery")?, "node"),
            "BASE_TABLE" if tree.text(from, "schema_name").is_none() => {
                let name = tree.text(from, "table_name")?.to_lowercase();
                ctes.iter()
                    .rev()
                    .find(|(n, _)| *n == name)
                    .map(|(_, id)| *id)
            }
            _ => None,
        }
        .filter(|node| tree.text(*node, "type") == Some("SELECT_NODE"))
    }

    fn item(&self, id: Id) -> Item {
        let tree = self.tree;
        let column = self.column(id).unwrap_or_default();
        let class = tree.text(id, "class").unwrap_or_default();
        let function = tree.text(id, "function_name").unwrap_or_default();
        let fields = match (class, function) {
            ("FUNCTION", "struct_pack") => tree
                .list(id, "arguments")
                .iter()
                .filter_map(|argument| {
                    let mut item = self.item(tree.field(*argument, "expression")?);
                    if let Some(name) = tree.text(*argument, "name") {
                        item.name = Some(name.to_owned());
                    }
                    Some(item)
                })
                .collect(),
            _ => Vec::new(),
        };
        Item {
            name: tree
                .text(id, "alias")
                .map(str::to_owned)
                .or_else(|| column.last().cloned()),
            // A struct may be taken apart, and `COLUMNS` stands inside expressions too.
            is_star: class == "STAR" || self.has_star(id),
            range: self.range(id),
            column,
            constants: self.constants(id),
            fields,
        }
    }

    fn has_star(&self, id: Id) -> bool {
        use crate::json::Node;
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match self.tree.node(id) {
                Node::List(items) => todo.extend(items),
                Node::Object(fields) => {
                    let name = self.tree.text(id, "function_name").unwrap_or_default();
                    match self.tree.text(id, "class").unwrap_or_default() {
                        "STAR" if self.tree.flag(id, "columns") => return true,
                        "FUNCTION" if name == "unnest" || name == "unlist" => return true,
                        "SUBQUERY" => continue,
                        _ => {}
                    }
                    todo.extend(fields.iter().map(|f| f.1));
                }
                _ => {}
            }
        }
        false
    }

    fn constants(&self, id: Id) -> Vec<Constant> {
        let tree = self.tree;
        let mut found = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            match (
                tree.text(id, "class").unwrap_or_default(),
                tree.text(id, "type").unwrap_or_default(),
            ) {
                ("CONSTANT", _) => {
                    let Some(literal) = tree.field(id, "literal") else {
                        continue;
                    };
                    let kind = match tree.text(literal, "kind").unwrap_or_default() {
                        "STRING" => ConstantKind::Text,
                        "INTEGER" | "NUMERIC" => ConstantKind::Number,
                        "BOOLEAN" => ConstantKind::Boolean,
                        "NULL_LITERAL" => ConstantKind::Null,
                        _ => continue,
                    };
                    found.push(Constant {
                        kind,
                        text: tree.text(literal, "text").unwrap_or_default().to_owned(),
                        range: self.range(id),
                    });
                }
                ("CASE", _) => {
                    todo.extend(
                        tree.list(id, "case_checks")
                            .iter()
                            .filter_map(|c| tree.field(*c, "then_expr")),
                    );
                    todo.extend(tree.field(id, "else_expr"));
                }
                ("OPERATOR", "OPERATOR_COALESCE") => todo.extend(tree.list(id, "children")),
                _ => {}
            }
        }
        found.sort_by_key(|c| c.range.as_ref().map_or(u32::MAX, |r| r.start));
        found
    }
}
