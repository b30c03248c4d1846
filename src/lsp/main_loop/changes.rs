//! What changes projects: documents, files on the disk, and the folders that are open.

use std::path::{Path, PathBuf};

use gen_lsp_types as lsp;
use lsp_server::{Notification, RequestId};
use mxcp_compiler::site::SITE_FILE;
use mxcp_ide::CancelHandle;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Server;
use crate::documents::{self, Document};
use crate::project::{Project, root_of};
use crate::{to_proto, uri};

impl Server {
    pub(super) fn notified(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        match method.as_str() {
            "textDocument/didOpen" => {
                if let Some(params) = read::<lsp::DidOpenTextDocumentParams>(params) {
                    let item = params.text_document;
                    let document = Document {
                        version: item.version,
                        text: item.text,
                        path: uri::to_path(&item.uri.0),
                    };
                    self.documents.insert(item.uri.0.clone(), document);
                    self.show(&item.uri.0);
                }
            }
            "textDocument/didChange" => {
                if let Some(params) = read::<lsp::DidChangeTextDocumentParams>(params) {
                    let uri = params.text_document.text_document_identifier.uri.0;
                    if let Some(document) = self.documents.get_mut(&uri) {
                        document.version = params.text_document.version;
                        let encoding = self.client.encoding;
                        documents::apply(&mut document.text, params.content_changes, encoding);
                        self.show(&uri);
                    }
                }
            }
            "textDocument/didClose" => {
                if let Some(params) = read::<lsp::DidCloseTextDocumentParams>(params) {
                    self.close(&params.text_document.uri.0);
                }
            }
            "textDocument/didSave" => {
                if let Some(params) = read::<lsp::DidSaveTextDocumentParams>(params) {
                    self.saved(&params.text_document.uri.0);
                }
            }
            "workspace/didChangeWatchedFiles" => {
                if let Some(params) = read::<lsp::DidChangeWatchedFilesParams>(params) {
                    self.changed_outside(&params.changes);
                }
            }
            "workspace/didChangeWorkspaceFolders" => {
                if let Some(params) = read::<lsp::DidChangeWorkspaceFoldersParams>(params) {
                    self.folders_changed(&params.event);
                }
            }
            "$/cancelRequest" => {
                let id = params.get("id").and_then(request_id);
                if let Some(handles) = id.as_ref().and_then(|id| self.waiting.get(id)) {
                    handles.iter().for_each(CancelHandle::cancel);
                }
            }
            _ => {}
        }
    }

    /// Brings a document's text to its project.
    fn show(&mut self, uri: &str) {
        let Some(document) = self.documents.get(uri).cloned() else {
            return;
        };
        let Some(path) = document.path else { return };
        // A site file that is only a buffer so far makes no project.
        let Some(root) = root_of(&path) else { return };
        self.open_root(&root);
        if let Some(project) = self.projects.get_mut(&root)
            && let Some(path) = project.relative(&path)
        {
            project.set_buffer(&path, uri, document.version, &document.text);
        }
    }

    fn close(&mut self, uri: &str) {
        let Some(path) = self.documents.remove(uri).and_then(|d| d.path) else {
            return;
        };
        for project in self.projects.values_mut() {
            if let Some(path) = project.relative(&path)
                && project.open.contains_key(&path)
            {
                project.close_buffer(&path);
            }
        }
    }

    fn saved(&mut self, uri: &str) {
        let Some(path) = self.documents.get(uri).and_then(|d| d.path.clone()) else {
            return;
        };
        // A folder becomes a project when its site file is saved for the first time.
        if root_of(&path).is_some_and(|root| !self.projects.contains_key(&root)) {
            self.broken.clear();
            self.show_all();
        }
        let watches = self.client.watches;
        let mut outdated = Vec::new();
        for (root, project) in &mut self.projects {
            if let Some(ours) = project.relative(&path) {
                // Without news of files, a save is the moment to look.
                if !watches {
                    project.sync();
                }
                if project.reads_other_files() || !watches && shapes_the_environment(&ours) {
                    outdated.push(root.clone());
                }
            }
        }
        outdated.iter().for_each(|root| self.reload(root));
    }

