//! The end of a command that runs until it is told to stop: at once, whatever it is doing, but never
//! between two files that belong together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::watcher::Stopper;
use crate::commands::{CLEAN, exit};

/// How long the command has to end by itself, which it does when it is only waiting.
const PATIENCE: Duration = Duration::from_millis(300);

/// What must not be cut in two is done while this is held.
#[derive(Clone, Default)]
pub(crate) struct Whole(Arc<Mutex<()>>);

impl Whole {
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From here on SIGINT and SIGTERM end the process, with success.
pub(crate) fn on_signal(stopper: Stopper, whole: Whole) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::Builder::new()
        .name("mxcp-signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            stopper.stop();
            std::thread::sleep(PATIENCE);
            let _finished = whole.hold();
            exit(CLEAN)
        })?;
    Ok(())
}
