//! Which manifest is served: the one on disk if it matches its sources, else a new one.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use mxcp_artifact::manifest::{MANIFEST_PATH, ReadError};
use mxcp_artifact::{Digest, Manifest};
use mxcp_base::render::{Format, summary};
use mxcp_base::{FileSet, Severity, paths};
use mxcp_compiler::diagnostics::file_diagnostics;
use mxcp_compiler::documents::{DocumentKind, document_kind, endpoint_def, endpoint_files};
use mxcp_compiler::ir::is_served;
use mxcp_compiler::site::SITE_FILE;
use mxcp_runtime::Opened;
use serde_json::json;

use super::super::output::{self, Failure};
use super::super::session::Session;
use super::super::{FAILED, build};
use super::Args;

/// What can be read before the sources were looked at: the manifest, and the database that it names.
pub(super) struct Ahead {
    pub(super) stored: Result<Manifest, ReadError>,
    pub(super) opened: Option<Opened>,
}

impl Ahead {
    pub(super) fn read(root: &Path, args: &Args) -> Self {
        let stored = Manifest::read(&root.join(MANIFEST_PATH));
        let opened = stored.as_ref().ok().and_then(|manifest| {
            let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
            let profile = args.common.profile.clone();
            let profile = profile
                .or_else(|| variable("MXCP_PROFILE")?.into_string().ok())
                .unwrap_or_else(|| manifest.project.profile.clone());
            let settings = manifest.project.profile_settings(&profile);
            let path = match variable("MXCP_DUCKDB_PATH") {
                Some(path) => std::path::absolute(path).ok()?,
                None => root.join(settings.database),
            };
            Opened::ahead(&path, args.common.readonly || settings.readonly)
        });
        Self { stored, opened }
    }
}

/// The manifest on disk if it matches the sources, else a new one.
pub(super) fn current_manifest(session: &mut Session, args: &Args) -> Result<Manifest, u8> {
    let stored = Manifest::read(&session.root.join(MANIFEST_PATH));
    match usable(session, args, stored)? {
        Some(manifest) => Ok(manifest),
        None => build_now(session, args),
    }
}

