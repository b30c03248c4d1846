//! Changes that are offered at a place: the fixes of diagnostics, and what the SQL already says.

use mxcp_artifact::{Column, SqlType, TypeDef};
use mxcp_base::{Diagnostic, Location, SourceFile, TextRange, TextSize, codes};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{endpoint_def, parse_yaml};
use mxcp_compiler::lineage::{endpoint_lineage, sensitive_source};
use mxcp_compiler::lower::endpoint::{EndpointDef, Language};
use mxcp_syntax::yaml::{Node, Style};

use crate::embedded::Embedded;
use crate::names::{FileSql, bound_columns, endpoint_sql, endpoints_of};
use crate::sql::{Column as SqlColumn, Target};
use crate::suggestion::suggestion;
use crate::symbol::Symbol;
use crate::{Analysis, Cancelled, Change, Place, TextChange};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub title: String,
    pub change: Change,
    /// What it mends.
    pub diagnostic: Option<Diagnostic>,
}

/// What can be done about a range of a file.
pub fn actions(
    analysis: &Analysis,
    path: &str,
    range: TextRange,
) -> Result<Vec<Action>, Cancelled> {
    let Some(file) = analysis.file(path) else {
        return Ok(Vec::new());
    };
    let diagnostics = analysis.diagnostics()?;
    let here: Vec<&Diagnostic> = diagnostics
        .by_file
        .get(path)
        .into_iter()
        .flatten()
        .filter(|d| touches(&d.primary, range))
        .collect();
    let mut found: Vec<Action> = here.iter().filter_map(|d| fix(d)).collect();
    found.extend(analysis.with(|db| {
        let mut found = Vec::new();
        for d in &here {
            found.extend(suggestion(db, file, d));
            if d.code == codes::MX0207 {
                found.extend(declare_parameter(db, file, d));
            }
        }
        for endpoint in endpoints_of(db, file) {
            found.extend(returns(db, *endpoint, &here));
        }
        found
    })?);
    Ok(found)
}

fn touches(location: &Location, range: TextRange) -> bool {
    match location.range() {
        Some(at) => at.intersect(range).is_some(),
        None => true,
    }
}

fn fix(diagnostic: &Diagnostic) -> Option<Action> {
    let fix = diagnostic.fix.as_ref()?;
    let edits: Option<Vec<TextChange>> = fix
        .edits
        .iter()
        .map(|edit| {
            Some(TextChange {
                place: Place::new(&edit.location.file, edit.location.range()?),
                text: edit.text.clone(),
            })
        })
        .collect();
    Some(Action {
        title: fix.title.clone(),
        change: Change {
            edits: edits?,
            moves: Vec::new(),
        },
        diagnostic: Some(diagnostic.clone()),
    })
}

/// The columns that the SQL of an endpoint returns.
pub fn result_columns(db: &dyn Db, endpoint: SourceFile) -> Vec<Column> {
    match endpoint_sql(db, endpoint) {
        Some((owner, _)) => bound_columns(db, owner),
        None => Vec::new(),
    }
}

/// The properties that a declared result has.
pub fn row_names(declared: Option<&TypeDef>) -> Vec<String> {
    let mut ty = declared;
    while let Some(items) = ty.and_then(|t| t.items.as_deref()) {
        ty = Some(items);
    }
    ty.into_iter()
        .flat_map(|t| t.properties.iter().flatten())
        .map(|p| p.name.clone())
        .collect()
}

/// A column of an endpoint's result in one line of YAML: a mark goes on with what it shows.
fn column_in_yaml(db: &dyn Db, endpoint: SourceFile, column: &Column) -> String {
    let shows = endpoint_lineage(db, endpoint)
        .columns
        .iter()
        .find(|c| c.name.eq_ignore_ascii_case(&column.name))
        .and_then(|c| sensitive_source(db, c));
    match shows {
        Some(_) => format!("{{ {}, sensitive: true }}", type_keys(&column.ty)),
        None => type_in_yaml(&column.ty),
    }
}

