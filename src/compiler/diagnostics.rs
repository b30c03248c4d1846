//! Findings to diagnostics: the only place where anchors become ranges.

use mxcp_base::{
    Diagnostic, Edit, FileSet, Fix, Label, Location, Severity, Shelf, SourceFile, TextRange,
    TextSize, codes,
};

use crate::Db;
use crate::check::{check_file, shape_findings};
use crate::documents::{document_kind, find_file, parse_yaml};
use crate::finding::{Anchor, Finding, Place};
use crate::inputs::Settings;
use crate::models::Depth;
use crate::site::SITE_FILE;
use crate::surface::severities;

/// What checking one file found, with places resolved and severities as configured.
#[salsa::tracked(returns(ref))]
pub fn file_diagnostics(db: &dyn Db, file: SourceFile) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = check_file(db, file)
        .iter()
        .filter_map(|finding| resolve(db, finding))
        .collect();
    diagnostics.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    diagnostics
}

/// Only what keeps an endpoint file from being an endpoint: nothing is bound for it.
pub fn shape_diagnostics(db: &dyn Db, file: SourceFile) -> Vec<Diagnostic> {
    shape_findings(db, file)
        .iter()
        .filter_map(|finding| resolve(db, finding))
        .collect()
}

/// All diagnostics of the project, sorted by file and position, each once.
pub fn project_diagnostics(db: &dyn Db) -> Vec<Diagnostic> {
    let mut all: Vec<Diagnostic> = FileSet::get(db)
        .shelves(db)
        .iter()
        .flat_map(|shelf| shelf_diagnostics(db, *shelf).iter().cloned())
        .collect();
    let of_project = project_findings(db).iter().chain(snapshot_findings(db));
    all.extend(of_project.filter_map(|finding| resolve(db, finding)));
    if all.iter().any(|d| d.code == codes::MX0202) {
        all.extend(database_diagnostic(db));
    }
    let mut all = crate::suppress::apply(db, all);
    all.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    // Two endpoints may share an SQL file and find the same mistake in it: one report names both.
    all.dedup_by(|later, first| {
        let same = later.sort_key() == first.sort_key();
        if same {
            first.labels.append(&mut later.labels);
            first.labels.sort();
            first.labels.dedup();
        }
        same
    });
    all
}

#[salsa::tracked(returns(ref))]
fn shelf_diagnostics(db: &dyn Db, shelf: Shelf) -> Vec<Diagnostic> {
    let of_file = |file: &SourceFile| file_diagnostics(db, *file).iter().cloned();
    shelf.files(db).iter().flat_map(of_file).collect()
}

/// What dbt would find wrong when it reads the project: nothing is bound for it.
pub fn reading_diagnostics(db: &dyn Db) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for file in FileSet::get(db).files(db).values() {
        let kind = document_kind(db, *file);
        crate::models::check_dbt_file(db, *file, kind, Depth::Reading, &mut findings);
    }
    findings.extend(project_findings(db).iter().cloned());
    let found = findings.iter().filter_map(|finding| resolve(db, finding));
    let mut all = crate::suppress::apply(db, found.collect());
    all.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    all.dedup_by(|later, first| later.sort_key() == first.sort_key());
    all
}

/// Findings that belong to no single file.
#[salsa::tracked(returns(ref))]
fn project_findings(db: &dyn Db) -> Vec<Finding> {
    let mut findings = Vec::new();
    crate::models::check_project(db, &mut findings);
    findings
}

/// What snapshots name that their queries do not give.
#[salsa::tracked(returns(ref))]
fn snapshot_findings(db: &dyn Db) -> Vec<Finding> {
    let mut findings = Vec::new();
    crate::models::check_snapshot_columns(db, &mut findings);
    findings
}

// An unread database is only worth a word when a table was not found.
fn database_diagnostic(db: &dyn Db) -> Option<Diagnostic> {
    let problem = Settings::get(db)
        .environment(db)
        .database_problem
        .as_ref()?;
    let location = match find_file(db, SITE_FILE) {
        Some(file) => location(db, &Anchor::key(file, "profiles")),
        None => Location::file(SITE_FILE),
    };
    let mut diagnostic = Diagnostic::new(codes::MX0801, problem.message.clone(), location);
    diagnostic.help = problem.help.clone();
    configured(db, diagnostic)
}

fn resolve(db: &dyn Db, finding: &Finding) -> Option<Diagnostic> {
    let mut diagnostic = Diagnostic::new(
        finding.code,
        finding.message.clone(),
        location(db, &finding.anchor),
    );
    if let Some(severity) = finding.severity {
        diagnostic.severity = severity;
    }
    diagnostic.labels = finding
        .labels
        .iter()
        .map(|(anchor, message)| Label {
            location: location(db, anchor),
            message: message.clone(),
        })
        .collect();
    diagnostic.help = finding.help.clone();
    diagnostic.fix = finding.fix.as_ref().map(|idea| Fix {
        title: idea.title.clone(),
        edits: vec![Edit {
            location: location(db, &idea.anchor),
            text: idea.text.clone(),
        }],
    });
    configured(db, diagnostic)
}

/// Whether `diagnostics:` of the site file makes less than an error of it.
pub(crate) fn is_configured_away(db: &dyn Db, finding: &Finding) -> bool {
    let code = finding.code.to_string();
    severities(db)
        .get(&code)
        .is_some_and(|severity| *severity != Some(Severity::Error))
}

// `diagnostics:` of the site file: another severity, or off.
fn configured(db: &dyn Db, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
    match severities(db).get(&diagnostic.code.to_string()) {
        Some(Some(severity)) => diagnostic.severity = *severity,
        Some(None) => return None,
        None => {}
    }
    Some(diagnostic)
}

/// The range of an anchor in its file, or of the nearest thing that exists.
pub fn location(db: &dyn Db, anchor: &Anchor) -> Location {
    let file = anchor.file;
    let path = file.path(db).to_owned();
    let range = match &anchor.place {
        Place::File => None,
        Place::Text(range) => Some(*range),
        Place::Value(pointer) => {
            let yaml = parse_yaml(db, file);
            let range = yaml.lookup(pointer).map(|n| match n.kind() {
                // Underlining a whole mapping says nothing; its head does.
                mxcp_syntax::yaml::Kind::Map | mxcp_syntax::yaml::Kind::Seq => {
                    yaml.key_range(pointer).unwrap_or_else(|| n.head_range())
                }
                _ => n.content_range(),
            });
            Some(
                range
                    .filter(|r| !r.is_empty())
                    .unwrap_or_else(|| yaml.closest_range(pointer)),
            )
        }
        Place::Key(pointer) => {
            let yaml = parse_yaml(db, file);
            Some(
                yaml.key_range(pointer)
                    .unwrap_or_else(|| yaml.closest_range(pointer)),
            )
        }
        Place::Within(pointer, inner) => {
            let yaml = parse_yaml(db, file);
            Some(match yaml.lookup(pointer) {
                Some(node) => node.map_range(inner.clone()),
                None => yaml.closest_range(pointer),
            })
        }
    };
    match range {
        Some(range) => Location::new(path, clamp(range, file.text(db))),
        None => Location::file(path),
    }
}

// A range must never leave its text: renderers slice by it.
fn clamp(range: TextRange, text: &str) -> TextRange {
    let len = TextSize::of(text);
    let floor = |at: TextSize| {
        let mut at = usize::from(at.min(len));
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        TextSize::try_from(at).unwrap_or(len)
    };
    let start = floor(range.start());
    TextRange::new(start, floor(range.end()).max(start))
}

/// Whether anything keeps the project from being built.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
