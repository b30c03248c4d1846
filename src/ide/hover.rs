//! What there is to say about the name under the cursor, as Markdown.

use std::fmt::Write as _;

use mxcp_artifact::contract::type_text;
use mxcp_artifact::{Column, EndpointKind, RelationName, TypeDef};
use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{endpoint_def, find_file, parse_yaml, python_module};
use mxcp_compiler::ide_support as project;
use mxcp_compiler::lineage::{How, Lineage, endpoint_lineage, model_lineage};
use mxcp_compiler::lower::endpoint::{EndpointDef, Language, ParameterDef};
use mxcp_compiler::models::model_for_relation;
use mxcp_compiler::relations::RelationKey;
use mxcp_compiler::sql::bound_type;

use crate::functions;
use crate::goto::{aliased, named};
use crate::names::{bound_columns, endpoint, endpoints_of, file_sql, stored_columns};
use crate::schema;
use crate::symbol::{LocalKind, Symbol};
use crate::typing::{cte_columns, local_column};

/// Longer SQL is cut: a hover is no viewer.
const LINES: usize = 30;

pub fn hover(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<(TextRange, String)> {
    let named = named(db, file, offset);
    let mut texts: Vec<String> = Vec::new();
    for occurrence in &named {
        if let Some(text) = describe(db, file, &occurrence.symbol)
            && !texts.contains(&text)
        {
            texts.push(text);
        }
    }
    if let (Some(first), false) = (named.first(), texts.is_empty()) {
        return Some((first.range, texts.join("\n\n---\n\n")));
    }
    key(db, file, offset).or_else(|| cel_name(db, file, offset))
}

/// What the grammar says of a key.
fn key(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<(TextRange, String)> {
    let kind = schema::of_file(db, file)?;
    let yaml = parse_yaml(db, file);
    let found = yaml.pointer_at(offset.into())?;
    if !found.on_key {
        return None;
    }
    let text = schema::describe(kind, &found.pointer)?;
    let name = mxcp_syntax::yaml::pointer_segments(&found.pointer).last()?;
    let mut out = format!("`{name}`: {text}");
    let values = schema::values(kind, &found.pointer);
    if !values.is_empty() {
        let _ = write!(out, "\n\nOne of `{}`.", values.join("`, `"));
    }
    Some((yaml.key_range(&found.pointer)?, out))
}

/// A function of CEL.
fn cel_name(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<(TextRange, String)> {
    use crate::embedded::embedded;
    let text = file.text(db);
    let part = embedded(db, file).into_iter().find(|e| {
        e.language == crate::embedded::Language::Cel && e.range.contains_inclusive(offset)
    })?;
    let at = part.offset(text, offset)? as usize;
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let start = part
        .text
        .get(..at)?
        .rfind(|c| !is_name(c))
        .map_or(0, |i| i + 1);
    let rest = part.text.get(at..)?;
    let end = at + rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let name = part.text.get(start..end)?;
    let known = project::cel_names("output")
        .into_iter()
        .find(|n| n.name == name && n.is_function)?;
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some((
        part.to_file(cut(start)..cut(end)),
        fenced("cel", &known.detail),
    ))
}

fn fenced(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```", text.trim_end())
}

/// A symbol as Markdown; `from` is the file of whoever asks.
pub fn describe(db: &dyn Db, from: SourceFile, symbol: &Symbol) -> Option<String> {
    match symbol {
        Symbol::Parameter { owner, name } => parameter(db, owner, name),
        Symbol::Endpoint { kind, id } => of_endpoint(db, *kind, id),
        Symbol::Node { path } => node(db, find_file(db, path)?),
        Symbol::Source { source, table } => of_source(db, source, table),
        Symbol::Relation(relation) => Some(format!(
            "**table `{relation}`** of the database\n\n{}",
            columns(&stored_columns(db, relation), &|_| None)
        )),
        Symbol::Column { relation, name } => column(db, relation, name),
        Symbol::Result { owner, name } => result(db, owner, name),
        Symbol::Local { path, at, kind } => local(db, find_file(db, path)?, *at, *kind),
        Symbol::Function { name } => function(db, name),
        Symbol::Macro { name } => of_macro(db, name),
        Symbol::Python { path, name } => python(db, find_file(db, path)?, name),
        Symbol::Cel { path } => cel(db, from, path),
        Symbol::File { path } => Some(format!("`{path}`")),
    }
}

fn parameter(db: &dyn Db, owner: &str, name: &str) -> Option<String> {
    let file = find_file(db, owner)?;
    let mut out = String::new();
    for endpoint in endpoints_of(db, file) {
        let Some(def) = endpoint_def(db, *endpoint) else {
            continue;
        };
        if let Some(parameter) = def.parameters.iter().find(|p| p.name == name) {
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            out.push_str(&of_parameter(def, parameter));
        }
    }
    (!out.is_empty()).then_some(out)
}

fn of_parameter(def: &EndpointDef, parameter: &ParameterDef) -> String {
    let mut out = format!(
        "**parameter `{}`** of {} `{}`",
        parameter.name,
        def.kind,
        def.id().unwrap_or_default()
    );
    let Some(ty) = &parameter.ty else {
        return out;
    };
    let _ = write!(out, "\n\n{}", fenced("text", &typed(&parameter.name, ty)));
    if let Some(text) = &ty.description {
        let _ = write!(out, "\n\n{text}");
    }
    if !ty.examples.is_empty() {
        let examples: Vec<String> = ty.examples.iter().map(ToString::to_string).collect();
        let _ = write!(out, "\n\nExamples: `{}`", examples.join("`, `"));
    }
    if def.kind == EndpointKind::Prompt || def.language != Language::Sql {
        return out;
    }
    match bound_type(ty) {
        Some(sql) => {
            let _ = write!(out, "\n\nIn SQL: `${}` of type `{sql}`", parameter.name);
        }
        None => out.push_str("\n\nIn SQL its type depends on the value"),
    }
    out
}

fn typed(name: &str, ty: &TypeDef) -> String {
    match &ty.default {
        Some(default) => format!("{name}: {} = {default}", type_text(ty)),
        None => format!("{name}: {}", type_text(ty)),
    }
}

fn of_endpoint(db: &dyn Db, kind: EndpointKind, id: &str) -> Option<String> {
    let file = endpoint(db, kind, id)?;
    let def = endpoint_def(db, file)?;
    let mut out = fenced("text", &signature(def));
    if let Some(text) = &def.description {
        let _ = write!(out, "\n\n{text}");
    }
    let _ = write!(out, "\n\n`{}`", file.path(db));
    match def.tests.len() {
        0 => out.push_str(", without tests"),
        1 => out.push_str(", 1 test"),
        n => {
            let _ = write!(out, ", {n} tests");
        }
    }
    Some(out)
}

/// `tool name(a: string) -> [{…}]`.
pub fn signature(def: &EndpointDef) -> String {
    let mut out = call(def);
    if let Some(returns) = &def.returns {
        let _ = write!(out, " -> {}", type_text(returns));
    }
    out
}

/// `tool name(a: string)`.
pub fn call(def: &EndpointDef) -> String {
    let parameters: Vec<String> = def
        .parameters
        .iter()
        .map(|p| match &p.ty {
            Some(ty) => typed(&p.name, ty),
            None => p.name.clone(),
        })
        .collect();
    format!(
        "{} {}({})",
        def.kind,
        def.id().unwrap_or_default(),
        parameters.join(", ")
    )
}

fn columns(list: &[Column], described: &dyn Fn(&str) -> Option<String>) -> String {
    if list.is_empty() {
        return "Its columns are not known.".into();
    }
    let mut out = String::from("| column | type | |\n|---|---|---|\n");
    for column in list {
        let text = described(&column.name)
            .unwrap_or_default()
            .replace('\n', " ");
        let _ = writeln!(
            out,
            "| `{}` | `{}`{} | {} |",
            column.name,
            column.ty,
            if column.nullable { "" } else { " NOT NULL" },
            text.replace('|', "\\|"),
        );
    }
    out.truncate(out.trim_end().len());
    out
}

fn node(db: &dyn Db, file: SourceFile) -> Option<String> {
    let how = project::materialized(db, file);
    let what = if how == "seed" {
        "**seed".to_owned()
    } else {
        format!("**{how} model")
    };
    let name = project::node_name(db, file);
    let mut out = format!("{what} `{name}`**, `{}`", file.path(db));
    if let Some(text) = project::node_description(db, file) {
        let _ = write!(out, "\n\n{text}");
    }
    let mut list = project::node_columns(db, file)
        .map(|columns| columns.to_vec())
        .unwrap_or_default();
    for column in &mut list {
        column.nullable &= !project::is_never_null(db, file, &column.name);
    }
    let described = |name: &str| project::column_description(db, file, name)?.0;
    let _ = write!(out, "\n\n{}", columns(&list, &described));
    if let Some(sql) = project::compiled_sql(db, file) {
        let sql = sql.trim();
        let mut shown: Vec<&str> = sql.lines().take(LINES).collect();
        if sql.lines().count() > LINES {
            shown.push("-- …");
        }
        let _ = write!(out, "\n\nCompiled:\n\n{}", fenced("sql", &shown.join("\n")));
    }
    Some(out)
}

fn of_source(db: &dyn Db, source: &str, table: &str) -> Option<String> {
    let found = project::source_tables(db)
        .into_iter()
        .find(|t| t.source == source && t.table == table)?;
    let mut out = format!(
        "**source `{source}.{table}`**, the table `{}`",
        found.relation
    );
    if let Some(text) = &found.description {
        let _ = write!(out, "\n\n{text}");
    }
    let described = |name: &str| {
        let column = found.columns.iter().find(|(n, _)| n == name)?;
        column.1.clone()
    };
    let list = stored_columns(db, &found.relation);
    let _ = write!(out, "\n\n{}", columns(&list, &described));
    Some(out)
}

fn column_line(name: &str, column: Option<&Column>) -> String {
    match column {
        Some(c) => {
            let null = if c.nullable { "" } else { " NOT NULL" };
            fenced("sql", &format!("{name} {}{null}", c.ty))
        }
        None => fenced("sql", name),
    }
}

fn column(db: &dyn Db, relation: &RelationName, name: &str) -> Option<String> {
    let list = stored_columns(db, relation);
    let found = list.iter().find(|c| c.name.eq_ignore_ascii_case(name));
    let mut out = column_line(found.map_or(name, |c| c.name.as_str()), found);
    let _ = write!(out, "\n\ncolumn of `{relation}`");
    let file = model_for_relation(db, RelationKey::new(db, relation.folded()));
    let described = match file {
        Some(file) => project::column_description(db, file, name).and_then(|d| d.0),
        None => project::source_tables(db)
            .into_iter()
            .find(|t| t.relation.folded() == *relation)
            .and_then(|t| {
                t.columns
                    .into_iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))?
                    .1
            }),
    };
    if let Some(text) = described {
        let _ = write!(out, "\n\n{text}");
    }
    if let Some(file) = file {
        out.push_str(&lineage(model_lineage(db, file), name));
    }
    Some(out)
}

fn lineage(of: &Lineage, name: &str) -> String {
    let mut out = String::new();
    let column = of
        .columns
        .iter()
        .find(|c| c.name.eq_ignore_ascii_case(name));
    for (source, how) in column.into_iter().flat_map(|c| &c.from) {
        let how = match how {
            How::Direct => "",
            How::Expression => ", computed",
            How::Aggregate => ", aggregated",
        };
        let _ = write!(out, "\n- from `{}.{}`{how}", source.relation, source.column);
    }
    match out.is_empty() {
        true => out,
        false => format!("\n{out}"),
    }
}

fn result(db: &dyn Db, owner: &str, name: &str) -> Option<String> {
    let file = find_file(db, owner)?;
    let list = bound_columns(db, file);
    let found = list.iter().find(|c| c.name.eq_ignore_ascii_case(name));
    let mut out = column_line(found.map_or(name, |c| c.name.as_str()), found);
    for endpoint in endpoints_of(db, file) {
        let Some(def) = endpoint_def(db, *endpoint) else {
            continue;
        };
        let _ = write!(
            out,
            "\n\nin the result of {} `{}`",
            def.kind,
            def.id().unwrap_or_default()
        );
        let mut ty = def.returns.as_ref();
        while let Some(items) = ty.and_then(|t| t.items.as_deref()) {
            ty = Some(items);
        }
        let property = ty
            .and_then(|t| t.properties.as_ref())
            .and_then(|p| p.iter().find(|p| p.name.eq_ignore_ascii_case(name)));
        if let Some(property) = property {
            let _ = write!(out, ", declared as `{}`", type_text(&property.ty));
            if let Some(text) = &property.ty.description {
                let _ = write!(out, "\n\n{text}");
            }
        }
        out.push_str(&lineage(endpoint_lineage(db, *endpoint), name));
    }
    Some(out)
}

fn local(db: &dyn Db, file: SourceFile, at: u32, kind: LocalKind) -> Option<String> {
    let text = file.text(db);
    let start = at as usize;
    let rest = text.get(start..)?;
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let name = rest.get(..end)?;
    let sql = file_sql(db, file)?;
    Some(match kind {
        LocalKind::Alias => match aliased(db, file, sql, at).and_then(|s| describe(db, file, &s)) {
            Some(text) => format!("alias `{name}` of\n\n{text}"),
            None => format!("alias `{name}`"),
        },
        LocalKind::Cte => {
            let typed = cte_columns(db, file, name);
            if !typed.is_empty() {
                return Some(format!(
                    "common table expression `{name}`\n\n{}",
                    columns(typed, &|_| None)
                ));
            }
            let table = sql
                .resolved
                .scopes
                .iter()
                .flat_map(|s| &s.tables)
                .find(|t| t.name == name.to_lowercase());
            let names: Vec<String> = table
                .map(|t| t.columns.iter().map(|(n, _)| format!("`{n}`")).collect())
                .unwrap_or_default();
            match names.is_empty() {
                true => format!("common table expression `{name}`"),
                false => format!(
                    "common table expression `{name}` with the columns {}",
                    names.join(", ")
                ),
            }
        }
        LocalKind::Column => {
            let outputs = &sql.resolved.outputs;
            let output = outputs
                .iter()
                .position(|o| u32::from(sql.embedded.to_file(o.range.clone()).start()) == at);
            let column = output.and_then(|i| local_column(db, file, &sql.resolved, i));
            match column {
                Some(_) => format!(
                    "{}\n\ncolumn of this query",
                    column_line(name, column.as_ref())
                ),
                None => format!("column `{name}` of this query"),
            }
        }
    })
}

fn function(db: &dyn Db, name: &str) -> Option<String> {
    let forms = functions::forms(db, name);
    let first = forms.first()?;
    let lines: Vec<String> = forms.iter().take(12).map(|s| s.label().0).collect();
    let mut out = fenced("sql", &lines.join("\n"));
    if forms.len() > 12 {
        let _ = write!(out, "\n\nand {} more forms", forms.len() - 12);
    }
    if let Some(text) = &first.description {
        let _ = write!(out, "\n\n{text}");
    }
    Some(out)
}

fn of_macro(db: &dyn Db, name: &str) -> Option<String> {
    for file in project::macro_files(db) {
        let found = mxcp_syntax::jinja::scan(file.text(db))
            .macros
            .into_iter()
            .find(|m| m.name == name);
        if let Some(found) = found {
            let params: Vec<String> = found
                .params
                .iter()
                .map(|p| match &p.default {
                    Some(default) => format!("{}={default}", p.name),
                    None => p.name.clone(),
                })
                .collect();
            return Some(format!(
                "{}\n\n`{}`",
                fenced("jinja", &format!("macro {name}({})", params.join(", "))),
                file.path(db)
            ));
        }
    }
    None
}

fn python(db: &dyn Db, file: SourceFile, name: &str) -> Option<String> {
    let function = python_module(db, file).function(name)?;
    let text = file.text(db);
    let params: Vec<&str> = function
        .params
        .iter()
        .filter_map(|p| text.get(std::ops::Range::<usize>::from(p.whole)))
        .collect();
    let returns = function
        .returns
        .as_ref()
        .map_or(String::new(), |r| format!(" -> {r}"));
    let mut out = fenced(
        "python",
        &format!("def {name}({}){returns}", params.join(", ")),
    );
    if let Some(docs) = &function.docstring {
        let _ = write!(out, "\n\n{docs}");
    }
    Some(out)
}

fn cel(db: &dyn Db, from: SourceFile, path: &str) -> Option<String> {
    if path == "response" {
        let ty = endpoint_def(db, from).and_then(|d| d.returns.as_ref());
        return Some(match ty {
            Some(ty) => format!(
                "{}\n\nthe result",
                fenced("text", &format!("response: {}", type_text(ty)))
            ),
            None => "**`response`**: the result".into(),
        });
    }
    let known = project::cel_names("output")
        .into_iter()
        .find(|n| n.name == path);
    Some(match known {
        Some(known) if path == "user" => format!("**`user`**: {}", known.detail),
        Some(known) => format!(
            "{}\n\nof the caller",
            fenced("cel", &format!("{path}: {}", known.detail))
        ),
        None => {
            format!("**`{path}`**: a field of the caller's profile; guard it with `has({path})`")
        }
    })
}
