//! `mxcp validate --fix`: applies the machine-applicable fixes whose result still checks.
//!
//! Each fix is tried in memory first. It stays when its diagnostic is gone and nothing new is wrong;
//! files are written when all that can be applied is, each in one step.

use std::collections::{BTreeMap, BTreeSet};

use mxcp_base::{Diagnostic, Edit, Severity, System as _};
use mxcp_compiler::diagnostics::project_diagnostics;

use super::output::Failure;
use super::session::Session;

/// More rounds than this are fixes that undo each other.
const ROUNDS: usize = 50;

pub(crate) struct Fixed {
    /// What was done, in order: file and title.
    pub(crate) applied: Vec<(String, String)>,
    /// The written files.
    pub(crate) files: BTreeSet<String>,
}

/// What identifies a diagnostic when text moves.
type Identity = (mxcp_base::Code, String, String);

fn identity(d: &Diagnostic) -> Identity {
    (d.code, d.primary.file.clone(), d.message.clone())
}

fn counts(diagnostics: &[Diagnostic]) -> BTreeMap<Identity, usize> {
    let mut counts = BTreeMap::new();
    for d in diagnostics.iter().filter(|d| d.severity != Severity::Info) {
        *counts.entry(identity(d)).or_default() += 1;
    }
    counts
}

/// Applies what can be applied to the diagnostics that `wanted` picks.
pub(crate) fn apply(
    session: &mut Session,
    wanted: &dyn Fn(&Session, &Diagnostic) -> bool,
) -> Result<Fixed, Failure> {
    let mut originals: BTreeMap<String, String> = BTreeMap::new();
    let mut applied = Vec::new();
    let mut refused: BTreeSet<(Identity, String)> = BTreeSet::new();
    for _ in 0..ROUNDS {
        let before = project_diagnostics(&session.db);
        let known = counts(&before);
        let mut progress = false;
        for diagnostic in &before {
            let Some(fix) = diagnostic
                .fix
                .as_ref()
                .filter(|_| wanted(session, diagnostic))
            else {
                continue;
            };
            let key = (identity(diagnostic), fix.title.clone());
            if refused.contains(&key) {
                continue;
            }
            let Some(changes) = changed(session, &fix.edits) else {
                refused.insert(key);
                continue;
            };
            let undo: Vec<(String, String)> = changes
                .keys()
                .filter_map(|path| Some((path.clone(), text(session, path)?)))
                .collect();
            for (path, text) in &changes {
                session.db.set_text(path, text);
            }
            if improves(&known, &counts(&project_diagnostics(&session.db)), &key.0) {
                for (path, text) in undo {
                    originals.entry(path).or_insert(text);
                }
                applied.push((diagnostic.primary.file.clone(), fix.title.clone()));
                progress = true;
                // The other places have moved.
                break;
            }
            for (path, text) in undo {
                session.db.set_text(&path, &text);
            }
            refused.insert(key);
        }
        if !progress {
            break;
        }
    }
    write(session, originals, applied)
}

fn improves(
    before: &BTreeMap<Identity, usize>,
    after: &BTreeMap<Identity, usize>,
    fixed: &Identity,
) -> bool {
    let gone = after.get(fixed).copied().unwrap_or(0) < before.get(fixed).copied().unwrap_or(0);
    gone && after.keys().all(|identity| before.contains_key(identity))
}

fn text(session: &Session, path: &str) -> Option<String> {
    let file = session.db.file(path)?;
    Some(file.text(&session.db).to_owned())
}

/// The texts of the files after the edits; `None` when an edit fits no text.
fn changed(session: &Session, edits: &[Edit]) -> Option<BTreeMap<String, String>> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut edits: Vec<&Edit> = edits.iter().collect();
    // From the end, so that the places before stay where they are.
    edits.sort_by(|a, b| b.location.cmp(&a.location));
    for edit in edits {
        let path = edit.location.file.clone();
        let range = edit.location.range()?;
        if !texts.contains_key(&path) {
            texts.insert(path.clone(), text(session, &path)?);
        }
        let text = texts.get_mut(&path)?;
        let range = usize::from(range.start())..usize::from(range.end());
        text.get(range.clone())?;
        text.replace_range(range, &edit.text);
    }
    Some(texts)
}

fn write(
    session: &Session,
    originals: BTreeMap<String, String>,
    applied: Vec<(String, String)>,
) -> Result<Fixed, Failure> {
    let mut files = BTreeSet::new();
    for (path, original) in originals {
        let Some(text) = text(session, &path).filter(|text| *text != original) else {
            continue;
        };
        session
            .system
            .write(&path, &text)
            .map_err(|e| Failure::new(format!("`{path}` cannot be written: {e}")))?;
        files.insert(path);
    }
    Ok(Fixed { applied, files })
}