/// The declared type that an SQL type fits, in one line of YAML.
pub fn type_in_yaml(ty: &SqlType) -> String {
    format!("{{ {} }}", type_keys(ty))
}

fn type_keys(ty: &SqlType) -> String {
    match ty {
        SqlType::Boolean => "type: boolean".into(),
        ty if ty.is_integer() => "type: integer".into(),
        ty if ty.is_numeric() => "type: number".into(),
        SqlType::Date => "type: string, format: date".into(),
        SqlType::Time => "type: string, format: time".into(),
        SqlType::Timestamp
        | SqlType::TimestampS
        | SqlType::TimestampMs
        | SqlType::TimestampNs
        | SqlType::TimestampTz => "type: string, format: date-time".into(),
        SqlType::List(item) | SqlType::Array(item, _) => {
            format!("type: array, items: {}", type_in_yaml(item))
        }
        SqlType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, ty)| format!("{}: {}", key(name), type_in_yaml(ty)))
                .collect();
            format!("type: object, properties: {{ {} }}", fields.join(", "))
        }
        SqlType::Map(..) | SqlType::Json => "type: object".into(),
        _ => "type: string".into(),
    }
}

/// A key as YAML reads it as a text.
fn key(name: &str) -> String {
    let plain = crate::rename::is_name(name)
        && !matches!(
            name.to_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    match plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

fn indent_at(text: &str, offset: TextSize) -> usize {
    let before = text.get(..usize::from(offset)).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    usize::from(offset) - start
}

fn insertion(file: SourceFile, db: &dyn Db, at: TextSize, text: String) -> Change {
    Change {
        edits: vec![TextChange {
            place: Place::new(file.path(db), TextRange::empty(at)),
            text,
        }],
        moves: Vec::new(),
    }
}

/// `return` out of the columns: all of it, or those that are missing.
fn returns(db: &dyn Db, file: SourceFile, here: &[&Diagnostic]) -> Vec<Action> {
    let Some(def) = endpoint_def(db, file) else {
        return Vec::new();
    };
    let columns = result_columns(db, file);
    if columns.is_empty() || def.language != Language::Sql {
        return Vec::new();
    }
    let yaml = parse_yaml(db, file);
    let Some(node) = yaml.root().and_then(|r| r.get(def.kind.as_str())) else {
        return Vec::new();
    };
    if def.returns.is_none() && !def.has_return {
        return generate(db, file, def, node, &columns)
            .into_iter()
            .collect();
    }
    let mut row = node.get(def.return_key);
    while let Some(items) = row.and_then(|r| r.get("items")) {
        row = Some(items);
    }
    let names = row_names(def.returns.as_ref());
    let missing: Vec<&Column> = columns
        .iter()
        .filter(|c| !names.iter().any(|n| n.eq_ignore_ascii_case(&c.name)))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let change = row.and_then(|row| add_columns(db, file, row, &missing));
    let diagnostic = here.iter().find(|d| d.code == codes::MX0304);
    change
        .map(|change| Action {
            title: match missing.as_slice() {
                [one] => format!("add the missing return column `{}`", one.name),
                many => format!("add the {} missing return columns", many.len()),
            },
            change,
            diagnostic: diagnostic.map(|d| (*d).clone()),
        })
        .into_iter()
        .collect()
}

fn add_columns(
    db: &dyn Db,
    file: SourceFile,
    row: Node<'_>,
    missing: &[&Column],
) -> Option<Change> {
    let text = file.text(db);
    match row.get("properties") {
        Some(properties) if properties.style() == Style::Flow => {
            let (_, last) = properties.entries().last()?;
            let list: Vec<String> = missing
                .iter()
                .map(|c| format!(", {}: {}", key(&c.name), type_in_yaml(&c.ty)))
                .collect();
            Some(insertion(file, db, last.range().end(), list.concat()))
        }
        Some(properties) => {
            let (first, _) = properties.entries().next()?;
            let (_, last) = properties.entries().last()?;
            let indent = " ".repeat(indent_at(text, first.range.start()));
            let end = end_of(text, last);
            let lines: Vec<String> = missing
                .iter()
                .map(|c| format!("\n{indent}{}: {}", key(&c.name), type_in_yaml(&c.ty)))
                .collect();
            Some(insertion(file, db, end, lines.concat()))
        }
        None if row.style() == Style::Block => {
            let (first, _) = row.entries().next()?;
            let (_, last) = row.entries().last()?;
            let indent = indent_at(text, first.range.start());
            let mut lines = format!("\n{}properties:", " ".repeat(indent));
            for c in missing {
                lines.push_str(&format!(
                    "\n{}{}: {}",
                    " ".repeat(indent + 2),
                    key(&c.name),
                    type_in_yaml(&c.ty)
                ));
            }
            Some(insertion(file, db, end_of(text, last), lines))
        }
        None => None,
    }
}

/// Where the last line of a value ends, what it nests included.
fn end_of(text: &str, node: Node<'_>) -> TextSize {
    let mut end = node.range().end();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        end = end.max(node.range().end());
        open.extend(node.items());
        open.extend(node.entries().map(|(_, v)| v));
    }
    let at = usize::from(end);
    // A block ends before the line break that closes it.
    let trimmed = text.get(..at).unwrap_or_default().trim_end().len();
    let line = text
        .get(trimmed..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |i| trimmed + i);
    // A comment behind it stays on its line.
    TextSize::from(u32::try_from(line).unwrap_or(u32::MAX))
}

fn generate(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    node: Node<'_>,
    columns: &[Column],
) -> Option<Action> {
    let text = file.text(db);
    let (source, _) = node.get_entry("source")?;
    if node.style() != Style::Block {
        return None;
    }
    let indent = indent_at(text, source.range.start());
    let pad = |n: usize| " ".repeat(indent + n);
    // One row can be an object; several are a list of them.
    let bound = mxcp_compiler::sql::bind_endpoint(db, file);
    let single = matches!(
        bound.map(|b| &b.bound),
        Some(mxcp_compiler::sql::Bound::Columns {
            single_row: true,
            ..
        })
    );
    let mut out = String::from("return:\n");
    let mut deeper = 2;
    if !single {
        out.push_str(&format!("{}type: array\n{}items:\n", pad(2), pad(2)));
        deeper = 4;
    }
    out.push_str(&format!(
        "{}type: object\n{}properties:\n",
        pad(deeper),
        pad(deeper)
    ));
    for column in columns {
        out.push_str(&format!(
            "{}{}: {}\n",
            pad(deeper + 2),
            key(&column.name),
            column_in_yaml(db, file, column)
        ));
    }
    out.push_str(&pad(0));
    Some(Action {
        title: format!(
            "generate `return` of {} `{}` from its SQL",
            def.kind,
            def.id()?
        ),
        change: insertion(file, db, source.range.start(), out),
        diagnostic: None,
    })
}

/// Declares a parameter that the SQL uses, with the type that its use tells.
fn declare_parameter(db: &dyn Db, file: SourceFile, diagnostic: &Diagnostic) -> Vec<Action> {
    let mut found = Vec::new();
    for endpoint in endpoints_of(db, file) {
        let (Some(def), Some((owner, sql))) =
            (endpoint_def(db, *endpoint), endpoint_sql(db, *endpoint))
        else {
            continue;
        };
        let Some(range) = diagnostic.primary.range() else {
            continue;
        };
        let used = sql.resolved.uses.iter().find_map(|u| match &u.target {
            Target::Parameter(name)
                if owner == file
                    && sql
                        .embedded
                        .to_file(u.range.clone())
                        .intersect(range)
                        .is_some() =>
            {
                Some((name.clone(), u.range.clone()))
            }
            _ => None,
        });
        let Some((name, place)) = used else { continue };
        if def.parameters.iter().any(|p| p.name == name) {
            continue;
        }
        let ty = type_of_use(db, sql, &sql.embedded, place);
        if let Some(change) = add_parameter(db, *endpoint, def, &name, &ty) {
            found.push(Action {
                title: format!("declare the parameter `{name}`"),
                change,
                diagnostic: Some(diagnostic.clone()),
            });
        }
    }
    found
}

/// The type of what a parameter is compared with.
fn type_of_use(db: &dyn Db, sql: &FileSql, _part: &Embedded, at: std::ops::Range<u32>) -> String {
    let text = &sql.sql;
    let tokens = mxcp_syntax::sql::tokens(text);
    let place = tokens
        .iter()
        .position(|t| t.range.contains(at.start.into()))
        .unwrap_or(0);
    let word = |i: Option<usize>| i.and_then(|i| tokens.get(i)).map(|t| &text[t.range]);
    let before = place.checked_sub(1);
    if word(before)
        .is_some_and(|w| w.eq_ignore_ascii_case("limit") || w.eq_ignore_ascii_case("offset"))
    {
        return "integer".into();
    }
    let neighbour = [place.checked_sub(2), Some(place + 2)]
        .into_iter()
        .flatten()
        .filter_map(|i| tokens.get(i))
        .find_map(|token| {
            let start = u32::from(token.range.start());
            sql.resolved
                .uses
                .iter()
                .find(|u| u.range.start == start)
                .and_then(|u| match &u.target {
                    Target::Column(SqlColumn::Known(Symbol::Column { relation, name })) => {
                        column_type(db, relation, name)
                    }
                    _ => None,
                })
        });
    let keys = neighbour.map_or_else(|| "type: string".into(), |ty| type_keys(&ty));
    keys.trim_start_matches("type: ").to_owned()
}

fn column_type(db: &dyn Db, relation: &mxcp_artifact::RelationName, name: &str) -> Option<SqlType> {
    use mxcp_compiler::relations::{RelationKey, RelationSchema, relation_schema};
    match relation_schema(db, RelationKey::new(db, relation.clone())) {
        RelationSchema::Known(columns) => columns
            .iter()
            .find(|c| c.name.eq_ignore_ascii_case(name))
            .map(|c| c.ty.clone()),
        _ => None,
    }
}

fn add_parameter(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    name: &str,
    ty: &str,
) -> Option<Change> {
    let text = file.text(db);
    let yaml = parse_yaml(db, file);
    let node = yaml.root()?.get(def.kind.as_str())?;
    let mut lines = ty.split(", ");
    let kind = lines.next().unwrap_or("string");
    let rest: Vec<&str> = lines.collect();
    let item = |pad: &str| {
        let mut out = format!("\n{pad}- name: {name}\n{pad}  type: {kind}");
        for line in &rest {
            out.push_str(&format!("\n{pad}  {line}"));
        }
        out.push_str(&format!(
            "\n{pad}  description: \"{}\"",
            name.replace('_', " ")
        ));
        out
    };
    match node.get("parameters") {
        Some(list) if list.style() == Style::Block && !list.is_empty() => {
            let first = list.items().next()?;
            let last = list.items().last()?;
            // The dash stands before the item.
            let indent = indent_at(text, first.head_range().start()).saturating_sub(2);
            Some(insertion(
                file,
                db,
                end_of(text, last),
                item(&" ".repeat(indent)),
            ))
        }
        None if node.style() == Style::Block => {
            let (source, _) = node.get_entry("source")?;
            let indent = indent_at(text, source.range.start());
            let pad = " ".repeat(indent);
            let block = format!("parameters:{}\n{pad}", item(&format!("{pad}  ")));
            Some(insertion(file, db, source.range.start(), block))
        }
        _ => None,
    }
}
