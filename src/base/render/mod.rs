//! Renderers: diagnostics to text for people and machines.

mod concise;
mod github;
mod graphical;
mod json;
mod sarif;

use std::collections::BTreeMap;

use crate::{Content, Diagnostic, LineColumn, LineIndex, Location, Severity};

pub use json::to_json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Graphical,
    Concise,
    Json,
    Sarif,
    Github,
}

/// The texts that ranges refer to.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: BTreeMap<String, (std::sync::Arc<str>, LineIndex)>,
}

impl Sources {
    pub fn add(&mut self, path: &str, content: &Content) {
        if let Content::Text(text) = content {
            self.files
                .insert(path.to_owned(), (text.clone(), LineIndex::new(text)));
        }
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|(text, _)| text.as_ref())
    }

    pub(crate) fn shared(&self, path: &str) -> Option<std::sync::Arc<str>> {
        self.files.get(path).map(|(text, _)| text.clone())
    }

    /// Start and end of a location; `None` for a whole file.
    /// Whether the text of a file is known.
    pub fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    pub fn span(&self, location: &Location) -> Option<(LineColumn, LineColumn)> {
        let range = location.range()?;
        let (text, index) = self.files.get(&location.file)?;
        Some((
            index.line_column(text, range.start()),
            index.line_column(text, range.end()),
        ))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub format: Format,
    pub color: bool,
    pub width: usize,
}

/// Renders all diagnostics, in the order given, without a summary line.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, options: Options) -> String {
    match options.format {
        Format::Graphical => graphical::render(diagnostics, sources, options),
        Format::Concise => concise::render(diagnostics, sources),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(&to_json(diagnostics, sources))
                .unwrap_or_else(|_| "[]".into());
            text.push('\n');
            text
        }
        Format::Sarif => sarif::render(diagnostics, sources),
        Format::Github => github::render(diagnostics, sources),
    }
}

/// `2 errors, 1 warning`, or `no problems found`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| {
        diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count()
    };
    let mut parts = Vec::new();
    for (n, one, many) in [
        (count(Severity::Error), "error", "errors"),
        (count(Severity::Warning), "warning", "warnings"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {}", if n == 1 { one } else { many }));
        }
    }
    if parts.is_empty() {
        "no problems found".into()
    } else {
        parts.join(", ")
    }
}

// `file:line:column`, as editors and terminals recognise it.
pub(crate) fn position(location: &Location, sources: &Sources) -> String {
    let file = if location.file.is_empty() {
        "."
    } else {
        &location.file
    };
    match sources.span(location) {
        Some((start, _)) => format!("{file}:{}:{}", start.line, start.column),
        None => file.to_owned(),
    }
}
