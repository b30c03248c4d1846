//! `mxcp lsp`: the language server for editors, on standard input and output.

use std::path::Path;
use std::sync::Arc;

use mxcp_compiler::CompilerDatabase;
use mxcp_compiler::inputs::{Environment, Settings};
use mxcp_lsp::Opener;

use super::session::Session;
use super::{CLEAN, FAILED, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Profile to use instead of the site file's own
    #[arg(long)]
    profile: Option<String>,
    /// Accepted for compatibility: there is no other transport
    #[arg(long)]
    stdio: bool,
}

struct Projects {
    profile: Option<String>,
}

impl Projects {
    fn session(&self, root: &Path) -> Result<Session, String> {
        let mut session = Session::open_at(root.to_path_buf(), self.profile.as_deref())
            .map_err(|failure| failure.message)?;
        session.load_catalog();
        Ok(session)
    }
}

impl Opener for Projects {
    fn open(&self, root: &Path) -> Result<CompilerDatabase, String> {
        Ok(self.session(root)?.db)
    }

    fn environment(&self, root: &Path) -> Result<Environment, String> {
        let session = self.session(root)?;
        Ok(Settings::get(&session.db).environment(&session.db).clone())
    }
}

pub(crate) fn run(args: &Args) -> u8 {
    let projects = Projects {
        profile: args.profile.clone(),
    };
    match mxcp_lsp::run(Arc::new(projects), env!("CARGO_PKG_VERSION")) {
        Ok(()) => CLEAN,
        Err(message) => {
            output::eprint(&format!("mxcp lsp: {message}\n"));
            FAILED
        }
    }
}
