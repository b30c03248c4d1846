//! The manifest and the lock of `build --watch`: written when something in them is new, and again when
//! something else has changed or removed them.

use mxcp_artifact::lock::LOCK_PATH;
use mxcp_artifact::manifest::MANIFEST_PATH;
use mxcp_artifact::{Digest, Manifest};
use mxcp_base::Stamp;

use super::project::{Changes, How};
use super::revision::Built;
use crate::commands::build;
use crate::commands::output::Failure;
use crate::commands::session::Session;

#[derive(Default)]
pub(super) struct Output {
    last: Option<Last>,
}

struct Last {
    manifest: Manifest,
    files: [(&'static str, File); 2],
}

struct File {
    stamp: Option<Stamp>,
    digest: Option<Digest>,
}

impl Output {
    /// Which files are no longer what was written. Each is told of once.
    pub(super) fn lost(&mut self, session: &Session) -> Changes {
        let mut lost = Changes::new();
        for (path, file) in self.last.iter_mut().flat_map(|last| &mut last.files) {
            if stamp(session, path) == file.stamp {
                continue;
            }
            // Another build of the same sources writes the same.
            let now = read(session, path);
            if now.digest != file.digest {
                let how = match now.digest {
                    Some(_) => How::Modified,
                    None => How::Removed,
                };
                lost.insert((*path).to_owned(), how);
            }
            *file = now;
        }
        if !lost.is_empty() {
            self.last = None;
        }
        lost
    }

    pub(super) fn write(&mut self, session: &Session, locked: bool) -> Result<Built, Failure> {
        let manifest = session
            .manifest()
            .ok_or_else(|| Failure::new("there is nothing to build"))?;
        let mut built = Built {
            endpoints: manifest.endpoints.len(),
            manifest_changed: false,
            lock_changed: false,
        };
        let is_there = |last: &Last| {
            let mut files = last.files.iter();
            last.manifest == manifest
                && files.all(|(path, file)| stamp(session, path) == file.stamp)
        };
        if !self.last.as_ref().is_some_and(is_there) {
            let written = build::write_files(session, &manifest, locked, false)?;
            built.manifest_changed = written.manifest_changed;
            built.lock_changed = written.lock_changed;
        }
        self.last = Some(Last {
            manifest,
            files: [MANIFEST_PATH, LOCK_PATH].map(|path| (path, read(session, path))),
        });
        Ok(built)
    }
}

fn stamp(session: &Session, path: &str) -> Option<Stamp> {
    let meta = session.root.join(path).metadata().ok()?;
    Some(Stamp::of(&meta))
}

fn read(session: &Session, path: &str) -> File {
    File {
        stamp: stamp(session, path),
        digest: std::fs::read(session.root.join(path)).ok().map(Digest::of),
    }
}