/// The stored manifest if it can be served, and nothing if it has to be built again.
pub(super) fn usable(
    session: &Session,
    args: &Args,
    stored: Result<Manifest, ReadError>,
) -> Result<Option<Manifest>, u8> {
    let json = args.common.json_output;
    if let Ok(manifest) = stored {
        match stale_source(session, &manifest) {
            None if !args.locked || lock_matches(session, &manifest) => {
                return Ok(Some(manifest));
            }
            None => {
                return Err(output::fail(
                    json,
                    &Failure::new("mxcp.lock does not match the manifest")
                        .help("run `mxcp build`, review the change and commit mxcp.lock"),
                ));
            }
            Some(path) if is_deployment(session, &manifest) => {
                return Err(output::fail(
                    json,
                    &Failure::new(format!(
                        "`{path}` is not what the manifest was built from, and the sources to build it again are not here"
                    ))
                    .help("deploy the manifest together with the files it was built with"),
                ));
            }
            Some(path) if args.locked => {
                return Err(output::fail(
                    json,
                    &Failure::new(format!(
                        "the manifest does not match the sources: `{path}` changed"
                    ))
                    .help("run `mxcp build`, review the change and commit mxcp.lock"),
                ));
            }
            Some(_) => {}
        }
    } else if args.locked {
        let message = match stored {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        return Err(output::fail(json, &Failure::new(message)));
    }
    Ok(None)
}

pub(super) fn build_now(session: &mut Session, args: &Args) -> Result<Manifest, u8> {
    session.load_catalog();
    let json = args.common.json_output;
    let diagnostics = session.diagnostics();
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .cloned()
        .collect();
    let refused = errors
        .iter()
        .filter(|d| d.primary.file == SITE_FILE)
        .count()
        + unserved(session);
    if refused > 0 && !args.ignore_errors {
        if json {
            // One entry for each file, as programs know it.
            let mut failed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for error in &errors {
                let of_file = failed.entry(&error.primary.file).or_default();
                of_file.push(&error.message);
            }
            let failed: Vec<_> = failed
                .into_iter()
                .map(|(path, errors)| json!({ "path": path, "error": errors.join("; ") }))
                .collect();
            output::print_json(&json!({
                "status": "error",
                "message": format!("Found {} endpoint(s) with errors", failed.len()),
                "failed_endpoints": failed,
            }));
        } else {
            // Standard output belongs to the protocol.
            output::eprint(&output::render_diagnostics(
                &errors,
                &session.sources(),
                Format::Graphical,
                std::io::stderr().is_terminal(),
            ));
            output::eprint(&format!(
                "Error: not served: {}\n  help: correct them, or start with --ignore-errors to leave the broken endpoints out\n",
                summary(&errors)
            ));
        }
        return Err(FAILED);
    }
    if !errors.is_empty() && !json {
        // What fails by itself keeps nothing else from being served.
        output::eprint(&output::render_diagnostics(
            &errors,
            &session.sources(),
            Format::Concise,
            std::io::stderr().is_terminal(),
        ));
    }
    let manifest = session
        .manifest()
        .ok_or_else(|| output::fail(json, &Failure::new("there is nothing to serve")))?;
    if errors.is_empty()
        && let Err(failure) = build::write(session, &manifest, false)
    {
        // A read-only directory is no reason not to serve what was just built in memory.
        output::eprint(&format!("Warning: {}\n", failure.message));
    }
    Ok(manifest)
}

/// How many endpoint files say they are endpoints and cannot be served.
fn unserved(session: &Session) -> usize {
    let db = &session.db;
    endpoint_files(db)
        .iter()
        .filter(|file| match endpoint_def(db, **file) {
            Some(def) => def.enabled && !is_served(db, **file),
            None => file_diagnostics(db, **file)
                .iter()
                .any(|d| d.severity == Severity::Error),
        })
        .count()
}

fn lock_matches(session: &Session, manifest: &Manifest) -> bool {
    session
        .read_lock()
        .is_some_and(|lock| lock == manifest.lock())
}

/// Whether only the manifest was deployed: it has endpoints, and there is no file of one.
fn is_deployment(session: &Session, manifest: &Manifest) -> bool {
    !manifest.endpoints.is_empty() && endpoint_files(&session.db).is_empty()
}

/// A source that no longer matches the manifest. Sources that are gone with all their neighbours are
/// a deployment without sources, which is what manifests are for.
fn stale_source(session: &Session, manifest: &Manifest) -> Option<String> {
    let files = FileSet::get(&session.db).files(&session.db);
    for (path, digest) in &manifest.sources {
        match files.get(path) {
            Some(file) if Digest::of(file.text(&session.db).as_bytes()) != *digest => {
                return Some(path.clone());
            }
            Some(_) => {}
            // Python is loaded from its file, so that one must be there.
            None if paths::extension(path) == "py" => return Some(path.clone()),
            None if has_siblings(files.keys(), path) => return Some(path.clone()),
            None => {}
        }
    }
    files
        .iter()
        .find(|(path, file)| {
            !manifest.sources.contains_key(*path)
                && matches!(
                    document_kind(&session.db, **file),
                    DocumentKind::Endpoint(_)
                )
                && endpoint_def(&session.db, **file).is_none_or(|d| d.enabled)
        })
        .map(|(path, _)| path.clone())
}

fn has_siblings<'a>(mut paths: impl Iterator<Item = &'a String>, path: &str) -> bool {
    // The root always has the site file in it, which says nothing about the others.
    let Some((wanted, _)) = path.rsplit_once('/') else {
        return false;
    };
    paths.any(|p| {
        p.rsplit_once('/')
            .is_some_and(|(folder, _)| folder == wanted)
    })
}
