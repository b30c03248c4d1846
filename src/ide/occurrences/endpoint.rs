//! Endpoint files and evals: names of endpoints, parameters, result columns, and the languages inside.

use mxcp_artifact::{EndpointKind, TypeDef, TypeKind};
use mxcp_base::{SourceFile, TextRange, TextSize, paths};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{endpoint_def, find_file, parse_yaml};
use mxcp_compiler::lower::endpoint::EndpointDef;
use mxcp_syntax::cel::{self, Expr, ExprKind};
use mxcp_syntax::yaml::{Kind, Node, Style};

use super::{Found, sql};
use crate::embedded::{Embedded, Language, embedded};
use crate::names::{endpoint, file_sql, owner, result_symbol};
use crate::symbol::{Role, Symbol};

/// Where the content of a scalar stands: without quotes.
pub(super) fn content(node: Node<'_>) -> TextRange {
    let range = node.content_range();
    match node.style() {
        Style::SingleQuoted | Style::DoubleQuoted if range.len() >= TextSize::from(2) => {
            TextRange::new(
                range.start() + TextSize::from(1),
                range.end() - TextSize::from(1),
            )
        }
        _ => range,
    }
}

/// The same of a key.
fn key_content(text: &str, range: TextRange) -> TextRange {
    let written = &text[range];
    match written.starts_with(['\'', '"']) && written.len() > 1 {
        true => TextRange::new(
            range.start() + TextSize::from(1),
            range.end() - TextSize::from(1),
        ),
        false => range,
    }
}

pub(super) fn read(db: &dyn Db, file: SourceFile, found: &mut Found) {
    let Some(def) = endpoint_def(db, file) else {
        return;
    };
    let yaml = parse_yaml(db, file);
    let Some(node) = yaml.root().and_then(|r| r.get(def.kind.as_str())) else {
        return;
    };
    let id_key = match def.kind {
        EndpointKind::Resource => "uri",
        _ => "name",
    };
    if let (Some(name), Some(id)) = (node.get(id_key), def.id()) {
        let symbol = Symbol::Endpoint {
            kind: def.kind,
            id: id.to_owned(),
        };
        found.add(content(name), symbol, Role::Definition);
    }
    let owner = owner(db, file);
    let parameter = |name: &str| Symbol::Parameter {
        owner: owner.clone(),
        name: name.to_owned(),
    };
    for item in node.get("parameters").into_iter().flat_map(|n| n.items()) {
        if let Some(name) = item.get("name")
            && let Some(text) = name.scalar()
        {
            found.add(content(name), parameter(text), Role::Definition);
        }
    }
    if def.kind == EndpointKind::Resource
        && let Some(uri) = node.get("uri")
        && let Some(text) = uri.scalar()
    {
        in_braces(text, |name, start, end| {
            if def.parameters.iter().any(|p| p.name == name) {
                found.add(uri.map_range(start..end), parameter(name), Role::Reference);
            }
        });
    }
    if let Some(reference) = node.get("source").and_then(|s| s.get("file"))
        && let Some(path) = reference
            .scalar()
            .and_then(|r| paths::resolve(file.path(db), r))
        && find_file(db, &path).is_some()
    {
        found.add(content(reference), Symbol::File { path }, Role::Reference);
    }
    result_places(db, file, node, def, found);
    for test in node.get("tests").into_iter().flat_map(|n| n.items()) {
        for argument in test.get("arguments").into_iter().flat_map(|n| n.items()) {
            if let Some(key) = argument.get("key")
                && let Some(name) = key.scalar()
                && def.parameters.iter().any(|p| p.name == name)
            {
                found.add(content(key), parameter(name), Role::Reference);
            }
        }
    }
    for part in embedded(db, file) {
        match part.language {
            Language::Cel => read_cel(db, file, def, &part, found),
            Language::Prompt => read_prompt(def, &part, &parameter, found),
            _ => {}
        }
    }
    if let Some(sql) = file_sql(db, file) {
        sql::read_sql(db, file, sql, found);
    }
}

