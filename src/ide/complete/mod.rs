//! What can be written at a place: keys and values of YAML, names of SQL, CEL and Jinja.

mod cel;
mod jinja;
mod sql;
mod yaml;
pub mod yaml_place;

use mxcp_artifact::contract::type_text;
use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::endpoint_def;
use mxcp_compiler::lower::endpoint::ParameterDef;

use crate::embedded::{Embedded, Language, embedded};

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub label: String,
    pub kind: ItemKind,
    pub detail: Option<String>,
    /// Markdown.
    pub docs: Option<String>,
    pub insert: String,
    /// `insert` has places to fill in: `${1:name}`.
    pub is_snippet: bool,
    /// What is there already and goes.
    pub replace: TextRange,
    /// The more likely come first.
    pub rank: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    Key,
    Value,
    Column,
    Table,
    Model,
    Source,
    Function,
    Parameter,
    Keyword,
    Variable,
    Filter,
    Macro,
    Tool,
    File,
}

impl Item {
    fn new(label: impl Into<String>, kind: ItemKind, replace: TextRange) -> Self {
        let label = label.into();
        Self {
            insert: label.clone(),
            label,
            kind,
            detail: None,
            docs: None,
            is_snippet: false,
            replace,
            rank: 5,
        }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn docs(mut self, docs: Option<String>) -> Self {
        self.docs = docs;
        self
    }

    fn insert(mut self, text: impl Into<String>) -> Self {
        self.insert = text.into();
        self
    }

    fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }
}

/// A place in an embedded text.
struct Spot<'a> {
    db: &'a dyn Db,
    file: SourceFile,
    part: &'a Embedded,
    /// Bytes of the embedded text.
    at: usize,
    /// The name that is being typed: from its start, and what of it goes.
    start: usize,
    replace: TextRange,
}

impl Spot<'_> {
    /// The endpoint's parameters, by their bare names.
    fn parameters(&self) -> Vec<Item> {
        let parameters = endpoint_def(self.db, self.file).map(|def| def.parameters.iter());
        let item = |parameter: &ParameterDef| {
            let item = Item::new(&parameter.name, ItemKind::Parameter, self.replace).rank(0);
            match &parameter.ty {
                Some(ty) => item.detail(type_text(ty)).docs(ty.description.clone()),
                None => item,
            }
        };
        parameters.into_iter().flatten().map(item).collect()
    }

    fn before(&self) -> &str {
        self.part.text.get(..self.start).unwrap_or_default()
    }
}

pub fn complete(db: &dyn Db, file: SourceFile, offset: TextSize) -> Vec<Item> {
    let text = file.text(db);
    for part in embedded(db, file) {
        let Some(at) = part
            .offset(text, offset)
            .filter(|_| part.range.start() <= offset)
        else {
            continue;
        };
        let spot = spot(db, file, text, &part, at as usize, offset);
        return match part.language {
            Language::Sql => sql::complete(&spot),
            Language::Template => match jinja::complete_template(&spot) {
                Some(items) => items,
                None => sql::complete(&spot),
            },
            Language::Cel => cel::complete(&spot),
            Language::Prompt => jinja::complete_prompt(&spot),
        };
    }
    yaml::complete(db, file, offset)
}

fn spot<'a>(
    db: &'a dyn Db,
    file: SourceFile,
    text: &str,
    part: &'a Embedded,
    at: usize,
    offset: TextSize,
) -> Spot<'a> {
    let before = part.text.get(..at).unwrap_or_default();
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_name(*c))
        .last()
        .map_or(at, |(i, _)| i);
    // The name as it is written in the file; behind the end of a scalar there is none.
    let typed = u32::try_from(at - start).unwrap_or(0);
    let written = text
        .get(..usize::from(offset))
        .is_some_and(|t| t.ends_with(before.get(start..).unwrap_or_default()));
    let replace = match written {
        true => TextRange::new(offset - TextSize::from(typed), offset),
        false => TextRange::empty(offset),
    };
    Spot {
        db,
        file,
        part,
        at,
        start: if written { start } else { at },
        replace,
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
