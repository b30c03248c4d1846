//! The report for terminals. The only place in the workspace that knows miette.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceSpan,
};

use super::{Options, Sources, position};
use crate::{Diagnostic, Location, Severity, TextRange};

pub(super) fn render(diagnostics: &[Diagnostic], sources: &Sources, options: Options) -> String {
    let theme = if options.color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(options.width.clamp(60, 160))
        .with_context_lines(1)
        .with_links(false);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let report = Report::new(diagnostic, sources);
        // The handler only fails when its writer does, and a String does not.
        let _ = handler.render_report(&mut out, &report);
        out.push('\n');
    }
    out
}

/// A diagnostic dressed for miette.
struct Report {
    severity: miette::Severity,
    code: String,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
}

impl Report {
    fn new(d: &Diagnostic, sources: &Sources) -> Self {
        let source = sources
            .shared(&d.primary.file)
            .filter(|text| {
                d.primary
                    .range()
                    .is_some_and(|range| is_readable(text, range))
            })
            .map(|text| NamedSource::new(&d.primary.file, text));
        let mut labels = Vec::new();
        let mut notes = Vec::new();
        if let Some(span) = span(&d.primary) {
            labels.push(LabeledSpan::new_primary_with_span(None, span));
        }
        for label in &d.labels {
            match span(&label.location) {
                Some(span)
                    if label.location.file == d.primary.file
                        && source
                            .as_ref()
                            .zip(label.location.range())
                            .is_some_and(|(source, range)| is_readable(source.inner(), range)) =>
                {
                    labels.push(LabeledSpan::new_with_span(
                        Some(label.message.clone()),
                        span,
                    ));
                }
                _ => notes.push(format!(
                    "{}: {}",
                    position(&label.location, sources),
                    label.message
                )),
            }
        }
        let mut message = d.message.clone();
        if source.is_none() && !d.primary.file.is_empty() {
            message = format!("{}: {message}", position(&d.primary, sources));
        }
        let mut help = d.help.clone();
        if !notes.is_empty() {
            let notes = notes.join("\n");
            help = Some(match help {
                Some(help) => format!("{help}\n{notes}"),
                None => notes,
            });
        }
        Self {
            severity: match d.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
                Severity::Info => miette::Severity::Advice,
            },
            code: d.code.to_string(),
            message,
            help,
            source,
            labels,
        }
    }
}

/// Nobody reads a line that long in a terminal, and it cannot be underlined there.
const LONGEST_LINE: usize = 2000;

fn is_readable(text: &str, range: TextRange) -> bool {
    let bytes = text.as_bytes();
    let (start, end) = (usize::from(range.start()), usize::from(range.end()));
    let start = bytes[..start.min(bytes.len())]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let end = end.min(bytes.len());
    let rest = bytes[end..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(bytes.len(), |at| end + at);
    bytes[start..rest]
        .split(|b| *b == b'\n')
        .all(|line| line.len() <= LONGEST_LINE)
}

fn span(location: &Location) -> Option<SourceSpan> {
    let range = location.range()?;
    Some(SourceSpan::new(
        (u32::from(range.start()) as usize).into(),
        u32::from(range.len()) as usize,
    ))
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
