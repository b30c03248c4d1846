//! The language server: `mxcp lsp` speaks the Language Server Protocol over standard input and output.
//!
//! The only crate that knows the protocol's types. One thread owns the projects and their databases;
//! requests are answered by a few other threads on snapshots, which an edit cancels. What a feature
//! says comes from [`mxcp_ide`]; here its paths and byte ranges become addresses and positions.

mod capabilities;
mod dispatch;
mod documents;
mod handlers;
mod main_loop;
mod pool;
mod position;
mod project;
mod publish;
mod snapshot;
mod to_proto;
mod uri;

use std::path::Path;
use std::sync::Arc;

use mxcp_compiler::CompilerDatabase;
use mxcp_compiler::inputs::Environment;

/// Opens projects for the server: configuration and databases are the command line's business.
pub trait Opener: Send + Sync {
    /// The sources of a project as they are on the disk, and what is known of the world outside.
    fn open(&self, root: &Path) -> Result<CompilerDatabase, String>;

    /// What is known of the world outside, read again.
    fn environment(&self, root: &Path) -> Result<Environment, String>;
}

/// Serves one client until it leaves. The error is for standard error.
pub fn run(opener: Arc<dyn Opener>, version: &str) -> Result<(), String> {
    let (connection, threads) = lsp_server::Connection::stdio();
    let (id, params) = connection
        .initialize_start()
        .map_err(|e| format!("the client did not introduce itself: {e}"))?;
    let client = capabilities::Client::new(&params);
    let answer = capabilities::answer(&client, version);
    // A project may be large: nothing of it is read before the client has its answer.
    connection
        .initialize_finish(id, answer)
        .map_err(|e| format!("the client did not finish its introduction: {e}"))?;
    let result = main_loop::run(connection, client, opener);
    // The reader stands in `read` until the client closes the pipe; that must not keep us.
    drop(threads);
    result
}
