//! The call around the cursor: forms of an SQL function, or the tool that a test calls.

use mxcp_artifact::EndpointKind;
use mxcp_artifact::contract::type_text;
use mxcp_base::{SourceFile, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, parse_yaml};
use mxcp_compiler::lower::endpoint::EndpointDef;
use mxcp_syntax::sql::{TokenKind, tokens};

use crate::complete::yaml_place::place;
use crate::embedded::{Language, embedded};
use crate::functions;
use crate::names::{endpoint, file_sql};

/// One form, with the bytes of each parameter in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub label: String,
    pub parameters: Vec<(usize, usize)>,
    pub docs: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures {
    pub forms: Vec<Form>,
    /// The form that fits what is written.
    pub active: usize,
    pub parameter: usize,
}

pub fn signatures(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<Signatures> {
    let text = file.text(db);
    let part = embedded(db, file).into_iter().find_map(|part| {
        let at = part
            .offset(text, offset)
            .filter(|_| part.range.start() <= offset)?;
        matches!(part.language, Language::Sql | Language::Template).then_some(at as usize)
    });
    match part {
        Some(at) => of_sql(db, file, at),
        None => of_tool(db, file, offset),
    }
}

fn of_sql(db: &dyn Db, file: SourceFile, at: usize) -> Option<Signatures> {
    let sql = &file_sql(db, file)?.sql;
    let before = sql.get(..at)?;
    let list: Vec<_> = tokens(before)
        .into_iter()
        .filter(|t| t.kind != TokenKind::Comment)
        .collect();
    let mut depth = 0usize;
    let mut commas = 0;
    for (i, token) in list.iter().enumerate().rev() {
        match &before[token.range] {
            ")" | "]" | "}" => depth += 1,
            "(" if depth == 0 => {
                let name = list.get(i.checked_sub(1)?)?;
                if name.kind != TokenKind::Word {
                    return None;
                }
                return forms(db, &before[name.range].to_lowercase(), commas);
            }
            "(" | "[" | "{" => depth = depth.saturating_sub(1),
            "," if depth == 0 => commas += 1,
            _ => {}
        }
    }
    None
}

fn forms(db: &dyn Db, name: &str, parameter: usize) -> Option<Signatures> {
    let forms: Vec<Form> = functions::forms(db, name)
        .into_iter()
        .map(|s| {
            let (label, parameters) = s.label();
            Form {
                label,
                parameters,
                docs: s.description.clone(),
            }
        })
        .collect();
    let active = forms
        .iter()
        .position(|f| f.parameters.len() > parameter)
        .unwrap_or(0);
    (!forms.is_empty()).then_some(Signatures {
        forms,
        active,
        parameter,
    })
}

/// The tool whose arguments a test or an eval writes.
fn of_tool(db: &dyn Db, file: SourceFile, offset: TextSize) -> Option<Signatures> {
    let place = place(file.text(db), offset.into())?;
    let segments: Vec<String> = mxcp_syntax::yaml::pointer_segments(&place.pointer).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let yaml = parse_yaml(db, file);
    let (def, key): (&EndpointDef, Option<String>) =
        match (document_kind(db, file), parts.as_slice()) {
            (DocumentKind::Endpoint(_), [_, "tests", test, "arguments", rest @ ..]) => {
                let def = endpoint_def(db, file)?;
                let key = rest.first().and_then(|i| {
                    let pointer = format!("{}/tests/{test}/arguments/{i}/key", def.kind);
                    Some(yaml.lookup(&pointer)?.scalar()?.to_owned())
                });
                (def, key)
            }
            (
                DocumentKind::Eval,
                [
                    "tests",
                    test,
                    "assertions",
                    "must_call",
                    call,
                    "args",
                    rest @ ..,
                ],
            ) => {
                let pointer = format!("tests/{test}/assertions/must_call/{call}/tool");
                let tool = yaml.lookup(&pointer)?.scalar()?;
                let def = endpoint_def(db, endpoint(db, EndpointKind::Tool, tool)?)?;
                (def, rest.first().map(|k| (*k).to_owned()))
            }
            _ => return None,
        };
    let mut label = format!("{}(", def.id().unwrap_or_default());
    let mut parameters = Vec::new();
    for (i, parameter) in def.parameters.iter().enumerate() {
        if i > 0 {
            label.push_str(", ");
        }
        let start = label.len();
        label.push_str(&parameter.name);
        if let Some(ty) = &parameter.ty {
            label.push_str(": ");
            label.push_str(&type_text(ty));
        }
        parameters.push((start, label.len()));
    }
    label.push(')');
    let parameter = def
        .parameters
        .iter()
        .position(|p| Some(&p.name) == key.as_ref())
        .unwrap_or(0);
    Some(Signatures {
        forms: vec![Form {
            label,
            parameters,
            docs: def.description.clone(),
        }],
        active: 0,
        parameter,
    })
}
