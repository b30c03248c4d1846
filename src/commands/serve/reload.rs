//! Serving what the sources have become: after SIGHUP, and with `--watch` after every change.
//!
//! A new manifest takes the place of the old one as a whole. Sources with errors change nothing: the
//! errors are printed, and what was served goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use mxcp_base::OsSystem;
use mxcp_compiler::is_source_file;
use mxcp_runtime::{Runtime, memory};

use super::super::output;
use super::super::session::{Session, find_root};
use super::super::watching::watcher::{Stopper, Watcher, Woken};
use super::Args;
use super::source::current_manifest;

/// Deeply nested sources need room, as they do for every other command.
const STACK: usize = 1 << 30;

/// Ends the watching when it is dropped.
pub(super) struct Watching {
    thread: Option<(Stopper, JoinHandle<()>)>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some((stopper, thread)) = self.thread.take() {
            stopper.stop();
            let _ = thread.join();
        }
    }
}

/// From here on SIGHUP reloads, and with `--watch` every change of a source does.
pub(super) fn start(args: &Args, runtime: &Arc<Runtime>) -> Watching {
    let rebuilder = Arc::new(Rebuilder {
        args: args.clone(),
        runtime: Arc::clone(runtime),
        one_at_a_time: Mutex::new(()),
    });
    let on_hangup = Arc::clone(&rebuilder);
    runtime.on_hangup(move || on_hangup.rebuild("SIGHUP", true));
    let root = args.watch.then(find_root).and_then(Result::ok);
    let thread = root.map(|root| {
        let watcher = Watcher::new(&root, None);
        let stopper = watcher.stopper();
        std::thread::Builder::new()
            .name("mxcp-watch".to_owned())
            .stack_size(STACK)
            .spawn(move || watch(&rebuilder, root, watcher))
            .map(|thread| (stopper, thread))
    });
    let thread = match thread.transpose() {
        Ok(thread) => thread,
        Err(error) => {
            output::eprint(&format!("Warning: the sources are not watched: {error}\n"));
            None
        }
    };
    Watching { thread }
}

struct Rebuilder {
    args: Args,
    runtime: Arc<Runtime>,
    one_at_a_time: Mutex<()>,
}

impl Rebuilder {
    fn rebuild(self: &Arc<Self>, why: &str, whole: bool) {
        let this = Arc::clone(self);
        let why = why.to_owned();
        let built = std::thread::Builder::new()
            .name("mxcp-build".to_owned())
            .stack_size(STACK)
            .spawn(move || this.rebuild_here(&why, whole));
        match built.map(JoinHandle::join) {
            // What the compiler left behind.
            Ok(Ok(())) => memory::give_back(),
            Ok(Err(_)) => output::eprint("Error: not reloaded: the compiler failed\n"),
            Err(error) => output::eprint(&format!("Error: not reloaded: {error}\n")),
        }
    }

    fn rebuild_here(&self, why: &str, whole: bool) {
        let _turn = self
            .one_at_a_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut session = match Session::open_sources(self.args.common.profile.as_deref()) {
            Ok(session) => session,
            Err(failure) => {
                output::eprint(&format!("Error: not reloaded: {}\n", failure.message));
                return;
            }
        };
        let Ok(mut manifest) = current_manifest(&mut session, &self.args) else {
            output::eprint("note: what was served before is still served\n");
            return;
        };
        drop(session);
        self.args.adjust(&mut manifest);
        let before = self.runtime.manifest();
        let python = before.python != manifest.python;
        if *before != manifest {
            self.runtime.replace(Arc::new(manifest));
            output::eprint(&format!("note: reloaded ({why})\n"));
        }
        if (whole || python)
            && let Err(error) = self.runtime.request_reload(why)
        {
            output::eprint(&format!("Error: the database was not reopened: {error}\n"));
        }
    }
}

fn watch(rebuilder: &Arc<Rebuilder>, root: PathBuf, mut watcher: Watcher) {
    let system = OsSystem::new(root);
    let mut look = system.look(&is_source_file).unwrap_or_default();
    loop {
        // What happens in a folder before it is watched is only seen by looking again.
        while watcher.follow(&look.folders, &BTreeSet::new()) {
            look.folders = system.look(&is_source_file).unwrap_or_default().folders;
        }
        if let Some(note) = watcher.take_note() {
            output::eprint(&format!("note: {note}\n"));
        }
        let woken = watcher.wait();
        if woken == Woken::Stop {
            return;
        }
        let mut now = system.look(&is_source_file).unwrap_or_default();
        // Nothing has told whether who writes is done.
        while woken == Woken::Time && now.files != look.files {
            if watcher.rest() == Woken::Stop {
                return;
            }
            let again = system.look(&is_source_file).unwrap_or_default();
            let settled = again.files == now.files;
            now = again;
            if settled {
                break;
            }
        }
        let changed = now.files != look.files;
        look = now;
        if changed {
            rebuilder.rebuild("a source changed", false);
        }
    }
}