/// Calls for every `{name}` of a URI template.
fn in_braces(text: &str, mut each: impl FnMut(&str, u32, u32)) {
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|r| r.find('{')) {
        let start = at + open + 1;
        let Some(len) = text.get(start..).and_then(|r| r.find('}')) else {
            return;
        };
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        each(&text[start..start + len], cut(start), cut(start + len));
        at = start + len;
    }
}

/// Whether the result is an object with fields, or a list of them.
fn row(ty: Option<&TypeDef>) -> Option<&TypeDef> {
    let mut ty = ty?;
    while ty.kind == TypeKind::Array {
        ty = ty.items.as_deref()?;
    }
    (ty.kind == TypeKind::Object).then_some(ty)
}

/// The places that name a column of the result: `return`, what tests expect, what policies hide.
fn result_places(
    db: &dyn Db,
    file: SourceFile,
    node: Node<'_>,
    def: &EndpointDef,
    found: &mut Found,
) {
    let text = file.text(db);
    // Only what is a column by its own word: a scalar has none, and of undeclared rows the SQL tells.
    if def.returns.is_some() && row(def.returns.as_ref()).is_none() {
        return;
    }
    let mut returns = node.get(def.return_key);
    while let Some(items) = returns.and_then(|r| r.get("items")) {
        returns = Some(items);
    }
    let keys = |of: Option<Node<'_>>, role: Role, found: &mut Found| {
        let entries = of.filter(|n| n.kind() == Kind::Map);
        for (key, _) in entries.into_iter().flat_map(|n| n.entries()) {
            let symbol = result_symbol(db, file, key.text);
            found.add(key_content(text, key.range), symbol, role);
        }
    };
    let names = |of: Option<Node<'_>>, found: &mut Found| {
        for item in of.into_iter().flat_map(|n| n.items()) {
            if let Some(name) = item.as_str().filter(|n| !n.contains('.')) {
                found.add(
                    content(item),
                    result_symbol(db, file, name),
                    Role::Reference,
                );
            }
        }
    };
    keys(
        returns.and_then(|r| r.get("properties")),
        Role::Declaration,
        found,
    );
    names(returns.and_then(|r| r.get("required")), found);
    for phase in ["input", "output"] {
        let policies = node.get("policies").and_then(|p| p.get(phase));
        for policy in policies.into_iter().flat_map(|n| n.items()) {
            names(policy.get("fields"), found);
        }
    }
    for test in node.get("tests").into_iter().flat_map(|n| n.items()) {
        for key in ["result", "result_contains", "result_contains_item"] {
            let expected = test.get(key);
            keys(expected, Role::Reference, found);
            for item in expected.into_iter().flat_map(|n| n.items()) {
                keys(Some(item), Role::Reference, found);
            }
        }
        for item in test
            .get("result_contains_all")
            .into_iter()
            .flat_map(|n| n.items())
        {
            keys(Some(item), Role::Reference, found);
        }
        names(test.get("result_not_contains"), found);
    }
}

fn read_prompt(
    def: &EndpointDef,
    part: &Embedded,
    parameter: &dyn Fn(&str) -> Symbol,
    found: &mut Found,
) {
    for (name, range) in mxcp_syntax::jinja::scan(&part.text).undeclared {
        if def.parameters.iter().any(|p| p.name == name) {
            let range = part.to_file(range.start().into()..range.end().into());
            found.add(range, parameter(&name), Role::Reference);
        }
    }
}

fn read_cel(db: &dyn Db, file: SourceFile, def: &EndpointDef, part: &Embedded, found: &mut Found) {
    if let Ok(expr) = cel::parse(&part.text) {
        let mut reader = CelReader {
            db,
            file,
            def,
            part,
            found,
        };
        reader.walk(&expr, &[]);
    }
}

