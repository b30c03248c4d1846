//! What the client can do, and what the server says that it can.

use std::path::PathBuf;

use gen_lsp_types as lsp;
use serde_json::Value;

use crate::position::Encoding;
use crate::{to_proto, uri};

/// What the client said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) encoding: Encoding,
    /// It asks for diagnostics, so none are pushed.
    pub(crate) pulls: bool,
    pub(crate) refreshes_diagnostics: bool,
    /// It tells of changed files when it is asked to.
    pub(crate) watches: bool,
    /// Edits may rename files and name versions.
    pub(crate) document_changes: bool,
    pub(crate) snippets: bool,
    pub(crate) roots: Vec<PathBuf>,
}

impl Client {
    /// Tolerant: clients leave out what they do not care for.
    pub(crate) fn new(params: &Value) -> Self {
        let flag = |pointer: &str| {
            params
                .pointer(&format!("/capabilities{pointer}"))
                .and_then(Value::as_bool)
                .unwrap_or(false)
        };
        let encodings = params
            .pointer("/capabilities/general/positionEncodings")
            .and_then(Value::as_array);
        let offers = |name: &str| encodings.is_some_and(|e| e.iter().any(|e| e == name));
        // UTF-8 costs nothing to convert; UTF-16 is what the protocol falls back to.
        let encoding = if offers("utf-8") {
            Encoding::Utf8
        } else if encodings.is_none() || offers("utf-16") {
            Encoding::Utf16
        } else if offers("utf-32") {
            Encoding::Utf32
        } else {
            Encoding::Utf16
        };
        let mut roots: Vec<PathBuf> = params
            .get("workspaceFolders")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|folder| uri::to_path(folder.get("uri")?.as_str()?))
            .collect();
        if roots.is_empty() {
            let root = params.get("rootUri").and_then(Value::as_str);
            roots.extend(root.and_then(uri::to_path));
        }
        Self {
            encoding,
            pulls: params
                .pointer("/capabilities/textDocument/diagnostic")
                .is_some_and(|d| !d.is_null()),
            refreshes_diagnostics: flag("/workspace/diagnostics/refreshSupport"),
            watches: flag("/workspace/didChangeWatchedFiles/dynamicRegistration"),
            document_changes: flag("/workspace/workspaceEdit/documentChanges"),
            snippets: flag("/textDocument/completion/completionItem/snippetSupport"),
            roots,
        }
    }
}

fn no_progress() -> lsp::WorkDoneProgressOptions {
    lsp::WorkDoneProgressOptions::default()
}

/// The result of `initialize`.
pub(crate) fn answer(client: &Client, version: &str) -> Value {
    let capabilities = lsp::ServerCapabilities {
        position_encoding: Some(client.encoding.kind()),
        text_document_sync: Some(lsp::TextDocumentSync::Options(
            lsp::TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(lsp::TextDocumentSyncKind::Incremental),
                will_save: None,
                will_save_wait_until: None,
                save: Some(lsp::Save::SaveOptions(lsp::SaveOptions {
                    include_text: Some(false),
                })),
            },
        )),
        hover_provider: Some(lsp::HoverProvider::Bool(true)),
        definition_provider: Some(lsp::DefinitionProvider::Bool(true)),
        type_definition_provider: Some(lsp::TypeDefinitionProvider::Bool(true)),
        references_provider: Some(lsp::ReferencesProvider::Bool(true)),
        document_highlight_provider: Some(lsp::DocumentHighlightProvider::Bool(true)),
        rename_provider: Some(lsp::RenameProvider::RenameOptions(lsp::RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: no_progress(),
        })),
        diagnostic_provider: Some(lsp::DiagnosticProvider::DiagnosticOptions(
            lsp::DiagnosticOptions {
                identifier: Some("mxcp".into()),
                inter_file_dependencies: true,
                workspace_diagnostics: true,
                work_done_progress_options: no_progress(),
            },
        )),
        workspace: Some(lsp::WorkspaceOptions {
            workspace_folders: Some(lsp::WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(lsp::ChangeNotifications::Bool(true)),
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let result = lsp::InitializeResult {
        capabilities,
        server_info: Some(lsp::ServerInfo {
            name: "mxcp".into(),
            version: Some(version.to_owned()),
        }),
    };
    to_proto::value(result)
}

/// What the client should tell of: sources, what SQL may read, and what the world outside is read from.
pub(crate) fn watchers() -> Value {
    let globs = [
        "**/*.{yml,yaml,sql,py,csv,md}",
        "**/*.{duckdb,parquet,json,tsv}",
        "**/mxcp.lock",
        "**/.mxcpignore",
    ];
    to_proto::value(lsp::RegistrationParams {
        registrations: vec![lsp::Registration {
            id: "watched files".into(),
            method: "workspace/didChangeWatchedFiles".into(),
            register_options: Some(to_proto::value(
                lsp::DidChangeWatchedFilesRegistrationOptions {
                    watchers: globs
                        .into_iter()
                        .map(|glob| lsp::FileSystemWatcher {
                            glob_pattern: lsp::GlobPattern::Pattern(glob.into()),
                            kind: None,
                        })
                        .collect(),
                },
            )),
        }],
    })
}