    fn show_all(&mut self) {
        let open: Vec<String> = self.documents.keys().cloned().collect();
        open.iter().for_each(|uri| self.show(uri));
    }

    fn changed_outside(&mut self, changes: &[lsp::FileEvent]) {
        let paths: Vec<PathBuf> = changes
            .iter()
            .filter_map(|change| uri::to_path(&change.uri.0))
            .collect();
        let sites = |path: &PathBuf| path.ends_with(SITE_FILE);
        if paths.iter().any(sites) {
            self.roots_may_have_changed();
        }
        let mut outdated = Vec::new();
        let mut changed = false;
        for (root, project) in &mut self.projects {
            let ours: Vec<String> = paths.iter().filter_map(|p| project.relative(p)).collect();
            if ours.is_empty() {
                continue;
            }
            changed |= project.sync();
            if ours.iter().any(|path| shapes_the_environment(path)) || project.reads_other_files() {
                outdated.push(root.clone());
            }
        }
        outdated.iter().for_each(|root| self.reload(root));
        if changed {
            self.refresh();
        }
    }

    /// Projects come and go with their site files.
    fn roots_may_have_changed(&mut self) {
        self.broken.clear();
        let gone: Vec<PathBuf> = self
            .projects
            .keys()
            .filter(|root| !root.join(SITE_FILE).is_file())
            .cloned()
            .collect();
        for root in gone {
            self.forget(&root);
        }
        for root in self.client.roots.clone() {
            self.open_root(&root);
        }
        self.show_all();
    }

    fn folders_changed(&mut self, event: &lsp::WorkspaceFoldersChangeEvent) {
        for folder in &event.removed {
            if let Some(path) = uri::to_path(&folder.uri.0) {
                self.client.roots.retain(|root| *root != path);
                let below: Vec<PathBuf> = self
                    .projects
                    .keys()
                    .filter(|root| root.starts_with(&path))
                    .cloned()
                    .collect();
                below.iter().for_each(|root| self.forget(root));
            }
        }
        for folder in &event.added {
            if let Some(path) = uri::to_path(&folder.uri.0) {
                self.client.roots.push(path.clone());
                self.open_root(&path);
            }
        }
        self.show_all();
    }

    fn forget(&mut self, root: &Path) {
        let Some(project) = self.projects.remove(root) else {
            return;
        };
        for path in project.published.keys() {
            let params = lsp::PublishDiagnosticsParams {
                uri: uri::from_path(&root.join(path)),
                version: None,
                diagnostics: Vec::new(),
            };
            self.notify("textDocument/publishDiagnostics", to_proto::value(params));
        }
    }

    /// Opens the project in a folder, if there is one.
    pub(super) fn open_root(&mut self, folder: &Path) {
        let root = match folder.join(SITE_FILE).is_file() {
            true => folder.to_path_buf(),
            // A folder inside a project belongs to it.
            false => match root_of(folder) {
                Some(root) => root,
                None => return,
            },
        };
        if self.projects.contains_key(&root) || self.broken.contains_key(&root) {
            return;
        }
        match Project::load(self.opener.as_ref(), &root) {
            Ok(project) => {
                self.projects.insert(root, project);
            }
            Err(message) => {
                self.show_message(&message);
                self.broken.insert(root, message);
            }
        }
    }
}

/// Whether the world outside may look different after a change of this file: databases, data files and the
/// lock are that world, and the site file and dbt's profiles choose the database.
fn shapes_the_environment(path: &str) -> bool {
    !mxcp_compiler::is_source_file(path)
        || path == SITE_FILE
        || path.ends_with("profiles.yml")
        || path.ends_with(".csv")
}

fn read<T: DeserializeOwned>(params: Value) -> Option<T> {
    match serde_json::from_value(params) {
        Ok(params) => Some(params),
        Err(error) => {
            eprintln!("mxcp lsp: a notification that cannot be read: {error}");
            None
        }
    }
}

fn request_id(id: &Value) -> Option<RequestId> {
    match id {
        Value::String(text) => Some(text.clone().into()),
        other => Some(i32::try_from(other.as_i64()?).ok()?.into()),
    }
}
