//! Checks: each returns findings for one file and prints nothing.
//!
//! An entity with an upstream error is silent here: the error is reported where it is.

mod arguments;
mod bounds;
mod cel;
mod completion;
pub mod documents;
pub mod endpoint;
pub mod evals;
mod flow;
mod grammar;
pub(crate) mod grammar_names;
mod lists;
mod plugin;
pub mod policy;
mod policy_action;
mod policy_rules;
pub mod project;
pub mod prompt;
pub mod python;
pub mod resource;
pub mod result;
pub mod sql;
mod stale;
pub mod tests;
pub mod types;
mod written;

use mxcp_base::{Content, SourceFile, codes};

use crate::Db;
use crate::documents::{DocumentKind, document_kind};
use crate::finding::{Anchor, Finding};

/// Everything to say about one file, found from that file. Anchors may lie in other files.
#[salsa::tracked(returns(ref))]
pub fn check_file(db: &dyn Db, file: SourceFile) -> Vec<Finding> {
    let kind = document_kind(db, file);
    let mut findings = Vec::new();
    if let Some(finding) = unreadable(db, file, kind) {
        findings.push(finding);
        return findings;
    }
    match kind {
        DocumentKind::Site => project::check_site(db, file, &mut findings),
        DocumentKind::Endpoint(_) => endpoint::check_endpoint(db, file, &mut findings),
        DocumentKind::Eval => {
            evals::check_evals(db, file, &mut findings);
            arguments::check_eval_arguments(db, file, &mut findings);
        }
        DocumentKind::IgnoredYaml => findings.push(
            Finding::new(
                codes::MX0004,
                format!("`{}` is ignored: only `.yml` files are read", file.path(db)),
                Anchor::file(file),
            )
            .help("rename it to end in `.yml`"),
        ),
        DocumentKind::Python => python::check_file(db, file, &mut findings),
        DocumentKind::Other => project::check_stray(db, file, &mut findings),
        _ => {
            let depth = crate::models::Depth::All;
            crate::models::check_dbt_file(db, file, kind, depth, &mut findings);
        }
    }
    findings
}

// Files the project does not use may be anything.
fn unreadable(db: &dyn Db, file: SourceFile, kind: DocumentKind) -> Option<Finding> {
    let Content::Unreadable(reason) = file.content(db) else {
        return None;
    };
    (kind != DocumentKind::Other).then(|| {
        Finding::new(
            codes::MX0002,
            format!("`{}` cannot be read: {reason}", file.path(db)),
            Anchor::file(file),
        )
        .help("save it as UTF-8 text, or remove it")
    })
}

/// The part of [`check_file`] that says whether an endpoint file is one.
#[salsa::tracked(returns(ref))]
pub fn shape_findings(db: &dyn Db, file: SourceFile) -> Vec<Finding> {
    let document = document_kind(db, file);
    let DocumentKind::Endpoint(kind) = document else {
        return Vec::new();
    };
    if let Some(finding) = unreadable(db, file, document) {
        return vec![finding];
    }
    let mut findings = Vec::new();
    endpoint::check_shape(db, file, kind, &mut findings);
    findings
}
