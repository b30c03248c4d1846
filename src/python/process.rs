//! Doors to the process itself: its standard output and its end.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::mpsc;
use std::time::Duration;

use crate::interpreter;

unsafe extern "C" {
    safe fn dup2(from: c_int, to: c_int) -> c_int;
    safe fn _exit(code: c_int) -> !;
}

/// Takes the process's standard output for a protocol: the returned file writes there, while
/// descriptor 1 becomes standard error for everyone else, native libraries and child processes
/// included. Call it once, before any other thread writes.
pub fn take_stdout() -> io::Result<File> {
    io::stdout().flush()?;
    let kept = io::stdout().as_fd().try_clone_to_owned()?;
    if dup2(2, 1) < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(kept))
}

/// Takes the process's standard input for a protocol: the returned file reads it, while descriptor 0
/// is empty for everyone else. A child process would otherwise read what the client says.
pub fn take_stdin() -> io::Result<File> {
    let kept = io::stdin().as_fd().try_clone_to_owned()?;
    let empty = File::open("/dev/null")?;
    if dup2(empty.as_raw_fd(), 0) < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(kept))
}

/// Ends the process at once: runs Python's `atexit` functions (for two seconds at most), flushes, and
/// skips the destructors of static objects. Those of a user's native modules need the interpreter
/// lock that nobody holds any more, and abort without it.
pub fn exit_process(code: i32) -> ! {
    if interpreter::is_running() {
        let (done, finished) = mpsc::channel();
        std::thread::spawn(move || {
            interpreter::run_exit_functions();
            let _ = done.send(());
        });
        let _ = finished.recv_timeout(Duration::from_secs(2));
    }
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
    _exit(code)
}