struct CelReader<'a> {
    db: &'a dyn Db,
    file: SourceFile,
    def: &'a EndpointDef,
    part: &'a Embedded,
    found: &'a mut Found,
}

impl CelReader<'_> {
    /// `rows` are the variables that stand for rows of the result.
    fn walk(&mut self, expr: &Expr, rows: &[&str]) {
        let place = |part: &Embedded, range: TextRange| {
            part.to_file(range.start().into()..range.end().into())
        };
        match &expr.kind {
            ExprKind::Ident(name) => {
                let range = place(self.part, expr.range);
                if self.def.parameters.iter().any(|p| p.name == *name) {
                    let symbol = Symbol::Parameter {
                        owner: owner(self.db, self.file),
                        name: name.clone(),
                    };
                    self.found.add(range, symbol, Role::Reference);
                } else if name == "user" || name == "response" {
                    let symbol = Symbol::Cel { path: name.clone() };
                    self.found.add(range, symbol, Role::Reference);
                }
            }
            ExprKind::Select {
                operand,
                field,
                field_range,
                ..
            } => {
                let range = place(self.part, *field_range);
                if operand.dotted_path().as_deref() == Some("user") {
                    let path = format!("user.{field}");
                    self.found.add(range, Symbol::Cel { path }, Role::Reference);
                } else if self.is_row(operand, rows) {
                    let symbol = result_symbol(self.db, self.file, field);
                    self.found.add(range, symbol, Role::Reference);
                }
                self.walk(operand, rows);
            }
            ExprKind::Comprehension {
                operand,
                variable,
                filter,
                body,
                ..
            } => {
                self.walk(operand, rows);
                let mut inner: Vec<&str> = rows.to_vec();
                inner.retain(|name| name != variable);
                if self.is_row(operand, rows) {
                    inner.push(variable);
                }
                for part in filter.iter().chain(std::iter::once(body)) {
                    self.walk(part, &inner);
                }
            }
            _ => {
                for child in expr.children() {
                    self.walk(child, rows);
                }
            }
        }
    }

    /// Whether a value is the result or a row of it.
    fn is_row(&self, expr: &Expr, rows: &[&str]) -> bool {
        match &expr.kind {
            ExprKind::Ident(name) => {
                rows.contains(&name.as_str())
                    || (name == "response" && !self.def.parameters.iter().any(|p| p.name == *name))
            }
            ExprKind::Index { operand, .. } => self.is_row(operand, rows),
            _ => false,
        }
    }
}

pub(super) fn read_evals(db: &dyn Db, file: SourceFile, found: &mut Found) {
    let yaml = parse_yaml(db, file);
    let text = file.text(db);
    let tests = yaml.root().and_then(|r| r.get("tests"));
    for test in tests.into_iter().flat_map(|n| n.items()) {
        let Some(assertions) = test.get("assertions") else {
            continue;
        };
        for call in assertions
            .get("must_call")
            .into_iter()
            .flat_map(|n| n.items())
        {
            let Some(tool) = call.get("tool") else {
                continue;
            };
            tool_name(tool, found);
            let target = tool
                .scalar()
                .and_then(|id| endpoint(db, EndpointKind::Tool, id));
            let Some(target) = target else { continue };
            for (key, _) in call.get("args").into_iter().flat_map(|n| n.entries()) {
                let symbol = Symbol::Parameter {
                    owner: owner(db, target),
                    name: key.text.to_owned(),
                };
                found.add(key_content(text, key.range), symbol, Role::Reference);
            }
        }
        for key in ["must_not_call", "expected_tool"] {
            for item in assertions.get(key).into_iter().flat_map(|n| n.items()) {
                tool_name(item, found);
            }
        }
    }
}

fn tool_name(node: Node<'_>, found: &mut Found) {
    if let Some(id) = node.scalar() {
        let symbol = Symbol::Endpoint {
            kind: EndpointKind::Tool,
            id: id.to_owned(),
        };
        found.add(content(node), symbol, Role::Reference);
    }
}
