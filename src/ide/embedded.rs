//! Texts of other languages inside a file, and the way between their offsets and those of the file.

use std::ops::Range;

use mxcp_base::{SourceFile, TextRange, TextSize};
use mxcp_compiler::Db;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, parse_yaml};
use mxcp_compiler::lower::endpoint::Language as SourceLanguage;
use mxcp_syntax::yaml::{Kind, ScalarMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Sql,
    /// SQL with Jinja in it.
    Template,
    Cel,
    /// Jinja of a prompt.
    Prompt,
}

/// A text of another language, or a file of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    pub language: Language,
    pub text: String,
    /// Its place in a YAML file; `None` when it is the file.
    pub pointer: Option<String>,
    map: Option<ScalarMap>,
    /// Where it lies in the file.
    pub range: TextRange,
}

impl Embedded {
    fn whole(db: &dyn Db, file: SourceFile, language: Language) -> Self {
        let text = file.text(db).to_owned();
        Self {
            language,
            range: TextRange::up_to(TextSize::of(text.as_str())),
            text,
            pointer: None,
            map: None,
        }
    }

    pub fn to_file(&self, range: Range<u32>) -> TextRange {
        match &self.map {
            Some(map) => map.map_range(range),
            None => TextRange::new(range.start.into(), range.end.max(range.start).into()),
        }
    }

    /// The offset in the text; blanks behind the end of a scalar, which YAML drops, are its end.
    pub fn offset(&self, text: &str, at: TextSize) -> Option<u32> {
        let Some(map) = &self.map else {
            return Some(at.into());
        };
        if let Some(offset) = map.unmap_offset(at.into()) {
            return Some(offset);
        }
        let end = self.range.end();
        let len = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        let between = text.get(usize::from(end)..usize::from(at))?;
        // The same line, or an indented one that a block scalar goes on with.
        let deeper = at > end && between.trim().is_empty() && {
            let line = between.rfind('\n').map_or("", |i| &between[i + 1..]);
            !between.contains('\n') || line.len() > self.indent(text)
        };
        deeper.then_some(len)
    }

    /// The indentation of the line on which the scalar's key stands.
    fn indent(&self, text: &str) -> usize {
        let before = text.get(..usize::from(self.range.start())).unwrap_or("");
        let line = before.rfind('\n').map_or(before, |i| &before[i + 1..]);
        line.len() - line.trim_start().len()
    }
}

/// The texts of other languages in a file, in order.
pub fn embedded(db: &dyn Db, file: SourceFile) -> Vec<Embedded> {
    match document_kind(db, file) {
        DocumentKind::Endpoint(_) => of_endpoint(db, file),
        DocumentKind::Sql => vec![Embedded::whole(db, file, Language::Sql)],
        DocumentKind::DbtModel | DocumentKind::DbtTest
            if mxcp_base::paths::extension(file.path(db)) == "sql" =>
        {
            vec![Embedded::whole(db, file, Language::Template)]
        }
        DocumentKind::DbtMacro => vec![Embedded::whole(db, file, Language::Template)],
        _ => Vec::new(),
    }
}

fn of_endpoint(db: &dyn Db, file: SourceFile) -> Vec<Embedded> {
    let Some(def) = endpoint_def(db, file) else {
        return Vec::new();
    };
    let yaml = parse_yaml(db, file);
    let mut found = Vec::new();
    let mut add = |pointer: String, language: Language| {
        if let Some(node) = yaml.lookup(&pointer)
            && !matches!(node.kind(), Kind::Map | Kind::Seq)
            && let Some(text) = node.scalar()
        {
            found.push(Embedded {
                language,
                text: text.to_owned(),
                pointer: Some(pointer),
                map: Some(node.scalar_map()),
                range: node.content_range(),
            });
        }
    };
    if def.language == SourceLanguage::Sql {
        add(def.pointer("source/code"), Language::Sql);
    }
    for (phase, policies) in [
        ("input", &def.input_policies),
        ("output", &def.output_policies),
    ] {
        for i in 0..policies.len() {
            add(
                def.pointer(&format!("policies/{phase}/{i}/condition")),
                Language::Cel,
            );
        }
    }
    for i in 0..def.messages.len() {
        for key in ["prompt", "uri"] {
            add(
                def.pointer(&format!("messages/{i}/{key}")),
                Language::Prompt,
            );
        }
    }
    found
}
