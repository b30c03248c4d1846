//! One open project: its database, the buffers over its files, and what the client was told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mxcp_base::{OsSystem, OverlaySystem, System as _};
use mxcp_compiler::documents::unread_sources;
use mxcp_compiler::inputs::Environment;
use mxcp_compiler::is_source_file;
use mxcp_compiler::site::SITE_FILE;
use mxcp_compiler::sql::files::project_file_reads;
use mxcp_ide::AnalysisHost;

use crate::publish::Published;
use crate::snapshot::{Open, ProjectView, relative};
use crate::{Opener, position::Encoding};

pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) host: AnalysisHost,
    overlay: OverlaySystem<OsSystem>,
    pub(crate) open: BTreeMap<String, Open>,
    pub(crate) published: Published,
    /// The state that the last check was started for.
    pub(crate) checking: Option<State>,
    /// Counts what the client opened, changed and closed: it wants to hear of each version.
    versions: u64,
    /// Files that its SQL reads, by what was last looked at.
    file_reads: String,
}

/// A moment of a project: the revision of its texts, and of the versions the client knows them by.
pub(crate) type State = (u64, u64);

/// The nearest folder, from a file upwards, that holds a site file.
pub(crate) fn root_of(file: &Path) -> Option<PathBuf> {
    file.ancestors()
        .skip(1)
        .find(|dir| dir.join(SITE_FILE).is_file())
        .map(Path::to_path_buf)
}

impl Project {
    pub(crate) fn load(opener: &dyn Opener, root: &Path) -> Result<Self, String> {
        let db = opener.open(root)?;
        let mut project = Self {
            root: root.to_path_buf(),
            host: AnalysisHost::new(db),
            overlay: OverlaySystem::new(OsSystem::new(root)),
            open: BTreeMap::new(),
            published: Published::default(),
            checking: None,
            versions: 0,
            file_reads: String::new(),
        };
        project.reads_other_files();
        Ok(project)
    }

    pub(crate) fn relative(&self, file: &Path) -> Option<String> {
        relative(&self.root, file)
    }

    pub(crate) fn view(&self, encoding: Encoding) -> ProjectView {
        ProjectView {
            root: self.root.clone(),
            analysis: self.host.snapshot(),
            encoding,
            open: self.open.clone(),
        }
    }

    /// Shows the compiler a buffer instead of the file.
    pub(crate) fn set_buffer(&mut self, path: &str, uri: &str, version: i32, text: &str) {
        let known = self.overlay.is_open(path);
        if !known {
            self.host.open_file(path);
        }
        self.versions += 1;
        self.overlay.open(path, text.into());
        self.open.insert(
            path.to_owned(),
            Open {
                uri: uri.to_owned(),
                version,
            },
        );
        if !self.host.set_text(path, text) && !known {
            // A file that is not on the disk yet.
            self.sync();
        }
    }

    pub(crate) fn state(&self) -> State {
        (self.host.revision(), self.versions)
    }

    pub(crate) fn close_buffer(&mut self, path: &str) {
        self.versions += 1;
        self.overlay.close(path);
        self.open.remove(path);
        self.sync();
    }

    /// Reads the project again, buffers first. Whether anything changed.
    pub(crate) fn sync(&mut self) -> bool {
        let mut changed = false;
        // A source may have any name; only the endpoints know which files are theirs.
        let mut named = BTreeSet::new();
        for _ in 0..2 {
            let wanted = |path: &str| is_source_file(path) || named.contains(path);
            let Ok(files) = self.overlay.read_tree(&wanted) else {
                return changed;
            };
            changed |= !self.host.sync(files).is_empty();
            let unread: BTreeSet<String> = unread_sources(self.host.db())
                .into_iter()
                .filter(|path| self.root.join(path).is_file() || self.overlay.is_open(path))
                .collect();
            if unread.is_empty() {
                break;
            }
            named.extend(unread);
        }
        changed
    }

    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.host.set_environment(environment);
    }

    /// Whether the SQL of the project reads other files than it did when last asked.
    pub(crate) fn reads_other_files(&mut self) -> bool {
        let reads = format!("{:?}", project_file_reads(self.host.db()));
        let differ = reads != self.file_reads;
        self.file_reads = reads;
        differ
    }
}
