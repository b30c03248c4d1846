//! Giving memory back to the system.
//!
//! Starting and building need much that serving does not: code that runs once, and many small pieces of
//! memory that the allocator keeps for later. It is the process that decides when that time is over.

use std::ffi::c_int;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" {
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
    fn malloc_trim(pad: usize) -> c_int;
    fn madvise(address: *mut std::ffi::c_void, length: usize, advice: c_int) -> c_int;
}

/// Keeps the allocator from holding memory back for every thread: call it before threads start.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const M_ARENA_MAX: c_int = -8;
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let arenas = c_int::try_from(processors.max(2)).unwrap_or(2);
        // SAFETY: it only sets a number; a libc that does not know it refuses.
        unsafe { mallopt(M_ARENA_MAX, arenas) };
    }
}

/// Gives back what is free.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it only returns memory that nobody uses.
    unsafe {
        malloc_trim(0)
    };
}

/// Gives back what is free, and the pages of code that may never be needed again: those that are come back
/// from the file.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MADV_DONTNEED: c_int = 4;
        trim();
        let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else {
            return;
        };
        for (start, length) in unwritten(&maps) {
            // SAFETY: the pages are mapped from a file, cannot be written to, and none of them ever was, so
            // what is read next is what is dropped here.
            unsafe { madvise(start as *mut std::ffi::c_void, length, MADV_DONTNEED) };
        }
    }
}

// Addresses and lengths of code and constants that are as their files have them. The linker writes to some
// before it makes them unwritable: those have pages of their own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn unwritten(maps: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut current = None;
    for line in maps.lines() {
        if let Some(own) = line.strip_prefix("Anonymous:") {
            out.extend(current.take().filter(|_| own.trim() == "0 kB"));
        } else if let Some(mapping) = mapping(line) {
            current = mapping;
        }
    }
    out
}

// `Some` for the first line of a mapping, with its place when it is read-only and of a file.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn mapping(line: &str) -> Option<Option<(usize, usize)>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let readable = matches!(fields.next(), Some("r-xp" | "r--p"));
    let from_file = fields.nth(3).is_some_and(|path| path.starts_with('/'));
    Some((readable && from_file).then_some((start, end.checked_sub(start)?)))
}
